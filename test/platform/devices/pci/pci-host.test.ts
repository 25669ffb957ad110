import test from 'ava';
import fc from 'fast-check';
import { AcpiPm } from '../../../../src/platform/devices/acpi/acpi-pm.js';
import { PciFunction } from '../../../../src/platform/devices/pci/pci-function.js';
import { I440fx, PciHost } from '../../../../src/platform/devices/pci/pci-host.js';
import { Piix3Isa } from '../../../../src/platform/devices/pci/piix3-isa.js';
import { ManualClock } from '../manual-clock.js';
import { assertSaveLoad } from '../save-load.js';

const MIB = 1024 * 1024;

function rig(clock = new ManualClock()) {
  const log: unknown[] = [];
  const host = new PciHost();
  const bridge = new I440fx(128 * MIB, (changed) => log.push(['memory', changed.pamRegions(), changed.smramOpen]));
  const isa = new Piix3Isa({
    irq: (irq, level) => log.push(['irq', irq, level]),
    reset: () => log.push('reset'),
  });
  const pm = new AcpiPm({
    clock,
    sci: () => {},
    poweroff: () => {},
    suspend: () => {},
    wake: () => {},
    mapPm: (base) => log.push(['pm', base]),
    serialPorts: 0,
    smm: true,
  });
  const card = new PciFunction('card', { vendor: 0x1234, device: 0x5678, classCode: 0x020000, interruptPin: 1 });
  card.addBar(0, { space: 'memory', size: 0x1000 }, (address) => log.push(['memory bar', address]));
  card.addBar(1, { space: 'io', size: 0x20 }, (address) => log.push(['io bar', address]));
  host.pirq = (wire, level) => isa.setPirq(wire, level);
  host.add(0, 0, bridge);
  host.add(1, 0, isa);
  host.add(1, 3, pm);
  host.add(3, 0, card);
  const select = (slot: number, number: number, offset: number) =>
    host.address.portWrite(0, 4, (0x80000000 | (slot << 11) | (number << 8) | (offset & 0xfc)) >>> 0);
  const read = (slot: number, number: number, offset: number, size: 1 | 2 | 4 = 4) => {
    select(slot, number, offset);
    return host.data.portRead(offset & 3, size);
  };
  const write = (slot: number, number: number, offset: number, value: number, size: 1 | 2 | 4 = 4) => {
    select(slot, number, offset);
    host.data.portWrite(offset & 3, size, value >>> 0);
  };
  return { log, host, bridge, isa, pm, card, select, read, write };
}

/** Nonzero bytes that QEMU 7.2.22 shows after reset (-M pc -m 128 -nodefaults), as offset: bytes. */
const QEMU_BYTES: Record<string, Record<number, string>> = {
  '0.0': { 0: '86803712', 8: '02000006', 44: 'f41a0011', 84: '00000010', 112: '00000200' },
  '1.0': {
    ...{ 0: '86800070', 4: '00000002', 8: '00000106', 12: '00008000', 44: 'f41a0011', 76: '4d000300' },
    ...{ 96: '80808080', 104: '00020000', 112: '80000000', 116: '00000c0c', 120: '02000000', 160: '08000000' },
    ...{ 168: '0f000000' },
  },
  '1.3': {
    ...{ 0: '86801371', 4: '00008002', 8: '03008006', 44: 'f41a0011', 60: '00010000', 64: '01000000' },
    ...{ 92: '00000010', 96: '00000060', 144: '01b10000', 208: '00000900' },
  },
};

for (const [place, rows] of Object.entries(QEMU_BYTES)) {
  test(`the configuration space of 00:0${place} after reset is QEMU's`, (t) => {
    const { read } = rig();
    const [slot, number] = place.split('.').map(Number) as [number, number];
    for (let offset = 0; offset < 256; offset += 4) {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32LE(read(slot, number, offset));
      t.is(bytes.toString('hex'), rows[offset] ?? '00000000', `register 0x${offset.toString(16)}`);
    }
  });

  test(`the guest can change in 00:0${place} exactly what it can in QEMU`, (t) => {
    const { read, write } = rig();
    const [slot, number] = place.split('.').map(Number) as [number, number];
    for (let offset = 0; offset < 256; offset += 4) {
      const before = read(slot, number, offset);
      write(slot, number, offset, 0xffffffff);
      const ones = read(slot, number, offset);
      write(slot, number, offset, 0);
      const changed = (ones ^ read(slot, number, offset)) >>> 0;
      write(slot, number, offset, before);
      const expected = { 4: 0x507, 12: 0xff, 60: 0xff }[offset] ?? (offset >= 64 ? 0xffffffff : 0);
      t.is(changed, expected, `register 0x${offset.toString(16)}`);
      t.is(read(slot, number, offset), before);
    }
  });
}

