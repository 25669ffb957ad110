// What every boot route makes: the bytes to put into guest memory and the processor's state at the first
// instruction. Plain data, so that the hand-off of different routes can be compared field by field.
//
// Invariant of a finished image (checkImage): segments lie in usable RAM and do not overlap. RAM is zero before
// the segments are written, so `zeros` needs no writing; it is there for the overlap check.

import { E820_RAM, type E820Entry } from '../platform/e820.js';
import { hex, ImageError } from './boot-error.js';
import type { HandoffPoint } from './route.js';
import type { VideoMode } from './video-mode.js';

/** A range of guest physical memory, as the guest is told of it. */
export type MemoryRange = Readonly<E820Entry>;

/** Bytes of guest memory that a route provides. */
export interface Segment {
  /** Guest physical address. */
  address: number;
  data: Uint8Array;
  /** What it is: `kernel`, `initrd`, `boot_params`, `cmdline`, … */
  role: string;
  /** Bytes after `data` that must read as zero (.bss). */
  zeros?: number;
  /** Where in which image the data came from, for reports. `kernel.unpacked` is what a bzImage unpacked to. */
  source?: { image: string; offset: number };
}

/** A structure in guest memory that a kernel is told about. */
export interface Structure {
  name: string;
  address: number;
  length: number;
}

/** A name for an address, for reports. Addresses are those that the guest's own code uses (virtual for Linux). */
export interface ImageSymbol {
  name: string;
  address: bigint;
  /** Bytes, 0 when unknown. */
  size: number;
}

export const GENERAL_REGISTERS = [
  ...(['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'] as const),
  ...(['r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'] as const),
] as const;
export type GeneralRegister = (typeof GENERAL_REGISTERS)[number];

export const SEGMENT_REGISTERS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldtr', 'tr'] as const;
export type SegmentRegister = (typeof SEGMENT_REGISTERS)[number];

/**
 * A loaded segment register. `base` has 64 bits, `limit` is in bytes, and `attributes` has the format of SEG_ATTRIBUTES in
 * cpu/layout.ts.
 */
export interface SegmentState {
  selector: number;
  base: bigint;
  limit: number;
  attributes: number;
}

/** GDTR or IDTR: a linear address of 64 bits, and the offset of the last byte. */
export interface TableRegister {
  base: bigint;
  limit: number;
}

/**
 * The processor at the guest's first instruction; what is not here is as after reset. What is a number has 32 bits: the
 * upper halves of CR0, CR4, EFER and RFLAGS are reserved.
 */
export interface EntryState {
  registers: Record<GeneralRegister, bigint>;
  rip: bigint;
  rflags: number;
  cr0: number;
  cr3: bigint;
  cr4: number;
  efer: number;
  segments: Record<SegmentRegister, SegmentState>;
  gdtr: TableRegister;
  idtr: TableRegister;
}

export interface BootImage {
  /** The route's name on the command line: `pvh`, `linux64`, `linux32`, … */
  route: string;
  segments: Segment[];
  entry: EntryState;
  structures: Structure[];
  symbols: ImageSymbol[];
  /** The mode that the screen has to be in. */
  video?: VideoMode;
  /** What lies where the memory map says that firmware is, and so is not checked against RAM. */
  firmware?: Segment[];
  /** Where the kernel's own code hands over to itself by another protocol, beside the entry. */
  handoffs?: HandoffPoint[];
}

/** Bytes of memory that a segment occupies. */
export function segmentSize(segment: Segment): number {
  return segment.data.length + (segment.zeros ?? 0);
}

/** All general registers zero but those given. */
export function registers(values: Partial<Record<GeneralRegister, bigint>>): Record<GeneralRegister, bigint> {
  const all = {} as Record<GeneralRegister, bigint>;
  for (const name of GENERAL_REGISTERS) all[name] = values[name] ?? 0n;
  return all;
}

/** Usable RAM as disjoint ranges in ascending order, neighbours joined, cut by whatever else the map lays over it. */
export function usableRam(map: readonly MemoryRange[]): { start: number; end: number }[] {
  const holes = map.filter((range) => range.type !== E820_RAM && range.length > 0);
  const result: { start: number; end: number }[] = [];
  const ram = map.filter((range) => range.type === E820_RAM).sort((a, b) => a.address - b.address);
  for (const range of ram) {
    let pieces = [{ start: range.address, end: range.address + range.length }];
    for (const hole of holes) {
      pieces = pieces.flatMap((piece) => [
        { start: piece.start, end: Math.min(piece.end, hole.address) },
        { start: Math.max(piece.start, hole.address + hole.length), end: piece.end },
      ]);
      pieces = pieces.filter((piece) => piece.start < piece.end);
    }
    for (const piece of pieces) {
      const last = result.at(-1);
      if (last && piece.start <= last.end) last.end = Math.max(last.end, piece.end);
      else result.push(piece);
    }
  }
  return result;
}

/**
 * Check that an image can be put into memory.
 * @param name what messages call the guest, usually the kernel's file
 * @throws ImageError when a segment is outside usable RAM or two overlap
 */
export function checkImage(name: string, image: BootImage, map: readonly MemoryRange[]): BootImage {
  const ram = usableRam(map);
  const sorted = image.segments.filter((one) => segmentSize(one) > 0).sort((a, b) => a.address - b.address);
  let previous: Segment | undefined;
  for (const segment of sorted) {
    const end = segment.address + segmentSize(segment);
    if (!ram.some((range) => segment.address >= range.start && end <= range.end)) {
      const top = ram.reduce((most, range) => Math.max(most, range.end), 0);
      throw new ImageError(
        `${name}: ${segment.role} needs memory ${hex(segment.address)} to ${hex(end)}, which is not all RAM ` +
          `(RAM ends at ${hex(top)}); give the guest more memory with --memory, or another kernel`,
      );
    }
    if (previous && segment.address < previous.address + segmentSize(previous)) {
      throw new ImageError(
        `${name}: ${segment.role} at ${hex(segment.address)} overlaps ${previous.role} at ${hex(previous.address)}; ` +
          'give the guest more memory with --memory, or choose another boot route with --boot',
      );
    }
    previous = segment;
  }
  return image;
}
