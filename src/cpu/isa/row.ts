// What an opcode row says, and the legend of its columns.
//
//   encoding   '[NP|66|F3|F2 ][0F |0F38 |0F3A ]XX[+r][ /n | =XX][ m| r]'
//              NP/66/F3/F2: mandatory prefix (none given: 66 is the operand size, F2/F3 are REP or ignored);
//              +r: register in the low three bits; /n: ModRM.reg; =XX: the whole ModRM byte; m, r: memory or register form only.
//   operands   Intel's codes (SDM vol. 2, appendix A.2), comma-separated:
//              E r/m, G reg, M memory only, R register in r/m, I immediate, J relative, O moffs, Z register in opcode,
//              S segment, C control, D debug, V/W/U xmm (reg, r/m, r/m register only), P/Q/N mmx (the same), X/Y string,
//              A far pointer, T x87 register in r/m; sizes b w d q v z y, s (descriptor table), dq (128), ps/pd (128),
//              ss (32), sd (64), p (far pointer in memory), t (80), a (BOUND); literal registers: AL CL DX rAX eAX AX 1.
//              sIb: byte immediate sign-extended to the operand size. Iq: 64 bits where the operand size is 64.
//   body       emits the semantics (semantics/*.ts); it never sees the opcode number.

import type { Body } from '../semantics/context.js';

/** CPUID feature names, as cpuid.ts knows them. */
export type FeatureName = string;

export interface RowOptions {
  /** Cycles, when not 1. */
  cost?: number;
  /** The instruction ends its block: it may change the flow, the mode, or needs the exact cycle. 'rep': when repeated. */
  ends?: boolean | 'rep';
  /** LOCK is allowed (with a memory destination). */
  lock?: boolean;
  /** Not in 64-bit mode / only there. */
  mode?: 'no64' | 'only64';
  /** Operand size in 64-bit mode: d64 defaults to 64 (66 gives 16), f64 always 64. v: varies though no operand says so. */
  size?: 'd64' | 'f64' | 'v';
  /** #UD unless the CPU model has this feature. */
  cpuid?: FeatureName;
  /** Flags left undefined, of "OSZAPC". */
  undefined?: string;
  /** REP prefixes are meaningful: 'rep' (F2 and F3 alike) or 'repz' (compare and scan). */
  rep?: 'rep' | 'repz';
  /** Variants by address size (implicit memory operands or rCX). */
  asize?: boolean;
  /** Memory operands of 16 bytes must be aligned (#GP). */
  aligned?: boolean;
  /** Inlined in the interpreter's dispatch. */
  hot?: boolean;
  /** Operand 0 is read and written in memory (translated for writing first). Default: derived from the body's use. */
  note?: string;
}

/** One instruction encoding. */
export interface Row {
  readonly encoding: string;
  readonly mnemonic: string;
  readonly operands: readonly Operand[];
  /** What follows from the operands. Rows with the same share it. */
  readonly shape: OperandShape;
  readonly body: Body;
  readonly options: RowOptions;
  /** No other row has it; small. */
  readonly id: number;
  // Parsed from `encoding`:
  readonly prefix: 'any' | 'NP' | '66' | 'F3' | 'F2';
  readonly map: 0 | 1 | 2 | 3;
  readonly opcode: number;
  readonly plusR: boolean;
  readonly modrmReg: number; // −1 = any
  readonly modrmByte: number; // −1 = any
  readonly form: 'both' | 'mem' | 'reg';
  readonly hasModrm: boolean;
  /** ModRM.mod is ignored, the operand is always a register (MOV to and from control and debug registers). */
  readonly ignoresMod: boolean;
}

// biome-ignore format: one line
export type OperandKind =
  | 'E' | 'G' | 'M' | 'R' | 'I' | 'sI' | 'J' | 'O' | 'Z' | 'S' | 'C' | 'D' | 'V' | 'W' | 'U' | 'P' | 'Q' | 'N' | 'X' | 'Y' | 'A' | 'T' | 'fixed';

export interface Operand {
  readonly text: string;
  readonly kind: OperandKind;
  /** Size code: b w d q v z y dq ps pd ss sd p t s a, or '' */
  readonly size: string;
  /** Register number of a literal register. */
  readonly fixed: number;
}

