// The IDE controller: what random scripts cannot compare with QEMU because time is in it, interrupts, tables that are too
// short or too long, drives that are not there, and the state of a controller in the middle of anything.

import test from 'ava';
import fc from 'fast-check';
import type { AccessSize } from '../../../../src/cpu/bus.js';
import { Piix3Ide } from '../../../../src/platform/devices/ide/piix3-ide.js';
import { assertSurvivesSaveAndLoad, Rig } from '../../rig.js';

const SECTORS = 64;
const RAM = 0x2_0000;
const COMMAND = 0;
const STATUS = 7;
const DISK_BYTES = Uint8Array.from({ length: SECTORS * 512 }, (_, i) => (i >> 9) ^ (i & 0xff));
const medium = (kind: 'disk' | 'cd') => ({
  kind,
  source: { size: DISK_BYTES.length, read: (at: number, length: number) => DISK_BYTES.subarray(at, at + length) },
});

/** A controller with a disk as primary master and a CD as secondary master. */
function bench() {
  const rig = new Rig();
  const ram = new Uint8Array(RAM);
  const device = new Piix3Ide({
    clock: rig.clock,
    memory: {
      ramSize: RAM,
      read: (at, length) => ram.slice(at, at + length),
      write: (at, data) => {
        rig.log.push(`dma ${at} ${data.length}`);
        ram.set(data.subarray(0, Math.max(0, RAM - at)), Math.min(at, RAM));
      },
    },
    irq: (irq, level) => rig.line(`irq${irq}`)(level),
    mapBusMaster: () => {},
    media: [medium('disk'), undefined, medium('cd'), undefined],
  });
  device.reset();
  device.configWrite(4, 2, 5);
  rig.takeLog();
  const [primary, secondary] = device.channels;
  const out = (offset: number, ...values: number[]) => {
    for (const [n, value] of values.entries()) primary.command.portWrite(offset + n, 1, value);
  };
  const status = () => primary.control.portRead(0, 1);
  const idle = () => rig.advance(1_000_000);
  /** A read by bus master of `count` sectors from sector 1 on, with a table of these lengths. */
  const readDma = (count: number, lengths: readonly number[]) => {
    const view = new DataView(ram.buffer);
    for (const [n, length] of lengths.entries()) {
      view.setUint32(8 * n, 0x1_0000 + 0x2000 * n, true);
      view.setUint32(8 * n + 4, (length | (n === lengths.length - 1 ? 0x8000_0000 : 0)) >>> 0, true);
    }
    device.busMasters[0].address.portWrite(0, 4, 0);
    out(1, 0, count, 1, 0, 0, 0xe0, 0xc8);
    device.busMasters[0].registers.portWrite(0, 1, 9);
  };
  const busStatus = () => device.busMasters[0].registers.portRead(2, 1);
  return { rig, ram, device, primary, secondary, out, status, idle, readDma, busStatus };
}

test('a sector is ready some time after the command, with an interrupt that reading the status takes back', (t) => {
  const { rig, primary, out, status } = bench();
  out(1, 0, 1, 5, 0, 0, 0xe0, 0x20);
  t.is(status(), 0xd0);
  t.deepEqual(rig.takeLog(), ['irq14 0']);
  rig.advance(20_000 + 512 * 5 - 1);
  t.is(status(), 0xd0);
  rig.advance(1);
  t.is(status(), 0x58);
  t.deepEqual(rig.takeLog(), ['irq14 1']);
  t.deepEqual(primary.command.portReadString!(0, 2, 256), DISK_BYTES.slice(5 * 512, 6 * 512));
  t.is(status(), 0x50);
  primary.command.portRead(STATUS, 1);
  t.deepEqual(rig.takeLog(), ['irq14 0']);
});

test('with interrupts disabled in device control nothing is requested', (t) => {
  const { rig, primary, out, idle } = bench();
  primary.control.portWrite(0, 1, 2);
  out(1, 0, 1, 5, 0, 0, 0xe0, 0x20);
  idle();
  t.deepEqual(rig.takeLog(), ['irq14 0']);
});

test('string accesses are the single ones in a row, at every width and beyond the data', (t) => {
  const size = fc.constantFrom<AccessSize>(1, 2, 4);
  fc.assert(
    fc.property(fc.array(fc.tuple(size, fc.nat(200)), { maxLength: 5 }), fc.nat(7), (pieces, offset) => {
      const [single, strings] = [bench(), bench()];
      for (const { out, idle } of [single, strings]) {
        out(1, 0, 2, 5, 0, 0, 0xe0, 0xc4);
        idle();
      }
      for (const [width, count] of pieces) {
        const expected: number[] = [];
        for (let n = 0; n < count; n++) {
          const value = single.primary.command.portRead(offset, width);
          for (let byte = 0; byte < width; byte++) expected.push((value >>> (8 * byte)) & 0xff);
        }
        t.deepEqual([...strings.primary.command.portReadString!(offset, width, count)], expected);
      }
      t.is(strings.status(), single.status());
    }),
    { numRuns: 40 },
  );
});

test('what is written stays until the machine is made anew, resets included', (t) => {
  const { device, primary, out, idle } = bench();
  out(1, 0, 1, 7, 0, 0, 0xe0, 0x30);
  primary.command.portWriteString!(0, 2, new Uint8Array(512).fill(0xa5));
  idle();
  device.reset();
  out(1, 0, 1, 7, 0, 0, 0xe0, 0x20);
  idle();
  t.true(primary.command.portReadString!(0, 2, 256).every((byte) => byte === 0xa5));
});

