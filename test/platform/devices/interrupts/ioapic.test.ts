import test from 'ava';
import fc from 'fast-check';
import { Ioapic } from '../../../../src/platform/devices/interrupts/ioapic.js';
import type { ApicMessage } from '../../../../src/platform/devices/interrupts/lapic.js';
import { ManualClock } from '../manual-clock.js';
import { assertSaveLoad } from '../save-load.js';

function rig(clock = new ManualClock()) {
  const log: ApicMessage[] = [];
  const device = new Ioapic({ clock, deliver: (message) => log.push(message), acknowledgePic: () => 0x23 });
  const read = (register: number) => {
    device.mmioWrite(0x00, 4, register);
    return device.mmioRead(0x10, 4);
  };
  const write = (register: number, value: number) => {
    device.mmioWrite(0x00, 4, register);
    device.mmioWrite(0x10, 4, value);
  };
  const redirect = (pin: number, low: number, high = 0) => {
    write(0x11 + 2 * pin, high);
    write(0x10 + 2 * pin, low);
  };
  return { device, clock, log, read, write, redirect };
}

test('after reset all entries are masked and the version is 0x20 with 24 entries', (t) => {
  const { read } = rig();
  t.is(read(0), 0);
  t.is(read(1), 0x00170020);
  t.is(read(2), 0);
  for (let pin = 0; pin < 24; pin++) {
    t.is(read(0x10 + 2 * pin), 0x10000);
    t.is(read(0x11 + 2 * pin), 0);
  }
  t.is(read(0x40), 0);
});

test('the ID has four bits and shows in the arbitration register too', (t) => {
  const { read, write } = rig();
  write(0, 0xffffffff);
  t.is(read(0), 0x0f000000);
  t.is(read(2), 0x0f000000);
});

test('delivery status and remote IRR cannot be written', (t) => {
  const { read, redirect } = rig();
  redirect(3, 0xffffffff, 0xffffffff);
  t.is(read(0x16), 0xffffafff);
  t.is(read(0x17), 0xffffffff);
});

test('an edge is sent once a rise, and lost while the pin is masked', (t) => {
  const { device, redirect, log } = rig();
  device.setPin(4, true);
  redirect(4, 0x34, 0x01000000);
  t.is(log.length, 0);
  device.setPin(4, true);
  t.is(log.length, 0, 'the same level again is no edge');
  device.setPin(4, false);
  device.setPin(4, true);
  t.deepEqual(log, [{ destination: 1, logical: false, mode: 0, vector: 0x34, level: false }]);
});

test('a level is sent once until its EOI, and again while the line stays up', (t) => {
  const { device, read, redirect, log } = rig();
  redirect(9, 0x8049);
  device.setPin(9, true);
  device.setPin(9, true);
  t.is(log.length, 1);
  t.is(read(0x22), 0xc049);
  device.eoi(0x49);
  t.is(log.length, 2);
  device.setPin(9, false);
  device.mmioWrite(0x40, 4, 0x49);
  t.is(log.length, 2);
  t.is(read(0x22), 0x8049);
});

test('a level that came while masked is sent when unmasked', (t) => {
  const { device, redirect, log } = rig();
  redirect(10, 0x1804a);
  device.setPin(10, true);
  t.is(log.length, 0);
  redirect(10, 0x804a);
  t.is(log.length, 1);
});

test('switching an entry to edge clears remote IRR', (t) => {
  const { device, read, redirect } = rig();
  redirect(9, 0x8049);
  device.setPin(9, true);
  redirect(9, 0x10049);
  t.is(read(0x22), 0x10049);
});

test('global system interrupt 0 arrives at pin 2', (t) => {
  const { device, redirect, log } = rig();
  redirect(0, 0x30);
  redirect(2, 0x32);
  device.setGsi(0, true);
  t.deepEqual(
    log.map((message) => message.vector),
    [0x32],
  );
});

test('an ExtINT entry asks the PIC for its vector', (t) => {
  const { device, redirect, log } = rig();
  redirect(0, 0x700);
  device.setPin(0, true);
  t.deepEqual(log, [{ destination: 0, logical: false, mode: 7, vector: 0x23, level: false }]);
});

test('a level interrupt that never goes away is slowed down after 10000 rounds', (t) => {
  const { device, clock, redirect, log } = rig();
  redirect(9, 0x8049);
  device.setPin(9, true);
  for (let i = 0; i < 10_000; i++) device.eoi(0x49);
  t.is(log.length, 10_000);
  clock.advance(9_999_999);
  t.is(log.length, 10_000);
  clock.advance(1);
  t.is(log.length, 10_001);
});

test('data is accessible in 4 bytes only, the index also in one', (t) => {
  const { device } = rig();
  device.mmioWrite(0x00, 1, 1);
  t.is(device.mmioRead(0x00, 1), 1);
  t.is(device.mmioRead(0x10, 4), 0x00170020);
  t.is(device.mmioRead(0x10, 1), 0);
  t.is(device.mmioRead(0x10, 2), 0);
  t.is(device.mmioRead(0x20, 4), 0);
});

test('a copy loaded from saved state cannot be told from the original', (t) => {
  const pin = fc.integer({ min: 0, max: 5 });
  const operation = fc.record({
    kind: fc.constantFrom('redirect', 'pin', 'eoi', 'read', 'advance', 'id'),
    pin,
    value: fc.oneof(fc.constantFrom(0x8030, 0x8031, 0x30, 0x18030, 0x700), fc.nat({ max: 0xffffffff })),
  });
  assertSaveLoad((clock) => {
    const { device, log, read, write, redirect } = rig(clock);
    return {
      device,
      clock,
      log,
      apply: ({ kind, pin, value }) => {
        if (kind === 'redirect') return redirect(pin, value, value);
        if (kind === 'pin') return device.setPin(pin, (value & 1) === 0);
        if (kind === 'eoi') return device.eoi(0x30 + (value & 1));
        if (kind === 'advance') return clock.advance(value & 0xffff);
        if (kind === 'id') return write(0, value);
        return read(0x10 + (value % 12));
      },
    };
  }, operation);
  t.pass();
});
