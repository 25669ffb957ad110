// Answers here are those of QEMU 7.2 to the same accesses.

import test from 'ava';
import fc from 'fast-check';
import { CpuHotplug } from '../../../../src/platform/devices/acpi/cpu-hotplug.js';
import { assertSaveLoad } from '../save-load.js';

function rig() {
  const log: unknown[] = [];
  const device = new CpuHotplug({ map: (bitmap) => log.push(bitmap) });
  return { device, log, bitmap: device.bitmap, registers: device.registers };
}

test('it begins as a bitmap of one processor', (t) => {
  const { bitmap, log } = rig();
  t.deepEqual([bitmap.portRead(0, 1), bitmap.portRead(1, 1), bitmap.portRead(31, 1)], [1, 0, 0]);
  bitmap.portWrite(0, 1, 1);
  bitmap.portWrite(1, 1, 0);
  t.deepEqual(log, []);
});

test('a 0 written to the first byte shows the later registers, for good', (t) => {
  const { device, bitmap, log } = rig();
  bitmap.portWrite(0, 1, 0);
  device.reset();
  t.deepEqual(log, [false]);
});

test('only the selected processor 0 is there', (t) => {
  const { registers } = rig();
  t.deepEqual([registers.portRead(4, 1), registers.portRead(4, 4), registers.portRead(8, 4)], [1, 1, 0]);
  registers.portWrite(0, 4, 2);
  t.is(registers.portRead(4, 1), 0);
  registers.portWrite(4, 1, 8);
  registers.portWrite(0, 4, 0);
  t.is(registers.portRead(4, 1), 1, 'it cannot be ejected');
});

test('a copy loaded from saved state cannot be told from the original', (t) => {
  const operation = fc.record({
    kind: fc.constantFrom('read', 'write', 'bitmap', 'reset'),
    offset: fc.constantFrom(0, 1, 4, 5, 8),
    value: fc.oneof(fc.constantFrom(0, 1, 3), fc.nat({ max: 0xff })),
  });
  assertSaveLoad((clock) => {
    const { device, log, bitmap, registers } = rig();
    return {
      device,
      clock,
      log,
      apply: ({ kind, offset, value }) => {
        if (kind === 'read') return [registers.portRead(offset, 1), bitmap.portRead(offset, 1)];
        if (kind === 'write') return registers.portWrite(offset, 1, value);
        return kind === 'bitmap' ? bitmap.portWrite(offset, 1, value) : device.reset();
      },
    };
  }, operation);
  t.pass();
});
