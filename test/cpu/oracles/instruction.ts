// Instructions from opcode rows: one encoding of a row, with prefixes, ModRM forms, displacements and immediates as the
// words choose. What a memory operand needs is worked out backwards: a linear address is chosen first, then registers
// and displacement are set so that the operand lies there.

import type { Operand, Row } from '../../../src/cpu/isa/row.js';
import { bytesOf, type Choices, integer } from './choices.js';
import { CODE, DATA, PAGE, READ_ONLY, segmentOf } from './descriptor-tables.js';
import type { Bits, Selectors } from './single-step.js';

const [ES, SS, DS, FS, GS] = [0, 2, 3, 4, 5];
const SEGMENT_PREFIXES = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];
const BASE16 = [3, 3, 5, 5, 6, 7, 5, 3];
const INDEX16 = [6, 7, 6, 7, -1, -1, -1, -1];
/** Offset in the code page where instructions lie, unless they are to run over its end. */
export const START = 0x200;
const MAX_LENGTH = 15;

/** Where the parts of a case's state that an instruction's encoding settles are collected. */
export interface Draft {
  readonly bits: Bits;
  readonly gpr: bigint[];
  readonly selectors: Selectors;
  readonly fsBase: bigint;
  readonly gsBase: bigint;
}

export interface Instruction {
  readonly code: Uint8Array;
  /** Offset of the instruction in the code page. */
  readonly offset: number;
  readonly osize: 16 | 32 | 64;
  readonly asize: 16 | 32 | 64;
  readonly locked: boolean;
  readonly rex: number;
  /** Linear address of the memory operand. */
  readonly operandAt?: number;
  /** Number of the register in r/m, when it is one. */
  readonly register?: number;
}

/** A linear address for an operand of `bytes` bytes: mostly in the data page, at its ends, or where it must fault. */
export function target(c: Choices, bytes: number): number {
  const kind = c.below(24);
  if (kind < 9) return DATA + 0x400 + 16 * c.below(0x80);
  if (kind < 16) return DATA + c.below(PAGE - 64);
  if (kind < 20) return DATA + PAGE - c.below(2 * bytes + 1);
  if (kind < 21) return DATA - c.below(bytes + 1);
  if (kind < 22) return READ_ONLY + c.below(PAGE);
  return Number(BigInt.asUintN(32, integer(c)));
}

