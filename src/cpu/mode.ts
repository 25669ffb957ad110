// What follows from control registers, EFLAGS, CS, SS and CPL for the fast paths: mode bits, masks, the data TLB in
// use, and how bytes decode. Everything here is derived: it is computed anew whenever one of its sources changes,
// and is no part of the architectural state.

import type { DecodeMode } from './decode.js';
import * as L from './layout.js';
import {
  AC,
  type CpuState,
  CR0_AM,
  CR0_PE,
  CR0_PG,
  CR4_SMAP,
  EFER_LMA,
  MODE_64BIT,
  MODE_CS32,
  MODE_LONG,
  MODE_PAGING,
  MODE_PROTECTED,
  MODE_SS32,
  MODE_V86,
  VM,
} from './state.js';

const CS_L = 0x2000;
const SEG_DB = 0x4000;

export interface DerivedMode extends DecodeMode {
  /** The processor's number for this way of decoding, −1 while it has none. */
  codeKey: number;
}

/** A way of decoding by what it is, for a checkpoint: bits, flat, and the code segment's base and limit. */
export type SavedMode = readonly [bits: number, flat: number, base: number, limit: number];

/** A code segment in which bytes decode alike, but for which data segments are flat. */
interface CodeSegment {
  readonly bits: 16 | 32;
  readonly base: number;
  readonly limit: number;
  /** By `flat`. */
  readonly modes: (DerivedMode | undefined)[];
}

/** No base, no limit and no missing right: an access needs no check. (CS as a data segment is always checked.) */
export function isFlat(s: CpuState, segment: number): boolean {
  const { u32 } = s;
  const at = (L.SEGMENTS + L.SEGMENT_SIZE * segment) >>> 2;
  return (
    (u32[at + (L.SEG_BASE >>> 2)]! | u32[at + (L.SEG_BASE >>> 2) + 1]! | u32[at + (L.SEG_MIN >>> 2)]!) === 0 &&
    u32[at + (L.SEG_MAX >>> 2)] === 0xffff_ffff &&
    (u32[at + (L.SEG_ACCESS >>> 2)]! & 3) === 3
  );
}

function modeBits(u32: Uint32Array): number {
  const cr0 = u32[L.CR0 >>> 2]!;
  const long = (u32[L.EFER >>> 2]! & EFER_LMA) !== 0;
  const cs = u32[(L.SEGMENTS + L.SEGMENT_SIZE * L.CS + L.SEG_ATTRIBUTES) >>> 2]!;
  let mode = 0;
  if (cr0 & CR0_PE) mode |= MODE_PROTECTED;
  if (cr0 & CR0_PG) mode |= MODE_PAGING;
  if (long) mode |= MODE_LONG;
  if (long && cs & CS_L) mode |= MODE_64BIT;
  else if (cs & SEG_DB) mode |= MODE_CS32;
  if (cr0 & CR0_PE && u32[L.EFLAGS >>> 2]! & VM && !long) mode |= MODE_V86;
  if (u32[(L.SEGMENTS + L.SEGMENT_SIZE * L.SS + L.SEG_ATTRIBUTES) >>> 2]! & SEG_DB) mode |= MODE_SS32;
  return mode;
}

/** Which data TLB serves the current privilege; none while every access has to be looked at. */
function dataTlb(u32: Uint32Array, watched: boolean): number {
  const user = u32[L.CPL >>> 2] === 3;
  const ac = (u32[L.EFLAGS >>> 2]! & AC) !== 0;
  if (watched || (user && ac && (u32[L.CR0 >>> 2]! & CR0_AM) !== 0)) return L.DATA_TLB_NONE;
  if (user) return L.DATA_TLB_USER;
  return (u32[L.CR4 >>> 2]! & CR4_SMAP) === 0 || ac ? L.DATA_TLB_OPEN : L.DATA_TLB_SUPERVISOR;
}

/** Derives one processor's mode: the same way of decoding is always the same object. */
export class ModeDeriver {
  private readonly flat64: DerivedMode = { bits: 64, flat: 15, codeKey: -1 };
  /** By base. */
  private readonly segments = new Map<number, CodeSegment[]>();
  private last: CodeSegment | undefined;

  /** Forget all ways of decoding. */
  clear(): void {
    this.segments.clear();
    this.last = undefined;
    this.flat64.codeKey = -1;
  }

