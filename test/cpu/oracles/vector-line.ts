// A case and what silicon made of it as one line of JSON: what the oracle prints and found.jsonl keeps.
//
// Numbers are hexadecimal text, bytes are hexadecimal strings; an FXSAVE image is cut behind its last byte that is not
// zero. Memory after: the changed bytes of the data page, from the first to the last.

import { type HostCase, patchedPage } from './native-step.js';
import type { Bits, Outcome, Registers, Selectors } from './single-step.js';

interface State {
  readonly gpr: readonly string[];
  readonly rip: string;
  readonly eflags: string;
  readonly fx: string;
}

interface Line {
  /** What the case is about: a row, or a sentence. */
  readonly about: string;
  readonly bits: Bits;
  readonly code: string;
  readonly before: State;
  readonly selectors: Selectors;
  readonly bases: readonly [string, string];
  readonly patches: readonly (readonly [number, string])[];
  readonly vector: number;
  readonly error: number;
  readonly cr2: string;
  readonly after: State;
  readonly selectorsAfter: Selectors;
  readonly basesAfter: readonly [string, string];
  readonly memory: readonly [number, string];
}

const big = (value: bigint) => value.toString(16);
const parse = (text: string) => BigInt(`0x${text}`);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const bytes = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'));

const writeState = (registers: Registers): State => ({
  gpr: registers.gpr.map(big),
  rip: big(registers.rip),
  eflags: registers.eflags.toString(16),
  fx: hex(registers.fx.subarray(0, 416)).replace(/(00)+$/, ''),
});

function readState(state: State): Registers {
  const fx = new Uint8Array(512);
  fx.set(bytes(state.fx));
  return { gpr: state.gpr.map(parse), rip: parse(state.rip), eflags: Number.parseInt(state.eflags, 16), fx };
}

/** The line for a case; `about` names it. */
export function vectorLine(about: string, given: HostCase, wanted: Outcome): string {
  const before = patchedPage(given.patches);
  const differs = (byte: number, i: number) => byte !== before[i];
  const first = Math.max(0, wanted.memory.findIndex(differs));
  const last = wanted.memory.findLastIndex(differs);
  const line: Line = {
    about,
    bits: given.bits,
    code: hex(given.code),
    before: writeState(given.registers),
    selectors: given.selectors,
    bases: [big(given.fsBase), big(given.gsBase)],
    patches: given.patches.map((patch) => [patch.offset, hex(patch.bytes)]),
    vector: wanted.vector,
    error: wanted.error,
    cr2: big(wanted.cr2),
    after: writeState(wanted.registers),
    selectorsAfter: wanted.selectors,
    basesAfter: [big(wanted.fsBase), big(wanted.gsBase)],
    memory: [first, hex(wanted.memory.subarray(first, last + 1))],
  };
  return JSON.stringify(line);
}

/** The case and the outcome that a line stands for. */
export function readVectorLine(text: string): { about: string; given: HostCase; wanted: Outcome } {
  const line = JSON.parse(text) as Line;
  const given: HostCase = {
    bits: line.bits,
    code: bytes(line.code),
    registers: readState(line.before),
    selectors: line.selectors,
    fsBase: parse(line.bases[0]),
    gsBase: parse(line.bases[1]),
    patches: line.patches.map(([offset, data]) => ({ offset, bytes: bytes(data) })),
  };
  const memory = patchedPage(given.patches);
  memory.set(bytes(line.memory[1]), line.memory[0]);
  const wanted: Outcome = {
    vector: line.vector,
    error: line.error,
    cr2: parse(line.cr2),
    registers: readState(line.after),
    memory,
    steps: 0,
    selectors: line.selectorsAfter,
    fsBase: parse(line.basesAfter[0]),
    gsBase: parse(line.basesAfter[1]),
  };
  return { about: line.about, given, wanted };
}
