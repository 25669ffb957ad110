// Cases from words: an opcode row, one encoding of it, and a state in which it has something to do.
//
// Every row of the instruction tables is drawn equally often, so a row is tested from the day it is written. Rows that
// an ordinary program on the host cannot run, or whose results are the host's own, are named in NOT_COMPARABLE.

import type { Row } from '../../../src/cpu/isa/row.js';
import { allRows } from '../../../src/cpu/isa/rows.js';
import { bytesOf, Choices, fxImage, integer, operandBytes } from './choices.js';
import { CODE, DATA, PAGE, segmentOf } from './descriptor-tables.js';
import { type Draft, encode, type Instruction, START, selector, target } from './instruction.js';
import type { HostCase, Patch } from './native-step.js';
import { type RowFinder, rowName, undefinedFlags } from './rows.js';
import type { Bits, Selectors } from './single-step.js';

/** Why rows of a mnemonic are not run on the host. */
export const NOT_COMPARABLE: Readonly<Record<string, string>> = {
  SYSCALL: 'calls the host kernel',
  SYSENTER: 'calls the host kernel',
  CPUID: 'the answer is the host model',
  RDTSC: 'the answer is host time',
  RDTSCP: 'the answer is host time',
  RDPMC: 'allowed or not by the host kernel',
  INT1: 'hypervisors deliver it as a fault',
  SGDT: 'emulated by the host kernel under UMIP',
  SIDT: 'emulated by the host kernel under UMIP',
  SLDT: 'emulated by the host kernel under UMIP',
  STR: 'emulated by the host kernel under UMIP',
  SMSW: 'emulated by the host kernel under UMIP',
  XGETBV: 'the answer is the host kernel configuration',
  XSAVE: 'the host has more state components',
  XRSTOR: 'the host has more state components',
  XSAVEOPT: 'the host has more state components',
};

/** Names of features in /proc/cpuinfo, where they are not ours. */
const HOST_FEATURES: Readonly<Record<string, string>> = {
  sse3: 'pni',
  'sse4.1': 'sse4_1',
  'sse4.2': 'sse4_2',
  lzcnt: 'abm',
  lahf: 'lahf_lm',
  monitor: '', // #UD at CPL 3 with and without
};

export interface GeneratedCase {
  readonly row: Row;
  readonly given: HostCase;
  readonly undefinedFlags: number;
  /** Linear address of the memory operand. */
  readonly operandAt?: number;
  readonly osize: number;
  readonly rex: number;
}

const PLAIN_FX = fxImage(new Choices([]));

/** Words of a case; more would not be looked at. */
export const WORDS = 256;

const STACK_ROWS = new Set(['RET', 'RETF', 'IRET', 'POP', 'POPF', 'LEAVE', 'POPA']);
const SELECTOR_ROWS = new Set(['LAR', 'LSL', 'VERR', 'VERW', 'LLDT', 'LTR', 'ARPL']);
const POINTER_ROWS = new Set(['LDS', 'LES', 'LSS', 'LFS', 'LGS', 'JMPF', 'CALLF']);
const NOT_IN_64 = new Set([0x62, 0xc4, 0xc5, 0x63]); // EVEX, VEX, MOVSXD there
const FAR_TRANSFERS = new Set(['JMPF', 'CALLF', 'RETF', 'IRET']);
const REPEAT = /^(MOVS|CMPS|STOS|LODS|SCAS|INS|OUTS)B?$/;
const CODE_SEGMENTS: Record<Bits, readonly number[]> = { 64: [0x33], 32: [0x23, 0x23, 0x23, 0x2f], 16: [0x07] };
const STACK_SEGMENTS = [0x2b, 0x2b, 0x2b, 0x0f, 0x0f, 0x17, 0x27, 0x47];
const DATA_SEGMENTS = [0x2b, 0x2b, 0x2b, 0x0f, 0x0f, 0x17, 0x1f, 0x27, 0x07, 0x47, 0];

export class CaseGenerator {
  /** Rows that cases are made of. */
  rows: readonly Row[];
  /** Rows left out because the host has no such instruction. */
  readonly absent: readonly string[];

  constructor(
    private readonly finder: RowFinder,
    hostFeatures: ReadonlySet<string>,
  ) {
    const onHost = (row: Row) => {
      const feature = row.options.cpuid;
      const name = feature === undefined ? '' : (HOST_FEATURES[feature] ?? feature);
      return name === '' || hostFeatures.has(name);
    };
    const runnable = allRows.filter((row) => NOT_COMPARABLE[row.mnemonic] === undefined);
    this.rows = runnable.filter(onHost);
    this.absent = runnable.filter((row) => !onHost(row)).map(rowName);
  }

