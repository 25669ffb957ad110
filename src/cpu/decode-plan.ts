// What the decoder does for an opcode row, as small numbers: made of the row's operand codes (isa/row.ts) when it is first
// met. Firmware is over before V8 has compiled the decoder, so what it executes for an instruction counts, and comparing
// strings is dear. Invariant: a plan says what its row says and nothing else.

import type { VariantTable } from './interp/variants.js';
import { usesOperandSize } from './interp/variants.js';
import type { Operand, Row } from './isa/row.js';

/** Where UOP_REG comes from: ModRM.reg or the opcode, as an offset of a general, byte, XMM or MMX register, or as its number. */
export const REG_NONE = 0;
export const REG_G = 1;
export const REG_G8 = 2;
export const REG_V = 3;
export const REG_P = 4;
export const REG_S = 5;
export const REG_CD = 6;
export const REG_Z = 7;
export const REG_Z8 = 8;

/** Where UOP_BASE comes from when the operand is a register: the same of ModRM.rm, or an x87 register. */
export const BASE_NONE = 0;
export const BASE_E = 1;
export const BASE_E8 = 2;
export const BASE_W = 3;
export const BASE_Q = 4;
export const BASE_T = 5;

/** What follows ModRM, SIB and displacement. */
export const TAIL_OFFSET = 1;
export const TAIL_FAR = 2;
export const TAIL_I8 = 3;
export const TAIL_I16 = 4;
/** 16 or 32 bits by the operand size. */
export const TAIL_I = 5;
/** 16, 32 or 64 bits. */
export const TAIL_I64 = 6;
/** Sign-extended. */
export const TAIL_S8 = 7;
export const TAIL_J8 = 8;
export const TAIL_J = 9;

export interface DecodePlan {
  readonly row: Row;
  /** Handler numbers by variantSlot(). */
  readonly handlers: Int32Array;
  readonly hasModrm: boolean;
  /** ModRM names a register whatever its mod says. */
  readonly registersOnly: boolean;
  readonly reg: number;
  readonly base: number;
  /** TAIL_*, four bits each, the first one lowest. */
  readonly tail: number;
  /** The operand size in 64-bit mode: 1, 64 unless 66 makes it 16; 2, always 64. */
  readonly size64: number;
  /** The variant depends on the operand size, the address size, the REP prefix (1: any, 2: which). */
  readonly sized: boolean;
  readonly addressed: boolean;
  readonly repeated: number;
  readonly lockable: boolean;
}

/** @throws Error when the table does not have the row, or the row has operands that cannot be decoded */
export function planOf(row: Row, variants: VariantTable): DecodePlan {
  const handlers = variants.handlersOf(row);
  if (handlers === undefined) throw new Error(`${row.encoding} ${row.mnemonic} has no handlers`);
  const { options } = row;
  let reg = REG_NONE;
  let base = BASE_NONE;
  let tail = 0;
  let shift = 0;
  for (const operand of row.operands) {
    const wide = operand.size === 'b' ? 1 : 0;
    reg = REG[operand.kind] === undefined ? reg : REG[operand.kind]! + (hasByteForm(operand) ? wide : 0);
    base = BASE[operand.kind] === undefined ? base : BASE[operand.kind]! + (operand.kind === 'E' ? wide : 0);
    const bytes = tailOf(operand);
    if (bytes === 0) continue;
    tail |= bytes << shift;
    shift += 4;
  }
  return {
    row,
    handlers,
    hasModrm: row.hasModrm,
    registersOnly: row.ignoresMod,
    reg,
    base,
    tail,
    size64: options.size === 'f64' ? 2 : options.size === 'd64' ? 1 : 0,
    sized: usesOperandSize(row),
    addressed: options.asize === true,
    repeated: options.rep === undefined ? 0 : options.rep === 'rep' ? 1 : 2,
    lockable: options.lock === true,
  };
}

const REG: Partial<Record<Operand['kind'], number>> = {
  G: REG_G,
  V: REG_V,
  P: REG_P,
  S: REG_S,
  C: REG_CD,
  D: REG_CD,
  Z: REG_Z,
};
const hasByteForm = ({ kind }: Operand): boolean => kind === 'G' || kind === 'Z';

const BASE: Partial<Record<Operand['kind'], number>> = {
  E: BASE_E,
  R: BASE_E,
  W: BASE_W,
  U: BASE_W,
  Q: BASE_Q,
  N: BASE_Q,
  T: BASE_T,
};

function tailOf({ kind, size, text }: Operand): number {
  switch (kind) {
    case 'O':
      return TAIL_OFFSET;
    case 'A':
      return TAIL_FAR;
    case 'J':
      return size === 'b' ? TAIL_J8 : TAIL_J;
    case 'sI':
      return TAIL_S8;
    case 'I':
      return size === 'b' ? TAIL_I8 : size === 'w' ? TAIL_I16 : text === 'Iq' ? TAIL_I64 : TAIL_I;
    default:
      return 0;
  }
}
