// Delivery to ring 0 and IRETQ in 64-bit mode where everything is as kernels leave it: tables, stacks and segments that
// the TLBs know, segments present and accessed, no check that fails. Each function looks first, with no effect at all,
// and says false where the way through interrupts.ts or iret.ts is needed, which then does all of it in its order.
//
// SDM vol. 3A, 6.14 (64-bit delivery), 6.14.3 (IRET), 7.7 (64-bit TSS). Invariant: what is done here is what is done there.

import type { CpuCore } from '../core.js';
import * as L from '../layout.js';
import { IF, NT, RF, TF, VM } from '../state.js';
import { fillSegment, setNullSegment } from './descriptors.js';
import { descriptorAt, dplOf, GATE, GATE_MASK, RIP_LOW, RSP_LOW, tableAt } from './plain-tables.js';
import { dropInnerSegments } from './segments.js';

// In the upper half of a descriptor (SDM vol. 3A, figure 3-8): type, S, DPL, P, L, D/B.
const HIGH_P_S_TYPE = 0x9b00;
const HIGH_P_S_CODE_A = 0x9900;
const HIGH_CONFORMING = 0x400;
const HIGH_L_DB = 0x60_0000;
const HIGH_L = 0x20_0000;
const isCanonical = (high: number): boolean => high >> 15 === 0 || high >> 15 === -1;

/**
 * Deliver a hardware event through a gate to 64-bit code of ring 0. `flags` is the image to push.
 * @returns false when nothing has been done
 */
export function deliverPlain(cpu: CpuCore, vector: number, errorCode: number | undefined, flags: number): boolean {
  const s = cpu.state;
  const { u32 } = s;
  if (vector * 16 + 15 > s.get32(L.IDTR_LIMIT)) return false;
  const gate = tableAt(cpu, L.IDTR_BASE, vector * 16, 16);
  if (gate === 0) return false;
  const how = u32[gate + 1]!;
  if ((how & GATE_MASK) !== GATE) return false;
  // All is read before the frame is written, wherever that may lie.
  const gateLow = u32[gate]!;
  const offsetHigh = u32[gate + 2]!;
  const selector = gateLow >>> 16;
  const code = descriptorAt(cpu, selector);
  if (code === 0) return false;
  const low = u32[code]!;
  const high = u32[code + 1]!;
  const inner = s.cpl !== 0;
  if (!isCanonical(offsetHigh)) return false;
  if ((high & (HIGH_L_DB | HIGH_P_S_CODE_A)) !== (HIGH_L | HIGH_P_S_CODE_A)) return false;
  if (dplOf(high) !== 0 || (inner && (high & HIGH_CONFORMING) !== 0)) return false;

  let top = u32[RSP_LOW]!;
  let topHigh = u32[RSP_LOW + 1]!;
  const ist = how & 7;
  if (ist !== 0 || inner) {
    const field = ist !== 0 ? 0x1c + ist * 8 : 4;
    if (field + 7 > s.limit(L.TR)) return false;
    const at = tableAt(cpu, L.SEGMENTS + L.SEGMENT_SIZE * L.TR + L.SEG_BASE, field, 8);
    if (at === 0) return false;
    top = u32[at]!;
    topHigh = u32[at + 1]!;
  }
  const size = errorCode === undefined ? 40 : 48;
  const bottom = (top & ~15) >>> 0;
  if (bottom < size) return false;
  let to = cpu.memory.plainAt(bottom - size, topHigh, size, true, 'system') >>> 2;
  if (to === 0) return false;

  if (errorCode !== undefined) {
    u32[to] = errorCode;
    u32[to + 1] = 0;
    to += 2;
  }
  u32[to] = u32[RIP_LOW]!;
  u32[to + 1] = u32[RIP_LOW + 1]!;
  u32[to + 2] = s.selector(L.CS);
  u32[to + 3] = 0;
  u32[to + 4] = flags;
  u32[to + 5] = 0;
  u32[to + 6] = u32[RSP_LOW]!;
  u32[to + 7] = u32[RSP_LOW + 1]!;
  u32[to + 8] = s.selector(L.SS);
  u32[to + 9] = 0;

  if (inner) setNullSegment(s, L.SS, 0, 0);
  u32[RSP_LOW] = bottom - size;
  u32[RSP_LOW + 1] = topHigh;
  fillSegment(s, L.CS, selector & ~3, low, high);
  s.set32(L.CPL, 0);
  u32[RIP_LOW] = (gateLow & 0xffff) | (how & 0xffff_0000);
  u32[RIP_LOW + 1] = offsetHigh;
  const cleared = TF | NT | RF | VM | ((how & 0x100) === 0 ? IF : 0);
  s.set32(L.EFLAGS, (s.get32(L.EFLAGS) & ~cleared) >>> 0);
  return true;
}

/**
 * IRETQ from 64-bit code to 64-bit code, but for EFLAGS.
 * @returns the image of EFLAGS that was popped, −1 when nothing has been done
 */
export function returnPlain(cpu: CpuCore): number {
  const s = cpu.state;
  const { u32 } = s;
  const oldCpl = s.cpl;
  const from = cpu.memory.plainAt(u32[RSP_LOW]!, u32[RSP_LOW + 1]!, 40, false, 'current') >>> 2;
  if (from === 0 || !isCanonical(u32[from + 1]!)) return -1;
  const selector = u32[from + 2]! & 0xffff;
  const stackSelector = u32[from + 8]! & 0xffff;
  const cpl = selector & 3;
  const code = descriptorAt(cpu, selector);
  if (code === 0 || cpl < oldCpl) return -1;
  const high = u32[code + 1]!;
  if ((high & (HIGH_L_DB | HIGH_P_S_CODE_A | HIGH_CONFORMING)) !== (HIGH_L | HIGH_P_S_CODE_A)) return -1;
  if (dplOf(high) !== cpl || (stackSelector & 3) !== cpl) return -1;
  let stack = 0;
  if ((stackSelector & 0xfffc) === 0) {
    if (cpl === 3) return -1;
  } else {
    stack = descriptorAt(cpu, stackSelector);
    if (stack === 0) return -1;
    const stackHigh = u32[stack + 1]!;
    // Present, writable, accessed data of this ring.
    if ((stackHigh & HIGH_P_S_TYPE) !== 0x9300 || dplOf(stackHigh) !== cpl) return -1;
  }
  const flags = u32[from + 4]!;
  const ip = u32[from]!;
  const ipHigh = u32[from + 1]!;
  const sp = u32[from + 6]!;
  const spHigh = u32[from + 7]!;

  fillSegment(s, L.CS, selector, u32[code]!, high);
  s.set32(L.CPL, cpl);
  u32[RIP_LOW] = ip;
  u32[RIP_LOW + 1] = ipHigh;
  if (stack === 0) setNullSegment(s, L.SS, stackSelector, cpl);
  else fillSegment(s, L.SS, stackSelector, u32[stack]!, u32[stack + 1]!);
  u32[RSP_LOW] = sp;
  u32[RSP_LOW + 1] = spHigh;
  if (cpl !== oldCpl) dropInnerSegments(s, cpl);
  return flags;
}
