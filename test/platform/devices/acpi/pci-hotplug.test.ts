// Answers here are those of QEMU 7.2 to the same accesses (-M pc -vga std, with a virtio disk in slot 3).

import test from 'ava';
import fc from 'fast-check';
import { PciHotplug } from '../../../../src/platform/devices/acpi/pci-hotplug.js';
import { assertSaveLoad } from '../save-load.js';

const EJECT = 0x08;
const REMOVABLE = 0x0c;
const BUS = 0x10;

function rig() {
  const log: unknown[] = [];
  const device = new PciHotplug({ fixedSlots: () => 0b111, eject: (slot) => log.push(['eject', slot]) });
  return { device, log };
}

test('slots that stay are told from those that can be ejected, on bus 0', (t) => {
  const { device } = rig();
  t.is(device.portRead(REMOVABLE, 4), 0xfffffff8);
  device.portWrite(BUS, 4, 5);
  t.is(device.portRead(BUS, 4), 5);
  t.is(device.portRead(REMOVABLE, 4), 0xffffffff);
  device.portWrite(BUS, 4, 300);
  t.is(device.portRead(BUS, 4), 0, 'a bus that cannot be reads as nothing');
  t.is(device.portRead(REMOVABLE, 4), 0);
});

test('the lowest slot named is ejected, if it may be and the bus is ours', (t) => {
  const { device, log } = rig();
  device.portWrite(EJECT, 4, 0);
  device.portWrite(EJECT, 4, 0b1100);
  t.deepEqual(log, []);
  device.portWrite(BUS, 4, 1);
  device.portWrite(EJECT, 4, 8);
  device.portWrite(BUS, 4, 0);
  device.portWrite(EJECT, 2, 8);
  t.deepEqual(log, []);
  device.portWrite(EJECT, 4, 0x8000_0018);
  device.portWrite(EJECT, 4, 0x8000_0000);
  t.deepEqual(log, [
    ['eject', 3],
    ['eject', 31],
  ]);
});

test('nothing comes or goes by itself, and no slot has a label', (t) => {
  const { device } = rig();
  for (const offset of [0, 4, 8, 0x14]) t.is(device.portRead(offset, 4), 0);
  t.is(device.portRead(REMOVABLE, 2), 0, 'only 32 bits at a time');
});

test('a copy loaded from saved state cannot be told from the original', (t) => {
  const operation = fc.record({
    kind: fc.constantFrom('read', 'write', 'reset'),
    offset: fc.constantFrom(0, 4, EJECT, REMOVABLE, BUS, 0x14),
    value: fc.oneof(fc.constantFrom(0, 1, 8), fc.nat({ max: 0xffff_ffff })),
  });
  assertSaveLoad((clock) => {
    const { device, log } = rig();
    return {
      device,
      clock,
      log,
      apply: ({ kind, offset, value }) => {
        if (kind === 'read') return device.portRead(offset, 4);
        return kind === 'write' ? device.portWrite(offset, 4, value) : device.reset();
      },
    };
  }, operation);
  t.pass();
});
