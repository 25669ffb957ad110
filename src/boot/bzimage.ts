// Linux kernel images for x86 (bzImage): the setup header and the compressed kernel inside. Linux's
// Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header". The file is untrusted: sizes that it states
// about itself are checked against the file before anything follows from them.
//
// Left out on purpose: zImage (loaded low) and protocols before 2.02, which no kernel of this century has.

import { hex } from './boot-error.js';
import { ImageReader } from './image-reader.js';
import { DamagedData } from './unpack/damaged-data.js';
import { compressionOf, unpackPayload } from './unpack/unpack.js';

const HEADER_MAGIC = 0x53726448; // "HdrS"
const LOADED_HIGH = 1;
/** xloadflags: the kernel has a 64-bit entry at 0x200; initrd, command line and kernel may be above 4 GiB. */
export const XLF_KERNEL_64 = 1;
export const XLF_CAN_BE_LOADED_ABOVE_4G = 2;
/** No kernel unpacks to more; bounds what a lying header can make us allocate. */
const LARGEST_KERNEL = 512 << 20;

export interface LinuxImage {
  reader: ImageReader;
  /** Boot protocol version, e.g. 0x20f for 2.15. */
  version: number;
  /** Bytes of boot sector and setup code; the protected-mode kernel follows. */
  setupSize: number;
  /** The header as it stands in the file from 0x1f1 on, to be copied to the same offset of boot_params. */
  header: Uint8Array;
  /** Everything behind the setup code. */
  kernel: Uint8Array;
  loadFlags: number;
  xloadFlags: number;
  code32Start: number;
  initrdAddressMax: number;
  /** Longest command line in bytes, without the terminating zero. */
  cmdlineSize: number;
  relocatable: boolean;
  kernelAlignment: number;
  preferredAddress: number;
  /** Bytes of memory from the run-time start that the kernel needs before it reads the memory map; 0 unknown. */
  initSize: number;
  /** Offset in `kernel` and length of the compressed kernel, 0 when the header does not tell. */
  payloadOffset: number;
  payloadLength: number;
  /** Text that the kernel calls itself, e.g. `6.1.0-56-cloud-amd64 (…)`. */
  kernelVersion: string;
}

export function isLinuxImage(bytes: Uint8Array): boolean {
  const magic = [0x48, 0x64, 0x72, 0x53];
  return (
    bytes.length >= 0x208 &&
    bytes[0x1fe] === 0x55 &&
    bytes[0x1ff] === 0xaa &&
    magic.every((m, i) => bytes[0x202 + i] === m)
  );
}

/**
 * Read the setup header.
 * @throws ImageError when it is no bzImage, or the file contradicts what its header says
 */
