// Delivery through 32-bit gates and IRETD in protected mode where everything is as kernels leave it: flat segments, present
// and accessed, stacks of 32 bits, tables that the TLBs know, no check that fails. As long-mode-plain.ts: each function looks
// first, with no effect at all, and says false where the way through interrupts.ts or iret.ts is needed.
//
// SDM vol. 3A, 6.12 (delivery), 7.2.1 (32-bit TSS); vol. 2, IRET. Invariant: what is done here is what is done there.
// Left out: V86 mode, task gates, 16-bit gates and stacks, segments that are not flat.

import type { CpuCore } from '../core.js';
import * as L from '../layout.js';
import { IF, MODE_SS32, NT, RF, TF, VM } from '../state.js';
import { fillSegment } from './descriptors.js';
import { descriptorAt, dplOf, GATE, GATE_MASK, RIP_LOW, RSP_LOW, tableAt } from './plain-tables.js';
import { dropInnerSegments } from './segments.js';

// In the upper half of a descriptor (SDM vol. 3A, figure 3-8): base, limit, G, D/B; P, S, type; DPL.
const HIGH_FLAT = 0xff0f_00ff;
const HIGH_LIMIT = 0x000f_0000;
const HIGH_G_DB = 0xc0_0000;
/** P, S, code or data, and for data writable, for code conforming; accessed. */
const HIGH_P_S_CODE_C_A = 0x9d00;
const HIGH_CODE = 0x9900;
const HIGH_P_S_TYPE = 0x9f00;
const HIGH_DATA = 0x9300;
/** TSS: 32 bits wide. */
const TSS_32 = 8;

/** Base 0, limit 4 GiB, 32 bits. */
const isFlat = (low: number, high: number): boolean =>
  low === 0xffff && (high & HIGH_FLAT) === HIGH_LIMIT && (high & HIGH_G_DB) === HIGH_G_DB;

/** A present, accessed, non-conforming flat code segment, or writable flat data segment, of a ring. */
const isFlatCode = (low: number, high: number, ring: number): boolean =>
  isFlat(low, high) && (high & HIGH_P_S_CODE_C_A) === HIGH_CODE && dplOf(high) === ring;
const isFlatStack = (low: number, high: number, ring: number): boolean =>
  isFlat(low, high) && (high & HIGH_P_S_TYPE) === HIGH_DATA && dplOf(high) === ring;

/** The stack in use is flat and of 32 bits. */
const stackIsFlat = (cpu: CpuCore): boolean =>
  cpu.state.get32(L.STACK_CHECKED) === 0 && (cpu.state.mode & MODE_SS32) !== 0;

/**
 * Deliver an event to ring 0, outside V86 mode. `flags` is the image to push.
 * @param software the gate's privilege is looked at
 * @returns false when nothing has been done
 */