  /** The case that the words stand for; undefined when the bytes came out as another row's. */
  make(words: ArrayLike<number>): GeneratedCase | undefined {
    const c = new Choices(words);
    const row = this.rows[c.below(this.rows.length)]!;
    const bits = chooseBits(c, row);
    const draft = makeDraft(c, row, bits);
    if (bits !== 64) for (let n = 0; n < 16; n++) draft.gpr[n] = n < 8 ? BigInt.asUintN(32, draft.gpr[n]!) : 0n;
    const instruction = encode(c, row, draft);
    const found = this.finder.find(instruction.code, bits);
    const wrongMode = bits === 64 ? row.options.mode === 'no64' : row.options.mode === 'only64';
    const meantToFail = instruction.locked || wrongMode || instruction.code.length > 14;
    if (found !== row && !(found === undefined && meantToFail)) return undefined;
    // How much of an undefined instruction is fetched is nobody's business.
    if (found === undefined && (!instruction.locked || wrongMode) && instruction.offset !== START) return undefined;
    const patches = makePatches(c, row, draft, instruction);
    const base = (draft.selectors[1] & 4) !== 0 ? 0 : CODE;
    const usesFx =
      row.options.cpuid !== undefined || row.operands.some((o) => 'TVWUPQN'.includes(o.kind)) || isX87(row);
    return {
      row,
      undefinedFlags: undefinedFlags(row),
      osize: instruction.osize,
      rex: instruction.rex,
      ...(instruction.operandAt === undefined ? {} : { operandAt: instruction.operandAt }),
      given: {
        bits,
        code: instruction.code,
        registers: {
          gpr: draft.gpr,
          rip: BigInt(base + instruction.offset),
          eflags: (c.u32() & 0x8d5) | (c.chance(15) ? 0x400 : 0) | (c.chance(5) ? 0x4_0000 : 0),
          fx: usesFx || c.chance(3) ? fxImage(c) : PLAIN_FX,
        },
        selectors: draft.selectors,
        fsBase: draft.fsBase,
        gsBase: draft.gsBase,
        patches,
      },
    };
  }
}

const isX87 = (row: Row) => row.map === 0 && ((row.opcode & 0xf8) === 0xd8 || row.opcode === 0x9b);

function chooseBits(c: Choices, row: Row): Bits {
  const wrong = c.chance(2) && !(row.map === 0 && (NOT_IN_64.has(row.opcode) || (row.opcode & 0xf0) === 0x40));
  const all: readonly Bits[] =
    row.options.mode === 'no64' ? (wrong ? [64] : [32, 16]) : row.options.mode === 'only64' ? [64] : [64, 32, 64, 16];
  return c.pick(all);
}

function makeDraft(c: Choices, row: Row, bits: Bits): Draft {
  const gpr = Array.from({ length: 16 }, () => integer(c));
  if (c.chance(20)) gpr[c.below(16)] = gpr[c.below(16)]!;
  const far = c.chance(50);
  const data = (): number => (bits === 64 ? (far ? selectorFor64(c) : 0x2b) : far ? c.pick(DATA_SEGMENTS) : 0x2b);
  const selectors: Selectors = [
    data(),
    c.pick(CODE_SEGMENTS[bits]),
    // Linux leaks upper halves of RSP into code with a 16-bit stack (espfix): far transfers to 64-bit code would use them.
    bits === 64 || FAR_TRANSFERS.has(row.mnemonic) || c.chance(40) ? 0x2b : c.pick(STACK_SEGMENTS),
    data(),
    bits === 64 ? 0 : data(),
    bits === 64 ? 0 : data(),
  ];
  const segmentBase = () => c.pick([0n, BigInt(DATA), 0x1000n, BigInt(DATA) + 0x7f9n, 0xffff_ffff_ffff_f000n]);
  const draft: Draft = {
    bits,
    gpr,
    selectors,
    fsBase: bits === 64 ? segmentBase() : 0n,
    gsBase: bits === 64 ? segmentBase() : 0n,
  };
  const pointer = (n: number, segment: number, bytes: number) => {
    const base = bits === 64 ? 0 : (segmentOf(selectors[segment]!)?.base ?? 0);
    gpr[n] = BigInt.asUintN(bits === 64 ? 64 : 32, BigInt(target(c, bytes) - base));
  };
  if (c.chance(75)) pointer(6, 3, 8);
  if (c.chance(75)) pointer(7, 0, 16);
  if (c.chance(row.mnemonic === 'XLAT' ? 75 : 20)) pointer(3, 3, 1);
  pointer(5, 2, 8);
  const stack = DATA + (c.chance(85) ? 0x400 + 8 * c.below(0x100) : c.below(PAGE + 8));
  gpr[4] = BigInt(stack - (bits === 64 ? 0 : (segmentOf(selectors[2])?.base ?? 0))) & 0xffff_ffffn;
  if (REPEAT.test(row.mnemonic) || c.chance(40)) gpr[1] = c.chance(2) ? gpr[1]! : BigInt(c.below(40));
  if (row.mnemonic.endsWith('DIV') && c.chance(60)) gpr[2] = c.pick([0n, 0xffff_ffff_ffff_ffffn, gpr[2]! & 0xffn]);
  return draft;
}