test('the bus master scatters sectors over the regions of its table', (t) => {
  const { rig, ram, idle, readDma, busStatus, status } = bench();
  readDma(3, [512, 1024]);
  t.is(busStatus() & 1, 1);
  t.is(status(), 0x58);
  idle();
  t.is(status(), 0x50);
  t.is(busStatus() & 5, 4);
  t.deepEqual(rig.takeLog(), ['irq14 0', 'dma 65536 512', 'dma 73728 1024', 'irq14 1']);
  t.deepEqual(ram.slice(0x1_0000, 0x1_0200), DISK_BYTES.slice(512, 1024));
  t.deepEqual(ram.slice(0x1_2000, 0x1_2400), DISK_BYTES.slice(1024, 2048));
});

test('a table that is longer than the transfer leaves the bus master active', (t) => {
  const { idle, readDma, busStatus } = bench();
  readDma(1, [512, 512]);
  idle();
  t.is(busStatus() & 5, 5);
});

test('a table that is too short ends the transfer without an interrupt', (t) => {
  const { rig, idle, readDma, busStatus, status } = bench();
  readDma(3, [512, 512]);
  idle();
  t.is(busStatus() & 5, 0);
  t.is(status(), 0x50);
  t.deepEqual(rig.takeLog(), ['irq14 0']);
});

test('a table without an end is followed for a page and no further', (t) => {
  const { idle, readDma, device, busStatus } = bench();
  readDma(1, []);
  // All zeros: regions of 64 KiB without a last one.
  idle();
  t.is(busStatus() & 5, 5);
  t.true(device.busMaster);
});

test('stopping the bus master finishes what is under way', (t) => {
  const { rig, device, readDma, status } = bench();
  readDma(1, [512]);
  rig.takeLog();
  device.busMasters[0].registers.portWrite(0, 1, 8);
  t.is(status(), 0x50);
  t.deepEqual(rig.takeLog(), ['dma 65536 512', 'irq14 1']);
});

test('without the PCI bus master bit nothing reaches memory', (t) => {
  const { rig, device, idle, readDma } = bench();
  device.configWrite(4, 2, 1);
  readDma(1, [512]);
  idle();
  t.deepEqual(rig.takeLog(), ['irq14 0', 'irq14 1']);
});

test('a software reset makes both drives busy, then ready with their signature', (t) => {
  const { rig, secondary, idle } = bench();
  secondary.command.portWrite(6, 1, 0xb0);
  secondary.control.portWrite(0, 1, 4);
  t.is(secondary.control.portRead(0, 1), 0);
  secondary.command.portWrite(6, 1, 0xa0);
  t.is(secondary.control.portRead(0, 1), 0);
  idle();
  secondary.control.portWrite(0, 1, 0);
  secondary.command.portWrite(6, 1, 0xa0);
  t.deepEqual(
    [1, 2, 3, 4, 5].map((register) => secondary.command.portRead(register, 1)),
    [1, 1, 1, 0x14, 0xeb],
  );
  rig.takeLog();
});

test('a CD reads by PIO in pieces of the byte count limit', (t) => {
  const { secondary, rig } = bench();
  const { command } = secondary;
  for (const [register, value] of [
    [1, 0],
    [4, 0x00],
    [5, 0x10],
    [6, 0xa0],
    [7, 0xa0],
  ] as const)
    command.portWrite(register, 1, value);
  command.portWriteString!(0, 2, Uint8Array.of(0x28, 0, 0, 0, 0, 1, 0, 0, 3, 0, 0, 0));
  const read: number[] = [];
  const pieces: number[] = [];
  for (;;) {
    rig.advance(1_000_000);
    if (!(command.portRead(STATUS, 1) & 8)) break;
    const bytes = command.portRead(4, 1) | (command.portRead(5, 1) << 8);
    pieces.push(bytes);
    read.push(...command.portReadString!(0, 2, bytes / 2));
  }
  t.deepEqual(pieces, [4096, 2048]);
  t.deepEqual(Uint8Array.from(read), DISK_BYTES.slice(2048, 8192));
});

test('a saved and loaded controller cannot be told from the original', (t) => {
  const commands = [0x20, 0x24, 0x30, 0xc4, 0xc5, 0xc8, 0xca, 0xec, 0xa0, 0xa1, 0xef, 0xe7, 0x90, 0xb0, 0x08, 0x06];
  assertSurvivesSaveAndLoad(() => {
    const { rig, device, primary, secondary } = bench();
    const word = ({ command }: typeof primary) => ({
      portRead: () => command.portRead(COMMAND, 2),
      portWrite: (_offset: number, _size: AccessSize, value: number) => command.portWrite(COMMAND, 2, value * 0x101),
    });
    const registers = [primary, secondary].flatMap((channel) => [
      ...[1, 2, 3, 4, 5, 6, 7].map((offset) => [channel.command, offset] as const),
      [channel.control, 0] as const,
      [word(channel), 0] as const,
    ]);
    const masters = device.busMasters.flatMap((master) => [
      [master.registers, 0] as const,
      [master.registers, 2] as const,
      [master.address, 0] as const,
    ]);
    return {
      rig,
      device,
      ports: [...registers, ...masters],
      other: (what, value) => {
        // Whole commands, which random bytes seldom make.
        const { command } = what & 1 ? secondary : primary;
        const bytes = [0, 1 + (value & 3), value & 0x3f, 0x4f, what & 2 ? 0xc2 : 0, 0xe0, commands[value & 15]!];
        for (const [n, byte] of bytes.entries()) command.portWrite(1 + n, 1, byte);
        command.portReadString!(0, 2, value);
        if (what & 4) command.portWriteString!(0, 2, Uint8Array.of(0x28, 0, 0, 0, 0, value & 7, 0, 0, 2, 0, 0, 0));
      },
    };
  }, commands);
  t.pass();
});
