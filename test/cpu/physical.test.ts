// Physical memory before a machine runs.

import test from 'ava';
import fc from 'fast-check';
import { Cpu } from '../../src/cpu/cpu.js';
import { QEMU64_V1 } from '../../src/cpu/cpuid.js';

test('filling memory from runs is writing RAM and filling ROM with each', (t) => {
  const ROM = 0x1_0000_0000 - 0x2000;
  const run = fc.record({ gap: fc.integer({ min: 1, max: 9000 }), length: fc.integer({ min: 1, max: 5000 }) });
  const place = fc.constantFrom(0, 0x3000, 0x1f_0000, ROM - 0x800, 0x1_0000_0000 - 0x1000);
  const make = () => {
    const cpu = new Cpu({
      model: QEMU64_V1,
      timing: { name: 'test', nsPerCycle: 4 },
      ramSize: 2 << 20,
      romSize: 0x2000,
    });
    cpu.physical.mapRom(ROM, 0x2000);
    return cpu.physical;
  };
  const [one, other] = [make(), make()];
  fc.assert(
    fc.property(fc.array(run, { maxLength: 12 }), place, fc.nat(), (runs, address, seed) => {
      const offsets = new Uint32Array(runs.length);
      const lengths = Uint32Array.from(runs, ({ length }) => length);
      runs.forEach(({ gap }, i) => {
        offsets[i] = gap + (i === 0 ? 0 : offsets[i - 1]! + lengths[i - 1]!);
      });
      const data = Uint8Array.from({ length: lengths.reduce((a, b) => a + b, 0) }, (_, i) => (i * 7 + seed) & 0xff);
      one.fill(address, offsets, lengths, data);
      let used = 0;
      offsets.forEach((offset, i) => {
        const bytes = data.subarray(used, used + lengths[i]!);
        used += lengths[i]!;
        other.write(address + offset, bytes);
        other.fillRom(address + offset, bytes);
      });
      t.is(Buffer.compare(one.flags, other.flags), 0);
      for (const [start, size] of [
        [0, 2 << 20],
        [ROM, 0x2000],
      ] as const)
        t.is(Buffer.compare(one.read(start, size), other.read(start, size)), 0);
    }),
    { numRuns: 40 },
  );
});
