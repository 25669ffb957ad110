// Random scripts for IDE disks and CDs, and the images they run on. What a drive does takes time in QEMU that nobody
// knows, so every command is followed by a wait for BSY to clear; transfers through the bus master are set up whole, in
// low memory, and waited for. Commands that QEMU completes in host time only are in the tests of the devices.

import { Random } from '../../../src/platform/random.js';
import type { Author } from './scripts.js';

/** Sectors of the disk, and of the CD in units of the disk's. */
const DISK_SECTORS = 4000;
const CD_SECTORS = 1200;

/** A disk without a partition table. */
export const diskImage = (): Uint8Array => noise(1, DISK_SECTORS * 512);
export const cdImage = (): Uint8Array => noise(2, CD_SECTORS * 512);

function noise(seed: number, size: number): Uint8Array {
  const random = new Random(seed);
  const words = Uint32Array.from({ length: size / 4 }, () => random.next());
  return new Uint8Array(words.buffer);
}

const BUS_MASTER = 0xc000;
const TABLE = 0x2000;
const DATA = 0x10000;

interface Channel {
  command: number;
  control: number;
  busMaster: number;
}
const PRIMARY: Channel = { command: 0x1f0, control: 0x3f6, busMaster: BUS_MASTER };
const SECONDARY: Channel = { command: 0x170, control: 0x376, busMaster: BUS_MASTER + 8 };

/** Give the bus master its ports and let it reach memory. */
export function enableBusMaster(a: Author): void {
  for (const [register, value] of [
    [0x20, BUS_MASTER],
    [0x04, 0x0005],
  ] as const) {
    a.sized('out', 4, 0xcf8, 0x8000_0900 + register);
    a.sized('out', register === 4 ? 2 : 4, 0xcfc, value);
  }
}

const settle = (a: Author, { control }: Channel): void => a.poll(control, 0x80, 0);

function registers(a: Author, { command }: Channel, ...values: readonly number[]): void {
  for (const [n, value] of values.entries()) a.out(command + 1 + n, value);
}

function readSome(a: Author, { command, control, busMaster }: Channel): void {
  a.pick(
    [40, () => a.in(command + 1 + a.below(7))],
    [10, () => a.in(control)],
    [5, () => a.in(command + a.below(8), a.one(1, 2, 4))],
    [5, () => a.in(control, a.one(1, 2, 4))],
    [5, () => a.in(busMaster + a.below(8), a.one(1, 1, 2, 4))],
    [5, () => a.in(busMaster + 2)],
  );
}

/** Move a number of words or double words. */
function readData(a: Author, { command }: Channel, bytes: number): void {
  const size = a.one(2, 4) as 2 | 4;
  for (let at = 0; at < bytes; at += size) a.in(command, size);
}

function afterwards(a: Author, channel: Channel): void {
  settle(a, channel);
  a.in(channel.control);
  for (let n = 1; n <= 7; n++) a.in(channel.command + n);
}

/** A table of regions for `bytes` bytes. */
function table(a: Author, bytes: number): void {
  const first = a.one(bytes, bytes, Math.min(bytes, 512), Math.min(bytes, 1536));
  const regions = first === bytes ? [bytes] : [first, bytes - first];
  for (const [n, length] of regions.entries()) {
    a.write(TABLE + 8 * n, DATA + 0x8000 * n);
    a.write(TABLE + 8 * n + 4, (length & 0xffff) | (n === regions.length - 1 ? 0x8000_0000 : 0));
  }
}

function diskAddress(a: Author, count: number): void {
  const sector = a.one(a.below(DISK_SECTORS), a.below(100), DISK_SECTORS - 2, DISK_SECTORS + a.below(3));
  const byte = (n: number): number => (sector >>> (8 * n)) & 0xff;
  a.pick(
    [60, () => registers(a, PRIMARY, 0, count, byte(0), byte(1), byte(2), a.one(0xe0, 0x40))],
    [20, () => registers(a, PRIMARY, 0, count, a.below(64), a.below(4), 0, a.below(16))],
    [5, () => registers(a, PRIMARY, 0, count, byte(0), byte(1), byte(2), 0xf0)],
  );
}

