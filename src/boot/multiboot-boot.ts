// What the direct routes of both Multiboot versions share beside the kernel itself: command lines and modules in the
// form QEMU gives them (base names; --initrd is the first module), a place for the information structure, and the
// processor's state (Multiboot Specification 0.6.96, 3.2; Multiboot2 Specification 2.0, 3.3).

import { commandLine } from './firmware-items.js';
import { type BootImage, type MemoryRange, type Segment, segmentSize, usableRam } from './image.js';
import { toPage } from './multiboot-kernel.js';
import { KERNEL_ADDRESS, type NamedFile, SETUP_ADDRESS } from './placement.js';
import { protectedEntry } from './protected-entry.js';
import type { Screen } from './video-mode.js';

export const LOADER_NAME = 'vmreplay';
const CONVENTIONAL_END = 0x9_0000;

export interface MultibootRequest {
  kernel: NamedFile;
  initrd?: NamedFile;
  append?: string;
  modules?: readonly (NamedFile & { cmdline?: string })[];
  memoryMap: readonly MemoryRange[];
  /** The RSDP itself, where the machine has one. */
  rsdpTable?: Uint8Array;
  /** The machine's screen, where it has one. */
  screen?: Screen;
}

export interface PlacedModule {
  segment: Segment;
  /** Zero-terminated. */
  line: Uint8Array;
}

/** Zero-terminated command line of the kernel. @throws ImageError */
export function kernelLine({ kernel, append }: MultibootRequest): Uint8Array {
  return commandLine(`${baseName(kernel.name)} ${append ?? ''}`);
}

/** The modules, each on pages of its own behind `end`. @throws ImageError for a command line with a zero byte */
export function placeModules(request: MultibootRequest, end: number): { modules: PlacedModule[]; end: number } {
  const files = [...(request.initrd ? [request.initrd] : []), ...(request.modules ?? [])];
  let next = toPage(end);
  const modules = files.map((file, i) => {
    const role = request.initrd && i === 0 ? 'initrd' : 'module';
    const words = 'cmdline' in file && file.cmdline ? ` ${file.cmdline}` : '';
    const segment: Segment = { address: next, data: file.bytes, role, source: { image: role, offset: 0 } };
    next = toPage(next + Math.max(1, file.bytes.length));
    return { segment, line: commandLine(baseName(file.name) + words) };
  });
  return { modules, end: next };
}

/** Where a block of loader's data goes: conventional memory, or behind all else when kernel or size say no. */
export function placeBlock(size: number, others: readonly Segment[], end: number): number {
  const last = SETUP_ADDRESS + size;
  const free = (one: Segment) => one.address >= last || one.address + segmentSize(one) <= SETUP_ADDRESS;
  return last <= CONVENTIONAL_END && others.every(free) ? SETUP_ADDRESS : toPage(end);
}

/** KiB of memory below 640 KiB, and from 1 MiB to the first hole. */
export function lowerAndUpper(map: readonly MemoryRange[]): [number, number] {
  const ram = usableRam(map);
  const from = (start: number) => ram.find((range) => range.start <= start && range.end > start)?.end ?? start;
  return [Math.floor(from(0) / 1024), Math.floor((Math.min(from(KERNEL_ADDRESS), 2 ** 32) - KERNEL_ADDRESS) / 1024)];
}

/** @param gdt address of the table of protectedGdt() */
export const multibootEntry = (magic: number, info: number, entry: number, gdt: number): BootImage['entry'] =>
  protectedEntry({ rax: BigInt(magic), rbx: BigInt(info) }, entry, gdt);

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
