// As long-mode-plain.test.ts, for 32-bit guests: deliveries through gates, and IRETD, in one ring and between rings.

import test from 'ava';
import { run } from './plain-runs.js';

for (const name of ['sys-exceptions-32', 'sys-gates', 'tasks-v86', 'irq-pit', 'page-fault'])
  test(`${name} ends the same with and without plain delivery`, (t) => {
    const { end } = run(name, false, 1e6);
    const all = run(name, true, 1e6);
    t.is(all.end, end);
    t.true(all.plain > 0);
    t.is(run(name, true, 997).end, end);
  });
