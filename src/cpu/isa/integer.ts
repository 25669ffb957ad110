// Opcode rows: integer, stack, string and control-flow instructions of the one- and two-byte maps
// (SDM vol. 2, appendix A, tables ). Columns: isa/row.ts.

import * as a from '../semantics/arithmetic.js';
import type { Body } from '../semantics/context.js';
import * as f from '../semantics/control-flow.js';
import * as m from '../semantics/moves.js';
import * as s from '../semantics/shifts.js';
import * as str from '../semantics/strings.js';
import { PORT_COST } from '../system/ports.js';
import { type Row, type RowOptions, row } from './row.js';

const hex = (n: number) => n.toString(16).toUpperCase().padStart(2, '0');

/** The eight two-operand operations share their encodings: base + 0…5, and group 1. */
// biome-ignore format: table
const ALU: readonly [string, Body, RowOptions][] = [
  ['ADD', a.add, { lock: true }], ['OR',  a.or,  { lock: true, undefined: 'A' }],
  ['ADC', a.adc, { lock: true }], ['SBB', a.sbb, { lock: true }],
  ['AND', a.and, { lock: true, undefined: 'A' }], ['SUB', a.sub, { lock: true }],
  ['XOR', a.xor, { lock: true, undefined: 'A' }], ['CMP', a.cmp, {}],
];
const HOT = { hot: true };
const alu = ALU.flatMap(([name, body, o], n) => {
  const at = (k: number) => hex(n * 8 + k);
  const common = name !== 'ADC' && name !== 'SBB' ? HOT : {};
  // biome-ignore format: table
  return [
    row(at(0), name, 'Eb,Gb', body, { ...o, ...common }),
    row(at(1), name, 'Ev,Gv', body, { ...o, ...common }),
    row(at(2), name, 'Gb,Eb', body, { ...o, ...common, lock: false }),
    row(at(3), name, 'Gv,Ev', body, { ...o, ...common, lock: false }),
    row(at(4), name, 'AL,Ib', body, { ...o, lock: false }),
    row(at(5), name, 'rAX,Iz', body, { ...o, ...common, lock: false }),
    row(`80 /${n}`, name, 'Eb,Ib', body, { ...o, ...common }),
    row(`81 /${n}`, name, 'Ev,Iz', body, { ...o, ...common }),
    row(`82 /${n}`, name, 'Eb,Ib', body, { ...o, mode: 'no64' }),
    row(`83 /${n}`, name, 'Ev,sIb', body, { ...o, ...common }),
  ];
});

const SHIFTS: readonly [string, Body, string][] = [
  ['ROL', s.rol, ''],
  ['ROR', s.ror, ''],
  ['RCL', s.rcl, ''],
  ['RCR', s.rcr, ''],
  ['SHL', s.shl, 'A'],
  ['SHR', s.shr, 'A'],
  ['SAL', s.shl, 'A'],
  ['SAR', s.sar, 'A'],
];
// OF is undefined for counts other than 1; the bodies give what Intel's processors do.
const shifts = SHIFTS.flatMap(([name, body, undef], n) => {
  const hot = ['SHL', 'SHR', 'SAR'].includes(name) ? HOT : {};
  const o = undef === '' ? { undefined: 'O' } : { undefined: `O${undef}` };
  const one = undef === '' ? {} : { undefined: undef };
  return [
    row(`C0 /${n}`, name, 'Eb,Ib', body, o),
    row(`C1 /${n}`, name, 'Ev,Ib', body, { ...o, ...hot }),
    row(`D0 /${n}`, name, 'Eb,1', body, one),
    row(`D1 /${n}`, name, 'Ev,1', body, { ...one, ...hot }),
    row(`D2 /${n}`, name, 'Eb,CL', body, o),
    row(`D3 /${n}`, name, 'Ev,CL', body, { ...o, ...hot }),
  ];
});