const selectorFor64 = (c: Choices) => c.pick([0x2b, 0, 0x0f, 0x1f]);

function makePatches(c: Choices, row: Row, draft: Draft, instruction: Instruction): Patch[] {
  const patches: Patch[] = [];
  const { gpr, bits } = draft;
  const put = (linear: number, bytes: Uint8Array) => {
    const offset = linear - DATA;
    if (offset < 0 || offset >= PAGE) return;
    patches.push({ offset, bytes: bytes.subarray(0, Math.min(28, PAGE - offset)) });
  };
  const slot = instruction.osize / 8;
  const codeAt = () => BigInt(((draft.selectors[1] & 4) !== 0 ? 0 : CODE) + c.below(PAGE));
  const { operandAt, register } = instruction;
  if (operandAt !== undefined) {
    if (POINTER_ROWS.has(row.mnemonic)) {
      const bytes = new Uint8Array(slot + 2);
      bytes.set(bytesOf(codeAt(), slot));
      bytes.set(bytesOf(BigInt(selector(c)), 2), slot);
      put(operandAt, bytes);
    } else if (SELECTOR_ROWS.has(row.mnemonic) || row.operands.some((o) => o.kind === 'S')) {
      put(operandAt, bytesOf(BigInt(selector(c)), 2));
    } else if (row.mnemonic === 'LDMXCSR' || row.mnemonic === 'FXRSTOR' || row.mnemonic === 'FLDENV') {
      const image = fxImage(c);
      if (c.chance(5)) image[26] = 1;
      put(operandAt, row.mnemonic === 'LDMXCSR' ? image.subarray(24, 28) : image.subarray(0, 28));
    } else if (row.mnemonic === 'JMP' || row.mnemonic === 'CALL') {
      put(operandAt, bytesOf(c.chance(80) ? codeAt() : integer(c), slot));
    } else if (c.chance(90)) {
      const bytes = operandBytes(c);
      if (c.chance(15)) bytes.set(bytesOf(gpr[0]!, 8));
      put(operandAt, bytes);
    }
  } else if (register !== undefined) {
    if (SELECTOR_ROWS.has(row.mnemonic) || row.operands.some((o) => o.kind === 'S')) {
      gpr[register] = (gpr[register]! & ~0xffffn) | BigInt(selector(c));
    } else if (row.mnemonic === 'JMP' || row.mnemonic === 'CALL') {
      if (c.chance(80)) gpr[register] = codeAt();
    }
  }
  const linear = (n: number, segment: number) =>
    Number(BigInt.asUintN(32, gpr[n]!)) + (bits === 64 ? 0 : (segmentOf(draft.selectors[segment]!)?.base ?? 0));
  if (STACK_ROWS.has(row.mnemonic)) putFrame(c, row, linear(row.mnemonic === 'LEAVE' ? 5 : 4, 2), slot, codeAt, put);
  if (REPEAT.test(row.mnemonic)) {
    const bytes = operandBytes(c);
    put(linear(6, 3), bytes);
    put(linear(7, 0), c.chance(50) ? bytes : operandBytes(c));
  }
  return patches.slice(0, 6);
}

/** What RET, RETF, IRET and the POPs find on the stack: IP, CS, flags, SP, SS in slots; or a selector to pop. */
function putFrame(
  c: Choices,
  row: Row,
  at: number,
  slot: number,
  codeAt: () => bigint,
  put: (linear: number, bytes: Uint8Array) => void,
): void {
  const isPop = row.mnemonic === 'POP';
  const cs = selector(c);
  const codeBase = segmentOf(cs)?.base === CODE ? CODE : 0;
  const ip = c.chance(80) ? (row.mnemonic === 'RET' ? codeAt() : BigInt(CODE - codeBase + c.below(PAGE))) : integer(c);
  const flags = BigInt(c.u32() & 0x24_0fd7);
  const slots = isPop
    ? [BigInt(cs)]
    : [ip, BigInt(cs), flags, BigInt(DATA + 0x400 + c.below(0x400)), BigInt(selector(c))];
  if (row.mnemonic === 'POPF') slots[0] = flags;
  slots.forEach((value, i) => {
    if (i < 5) put(at + i * slot, bytesOf(BigInt.asUintN(slot * 8, value), slot));
  });
}
