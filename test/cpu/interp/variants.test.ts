import test from 'ava';
import { expand, VariantTable } from '../../../src/cpu/interp/variants.js';
import { allRows } from '../../../src/cpu/isa/rows.js';

test('variants are counted as they are made', (t) => {
  const table = new VariantTable(allRows);
  for (const row of allRows) {
    const made = expand(row).map((variant) => table.indexOf(variant));
    const numbered = table.handlersOf(row)!.filter((handler) => handler >= 0).length;
    t.is(new Set(made).size, numbered, `${row.encoding} ${row.mnemonic}`);
  }
  const all = allRows.flatMap(expand).map((variant) => table.indexOf(variant));
  t.deepEqual(
    [...all].sort((a, b) => a - b),
    [...all.keys()],
  );
});
