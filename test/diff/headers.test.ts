// What differs before the first instruction, as far as it needs no whole traces.

import test from 'ava';
import { diffMemory } from '../../src/diff/headers.js';
import type { TraceReader } from '../../src/trace/reader.js';

/** A trace with these runs of memory, in the order of its chunks. */
const traceWith = (...runs: readonly (readonly [number, string])[]): TraceReader =>
  ({
    header: { images: [{ role: 'initrd', address: 0x2000, size: 0x1000 }] },
    memory: () => runs.map(([address, text]) => ({ address, data: Buffer.from(text) })),
  }) as unknown as TraceReader;

test('initial memories are compared by address, in whatever order their chunks stand', (t) => {
  const a = traceWith([0x1000, 'one'], [0x3000, 'three'], [0x2000, 'twofold']);
  t.is(diffMemory(a, traceWith([0x2000, 'two'], [0x1000, 'one'], [0x2003, 'fold'], [0x3000, 'three'])), undefined);
  t.deepEqual(diffMemory(a, traceWith([0x3000, 'three'], [0x2002, 'ofOld'], [0x1000, 'one'])), {
    address: '0x2004',
    a: 'o'.charCodeAt(0),
    b: 'O'.charCodeAt(0),
    image: { role: 'initrd', offset: 4 },
  });
});
