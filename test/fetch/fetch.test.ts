import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { type PackageSource, parseStanza, pickFromDeb } from '../../src/fetch/apt.js';
import { cachedImage, sha256 } from '../../src/fetch/cache.js';
import { cacheDirectory } from '../../src/fetch/cache-directory.js';
import { fetchGuests } from '../../src/fetch/fetch.js';
import { FetchError } from '../../src/fetch/fetch-error.js';
import { BOOT_MARKER, END_MARKER } from '../../src/fetch/initramfs.js';

/** An archive of two packages, which counts how often it is asked. */
function fakeSource(files: Record<string, string>) {
  const counts = { resolved: 0, unpacked: 0 };
  const source: PackageSource = {
    async resolve(name, architecture) {
      counts.resolved++;
      const depends = name === 'linux-image-cloud-amd64' ? ['linux-base', 'linux-image-9.9-cloud-amd64'] : [];
      return { package: name, version: '1-1', architecture, sha256: 'ab'.repeat(32), depends };
    },
    async unpack(_resolved, wants, onMember) {
      counts.unpacked++;
      for (const [path, text] of Object.entries(files)) if (wants(path)) onMember(path, Buffer.from(text));
    },
  };
  return { source, counts };
}

function temporary(t: { teardown(undo: () => void): void }): string {
  const directory = mkdtempSync(join(tmpdir(), 'vmreplay-test-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

test('a kernel is found through its meta-package and cached under a name without a version', async (t) => {
  const cacheDir = temporary(t);
  const { source } = fakeSource({ 'boot/vmlinuz-9.9-cloud-amd64': 'kernel', 'boot/config-9.9': 'no' });
  const [result] = await fetchGuests(['cloud'], { cacheDir, source });
  t.true(result!.fetched);
  t.is(result!.packages[0]!.package, 'linux-image-9.9-cloud-amd64');
  const path = cachedImage('vmlinuz-cloud-amd64', cacheDir)!;
  t.is(path, result!.files[0]!.path);
  t.is(readFileSync(path, 'utf8'), 'kernel');
  t.deepEqual(readdirSync(cacheDir).sort(), ['manifest.json', 'vmlinuz-cloud-amd64']);
  const manifest = JSON.parse(readFileSync(join(cacheDir, 'manifest.json'), 'utf8'));
  t.deepEqual(manifest.guests.cloud.files, [
    {
      name: 'vmlinuz-cloud-amd64',
      size: 6,
      sha256: sha256(Buffer.from('kernel')),
      from: 'boot/vmlinuz-9.9-cloud-amd64',
    },
  ]);
});

test('fetching again asks nobody and writes nothing', async (t) => {
  const cacheDir = temporary(t);
  const { source, counts } = fakeSource({ 'bin/busybox': 'ELF' });
  await fetchGuests(['busybox'], { cacheDir, source });
  const before = readdirSync(cacheDir).map((file) => [file, statSync(join(cacheDir, file)).mtimeMs]);
  const [again] = await fetchGuests(['busybox'], { cacheDir, source });
  t.false(again!.fetched);
  t.deepEqual(counts, { resolved: 1, unpacked: 1 });
  t.deepEqual(
    readdirSync(cacheDir).map((file) => [file, statSync(join(cacheDir, file)).mtimeMs]),
    before,
  );
  t.deepEqual(
    again!.files.map((file) => file.name),
    ['busybox', 'initrd-busybox.cpio'],
  );
});

test('a file that was changed or lost in the cache is fetched again, and so is everything on request', async (t) => {
  const cacheDir = temporary(t);
  const { source, counts } = fakeSource({ 'bin/busybox': 'ELF' });
  await fetchGuests(['busybox'], { cacheDir, source });
  writeFileSync(join(cacheDir, 'busybox'), 'elf');
  t.true((await fetchGuests(['busybox'], { cacheDir, source }))[0]!.fetched);
  t.is(readFileSync(join(cacheDir, 'busybox'), 'utf8'), 'ELF');
  rmSync(join(cacheDir, 'initrd-busybox.cpio'));
  t.true((await fetchGuests(['busybox'], { cacheDir, source }))[0]!.fetched);
  t.true((await fetchGuests(['busybox'], { cacheDir, source, refresh: true }))[0]!.fetched);
  t.is(counts.unpacked, 4);
});

test('what cannot be had is one sentence and leaves no file behind', async (t) => {
  const cacheDir = temporary(t);
  const { source } = fakeSource({});
  await t.throwsAsync(fetchGuests(['clod'], { cacheDir, source }), {
    instanceOf: FetchError,
    message: /^there is no guest named clod; choose from cloud, amd64, /,
  });
  await t.throwsAsync(fetchGuests(['cloud'], { cacheDir, source }), {
    instanceOf: FetchError,
    message: /^linux-image-9.9-cloud-amd64 1-1 has no file for vmlinuz-cloud-amd64;/,
  });
  t.deepEqual(readdirSync(cacheDir), []);
});

test('the cache directory follows the environment in order', (t) => {
  t.is(cacheDirectory({ VMREPLAY_CACHE: '/a', XDG_CACHE_HOME: '/b', HOME: '/c' }), '/a');
  t.is(cacheDirectory({ XDG_CACHE_HOME: '/b', HOME: '/c' }), '/b/vmreplay');
  t.is(cacheDirectory({ XDG_CACHE_HOME: 'relative', HOME: '/c' }), '/c/.cache/vmreplay');
});

test('a name that leaves the cache, or is the manifest, is no image', async (t) => {
  const cacheDir = temporary(t);
  writeFileSync(join(cacheDir, 'manifest.json'), '{}');
  writeFileSync(join(cacheDir, 'bios.bin'), 'x');
  t.is(cachedImage('bios.bin', cacheDir), join(cacheDir, 'bios.bin'));
  for (const name of ['', '.', '..', '../bios.bin', 'manifest.json', 'no-such', './bios.bin', 'bios.bin\0']) {
    t.is(cachedImage(name, cacheDir), undefined, name);
  }
});

test("the archive's record of a package is read field by field", (t) => {
  const text = [
    'Package: linux-image-cloud-amd64',
    'Version: 6.1.192-2',
    'Architecture: amd64',
    'Depends: linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2), foo | bar, baz:any',
    'SHA256: 00be21',
    '',
    'Package: other',
  ].join('\n');
  t.deepEqual(parseStanza(text), {
    package: 'linux-image-cloud-amd64',
    version: '6.1.192-2',
    architecture: 'amd64',
    sha256: '00be21',
    depends: ['linux-image-6.1.0-56-cloud-amd64', 'foo', 'baz'],
  });
  t.is(parseStanza('Package: x\nVersion: 1\n'), undefined);
});

const hasDpkg = spawnSync('dpkg-deb', ['--version']).status === 0;
(hasDpkg ? test : test.skip)('a package made by dpkg-deb gives up the file that is wanted', async (t) => {
  const directory = temporary(t);
  execFileSync('mkdir', ['-p', join(directory, 'p/DEBIAN'), join(directory, 'p/boot')]);
  writeFileSync(
    join(directory, 'p/DEBIAN/control'),
    'Package: p\nVersion: 1\nArchitecture: all\nMaintainer: n <n@example.org>\nDescription: d\n',
  );
  writeFileSync(join(directory, 'p/boot/vmlinuz-1'), 'kernel');
  execFileSync('dpkg-deb', ['--build', join(directory, 'p'), join(directory, 'p.deb')]);
  const found: string[] = [];
  const take = (path: string, data: Uint8Array) => found.push(`${path}=${Buffer.from(data)}`);
  await pickFromDeb(join(directory, 'p.deb'), (path) => path.startsWith('boot/'), take);
  t.deepEqual(found, ['boot/vmlinuz-1=kernel']);
  writeFileSync(join(directory, 'bad.deb'), 'not a package');
  await t.throwsAsync(
    pickFromDeb(join(directory, 'bad.deb'), () => true, take),
    { instanceOf: FetchError, message: /dpkg-deb cannot unpack .*bad\.deb/ },
  );
});

const kernel = cachedImage('vmlinuz-cloud-amd64');
const initrd = cachedImage('initrd-busybox.cpio');
const hasQemu = spawnSync('qemu-system-x86_64', ['--version']).status === 0;
(kernel && initrd && hasQemu ? test : test.skip)(
  'in QEMU, the fetched kernel starts the initial file system, which computes the right sum and powers off',
  (t) => {
    const run = spawnSync(
      'qemu-system-x86_64',
      `-M pc -nodefaults -display none -m 256 -accel tcg -no-reboot -serial stdio -kernel ${kernel} -initrd ${initrd}`
        .split(' ')
        .concat('-append', 'console=ttyS0 panic=-1 quiet'),
      { timeout: 120_000, encoding: 'utf8' },
    );
    t.is(run.status, 0);
    t.true(run.stdout.includes(BOOT_MARKER));
    t.true(run.stdout.includes('VMREPLAY-MARKER sha256 ok'));
    t.true(run.stdout.includes(END_MARKER));
  },
);
