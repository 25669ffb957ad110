// Mistakes that the oracles found, as the shortest cases that show them, with what silicon did: they run on any host.
//
// A line that host.test.ts or scripts/oracle.ts prints can be added to found.jsonl as it is. Lines hold results that
// the manuals define: what vendors differ in does not belong there.

import { readFileSync } from 'node:fs';
import test from 'ava';
import { QEMU64_V1 } from '../../../src/cpu/cpuid.js';
import { differences } from './compare.js';
import { modelCase } from './native-step.js';
import { RowFinder, undefinedFlags } from './rows.js';
import { everyFeature, SingleStep } from './single-step.js';
import { readVectorLine, vectorLine } from './vector-line.js';

const lines = readFileSync(new URL('found.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n');
const model = everyFeature(QEMU64_V1);

test('what the oracles found stays mended', (t) => {
  const machine = new SingleStep(model);
  const finder = new RowFinder(model);
  for (const line of lines) {
    const { about, given, wanted } = readVectorLine(line);
    const row = finder.find(given.code, given.bits);
    const got = machine.run(modelCase(given));
    const registerBits = given.bits === 64 ? 64 : 32;
    const found = differences(row, got, wanted, { undefinedFlags: undefinedFlags(row), registerBits, segments: true });
    t.deepEqual(found, [], about);
  }
});

test('a vector line reads back as what was written', (t) => {
  for (const line of lines) {
    const { about, given, wanted } = readVectorLine(line);
    t.is(vectorLine(about, given, wanted), line);
  }
});

test('a wrong register, flag, byte or vector is noticed', (t) => {
  const { given, wanted } = readVectorLine(lines[0]!);
  const tolerance = { undefinedFlags: 0, registerBits: 64, segments: true } as const;
  const { registers } = wanted;
  const gpr = registers.gpr.map((value, n) => (n === 9 ? value ^ 1n : value));
  const fx = Uint8Array.from(registers.fx, (byte, i) => (i === 160 ? byte ^ 1 : byte));
  const memory = Uint8Array.from(wanted.memory, (byte, i) => (i === 5 ? byte ^ 1 : byte));
  t.is(differences(undefined, wanted, wanted, tolerance).length, 0);
  for (const wrong of [
    { ...wanted, registers: { ...registers, gpr } },
    { ...wanted, registers: { ...registers, fx } },
    { ...wanted, registers: { ...registers, eflags: registers.eflags ^ 1 } },
    { ...wanted, memory },
    { ...wanted, vector: 6 },
    { ...wanted, selectors: [0x17, 0x33, 0x2b, 0x2b, 0, 0] as const },
  ]) {
    t.is(differences(undefined, wrong, wanted, tolerance).length, 1, given.code.toString());
  }
});