const CC = ['O', 'NO', 'B', 'AE', 'E', 'NE', 'BE', 'A', 'S', 'NS', 'P', 'NP', 'L', 'GE', 'LE', 'G'];
const conditions = CC.flatMap((cc, n) => [
  row(hex(0x70 + n), `J${cc}`, 'Jb', f.jcc(n), { ends: true, size: 'f64', hot: true }),
  row(`0F ${hex(0x80 + n)}`, `J${cc}`, 'Jz', f.jcc(n), { ends: true, size: 'f64', hot: true }),
  row(`0F ${hex(0x90 + n)}`, `SET${cc}`, 'Eb', m.setcc(n), n === 4 || n === 5 ? HOT : {}),
  row(`0F ${hex(0x40 + n)}`, `CMOV${cc}`, 'Gv,Ev', m.cmovcc(n), { cpuid: 'cmov', ...(n >= 2 && n < 8 ? HOT : {}) }),
]);

const BT: readonly [string, Body][] = [
  ['BT', s.bt],
  ['BTS', s.bts],
  ['BTR', s.btr],
  ['BTC', s.btc],
];
const bits = BT.flatMap(([name, body], n) => {
  const o = { lock: n > 0, undefined: 'OSPA' };
  return [row(`0F ${hex(0xa3 + 8 * n)}`, name, 'Ev,Gv', body, o), row(`0F BA /${4 + n}`, name, 'Ev,Ib', body, o)];
});

const SEGMENTS: readonly [string, string, number][] = [
  ['06', '07', 0],
  ['0E', '', 1],
  ['16', '17', 2],
  ['1E', '1F', 3],
];
const segmentStack = SEGMENTS.flatMap(([push, pop, n]) => [
  row(push, 'PUSH', '', m.pushSegment(n), { mode: 'no64', size: 'd64' }),
  ...(pop === '' ? [] : [row(pop, 'POP', '', m.popSegment(n), { mode: 'no64', size: 'd64', ends: true, cost: 4 })]),
]);

/** Operand size matters though no operand says so: a row that is expanded by size without a v, z or y operand. */
const SIZED = { size: 'v' as const };

// biome-ignore format: table
const plain: Row[] = [
  row('88', 'MOV', 'Eb,Gb', m.mov, HOT),
  row('89', 'MOV', 'Ev,Gv', m.mov, HOT),
  row('8A', 'MOV', 'Gb,Eb', m.mov, HOT),
  row('8B', 'MOV', 'Gv,Ev', m.mov, HOT),
  row('A0', 'MOV', 'AL,Ob', m.mov, { asize: true }),
  row('A1', 'MOV', 'rAX,Ov', m.mov, { asize: true }),
  row('A2', 'MOV', 'Ob,AL', m.mov, { asize: true }),
  row('A3', 'MOV', 'Ov,rAX', m.mov, { asize: true }),
  row('B0+r', 'MOV', 'Zb,Ib', m.mov, HOT),
  row('B8+r', 'MOV', 'Zv,Iq', m.mov, HOT),
  row('C6 /0', 'MOV', 'Eb,Ib', m.mov, HOT),
  row('C7 /0', 'MOV', 'Ev,Iz', m.mov, HOT),
  row('8C', 'MOV', 'Ev,Sw', m.movFromSegment),
  row('8E', 'MOV', 'Sw,Ew', m.movToSegment, { ends: true, cost: 4 }),
  row('8D', 'LEA', 'Gv,M', m.lea, HOT),
  row('86', 'XCHG', 'Eb,Gb', m.xchg, { lock: true }),
  row('87', 'XCHG', 'Ev,Gv', m.xchg, { lock: true }),
  row('90+r', 'XCHG', 'Zv,rAX', m.xchg),
  row('0F B6', 'MOVZX', 'Gv,Eb', m.movzx, HOT),
  row('0F B7', 'MOVZX', 'Gv,Ew', m.movzx, HOT),
  row('0F BE', 'MOVSX', 'Gv,Eb', m.movsx, HOT),
  row('0F BF', 'MOVSX', 'Gv,Ew', m.movsx, HOT),
  row('63', 'MOVSXD', 'Gv,Ed', m.movsx, { mode: 'only64', ...HOT }),
];

