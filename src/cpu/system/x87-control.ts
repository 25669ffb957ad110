// FLDCW (SDM vol. 2; control word: vol. 1 8.1.5). Unmasking an exception whose flag is set makes it pending at once;
// masking takes ES and B back.

import type { CpuCore } from '../core.js';
import * as L from '../layout.js';
import { summarise } from './x87-stack.js';

/** Reserved bits are dropped, but bit 6, which reads as 1. */
export function fldcw(cpu: CpuCore, value: number): void {
  const s = cpu.state;
  s.set32(L.FPU_CONTROL, (value & 0x1f3f) | 0x40);
  s.set32(L.FPU_STATUS, summarise(s, s.get32(L.FPU_STATUS)));
}