export function encode(c: Choices, row: Row, draft: Draft): Instruction {
  const { bits, gpr } = draft;
  const long = bits === 64;
  const legacy: number[] = [];
  const any = row.prefix === 'any';
  if (row.prefix === '66' || row.prefix === 'F2' || row.prefix === 'F3') legacy.push(Number.parseInt(row.prefix, 16));
  // Before near branches in 64-bit mode Intel ignores the operand size, AMD does not (SDM vol. 2, JMP; APM vol. 3, JMP).
  const sizeFixed = long && row.options.size === 'f64';
  const opsize = (any || row.prefix === 'F2' || row.prefix === 'F3') && !sizeFixed && c.chance(25);
  if (opsize) legacy.push(0x66);
  if (any && c.chance(row.options.rep ? 60 : 3)) legacy.push(c.pick([0xf3, 0xf2]));
  const adsize = c.chance(15);
  if (adsize) legacy.push(0x67);
  let override = -1;
  if (c.chance(15)) {
    const segment = c.below(6);
    legacy.push(SEGMENT_PREFIXES[segment]!);
    if (!long || segment >= FS) override = segment;
  }
  const locked = c.chance(row.options.lock ? 20 : 2);
  if (locked) legacy.push(0xf0);
  if (c.chance(1)) while (legacy.length < MAX_LENGTH) legacy.push(c.pick([0x66, 0x2e, 0x3e]));
  if (legacy.length > 1 && c.chance(50)) legacy.push(legacy.shift()!);
  const rex = long && c.chance(50) ? 0x40 | c.below(16) : 0;
  const osize = long
    ? sizeFixed || rex & 8
      ? 64
      : legacy.includes(0x66)
        ? 16
        : row.options.size === 'd64'
          ? 64
          : 32
    : (bits === 32) !== legacy.includes(0x66)
      ? 32
      : 16;
  const asize = long ? (adsize ? 32 : 64) : (bits === 32) !== adsize ? 32 : 16;

  const code = [...legacy];
  if (rex !== 0) code.push(rex);
  if (row.map > 0) code.push(0x0f);
  if (row.map > 1) code.push(row.map === 2 ? 0x38 : 0x3a);
  code.push(row.opcode + (row.plusR ? c.below(8) : 0));

  let operandAt: number | undefined;
  let register: number | undefined;
  let ripRelativeAt = -1;
  const bytes = operandSize(row, osize);
  if (row.hasModrm) {
    const reg = row.modrmReg >= 0 ? row.modrmReg : c.below(8);
    const mem = row.form === 'mem' || (row.form === 'both' && c.chance(50));
    if (row.modrmByte >= 0) code.push(row.modrmByte);
    else if (!mem || row.ignoresMod) {
      const rm = c.below(8);
      code.push((row.ignoresMod ? c.below(4) << 6 : 0xc0) | (reg << 3) | rm);
      register = rm | ((rex & 1) << 3);
    } else {
      const place: Place = { c, code, gpr, reg, rex, long, override, at: target(c, bytes), draft };
      if (asize === 16) memory16(place);
      else ripRelativeAt = memory32(place, asize);
      operandAt = place.at;
    }
  }
  for (const operand of row.operands) code.push(...immediate(c, operand, row, osize, asize));
  if (row.operands.some((o) => o.kind === 'O')) operandAt = undefined;
  const offset = c.chance(4) ? Math.max(0, PAGE - 1 - c.below(code.length)) : START;
  if (ripRelativeAt >= 0) {
    const base = (draft.selectors[1] & 4) !== 0 ? 0 : CODE;
    const segment = override >= FS ? Number(BigInt.asIntN(32, override === FS ? draft.fsBase : draft.gsBase)) : 0;
    const displacement = operandAt! - segment - (base + offset + code.length);
    code.splice(ripRelativeAt, 4, ...bytesOf(BigInt.asUintN(32, BigInt(displacement)), 4));
  }
  return {
    code: Uint8Array.from(code.slice(0, 16)),
    offset,
    osize,
    asize,
    locked,
    rex,
    ...(operandAt === undefined ? {} : { operandAt }),
    ...(register === undefined ? {} : { register }),
  };
}

/** Bytes of the operand that may be in memory. */
function operandSize(row: Row, osize: number): number {
  const operand = row.operands.find((o) => 'EMWQ'.includes(o.kind) && o.kind.length === 1);
  const sizes: Record<string, number> = { b: 1, w: 2, d: 4, ss: 4, q: 8, sd: 8, t: 10, dq: 16, ps: 16, pd: 16, s: 10 };
  return sizes[operand?.size ?? ''] ?? osize / 8;
}

interface Place {
  readonly c: Choices;
  readonly code: number[];
  readonly gpr: bigint[];
  readonly reg: number;
  readonly rex: number;
  readonly long: boolean;
  readonly override: number;
  /** Where the operand is to lie, and where it lies in the end. */
  at: number;
  readonly draft: Draft;
}

function segmentBase(place: Place, defaultSegment: number): bigint {
  const segment = place.override >= 0 ? place.override : defaultSegment;
  if (place.long) return segment === FS ? place.draft.fsBase : segment === GS ? place.draft.gsBase : 0n;
  return BigInt(segmentOf(place.draft.selectors[segment]!)?.base ?? 0);
}

/** Set the low `bits` bits of a register; what lies above is noise that must not matter. */
function setLow(place: Place, n: number, bits: number, value: bigint): void {
  const above = bits < 64 && place.c.chance(30) ? place.c.u64() : 0n;
  const low = BigInt.asUintN(bits, value);
  place.gpr[n] = BigInt.asUintN(place.long ? 64 : 32, ((above >> BigInt(bits)) << BigInt(bits)) | low);
}

