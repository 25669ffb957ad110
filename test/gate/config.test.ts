// A configuration is found, loaded and checked; each mistake is one sentence that leads to its place.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { packageFile } from '../../bin/package.js';
import { checkConfig, loadConfig } from '../../src/gate/config-file.js';
import { jsonSchema } from '../../src/gate/config-schema.js';
import { jsonErrorAt } from '../../src/gate/json-place.js';
import { chosenBoots, planBoots, shardOf } from '../../src/gate/plan.js';

async function folder(t: ExecutionContext, files: Record<string, string>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'vmreplay-config-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
  return directory;
}

const boots = [{ name: 'a', kernel: 'k' }];

const WRONG: readonly (readonly [value: unknown, sentence: string])[] = [
  [undefined, 'f: nothing is exported; write export default defineConfig({ … })'],
  [[], 'f: an object, { … }, is needed'],
  [{}, 'f: boots: a list of boots is needed'],
  [{ boots: [] }, 'f: boots: there must be at least one boot'],
  [
    { boots: [{ name: 'a b' }] },
    'f: boots[0].name: a name is 1 to 80 letters, digits, dots, dashes and underscores, and begins with a letter or digit',
  ],
  [{ boots: [{ name: 'a', kernal: 'k' }] }, 'f: boots[0]: there is no setting kernal; did you mean kernel?'],
  [
    { boots: [{ name: 'a', memory: '12X' }] },
    'f: boots[0].memory: a size such as "256M", or a number of bytes, is needed',
  ],
  [
    { boots: [{ name: 'a', handoffAt: ['0xffffffff8100000g'] }] },
    'f: boots[0].handoffAt[0]: a number below 2^53, or text such as "0xffffffff81000000", is needed',
  ],
  [{ boots: [{ name: 'a', seed: -1 }] }, 'f: boots[0].seed: a whole number from 0 to 2^53 - 1 is needed'],
  [
    { boots: [{ name: 'a', hold: { events: { onyl: [] } } }] },
    'f: boots[0].hold.events: there is no setting onyl; did you mean only?',
  ],
  [
    { boots: [{ name: 'a', hold: { serial: { ignore: ['('] } } }] },
    'f: boots[0].hold.serial.ignore[0]: this is no regular expression',
  ],
  [{ boots: [{ name: 'a', build: { cwd: 'x' } }] }, 'f: boots[0].build.command: text is needed'],
  [{ boots, hold: {} }, 'f: boots[0].hold: this holds the boot to nothing; name events, handoff, serial or budgets'],
  [{ boots: [...boots, { name: 'A' }] }, 'f: boots[1].name: A is the name of boots[0] too; choose another'],
  [{ boots: [{ name: 'a', routes: ['pvh', 'pvh'] }] }, 'f: boots[0].routes: pvh is there twice; keep one'],
  [
    { boots: [{ name: 'a', routes: ['pvh'], boot: 'pvh' }] },
    'f: boots[0].boot: routes say how this is loaded; leave boot out',
  ],
  [{ boots: [{ name: 'a', fwCfg: [{ name: 'opt/x' }] }] }, 'f: boots[0].fwCfg[0]: one of file and string is needed'],
];

test('a mistake is one sentence that names the file, the place and the mend', (t) => {
  for (const [value, message] of WRONG) t.throws(() => checkConfig(value, 'f'), { message }, JSON.stringify(value));
});

test('of many mistakes the first three are told', (t) => {
  const value = { boots: [{ name: 'a', seed: 'x', cpu: 1, vga: 2, end: 3 }] };
  const error = t.throws(() => checkConfig(value, 'f'));
  t.is(error?.message.split(';').length, 4);
  t.true(error?.message.endsWith('; 1 more'));
});

test('JSON that is none is told with line and column', async (t) => {
  const directory = await folder(t, { 'vmreplay.config.json': '{ "boots": [\n  { "name": } ] }' });
  await t.throwsAsync(loadConfig(directory), {
    message: /config\.json: line 2, column 13: this is no JSON; mend it there/,
  });
});

test('where a text stops being JSON is found as JSON.parse finds that it is none', (t) => {
  const json = fc.json();
  const broken = fc.tuple(json, fc.nat(), fc.constantFrom('', '}', '"', ',', 'x')).map(([text, at, put]) => {
    const place = at % (text.length + 1);
    return text.slice(0, place) + put + text.slice(place + 1);
  });
  const parses = (text: string): boolean => {
    try {
      JSON.parse(text);
      return true;
    } catch {
      return false;
    }
  };
  fc.assert(
    fc.property(fc.oneof(json, broken), (text) => {
      const at = jsonErrorAt(text);
      // What stops in the middle is no JSON; what goes to the end is, or ends too early.
      if (at < text.length) t.false(parses(text), text);
      else if (!parses(text)) t.false(parses(`${text}x`), text);
      if (parses(text)) t.is(at, text.length);
    }),
  );
});

