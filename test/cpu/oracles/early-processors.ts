// What an 80286 or an 8086 does otherwise than the processor modelled here, which is a later one. A case that differs is
// excused only by an entry that concerns it, and what the entry does not name is compared all the same.
//
// Not listed, because it is never compared: FLAGS bits 12-15, which an 8086 sets, an 80286 clears in real mode, and later
// processors keep (SDM vol. 3B, 23.16.1); flags that the opcode row leaves undefined; in images of FLAGS, too.

import type { Row } from '../../../src/cpu/isa/row.js';
import type { RealVector } from './moo.js';
import type { RealRegister } from './single-step.js';

export type EarlyProcessor = '80286' | '8086';

export interface RealCase {
  readonly vector: RealVector;
  /** Without LOCK; undefined when the model has no such instruction. */
  readonly row: Row | undefined;
  readonly prefixes: readonly number[];
  readonly opcode: number;
  /** The byte behind the opcode: ModRM, where there is one. */
  readonly modrm: number;
  /** The exception that the model took, where the case tells (an 8086's does). */
  readonly raised: number | undefined;
}

export interface Relaxed {
  /** Registers that are not compared, or bits of them that are. */
  readonly registers?: Readonly<Partial<Record<RealRegister, number>>>;
  /** Bytes that are not compared: none of them, or those of the return address that an exception pushes. */
  readonly memory?: 'all' | 'return-address';
}

export interface EarlyDifference {
  readonly name: string;
  applies(real: RealCase): boolean;
  /** What is compared all the same, of the case without LOCK and with interrupt 12 as 13; nothing when absent. */
  readonly relaxed?: Relaxed;
}

const LOCK = 0xf0;
const FAULTY = new Set([
  '7df1d2a948c416f5a4416e2f747d2d357d497570',
  'ba5bb16b5a4306333a359c3abd2169b871ffa42c',
  'ab0cea0f2b89ae469a98eaf20dedc9ff2ca08c91',
]);
const GP = 13;
const reg = (real: RealCase) => (real.modrm >> 3) & 7;
const one = (...mnemonics: string[]) => {
  const set = new Set(mnemonics);
  return ({ row }: RealCase) => row !== undefined && set.has(row.mnemonic);
};
const isString = one('MOVS', 'CMPS', 'STOS', 'LODS', 'SCAS', 'INS', 'OUTS');
const isEscape = ({ opcode }: RealCase) => (opcode & 0xf8) === 0xd8;
const hasTwoWords = one('BOUND', 'LES', 'LDS', 'CALLF', 'JMPF');
const isDivision = one('DIV', 'IDIV', 'AAM');
/** Length without the HLT that follows. */
const length = ({ vector }: RealCase) => vector.bytes.length - 1;
const pushesFrame = ({ vector: { before, after } }: RealCase) =>
  after.registers.sp === ((before.registers.sp - 6) & 0xffff);
const repeats = ({ prefixes }: RealCase) => prefixes.some((prefix) => prefix === 0xf2 || prefix === 0xf3);

const I80286: readonly EarlyDifference[] = [
  {
    name: 'LOCK is accepted before every instruction (SDM vol. 2, LOCK)',
    applies: ({ prefixes }) => prefixes.includes(LOCK),
    relaxed: {},
  },
  {
    name: 'instructions of more than 10 bytes are invalid (SDM vol. 2, 2.3.11: 15 bytes)',
    // Of what is no instruction anyway, the set has the bytes up to ModRM: displacement and immediate may follow.
    applies: (real) =>
      real.vector.exception !== undefined &&
      (length(real) > 10 || (real.row === undefined && real.vector.exception === GP && real.prefixes.length > 4)),
  },
  {
    name: 'there are no FS and GS (SDM vol. 3B, 23.13)',
    applies: (real) => (real.opcode === 0x8c || real.opcode === 0x8e) && reg(real) >= 4,
  },
  {
    name: 'a word at offset FFFF is interrupt 13 on the stack, too (SDM vol. 3A, 6.15, interrupt 12)',
    applies: ({ vector }) => vector.exception === GP,
    relaxed: {},
  },
  {
    name: 'a string instruction that faults leaves SI, DI and CX changed (SDM vol. 3A, 6.6)',
    applies: (real) => isString(real) && real.vector.exception === GP,
    relaxed: { registers: { si: 0, di: 0, cx: 0 } },
  },
  {
    name: 'CMPS and SCAS that fault in a REP keep the flags of the last iteration (SDM vol. 2, REP)',
    applies: (real) => one('CMPS', 'SCAS')(real) && repeats(real) && real.vector.exception === GP,
    relaxed: { registers: { si: 0, di: 0, cx: 0, flags: 0 }, memory: 'all' },
  },
  {
    name: 'POP into memory that faults leaves SP incremented (SDM vol. 3A, 6.6)',
    applies: (real) => one('POP')(real) && real.vector.exception === GP,
    relaxed: { registers: { sp: 0 }, memory: 'all' },
  },
  {
    name: 'the second word of an operand at offset FFFE lies at offset 0 (SDM vol. 3B, 20.1.1)',
    applies: hasTwoWords,
  },
  {
    name: 'there is no coprocessor (SDM vol. 3A, 2.5)',
    applies: isEscape,
  },
  {
    name: 'AAM by 0 changes flags, too (SDM vol. 2, AAM)',
    applies: (real) => one('AAM')(real) && pushesFrame(real),
    relaxed: { registers: { flags: 0 }, memory: 'all' },
  },
  {
    name: 'IDIV of a word by a byte overlooks some quotients that do not fit (SDM vol. 2, IDIV)',
    applies: (real) => real.opcode === 0xf6 && one('IDIV')(real) && real.vector.exception === undefined,
  },
  {
    name: 'faulty vectors: an interrupt pushes SS in the place of CS, in three cases of the set',
    applies: ({ vector }) => FAULTY.has(vector.hash ?? ''),
    relaxed: { memory: 'all' },
  },
];

