// Our PNG files, taken apart again.

import { crc32, inflateSync } from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { encodePng } from '../../src/api/png.js';

/** Chunks by type, check sums verified. */
function chunks(file: Buffer): [string, Buffer][] {
  const found: [string, Buffer][] = [];
  for (let at = 8; at < file.length; ) {
    const length = file.readUInt32BE(at);
    const body = file.subarray(at + 4, at + 8 + length);
    if (file.readUInt32BE(at + 8 + length) !== crc32(body)) throw new Error(`the chunk at ${at} has a wrong check sum`);
    found.push([body.toString('latin1', 0, 4), body.subarray(4)]);
    at += 12 + length;
  }
  return found;
}

test('a picture comes back from its file', (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        fc.infiniteStream(fc.nat(255)),
        (width, height, bytes) => {
          const rgb = Uint8Array.from({ length: width * height * 3 }, () => bytes.next().value);
          const file = Buffer.from(encodePng({ width, height, rgb }));
          if (file.toString('latin1', 0, 8) !== '\x89PNG\r\n\x1a\n') throw new Error('no signature');
          const [[, header], [, data], [last]] = chunks(file) as [[string, Buffer], [string, Buffer], [string, Buffer]];
          if (last !== 'IEND' || header.readUInt32BE(0) !== width || header.readUInt32BE(4) !== height)
            throw new Error('header');
          const lines = inflateSync(data);
          const back = new Uint8Array(rgb.length);
          const stride = width * 3;
          for (let at = 0; at < back.length; at++) {
            const [y, x] = [Math.floor(at / stride), at % stride];
            if (lines[y * (stride + 1)] !== 2) throw new Error('filter');
            back[at] = lines[y * (stride + 1) + 1 + x]! + (back[at - stride] ?? 0);
          }
          if (Buffer.compare(back, rgb) !== 0) throw new Error('pixels differ');
        },
      ),
    ),
  );
});
