// Where a trace is cut for several threads.

import test from 'ava';
import fc from 'fast-check';
import { shareOut } from '../../src/api/sealed-shares.js';

const every = (cycles: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({ cycle: (i + 1) * cycles, event: (i + 1) * 10 }));

test('parts follow each other from the beginning to the end', (t) => {
  const checkpoints = fc.uniqueArray(fc.integer({ min: 1, max: 1e10 }), { maxLength: 20 });
  fc.assert(
    fc.property(
      checkpoints,
      fc.integer({ min: 1, max: 30 }),
      fc.constantFrom(1, 2, 8, Infinity),
      (cuts, jobs, cpus) => {
        const list = cuts.sort((a, b) => a - b).map((cycle, event) => ({ cycle, event }));
        const parts = shareOut(list, 1e10, jobs, cpus);
        t.true(parts.length >= 1 && parts.length <= Math.min(jobs, list.length + 1));
        t.is(parts[0]!.from, undefined);
        t.is(parts.at(-1)!.to, undefined);
        for (let n = 1; n < parts.length; n++) {
          t.deepEqual(parts[n - 1]!.to, list[parts[n]!.from!]);
          t.true(parts[n]!.from! > (parts[n - 1]!.from ?? -1));
        }
      },
    ),
  );
});

test('a short boot is left whole where its parts would want for processors', (t) => {
  const short = every(134_217_728, 3);
  t.is(shareOut(short, 420_000_000, 2, 2).length, 1);
  t.is(shareOut(short, 420_000_000, 2, 8).length, 2);
  t.is(shareOut(every(134_217_728, 13), 1_753_343_756, 2, 2).length, 2);
  t.is(shareOut(every(500_000_000, 13), 7_000_000_000, 2, 2).length, 2);
  t.is(shareOut(every(500_000_000, 13), 7_000_000_000, 2, 1).length, 1);
});

test('the first part, whose code is cold, has fewer cycles', (t) => {
  const [first] = shareOut(every(134_217_728, 13), 1_753_343_756, 2, 8);
  t.true(first!.to!.cycle < 1_753_343_756 / 3);
});

test('code that is new later moves the cut', (t) => {
  const cutWith = (late: number) => {
    const list = every(134_217_728, 13).map((cut, n) => ({ ...cut, code: n < late ? 100_000 : 900_000 }));
    return shareOut(list, 1_753_343_756, 2, 8)[0]!.to!.cycle;
  };
  t.true(cutWith(2) < cutWith(6));
});

test('pages that a part would have to begin with keep a cut away', (t) => {
  const withPages = (count: number) => {
    const pages = (n: number) => (n === 0 ? [{ type: 'CHKP', rawLength: 4096 * count }] : []);
    return every(134_217_728, 13).map((cut, n) => ({ ...cut, code: 900_000, pages: pages(n) }));
  };
  t.is(shareOut(withPages(9_000), 1_753_343_756, 2, 8).length, 2);
  t.is(shareOut(withPages(200_000), 1_753_343_756, 2, 8).length, 1);
});

test('pages that are unpacked when they are asked for keep a cut away less', (t) => {
  const withPages = (...pages: { type: string; rawLength: number }[]) =>
    every(134_217_728, 13).map((cut, n) => ({ ...cut, code: 900_000, pages: n === 0 ? pages : [] }));
  const count = 100_000;
  const packed = { type: 'PAGE', rawLength: 2000 * count };
  t.is(shareOut(withPages(packed, { type: 'LIST', rawLength: 40 * count }), 1_753_343_756, 2, 8).length, 2);
  t.is(shareOut(withPages({ type: 'CHKP', rawLength: 4096 * count }), 1_753_343_756, 2, 8).length, 1);
});
