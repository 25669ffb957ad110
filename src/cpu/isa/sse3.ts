// Opcode rows: SSE3, and SSSE3 on XMM registers (SDM vol. 2, tables ). SSSE3 on MMX registers is in
// mmx.ts; FISTTP belongs to the x87, MONITOR and MWAIT to the system instructions. Columns: isa/row.ts.

import * as n from '../semantics/simd-integer.js';
import * as m from '../semantics/simd-move.js';
import * as s from '../semantics/simd-shuffle.js';
import * as f from '../semantics/sse-float.js';
import { PD, PS } from '../semantics/sse-shape.js';
import { type Row, row } from './row.js';

const SSE3 = { cpuid: 'sse3', aligned: true };
/** Without the alignment check. */
const SSE3_ANY = { cpuid: 'sse3' };
const SSSE3 = { cpuid: 'ssse3', aligned: true };

// biome-ignore format: table
export const sse3Rows: readonly Row[] = [
  // --- SSE3 ---
  row('F3 0F 12',   'MOVSLDUP',  'Vps,Wps',    m.movsldup, SSE3),
  row('F2 0F 12',   'MOVDDUP',   'Vdq,Wq',     m.movddup, SSE3_ANY),
  row('F3 0F 16',   'MOVSHDUP',  'Vps,Wps',    m.movshdup, SSE3),
  row('66 0F 7C',   'HADDPD',    'Vpd,Wpd',    f.hadd(PD), SSE3),
  row('F2 0F 7C',   'HADDPS',    'Vps,Wps',    f.hadd(PS), SSE3),
  row('66 0F 7D',   'HSUBPD',    'Vpd,Wpd',    f.hsub(PD), SSE3),
  row('F2 0F 7D',   'HSUBPS',    'Vps,Wps',    f.hsub(PS), SSE3),
  row('66 0F D0',   'ADDSUBPD',  'Vpd,Wpd',    f.addsub(PD), SSE3),
  row('F2 0F D0',   'ADDSUBPS',  'Vps,Wps',    f.addsub(PS), SSE3),
  row('F2 0F F0',   'LDDQU',     'Vdq,Mdq',    m.move, SSE3_ANY),
  // --- SSSE3 ---
  row('66 0F38 00', 'PSHUFB',    'Vdq,Wdq',    s.pshufb, SSSE3),
  row('66 0F38 01', 'PHADDW',    'Vdq,Wdq',    n.phaddw, SSSE3),
  row('66 0F38 02', 'PHADDD',    'Vdq,Wdq',    n.phaddd, SSSE3),
  row('66 0F38 03', 'PHADDSW',   'Vdq,Wdq',    n.phaddsw, SSSE3),
  row('66 0F38 04', 'PMADDUBSW', 'Vdq,Wdq',    n.pmaddubsw, SSSE3),
  row('66 0F38 05', 'PHSUBW',    'Vdq,Wdq',    n.phsubw, SSSE3),
  row('66 0F38 06', 'PHSUBD',    'Vdq,Wdq',    n.phsubd, SSSE3),
  row('66 0F38 07', 'PHSUBSW',   'Vdq,Wdq',    n.phsubsw, SSSE3),
  row('66 0F38 08', 'PSIGNB',    'Vdq,Wdq',    n.psignb, SSSE3),
  row('66 0F38 09', 'PSIGNW',    'Vdq,Wdq',    n.psignw, SSSE3),
  row('66 0F38 0A', 'PSIGND',    'Vdq,Wdq',    n.psignd, SSSE3),
  row('66 0F38 0B', 'PMULHRSW',  'Vdq,Wdq',    n.pmulhrsw, SSSE3),
  row('66 0F38 1C', 'PABSB',     'Vdq,Wdq',    n.pabsb, SSSE3),
  row('66 0F38 1D', 'PABSW',     'Vdq,Wdq',    n.pabsw, SSSE3),
  row('66 0F38 1E', 'PABSD',     'Vdq,Wdq',    n.pabsd, SSSE3),
  row('66 0F3A 0F', 'PALIGNR',   'Vdq,Wdq,Ib', s.palignr, SSSE3),
];
