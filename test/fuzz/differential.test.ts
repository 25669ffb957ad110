// Differential fuzzing: two builds of a loader of the corpus of which one loses memory, and routes that must agree.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { packageFile } from '../../bin/package.js';
import { cachedImage } from '../../src/fetch/cache.js';
import type { StartInfo } from '../../src/fuzz/arbitraries/start-info.js';
import { ownReason } from '../../src/fuzz/differential/route-fields.js';
import { fuzz, writeFindings } from '../../src/fuzz/fuzz.js';
import type { FuzzOptions } from '../../src/fuzz/options.js';
import { diff, replay } from '../../src/index.js';

const directory = mkdtempSync(join(tmpdir(), 'vmreplay-differential-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

/** Label `kernel` of corpus/defects/merging-loader.inc. */
const KERNEL = 0x10_023a;
const loader = (name: string) => ({
  kernel: packageFile(`corpus/defects/${name}.elf`),
  memory: 16 << 20,
  handoffAt: [KERNEL],
});
const builds = (other: string): FuzzOptions => ({
  target: 'start-info',
  boot: loader('merging-loader'),
  against: { boot: loader(other) },
});

test.serial('two builds of a loader disagree about the memory that one of them loses', async (t) => {
  const options = builds('merging-loader-overlaps');
  const result = await fuzz({ ...options, runs: 1500 });
  const found = result.findings.find(({ cause }) => cause === 'disagreement about memory map N.length')!;
  t.truthy(found, result.findings.map(({ cause }) => cause).join());
  // Every remaining field matters: two entries of RAM, in the wrong order or over each other.
  const { memoryMap, modules } = found.structure.value as StartInfo;
  t.is(memoryMap.length, 2);
  t.deepEqual(modules, []);
  t.is(found.structure.breaks.length, 1);
  const again = await fuzz({ ...options, seed: found.seed, path: found.path });
  t.deepEqual(
    again.findings.map((one) => [one.cause, String(one.structure)]),
    [[found.cause, String(found.structure)]],
  );

  const [folder] = await writeFindings(directory, options, { ...result, findings: [found] });
  const [a, b] = ['boot.trace', 'against.trace'].map((name) => join(folder!, name));
  for (const trace of [a!, b!]) t.is((await replay(trace)).divergence, undefined);
  const { fields } = found.verdict.against!;
  const { handoff } = await diff(a!, b!, { only: ['handoff'] });
  for (const field of fields)
    t.true(handoff!.some((one) => one.field === `pvh: ${field.field}` && one.a === field.a && one.b === field.b));
  const text = readFileSync(join(folder!, 'difference.txt'), 'utf8');
  for (const { field, a, b } of fields) t.true(text.includes(`${field}\n  boot     ${a}\n  against  ${b}\n`));
  t.regex(readFileSync(join(folder!, 'command.txt'), 'utf8'), / --against '[^']*--handoff-at 0x10023a'/);
  t.true(readFileSync(join(folder!, 'regression.test.mjs'), 'utf8').includes('"against"'));
});

test.serial('a loader agrees with itself', async (t) => {
  const { cases, findings } = await fuzz({ ...builds('merging-loader'), runs: 400 });
  t.deepEqual([cases, findings], [400, []]);
});

test.serial('fields that are declared to differ are no disagreement', async (t) => {
  const options = builds('merging-loader-overlaps');
  const mayDiffer = ['memory map *', 'hvm_start_info.memmap_entries'];
  const { findings } = await fuzz({ ...options, runs: 300, against: { ...options.against!, mayDiffer } });
  t.deepEqual(findings, []);
});

test.serial('boots that differ as they are, or hand nothing over, are refused with a sentence', async (t) => {
  const options = builds('merging-loader');
  const refuses = (boot: object, message: RegExp) =>
    t.throwsAsync(fuzz({ ...options, runs: 1, against: { boot: { ...options.boot, ...boot } } }), { message });
  await refuses(
    { memory: 8 << 20 },
    /^the two boots hand over different things as they are: memory map \d+\.[a-z]+ 0x/,
  );
  await refuses(
    { handoffAt: [0x20_0000] },
    /^the boot of --against does not come to a hand-off \(poweroff\); say with --handoff-at/,
  );
});

test('a route has fields of its own, each for a reason; two builds by one route have fewer', (t) => {
  t.regex(ownReason('memory map 2.length', false, [])!, /firmware keeps memory/);
  t.is(ownReason('memory map 2.length', true, []), undefined);
  t.is(ownReason('memory map 2.address', true, []), undefined);
  t.regex(ownReason('hvm_start_info.address', true, [])!, /its choice/);
  t.is(ownReason('cmdline.text', false, []), undefined);
  t.is(ownReason('cmdline.text', false, ['cmdline.*']), 'declared by the user');
  t.is(ownReason('module 1 cmdline.text', false, ['cmdline.*']), undefined);
});

const bios = cachedImage('bios-256k.bin');
const pvhRom = cachedImage('pvh.bin');
const real = bios && pvhRom ? test.serial : test.serial.skip;

real(
  'pvh.bin hands over the command line of the direct route, up to the size of its buffer (needs fetch)',
  async (t) => {
    t.timeout(300_000);
    const boot = { kernel: packageFile('corpus/pvh-start-info/pvh-start-info.elf'), memory: 16 << 20, append: 'a b' };
    const { cases, findings } = await fuzz({
      target: 'cmdline',
      boot: { ...boot, boot: 'pvh' },
      against: { boot: { ...boot, bios: bios! } },
      runs: 100,
    });
    t.is(cases, 100);
    // A longer one is written over what lies behind the buffer.
    for (const { structure } of findings) t.true(structure.encode().length > 4096, String(structure));
  },
);