export function parseLinuxImage(name: string, bytes: Uint8Array): LinuxImage {
  const reader = new ImageReader(name, bytes);
  const what = 'the Linux setup header';
  if (reader.u16(0x1fe, what) !== 0xaa55 || reader.u32(0x202, what) !== HEADER_MAGIC) {
    throw reader.error('there is no Linux setup header at offset 0x202', 'give a bzImage, or another --boot route');
  }
  const version = reader.u16(0x206, what);
  if (version < 0x202 || version > 0x2ff) {
    throw reader.error(
      `the boot protocol version at offset 0x206 is ${hex(version)}, not 2.02 or later`,
      'give a newer kernel',
    );
  }
  const loadFlags = reader.u8(0x211, what);
  if (!(loadFlags & LOADED_HIGH)) {
    throw reader.error('the kernel is a zImage, which is loaded below 1 MiB (offset 0x211)', 'build a bzImage');
  }
  const jump = reader.u8(0x201, what);
  // The length is the displacement of a short jump over the header.
  if (jump > 0x7f) throw reader.error(`the jump over the setup header at offset 0x200 leads backwards (${hex(jump)})`);
  const headerEnd = 0x202 + jump;
  const since = (needed: number, offset: number) => version >= needed && offset < headerEnd;
  if (headerEnd < 0x22c) throw reader.error(`the setup header ends at ${hex(headerEnd)} (offset 0x201), too early`);
  const setupSize = ((reader.u8(0x1f1, what) || 4) + 1) * 512;
  if (setupSize >= bytes.length) {
    throw reader.error(`the setup code claims ${setupSize} bytes (offset 0x1f1), the file has ${bytes.length}`);
  }
  if (headerEnd > setupSize) throw reader.error(`the setup header ends at ${hex(headerEnd)}, past the setup code`);
  const kernel = bytes.subarray(setupSize);
  // In units of 16 bytes, rounded up; a signature may follow, so the file may be longer but not shorter.
  const stated = reader.u32(0x1f4, what) * 16;
  if (stated === 0 || stated > kernel.length + 15) {
    throw reader.error(`the kernel claims ${stated} bytes (offset 0x1f4), the file has ${kernel.length} for it`);
  }
  const payloadOffset = since(0x208, 0x248) ? reader.u32(0x248, what) : 0;
  const payloadLength = since(0x208, 0x24c) ? reader.u32(0x24c, what) : 0;
  if (payloadOffset + payloadLength > kernel.length) {
    throw reader.error(
      `the payload claims ${payloadLength} bytes at ${hex(payloadOffset)} (offset 0x248), past the file's end`,
    );
  }
  // A setup size that lies moves all that lies behind the setup code, which is jumped into: its landmark must be there.
  const payload = kernel.subarray(payloadOffset, payloadOffset + payloadLength);
  if (payloadLength > 0 && compressionOf(payload) === undefined) {
    throw reader.error(
      `there is no compressed kernel at offset ${hex(setupSize + payloadOffset)}, where the setup size (offset 0x1f1) ` +
        'and the payload offset (offset 0x248) put it',
    );
  }
  const kernelAlignment = since(0x205, 0x230) ? reader.u32(0x230, what) : 0;
  if (kernelAlignment !== 0 && (kernelAlignment & (kernelAlignment - 1)) !== 0) {
    throw reader.error(`the kernel's alignment at offset 0x230 is ${hex(kernelAlignment)}, no power of two`);
  }
  return {
    reader,
    version,
    setupSize,
    header: reader.slice(0x1f1, headerEnd - 0x1f1, what),
    kernel,
    loadFlags,
    xloadFlags: since(0x20c, 0x236) ? reader.u16(0x236, what) : 0,
    code32Start: reader.u32(0x214, what),
    initrdAddressMax: since(0x203, 0x22c) ? reader.u32(0x22c, what) : 0x37ff_ffff,
    cmdlineSize: since(0x206, 0x238) ? reader.u32(0x238, what) : 255,
    relocatable: since(0x205, 0x234) && reader.u8(0x234, what) !== 0,
    kernelAlignment: kernelAlignment || 0x100_0000,
    preferredAddress: since(0x20a, 0x258) ? reader.size64(0x258, what) : 0x10_0000,
    initSize: since(0x20a, 0x260) ? reader.u32(0x260, what) : 0,
    payloadOffset,
    payloadLength,
    kernelVersion: kernelVersion(reader, setupSize),
  };
}

function kernelVersion(reader: ImageReader, setupSize: number): string {
  const pointer = reader.u16(0x20e, 'the Linux setup header');
  if (pointer === 0 || pointer + 0x200 >= setupSize) return '';
  const text = reader.bytes.subarray(pointer + 0x200, Math.min(pointer + 0x200 + 256, setupSize));
  const end = text.indexOf(0);
  return end < 0 ? '' : String.fromCharCode(...text.subarray(0, end));
}

/**
 * The kernel proper, an ELF file, as it unpacks itself into memory.
 * @throws ImageError when it is damaged or compressed in an unknown way
 */
export function unpackKernel(image: LinuxImage): Uint8Array {
  const { reader, kernel, payloadOffset, payloadLength, initSize } = image;
  if (payloadLength === 0) {
    throw reader.error('the header tells of no payload (offset 0x248)', 'boot it with --boot linux64 or linux32');
  }
  const payload = kernel.subarray(payloadOffset, payloadOffset + payloadLength);
  const limit = initSize === 0 ? LARGEST_KERNEL : Math.min(initSize, LARGEST_KERNEL);
  try {
    return unpackPayload(payload, limit);
  } catch (error) {
    if (!(error instanceof DamagedData)) throw error;
    const kind = compressionOf(payload);
    throw reader.error(
      `the ${kind ? `${kind} ` : ''}payload at offset ${hex(image.setupSize + payloadOffset)} cannot be unpacked: ${error.message}`,
    );
  }
}
