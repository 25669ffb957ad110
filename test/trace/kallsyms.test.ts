// A kernel's own symbols in guest memory: tables as Linux lays them out before and after 6.4, made here, and memory that
// only looks like them.

import test from 'ava';
import fc from 'fast-check';
import { kallsymsIn } from '../../src/trace/kallsyms.js';
import { functions, kernelTables as kernel, LAYOUTS } from './kallsyms-tables.js';

for (const [version, layout] of Object.entries(LAYOUTS)) {
  test(`the functions of a kernel laid out as Linux ${version} does are found`, (t) => {
    const symbols = functions(3000);
    const table = kallsymsIn(kernel(symbols, layout))!;
    t.is(table.size, 3000);
    for (const [offset, name] of [symbols[0]!, symbols[257]!, symbols[2999]!]) {
      t.deepEqual(table.lookup(layout.base + BigInt(offset) + 5n), { name, offset: 5 });
    }
  });
}

test('memory without a kernel, or with a part of one, has no table', (t) => {
  t.is(kallsymsIn(Buffer.alloc(1 << 20)), undefined);
  const whole = kernel(functions(3000), LAYOUTS['6.1']!);
  t.is(kallsymsIn(whole.subarray(20_000)), undefined);
  t.is(kallsymsIn(whole.subarray(0, whole.length - 5000)), undefined);
});

test('damaged tables are no table, or one of the same size; never a crash', (t) => {
  const whole = kernel(functions(600), LAYOUTS['6.1']!);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }), (bytes) => {
      const damaged = Buffer.from(whole);
      for (const [at, value] of bytes) damaged[at] = value;
      t.true((kallsymsIn(damaged)?.size ?? 0) <= 600);
    }),
    { numRuns: 300 },
  );
});
