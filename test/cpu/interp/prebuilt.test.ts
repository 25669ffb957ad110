import test from 'ava';
import { buildInterpreter } from '../../../src/cpu/interp/build.js';
import { type PackedInterpreter, packInterpreter, unpackInterpreter } from '../../../src/cpu/interp/prebuilt.js';
import { VariantTable } from '../../../src/cpu/interp/variants.js';
import { allRows } from '../../../src/cpu/isa/rows.js';

const table = new VariantTable(allRows);
const fresh = buildInterpreter(table);
const text = JSON.stringify(packInterpreter(fresh));
const read = () => JSON.parse(text) as PackedInterpreter;

test('a prebuilt interpreter is the one that a process would build', (t) => {
  const packed = unpackInterpreter(read(), table);
  t.deepEqual(packed.helpers, fresh.helpers);
  t.deepEqual(packed.operations.imports, fresh.operations.imports);
});

test('its operations are found by number, each by itself', (t) => {
  t.true(fresh.operations.imports.length > 100);
  for (let n = 0; n < fresh.operations.imports.length; n++) {
    t.is(unpackInterpreter(read(), table).operations.operation(n), fresh.operations.operation(n), `${n}`);
  }
});

test('operations that are known beforehand need no body, the others are found as before', (t) => {
  const known = fresh.operations.imports.map((_, n) => (n % 2 === 0 ? fresh.operations.operation(n) : undefined));
  const { operations } = unpackInterpreter({ ...read(), uses: [] }, table, known);
  const found = unpackInterpreter(read(), table, known).operations;
  for (let n = 0; n < known.length; n++) {
    if (n % 2 === 0) t.is(operations.operation(n), known[n]!);
    t.is(found.operation(n), fresh.operations.operation(n), `${n}`);
  }
});

test('its imports are found by operation and variant', (t) => {
  const packed = unpackInterpreter(read(), table).operations;
  for (const [variant, used] of fresh.operations.listUses())
    for (const number of used) {
      const operation = fresh.operations.operation(number);
      t.is(packed.importOf(operation, table.variants[variant]!), packed.imports[number]);
    }
});

test('one of other rows is refused', (t) => {
  const packed = read();
  const uses = packed.uses.map(([variant, used]) => [variant + 1, used] as const);
  const { operations } = unpackInterpreter({ ...packed, uses }, table);
  t.throws(
    () => {
      for (let n = 0; n < operations.imports.length; n++) operations.operation(n);
    },
    { message: /npm run build/ },
  );
});
