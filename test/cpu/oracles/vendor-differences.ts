// Where processors differ from each other, so that the host cannot judge the model, or only in part.
//
// The model follows Intel's manual and the vectors of an Intel processor (intel.test.ts). A difference either makes a
// case incomparable or relaxes what is compared. None of them is about a flag that an opcode row leaves undefined.

import type { GeneratedCase } from './case-generator.js';
import type { Tolerance } from './compare.js';
import { PAGE, segmentOf } from './descriptor-tables.js';
import type { Outcome } from './single-step.js';

export interface Difference {
  readonly name: string;
  /** Whether it concerns this case; `wanted` is what the host made of it. */
  applies(generated: GeneratedCase, wanted: Outcome): boolean;
  /** What is compared all the same; nothing when absent. */
  readonly relaxed?: Partial<Tolerance>;
}

const DONE = 1;
const PAGE_FAULT = 14;
/** The L attribute of a code segment. */
const LONG_CODE = 0x2000;
const ARITHMETIC = 0x8d5;
const named = (...mnemonics: string[]) => {
  const set = new Set(mnemonics);
  return (generated: GeneratedCase) => set.has(generated.row.mnemonic);
};
/** All pairs of these vectors: which of several faults comes first is not compared. */
const anyOf = (...vectors: number[]) => vectors.flatMap((a) => vectors.map((b): [number, number] => [a, b]));
const hasRexW = ({ given, rex }: GeneratedCase) => given.bits === 64 && (rex & 8) !== 0;
/** Of an opcode after 0F: no prefix has that byte. */
const isLocked = ({ given }: GeneratedCase) => given.code.subarray(0, given.code.indexOf(0x0f)).includes(0xf0);
const compares = named('CMPS', 'CMPSB', 'SCAS', 'SCASB');
const farPointers = named('LDS', 'LES', 'LSS', 'LFS', 'LGS', 'JMPF', 'CALLF');
const bounds = named('BOUND');
const images = named('FXSAVE', 'FXRSTOR', 'FNSAVE', 'FRSTOR', 'FNSTENV', 'FLDENV');
const comparesFlags = named('FCOMI', 'FCOMIP', 'FUCOMI', 'FUCOMIP');

/** Results that the manuals leave undefined, on any processor. */
const UNDEFINED: readonly Difference[] = [
  {
    name: 'SHLD and SHRD of 16 bits by more than 16 (SDM vol. 2, SHLD)',
    applies: ({ row, osize, given }) => {
      if (osize !== 16 || (row.mnemonic !== 'SHLD' && row.mnemonic !== 'SHRD')) return false;
      const immediate = row.operands[2]!.kind === 'I';
      const count = immediate ? given.code[given.code.length - 1]! : Number(given.registers.gpr[1]! & 0xffn);
      return (count & 31) > 16;
    },
  },
  {
    name: '#AC or #GP for a misaligned FXSAVE image (SDM vol. 2, FXSAVE)',
    applies: named('FXSAVE', 'FXRSTOR'),
    relaxed: { vectors: [[13, 17]] },
  },
  {
    name: 'upper halves of registers after 64-bit mode was left (SDM vol. 1, 3.4.1.1)',
    applies: ({ given }, { selectors }) =>
      given.bits === 64 && ((segmentOf(selectors[1])?.attributes ?? 0) & LONG_CODE) === 0,
    relaxed: { registerMask: 0xffff_ffffn },
  },
  {
    name: 'registers after a POPA that faults (SDM vol. 3A, 6.5)',
    applies: ({ row }, { vector }) => row.mnemonic === 'POPA' && vector !== DONE,
    relaxed: { registerMask: 0n },
  },
  {
    name: 'bits 16-19 of what LAR gives (SDM vol. 2, LAR)',
    applies: named('LAR'),
    relaxed: { registerMask: ~0xf_0000n },
  },
];

