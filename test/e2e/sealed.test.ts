// A trace is all that a replay needs: not the images, not the cache, not the directory it was recorded in. And two
// recordings of one boot are the same whatever else the machine does meanwhile, and whichever Node runs them.

import { spawn } from 'node:child_process';
import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { corpusGuests } from '../../bin/corpus.js';
import { packageFile } from '../../bin/package.js';
import { scratch, vmreplay, vmreplayWith } from './vmreplay.js';

const guests = await corpusGuests();

test('a replay needs neither images nor cache, and gives the console byte for byte', async (t) => {
  const file = await scratch(t);
  const { image, directory } = guests.find(({ name }) => name === 'pvh-start-info')!;
  await mkdir(file('boot'));
  await mkdir(file('elsewhere'));
  await copyFile(image, file('boot/kernel'));
  await copyFile(join(directory, 'module.txt'), file('boot/initrd'));
  const files = ['--kernel', 'boot/kernel', '--initrd', './boot/initrd'];
  const recorded = await vmreplayWith(
    { cwd: file('.') },
    'record',
    ...files,
    '--memory',
    '64M',
    '--console',
    '-o',
    'a',
  );
  t.is(recorded.code, 0, recorded.stderr);
  t.regex(recorded.stdout, /OK pvh-start-info\n$/, 'with --console, stdout is the guest alone');
  t.regex(recorded.stderr, /^poweroff after [\d,]+ cycles.*\na: .* root [0-9a-f]{64}\n$/);
  const [root] = /[0-9a-f]{64}/.exec(recorded.stderr)!;

  await rm(file('boot'), { recursive: true });
  await rename(file('a'), file('elsewhere/b'));
  const bare = { cwd: file('elsewhere'), env: { VMREPLAY_CACHE: file('elsewhere'), HOME: file('elsewhere') } };
  const replayed = await vmreplayWith(bare, 'replay', 'b');
  t.is(replayed.code, 0, replayed.stderr);
  t.true(replayed.stdout.includes(`no difference, root ${root}`));
  const { events } = JSON.parse((await vmreplayWith(bare, 'inspect', '--json', 'b')).stdout);
  t.true(replayed.stdout.includes(`${events.total.toLocaleString('en-US')} events`), 'every event was compared');

  const console = await vmreplayWith(bare, 'replay', 'b', '--console');
  t.is(console.stdout, recorded.stdout);
  const live = await vmreplayWith(bare, 'replay', 'b', '--live');
  t.is(live.code, 2);
  t.regex(live.stderr, /^vmreplay: boot\/kernel: there is no such file; check --kernel\n$/);
});

test('a trace that is not sealed is shorter, has the same root, and needs the bytes that were recorded', async (t) => {
  const file = await scratch(t);
  await mkdir(file('boot'));
  await mkdir(file('elsewhere'));
  await copyFile(packageFile('corpus/sys-gates/sys-gates.elf'), file('boot/kernel'));
  const here = { cwd: file('.') };
  const record = async (...options: string[]) => {
    const args = ['--kernel', 'boot/kernel', '--memory', '64M', ...options];
    const { code, stderr } = await vmreplayWith(here, 'record', ...args);
    t.is(code, 0, stderr);
  };
  const inspect = async (name: string) => JSON.parse((await vmreplayWith(here, 'inspect', '--json', name)).stdout);
  await record('-o', 'sealed');
  await record('--unsealed', '-o', 'a');
  const [sealed, open] = [await inspect('sealed'), await inspect('a')];
  t.deepEqual([sealed.sealed, open.sealed], [true, false]);
  t.is(open.root, sealed.root);
  t.is(open.state, sealed.state);
  t.true(open.bytes < 0.7 * sealed.bytes, `${open.bytes} for ${sealed.bytes} bytes`);
  t.regex((await vmreplayWith(here, 'inspect', 'a')).stdout, /^image {7}kernel boot\/kernel, .*, needed to replay$/m);
  t.is((await vmreplayWith(here, 'diff', 'sealed', 'a')).code, 0);

  const replayed = await vmreplayWith(here, 'replay', 'a');
  t.is(replayed.code, 0, replayed.stderr);
  t.true(replayed.stdout.includes(`no difference, root ${sealed.root}`));
  // Where it is not, where it is beside the trace, and where a file of that name has other bytes.
  await rename(file('a'), file('elsewhere/b'));
  const bare = { cwd: file('elsewhere'), env: { VMREPLAY_CACHE: file('elsewhere/cache'), HOME: file('elsewhere') } };
  const { size, sha256 } = sealed.images[0];
  const missing = await vmreplayWith(bare, 'replay', 'b');
  t.is(missing.code, 2);
  t.is(
    missing.stderr,
    `vmreplay: b: it is not sealed and needs the kernel boot/kernel (${size} bytes, sha256 ${sha256}): ` +
      'it is neither there, nor beside the trace, nor in the cache; put the file that was recorded beside the trace\n',
  );
  await copyFile(file('boot/kernel'), file('elsewhere/kernel'));
  t.is((await vmreplayWith(bare, 'replay', 'b')).code, 0);
  const bytes = await readFile(file('boot/kernel'));
  bytes[bytes.length - 1]! ^= 1;
  await writeFile(file('elsewhere/kernel'), bytes);
  const changed = await vmreplayWith(bare, 'replay', 'b');
  t.is(changed.code, 2);
  t.regex(changed.stderr, /^vmreplay: b: it is not sealed and needs .*: kernel has other bytes; put the file .*\n$/);
  await mkdir(file('elsewhere/cache'));
  await copyFile(file('boot/kernel'), file('elsewhere/cache/kernel'));
  t.is((await vmreplayWith(bare, 'replay', 'b')).code, 0, 'the cache has it');
});

const boot = ['--kernel', packageFile('corpus/irq-pit/irq-pit.elf'), '--memory', '64M'];

test('ten recordings are one and the same file, half of them on a busy machine', async (t) => {
  const file = await scratch(t);
  const record = (n: number) => vmreplay('record', ...boot, '-o', file(`${n}`));
  for (let n = 0; n < 5; n++) t.is((await record(n)).code, 0);
  const burners = [0, 1].map(() => spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }));
  t.teardown(() => {
    for (const burner of burners) burner.kill('SIGKILL');
  });
  for (let n = 5; n < 10; n++) t.is((await record(n)).code, 0);
  const first = await readFile(file('0'));
  for (let n = 1; n < 10; n++) t.deepEqual(await readFile(file(`${n}`)), first, `recording ${n}`);
});

const other = process.env.VMREPLAY_OTHER_NODE;
const withOther = other === undefined ? test.skip : test;

withOther('another Node records the same (needs VMREPLAY_OTHER_NODE, the path of one)', async (t) => {
  const file = await scratch(t);
  t.is((await vmreplay('record', ...boot, '-o', file('a'))).code, 0);
  t.is((await vmreplayWith({ node: other! }, 'record', ...boot, '-o', file('b'))).code, 0);
  t.is((await vmreplayWith({ node: other! }, 'replay', file('a'))).code, 0);
  const roots = ['a', 'b'].map(
    async (name) => JSON.parse((await vmreplay('inspect', '--json', file(name))).stdout).root,
  );
  t.is(await roots[0], await roots[1]);
});