test('absent functions and a disabled mechanism read all ones', (t) => {
  const { host, read } = rig();
  t.is(read(2, 0, 0), 0xffffffff);
  t.is(read(1, 7, 0, 2), 0xffff);
  host.address.portWrite(0, 4, 0x80010000);
  t.is(host.data.portRead(0, 4), 0xffffffff, 'bus 1');
  host.address.portWrite(0, 4, 0);
  t.is(host.data.portRead(0, 1), 0xff);
});

test('the address register takes 4-byte writes only', (t) => {
  const { host } = rig();
  host.address.portWrite(0, 4, 0x80001234);
  host.address.portWrite(0, 2, 0xffff);
  host.address.portWrite(1, 1, 0xff);
  t.is(host.address.portRead(0, 4), 0x80001234);
});

test('narrow data accesses reach the bytes they name', (t) => {
  const { host, read, write } = rig();
  t.is(read(0, 0, 0x02, 2), 0x1237);
  t.is(read(0, 0, 0x0b, 1), 0x06);
  write(0, 0, 0x41, 0xab, 1);
  t.is(read(0, 0, 0x40), 0xab00);
  t.is(host.data.portRead(1, 4), 0, 'unaligned');
});

test('a BAR tells its size and is decoded once enabled and placed', (t) => {
  const { read, write, log, card } = rig();
  write(3, 0, 0x10, 0xffffffff);
  t.is(read(3, 0, 0x10), 0xfffff000);
  write(3, 0, 0x14, 0xffffffff);
  t.is(read(3, 0, 0x14), 0xffffffe1);
  write(3, 0, 0x04, 3, 2);
  t.deepEqual(log, [], 'sizing values are not decoded');
  write(3, 0, 0x10, 0xfeb00000);
  write(3, 0, 0x14, 0xc000);
  t.deepEqual(log.splice(0), [
    ['memory bar', 0xfeb00000],
    ['io bar', 0xc000],
  ]);
  write(3, 0, 0x14, 0xc020);
  t.is(card.barAddress(1), 0xc020);
  write(3, 0, 0x04, 2, 2);
  t.deepEqual(log, [
    ['io bar', 0xc020],
    ['io bar', undefined],
  ]);
});

test('a 64-bit BAR takes two registers and may lie above 4 GiB', (t) => {
  const placed: unknown[] = [];
  const card = new PciFunction('wide', { vendor: 0x1234, device: 1, classCode: 0 });
  card.addBar(4, { space: 'memory', size: 0x4000, prefetchable: true, addressBits: 64 }, (at) => placed.push(at));
  card.configWrite(0x20, 4, 0xffffffff);
  card.configWrite(0x24, 4, 0xffffffff);
  t.is(card.configRead(0x20, 4), 0xffffc00c);
  t.is(card.configRead(0x24, 4), 0xffffffff);
  card.configWrite(0x20, 4, 0x8000);
  card.configWrite(0x24, 4, 0x2);
  card.configWrite(0x04, 2, 2);
  t.deepEqual(placed, [0x2_0000_8000]);
});

test('an expansion ROM needs its own enable bit besides that of memory', (t) => {
  const placed: unknown[] = [];
  const card = new PciFunction('rom', { vendor: 0x1234, device: 1, classCode: 0 });
  card.addRom(0x10000, (at) => placed.push(at));
  card.configWrite(0x30, 4, 0xfffffffe);
  t.is(card.configRead(0x30, 4), 0xffff0000);
  card.configWrite(0x04, 2, 2);
  card.configWrite(0x30, 4, 0xfea00000);
  t.deepEqual(placed, []);
  card.configWrite(0x30, 4, 0xfea00001);
  t.deepEqual(placed, [0xfea00000]);
  t.is(card.barAddress(6), 0xfea00000);
});