test('a configuration is JSON, a module, or TypeScript that imports defineConfig', async (t) => {
  const value = { boots: [{ name: 'a', kernel: 'k', memory: '64M' }] };
  const module = `export default ${JSON.stringify(value)};`;
  const typed = `import { defineConfig } from 'vmreplay';\nconst memory: string = '64M';\nexport default defineConfig({ boots: [{ name: 'a', kernel: 'k', memory }] });`;
  for (const [name, text] of [
    ['vmreplay.config.json', JSON.stringify(value)],
    ['vmreplay.config.mjs', module],
    ['vmreplay.config.ts', typed],
  ] as const) {
    const directory = await folder(t, { [name]: text });
    t.deepEqual((await loadConfig(directory)).config, value, name);
    t.deepEqual((await loadConfig(directory, name)).config, value, name);
  }
});

test('no configuration, two of them, and one that cannot be loaded are refused by name', async (t) => {
  await t.throwsAsync(loadConfig(await folder(t, {})), {
    message: /there is no vmreplay\.config\.json, \.js, \.mjs or \.ts here/,
  });
  const two = await folder(t, { 'vmreplay.config.json': '{}', 'vmreplay.config.mjs': '' });
  await t.throwsAsync(loadConfig(two), { message: /there are .*mjs and .*json; keep one/ });
  const broken = await folder(t, { 'vmreplay.config.mjs': 'throw new Error("no luck")' });
  await t.throwsAsync(loadConfig(broken), { message: /config\.mjs: cannot be loaded: no luck; mend it/ });
  await t.throwsAsync(loadConfig(broken, 'x.json'), { message: 'x.json: there is no such file; check --config' });
  await t.throwsAsync(loadConfig(await folder(t, { 'gate.txt': '' }), 'gate.txt'), { message: /ends in \.json/ });
});

test('the published JSON schema is the one that configurations are checked with', async (t) => {
  const published = JSON.parse(await readFile(packageFile('schemas/gate-config-1.json'), 'utf8'));
  t.deepEqual(published, jsonSchema(), 'npm run gate:schema writes it');
  const validate = new Ajv2020().compile(published);
  t.true(validate({ boots: [{ name: 'a', handoffAt: [0x10_0000, '0xffffffff81000000'] }] }));
  t.true(validate({ $schema: 'x', boots: [{ name: 'a', memory: '1G', hold: { events: { only: ['uart0'] } } }] }));
  // What a schema cannot say is checked by the program alone: patterns of regular expressions, and what spans settings.
  const beyond = /regular expression|holds the boot|is the name of|routes|one of file and string/;
  for (const [value = null, sentence] of WRONG) t.is(validate(value), beyond.test(sentence), sentence);
});

test('routes make a boot each, named after them', (t) => {
  const config = checkConfig(
    {
      hold: { serial: true },
      boots: [
        { name: 'k', kernel: 'x', memory: '1M', routes: ['pvh', 'linux64'] },
        { name: 'r', boot: 'firmware', hold: { events: true }, build: { command: 'make', cwd: 'd' } },
      ],
    },
    'f',
  );
  const plan = planBoots({ name: 'f', directory: '/p', config });
  t.deepEqual(
    plan.boots.map(({ name }) => name),
    ['k/pvh', 'k/linux64', 'r'],
  );
  t.like(plan.boots[1], {
    options: { boot: 'linux64', memory: 2 ** 20, kernel: 'x' },
    hold: { serial: true },
    build: undefined,
  });
  t.like(plan.boots[2], { build: { command: 'make', cwd: '/p/d' }, hold: { events: true } });
  t.is(plan.baselines, '/p/boot-baselines');
  t.deepEqual(
    chosenBoots(plan.boots, ['k']).map(({ name }) => name),
    ['k/pvh', 'k/linux64'],
  );
  t.throws(() => chosenBoots(plan.boots, ['x']), {
    message: 'x: there is no such boot; there are k/pvh, k/linux64, r',
  });
});

test('shards are even, have every boot once, and depend on names alone', (t) => {
  const config = checkConfig({ boots: Array.from({ length: 10 }, (_, i) => ({ name: `boot-${i}` })) }, 'f');
  const { boots: all } = planBoots({ name: 'f', directory: '/p', config });
  const parts = [1, 2, 3].map((index) => shardOf(all, { index, count: 3 }).map(({ name }) => name));
  t.deepEqual(parts.flat().sort(), all.map(({ name }) => name).sort());
  t.deepEqual(parts.map((part) => part.length).sort(), [3, 3, 4]);
  t.deepEqual(
    shardOf([...all].reverse(), { index: 2, count: 3 })
      .map(({ name }) => name)
      .sort(),
    [...parts[1]!].sort(),
  );
});