/** Opcodes that Intel defined later, or never: an 8086 has no invalid ones, it decodes fewer bits. */
function isLater(real: RealCase): boolean {
  const { opcode } = real;
  if ((opcode & 0xf0) === 0x60 || [0xc0, 0xc1, 0xc8, 0xc9].includes(opcode)) return true;
  if (opcode >= 0xd0 && opcode <= 0xd3) return reg(real) === 6;
  if ([0x8f, 0xc6, 0xc7].includes(opcode)) return reg(real) !== 0;
  if (opcode === 0x8c || opcode === 0x8e) return reg(real) >= 4 || (opcode === 0x8e && reg(real) === 1);
  return opcode === 0xff && reg(real) === 7;
}

const I8086: readonly EarlyDifference[] = [
  { name: 'opcodes that mean something else, or nothing, later (SDM vol. 3B, 23.13 and 23.15)', applies: isLater },
  { name: 'there is no coprocessor (SDM vol. 3A, 2.5)', applies: isEscape },
  {
    name: 'PUSH SP pushes the decremented value (SDM vol. 2, PUSH)',
    applies: ({ opcode, modrm }) => opcode === 0x54 || (opcode === 0xff && modrm === 0xf4),
    relaxed: { memory: 'all' },
  },
  {
    name: 'shift and rotate counts are not masked to 5 bits (SDM vol. 2, SAL)',
    applies: ({ opcode, vector }) => (opcode === 0xd2 || opcode === 0xd3) && (vector.before.registers.cx & 0xff) > 31,
  },
  {
    name: 'REP changes the sign of what IDIV gives (SDM vol. 2, REP: undefined)',
    applies: (real) => one('IDIV')(real) && repeats(real),
  },
  {
    name: 'a divide error pushes the address of the next instruction (SDM vol. 3A, 6.15, interrupt 0)',
    applies: (real) => isDivision(real) && pushesFrame(real),
    relaxed: { memory: 'return-address' },
  },
  {
    name: 'AAM by 0 changes flags, too (SDM vol. 2, AAM)',
    applies: (real) => one('AAM')(real) && pushesFrame(real),
    relaxed: { registers: { flags: 0 }, memory: 'all' },
  },
  {
    name: 'a quotient of -128 or -32768 is a divide error (SDM vol. 2, IDIV)',
    applies: (real) => one('IDIV')(real) && pushesFrame(real),
  },
  {
    name: 'AAA and AAS carry from AL into AH (SDM vol. 2, AAA)',
    applies: one('AAA', 'AAS'),
    relaxed: { registers: { ax: 0xff } },
  },
  {
    name: 'DAA and DAS, when AF is set, compare AL with 9F, not 99, and carry in one step only (SDM vol. 2, DAA, DAS)',
    applies: (real) => {
      const { ax, flags } = real.vector.before.registers;
      const al = ax & 0xff;
      return one('DAA', 'DAS')(real) && (flags & 0x10) !== 0 && ((al > 0x99 && al <= 0x9f) || al < 6);
    },
  },
  {
    name: 'an instruction or an operand runs on at offset 0 behind FFFF (SDM vol. 3B, 20.1.1)',
    applies: ({ raised, vector: { before, bytes } }) => {
      const { ip, sp } = before.registers;
      // With SP odd and below 6 the fault itself cannot be pushed.
      return raised === 12 || raised === GP || ip + bytes.length > 0x1_0000 || (sp < 6 && (sp & 1) !== 0);
    },
  },
];

export const DIFFERENCES: Readonly<Record<EarlyProcessor, readonly EarlyDifference[]>> = {
  '80286': I80286,
  '8086': I8086,
};
