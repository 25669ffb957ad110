// Opcode rows: everything on MMX registers alone: MMX itself (SDM vol. 2, table A-3, columns without prefix) and what
// SSE, SSE2 and SSSE3 added to it. Conversions between MMX and XMM are in sse.ts and sse2.ts. Columns: isa/row.ts.

import * as n from '../semantics/simd-integer.js';
import * as m from '../semantics/simd-move.js';
import * as s from '../semantics/simd-shuffle.js';
import { type Row, row } from './row.js';

const MMX = { cpuid: 'mmx' };
const SSE = { cpuid: 'sse' };
const SSE2 = { cpuid: 'sse2' };
const SSSE3 = { cpuid: 'ssse3' };

// biome-ignore format: table
export const mmxRows: readonly Row[] = [
  // --- moves ---
  row('NP 0F 6E',    'MOVD',      'Pq,Ey',    m.move, MMX),
  row('NP 0F 7E',    'MOVD',      'Ey,Py',    m.move, MMX),
  row('NP 0F 6F',    'MOVQ',      'Pq,Qq',    m.move, MMX),
  row('NP 0F 7F',    'MOVQ',      'Qq,Pq',    m.move, MMX),
  row('NP 0F 77',    'EMMS',      '',         m.emms, MMX),
  // --- interleave and pack ---
  row('NP 0F 60',    'PUNPCKLBW', 'Pq,Qd',    s.punpcklbw, MMX),
  row('NP 0F 61',    'PUNPCKLWD', 'Pq,Qd',    s.punpcklwd, MMX),
  row('NP 0F 62',    'PUNPCKLDQ', 'Pq,Qd',    s.punpckldq, MMX),
  row('NP 0F 63',    'PACKSSWB',  'Pq,Qq',    s.packsswb, MMX),
  row('NP 0F 64',    'PCMPGTB',   'Pq,Qq',    n.pcmpgtb, MMX),
  row('NP 0F 65',    'PCMPGTW',   'Pq,Qq',    n.pcmpgtw, MMX),
  row('NP 0F 66',    'PCMPGTD',   'Pq,Qq',    n.pcmpgtd, MMX),
  row('NP 0F 67',    'PACKUSWB',  'Pq,Qq',    s.packuswb, MMX),
  row('NP 0F 68',    'PUNPCKHBW', 'Pq,Qq',    s.punpckhbw, MMX),
  row('NP 0F 69',    'PUNPCKHWD', 'Pq,Qq',    s.punpckhwd, MMX),
  row('NP 0F 6A',    'PUNPCKHDQ', 'Pq,Qq',    s.punpckhdq, MMX),
  row('NP 0F 6B',    'PACKSSDW',  'Pq,Qq',    s.packssdw, MMX),
  // --- compare ---
  row('NP 0F 74',    'PCMPEQB',   'Pq,Qq',    n.pcmpeqb, MMX),
  row('NP 0F 75',    'PCMPEQW',   'Pq,Qq',    n.pcmpeqw, MMX),
  row('NP 0F 76',    'PCMPEQD',   'Pq,Qq',    n.pcmpeqd, MMX),
  // --- shifts by an immediate ---
  row('NP 0F 71 /2', 'PSRLW',     'Nq,Ib',    n.psrlw, MMX),
  row('NP 0F 71 /4', 'PSRAW',     'Nq,Ib',    n.psraw, MMX),
  row('NP 0F 71 /6', 'PSLLW',     'Nq,Ib',    n.psllw, MMX),
  row('NP 0F 72 /2', 'PSRLD',     'Nq,Ib',    n.psrld, MMX),
  row('NP 0F 72 /4', 'PSRAD',     'Nq,Ib',    n.psrad, MMX),
  row('NP 0F 72 /6', 'PSLLD',     'Nq,Ib',    n.pslld, MMX),
  row('NP 0F 73 /2', 'PSRLQ',     'Nq,Ib',    n.psrlq, MMX),
  row('NP 0F 73 /6', 'PSLLQ',     'Nq,Ib',    n.psllq, MMX),
  // --- arithmetic and shifts (0F D1 … FE) ---
  row('NP 0F D1',    'PSRLW',     'Pq,Qq',    n.psrlw, MMX),
  row('NP 0F D2',    'PSRLD',     'Pq,Qq',    n.psrld, MMX),
  row('NP 0F D3',    'PSRLQ',     'Pq,Qq',    n.psrlq, MMX),
  row('NP 0F D5',    'PMULLW',    'Pq,Qq',    n.pmullw, MMX),
  row('NP 0F D8',    'PSUBUSB',   'Pq,Qq',    n.psubusb, MMX),
  row('NP 0F D9',    'PSUBUSW',   'Pq,Qq',    n.psubusw, MMX),
  row('NP 0F DB',    'PAND',      'Pq,Qq',    n.pand, MMX),
  row('NP 0F DC',    'PADDUSB',   'Pq,Qq',    n.paddusb, MMX),
  row('NP 0F DD',    'PADDUSW',   'Pq,Qq',    n.paddusw, MMX),
  row('NP 0F DF',    'PANDN',     'Pq,Qq',    n.pandn, MMX),
  row('NP 0F E1',    'PSRAW',     'Pq,Qq',    n.psraw, MMX),
  row('NP 0F E2',    'PSRAD',     'Pq,Qq',    n.psrad, MMX),
  row('NP 0F E5',    'PMULHW',    'Pq,Qq',    n.pmulhw, MMX),
  row('NP 0F E8',    'PSUBSB',    'Pq,Qq',    n.psubsb, MMX),
  row('NP 0F E9',    'PSUBSW',    'Pq,Qq',    n.psubsw, MMX),
  row('NP 0F EB',    'POR',       'Pq,Qq',    n.por, MMX),
  row('NP 0F EC',    'PADDSB',    'Pq,Qq',    n.paddsb, MMX),
  row('NP 0F ED',    'PADDSW',    'Pq,Qq',    n.paddsw, MMX),
  row('NP 0F EF',    'PXOR',      'Pq,Qq',    n.pxor, MMX),
  row('NP 0F F1',    'PSLLW',     'Pq,Qq',    n.psllw, MMX),
  row('NP 0F F2',    'PSLLD',     'Pq,Qq',    n.pslld, MMX),
  row('NP 0F F3',    'PSLLQ',     'Pq,Qq',    n.psllq, MMX),
  row('NP 0F F5',    'PMADDWD',   'Pq,Qq',    n.pmaddwd, MMX),
  row('NP 0F F8',    'PSUBB',     'Pq,Qq',    n.psubb, MMX),
  row('NP 0F F9',    'PSUBW',     'Pq,Qq',    n.psubw, MMX),
  row('NP 0F FA',    'PSUBD',     'Pq,Qq',    n.psubd, MMX),
  row('NP 0F FC',    'PADDB',     'Pq,Qq',    n.paddb, MMX),
  row('NP 0F FD',    'PADDW',     'Pq,Qq',    n.paddw, MMX),
  row('NP 0F FE',    'PADDD',     'Pq,Qq',    n.paddd, MMX),
  // --- later instructions on MMX registers ---
  row('NP 0F 70',    'PSHUFW',    'Pq,Qq,Ib', s.pshufw, SSE),
  row('NP 0F C4 r',  'PINSRW',    'Pq,Rd,Ib', s.insert(2), SSE),
  row('NP 0F C4 m',  'PINSRW',    'Pq,Mw,Ib', s.insert(2), SSE),
  row('NP 0F C5',    'PEXTRW',    'Gd,Nq,Ib', s.extract(2), SSE),
  row('NP 0F D7',    'PMOVMSKB',  'Gd,Nq',    n.pmovmskb, SSE),
  row('NP 0F E7',    'MOVNTQ',    'Mq,Pq',    m.move, SSE),
  row('NP 0F F7',    'MASKMOVQ',  'Pq,Nq',    m.maskMove, { ...SSE, asize: true, ends: true }),
  row('NP 0F D4',    'PADDQ',     'Pq,Qq',    n.paddq, SSE2),
  row('NP 0F DA',    'PMINUB',    'Pq,Qq',    n.pminub, SSE),
  row('NP 0F DE',    'PMAXUB',    'Pq,Qq',    n.pmaxub, SSE),
  row('NP 0F E0',    'PAVGB',     'Pq,Qq',    n.pavgb, SSE),
  row('NP 0F E3',    'PAVGW',     'Pq,Qq',    n.pavgw, SSE),
  row('NP 0F E4',    'PMULHUW',   'Pq,Qq',    n.pmulhuw, SSE),
  row('NP 0F EA',    'PMINSW',    'Pq,Qq',    n.pminsw, SSE),
  row('NP 0F EE',    'PMAXSW',    'Pq,Qq',    n.pmaxsw, SSE),
  row('NP 0F F4',    'PMULUDQ',   'Pq,Qq',    n.pmuludq, SSE2),
  row('NP 0F F6',    'PSADBW',    'Pq,Qq',    n.psadbw, SSE),
  row('NP 0F FB',    'PSUBQ',     'Pq,Qq',    n.psubq, SSE2),
  row('NP 0F38 00',  'PSHUFB',    'Pq,Qq',    s.pshufb, SSSE3),
  row('NP 0F38 01',  'PHADDW',    'Pq,Qq',    n.phaddw, SSSE3),
  row('NP 0F38 02',  'PHADDD',    'Pq,Qq',    n.phaddd, SSSE3),
  row('NP 0F38 03',  'PHADDSW',   'Pq,Qq',    n.phaddsw, SSSE3),
  row('NP 0F38 04',  'PMADDUBSW', 'Pq,Qq',    n.pmaddubsw, SSSE3),
  row('NP 0F38 05',  'PHSUBW',    'Pq,Qq',    n.phsubw, SSSE3),
  row('NP 0F38 06',  'PHSUBD',    'Pq,Qq',    n.phsubd, SSSE3),
  row('NP 0F38 07',  'PHSUBSW',   'Pq,Qq',    n.phsubsw, SSSE3),
  row('NP 0F38 08',  'PSIGNB',    'Pq,Qq',    n.psignb, SSSE3),
  row('NP 0F38 09',  'PSIGNW',    'Pq,Qq',    n.psignw, SSSE3),
  row('NP 0F38 0A',  'PSIGND',    'Pq,Qq',    n.psignd, SSSE3),
  row('NP 0F38 0B',  'PMULHRSW',  'Pq,Qq',    n.pmulhrsw, SSSE3),
  row('NP 0F38 1C',  'PABSB',     'Pq,Qq',    n.pabsb, SSSE3),
  row('NP 0F38 1D',  'PABSW',     'Pq,Qq',    n.pabsw, SSSE3),
  row('NP 0F38 1E',  'PABSD',     'Pq,Qq',    n.pabsd, SSSE3),
  row('NP 0F3A 0F',  'PALIGNR',   'Pq,Qq,Ib', s.palignr, SSSE3),
];