/** A 48-bit address: the upper halves first. */
function wideAddress(a: Author, count: number): void {
  const sector = a.one(a.below(DISK_SECTORS), DISK_SECTORS - 1);
  registers(a, PRIMARY, 0, 0, 0, 0, 0);
  registers(a, PRIMARY, 0, count, sector & 0xff, sector >>> 8, 0, 0x40);
}

function diskCommand(a: Author, command: number): void {
  a.out(PRIMARY.command + 7, command);
  settle(a, PRIMARY);
}

function readSectors(a: Author): void {
  const count = a.one(1, 1, 2, 3);
  const wide = a.below(3) === 0;
  if (wide) wideAddress(a, count);
  else diskAddress(a, count);
  const multiple = a.below(2) === 0;
  diskCommand(a, multiple ? (wide ? 0x29 : 0xc4) : wide ? 0x24 : 0x20);
  // Mostly all of it; a few words tell as much as all, so the rest is read by the guest's string instruction.
  for (let sector = 0; sector < (multiple ? 1 : count); sector++) {
    readData(a, PRIMARY, 8);
    a.steps.push({ op: 'skip', size: 2, address: PRIMARY.command, value: ((multiple ? count : 1) * 512 - 8) / 2 });
    settle(a, PRIMARY);
  }
  afterwards(a, PRIMARY);
}

function writeSectors(a: Author): void {
  const wide = a.below(3) === 0;
  if (wide) wideAddress(a, 1);
  else diskAddress(a, 1);
  diskCommand(a, wide ? 0x34 : a.one(0x30, 0xc5));
  a.in(PRIMARY.control);
  for (let n = 0; n < 4; n++) a.sized('out', 4, PRIMARY.command, a.byte() * 0x01020304);
  a.steps.push({ op: 'fill', size: 2, address: PRIMARY.command, value: 248 });
  afterwards(a, PRIMARY);
}

function diskDma(a: Author): void {
  const count = a.one(1, 2, 7);
  const write = a.below(3) === 0;
  const wide = a.below(3) === 0;
  table(a, count * 512);
  if (wide) wideAddress(a, count);
  else diskAddress(a, count);
  // Addresses past the end abort, and those of the missing slave go nowhere.
  a.out(PRIMARY.command + 7, write ? (wide ? 0x35 : 0xca) : wide ? 0x25 : 0xc8);
  a.in(PRIMARY.control);
  a.sized('out', 4, PRIMARY.busMaster + 4, TABLE);
  a.out(PRIMARY.busMaster, write ? 1 : 9);
  a.delay(3_000_000);
  a.in(PRIMARY.busMaster + 2);
  a.out(PRIMARY.busMaster, write ? 0 : 8);
  a.in(PRIMARY.busMaster + 2);
  a.out(PRIMARY.busMaster + 2, 0x66);
  for (let n = 0; n < 3; n++) a.read(DATA + a.one(0, 508, 0x8000) + 4 * n);
  afterwards(a, PRIMARY);
}

function identify(a: Author, channel: Channel, command: number): void {
  a.out(channel.command + 6, a.one(0xa0, 0xa0, 0xa0, 0xb0));
  a.out(channel.command + 7, command);
  settle(a, channel);
  readData(a, channel, 512);
  afterwards(a, channel);
}

function setFeatures(a: Author, channel: Channel): void {
  const feature = a.one(3, 3, 3, 2, 0x82, 0xaa, 0x55, 0x05, a.byte());
  registers(a, channel, feature, a.one(0, 8, 0x0b, 0x21, 0x22, 0x42, 0x45, 0x18), 0, 0, 0, 0xa0);
  a.out(channel.command + 7, 0xef);
  afterwards(a, channel);
}

function smart(a: Author): void {
  const feature = a.one(0xd0, 0xd1, 0xd2, 0xd4, 0xd5, 0xd8, 0xd8, 0xd9, 0xda, a.byte());
  registers(a, PRIMARY, feature, 1, a.one(0, 1, 2, 6, 0xf1), 0x4f, a.one(0xc2, 0xc2, 0xc2, 0), 0xa0);
  diskCommand(a, 0xb0);
  a.in(PRIMARY.control);
  readData(a, PRIMARY, 512);
  afterwards(a, PRIMARY);
}

