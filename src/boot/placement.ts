// Where the program, as loader, puts what it makes itself. Conventional memory, where QEMU's loader puts the same
// things: the setup area at 64 KiB (hw/i386/x86.c: real_addr 0x10000), the command line at 128 KiB. Kernels
// are loaded from 1 MiB up, initial file systems as high as they may go.

import { hex, ImageError } from './boot-error.js';
import { type MemoryRange, type Segment, usableRam } from './image.js';

/** boot_params, or hvm_start_info with the tables it points to. */
export const SETUP_ADDRESS = 0x1_0000;
export const GDT_ADDRESS = 0x1_8000;
export const PAGE_TABLES_ADDRESS = 0x1_9000;
export const CMDLINE_ADDRESS = 0x2_0000;
/** Where a bzImage's protected-mode kernel goes. */
export const KERNEL_ADDRESS = 0x10_0000;

const PAGE = 4096;

/** A file with the name that messages call it by. */
export interface NamedFile {
  name: string;
  bytes: Uint8Array;
}

/** The zero-terminated command line as a segment. Throws ImageError past `limit` bytes (without the zero). */
export function cmdlineSegment(text: string, limit: number): Segment {
  if (text.includes('\0')) throw new ImageError('--append holds a zero byte, where the kernel would stop; remove it');
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > limit) {
    throw new ImageError(`--append is ${bytes.length} bytes, the kernel takes ${limit}; shorten it`);
  }
  const data = new Uint8Array(bytes.length + 1);
  data.set(bytes);
  return { address: CMDLINE_ADDRESS, data, role: 'cmdline' };
}

/** End of the usable RAM that begins at or before 1 MiB and goes on above it: where loaders count down from. */
export function topOfLowRam(map: readonly MemoryRange[]): number {
  const range = usableRam(map).find(({ start, end }) => start <= KERNEL_ADDRESS && end > KERNEL_ADDRESS);
  if (!range) throw new ImageError('the machine has no RAM at 1 MiB, where kernels go; give it more with --memory');
  return Math.min(range.end, 0x1_0000_0000);
}

/**
 * Page-aligned address for a file as high as possible, as QEMU places an initrd.
 * @param highest last address that the file's last byte may have
 * @param floor lowest address the file may start at; below is the kernel
 * @throws ImageError when there is no room
 */
export function placeHigh(file: NamedFile, role: string, highest: number, floor: number): Segment {
  const address = Math.floor((highest - file.bytes.length) / PAGE) * PAGE;
  if (address < floor) {
    const room = Math.max(0, highest - floor);
    throw new ImageError(
      `${file.name}: the ${role} has ${file.bytes.length} bytes, and between the kernel's end (${hex(floor)}) and ` +
        `${hex(highest)} there is room for ${room}; give the guest more memory with --memory, or a smaller file`,
    );
  }
  return { address, data: file.bytes, role, source: { image: role, offset: 0 } };
}