function memory16(place: Place): void {
  const { c, code, reg } = place;
  const mod = c.below(3);
  const rm = c.below(8);
  const direct = mod === 0 && rm === 6;
  const base = BASE16[rm]!;
  const index = INDEX16[rm]!;
  const segment = segmentBase(place, !direct && base === 5 ? SS : DS);
  const offset = BigInt.asUintN(16, BigInt(place.at) - segment);
  place.at = Number(BigInt.asUintN(32, segment + offset));
  code.push((mod << 6) | (reg << 3) | rm);
  if (direct) {
    code.push(...bytesOf(offset, 2));
    return;
  }
  const displacement = mod === 0 ? 0n : mod === 1 ? BigInt(c.below(256) - 128) : BigInt.asIntN(16, integer(c));
  if (mod > 0) code.push(...bytesOf(BigInt.asUintN(16, displacement), mod));
  setLow(place, base, 16, offset - displacement - (index < 0 ? 0n : place.gpr[index]!));
}

/** Returns where a RIP-relative displacement has to be filled in, or −1. */
function memory32(place: Place, asize: number): number {
  const { c, code, reg, rex, long } = place;
  const mod = c.below(3);
  const rm = c.below(8);
  code.push((mod << 6) | (reg << 3) | rm);
  let base = rm;
  let index = -1;
  let scale = 0;
  if (rm === 4) {
    const sib = c.below(256);
    code.push(sib);
    scale = sib >> 6;
    index = ((sib >> 3) & 7) | ((rex & 2) << 2);
    if (index === 4) index = -1;
    base = sib & 7;
  }
  const noBase = base === 5 && mod === 0;
  if (!noBase) base |= (rex & 1) << 3;
  const offset = BigInt(place.at) - segmentBase(place, !noBase && (base === 4 || base === 5) ? SS : DS);
  if (noBase) {
    const at = code.length;
    code.push(0, 0, 0, 0);
    if (rm === 5 && long) return at;
    // The index stays small, so that the displacement reaches.
    if (index >= 0) place.gpr[index] = BigInt(c.below(256));
    const scaled = index < 0 ? 0n : place.gpr[index]! << BigInt(scale);
    code.splice(at, 4, ...bytesOf(BigInt.asUintN(32, offset - scaled), 4));
    return -1;
  }
  const displacement = mod === 0 ? 0n : mod === 1 ? BigInt(c.below(256) - 128) : BigInt.asIntN(32, integer(c));
  if (mod > 0) code.push(...bytesOf(BigInt.asUintN(32, displacement), mod === 1 ? 1 : 4));
  if (base === index) {
    const factor = BigInt(1 + (1 << scale));
    setLow(place, base, asize, (offset - displacement) / factor);
    place.at += -Number((offset - displacement) % factor);
  } else {
    setLow(place, base, asize, offset - displacement - (index < 0 ? 0n : place.gpr[index]! << BigInt(scale)));
  }
  return -1;
}

const SELECTORS = [
  0x2b, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x47, 0, 3, 0x07, 0x23, 0x33, 0x10, 0x18, 0x08, 0x0c, 0x28, 0x40,
  0x50, 0x4f, 0x60, 0x80, 0xfff8,
];
/** A selector: of every kind of segment, with every RPL, null, or beyond its table. */
export function selector(c: Choices): number {
  const value = c.pick(SELECTORS);
  return c.chance(15) ? (value & ~3) | c.below(4) : value;
}

function immediate(c: Choices, operand: Operand, row: Row, osize: number, asize: number): number[] {
  const near = osize === 16 ? 2 : 4;
  switch (operand.kind) {
    case 'sI':
      return [Number(integer(c) & 0xffn)];
    case 'I': {
      const size = operand.size === 'b' ? 1 : operand.size === 'w' ? 2 : operand.text === 'Iq' ? osize / 8 : near;
      let value = integer(c);
      if (row.mnemonic === 'INT' && (value & 0xffn) === 0x80n) value = 0n; // the host's system call
      if (row.mnemonic === 'ENTER' && size === 2) value &= 0xfffn;
      return [...bytesOf(BigInt.asUintN(size * 8, value), size)];
    }
    case 'J': {
      const size = operand.size === 'b' ? 1 : near;
      const value = size > 1 && c.chance(60) ? BigInt(c.below(0x400) - 0x200) : integer(c);
      return [...bytesOf(BigInt.asUintN(size * 8, value), size)];
    }
    case 'A':
      return [...bytesOf(BigInt(CODE + c.below(PAGE)), near), ...bytesOf(BigInt(selector(c)), 2)];
    case 'O':
      return [...bytesOf(BigInt(target(c, osize / 8)), asize / 8)];
    default:
      return [];
  }
}

export { DS, ES, SS };