/** Commands that end at once, those that no drive knows among them. */
const SIMPLE = [
  0x00, 0x10, 0x27, 0x40, 0x42, 0x70, 0x90, 0x91, 0xa0, 0xa1, 0xc6, 0xe0, 0xe3, 0xe5, 0xe7, 0xea, 0xf5, 0xf8,
];

function simple(a: Author, channel: Channel): void {
  a.pick(
    [50, () => registers(a, channel, a.byte(), a.one(1, 2, 3, 4, 16, 17, 32, 0, a.byte()), a.byte(), a.byte())],
    [50, () => a.out(channel.command + 6, a.one(0xa0, 0xe0, 0xef, 0xb0, a.byte()))],
    [10, () => a.out(channel.command + 1 + a.below(5), a.byte())],
  );
  a.out(channel.command + 7, a.one(...SIMPLE));
  afterwards(a, channel);
}

/** Control register, and whatever else stops a transfer in the middle. */
function control(a: Author, channel: Channel): void {
  a.pick([20, () => a.out(channel.control, a.one(0, 2, 8, 0x80))], [5, () => a.out(channel.control, 4)]);
  settle(a, channel);
  afterwards(a, channel);
  a.pick([1, () => a.out(channel.control, 0)], [1, () => a.out(channel.control, 8)]);
}

function packet(a: Author, ...bytes: readonly number[]): void {
  for (let n = 0; n < 12; n += 2) a.sized('out', 2, SECONDARY.command, (bytes[n] ?? 0) | ((bytes[n + 1] ?? 0) << 8));
}

const big16 = (value: number): number[] => [(value >> 8) & 0xff, value & 0xff];
const big32 = (value: number): number[] => [...big16(value >>> 16), ...big16(value & 0xffff)];

/** Packets with room for their reply. */
function anyPacket(a: Author, most: number): number[] {
  const length = big16(most);
  const block = big32(a.one(0, a.below(CD_SECTORS / 4), CD_SECTORS / 4 - 1, CD_SECTORS / 4));
  const page = a.one(0x01, 0x0e, 0x2a, 0x2a, 0x08, 0x6a, 0xea);
  return a.one(
    [0x00],
    [0x03, 0, 0, 0, a.one(18, 8)],
    [0x12, 0, 0, 0, a.one(36, 5, 96)],
    [0x12, 1, a.one(0, 0x83, 0x80), 0, a.one(252, 20, 60)],
    [0x1b, 0, 0, 0, a.one(0, 1, 2, 3, 3, 0x32)],
    [0x1e, 0, 0, 0, a.below(2)],
    [0x25],
    [0x2b, 0, ...block],
    [0x43, a.one(0, 2), 0, 0, 0, 0, a.one(0, 1, 2, 0xaa), ...length, a.one(0, 0x40, 0x80, 0xc0)],
    [0x46, a.below(3), 0, a.one(0, 0, 0, 3), 0, 0, 0, ...length],
    [0x4a, a.one(1, 1, 0), 0, 0, a.one(0x10, 0x10, 0x02), 0, 0, ...length],
    [0x51, a.one(0, 0, 1), 0, 0, 0, 0, 0, ...length],
    [0x5a, 0, page, 0, 0, 0, 0, ...length],
    [0xad, 0, 0, 0, 0, 0, 0, a.one(0, 1, 4, 0xff), ...length],
    [0xbb, 0, 0xff, 0xff],
    [0xbd, 0, 0, 0, 0, 0, 0, 0, ...length],
    [a.one(0x1a, 0x55, 0x42, 0xff, 0x01)],
  );
}

function sendPacket(a: Author): void {
  const dma = a.below(4) === 0;
  const most = a.one(8, 20, 30, 255, 512);
  const limit = a.one(512, 512, 512, 14, 0xffff, 0);
  registers(a, SECONDARY, dma ? 1 : 0, 0, 0, limit & 0xff, limit >>> 8, 0xa0);
  a.out(SECONDARY.command + 7, 0xa0);
  afterwards(a, SECONDARY);
  if (dma) table(a, 512);
  packet(a, ...anyPacket(a, most));
  if (dma) {
    a.sized('out', 4, SECONDARY.busMaster + 4, TABLE);
    a.out(SECONDARY.busMaster, 9);
    a.delay(300_000);
    a.out(SECONDARY.busMaster, 8);
    for (let n = 0; n < 8; n++) a.read(DATA + 4 * n);
  }
  afterwards(a, SECONDARY);
  readData(a, SECONDARY, 40);
  afterwards(a, SECONDARY);
  readData(a, SECONDARY, 512);
  afterwards(a, SECONDARY);
}