  /**
   * Bring the derived fields up to date. Here words are accessed as such: firmware changes the mode by the thousand, before
   * V8 has compiled any of this. `watched`: data breakpoints are armed.
   */
  derive(s: CpuState, watched: boolean): DerivedMode {
    const { u32 } = s;
    const mode = modeBits(u32);
    const is64 = (mode & MODE_64BIT) !== 0;
    if (is64 && mode === u32[L.MODE >>> 2]) {
      // An event of ring 0, or a return from one: nothing else can have changed.
      u32[L.DATA_TLB >>> 2] = dataTlb(u32, watched);
      return this.flat64;
    }
    u32[L.MODE >>> 2] = mode;
    const high = is64 ? 0xffff_ffff : 0;
    u32[L.ADDRESS_MASK >>> 2] = 0xffff_ffff;
    u32[(L.ADDRESS_MASK >>> 2) + 1] = high;
    u32[L.LINEAR_MASK >>> 2] = 0xffff_ffff;
    u32[(L.LINEAR_MASK >>> 2) + 1] = high;
    // EIP in 16-bit code too: what runs past 64 KiB meets the limit, it does not wrap (SDM vol. 3A, 20.1.1).
    u32[L.IP_MASK >>> 2] = 0xffff_ffff;
    u32[(L.IP_MASK >>> 2) + 1] = high;
    u32[L.STACK_MASK >>> 2] = is64 || mode & MODE_SS32 ? 0xffff_ffff : 0xffff;
    u32[(L.STACK_MASK >>> 2) + 1] = high;
    u32[L.DATA_TLB >>> 2] = dataTlb(u32, watched);
    if (is64) {
      u32[L.STACK_CHECKED >>> 2] = 0;
      return this.flat64;
    }
    const stackFlat = isFlat(s, L.SS);
    u32[L.STACK_CHECKED >>> 2] = stackFlat ? 0 : 1;
    const flat = (stackFlat ? 1 << L.SS : 0) | (isFlat(s, L.ES) ? 1 << L.ES : 0) | (isFlat(s, L.DS) ? 1 << L.DS : 0);
    const cs = (L.SEGMENTS + L.SEGMENT_SIZE * L.CS) >>> 2;
    const bits = mode & MODE_CS32 ? 32 : 16;
    const base = u32[cs + (L.SEG_BASE >>> 2)]!;
    const limit = u32[cs + (L.SEG_LIMIT >>> 2)]!;
    let segment = this.last;
    if (segment === undefined || segment.base !== base || segment.bits !== bits || segment.limit !== limit) {
      segment = this.segmentOf(bits, base, limit);
      this.last = segment;
    }
    let derived = segment.modes[flat];
    if (derived === undefined) {
      derived = { bits, flat, codeKey: -1 };
      segment.modes[flat] = derived;
    }
    return derived;
  }

  /** Ways of decoding that have a number, by it. */
  save(): SavedMode[] {
    const saved: SavedMode[] = [];
    if (this.flat64.codeKey >= 0) saved[this.flat64.codeKey] = [64, this.flat64.flat, 0, 0xffff_ffff];
    for (const others of this.segments.values())
      for (const { bits, base, limit, modes } of others)
        for (const mode of modes) if (mode && mode.codeKey >= 0) saved[mode.codeKey] = [bits, mode.flat, base, limit];
    return saved;
  }

  /** The way of decoding that is meant. @throws RangeError when there is none such */
  modeOf([bits, flat, base, limit]: SavedMode): DerivedMode {
    if (bits === 64 && flat === this.flat64.flat) return this.flat64;
    if ((bits !== 16 && bits !== 32) || flat > 15) throw new RangeError('there is no such way of decoding');
    const { modes } = this.segmentOf(bits, base, limit);
    modes[flat] ??= { bits, flat, codeKey: -1 };
    return modes[flat];
  }

  private segmentOf(bits: 16 | 32, base: number, limit: number): CodeSegment {
    let others = this.segments.get(base);
    if (others === undefined) {
      others = [];
      this.segments.set(base, others);
    }
    for (let i = 0; i < others.length; i++) {
      const other = others[i]!;
      if (other.bits === bits && other.limit === limit) return other;
    }
    const segment = { bits, base, limit, modes: [] };
    others.push(segment);
    return segment;
  }
}
