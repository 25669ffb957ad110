// Guests with a planted defect (corpus/defects): the campaign of the default seed finds each where it was planted, the
// smallest structure has it again from seed and path alone, and its trace replays to the fault.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { packageFile } from '../../bin/package.js';
import { replay } from '../../src/api/replay.js';
import { fuzz, writeFindings } from '../../src/fuzz/fuzz.js';
import type { FuzzOptions } from '../../src/fuzz/options.js';

interface Defect {
  about: string;
  target: string;
  site: string;
  oracles: string[];
  module?: boolean;
  boot?: 'multiboot2' | 'linux32';
  /** Default: the name's ELF file. */
  image?: string;
  /** Not found by cases that are drawn: coverage/guided.test.ts. */
  guided?: boolean;
}

const directory = mkdtempSync(join(tmpdir(), 'vmreplay-defects-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));
const module = join(directory, 'module.bin');
writeFileSync(module, 'm'.repeat(3000));

const defects = JSON.parse(readFileSync(packageFile('corpus/defects/defects.json'), 'utf8')) as Record<string, Defect>;
const optionsOf = (name: string, { target, module: withModule, boot, image = `${name}.elf` }: Defect): FuzzOptions => ({
  target,
  boot: {
    kernel: packageFile(`corpus/defects/${image}`),
    memory: 16 << 20,
    append: 'a b',
    ...(boot && { boot }),
    ...(withModule && { modules: [{ path: module }] }),
  },
});

test('there are at least fifteen', (t) => {
  t.true(Object.keys(defects).length >= 15);
});

for (const [name, defect] of Object.entries(defects)) {
  if (defect.guided) continue;
  test.serial(`the default seed finds ${name}`, async (t) => {
    t.timeout(120_000);
    const options = optionsOf(name, defect);
    const result = await fuzz({ ...options, runs: 1500, most: 3 });
    const found = result.findings.find(
      ({ verdict }) => verdict.site === Number(defect.site) && defect.oracles.includes(verdict.oracle),
    );
    t.truthy(found, result.findings.map(({ cause }) => cause).join(', '));
    const { seed, path, structure, cause } = found!;
    const again = await fuzz({ ...options, seed, path });
    t.deepEqual(
      again.findings.map((one) => [one.cause, String(one.structure)]),
      [[cause, String(structure)]],
    );
    const [folder] = await writeFindings(join(directory, name), options, { ...result, findings: [found!] });
    for (const file of ['structure.txt', 'structure.bin', 'finding.json', 'command.txt', 'regression.test.mjs'])
      t.true(existsSync(join(folder!, file)), file);
    const { divergence, cycles, end } = await replay(join(folder!, 'boot.trace'));
    t.is(divergence, undefined);
    t.true(cycles >= found!.verdict.cycle);
    if (found!.verdict.oracle === 'triple fault') t.is(end.reason, 'triple-fault');
  });
}

test('the same seed gives the same findings, another one other cases', async (t) => {
  const [name, defect] = Object.entries(defects).find(([one]) => one === 'map-type-index')!;
  const run = async (seed: number) => {
    const { cases, findings } = await fuzz({ ...optionsOf(name, defect), seed, runs: 1200 });
    return { cases, findings: findings.map((one) => [one.cause, one.path, one.cases, String(one.structure)]) };
  };
  const first = await run(5);
  t.is(first.cases, 1200);
  t.true(first.findings.length > 0);
  t.deepEqual(await run(5), first);
  t.notDeepEqual(await run(6), first);
});

test('a guest without a defect that shows has no finding among valid and hostile structures', async (t) => {
  // It refuses other versions and looks at nothing else.
  const kernel = packageFile('corpus/reset-cf9/reset-cf9.elf');
  await t.throwsAsync(fuzz({ target: 'start-info', boot: { kernel, memory: 16 << 20 }, runs: 10 }), {
    message: /does not read the structure/,
  });
});

test('a predicate of the user is an oracle', async (t) => {
  const options = optionsOf('map-all-types', defects['map-all-types']!);
  const { findings } = await fuzz({
    ...options,
    runs: 100,
    predicate: ({ serial, breaks }) =>
      serial.includes('refused') && breaks.includes('wrong magic') ? 'refuses a wrong magic' : undefined,
  });
  const found = findings.find(({ verdict }) => verdict.oracle === 'predicate');
  t.is(found?.cause, 'predicate: refuses a wrong magic');
  t.deepEqual(
    found?.structure.breaks.map(({ name }) => name),
    ['wrong magic'],
  );
});

test('a target that the boot does not have is refused with a sentence', async (t) => {
  const options = optionsOf('map-all-types', defects['map-all-types']!);
  const refuses = (target: string, message: RegExp) => t.throwsAsync(fuzz({ ...options, target }), { message });
  await refuses('nonsense', /^there is no fuzz target nonsense; choose one of start-info, /);
  await refuses('boot-params', /^boot-params: a boot by --boot pvh hands over no boot_params; /);
  await refuses('initrd', /^initrd: this boot has none; /);
  await t.throwsAsync(fuzz({ ...options, path: 'x' }), { message: /^--path x: numbers/ });
});
