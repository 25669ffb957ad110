// The Linux/x86 boot protocol by its 32-bit and 64-bit entries: Linux's Documentation/arch/x86/boot.rst, "32-bit
// Boot Protocol", "64-bit Boot Protocol", and zero-page.rst for boot_params. Addresses and loader's fields are
// those of QEMU's loader (hw/i386/x86.c), so that the hand-off compares with one through its option ROM.
//
// Left out on purpose: setup_data (QEMU 7.2 gives a plain -kernel boot none on these machines), EFI, and
// loading above 4 GiB. With no screen told of (the machine is a serial console), Linux takes its dummy console.

import { hex } from './boot-error.js';
import { type LinuxImage, parseLinuxImage, XLF_CAN_BE_LOADED_ABOVE_4G, XLF_KERNEL_64 } from './bzimage.js';
import { buildGdt, CODE32, CODE64, DATA32, flat, identityMap, RESET_LDTR, TSS } from './descriptors.js';
import { type BootImage, type EntryState, type MemoryRange, registers, type Segment } from './image.js';
import {
  CMDLINE_ADDRESS,
  cmdlineSegment,
  GDT_ADDRESS,
  KERNEL_ADDRESS,
  type NamedFile,
  PAGE_TABLES_ADDRESS,
  placeHigh,
  SETUP_ADDRESS,
  topOfLowRam,
} from './placement.js';

/** Selectors that the protocol fixes: __BOOT_CS and __BOOT_DS; the kernel's own __BOOT_TSS follows them. */
const [BOOT_CS, BOOT_DS, BOOT_TSS] = [0x10, 0x18, 0x20];
const BOOT_PARAMS_SIZE = 4096;
const E820_TABLE_SIZE = 128;
/** type_of_loader of QEMU. */
const LOADER_QEMU = 0xb0;
const CAN_USE_HEAP = 0x80;
/** The 64-bit entry's distance from the 32-bit one. */
const ENTRY_64 = 0x200;
const IDENTITY_MAPPED_GIB = 4;

const CR0_PE = 1;
const CR0_ET = 0x10;
const CR0_PG = 0x8000_0000;
const CR4_PAE = 0x20;
const EFER_LME_LMA = 0x500;

export interface LinuxRequest {
  kernel: NamedFile;
  initrd?: NamedFile;
  append?: string;
  memoryMap: readonly MemoryRange[];
  /** Physical address of the RSDP; 0 or none leaves the search to the kernel. */
  rsdp?: number;
}

/** Lay out a Linux boot. Throws ImageError; the caller checks the finished image against RAM. */
export function buildLinux(route: 'linux64' | 'linux32', request: LinuxRequest): BootImage {
  const { kernel: file, memoryMap } = request;
  const linux = parseLinuxImage(file.name, file.bytes);
  if (route === 'linux64' && !(linux.xloadFlags & XLF_KERNEL_64)) {
    throw linux.reader.error('it has no 64-bit entry (xloadflags at offset 0x236)', 'boot it with --boot linux32');
  }
  if (linux.kernel.length <= ENTRY_64)
    throw linux.reader.error(`the kernel behind the setup code has ${linux.kernel.length} bytes`);
  const kernel: Segment = {
    address: KERNEL_ADDRESS,
    data: linux.kernel,
    role: 'kernel',
    source: { image: 'kernel', offset: linux.setupSize },
  };
  const top = topOfLowRam(memoryMap);
  const kernelEnd = Math.max(KERNEL_ADDRESS + linux.kernel.length, runtimeEnd(linux));
  if (kernelEnd > top) {
    throw linux.reader.error(
      `the kernel needs memory up to ${hex(kernelEnd)} to unpack itself, RAM ends at ${hex(top)}`,
      'give the guest more memory with --memory',
    );
  }
  const initrd = request.initrd && placeHigh(request.initrd, 'initrd', Math.min(initrdMax(linux), top - 1), kernelEnd);
  const cmdline = cmdlineSegment(request.append ?? '', linux.cmdlineSize);
  const bootParams = { address: SETUP_ADDRESS, data: buildBootParams(linux, request, initrd), role: 'boot_params' };
  const segments: Segment[] = [kernel, ...(initrd ? [initrd] : []), cmdline, bootParams];
  const entry = route === 'linux64' ? entry64(segments) : entry32(segments);
  return {
    route,
    segments,
    entry,
    structures: [
      { name: 'boot_params', address: SETUP_ADDRESS, length: BOOT_PARAMS_SIZE },
      { name: 'cmdline', address: cmdline.address, length: cmdline.data.length },
    ],
    symbols: [],
  };
}

