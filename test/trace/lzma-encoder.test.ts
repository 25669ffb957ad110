// The LZMA encoder against the decoder that kernels are unpacked with, and against xz where it is installed.

import { execFileSync } from 'node:child_process';
import test from 'ava';
import fc from 'fast-check';
import { unpackLzma } from '../../src/boot/unpack/lzma.js';
import { encodeLzma } from '../../src/trace/lzma-encoder.js';

/** Bytes with repetitions of all distances and lengths, so that every kind of step comes up. */
const content = fc
  .array(fc.tuple(fc.uint8Array({ maxLength: 20 }), fc.nat(5000), fc.nat(700)), { minLength: 1, maxLength: 60 })
  .map((parts) => {
    const bytes: number[] = [];
    for (const [fresh, back, length] of parts) {
      bytes.push(...fresh);
      for (let i = 0; i < length && bytes.length > 0; i++) bytes.push(bytes[Math.max(0, bytes.length - 1 - back)]!);
    }
    return Uint8Array.from(bytes);
  });

test('what was encoded decodes to itself', (t) => {
  fc.assert(
    fc.property(content, (raw) => {
      const packed = encodeLzma(raw);
      if (packed) t.deepEqual(unpackLzma(packed, raw.length), raw);
      else t.true(raw.length < 1000);
    }),
    { numRuns: 200 },
  );
});

test('distances past every limit of the slots come back', (t) => {
  let state = 1;
  const noise = Uint8Array.from({ length: 100_000 }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state >>> 26;
  });
  for (const gap of [0, 100, 130, 5000, 70_000, 2_000_000]) {
    const raw = new Uint8Array(2 * noise.length + gap);
    raw.set(noise);
    raw.set(noise, noise.length + gap);
    const packed = encodeLzma(raw)!;
    t.true(packed.length < 1.1 * noise.length);
    t.true(Buffer.from(raw).equals(unpackLzma(packed, raw.length)));
  }
});

test('what does not become smaller is not encoded', (t) => {
  t.is(encodeLzma(new Uint8Array(0)), undefined);
  t.is(encodeLzma(Uint8Array.of(1, 2, 3)), undefined);
});

const hasXz = (() => {
  try {
    execFileSync('xz', ['--version']);
    return true;
  } catch {
    return false;
  }
})();

(hasXz ? test : test.skip)('xz reads it', (t) => {
  const raw = Buffer.from('what xz reads, everybody reads; '.repeat(5000));
  const out = execFileSync('xz', ['--format=lzma', '-d', '-c'], { input: encodeLzma(raw)! });
  t.true(out.equals(raw));
});
