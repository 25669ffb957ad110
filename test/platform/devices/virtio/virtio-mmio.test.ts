// Scripts for virtio devices behind virtio-mmio (scripts.ts), and what QEMU 7.2 answered (answers.txt, by record.ts).

import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import type { GuestMemory } from '../../../../src/cpu/bus.js';
import { VirtioBlk } from '../../../../src/platform/devices/virtio/virtio-blk.js';
import { VirtioConsole } from '../../../../src/platform/devices/virtio/virtio-console.js';
import type { VirtioDevice } from '../../../../src/platform/devices/virtio/virtio-device.js';
import { EMPTY_VIRTIO_SLOT, VirtioMmio } from '../../../../src/platform/devices/virtio/virtio-mmio.js';
import { VirtioRng } from '../../../../src/platform/devices/virtio/virtio-rng.js';
import { MmioSpace } from '../../../../src/platform/mmio-space.js';
import { assertSaveLoad } from '../save-load.js';
import { diskImage, type Kind, type Step, script } from './scripts.js';

const RAM = 64 << 20;
const BASE = 0xfeb0_2e00;

/** RAM of which a few MiB are really there; nobody asks for more. */
class Ram implements GuestMemory {
  readonly ramSize = RAM;
  readonly bytes = Buffer.alloc(4 << 20);

  read(address: number, length: number): Uint8Array {
    return Uint8Array.from(this.bytes.subarray(address, address + length));
  }
  write(address: number, data: Uint8Array): void {
    this.bytes.set(data, address);
  }
}

function makeDevice(kind: Kind, memory: GuestMemory, log: unknown[] = []): VirtioDevice {
  if (kind === 'rng') return new VirtioRng(memory, (length) => new Uint8Array(length).fill(0x5a));
  if (kind === 'serial') return new VirtioConsole(memory, (byte) => log.push(`out ${byte}`));
  const disk = diskImage();
  const store = {
    sectors: disk.length / 512,
    read: (sector: number, count: number) => disk.slice(sector * 512, (sector + count) * 512),
    write: (sector: number, data: Uint8Array) => disk.set(data, sector * 512),
  };
  return new VirtioBlk(memory, store);
}

function slot(kind: Kind, legacy: boolean, log: unknown[] = []) {
  const memory = new Ram();
  const transport = new VirtioMmio(23, makeDevice(kind, memory, log), (level) => log.push(`irq ${level}`), legacy);
  const space = new MmioSpace();
  space.map('virtio-mmio', BASE, 0x200, transport);
  return { memory, transport, space };
}

function perform({ memory, space }: ReturnType<typeof slot>, step: Step): string | undefined {
  switch (step.op) {
    case 'read':
      return space.read(BASE + step.offset, step.size).toString(16);
    case 'write':
      space.write(BASE + step.offset, step.size, step.value);
      return undefined;
    case 'peek':
      return memory.bytes.toString('hex', step.address, step.address + step.length);
    case 'poke':
      memory.bytes.set(step.data, step.address);
      return undefined;
  }
}

const recorded = readFileSync(new URL('answers.txt', import.meta.url), 'utf8')
  .trim()
  .split('\n');
for (const line of recorded) {
  const [title, answers] = line.split(': ') as [string, string];
  const [kind, layout, seed] = title.split(' ') as [Kind, string, string];
  test(`virtio ${title}: every answer is that of QEMU 7.2`, (t) => {
    const machine = slot(kind, layout === 'legacy');
    const expected = answers.split(' ');
    const steps = script(kind, layout === 'legacy', Number(seed));
    steps.forEach((step, i) => {
      const actual = perform(machine, step);
      if (actual === undefined) return;
      const { op, ...where } = step;
      t.is(actual, expected.shift() ?? 'nothing', `step ${i}: ${op} ${JSON.stringify(where)}`);
    });
    t.is(expected.length, 0);
  });
}

test('an empty slot has magic, version and vendor, and is no device', (t) => {
  const empty = EMPTY_VIRTIO_SLOT(true);
  const words = [0, 4, 8, 12, 16, 0x34, 0x100].map((offset) => empty.mmioRead(offset, 4));
  t.deepEqual(words, [0x7472_6976, 1, 0, 0x554d_4551, 0, 0, 0]);
});

const step: fc.Arbitrary<Step> = fc
  .tuple(fc.constantFrom<Kind>('blk', 'serial'), fc.integer({ min: 1, max: 40 }), fc.nat(400))
  .map(([kind, seed, n]) => {
    const steps = script(kind, true, seed);
    return steps[n % steps.length]!;
  });

for (const kind of ['blk', 'rng', 'serial'] as const) {
  for (const legacy of [true, false]) {
    test(`virtio ${kind} (${legacy ? 'legacy' : 'modern'}) can be saved and loaded anywhere`, (t) => {
      assertSaveLoad<Step>(
        (clock) => {
          const log: unknown[] = [];
          const machine = slot(kind, legacy, log);
          return { device: machine.transport, clock, log, apply: (one) => perform(machine, one) };
        },
        // Memory belongs to the machine, not to the device: both copies see it as it was at the start.
        step.filter(({ op }) => op === 'read' || op === 'write'),
        60,
      );
      t.pass();
    });
  }
}

test('a disk keeps what is written, and reads it back in pieces', (t) => {
  const memory = new Ram();
  const device = makeDevice('blk', memory) as VirtioBlk;
  const [queue] = device.queues;
  queue!.setSize(8);
  queue!.setRings(0x1000, 0x2000, 0x3000);
  device.setStatus(7);
  let index = 0;
  const request = (type: number, sector: number, parts: [number, number, boolean][]) => {
    memory.bytes.writeUInt32LE(type, 0x4000);
    memory.bytes.writeUInt32LE(sector, 0x4008);
    const all: [number, number, boolean][] = [[0x4000, 16, false], ...parts, [0x5000, 1, true]];
    all.forEach(([address, length, write], i) => {
      memory.bytes.writeBigUInt64LE(BigInt(address), 0x1000 + 16 * i);
      memory.bytes.writeUInt32LE(length, 0x1008 + 16 * i);
      memory.bytes.writeUInt16LE((write ? 2 : 0) | (i + 1 < all.length ? 1 : 0), 0x100c + 16 * i);
      memory.bytes.writeUInt16LE(i + 1, 0x100e + 16 * i);
    });
    memory.bytes.writeUInt16LE(0, 0x2004 + 2 * (index % 8));
    memory.bytes.writeUInt16LE(++index, 0x2002);
    device.notify(0);
    return memory.bytes[0x5000];
  };
  memory.bytes.fill('twenty sectors', 0x10_0000, 0x10_0000 + 10240);
  t.is(request(1, 40, [[0x10_0000, 10240, false]]), 0);
  t.is(
    request(0, 41, [
      [0x20_0000, 300, true],
      [0x20_0400, 212, true],
    ]),
    0,
  );
  const back = Buffer.concat([
    memory.bytes.subarray(0x20_0000, 0x20_012c),
    memory.bytes.subarray(0x20_0400, 0x20_04d4),
  ]);
  t.deepEqual(back, memory.bytes.subarray(0x10_0200, 0x10_0400));
});
