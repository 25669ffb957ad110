// The LZMA encoder against the decoder that kernels are unpacked with, and against xz where it is installed.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
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
  let state = 1;
  const noise = Uint8Array.from({ length: 300_000 }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  });
  t.is(encodeLzma(noise), undefined);
});

/** Data by a linear congruence: runs of one of some hundred distances, and between them bytes of so many bits. */
function structured(size: number, mask: number): Uint8Array {
  let state = size + mask;
  const random = (n: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 16) % n;
  };
  const raw = new Uint8Array(size);
  for (let at = 0; at < size; ) {
    const back = 1 + random(1 << random(16));
    const end = Math.min(size, at + 1 + random(1 << random(9)));
    const fresh = random(2) === 0 || back > at;
    for (; at < end; at++) raw[at] = fresh ? random(256) & mask : raw[at - back]!;
  }
  return raw;
}

const digest = (outputs: readonly (Uint8Array | undefined)[]): string => {
  const hash = createHash('sha256');
  for (const output of outputs) hash.update(output ? `${output.length}\n` : 'none\n').update(output ?? '');
  return hash.digest('hex').slice(0, 32);
};

// What a guest's memory becomes must not depend on who packed it: these are the bytes that the first form of the encoder
// wrote, which was JavaScript. A change that gives others is a new PACKER (kept-payloads.ts).
const RECORDED: readonly [what: string, outputs: () => (Uint8Array | undefined)[], hash: string][] = [
  [
    'all small sizes',
    () => Array.from({ length: 700 }, (_, n) => encodeLzma(structured(n, 0x1f))),
    '8377b3754a1e04ddc0834a392c999ae8',
  ],
  [
    'few bits',
    () => [1, 3, 7].map((mask) => encodeLzma(structured(120_000, mask))),
    '7dd18edfb71882afca0940a4f81b7598',
  ],
  [
    'bytes',
    () => [0x3f, 0xff].map((mask) => encodeLzma(structured(900_000, mask))),
    '8af0f53562c9bdb90193aa2de9214278',
  ],
  ['more than there are buckets', () => [encodeLzma(structured(2_500_000, 0xff))], 'b4022b57b0ba6550d1acc8752a2480a6'],
  ['zeros', () => [100, 5000, 1_000_000].map((n) => encodeLzma(new Uint8Array(n))), 'f0368a469224c0ed8b1eeb551691a902'],
];
for (const [what, outputs, hash] of RECORDED) {
  test(`the bytes are those that were always written: ${what}`, (t) => {
    t.is(digest(outputs()), hash);
  });
}

test('what was encoded before changes nothing', (t) => {
  const [large, small] = [structured(700_000, 0xff), structured(3000, 0x0f)];
  const first = [encodeLzma(small), encodeLzma(large)];
  t.deepEqual([encodeLzma(small), encodeLzma(large)], first);
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
  for (const raw of [Buffer.from('what xz reads, everybody reads; '.repeat(5000)), structured(2_500_000, 0x7f)]) {
    const input = encodeLzma(raw)!;
    t.true(execFileSync('xz', ['--format=lzma', '-d', '-c'], { input, maxBuffer: 1 << 26 }).equals(raw));
  }
});