const FIXED: Record<string, [number, string]> = {
  AL: [0, 'b'],
  CL: [1, 'b'],
  AX: [0, 'w'],
  DX: [2, 'w'],
  eAX: [0, 'z'],
  rAX: [0, 'v'],
  '1': [-1, 'b'],
};

function parseOperand(text: string): Operand {
  const fixed = FIXED[text];
  if (fixed !== undefined) return { text, kind: 'fixed', size: fixed[1], fixed: fixed[0] };
  const signed = text.startsWith('sI');
  const kind = (signed ? 'sI' : text[0]) as OperandKind;
  return { text, kind, size: text.slice(signed ? 2 : 1), fixed: -1 };
}

const MODRM_KINDS = 'EGMRSCDVWUPQNT';

/** What follows from a row's operands alone. */
export interface OperandShape {
  readonly operands: readonly Operand[];
  /** One of them is in ModRM; is in memory only; is a register only; is a register whatever ModRM.mod says. */
  readonly modrm: boolean;
  readonly memory: boolean;
  readonly register: boolean;
  readonly ignoresMod: boolean;
  /** One of them differs by operand size; is relative to the next instruction. */
  readonly sized: boolean;
  readonly relative: boolean;
}

/** By operand codes: a process makes all rows when it starts, and few of them have codes of their own. */
const shapes = new Map<string, OperandShape>();

function shapeOf(codes: string): OperandShape {
  const known = shapes.get(codes);
  if (known !== undefined) return known;
  const operands = codes === '' ? [] : codes.split(',').map(parseOperand);
  const some = (kinds: string) => operands.some(({ kind }) => kind.length === 1 && kinds.includes(kind));
  const shape: OperandShape = {
    operands,
    modrm: some(MODRM_KINDS),
    memory: some('M'),
    register: some('RUNCDT'),
    ignoresMod: some('CD'),
    sized: operands.some(({ kind, size }) => kind === 'sI' || (size !== '' && 'vzy'.includes(size))),
    relative: some('J'),
  };
  shapes.set(codes, shape);
  return shape;
}

/** The same with all its properties, so that one hidden class serves all rows: the decoder reads them for each instruction. */
function uniform(given: RowOptions): RowOptions {
  const { cost, ends, lock, mode, size, cpuid, rep, asize, aligned, hot, note } = given;
  const all = { cost, ends, lock, mode, size, cpuid, undefined: given.undefined, rep, asize, aligned, hot, note };
  return all as RowOptions;
}

let made = 0;

/** Make a row; a malformed one throws when the tables are loaded. */
export function row(encoding: string, mnemonic: string, operands: string, body: Body, options: RowOptions = {}): Row {
  const m = /^(?:(NP|66|F3|F2) )?(0F38 |0F3A |0F )?([0-9A-F]{2})(\+r)?(?: \/(\d)| =([0-9A-F]{2}))?(?: ([mr]))?$/.exec(
    encoding,
  );
  if (m === null) throw new Error(`opcode row "${encoding}" does not parse`);
  const shape = shapeOf(operands);
  const hasModrm = m[5] !== undefined || m[6] !== undefined || m[7] !== undefined || shape.modrm;
  let form: Row['form'] = m[7] === 'm' ? 'mem' : m[7] === 'r' ? 'reg' : 'both';
  if (m[6] !== undefined) form = Number.parseInt(m[6], 16) >= 0xc0 ? 'reg' : 'mem';
  if (shape.memory) form = 'mem';
  if (shape.register) form = 'reg';
  return {
    encoding,
    mnemonic,
    operands: shape.operands,
    shape,
    body,
    options: uniform(options),
    id: made++,
    prefix: (m[1] as Row['prefix'] | undefined) ?? 'any',
    map: m[2] === undefined ? 0 : m[2] === '0F ' ? 1 : m[2] === '0F38 ' ? 2 : 3,
    opcode: Number.parseInt(m[3]!, 16),
    plusR: m[4] !== undefined,
    modrmReg: m[5] === undefined ? -1 : Number(m[5]),
    modrmByte: m[6] === undefined ? -1 : Number.parseInt(m[6], 16),
    form: hasModrm ? form : 'reg',
    hasModrm,
    ignoresMod: shape.ignoresMod,
  };
}