// biome-ignore format: table
const rest: Row[] = [
  ...['NP', '66'].flatMap((p) => [
    row(`${p} 0F38 F0`, 'MOVBE', 'Gv,Mv', m.movbe, { cpuid: 'movbe' }),
    row(`${p} 0F38 F1`, 'MOVBE', 'Mv,Gv', m.movbe, { cpuid: 'movbe' }),
  ]),
  row('84', 'TEST', 'Eb,Gb', a.test, { undefined: 'A', ...HOT }),
  row('85', 'TEST', 'Ev,Gv', a.test, { undefined: 'A', ...HOT }),
  row('A8', 'TEST', 'AL,Ib', a.test, { undefined: 'A', ...HOT }),
  row('A9', 'TEST', 'rAX,Iz', a.test, { undefined: 'A' }),
  row('F6 /0', 'TEST', 'Eb,Ib', a.test, { undefined: 'A', ...HOT }),
  row('F6 /1', 'TEST', 'Eb,Ib', a.test, { undefined: 'A' }),
  row('F7 /0', 'TEST', 'Ev,Iz', a.test, { undefined: 'A', ...HOT }),
  row('F7 /1', 'TEST', 'Ev,Iz', a.test, { undefined: 'A' }),
  row('F6 /2', 'NOT', 'Eb', a.not, { lock: true }),
  row('F7 /2', 'NOT', 'Ev', a.not, { lock: true, ...HOT }),
  row('F6 /3', 'NEG', 'Eb', a.neg, { lock: true }),
  row('F7 /3', 'NEG', 'Ev', a.neg, { lock: true, ...HOT }),
  row('F6 /4', 'MUL', 'Eb', a.mul, { undefined: 'SZAP', cost: 2 }),
  row('F7 /4', 'MUL', 'Ev', a.mul, { undefined: 'SZAP', cost: 2 }),
  row('F6 /5', 'IMUL', 'Eb', a.imulWide, { undefined: 'SZAP', cost: 2 }),
  row('F7 /5', 'IMUL', 'Ev', a.imulWide, { undefined: 'SZAP', cost: 2 }),
  row('F6 /6', 'DIV', 'Eb', a.div, { undefined: 'OSZAPC', cost: 8 }),
  row('F7 /6', 'DIV', 'Ev', a.div, { undefined: 'OSZAPC', cost: 8 }),
  row('F6 /7', 'IDIV', 'Eb', a.idiv, { undefined: 'OSZAPC', cost: 8 }),
  row('F7 /7', 'IDIV', 'Ev', a.idiv, { undefined: 'OSZAPC', cost: 8 }),
  row('0F AF', 'IMUL', 'Gv,Ev', a.imul, { undefined: 'SZAP', cost: 2, ...HOT }),
  row('69', 'IMUL', 'Gv,Ev,Iz', a.imul3, { undefined: 'SZAP', cost: 2, ...HOT }),
  row('6B', 'IMUL', 'Gv,Ev,sIb', a.imul3, { undefined: 'SZAP', cost: 2, ...HOT }),
  row('FE /0', 'INC', 'Eb', a.inc, { lock: true }),
  row('FF /0', 'INC', 'Ev', a.inc, { lock: true, ...HOT }),
  row('FE /1', 'DEC', 'Eb', a.dec, { lock: true }),
  row('FF /1', 'DEC', 'Ev', a.dec, { lock: true, ...HOT }),
  row('40+r', 'INC', 'Zv', a.inc, { mode: 'no64', ...HOT }),
  row('48+r', 'DEC', 'Zv', a.dec, { mode: 'no64', ...HOT }),
  row('27', 'DAA', '', a.daa, { mode: 'no64', undefined: 'O' }),
  row('2F', 'DAS', '', a.das, { mode: 'no64', undefined: 'O' }),
  row('37', 'AAA', '', a.aaa, { mode: 'no64', undefined: 'OSZP' }),
  row('3F', 'AAS', '', a.aas, { mode: 'no64', undefined: 'OSZP' }),
  row('D4', 'AAM', 'Ib', a.aam, { mode: 'no64', undefined: 'OAC', cost: 8 }),
  row('D5', 'AAD', 'Ib', a.aad, { mode: 'no64', undefined: 'OAC' }),
  row('D6', 'SALC', '', m.salc, { mode: 'no64' }),
  row('98', 'CBW', '', m.cbw, { ...SIZED, ...HOT }),
  row('99', 'CWD', '', m.cwd, { ...SIZED, ...HOT }),
  row('50+r', 'PUSH', 'Zv', m.push, { size: 'd64', ...HOT }),
  row('58+r', 'POP', 'Zv', m.popRegister, { size: 'd64', ...HOT }),
  row('68', 'PUSH', 'Iz', m.push, { size: 'd64' }),
  row('6A', 'PUSH', 'sIb', m.push, { size: 'd64' }),
  row('FF /6', 'PUSH', 'Ev', m.push, { size: 'd64' }),
  row('8F /0', 'POP', 'Ev', m.popMemory, { size: 'd64' }),
  row('60', 'PUSHA', '', m.pusha, { mode: 'no64', ...SIZED, cost: 8 }),
  row('61', 'POPA', '', m.popa, { mode: 'no64', ...SIZED, cost: 8 }),
  row('C8', 'ENTER', 'Iw,Ib', m.enter, { size: 'd64', cost: 4 }),
  row('C9', 'LEAVE', '', m.leave, { size: 'd64', ...HOT }),
  row('9C', 'PUSHF', '', m.pushf, { size: 'd64' }),
  row('9D', 'POPF', '', m.popf, { size: 'd64', ends: true, cost: 4 }),
  row('0F A0', 'PUSH', '', m.pushSegment(4), { size: 'd64' }),
  row('0F A8', 'PUSH', '', m.pushSegment(5), { size: 'd64' }),
  row('0F A1', 'POP', '', m.popSegment(4), { size: 'd64', ends: true, cost: 4 }),
  row('0F A9', 'POP', '', m.popSegment(5), { size: 'd64', ends: true, cost: 4 }),
  row('F8', 'CLC', '', m.clc), row('F9', 'STC', '', m.stc), row('F5', 'CMC', '', m.cmc),
  row('FC', 'CLD', '', m.cld), row('FD', 'STD', '', m.std),
  row('9F', 'LAHF', '', m.lahf), row('9E', 'SAHF', '', m.sahf),
  row('D7', 'XLAT', '', m.xlat, { asize: true }),
  row('NP 90', 'NOP', '', m.nop, HOT), row('66 90', 'NOP', '', m.nop), row('F2 90', 'NOP', '', m.nop),
  row('F3 90', 'PAUSE', '', m.pause, { cost: 40, ends: true }),
  row('0F 1F', 'NOP', 'Ev', m.nop, HOT),
  ...['18 /4', '18 /5', '18 /6', '18 /7', '19', '1A', '1B', '1C', '1D', '1E'].map((e) => row(`0F ${e}`, 'NOP', 'Ev', m.nop)),
  row('0F C8+r', 'BSWAP', 'Zv', s.bswap),
  row('0F BC', 'BSF', 'Gv,Ev', s.bsf, { undefined: 'OSAPC' }),
  row('0F BD', 'BSR', 'Gv,Ev', s.bsr, { undefined: 'OSAPC' }),
  row('F3 0F BC', 'TZCNT', 'Gv,Ev', s.tzcnt, { undefined: 'OSAP', cpuid: 'bmi1' }),
  row('F3 0F BD', 'LZCNT', 'Gv,Ev', s.lzcnt, { undefined: 'OSAP', cpuid: 'lzcnt' }),
  row('F3 0F B8', 'POPCNT', 'Gv,Ev', s.popcnt, { cpuid: 'popcnt' }),
  row('0F A4', 'SHLD', 'Ev,Gv,Ib', s.shld, { undefined: 'OA' }),
  row('0F A5', 'SHLD', 'Ev,Gv,CL', s.shld, { undefined: 'OA' }),
  row('0F AC', 'SHRD', 'Ev,Gv,Ib', s.shrd, { undefined: 'OA' }),
  row('0F AD', 'SHRD', 'Ev,Gv,CL', s.shrd, { undefined: 'OA' }),
  row('0F C0', 'XADD', 'Eb,Gb', a.xadd, { lock: true }),
  row('0F C1', 'XADD', 'Ev,Gv', a.xadd, { lock: true }),
  row('0F B0', 'CMPXCHG', 'Eb,Gb', a.cmpxchg, { lock: true }),
  row('0F B1', 'CMPXCHG', 'Ev,Gv', a.cmpxchg, { lock: true }),
  row('0F C7 /1', 'CMPXCHG8B', 'Mv', a.cmpxchgPair, { lock: true, cpuid: 'cx8' }),
  // --- control flow ---
  row('E8', 'CALL', 'Jz', f.callRelative, { ends: true, size: 'f64', ...HOT }),
  row('E9', 'JMP', 'Jz', f.jmpRelative, { ends: true, size: 'f64', ...HOT }),
  row('EB', 'JMP', 'Jb', f.jmpRelative, { ends: true, size: 'f64', ...HOT }),
  row('FF /2', 'CALL', 'Ev', f.callIndirect, { ends: true, size: 'f64', ...HOT }),
  row('FF /4', 'JMP', 'Ev', f.jmpIndirect, { ends: true, size: 'f64', ...HOT }),
  row('C3', 'RET', '', f.ret, { ends: true, size: 'f64', ...HOT }),
  row('C2', 'RET', 'Iw', f.retImmediate, { ends: true, size: 'f64' }),
  row('E0', 'LOOPNE', 'Jb', f.loop('nz'), { ends: true, size: 'f64', asize: true }),
  row('E1', 'LOOPE', 'Jb', f.loop('z'), { ends: true, size: 'f64', asize: true }),
  row('E2', 'LOOP', 'Jb', f.loop('any'), { ends: true, size: 'f64', asize: true }),
  row('E3', 'JCXZ', 'Jb', f.jcxz, { ends: true, size: 'f64', asize: true }),
  row('EA', 'JMPF', 'Ap', f.jmpFar, { ends: true, mode: 'no64', ...SIZED, cost: 20 }),
  row('9A', 'CALLF', 'Ap', f.callFar, { ends: true, mode: 'no64', ...SIZED, cost: 20 }),
  row('FF /5', 'JMPF', 'Mp', f.jmpFarMemory, { ends: true, ...SIZED, cost: 20 }),
  row('FF /3', 'CALLF', 'Mp', f.callFarMemory, { ends: true, ...SIZED, cost: 20 }),
  row('CB', 'RETF', '', f.retFar, { ends: true, ...SIZED, cost: 20 }),
  row('CA', 'RETF', 'Iw', f.retFarImmediate, { ends: true, ...SIZED, cost: 20 }),
  row('CF', 'IRET', '', f.iret, { ends: true, ...SIZED, cost: 20 }),
  // --- strings ---
  row('A4', 'MOVSB', '', str.movs(8), { rep: 'rep', asize: true, ends: 'rep' }),
  row('A5', 'MOVS', '', str.movs(0), { rep: 'rep', asize: true, ends: 'rep', ...SIZED }),
  row('A6', 'CMPSB', '', str.cmps(8), { rep: 'repz', asize: true, ends: 'rep' }),
  row('A7', 'CMPS', '', str.cmps(0), { rep: 'repz', asize: true, ends: 'rep', ...SIZED }),
  row('AA', 'STOSB', '', str.stos(8), { rep: 'rep', asize: true, ends: 'rep' }),
  row('AB', 'STOS', '', str.stos(0), { rep: 'rep', asize: true, ends: 'rep', ...SIZED }),
  row('AC', 'LODSB', '', str.lods(8), { rep: 'rep', asize: true, ends: 'rep' }),
  row('AD', 'LODS', '', str.lods(0), { rep: 'rep', asize: true, ends: 'rep', ...SIZED }),
  row('AE', 'SCASB', '', str.scas(8), { rep: 'repz', asize: true, ends: 'rep' }),
  row('AF', 'SCAS', '', str.scas(0), { rep: 'repz', asize: true, ends: 'rep', ...SIZED }),
  row('6C', 'INSB', '', str.ins(8), { rep: 'rep', asize: true, ends: true, cost: PORT_COST }),
  row('6D', 'INS', '', str.ins(0), { rep: 'rep', asize: true, ends: true, cost: PORT_COST, ...SIZED }),
  row('6E', 'OUTSB', '', str.outs(8), { rep: 'rep', asize: true, ends: true, cost: PORT_COST }),
  row('6F', 'OUTS', '', str.outs(0), { rep: 'rep', asize: true, ends: true, cost: PORT_COST, ...SIZED }),
];

export const integerRows: readonly Row[] = [
  ...alu,
  ...shifts,
  ...conditions,
  ...bits,
  ...segmentStack,
  ...plain,
  ...rest,
];
