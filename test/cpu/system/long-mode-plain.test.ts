// Interrupts, exceptions and returns of 64-bit guests that are delivered at once: the same guest with every access taken
// the long way ends in the same state at the same cycle, however it is cut.

import test from 'ava';
import { run } from './plain-runs.js';

for (const name of ['sys-exceptions-64', 'sys-fast-calls', 'long-mode'])
  test(`${name} ends the same with and without plain delivery`, (t) => {
    const { end } = run(name, false, 1e6);
    const all = run(name, true, 1e6);
    t.is(all.end, end);
    t.true(all.plain > 0);
    t.is(run(name, true, 997).end, end);
  });