test('interrupts go by slot to a wire and by PIRQ route to an ISA interrupt', (t) => {
  const { card, read, write, log } = rig();
  card.setIrq(true);
  t.deepEqual(log, [], 'not routed');
  t.is(read(3, 0, 0x06, 2), 0x08);
  write(1, 0, 0x62, 11, 1); // slot 3, INTA: PIRQC
  t.deepEqual(log.splice(0), [['irq', 11, true]]);
  write(1, 0, 0x62, 10, 1);
  t.deepEqual(log.splice(0), [
    ['irq', 10, true],
    ['irq', 11, false],
  ]);
  write(3, 0, 0x04, 0x400, 2);
  t.deepEqual(log.splice(0), [['irq', 10, false]]);
  t.is(read(3, 0, 0x06, 2), 0x08, 'the status bit shows the request all the same');
});

test('wires that share an interrupt are ORed', (t) => {
  const { host, isa, write, log } = rig();
  for (const offset of [0x60, 0x61]) write(1, 0, offset, 5, 1);
  isa.setPirq(0, true);
  isa.setPirq(1, true);
  isa.setPirq(0, false);
  t.deepEqual(log.splice(0), [['irq', 5, true]]);
  isa.setPirq(1, false);
  t.deepEqual(log, [['irq', 5, false]]);
  t.false(host.pirqLevel(0));
});

test('PAM registers describe 13 ranges', (t) => {
  const { bridge, write } = rig();
  write(0, 0, 0x59, 0x30, 1);
  write(0, 0, 0x5a, 0x21, 1);
  const regions = bridge.pamRegions();
  t.is(regions.length, 13);
  t.deepEqual(regions[0], { start: 0xc0000, length: 0x4000, read: true, write: false });
  t.deepEqual(regions[1], { start: 0xc4000, length: 0x4000, read: false, write: true });
  t.deepEqual(regions[12], { start: 0xf0000, length: 0x10000, read: true, write: true });
});

test('port 0xcf9 resets with bit 2 and remembers bit 1', (t) => {
  const { isa, log } = rig();
  isa.resetPort.portWrite(0, 1, 0x02);
  t.is(isa.resetPort.portRead(0, 1), 2);
  isa.resetPort.portWrite(0, 1, 0x06);
  t.deepEqual(log, ['reset']);
});

test('a place on the bus is taken once', (t) => {
  const { host, card } = rig();
  t.throws(() => host.add(3, 0, card), { instanceOf: RangeError });
  t.throws(() => card.addBar(2, { space: 'io', size: 24 }, () => {}), { instanceOf: RangeError });
});

test('copies of bus and functions loaded from saved state cannot be told from the originals', (t) => {
  const operation = fc.record({
    kind: fc.constantFrom('write', 'write', 'read', 'irq', 'reset', 'address'),
    place: fc.constantFrom([0, 0], [1, 0], [1, 3], [3, 0]),
    offset: fc.oneof(fc.constantFrom(0x04, 0x10, 0x14, 0x40, 0x59, 0x60, 0x62, 0x80), fc.nat({ max: 255 })),
    size: fc.constantFrom(1 as const, 2 as const, 4 as const),
    value: fc.oneof(fc.nat({ max: 15 }), fc.nat({ max: 0xffffffff })),
  });
  assertSaveLoad((clock) => {
    const { host, bridge, isa, pm, card, log, read, write } = rig(clock);
    const devices = [host, bridge, isa, pm, card];
    const device = {
      name: 'pci',
      reset: () => {
        for (const one of devices) one.reset();
      },
      save: () => devices.map((one) => one.save()),
      load: (state: unknown) => {
        for (const [i, one] of devices.entries()) one.load((state as never[])[i]!);
      },
    };
    return {
      device,
      clock,
      log,
      apply: ({ kind, place, offset, size, value }) => {
        const [slot, number] = place as [number, number];
        if (kind === 'write') return write(slot, number, offset, value, size);
        if (kind === 'read') return read(slot, number, offset, size);
        if (kind === 'irq') return card.setIrq((value & 1) === 0);
        if (kind === 'reset') return value < 3 ? device.reset() : null;
        return host.address.portRead(0, 4);
      },
    };
  }, operation);
  t.pass();
});
