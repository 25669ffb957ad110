import test from 'ava';
import fc from 'fast-check';
import { DamagedData } from '../../../src/boot/unpack/damaged-data.js';
import { compressionOf, unpackPayload } from '../../../src/boot/unpack/unpack.js';
import { processorTime } from '../processor-time.js';
import { sample } from './sample.js';
import { VECTORS } from './vectors.js';

const wanted = sample();
const LIMIT = 1 << 20;

for (const [name, base64] of Object.entries(VECTORS)) {
  const packed = new Uint8Array(Buffer.from(base64, 'base64'));

  test(`a ${name} payload is known by its magic and unpacks to the packed bytes`, (t) => {
    t.is(compressionOf(packed), name);
    t.is(Buffer.compare(unpackPayload(packed, LIMIT), wanted), 0);
  });

  test(`a ${name} payload that is cut off anywhere is damaged, never a crash`, (t) => {
    for (let length = 0; length < packed.length; length += 7) {
      t.throws(() => unpackPayload(packed.slice(0, length), LIMIT), { instanceOf: DamagedData }, `${length} bytes`);
    }
  });

  test(`a ${name} payload with changed bytes unpacks to the stated size or is damaged, quickly`, (t) => {
    const change = fc.tuple(fc.nat(packed.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
        const mutated = packed.slice();
        for (const [at, value] of changes) mutated[at] = value;
        return (
          processorTime(100, () => {
            let result: Uint8Array | undefined;
            try {
              result = unpackPayload(mutated, LIMIT);
            } catch (error) {
              t.true(error instanceof DamagedData, String(error));
            }
            if (result) t.is(result.length, new DataView(mutated.buffer).getUint32(mutated.length - 4, true));
          }) <= 100
        );
      }),
      { numRuns: 300 },
    );
  });

  test(`a ${name} payload that unpacks to more than the limit is refused`, (t) => {
    t.throws(() => unpackPayload(packed, wanted.length - 1), { instanceOf: DamagedData });
    const lying = packed.slice();
    new DataView(lying.buffer).setUint32(lying.length - 4, wanted.length - 1, true);
    t.throws(() => unpackPayload(lying, LIMIT).length, { instanceOf: DamagedData });
  });
}

test('bytes of no known compression are refused by name', (t) => {
  t.throws(() => unpackPayload(new Uint8Array(64), LIMIT), {
    instanceOf: DamagedData,
    message: /no known compression/,
  });
});
