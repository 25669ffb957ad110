// The soft float engine against the FPU of the machine the test runs on. FLOAT_CASES sets how many cases are tried in
// all, FLOAT_SEED the operands; both are logged.

import test from 'ava';
import { reciprocal, reciprocalSquareRoot } from '../../../src/cpu/softfloat/sse-approximate.js';
import { sseCase, sseDifference, x87Case, x87Difference } from './cases.js';
import { buildHostFpu, hostVendor, Random } from './host-fpu.js';
import { SSE_EXACT } from './sse-operations.js';
import { distanceOfTranscendental } from './transcendental.js';
import { X87_EXACT, X87_TRANSCENDENTAL } from './x87-operations.js';

const seed = Number(process.env.FLOAT_SEED ?? 1);
const total = Number(process.env.FLOAT_CASES ?? 20_000);
const host = buildHostFpu();
const onHost = host ? test : test.skip;
const onIntel = host && hostVendor() === 'GenuineIntel' ? test : test.skip;
const BATCH = 20_000;

/** Run the share of one operation in batches, and hand each case with what hardware made of it to `check`. */
function sweep<
  O extends { readonly op: number },
  C extends { readonly op: number; control: number; a: bigint; b: bigint },
>(
  operations: readonly O[],
  make: (operation: O, random: Random) => C,
  check: (operation: O, given: C, result: ReturnType<NonNullable<typeof host>>[number]) => void,
): void {
  const share = Math.ceil(total / operations.length);
  for (const operation of operations) {
    const random = new Random(seed * 1000 + operation.op);
    for (let done = 0; done < share; done += BATCH) {
      const cases = Array.from({ length: Math.min(BATCH, share - done) }, () => make(operation, random));
      const results = host!(cases);
      cases.forEach((given, i) => {
        check(operation, given, results[i]!);
      });
    }
  }
}

onHost('x87 arithmetic, comparisons, conversions and remainders are those of hardware, bits and flags', (t) => {
  t.log(`seed ${seed}, ${total} cases`);
  const differences: string[] = [];
  sweep(X87_EXACT, x87Case, (operation, given, result) => {
    const difference = x87Difference(operation, given, result);
    if (difference) differences.push(difference);
  });
  t.deepEqual(differences.slice(0, 10), []);
});

onHost(
  'SSE arithmetic, comparisons, conversions and dot products are those of hardware, bits, flags and faults',
  (t) => {
    t.log(`seed ${seed}, ${total} cases`);
    const differences: string[] = [];
    sweep(SSE_EXACT, sseCase, (operation, given, result) => {
      const difference = sseDifference(operation, given, result);
      if (difference) differences.push(difference);
    });
    t.deepEqual(differences.slice(0, 10), []);
  },
);

onHost(
  'x87 transcendental functions raise the flags of hardware and differ from it by one unit in the last place at most',
  (t) => {
    const tally = new Map<string, { same: number; compared: number }>();
    const differences: string[] = [];
    sweep(X87_TRANSCENDENTAL, x87Case, (operation, given, result) => {
      const entry = tally.get(operation.name) ?? { same: 0, compared: 0 };
      tally.set(operation.name, entry);
      const distance = distanceOfTranscendental(operation, given, result);
      entry.compared++;
      if (distance === 0) entry.same++;
      if (typeof distance === 'string') differences.push(distance);
    });
    t.log(`seed ${seed}`);
    for (const [name, { same, compared }] of tally) t.log(`${name}: ${same} of ${compared} identical`);
    t.deepEqual(differences.slice(0, 10), []);
  },
);

onIntel('RCPSS and RSQRTSS are those of an Intel processor', (t) => {
  const random = new Random(seed);
  const operands = Array.from({ length: total }, () => random.f32());
  for (const [op, f] of [
    [134, reciprocal],
    [135, reciprocalSquareRoot],
  ] as const) {
    const results = host!(operands.map((x) => ({ op, control: 0x1f80, a: 0n, b: BigInt(x) })));
    operands.forEach((x, i) => {
      t.is(f(x), Number(BigInt.asUintN(32, results[i]!.r)), x.toString(16));
    });
  }
});

if (!host) {
  test('the host has no x86-64 processor or no C compiler, so only fixed vectors hold the soft floats', (t) => {
    t.is(host, undefined);
  });
}
