// Coverage changes nothing for the guest, and is a matter of the guest's instructions alone: every guest of the corpus
// ends in the same state with it, and has the same edges and comparisons however its run is cut and its code translated.

import test from 'ava';
import { type CorpusGuest, corpusGuests } from '../../../bin/corpus.js';
import { makeGuest } from '../../../src/api/guest.js';
import { MachineHash } from '../../../src/api/machine-state.js';
import { type Coverage, stepOf } from '../../../src/cpu/coverage/coverage.js';
import { variants } from '../../../src/cpu/engine.js';
import { buildInterpreter } from '../../../src/cpu/interp/build.js';
import { Translator } from '../../../src/cpu/jit/translator.js';
import * as L from '../../../src/cpu/layout.js';
import { bootOf } from '../../api/corpus-boot.js';

const MOST_CYCLES = 1_000_000;
const guests = await corpusGuests();

function run(corpusGuest: CorpusGuest, { coverage = true, slices = [MOST_CYCLES], translates = false }) {
  const seams = { lines: <T>(inner: T) => inner, memory: <T>(inner: T) => inner, coverage };
  const guest = makeGuest(bootOf(corpusGuest), seams);
  const { cpu } = guest;
  const always = { threshold: () => 1, batch: 1, patience: 0 };
  if (translates) cpu.translateBy((parts) => new Translator(parts, always));
  const probe: Coverage | undefined = cpu.coverage;
  if (probe) probe.comparing = true;
  probe?.begin();
  for (let i = 0; ; i++) {
    let end = cpu.runUntil(Math.min(cpu.now + slices[i % slices.length]!, MOST_CYCLES));
    if (end.reason === 'breakpoint') end = guest.handoff.reached() ?? { reason: 'until-cycle' };
    if (end.reason === 'until-cycle' && cpu.now < MOST_CYCLES) continue;
    const hash = Buffer.from(MachineHash.of(cpu).hash()).toString('hex');
    return {
      cpu,
      probe,
      outcome: `${end.reason} at ${cpu.now}, ${cpu.instructions} instructions, ${hash}`,
      edges: probe ? [...probe.end()] : [],
      comparisons: probe?.comparisons() ?? [],
    };
  }
}

test('a module without coverage has nothing of it: no function more, no address of its tables', (t) => {
  const plain = buildInterpreter(variants);
  const covering = buildInterpreter(variants, true);
  t.is(plain.helpers.coverage, undefined);
  t.not(covering.helpers.coverage, undefined);
  t.true(plain.bytes.length < covering.bytes.length);
  const leb = (value: number) => {
    const bytes: number[] = [];
    for (let left = value; ; left >>>= 7) {
      bytes.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
      if (left <= 0x7f) return Buffer.from(bytes);
    }
  };
  for (const address of [L.EDGES_TAKEN, L.EDGES_TAKEN_LIST, L.COMPARING, L.COMPARED_LIST]) {
    t.true(Buffer.from(covering.bytes).includes(leb(address)));
    t.false(Buffer.from(plain.bytes).includes(leb(address)));
  }
});

test('the tables lie behind decoded code and before the guest’s memory', (t) => {
  t.true(L.COVERAGE > L.UOPS + L.UOPS_SIZE / 2);
  t.true(L.COVERAGE_END <= L.GUEST);
});

test('counts are told in eight steps', (t) => {
  const steps = [1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 127, 128, 1e9].map(stepOf);
  t.deepEqual(steps, [0, 1, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]);
});

let edges = 0;
let comparisons = 0;
for (const guest of guests) {
  test(`${guest.name}: the same with coverage, and the same coverage however it is run`, (t) => {
    const plain = run(guest, { coverage: false });
    const whole = run(guest, {});
    t.is(whole.outcome, plain.outcome);
    t.true(plain.cpu.state.u8.subarray(L.COVERAGE, L.COVERAGE_END).every((byte) => byte === 0));
    for (const cut of [{ slices: [1, 2, 60_000, 7, 997] }, { slices: [997], translates: true }]) {
      const other = run(guest, cut);
      t.is(other.outcome, plain.outcome);
      t.deepEqual(other.edges, whole.edges);
      t.deepEqual(other.comparisons, whole.comparisons);
    }
    edges += whole.edges.length;
    comparisons += whole.comparisons.length;
    for (const edge of whole.edges) t.true(whole.probe!.addressesOf(edge).every(Number.isSafeInteger));
    whole.probe!.begin();
    t.is(whole.probe!.end().length, 0);
    t.deepEqual(whole.probe!.comparisons(), []);
  });
}

test.after.always('the guests branch and compare', (t) => {
  t.true(edges > 1000, `${edges}`);
  t.true(comparisons > 500, `${comparisons}`);
});
