// Opcode rows: SSE (SDM vol. 2, table A-3, columns without prefix and F3), its MXCSR and hint instructions, and the
// fences. Instructions that SSE added for MMX registers alone are in mmx.ts. Columns: isa/row.ts.

import * as n from '../semantics/simd-integer.js';
import * as m from '../semantics/simd-move.js';
import * as s from '../semantics/simd-shuffle.js';
import * as k from '../semantics/sse-control.js';
import * as v from '../semantics/sse-convert.js';
import * as f from '../semantics/sse-float.js';
import { PS, SS } from '../semantics/sse-shape.js';
import * as slow from '../system/sse-slow.js';
import { type Row, row } from './row.js';

const SSE = { cpuid: 'sse' };
const SSE2 = { cpuid: 'sse2' };
/** 16-byte memory operands are aligned, or #GP. */
const ALIGNED = { ...SSE, aligned: true };
const HOT = { ...SSE, hot: true };
const HOT_ALIGNED = { ...ALIGNED, hot: true };

// biome-ignore format: table
export const sseRows: readonly Row[] = [
  // --- moves ---
  row('NP 0F 10',      'MOVUPS',      'Vps,Wps',    m.move, HOT),
  row('NP 0F 11',      'MOVUPS',      'Wps,Vps',    m.move, HOT),
  row('F3 0F 10 m',    'MOVSS',       'Vdq,Wss',    m.move, HOT),
  row('F3 0F 10 r',    'MOVSS',       'Vss,Uss',    m.move, HOT),
  row('F3 0F 11',      'MOVSS',       'Wss,Vss',    m.move, HOT),
  row('NP 0F 12 m',    'MOVLPS',      'Vq,Mq',      m.move, SSE),
  row('NP 0F 12 r',    'MOVHLPS',     'Vq,Uq',      m.moveHighToLow, SSE),
  row('NP 0F 13',      'MOVLPS',      'Mq,Vq',      m.move, SSE),
  row('NP 0F 14',      'UNPCKLPS',    'Vps,Wps',    s.punpckldq, ALIGNED),
  row('NP 0F 15',      'UNPCKHPS',    'Vps,Wps',    s.punpckhdq, ALIGNED),
  row('NP 0F 16 m',    'MOVHPS',      'Vq,Mq',      m.moveToHigh, SSE),
  row('NP 0F 16 r',    'MOVLHPS',     'Vq,Uq',      m.moveToHigh, SSE),
  row('NP 0F 17',      'MOVHPS',      'Mq,Vq',      m.moveFromHigh, SSE),
  row('NP 0F 28',      'MOVAPS',      'Vps,Wps',    m.move, HOT_ALIGNED),
  row('NP 0F 29',      'MOVAPS',      'Wps,Vps',    m.move, HOT_ALIGNED),
  row('NP 0F 2B m',    'MOVNTPS',     'Wps,Vps',    m.move, ALIGNED),
  row('NP 0F 50',      'MOVMSKPS',    'Gd,Ups',     n.movmskps, SSE),
  row('NP 0F C6',      'SHUFPS',      'Vps,Wps,Ib', s.shufps, ALIGNED),
  // --- conversions ---
  row('NP 0F 2A',      'CVTPI2PS',    'Vps,Qq',     v.mmxToSingles, SSE),
  row('F3 0F 2A',      'CVTSI2SS',    'Vss,Ey',     v.integerToSingle, SSE),
  row('NP 0F 2C',      'CVTTPS2PI',   'Pq,Wq',      v.singlesToMmx(true), SSE),
  row('F3 0F 2C',      'CVTTSS2SI',   'Gy,Wss',     v.toInteger(SS, true), SSE),
  row('NP 0F 2D',      'CVTPS2PI',    'Pq,Wq',      v.singlesToMmx(false), SSE),
  row('F3 0F 2D',      'CVTSS2SI',    'Gy,Wss',     v.toInteger(SS, false), SSE),
  // --- comparison ---
  row('NP 0F 2E',      'UCOMISS',     'Vss,Wss',    f.ucomiss, SSE),
  row('NP 0F 2F',      'COMISS',      'Vss,Wss',    f.comiss, SSE),
  row('NP 0F C2',      'CMPPS',       'Vps,Wps,Ib', f.compare(PS), ALIGNED),
  row('F3 0F C2',      'CMPSS',       'Vss,Wss,Ib', f.compare(SS), SSE),
  // --- logic ---
  row('NP 0F 54',      'ANDPS',       'Vps,Wps',    n.pand, ALIGNED),
  row('NP 0F 55',      'ANDNPS',      'Vps,Wps',    n.pandn, ALIGNED),
  row('NP 0F 56',      'ORPS',        'Vps,Wps',    n.por, ALIGNED),
  row('NP 0F 57',      'XORPS',       'Vps,Wps',    n.pxor, ALIGNED),
  // --- arithmetic ---
  row('NP 0F 51',      'SQRTPS',      'Vps,Wps',    f.sqrt(PS), ALIGNED),
  row('F3 0F 51',      'SQRTSS',      'Vss,Wss',    f.sqrt(SS), SSE),
  row('NP 0F 58',      'ADDPS',       'Vps,Wps',    f.add(PS), ALIGNED),
  row('F3 0F 58',      'ADDSS',       'Vss,Wss',    f.add(SS), SSE),
  row('NP 0F 59',      'MULPS',       'Vps,Wps',    f.mul(PS), ALIGNED),
  row('F3 0F 59',      'MULSS',       'Vss,Wss',    f.mul(SS), SSE),
  row('NP 0F 5C',      'SUBPS',       'Vps,Wps',    f.sub(PS), ALIGNED),
  row('F3 0F 5C',      'SUBSS',       'Vss,Wss',    f.sub(SS), SSE),
  row('NP 0F 5D',      'MINPS',       'Vps,Wps',    f.min(PS), ALIGNED),
  row('F3 0F 5D',      'MINSS',       'Vss,Wss',    f.min(SS), SSE),
  row('NP 0F 5E',      'DIVPS',       'Vps,Wps',    f.div(PS), ALIGNED),
  row('F3 0F 5E',      'DIVSS',       'Vss,Wss',    f.div(SS), SSE),
  row('NP 0F 5F',      'MAXPS',       'Vps,Wps',    f.max(PS), ALIGNED),
  row('F3 0F 5F',      'MAXSS',       'Vss,Wss',    f.max(SS), SSE),
  row('NP 0F 52',      'RSQRTPS',     'Vps,Wps',    f.approximation(slow.rsqrtps), ALIGNED),
  row('F3 0F 52',      'RSQRTSS',     'Vss,Wss',    f.approximation(slow.rsqrtss), SSE),
  row('NP 0F 53',      'RCPPS',       'Vps,Wps',    f.approximation(slow.rcpps), ALIGNED),
  row('F3 0F 53',      'RCPSS',       'Vss,Wss',    f.approximation(slow.rcpss), SSE),
  // --- MXCSR, hints, fences ---
  row('NP 0F AE /2 m', 'LDMXCSR',     'Md',         k.ldmxcsr, SSE),
  row('NP 0F AE /3 m', 'STMXCSR',     'Md',         k.stmxcsr, SSE),
  row('NP 0F AE /7 r', 'SFENCE',      '',           k.noEffect, SSE),
  row('NP 0F AE /5 r', 'LFENCE',      '',           k.noEffect, SSE2),
  row('NP 0F AE /6 r', 'MFENCE',      '',           k.noEffect, SSE2),
  row('NP 0F AE /7 m', 'CLFLUSH',     'Mb',         k.clflush, { cpuid: 'clflush' }),
  row('0F 18 /0 m',    'PREFETCHNTA', 'Mb',         k.noEffect),
  row('0F 18 /1 m',    'PREFETCHT0',  'Mb',         k.noEffect),
  row('0F 18 /2 m',    'PREFETCHT1',  'Mb',         k.noEffect),
  row('0F 18 /3 m',    'PREFETCHT2',  'Mb',         k.noEffect),
];
