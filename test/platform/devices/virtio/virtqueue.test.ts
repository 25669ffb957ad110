import test from 'ava';
import fc from 'fast-check';
import type { GuestMemory } from '../../../../src/cpu/bus.js';
import { MAX_DESCRIPTORS, Virtqueue, VirtqueueError } from '../../../../src/platform/devices/virtio/virtqueue.js';

const RAM = 0x10000;
const [DESC, AVAIL, USED, TABLE] = [0x1000, 0x2000, 0x3000, 0x4000];
const [NEXT, WRITE, INDIRECT] = [1, 2, 4];

class Ram implements GuestMemory {
  readonly ramSize = RAM;
  readonly bytes = Buffer.alloc(RAM);
  accesses = 0;

  read(address: number, length: number): Uint8Array {
    this.accesses++;
    if (address + length > RAM) throw new Error(`read at ${address}`);
    return Uint8Array.from(this.bytes.subarray(address, address + length));
  }
  write(address: number, data: Uint8Array): void {
    this.accesses++;
    if (address + data.length > RAM) throw new Error(`write at ${address}`);
    this.bytes.set(data, address);
  }
}

function rig(size = 8) {
  const ram = new Ram();
  const queue = new Virtqueue(ram, size);
  queue.setRings(DESC, AVAIL, USED);
  const descriptor = (at: number, address: number | bigint, length: number, flags: number, next = 0) => {
    ram.bytes.writeBigUInt64LE(BigInt(address), at);
    ram.bytes.writeUInt32LE(length, at + 8);
    ram.bytes.writeUInt16LE(flags, at + 12);
    ram.bytes.writeUInt16LE(next, at + 14);
  };
  let index = 0;
  const offer = (head: number) => {
    ram.bytes.writeUInt16LE(head, AVAIL + 4 + 2 * (index % size));
    index = (index + 1) & 0xffff;
    ram.bytes.writeUInt16LE(index, AVAIL + 2);
  };
  return { ram, queue, descriptor, offer };
}

test('a chain gives its parts in order, readable and writable apart', (t) => {
  const { queue, descriptor, offer } = rig();
  descriptor(DESC + 16 * 3, 0x8000, 10, NEXT, 5);
  descriptor(DESC + 16 * 5, 0x8100, 20, NEXT | WRITE, 1);
  descriptor(DESC + 16 * 1, 0x8200, 30, WRITE);
  t.is(queue.pop(), undefined);
  offer(3);
  t.deepEqual(queue.pop(), {
    head: 3,
    readable: [{ address: 0x8000, length: 10 }],
    writable: [
      { address: 0x8100, length: 20 },
      { address: 0x8200, length: 30 },
    ],
  });
  t.true(queue.isEmpty);
});

test('an indirect table may be longer than the queue', (t) => {
  const { queue, descriptor, offer } = rig();
  const count = 40;
  for (let i = 0; i < count; i++) descriptor(TABLE + 16 * i, 0x8000 + i, 1, i + 1 < count ? NEXT : 0, i + 1);
  descriptor(DESC, TABLE, 16 * count, INDIRECT);
  offer(0);
  t.is(queue.pop()!.readable.length, count);
});

const WRONG: readonly [string, (r: ReturnType<typeof rig>) => void][] = [
  ['a chain that loops', ({ descriptor }) => descriptor(DESC, 0x8000, 1, NEXT, 0)],
  [
    'an indirect table that loops',
    ({ descriptor }) => {
      descriptor(TABLE, 0x8000, 1, NEXT, 0);
      descriptor(DESC, TABLE, 16, INDIRECT);
    },
  ],
  [
    'an indirect table in an indirect table',
    ({ descriptor }) => {
      descriptor(TABLE, TABLE, 16, INDIRECT);
      descriptor(DESC, TABLE, 16, INDIRECT);
    },
  ],
  ['an indirect table of half a descriptor', ({ descriptor }) => descriptor(DESC, TABLE, 24, INDIRECT)],
  ['an indirect table of nothing', ({ descriptor }) => descriptor(DESC, TABLE, 0, INDIRECT)],
  ['a huge indirect table', ({ descriptor }) => descriptor(DESC, TABLE, 16 * (MAX_DESCRIPTORS + 1), INDIRECT)],
  ['an indirect table outside RAM', ({ descriptor }) => descriptor(DESC, RAM - 8, 16, INDIRECT)],
  ['a buffer outside RAM', ({ descriptor }) => descriptor(DESC, RAM - 4, 8, 0)],
  ['a buffer at the end of the address space', ({ descriptor }) => descriptor(DESC, (1n << 64n) - 1n, 8, WRITE)],
  ['an empty buffer', ({ descriptor }) => descriptor(DESC, 0x8000, 0, 0)],
  ['a next descriptor that there is not', ({ descriptor }) => descriptor(DESC, 0x8000, 1, NEXT, 8)],
  [
    'a readable part behind a writable one',
    ({ descriptor }) => {
      descriptor(DESC, 0x8000, 1, NEXT | WRITE, 1);
      descriptor(DESC + 16, 0x8000, 1, 0);
    },
  ],
];
for (const [name, prepare] of WRONG) {
  test(`${name} is refused`, (t) => {
    const machine = rig();
    prepare(machine);
    machine.offer(0);
    t.throws(() => machine.queue.pop(), { instanceOf: VirtqueueError });
  });
}

