// Node's own functions beside the modules that have them. Only the Node that builds uses them, and only if they do as the
// modules do; what another Node has does not matter.

import { createHash, randomBytes } from 'node:crypto';
import { brotliCompressSync, constants, crc32 } from 'node:zlib';
import test from 'ava';
import { ownBuiltins, takeOwnBuiltins, tried } from '../../src/start/own-builtins.js';

const known = process.versions.v8.startsWith('11.') ? test.serial : test.serial.skip;

known('nothing is used before it is asked for', (t) => {
  t.is(ownBuiltins(), undefined);
});

known("the build's trial finds them as the modules are, and Node warns of nothing", async (t) => {
  const warned: Error[] = [];
  const hear = (warning: Error) => warned.push(warning);
  process.on('warning', hear);
  t.true(tried());
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', hear);
  t.deepEqual(warned, []);
  t.false('noDeprecation' in process);
});

known('hashes, check sums and packed bytes are those of the modules', (t) => {
  takeOwnBuiltins();
  const own = ownBuiltins()!;
  for (const length of [1, 63, 64, 4096, 0xffff]) {
    for (const data of [randomBytes(length), Buffer.alloc(length, 'abc')]) {
      t.is(own.crc32(data), crc32(data));
      t.is(own.createHash('sha256').update(data).digest('hex'), createHash('sha256').update(data).digest('hex'));
      for (const quality of [4, 5, 9]) {
        const params = {
          [constants.BROTLI_PARAM_QUALITY]: quality,
          [constants.BROTLI_PARAM_LGWIN]: 16,
          [constants.BROTLI_PARAM_SIZE_HINT]: data.length,
        };
        t.deepEqual(own.brotliCompressSync(data, { params }), brotliCompressSync(data, { params }));
      }
    }
  }
});

known('a hash that was copied goes on by itself', (t) => {
  takeOwnBuiltins();
  const hash = ownBuiltins()!.createHash('sha256').update('a');
  const copy = hash.copy().update('b');
  t.deepEqual(hash.digest(), createHash('sha256').update('a').digest());
  t.deepEqual(copy.digest(), createHash('sha256').update('ab').digest());
});

known('what is empty or large is left to the modules', (t) => {
  takeOwnBuiltins();
  const own = ownBuiltins()!;
  t.is(own.brotliCompressSync(new Uint8Array(0), {}), undefined);
  t.is(own.brotliCompressSync(new Uint8Array(0x1_0001), {}), undefined);
});
