import test from 'ava';
import fc from 'fast-check';
import { E820_RAM, encodeE820, firmwareE820, fwCfgE820, GIB, MIB, splitRam } from '../../src/platform/e820.js';

test('the firmware map of 128 MiB is what Linux prints under QEMU', (t) => {
  const lines = firmwareE820(128 * MIB, { amd: true }).map(
    ({ address, length, type }) => `${address.toString(16)}-${(address + length - 1).toString(16)} ${type}`,
  );
  t.deepEqual(lines, [
    '0-9fbff 1',
    '9fc00-9ffff 2',
    'f0000-fffff 2',
    '100000-7fdffff 1',
    '7fe0000-7ffffff 2',
    'fffc0000-ffffffff 2',
    'fd00000000-ffffffffff 2',
  ]);
});

test('etc/e820 has the bytes that QEMU gives', (t) => {
  t.is(
    Buffer.from(encodeE820(fwCfgE820(128 * MIB, { amd: true }))).toString('hex'),
    '00000000fd00000000000000030000000200000000000000000000000000000800000000' + '01000000',
  );
});

test('RAM of 3.5 GiB and more is split at 3 GiB', (t) => {
  t.deepEqual(splitRam(3.5 * GIB - MIB), { below: 3.5 * GIB - MIB, above: 0 });
  t.deepEqual(splitRam(3.5 * GIB), { below: 3 * GIB, above: 0.5 * GIB });
  t.deepEqual(fwCfgE820(5 * GIB), [
    { address: 0, length: 3 * GIB, type: E820_RAM },
    { address: 4 * GIB, length: 2 * GIB, type: E820_RAM },
  ]);
});

test('too little RAM is refused', (t) => {
  t.throws(() => firmwareE820(MIB), { instanceOf: RangeError });
});

test('the map is sorted, free of overlaps, and usable memory never exceeds RAM', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 64 * 1024 }), fc.boolean(), (mib, amd) => {
      const map = firmwareE820(mib * MIB, { amd });
      let end = 0;
      for (const { address, length } of map) {
        if (address < end || length <= 0) return false;
        end = address + length;
      }
      const usable = map.filter(({ type }) => type === E820_RAM).reduce((sum, { length }) => sum + length, 0);
      return usable < mib * MIB && usable > mib * MIB - MIB;
    }),
  );
  t.pass();
});