/** End of the memory that the kernel uses while it unpacks itself: init_size from where it will run. */
export function runtimeEnd(linux: LinuxImage): number {
  const { kernelAlignment, preferredAddress, initSize } = linux;
  const aligned = Math.ceil(KERNEL_ADDRESS / kernelAlignment) * kernelAlignment;
  const start = linux.relocatable ? Math.max(aligned, preferredAddress) : preferredAddress;
  return start + initSize;
}

/** Highest address that a byte of the initrd may have, by the header. */
export function initrdMax(linux: LinuxImage): number {
  return linux.xloadFlags & XLF_CAN_BE_LOADED_ABOVE_4G ? 0xffff_ffff : linux.initrdAddressMax;
}

/** The "zero page": all zero but the header's copy, the loader's fields and the memory map. */
function buildBootParams(linux: LinuxImage, request: LinuxRequest, initrd: Segment | undefined): Uint8Array {
  const { memoryMap } = request;
  const data = new Uint8Array(BOOT_PARAMS_SIZE);
  const view = new DataView(data.buffer);
  const u32 = (offset: number, value: number) => view.setUint32(offset, value, true);
  const u64 = (offset: number, value: number) => view.setBigUint64(offset, BigInt(value), true);
  data.set(linux.header, 0x1f1);
  view.setUint8(0x210, LOADER_QEMU);
  view.setUint8(0x211, linux.loadFlags | CAN_USE_HEAP);
  view.setUint16(0x224, CMDLINE_ADDRESS - SETUP_ADDRESS - 0x200, true); // heap_end_ptr
  u32(0x228, CMDLINE_ADDRESS);
  if (initrd) {
    u32(0x218, initrd.address);
    u32(0x21c, initrd.data.length);
  }
  u64(0x70, request.rsdp ?? 0); // acpi_rsdp_addr
  if (memoryMap.length > E820_TABLE_SIZE) {
    throw linux.reader.error(
      `the memory map has ${memoryMap.length} entries, boot_params holds ${E820_TABLE_SIZE}`,
      'simplify the machine',
    );
  }
  view.setUint8(0x1e8, memoryMap.length);
  memoryMap.forEach(({ address, length, type }, index) => {
    const at = 0x2d0 + 20 * index;
    u64(at, address);
    u64(at + 8, length);
    u32(at + 16, type);
  });
  return data;
}

/** Protected mode, no paging, flat segments; ESI points at boot_params; EBP, EDI and EBX are zero. */
function entry32(segments: Segment[]): EntryState {
  const [code, data] = [flat(BOOT_CS, CODE32), flat(BOOT_DS, DATA32)];
  const task = { selector: BOOT_TSS, base: 0n, limit: 0x67, attributes: TSS };
  const gdt = buildGdt([code, data, task]);
  segments.push({ address: GDT_ADDRESS, data: gdt, role: 'gdt' });
  return {
    registers: registers({ rsi: BigInt(SETUP_ADDRESS) }),
    rip: BigInt(KERNEL_ADDRESS),
    rflags: 2,
    cr0: CR0_PE | CR0_ET,
    cr3: 0n,
    cr4: 0,
    efer: 0,
    segments: { cs: code, ds: data, es: data, ss: data, fs: data, gs: data, ldtr: RESET_LDTR, tr: task },
    gdtr: { base: BigInt(GDT_ADDRESS), limit: gdt.length - 1 },
    idtr: { base: 0n, limit: 0 },
  };
}

/** 64-bit mode with the first 4 GiB mapped to themselves; RSI points at boot_params. */
function entry64(segments: Segment[]): EntryState {
  const entry = entry32(segments);
  const code = flat(BOOT_CS, CODE64);
  const { ds: data, tr: task } = entry.segments;
  const gdt = segments.pop()!;
  segments.push({ ...gdt, data: buildGdt([code, data, task]) });
  segments.push({
    address: PAGE_TABLES_ADDRESS,
    data: identityMap(PAGE_TABLES_ADDRESS, IDENTITY_MAPPED_GIB),
    role: 'page tables',
  });
  return {
    ...entry,
    rip: BigInt(KERNEL_ADDRESS + ENTRY_64),
    cr0: CR0_PE + CR0_ET + CR0_PG,
    cr3: BigInt(PAGE_TABLES_ADDRESS),
    cr4: CR4_PAE,
    efer: EFER_LME_LMA,
    segments: { ...entry.segments, cs: code },
  };
}
