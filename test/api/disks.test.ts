// Disk and CD images of a boot: where they end up, what the header says of them, what is refused, and that an image is
// read lazily but never as something else than what was hashed.

import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { packageFile } from '../../bin/package.js';
import { openDisks } from '../../src/api/disks.js';
import { record } from '../../src/api/record.js';
import { replay } from '../../src/api/replay.js';
import { UserError } from '../../src/api/user-error.js';

/** A directory with images of so many bytes; every byte follows from its place and the image. */
function images(t: ExecutionContext, sizes: Record<string, number>) {
  const directory = mkdtempSync(join(tmpdir(), 'vmreplay-disks-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = (name: string) => join(directory, name);
  const bytes = (name: string) =>
    Uint8Array.from({ length: sizes[name]! }, (_, i) => (i * 31 + (i >> 9)) ^ name.length);
  for (const name of Object.keys(sizes)) writeFileSync(path(name), bytes(name));
  return { path, bytes };
}

test('drives fill the places of the controller around the CD', (t) => {
  const { path } = images(t, { a: 512, bb: 1024, ccc: 2048, cd: 4096 });
  const drives = ['a', 'bb', 'ccc'].map((name) => ({ path: path(name) }));
  const { ide, files } = openDisks({ drives, cdrom: path('cd') });
  t.deepEqual(
    ide.map((medium) => [medium?.kind, medium?.source.size]),
    [
      ['disk', 512],
      ['disk', 1024],
      ['cd', 4096],
      ['disk', 2048],
    ],
  );
  t.deepEqual(
    files.map(({ record: image }) => [image.role, image.size]),
    [
      ['drive', 512],
      ['drive', 1024],
      ['drive', 2048],
      ['cdrom', 4096],
    ],
  );
});

test('a large image is hashed, and read in pieces', (t) => {
  const { path, bytes } = images(t, { large: 1_500_001 });
  const [file] = openDisks({ drives: [{ path: path('large'), interface: 'virtio' }] }).files;
  const expected = bytes('large');
  t.is(file!.record.role, 'virtio-drive');
  t.is(file!.record.sha256, createHash('sha256').update(expected).digest('hex'));
  for (const [offset, length] of [
    [0, 512],
    [262_000, 1000],
    [262_144, 262_144],
    [100_000, 1_000_000],
    [1_500_000, 1],
  ] as const)
    t.deepEqual(new Uint8Array(file!.source.read(offset, length)), expected.slice(offset, offset + length));
});

test('an image that changes while the guest runs is no longer read', (t) => {
  const { path } = images(t, { disk: 600_000 });
  const [file] = openDisks({ drives: [{ path: path('disk') }] }).files;
  file!.source.read(0, 512);
  writeFileSync(path('disk'), new Uint8Array(500_000));
  t.throws(() => file!.source.read(300_000, 512), { instanceOf: UserError, message: /disk: the file was changed/ });
});

test('what is no disk image is refused by name', (t) => {
  const { path } = images(t, { empty: 0, a: 512 });
  mkdirSync(path('directory'));
  const refused = (drive: string, message: RegExp) =>
    t.throws(() => openDisks({ drives: [{ path: path(drive) }] }), { instanceOf: UserError, message });
  refused('missing', /missing: there is no such file.*--drive/);
  refused('directory', /directory: this is a directory.*--drive/);
  refused('empty', /empty: the file is empty.*--drive/);
  const five = Array.from({ length: 5 }, () => ({ path: path('a') }));
  t.throws(() => openDisks({ drives: five }), {
    instanceOf: UserError,
    message: /four places; give the drive if=virtio/,
  });
  t.throws(() => openDisks({ drives: five.slice(1), cdrom: path('a') }), { message: /the CD takes one/ });
});

test('a live replay makes the disks again, and refuses another image', async (t) => {
  const { path } = images(t, { disk: 8192, v: 4096, cd: 2048 });
  const output = path('a.trace');
  await record({
    kernel: packageFile('corpus/e820/e820.elf'),
    drives: [{ path: path('disk') }, { path: path('v'), interface: 'virtio' }],
    cdrom: path('cd'),
    output,
  });
  const again = await replay(output, { live: true });
  t.is(again.divergence, undefined);
  writeFileSync(path('v'), new Uint8Array(4096));
  await t.throwsAsync(replay(output, { live: true }), { message: /v: this is not the virtio-drive that was recorded/ });
  t.is((await replay(output)).divergence, undefined);
});
