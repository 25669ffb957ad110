import test from 'ava';
import { writeCpio } from '../../src/fetch/cpio.js';
import { BOOT_MARKER, buildInitramfs } from '../../src/fetch/initramfs.js';

interface Member {
  inode: number;
  mode: number;
  time: number;
  device: [number, number];
  data: Uint8Array;
}

/** A reader written from the format's description, independent of the writer. */
function readCpio(archive: Uint8Array): Map<string, Member> {
  const members = new Map<string, Member>();
  const ascii = (from: number, length: number) => Buffer.from(archive.subarray(from, from + length)).toString('latin1');
  const field = (at: number, index: number) => Number.parseInt(ascii(at + 6 + 8 * index, 8), 16);
  for (let at = 0; ; ) {
    if (ascii(at, 6) !== '070701') throw new Error(`no header at ${at}`);
    const nameSize = field(at, 11);
    const size = field(at, 6);
    const name = ascii(at + 110, nameSize - 1);
    const body = (at + 110 + nameSize + 3) & ~3;
    if (name === 'TRAILER!!!') return members;
    members.set(name, {
      inode: field(at, 0),
      mode: field(at, 1),
      time: field(at, 5),
      device: [field(at, 9), field(at, 10)],
      data: archive.subarray(body, body + size),
    });
    at = (body + size + 3) & ~3;
  }
}

test('members come back with their kind, rights and bytes, whatever their length', (t) => {
  for (const length of [0, 1, 2, 3, 4, 5, 511, 512, 513]) {
    const data = Uint8Array.from({ length }, (_, i) => i & 0xff);
    const archive = writeCpio([
      { type: 'directory', path: 'dev' },
      { type: 'character', path: 'dev/console', major: 5, minor: 1 },
      { type: 'file', path: 'data', data, mode: 0o755 },
      { type: 'link', path: 'also', target: 'data' },
    ]);
    t.is(archive.length % 512, 0);
    const members = readCpio(archive);
    t.deepEqual([...members.keys()], ['dev', 'dev/console', 'data', 'also']);
    t.is(members.get('dev')!.mode, 0o040755);
    t.is(members.get('dev/console')!.mode, 0o020600);
    t.deepEqual(members.get('dev/console')!.device, [5, 1]);
    t.is(members.get('data')!.mode, 0o100755);
    t.deepEqual(members.get('data')!.data, data);
    t.is(members.get('also')!.mode, 0o120777);
    t.is(Buffer.from(members.get('also')!.data).toString(), 'data');
    t.deepEqual(
      [...members.values()].map((member) => member.inode),
      [1, 2, 3, 4],
    );
  }
});

test('a path that is absolute, empty or given twice is refused', (t) => {
  const file = (path: string) => ({ type: 'file' as const, path, data: new Uint8Array(1) });
  t.throws(() => writeCpio([file('/etc/passwd')]), { instanceOf: RangeError });
  t.throws(() => writeCpio([file('')]), { instanceOf: RangeError });
  t.throws(() => writeCpio([file('a'), file('a')]), { instanceOf: RangeError });
});

test('the initial file system holds an executable /init, a console and busybox, with no times', (t) => {
  const busybox = new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 1]);
  const archive = buildInitramfs(busybox);
  t.deepEqual(archive, buildInitramfs(busybox));
  const members = readCpio(archive);
  t.is(members.get('init')!.mode, 0o100755);
  t.true(Buffer.from(members.get('init')!.data).toString().includes(BOOT_MARKER));
  t.deepEqual(members.get('bin/busybox')!.data, busybox);
  t.is(Buffer.from(members.get('bin/sh')!.data).toString(), 'busybox');
  t.deepEqual(members.get('dev/console')!.device, [5, 1]);
  t.true([...members.values()].every((member) => member.time === 0));
  // Every command that the script starts is in the archive, or the guest would fail far from the cause.
  const script = Buffer.from(members.get('init')!.data).toString();
  const external = 'mount uname dd sha256sum cat grep setsid reboot halt poweroff'.split(' ');
  for (const command of external) t.true(script.includes(command) && members.has(`bin/${command}`), command);
});
