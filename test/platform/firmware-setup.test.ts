import test from 'ava';
import type { AccessSize } from '../../src/cpu/bus.js';
import { AcpiPm } from '../../src/platform/devices/acpi/acpi-pm.js';
import { type PciBar, PciFunction } from '../../src/platform/devices/pci/pci-function.js';
import { I440fx, PciHost } from '../../src/platform/devices/pci/pci-host.js';
import { Piix3Isa } from '../../src/platform/devices/pci/piix3-isa.js';
import { setUpAsFirmware } from '../../src/platform/firmware-setup.js';
import { ManualClock } from './devices/manual-clock.js';

interface Card {
  slot: number;
  number: number;
  vendor: number;
  device: number;
  interruptPin?: number;
  bars?: Record<number, PciBar>;
  rom?: number;
}

/** PCI as in the machine, other ports and MMIO only written down. */
function setUp(cards: readonly Card[] = []) {
  const writes: string[] = [];
  const host = new PciHost();
  const pmBases: (number | undefined)[] = [];
  host.add(0, 0, new I440fx(128 * 1024 * 1024));
  host.add(1, 0, new Piix3Isa({ irq: () => {}, reset: () => {} }));
  const clock = new ManualClock();
  host.add(
    1,
    3,
    new AcpiPm({
      clock,
      sci: () => {},
      poweroff: () => {},
      suspend: () => {},
      wake: () => {},
      mapPm: (base) => pmBases.push(base),
    }),
  );
  for (const { slot, number, bars, rom, ...identity } of cards) {
    const card = new PciFunction(`card${slot}`, { classCode: 0, ...identity });
    for (const [index, bar] of Object.entries(bars ?? {})) card.addBar(Number(index), bar, () => {});
    if (rom) card.addRom(rom, () => {});
    host.add(slot, number, card);
  }
  setUpAsFirmware({
    portRead: (port: number, size: AccessSize) => host.data.portRead(port - 0xcfc, size),
    portWrite: (port: number, size: AccessSize, value: number) => {
      if (port >= 0xcfc) host.data.portWrite(port - 0xcfc, size, value);
      else if (port >= 0xcf8) host.address.portWrite(port - 0xcf8, size, value);
      else writes.push(`${port.toString(16)}=${value.toString(16)}`);
    },
    mmioWrite: (address: number, _size: AccessSize, value: number) => {
      writes.push(`${address.toString(16)}=${value.toString(16)}`);
    },
  });
  const read = (slot: number, number: number, register: number) => host.at(slot, number)!.configRead(register, 4);
  return { host, read, writes, pmBases };
}

test('configuration spaces are as SeaBIOS leaves them in QEMU 7.2', (t) => {
  const { host, pmBases } = setUp();
  const dump = (slot: number, number: number) =>
    Object.fromEntries(
      Array.from({ length: 16 }, (_, row) => [
        row * 16,
        host.at(slot, number)!.config.subarray(row * 16, row * 16 + 16),
      ])
        .filter(([, bytes]) => (bytes as Uint8Array).some((byte) => byte !== 0))
        .map(([at, bytes]) => [at, Buffer.from(bytes as Uint8Array).toString('hex')]),
    );
  t.deepEqual(dump(0, 0), {
    0: '86803712030100000200000600000000',
    32: '000000000000000000000000f41a0011',
    80: '00000000000000100010111111111133',
    112: '00000200000000000000000000000000',
  });
  t.deepEqual(dump(1, 0), {
    0: '86800070030100020000010600008000',
    32: '000000000000000000000000f41a0011',
    64: '0000000000000000000000004d000300',
    96: '0a0a0b0b000000000002000000000000',
    112: '8000000000000c0c0200000000000000',
    160: '08000000000000000f00000000000000',
  });
  t.deepEqual(dump(1, 3), {
    0: '86801371030180020300800600000000',
    32: '000000000000000000000000f41a0011',
    48: '00000000000000000000000009010000',
    64: '01060000000000000000000000000000',
    80: '00000000000000000000000200000010',
    96: '00000060000000080000000000000000',
    128: '01000000000000000000000000000000',
    144: '01070000000000000000000000000000',
    208: '00000900000000000000000000000000',
  });
  t.deepEqual(pmBases, [0x600]);
});

test('base addresses of VGA, virtio-blk, e1000 and IDE are those SeaBIOS gives them', (t) => {
  const { read } = setUp([
    { slot: 1, number: 1, vendor: 0x8086, device: 0x7010, bars: { 4: { space: 'io', size: 16 } } },
    {
      ...{ slot: 2, number: 0, vendor: 0x1234, device: 0x1111, rom: 0x10000 },
      bars: { 0: { space: 'memory', size: 0x1000000, prefetchable: true }, 2: { space: 'memory', size: 0x1000 } },
    },
    {
      ...{ slot: 3, number: 0, vendor: 0x1af4, device: 0x1001, interruptPin: 1 },
      bars: {
        0: { space: 'io', size: 0x80 },
        1: { space: 'memory', size: 0x1000 },
        4: { space: 'memory', size: 0x4000, prefetchable: true, addressBits: 64 },
      },
    },
    {
      ...{ slot: 4, number: 0, vendor: 0x8086, device: 0x100e, interruptPin: 1, rom: 0x40000 },
      bars: { 0: { space: 'memory', size: 0x20000 }, 1: { space: 'io', size: 0x40 } },
    },
  ]);
  t.deepEqual(
    [
      [1, 1, 0x20],
      [2, 0, 0x10],
      [2, 0, 0x18],
      [2, 0, 0x30],
      [3, 0, 0x10],
      [3, 0, 0x14],
      [3, 0, 0x20],
      [3, 0, 0x24],
      [4, 0, 0x10],
      [4, 0, 0x14],
      [4, 0, 0x30],
    ].map(([slot, number, register]) => read(slot!, number!, register!)),
    [0xc0c1, 0xfd000008, 0xfebf0000, 0xfebe0000, 0xc001, 0xfebf1000, 0xfe00000c, 0, 0xfebc0000, 0xc081, 0xfeb80000],
  );
  t.deepEqual(
    [2, 3, 4].map((slot) => read(slot, 0, 0x3c) & 0xffff),
    [0, 0x10b, 0x10b],
  );
  t.is(read(1, 1, 0x40), 0x80008000);
  t.is(read(3, 0, 0x04) & 0xffff, 0x103);
});

test('interrupt controllers and the timer are set up in a fixed order', (t) => {
  t.deepEqual(setUp().writes, [
    ...['92=2', '20=11', 'a0=11', '21=8', '21=4', '21=1', '21=b8', 'a1=70', 'a1=2', 'a1=1', 'a1=8e'],
    ...['4d0=0', '4d1=c', '43=34', '40=0', '40=0'],
    ...['fee00350=8700', 'fee00360=8400', 'fee000f0=1ff', 'fee00300=c4500', 'fee00300=c4610'],
  ]);
});
