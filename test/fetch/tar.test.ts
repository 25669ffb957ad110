import test from 'ava';
import fc from 'fast-check';
import { FetchError } from '../../src/fetch/fetch-error.js';
import { TarPicker } from '../../src/fetch/tar.js';

function header(name: string, size: number, type: string): Uint8Array {
  const block = Buffer.alloc(512);
  block.write(name, 0, 100);
  block.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  block.fill(' ', 148, 156);
  block.write(type, 156);
  block.write('ustar  \0', 257, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

function member(name: string, data: Uint8Array, type = '0'): Uint8Array {
  const padding = (512 - (data.length % 512)) % 512;
  return Buffer.concat([header(name, data.length, type), data, Buffer.alloc(padding)]);
}

function pick(archive: Uint8Array, cuts: number[], wants: (path: string) => boolean): [string, string][] {
  const found: [string, string][] = [];
  const picker = new TarPicker(wants, (path, data) => found.push([path, Buffer.from(data).toString()]));
  let at = 0;
  for (const cut of [...cuts.map((one) => one % (archive.length + 1)).sort((a, b) => a - b), archive.length]) {
    picker.push(archive.subarray(at, cut));
    at = cut;
  }
  return found;
}

const longName = `./lib/${'deep/'.repeat(30)}file`;
const archive = Buffer.concat([
  member('./boot/', new Uint8Array(0), '5'),
  member('./boot/vmlinuz-1', Buffer.from('kernel '.repeat(200))),
  member('./boot/empty', new Uint8Array(0)),
  member('././@LongLink', Buffer.from(`${longName}\0`), 'L'),
  member(longName.slice(0, 99), Buffer.from('deep')),
  member('./boot/config-1', Buffer.from('CONFIG=y')),
  Buffer.alloc(1024),
]);

test('wanted members arrive whole wherever the stream is cut', (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat(20_000), { maxLength: 12 }), (cuts) => {
      const found = pick(archive, cuts, (path) => path !== 'boot/config-1');
      t.deepEqual(found, [
        ['boot/vmlinuz-1', 'kernel '.repeat(200)],
        ['boot/empty', ''],
        [longName.slice(2), 'deep'],
      ]);
    }),
    { numRuns: 200 },
  );
});

test('a damaged header is refused before anything is allocated for it', (t) => {
  const damaged = Buffer.from(archive);
  damaged[512 + 130] = 0x37;
  t.throws(() => pick(damaged, [], () => true), { instanceOf: FetchError, message: /checksum/ });
  t.throws(() => pick(Buffer.from(header('./huge', 0o77777777777, '0')), [], () => true), {
    instanceOf: FetchError,
    message: /huge claims 8589934591 bytes/,
  });
});
