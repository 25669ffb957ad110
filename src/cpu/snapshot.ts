// The processor's architectural state as canonical bytes: the same state gives the same bytes whatever ran before,
// in every tier. Lazy flags are materialised, derived fields and the bookkeeping of the run loop are left out (zero).
// INTR is a line, not state: who drives it says it again. Caches (TLBs, decoded code) are no state either.

import type { Cpu } from './cpu.js';
import * as L from './layout.js';

/** Ranges of the state block that are architectural, besides EFLAGS. */
const RANGES: readonly (readonly [from: number, to: number])[] = [
  [L.REGS, L.REGS + 128],
  [L.RIP, L.RIP + 8],
  [L.CPL, L.CPL + 4],
  [L.HALTED, L.HALTED + 4],
  [L.INSTRUCTIONS, L.INSTRUCTIONS + 8],
  [L.NMI_PENDING, L.NMI_BLOCKED + 4],
  [L.SEGMENTS, L.SEGMENTS + 8 * L.SEGMENT_SIZE],
  [L.GDTR_BASE, L.ADDRESS_MASK],
  [L.PDPTES, L.PDPTES + 32],
  [L.FPU_REGS, L.MXCSR + 4],
  [L.XMM, L.XMM + 256],
];
/** Beside the shadow: the boundary lies between two iterations of a REP string instruction. */
const BETWEEN_ITERATIONS = 0x100;
const FROM = L.REGS;
const TO = L.SCRATCH;

/** Bytes that saveProcessor gives. */
export const PROCESSOR_STATE_SIZE = TO - FROM;

/** Architectural state, 2304 bytes. */
export function saveProcessor(cpu: Cpu): Uint8Array {
  const { state } = cpu;
  const out = new Uint8Array(TO - FROM);
  for (const [from, to] of RANGES) out.set(state.u8.subarray(from, to), from - FROM);
  const view = new DataView(out.buffer);
  view.setUint32(L.EFLAGS - FROM, state.eflags, true);
  view.setUint32(L.SHADOW - FROM, cpu.interruptShadow | (state.betweenIterations ? BETWEEN_ITERATIONS : 0), true);
  return out;
}

/** Load what saveProcessor gave. The cycle is set by the caller first. */
export function loadProcessor(cpu: Cpu, saved: Uint8Array): void {
  if (saved.length !== TO - FROM) throw new RangeError(`a processor state has ${TO - FROM} bytes, not ${saved.length}`);
  const { state } = cpu;
  for (const [from, to] of RANGES) state.u8.set(saved.subarray(from - FROM, to - FROM), from);
  const view = new DataView(saved.buffer, saved.byteOffset, saved.length);
  state.eflags = view.getUint32(L.EFLAGS - FROM, true);
  const boundary = view.getUint32(L.SHADOW - FROM, true);
  const shadow = boundary & 3;
  state.betweenIterations = (boundary & BETWEEN_ITERATIONS) !== 0;
  state.set32(L.SHADOW, 0);
  cpu.flushTlb(false);
  cpu.smmChanged();
  cpu.modeChanged();
  if (shadow === 1 || shadow === 2) cpu.setShadow(shadow);
}