function readBlocks(a: Author): void {
  const count = a.one(1, 2, 3);
  const block = a.one(a.below(CD_SECTORS / 4), CD_SECTORS / 4 - 1, CD_SECTORS / 4 - 2);
  const raw = a.below(5) === 0;
  const dma = a.below(2) === 0;
  const size = raw ? 2352 : 2048;
  const limit = a.one(0xfffe, 0xffff, 2048, 4096, 1000);
  registers(a, SECONDARY, dma ? 1 : 0, 0, 0, limit & 0xff, limit >>> 8, 0xa0);
  a.out(SECONDARY.command + 7, 0xa0);
  if (dma) table(a, count * size);
  const place = big32(block);
  if (raw) packet(a, 0xbe, 0, ...place, 0, ...big16(count), 0xf8);
  else packet(a, ...a.one([0x28, 0, ...place, 0, ...big16(count)], [0xa8, 0, ...place, ...big32(count)]));
  if (dma) {
    // Past the end of the disc the packet fails, and the bus master never starts.
    a.sized('out', 4, SECONDARY.busMaster + 4, TABLE);
    a.out(SECONDARY.busMaster, 9);
    a.delay(3_000_000);
    a.in(SECONDARY.busMaster + 2);
    a.out(SECONDARY.busMaster, 8);
    a.out(SECONDARY.busMaster + 2, 0x66);
    for (let n = 0; n < 6; n++) a.read(DATA + a.one(0, 0, 0x8000, 512) + 4 * n);
    afterwards(a, SECONDARY);
    return;
  }
  for (let left = count * size; left > 0; ) {
    afterwards(a, SECONDARY);
    const piece = Math.min(left, limit === 0xffff ? 0xfffe : limit);
    readData(a, SECONDARY, 16);
    a.steps.push({ op: 'skip', size: 2, address: SECONDARY.command, value: (piece - 16) / 2 });
    left -= piece;
  }
  afterwards(a, SECONDARY);
}

export const IDE_KINDS: Record<string, (a: Author) => void> = {
  ide(a) {
    a.pick(
      [10, () => readSome(a, PRIMARY)],
      [8, () => simple(a, PRIMARY)],
      [6, () => readSectors(a)],
      [5, () => writeSectors(a)],
      [6, () => diskDma(a)],
      [2, () => identify(a, PRIMARY, 0xec)],
      [5, () => setFeatures(a, PRIMARY)],
      [3, () => smart(a)],
      [4, () => control(a, PRIMARY)],
    );
  },

  atapi(a) {
    a.pick(
      [10, () => readSome(a, SECONDARY)],
      [4, () => simple(a, SECONDARY)],
      [20, () => sendPacket(a)],
      [6, () => readBlocks(a)],
      [1, () => identify(a, SECONDARY, a.one(0xa1, 0xec))],
      [2, () => setFeatures(a, SECONDARY)],
      [3, () => control(a, SECONDARY)],
      [2, () => a.out(SECONDARY.command + 7, 0x08)],
    );
  },
};

/** Without any drive. */
export function emptyChannel(a: Author): void {
  const channel = a.one(PRIMARY, SECONDARY);
  a.pick(
    [60, () => readSome(a, channel)],
    [20, () => a.out(channel.command + 1 + a.below(6), a.byte())],
    [10, () => a.out(channel.command + 7, a.one(0xec, 0xa1, 0x90, 0x20, 0xef))],
    [5, () => a.out(channel.control, a.one(0, 2, 0x80))],
  );
}

/** The bus master's registers alone. */
export function busMasterRegisters(a: Author): void {
  const port = BUS_MASTER + a.below(16);
  a.pick(
    [50, () => a.in(port, a.one(1, 1, 2, 4))],
    [50, () => a.sized('out', a.one(1, 1, 2, 4), port, a.one(a.byte(), 0x1234_5678 + a.byte()))],
  );
}
