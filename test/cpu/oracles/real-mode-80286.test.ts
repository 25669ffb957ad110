// Real-mode instructions against an 80286: 9,502 cases of the SingleStepTests set. `npm run vectors` runs all of it.

import test from 'ava';
import { QEMU64_V1 } from '../../../src/cpu/cpuid.js';
import type { RealVector } from './moo.js';
import { describe, RealModeOracle } from './real-mode.js';
import type { RealRegister } from './single-step.js';
import { readVectors, vectorFile } from './vectors.js';

interface Line {
  /** Text and bytes of the instruction, with the HLT that follows. */
  readonly n: string;
  readonly b: string;
  /** State before, and what differs after. */
  readonly a: { readonly r: Record<RealRegister, number>; readonly m: [number, number][] };
  readonly z: { readonly r: Partial<Record<RealRegister, number>>; readonly m: [number, number][] };
  /** Exception taken: vector, and address of the FLAGS image that it pushed. */
  readonly x?: [number, number];
}

const vectorOf = ({ n, b, a, z, x }: Line): RealVector => ({
  name: n,
  bytes: Uint8Array.from(Buffer.from(b, 'hex')),
  before: { registers: a.r, memory: a.m },
  after: { registers: z.r, memory: z.m },
  ...(x === undefined ? {} : { exception: x[0] }),
});

const file = vectorFile('sst-80286-real-mode.jsonl.gz');
const withVectors = file === undefined ? test.skip : test;

withVectors('instructions in real mode do what an 80286 does', (t) => {
  const oracle = new RealModeOracle(QEMU64_V1, '80286');
  const wrong: string[] = [];
  const reasons = new Map<string, number>();
  const lines = readVectors<Line>(file!);
  for (const line of lines) {
    const vector = vectorOf(line);
    const verdict = oracle.judge(vector);
    if (verdict.found.length > 0) wrong.push(describe(vector, verdict));
    if (verdict.reason !== undefined) reasons.set(verdict.reason, (reasons.get(verdict.reason) ?? 0) + 1);
  }
  for (const [reason, n] of reasons) t.log(`${n}: ${reason}`);
  t.log(`${lines.length} cases`);
  t.true(lines.length > 9300);
  t.is(wrong.length, 0, wrong.slice(0, 5).join('\n'));
});
