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
  /** Same text, same decoding. Where CS is not flat its base and limit are part of it. */
  readonly key: string;
}

const FLAT_64: DerivedMode = { bits: 64, flat: 15, key: '64' };

function setMask(s: CpuState, at: number, low: number, high: number): void {
  s.set32(at, low);
  s.set32(at + 4, high);
}

/** No base, no limit and no missing right: an access needs no check. (CS as a data segment is always checked.) */
function isFlat(s: CpuState, segment: number): boolean {
  const at = L.SEGMENTS + L.SEGMENT_SIZE * segment;
  return (
    s.get32(at + L.SEG_BASE) === 0 &&
    s.get32(at + L.SEG_BASE + 4) === 0 &&
    s.get32(at + L.SEG_MIN) === 0 &&
    s.get32(at + L.SEG_MAX) === 0xffff_ffff &&
    (s.get32(at + L.SEG_ACCESS) & 3) === 3
  );
}

function modeBits(s: CpuState): number {
  const cr0 = s.get32(L.CR0);
  const long = (s.get32(L.EFER) & EFER_LMA) !== 0;
  const cs = s.attributes(L.CS);
  let mode = 0;
  if (cr0 & CR0_PE) mode |= MODE_PROTECTED;
  if (cr0 & CR0_PG) mode |= MODE_PAGING;
  if (long) mode |= MODE_LONG;
  if (long && cs & CS_L) mode |= MODE_64BIT;
  else if (cs & SEG_DB) mode |= MODE_CS32;
  if (cr0 & CR0_PE && s.get32(L.EFLAGS) & VM && !long) mode |= MODE_V86;
  if (s.attributes(L.SS) & SEG_DB) mode |= MODE_SS32;
  return mode;
}

/** Which data TLB serves the current privilege; none while every access has to be looked at. */
function dataTlb(s: CpuState, watched: boolean): number {
  const user = s.get32(L.CPL) === 3;
  const ac = (s.get32(L.EFLAGS) & AC) !== 0;
  if (watched || (user && ac && (s.get32(L.CR0) & CR0_AM) !== 0)) return L.DATA_TLB_NONE;
  if (user) return L.DATA_TLB_USER;
  return (s.get32(L.CR4) & CR4_SMAP) === 0 || ac ? L.DATA_TLB_OPEN : L.DATA_TLB_SUPERVISOR;
}

/** Bring the derived fields up to date. `watched`: data breakpoints are armed. */
export function deriveMode(s: CpuState, watched: boolean): DerivedMode {
  const mode = modeBits(s);
  const is64 = (mode & MODE_64BIT) !== 0;
  s.set32(L.MODE, mode);
  // As halves: this runs at every change of privilege, and a bigint costs.
  const high = is64 ? 0xffff_ffff : 0;
  setMask(s, L.ADDRESS_MASK, 0xffff_ffff, high);
  setMask(s, L.LINEAR_MASK, 0xffff_ffff, high);
  // EIP in 16-bit code too: what runs past 64 KiB meets the limit, it does not wrap (SDM vol. 3A, 20.1.1).
  setMask(s, L.IP_MASK, 0xffff_ffff, high);
  setMask(s, L.STACK_MASK, is64 || mode & MODE_SS32 ? 0xffff_ffff : 0xffff, high);
  s.set32(L.STACK_CHECKED, is64 || isFlat(s, L.SS) ? 0 : 1);
  s.set32(L.DATA_TLB, dataTlb(s, watched));
  if (is64) return FLAT_64;
  const bits = mode & MODE_CS32 ? 32 : 16;
  let flat = 0;
  for (const segment of [L.ES, L.SS, L.DS]) if (isFlat(s, segment)) flat |= 1 << segment;
  const base = s.base(L.CS);
  const limit = s.limit(L.CS);
  const plain = base === 0n && limit === 0xffff_ffff;
  return { bits, flat, key: plain ? `${bits}/${flat}` : `${bits}/${flat}/${base}/${limit}` };
}
