import test from 'ava';
import fc from 'fast-check';
import { ALL_OBSERVED, decodeMemory, encodeMemory, LINE_SIZE, MEMORY_SPAN } from '../../src/trace/memory.js';

test('observed lines come back, all others as zero', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 300 }),
      fc.uint8Array({ minLength: 1, maxLength: 700 }),
      fc.func(fc.boolean()),
      (address, data, isObserved) => {
        const observed = { lineSize: LINE_SIZE as 4, isObserved };
        const found = new Uint8Array(data.length);
        for (const payload of encodeMemory({ address, data }, observed)) {
          for (const piece of decodeMemory(payload)) found.set(piece.data, piece.address - address);
        }
        const expected = data.map((byte, i) => (isObserved(Math.floor((address + i) / LINE_SIZE)) ? byte : 0));
        t.deepEqual(found, Uint8Array.from(expected));
      },
    ),
  );
});

test('a long region is split where the spans of guest memory end', (t) => {
  const data = new Uint8Array(2 * MEMORY_SPAN).fill(1);
  const payloads = [...encodeMemory({ address: MEMORY_SPAN - 10, data }, ALL_OBSERVED)];
  const pieces = payloads.flatMap((payload) => decodeMemory(payload));
  t.deepEqual(
    pieces.map(({ address, data: { length } }) => [address, length]),
    [
      [MEMORY_SPAN - 10, 10],
      [MEMORY_SPAN, MEMORY_SPAN],
      [2 * MEMORY_SPAN, MEMORY_SPAN - 10],
    ],
  );
});

test('memory that nobody observed takes no chunk', (t) => {
  const data = new Uint8Array(1000).fill(1);
  t.is([...encodeMemory({ address: 0, data }, { lineSize: LINE_SIZE as 4, isObserved: () => false })].length, 0);
  t.is([...encodeMemory({ address: 0, data: new Uint8Array(1000) }, ALL_OBSERVED)].length, 0);
});
