// Debian's own kernel, end to end: recorded by PVH from power-on to power-off, replayed from the trace alone, and
// recorded again to the same root. Needs the guests that `vmreplay fetch` brings; without them the test is skipped
// and its title says what to fetch.

import test from 'ava';
import { cachedImage } from '../../src/fetch/cache.js';
import { scratch, vmreplay } from './vmreplay.js';

const KERNEL = 'vmlinuz-cloud-amd64';
const INITRD = 'initrd-busybox.cpio';
const fetched = cachedImage(KERNEL) !== undefined && cachedImage(INITRD) !== undefined;
const withDebian = fetched ? test : test.skip;

const boot = ['--boot', 'pvh', '--memory', '256M', '--kernel', KERNEL, '--initrd', INITRD];
const console = ['--append', 'console=ttyS0 panic=-1', '--no-reboot', '--max-cycles', '20_000_000_000'];

withDebian("Debian's cloud kernel boots to user space and replays (needs: vmreplay fetch cloud busybox)", async (t) => {
  t.timeout(900_000);
  const file = await scratch(t);
  const first = await vmreplay('record', ...boot, ...console, '--console', '-o', file('a.trace'));
  t.is(first.code, 0, first.stderr || first.stdout.slice(-2000));
  t.regex(first.stdout, /Linux version/);
  t.regex(first.stdout, /VMREPLAY-MARKER boot ok/);
  t.regex(first.stdout, /VMREPLAY-MARKER sha256 ok/);
  t.regex(first.stdout, /VMREPLAY-MARKER end/);

  const replayed = await vmreplay('replay', file('a.trace'));
  t.is(replayed.code, 0, replayed.stdout);

  const second = await vmreplay('record', ...boot, ...console, '-o', file('b.trace'));
  t.is(second.code, 0, second.stderr);
  t.is((await vmreplay('diff', file('a.trace'), file('b.trace'))).code, 0);
  const roots = await Promise.all(
    ['a.trace', 'b.trace'].map(
      async (name) => JSON.parse((await vmreplay('inspect', '--json', file(name))).stdout).root,
    ),
  );
  t.is(roots[0], roots[1]);
});
