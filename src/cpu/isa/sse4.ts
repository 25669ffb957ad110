// Opcode rows: SSE4.1 and SSE4.2 (SDM vol. 2, tables ). POPCNT is among the integer instructions.
// Columns: isa/row.ts. PEXTRD/PEXTRQ and PINSRD/PINSRQ are one row each, told apart by the operand size.

import * as n from '../semantics/simd-integer.js';
import * as m from '../semantics/simd-move.js';
import { i16x8, i32x4, i64x2 } from '../semantics/simd-ops.js';
import * as s from '../semantics/simd-shuffle.js';
import * as k from '../semantics/sse-control.js';
import * as f from '../semantics/sse-float.js';
import { PD, PS, SD, SS } from '../semantics/sse-shape.js';
import * as slow from '../system/sse-slow.js';
import { type Row, row } from './row.js';

const SSE41 = { cpuid: 'sse4.1' };
/** 16-byte memory operands are aligned, or #GP. */
const ALIGNED = { ...SSE41, aligned: true };
const SSE42 = { cpuid: 'sse4.2' };
/** The lengths are RAX and RDX with REX.W, else EAX and EDX. */
const LENGTHS = { ...SSE42, size: 'v' as const };

// biome-ignore format: table
export const sse4Rows: readonly Row[] = [
  // --- SSE4.1: blends, tests, packed integers ---
  row('66 0F38 10',   'PBLENDVB',   'Vdq,Wdq',    s.pblendvb, ALIGNED),
  row('66 0F38 14',   'BLENDVPS',   'Vps,Wps',    s.blendvps, ALIGNED),
  row('66 0F38 15',   'BLENDVPD',   'Vpd,Wpd',    s.blendvpd, ALIGNED),
  row('66 0F38 17',   'PTEST',      'Vdq,Wdq',    n.ptest, ALIGNED),
  row('66 0F38 20',   'PMOVSXBW',   'Vdq,Wq',     m.extend(i16x8.extendLowS), SSE41),
  row('66 0F38 21',   'PMOVSXBD',   'Vdq,Wd',     m.extend(i16x8.extendLowS, i32x4.extendLowS), SSE41),
  row('66 0F38 22',   'PMOVSXBQ',   'Vdq,Ww',     m.extend(i16x8.extendLowS, i32x4.extendLowS, i64x2.extendLowS), SSE41),
  row('66 0F38 23',   'PMOVSXWD',   'Vdq,Wq',     m.extend(i32x4.extendLowS), SSE41),
  row('66 0F38 24',   'PMOVSXWQ',   'Vdq,Wd',     m.extend(i32x4.extendLowS, i64x2.extendLowS), SSE41),
  row('66 0F38 25',   'PMOVSXDQ',   'Vdq,Wq',     m.extend(i64x2.extendLowS), SSE41),
  row('66 0F38 30',   'PMOVZXBW',   'Vdq,Wq',     m.extend(i16x8.extendLowU), SSE41),
  row('66 0F38 31',   'PMOVZXBD',   'Vdq,Wd',     m.extend(i16x8.extendLowU, i32x4.extendLowU), SSE41),
  row('66 0F38 32',   'PMOVZXBQ',   'Vdq,Ww',     m.extend(i16x8.extendLowU, i32x4.extendLowU, i64x2.extendLowU), SSE41),
  row('66 0F38 33',   'PMOVZXWD',   'Vdq,Wq',     m.extend(i32x4.extendLowU), SSE41),
  row('66 0F38 34',   'PMOVZXWQ',   'Vdq,Wd',     m.extend(i32x4.extendLowU, i64x2.extendLowU), SSE41),
  row('66 0F38 35',   'PMOVZXDQ',   'Vdq,Wq',     m.extend(i64x2.extendLowU), SSE41),
  row('66 0F38 28',   'PMULDQ',     'Vdq,Wdq',    n.pmuldq, ALIGNED),
  row('66 0F38 29',   'PCMPEQQ',    'Vdq,Wdq',    n.pcmpeqq, ALIGNED),
  row('66 0F38 2A m', 'MOVNTDQA',   'Vdq,Wdq',    m.move, ALIGNED),
  row('66 0F38 2B',   'PACKUSDW',   'Vdq,Wdq',    s.packusdw, ALIGNED),
  row('66 0F38 38',   'PMINSB',     'Vdq,Wdq',    n.pminsb, ALIGNED),
  row('66 0F38 39',   'PMINSD',     'Vdq,Wdq',    n.pminsd, ALIGNED),
  row('66 0F38 3A',   'PMINUW',     'Vdq,Wdq',    n.pminuw, ALIGNED),
  row('66 0F38 3B',   'PMINUD',     'Vdq,Wdq',    n.pminud, ALIGNED),
  row('66 0F38 3C',   'PMAXSB',     'Vdq,Wdq',    n.pmaxsb, ALIGNED),
  row('66 0F38 3D',   'PMAXSD',     'Vdq,Wdq',    n.pmaxsd, ALIGNED),
  row('66 0F38 3E',   'PMAXUW',     'Vdq,Wdq',    n.pmaxuw, ALIGNED),
  row('66 0F38 3F',   'PMAXUD',     'Vdq,Wdq',    n.pmaxud, ALIGNED),
  row('66 0F38 40',   'PMULLD',     'Vdq,Wdq',    n.pmulld, ALIGNED),
  row('66 0F38 41',   'PHMINPOSUW', 'Vdq,Wdq',    n.phminposuw, ALIGNED),
  row('66 0F3A 0C',   'BLENDPS',    'Vps,Wps,Ib', s.blendps, ALIGNED),
  row('66 0F3A 0D',   'BLENDPD',    'Vpd,Wpd,Ib', s.blendpd, ALIGNED),
  row('66 0F3A 0E',   'PBLENDW',    'Vdq,Wdq,Ib', s.pblendw, ALIGNED),
  row('66 0F3A 42',   'MPSADBW',    'Vdq,Wdq,Ib', n.mpsadbw, ALIGNED),
  // --- SSE4.1: single lanes ---
  row('66 0F3A 14 r', 'PEXTRB',     'Rd,Vdq,Ib',  s.extract(1), SSE41),
  row('66 0F3A 14 m', 'PEXTRB',     'Mb,Vdq,Ib',  s.extract(1), SSE41),
  row('66 0F3A 15 r', 'PEXTRW',     'Rd,Vdq,Ib',  s.extract(2), SSE41),
  row('66 0F3A 15 m', 'PEXTRW',     'Mw,Vdq,Ib',  s.extract(2), SSE41),
  row('66 0F3A 16',   'PEXTRD',     'Ey,Vdq,Ib',  s.extract(4), SSE41),
  row('66 0F3A 17',   'EXTRACTPS',  'Ed,Vdq,Ib',  s.extract(4), SSE41),
  row('66 0F3A 20 r', 'PINSRB',     'Vdq,Rd,Ib',  s.insert(1), SSE41),
  row('66 0F3A 20 m', 'PINSRB',     'Vdq,Mb,Ib',  s.insert(1), SSE41),
  row('66 0F3A 21',   'INSERTPS',   'Vdq,Wd,Ib',  s.insertps, SSE41),
  row('66 0F3A 22',   'PINSRD',     'Vdq,Ey,Ib',  s.insert(4), SSE41),
  // --- SSE4.1: floating point ---
  row('66 0F3A 08',   'ROUNDPS',    'Vps,Wps,Ib', f.round(PS), ALIGNED),
  row('66 0F3A 09',   'ROUNDPD',    'Vpd,Wpd,Ib', f.round(PD), ALIGNED),
  row('66 0F3A 0A',   'ROUNDSS',    'Vss,Wss,Ib', f.round(SS), SSE41),
  row('66 0F3A 0B',   'ROUNDSD',    'Vsd,Wsd,Ib', f.round(SD), SSE41),
  row('66 0F3A 40',   'DPPS',       'Vps,Wps,Ib', f.dotProduct(slow.dpps), ALIGNED),
  row('66 0F3A 41',   'DPPD',       'Vpd,Wpd,Ib', f.dotProduct(slow.dppd), ALIGNED),
  // --- SSE4.2 ---
  row('66 0F38 37',   'PCMPGTQ',    'Vdq,Wdq',    n.pcmpgtq, { ...SSE42, aligned: true }),
  row('66 0F3A 60',   'PCMPESTRM',  'Vdq,Wdq,Ib', k.pcmpestrm, LENGTHS),
  row('66 0F3A 61',   'PCMPESTRI',  'Vdq,Wdq,Ib', k.pcmpestri, LENGTHS),
  row('66 0F3A 62',   'PCMPISTRM',  'Vdq,Wdq,Ib', k.pcmpistrm, SSE42),
  row('66 0F3A 63',   'PCMPISTRI',  'Vdq,Wdq,Ib', k.pcmpistri, SSE42),
  row('F2 0F38 F0',   'CRC32',      'Gy,Eb',      k.crc32, SSE42),
  row('F2 0F38 F1',   'CRC32',      'Gy,Ev',      k.crc32, SSE42),
];
