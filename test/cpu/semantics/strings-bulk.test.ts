// REP MOVS and STOS by runs come out as by single iterations: the same program in one piece, where runs are as long as
// they can be, and with a stop after every cycle, where there are none. Pointers lie anywhere around the pages' ends,
// source and destination overlap in all ways, in both directions.

import test from 'ava';
import fc from 'fast-check';
import { QEMU64_V1 } from '../../../src/cpu/cpuid.js';
import { CODE, DATA, PAGE } from '../oracles/descriptor-tables.js';
import { type Case, DATA_AT, everyFeature, SingleStep } from '../oracles/single-step.js';

const MOVSB = 0xa4;
const STOSB = 0xaa;

/** REP and the operation, by width. */
const code = (stos: boolean, bytes: number, bits: 64 | 32): number[] => {
  const prefixes = bytes === 2 ? [0x66, 0xf3] : bytes === 8 && bits === 64 ? [0xf3, 0x48] : [0xf3];
  return [...prefixes, (stos ? STOSB : MOVSB) + (bytes === 1 ? 0 : 1)];
};

test('runs end as single iterations do, with the same registers, memory and cycles', (t) => {
  const step = new SingleStep(everyFeature(QEMU64_V1));
  const { cpu } = step;
  const memory = Uint8Array.from({ length: PAGE }, (_, i) => (i * 7) ^ (i >> 5));
  const outcome = (given: Case, slice: number): string => {
    step.prepare(given, 2);
    const [cycle, instructions] = [cpu.now, cpu.instructions];
    while (cpu.runUntil(cpu.now + slice).reason === 'until-cycle' && cpu.now < cycle + 20_000);
    const registers = Array.from({ length: 16 }, (_, n) => cpu.state.reg(n).toString(16)).join(' ');
    const counted = `${cpu.now - cycle} cycles, ${cpu.instructions - instructions} instructions`;
    return `${counted}\n${registers}\n${Buffer.from(cpu.physical.read(DATA_AT, PAGE)).toString('hex')}`;
  };
  const near = fc.oneof(fc.integer({ min: -64, max: PAGE + 64 }), fc.integer({ min: 100, max: 180 }));
  fc.assert(
    fc.property(
      fc.boolean(),
      fc.constantFrom(1, 2, 4, 8),
      fc.constantFrom<64 | 32>(64, 32),
      fc.boolean(),
      fc.tuple(near, near),
      fc.integer({ min: 0, max: 700 }),
      fc.constantFrom(0n, 0x1122_3344_5566_7788n),
      (stos, bytes, bits, down, [from, to], count, value) => {
        const gpr = new Array<bigint>(16).fill(0n);
        [gpr[0], gpr[1]] = [bits === 64 ? value : value & 0xffff_ffffn, BigInt(count)];
        [gpr[6], gpr[7]] = [BigInt(DATA + from), BigInt(DATA + to)];
        gpr[4] = BigInt(DATA + 0x800);
        const registers = { gpr, rip: BigInt(CODE + 0x200), eflags: down ? 0x400 : 0, fx: new Uint8Array(512) };
        const given: Case = { bits, code: Uint8Array.from(code(stos, bytes, bits)), memory, registers };
        t.is(outcome(given, 20_000), outcome(given, 1));
      },
    ),
    { numRuns: 150 },
  );
});