export function deliverFlat(
  cpu: CpuCore,
  vector: number,
  errorCode: number | undefined,
  flags: number,
  software: boolean,
): boolean {
  const s = cpu.state;
  const { u32 } = s;
  if (vector * 8 + 7 > s.get32(L.IDTR_LIMIT)) return false;
  const gate = tableAt(cpu, L.IDTR_BASE, vector * 8, 8);
  if (gate === 0) return false;
  const gateLow = u32[gate]!;
  const how = u32[gate + 1]!;
  const { cpl } = s;
  if ((how & GATE_MASK) !== GATE || (software && dplOf(how) < cpl)) return false;
  const selector = gateLow >>> 16;
  const code = descriptorAt(cpu, selector);
  if (code === 0) return false;
  const low = u32[code]!;
  const high = u32[code + 1]!;
  if (!isFlatCode(low, high, 0)) return false;

  const inner = cpl !== 0;
  let bottom = u32[RSP_LOW]!;
  let stackSelector = 0;
  let stackLow = 0;
  let stackHigh = 0;
  if (inner) {
    if ((s.attributes(L.TR) & TSS_32) === 0 || s.limit(L.TR) < 11) return false;
    const base = L.SEGMENTS + L.SEGMENT_SIZE * L.TR + L.SEG_BASE;
    // Two words, which a page's end may lie between.
    const sp = tableAt(cpu, base, 4, 4);
    const ss = tableAt(cpu, base, 8, 4);
    if (sp === 0 || ss === 0) return false;
    bottom = u32[sp]!;
    stackSelector = u32[ss]! & 0xffff;
    const stack = (stackSelector & 3) === 0 ? descriptorAt(cpu, stackSelector) : 0;
    if (stack === 0) return false;
    stackLow = u32[stack]!;
    stackHigh = u32[stack + 1]!;
    if (!isFlatStack(stackLow, stackHigh, 0)) return false;
  } else if (!stackIsFlat(cpu)) return false;
  const size = (inner ? 20 : 12) + (errorCode === undefined ? 0 : 4);
  if (bottom < size) return false;
  const top = bottom - size;
  let to = cpu.memory.plainAt(top, 0, size, true, 'system') >>> 2;
  if (to === 0) return false;

  if (errorCode !== undefined) u32[to++] = errorCode;
  u32[to] = u32[RIP_LOW]!;
  u32[to + 1] = s.selector(L.CS);
  u32[to + 2] = flags;
  if (inner) {
    u32[to + 3] = u32[RSP_LOW]!;
    u32[to + 4] = s.selector(L.SS);
    fillSegment(s, L.SS, stackSelector, stackLow, stackHigh);
  }
  u32[RSP_LOW] = top;
  u32[RSP_LOW + 1] = 0;
  fillSegment(s, L.CS, selector & ~3, low, high);
  s.set32(L.CPL, 0);
  u32[RIP_LOW] = (gateLow & 0xffff) | (how & 0xffff_0000);
  u32[RIP_LOW + 1] = 0;
  const cleared = TF | NT | RF | VM | ((how & 0x100) === 0 ? IF : 0);
  s.set32(L.EFLAGS, (s.get32(L.EFLAGS) & ~cleared) >>> 0);
  return true;
}

/**
 * IRETD to the same ring or an outer one, outside V86 mode and without NT, but for EFLAGS.
 * @returns the image of EFLAGS that was popped, −1 when nothing has been done
 */
export function returnFlat(cpu: CpuCore): number {
  const s = cpu.state;
  const { u32 } = s;
  if (!stackIsFlat(cpu)) return -1;
  const from = cpu.memory.plainAt(u32[RSP_LOW]!, 0, 12, false, 'current') >>> 2;
  if (from === 0) return -1;
  const ip = u32[from]!;
  const selector = u32[from + 1]! & 0xffff;
  const flags = u32[from + 2]!;
  const oldCpl = s.cpl;
  const cpl = selector & 3;
  if ((flags & VM) !== 0 || cpl < oldCpl) return -1;
  const code = descriptorAt(cpu, selector);
  if (code === 0) return -1;
  const low = u32[code]!;
  const high = u32[code + 1]!;
  if (!isFlatCode(low, high, cpl)) return -1;
  if (cpl === oldCpl) {
    if (u32[RSP_LOW]! > 0xffff_ffff - 12) return -1;
    u32[RSP_LOW] = u32[RSP_LOW]! + 12;
  } else {
    const outer = cpu.memory.plainAt(u32[RSP_LOW]! + 12, 0, 8, false, 'current') >>> 2;
    if (outer === 0) return -1;
    const sp = u32[outer]!;
    const stackSelector = u32[outer + 1]! & 0xffff;
    const stack = (stackSelector & 3) === cpl ? descriptorAt(cpu, stackSelector) : 0;
    if (stack === 0 || !isFlatStack(u32[stack]!, u32[stack + 1]!, cpl)) return -1;
    fillSegment(s, L.SS, stackSelector, u32[stack]!, u32[stack + 1]!);
    u32[RSP_LOW] = sp;
  }
  u32[RSP_LOW + 1] = 0;
  fillSegment(s, L.CS, selector, low, high);
  s.set32(L.CPL, cpl);
  u32[RIP_LOW] = ip;
  u32[RIP_LOW + 1] = 0;
  if (cpl !== oldCpl) dropInnerSegments(s, cpl);
  return flags >>> 0;
}