test('rings outside RAM, a head that there is not and an index that ran away are refused', (t) => {
  const { queue, ram, offer } = rig();
  offer(8);
  t.throws(() => queue.pop(), { instanceOf: VirtqueueError });
  ram.bytes.writeUInt16LE(9, AVAIL + 2);
  t.throws(() => queue.pop(), { instanceOf: VirtqueueError });
  queue.setRings(DESC, RAM, USED);
  t.throws(() => queue.pop(), { instanceOf: VirtqueueError });
  t.throws(() => queue.isEmpty, { instanceOf: VirtqueueError });
  queue.setRings(DESC, AVAIL, 2 ** 63);
  t.throws(() => queue.push({ head: 0, readable: [], writable: [] }, 1), { instanceOf: VirtqueueError });
});

test('whatever stands in memory, a buffer costs a bounded number of accesses within RAM', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 64, maxLength: 4096 }), fc.nat(MAX_DESCRIPTORS), (pattern, size) => {
      const { ram, queue } = rig(Math.max(size, 1));
      for (let at = 0; at < RAM; at += pattern.length) ram.bytes.set(pattern.subarray(0, RAM - at), at);
      ram.bytes.writeUInt16LE(1, AVAIL + 2);
      try {
        const buffer = queue.pop()!;
        t.true(buffer.readable.length + buffer.writable.length <= MAX_DESCRIPTORS);
      } catch (error) {
        t.true(error instanceof VirtqueueError, `${error}`);
      }
      t.true(ram.accesses <= 2 * MAX_DESCRIPTORS + 8);
    }),
  );
});

test('gathering and scattering cross parts, and stop where they end', (t) => {
  const { queue, ram } = rig();
  const parts = [
    { address: 0x8000, length: 3 },
    { address: 0x9000, length: 4 },
    { address: 0x8800, length: 2 },
  ];
  fc.assert(
    fc.property(fc.nat(12), fc.uint8Array({ maxLength: 12 }), (offset, data) => {
      ram.bytes.fill(0);
      const written = queue.scatter(parts, offset, data);
      t.is(written, Math.max(Math.min(data.length, 9 - offset), 0));
      t.deepEqual(queue.gather(parts, offset, written), data.slice(0, written));
      t.is(
        ram.bytes.filter((byte) => byte !== 0).length,
        data.subarray(0, written).filter((byte) => byte !== 0).length,
      );
    }),
  );
});

test('with the event index a driver is interrupted when the entry that it named is used', (t) => {
  const { queue, ram, descriptor, offer } = rig(4);
  queue.eventIndex = true;
  descriptor(DESC, 0x8000, 1, 0);
  const interrupts: number[] = [];
  // It wants to hear of the third, then of the seventh.
  ram.bytes.writeUInt16LE(2, AVAIL + 4 + 8);
  for (let i = 0; i < 10; i++) {
    offer(0);
    queue.push(queue.pop()!, 0);
    if (queue.wantsInterrupt()) interrupts.push(i);
    if (i === 4) ram.bytes.writeUInt16LE(6, AVAIL + 4 + 8);
    t.is(ram.bytes.readUInt16LE(USED + 4 + 32), i + 1);
  }
  // The first always: nothing is known before it.
  t.deepEqual(interrupts, [0, 2, 6]);
});