const AMD: readonly Difference[] = [
  {
    name: 'RCPPS and RSQRTPS approximate by tables of their own (SDM vol. 2, RCPPS)',
    applies: named('RCPPS', 'RCPSS', 'RSQRTPS', 'RSQRTSS'),
  },
  {
    name: 'MASKMOVQ and MASKMOVDQU check all bytes, chosen or not (SDM vol. 2, MASKMOVDQU)',
    applies: (generated, { vector }) => generated.row.mnemonic.startsWith('MASKMOV') && vector !== DONE,
  },
  {
    name: 'FCOMI and its kin leave C1 alone and clear OF, SF and AF',
    applies: comparesFlags,
    relaxed: { status: 0x0200, undefinedFlags: 0x890 },
  },
  {
    name: 'FCOMI and its kin set EFLAGS though #IA or #D is unmasked (SDM vol. 2, FCOMI)',
    applies: (generated) => comparesFlags(generated) && (generated.given.registers.fx[0]! & 3) !== 3,
    relaxed: { undefinedFlags: ARITHMETIC },
  },
  {
    name: 'CMPS reads the first operand first, and the flags of REP CMPS and SCAS follow each iteration',
    applies: (generated, { vector }) => compares(generated) && vector !== DONE,
  },
  {
    name: 'REX.W does not widen far pointers (APM vol. 3, JMP far, LSS)',
    applies: (generated) => farPointers(generated) && hasRexW(generated),
  },
  {
    name: 'a far pointer is read in two parts, each checked by itself, and so are the limits of BOUND',
    applies: (generated, { vector }) => (farPointers(generated) || bounds(generated)) && vector !== DONE,
  },
  {
    name: 'x87 and FXSAVE images are checked from their last byte on',
    applies: (generated, { vector }) => images(generated) && vector !== DONE,
    relaxed: { address: true, error: true, vectors: anyOf(12, 13, 14, 17) },
  },
  {
    name: 'IRET reads a frame that crosses a page in an order of its own, SS:ESP included, and before it checks CS',
    applies: ({ row }, { vector }) => row.mnemonic === 'IRET' && vector === PAGE_FAULT,
    relaxed: { address: true, vectors: anyOf(11, 13, 14).filter(([, wanted]) => wanted === PAGE_FAULT) },
  },
  {
    name: 'RETF reads the outer stack pointer before it checks CS',
    applies: ({ row }, { vector }) => row.mnemonic === 'RETF' && vector !== DONE,
  },
  {
    name: 'a call pushes before it checks the target against the segment',
    applies: ({ row }, { vector }) => vector !== DONE && (row.mnemonic === 'CALLF' || row.mnemonic === 'CALL'),
  },
  {
    name: 'an 80-bit operand is accessed in two parts, each checked by itself',
    applies: ({ row }, { vector }) => row.operands.some((operand) => operand.size === 't') && vector !== DONE,
  },
  {
    name: 'LOCK MOV CR0 reaches CR8 (APM vol. 3, MOV CRn)',
    applies: ({ row }) => row.operands.some((operand) => operand.kind === 'C'),
    relaxed: { vectors: [[6, 13]] },
  },
  {
    name: 'LOCK VERW with a memory operand is executed where microcode makes VERW clear buffers (Zen 4, 0x1000065)',
    applies: (generated) => generated.row.mnemonic === 'VERW' && isLocked(generated),
  },
  {
    name: 'F3 makes LOOPNE wait for ZF = 0 to end, F2 LOOPE for ZF = 1',
    applies: ({ row, given }) =>
      (row.mnemonic === 'LOOPE' || row.mnemonic === 'LOOPNE') &&
      given.code.some((byte) => byte === 0xf2 || byte === 0xf3),
  },
  {
    name: 'the alignment of SSE operands is checked before the limit of the stack segment',
    applies: ({ row, given }) =>
      given.bits !== 64 && (row.options.aligned === true || row.mnemonic === 'FXSAVE' || row.mnemonic === 'FXRSTOR'),
    relaxed: { vectors: [[12, 13]] },
  },
  {
    name: 'a conditional branch that ends at the limit of its segment faults once it is predicted as taken',
    applies: ({ row, given }) =>
      row.operands[0]?.kind === 'J' &&
      (given.selectors[1] & 4) !== 0 &&
      Number(given.registers.rip) + given.code.length === PAGE,
    relaxed: { vectors: [[1, 13]] },
  },
  {
    name: 'an access over the end of 4 GiB is outside its segment',
    applies: ({ given }, { vector }) => given.bits !== 64 && (vector === 12 || vector === 13),
    relaxed: { vectors: anyOf(12, 13, 14, 17).filter(([, wanted]) => wanted < 14) },
  },
];

/** All differences that concern a case on a host of this vendor. */
export function differencesThatApply(generated: GeneratedCase, wanted: Outcome, vendor: string): Difference[] {
  const list = vendor === 'AuthenticAMD' ? [...UNDEFINED, ...AMD] : UNDEFINED;
  return list.filter((difference) => difference.applies(generated, wanted));
}

/** What is compared under all of them together; undefined when that is nothing. */
export function relax(applied: readonly Difference[], strict: Tolerance): Tolerance | undefined {
  let result = strict;
  for (const { relaxed } of applied) {
    if (relaxed === undefined) return undefined;
    result = {
      ...result,
      ...relaxed,
      undefinedFlags: result.undefinedFlags | (relaxed.undefinedFlags ?? 0),
      vectors: [...(result.vectors ?? []), ...(relaxed.vectors ?? [])],
    };
  }
  return result;
}
