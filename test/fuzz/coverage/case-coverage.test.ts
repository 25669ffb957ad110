// Coverage of cases: a matter of the structure alone, whatever ran before it and on which machine; verdicts are the same
// with it.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { packageFile } from '../../../bin/package.js';
import type { BootOptions } from '../../../src/api/options.js';
import { CaseRunner } from '../../../src/fuzz/case-runner.js';
import type { Structure } from '../../../src/fuzz/structure.js';

const directory = mkdtempSync(join(tmpdir(), 'vmreplay-coverage-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));
const module = join(directory, 'module.bin');
writeFileSync(module, 'm'.repeat(3000));

interface Defect {
  target: string;
  module?: boolean;
  boot?: BootOptions['boot'];
}
const defects = JSON.parse(readFileSync(packageFile('corpus/defects/defects.json'), 'utf8')) as Record<string, Defect>;
const runnerOf = (name: string, coverage: boolean): CaseRunner => {
  const { target, boot, module: withModule } = defects[name]!;
  const options: BootOptions = {
    kernel: packageFile(`corpus/defects/${name}.elf`),
    memory: 16 << 20,
    append: 'a b',
    ...(boot && { boot }),
    ...(withModule && { modules: [{ path: module }] }),
  };
  return new CaseRunner(target, options, { coverage });
};

for (const name of [
  'map-type-index',
  'module-walk-past-end',
  'multiboot2-tag-size',
  'fwcfg-size-trusted',
  'exception-loop',
])
  test(`${name}: a structure has the same edges and comparisons on any machine, and the same verdict without`, (t) => {
    const [plain, first, second] = [runnerOf(name, false), runnerOf(name, true), runnerOf(name, true)];
    t.is(plain.coverage, undefined);
    const before = first.hash();
    const seen = (runner: CaseRunner, structure: Structure<unknown>) => {
      const probe = runner.coverage!;
      probe.comparing = true;
      probe.begin();
      const verdict = runner.run(structure);
      return { verdict, cycles: runner.cycles, edges: probe.end(), comparisons: probe.comparisons() };
    };
    const structures = fc.sample(first.target.arbitrary, { seed: 3, numRuns: 60 });
    const forwards = structures.map((one) => seen(first, one));
    const backwards = [...structures].reverse().map((one) => seen(second, one));
    t.deepEqual(backwards.reverse(), forwards);
    structures.forEach((one, i) => {
      t.deepEqual(plain.run(one), forwards[i]!.verdict);
      t.is(plain.cycles, forwards[i]!.cycles);
    });
    t.is(first.hash(), before);
    t.is(plain.hash(), before);
    t.true(new Set(forwards.flatMap(({ edges }) => [...edges])).size > 8);
    t.true(forwards.some(({ verdict }) => verdict !== undefined));
    t.true(forwards.some(({ comparisons }) => comparisons.length > 0));
  });

test('an edge leads from a branch of the guest to where it went', (t) => {
  const runner = runnerOf('map-type-index', true);
  const probe = runner.coverage!;
  const [structure] = fc.sample(runner.target.arbitrary, { seed: 1, numRuns: 1 });
  probe.begin();
  runner.run(structure!);
  const edges = probe.end();
  for (const edge of edges) {
    const [from, to] = probe.addressesOf(edge);
    t.true(from >= 0x10_0000 && from < 0x20_0000);
    t.true(to >= 0x10_0000 && to < 0x20_0000);
  }
  probe.begin();
  t.throws(() => probe.addressesOf(edges[0]!), { instanceOf: RangeError });
});
