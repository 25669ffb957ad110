// The Linux/x86 boot protocol from its beginning: the kernel's own setup code, entered in real mode, asks the BIOS for
// memory, video and disks, fills boot_params and goes to protected mode. Linux's Documentation/arch/x86/boot.rst,
// "Loading The Rest of The Kernel" to "Running the Kernel". Loader's fields, addresses and registers are those that
// QEMU's linuxboot.bin leaves; BIOS services are our own (real-mode/), as there is no firmware.
//
// Left out on purpose: zImages and protocols before 2.02, as in the other direct routes.

import { hex } from './boot-error.js';
import { parseLinuxImage } from './bzimage.js';
import { RESET_LDTR, RESET_TR } from './descriptors.js';
import { setupCode } from './firmware-linux.js';
import { type BootImage, registers, type Segment, type SegmentState } from './image.js';
import { initrdMax, type LinuxRequest, runtimeEnd } from './linux.js';
import { CMDLINE_ADDRESS, cmdlineSegment, KERNEL_ADDRESS, placeHigh, SETUP_ADDRESS, topOfLowRam } from './placement.js';
import { realModeServices } from './real-mode/real-mode.js';

/** Attributes of a real-mode segment: present, accessed, writable data or readable code, byte granular. */
const REAL_MODE = 0x0093;
const ENTRY_OFFSET = 0x200;
/** The stack begins where the command line's memory does, as linuxboot.bin leaves it. */
const STACK = CMDLINE_ADDRESS - SETUP_ADDRESS - 16;
const VECTORS_LIMIT = 0x3ff;

/** Lay out a Linux boot in real mode. Throws ImageError; the caller checks the finished image against RAM. */
export function buildLinux16(request: LinuxRequest): BootImage {
  const { kernel: file, memoryMap } = request;
  const linux = parseLinuxImage(file.name, file.bytes);
  const top = topOfLowRam(memoryMap);
  const kernelEnd = Math.max(KERNEL_ADDRESS + linux.kernel.length, runtimeEnd(linux));
  if (kernelEnd > top)
    throw linux.reader.error(
      `the kernel needs memory up to ${hex(kernelEnd)} to unpack itself, RAM ends at ${hex(top)}`,
      'give the guest more memory with --memory',
    );
  const initrd = request.initrd && placeHigh(request.initrd, 'initrd', Math.min(initrdMax(linux), top - 1), kernelEnd);
  const cmdline = cmdlineSegment(request.append ?? '', linux.cmdlineSize);
  const setup = setupCode(linux.reader, {
    cmdline: request.append ?? '',
    cmdlineAddress: CMDLINE_ADDRESS,
    realAddress: SETUP_ADDRESS,
    initrd: initrd && { address: initrd.address, size: initrd.data.length },
  });
  if (setup.length > STACK)
    throw linux.reader.error(
      `the setup code has ${setup.length} bytes (offset 0x1f1), more than a segment with a stack`,
    );
  const services = realModeServices(memoryMap);
  const segments: Segment[] = [
    {
      address: KERNEL_ADDRESS,
      data: linux.kernel,
      role: 'kernel',
      source: { image: 'kernel', offset: linux.setupSize },
    },
    ...(initrd ? [initrd] : []),
    cmdline,
    { address: SETUP_ADDRESS, data: setup, role: 'setup code', source: { image: 'kernel', offset: 0 } },
    services.low,
  ];
  const real = (selector: number): SegmentState => ({
    selector,
    base: BigInt(selector << 4),
    limit: 0xffff,
    attributes: REAL_MODE,
  });
  const data = real(SETUP_ADDRESS >> 4);
  return {
    route: 'linux16',
    segments,
    firmware: services.reserved,
    entry: {
      registers: registers({ rsp: BigInt(STACK) }),
      rip: 0n,
      rflags: 2,
      cr0: 0x10, // ET, which reads as 1 always
      cr3: 0n,
      cr4: 0,
      efer: 0,
      segments: {
        cs: real((SETUP_ADDRESS + ENTRY_OFFSET) >> 4),
        ...{ ds: data, es: data, ss: data, fs: data, gs: data },
        ...{ ldtr: RESET_LDTR, tr: RESET_TR },
      },
      gdtr: { base: 0n, limit: 0 },
      idtr: { base: 0n, limit: VECTORS_LIMIT },
    },
    structures: [
      { name: 'setup_header', address: SETUP_ADDRESS + 0x1f1, length: linux.header.length },
      { name: 'cmdline', address: cmdline.address, length: cmdline.data.length },
    ],
    symbols: [],
    handoffs: [{ address: BigInt(linux.code32Start), protocol: 'linux32' }],
  };
}
