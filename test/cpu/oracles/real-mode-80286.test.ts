// Real-mode instructions against an 80286: SingleStepTests vectors, registers, flags and memory of 9,502 cases.
//
// What an 80286 does differently from the processor modelled here, and is not compared:
//  - FLAGS bits 12–15 are 0 in real mode; later processors keep IOPL and NT there (SDM vol. 3B, 23.16.1);
//  - LOCK is accepted before every instruction; later it is #UD but for the listed ones (SDM vol. 3B, 23.27.5);
//  - flags that the manual leaves undefined, by each opcode row.

import test from 'ava';
import { QEMU64_V1 } from '../../../src/cpu/cpuid.js';
import { RowFinder, undefinedFlags } from './rows.js';
import { type RealRegister, SingleStep } from './single-step.js';
import { readVectors, vectorFile } from './vectors.js';

interface Vector {
  /** Text and bytes of the instruction, with the HLT that follows. */
  readonly n: string;
  readonly b: string;
  /** State before, and what differs after. */
  readonly a: { readonly r: Record<RealRegister, number>; readonly m: [number, number][] };
  readonly z: { readonly r: Partial<Record<RealRegister, number>>; readonly m: [number, number][] };
  /** Exception taken: vector, and address of the FLAGS image that it pushed. */
  readonly x?: [number, number];
}

const FLAGS = 0xfd5;
const KEPT_FLAGS = 0xfff;
const file = vectorFile('sst-80286-real-mode.jsonl.gz');
const withVectors = file === undefined ? test.skip : test;

withVectors('instructions in real mode do what an 80286 does', (t) => {
  const machine = new SingleStep(QEMU64_V1);
  const finder = new RowFinder(QEMU64_V1);
  const differences: string[] = [];
  let compared = 0;
  for (const vector of readVectors<Vector>(file!)) {
    const row = finder.find(Buffer.from(vector.b, 'hex'), 16);
    if (row === undefined && vector.b.includes('f0')) continue; // LOCK where it is #UD
    compared++;
    const undefinedBits = undefinedFlags(row);
    const before = { ...vector.a.r, flags: vector.a.r.flags & KEPT_FLAGS };
    const expected = { ...before, ...vector.z.r };
    const memory = new Map([...vector.a.m, ...vector.z.m]);
    let wrong = '';
    try {
      const after = machine.runReal(before, vector.a.m);
      for (const [name, value] of Object.entries(expected) as [RealRegister, number][]) {
        const mask = name === 'flags' ? FLAGS & ~undefinedBits : 0xffff;
        const got = after.registers[name];
        if ((got & mask) !== (value & mask)) wrong += ` ${name} ${got.toString(16)} for ${value.toString(16)}`;
      }
      const image = vector.x?.[1];
      for (const [address, value] of memory) {
        let mask = 0xff;
        if (address === image) mask &= ~undefinedBits;
        if (address - 1 === image) mask &= (KEPT_FLAGS & ~undefinedBits) >> 8;
        const got = after.byte(address);
        if ((got & mask) !== (value & mask)) {
          wrong += ` [${address.toString(16)}] ${got.toString(16)} for ${value.toString(16)}`;
        }
      }
    } catch (error) {
      wrong = ` ${String(error)}`;
    }
    machine.clearReal(memory.keys());
    if (wrong !== '') differences.push(`${vector.n} (${vector.b}) with ${JSON.stringify(vector.a)}:${wrong}`);
  }
  t.log(`${compared} cases`);
  t.true(compared > 9300);
  t.is(differences.length, 0, differences.slice(0, 5).join('\n'));
});
