// Items of REP string instructions that go to a device by memory: each is an access of its own, at its own cycle.

import test from 'ava';
import type { Bus } from '../../src/cpu/bus.js';
import { Cpu } from '../../src/cpu/cpu.js';
import { QEMU64_V1 } from '../../src/cpu/cpuid.js';
import * as L from '../../src/cpu/layout.js';
import { MMIO_COST } from '../../src/cpu/linear-memory.js';

const MIB = 0x10_0000;
const CODE = 0x1000;
const DEVICE = 0x1000_0000;
const ITEMS = 6;
/** Cycles of an item, and of the instructions before the first. */
const ITEM = 1 + MMIO_COST;
const BEFORE = 3;

const u32 = (n: number) => [n & 0xff, (n >> 8) & 0xff, (n >> 16) & 0xff, n >>> 24];
// mov edi, to; mov ecx, ITEMS; mov eax, 7; rep stosd; inc ebx; hlt
const fill = (to: number) => [0xbf, ...u32(to), 0xb9, ...u32(ITEMS), 0xb8, ...u32(7), 0xf3, 0xab, 0x43, 0xf4];

/** A flat 32-bit machine; what its bus sees is written down. */
function machine(code: readonly number[], { due = Number.POSITIVE_INFINITY, stopAt = -1 } = {}) {
  const seen: string[] = [];
  const cpu = new Cpu({ model: QEMU64_V1, timing: { name: 'test', nsPerCycle: 4 }, ramSize: 8 * MIB, romSize: 0 });
  let next = due;
  const bus: Partial<Bus> = {
    nextEvent: () => next,
    advance: (cycle) => {
      if (cycle < next) return;
      next = Number.POSITIVE_INFINITY;
      seen.push(`event at ${cycle}`);
    },
    mmioWrite: (address, size, value) => {
      seen.push(`${value} to ${address - DEVICE}, ${size} bytes, at ${cpu.cycle}`);
      if (address - DEVICE === stopAt) cpu.stop({ reason: 'poweroff' });
    },
  };
  cpu.bus = bus as Bus;
  const { state } = cpu;
  state.set32(L.CR0, 0x11);
  state.setSegment(L.CS, 8, 0n, 0xffff_ffff, 0xc09b);
  for (const segment of [L.DS, L.ES, L.SS]) state.setSegment(segment, 16, 0n, 0xffff_ffff, 0xc093);
  state.rip = BigInt(CODE);
  cpu.physical.write(CODE, Uint8Array.from(code));
  cpu.flushTlb(false);
  cpu.modeChanged();
  return { cpu, seen };
}

/** The cost of reaching the device comes before it is reached. */
const item = (n: number) => `7 to ${4 * n}, 4 bytes, at ${BEFORE + n * ITEM + MMIO_COST}`;
const items = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => item(from + i));

test('every item is an access at its own cycle', (t) => {
  const { cpu, seen } = machine(fill(DEVICE));
  t.is(cpu.run().reason, 'halted');
  t.deepEqual(seen, items(0, ITEMS));
  t.is(cpu.instructions, BEFORE + ITEMS + 2);
  t.is(cpu.now, BEFORE + ITEMS * ITEM + 2);
  t.is(cpu.state.reg32(3), 1);
});

test('an event comes between two items, and a run in slices is the same', (t) => {
  const due = BEFORE + 2 * ITEM + 1;
  const expected = [...items(0, 3), `event at ${BEFORE + 3 * ITEM}`, ...items(3, ITEMS)];
  const whole = machine(fill(DEVICE), { due });
  whole.cpu.run();
  t.deepEqual(whole.seen, expected);
  for (const slice of [1, 7, ITEM, 2 * ITEM + 1]) {
    const { cpu, seen } = machine(fill(DEVICE), { due });
    while (!cpu.isHalted) t.is(cpu.runUntil(cpu.now + slice).reason, 'until-cycle');
    t.deepEqual(seen, expected, `${slice}`);
    t.is(cpu.instructions, whole.cpu.instructions);
  }
});

test('a stop takes effect behind the item that asked for it', (t) => {
  const { cpu, seen } = machine(fill(DEVICE), { stopAt: 8 });
  t.is(cpu.run().reason, 'poweroff');
  t.deepEqual(seen, items(0, 3));
  t.is(cpu.state.reg32(1), ITEMS - 3);
  t.is(cpu.state.rip, BigInt(CODE + 15));
  t.is(cpu.run().reason, 'halted');
  t.deepEqual(seen, items(0, ITEMS));
});

test('items may begin in memory and go on in a device', (t) => {
  const end = 8 * MIB;
  const { cpu, seen } = machine(fill(end - 8));
  t.is(cpu.run().reason, 'halted');
  t.is(seen.length, ITEMS - 2);
  t.is(cpu.state.u8[L.GUEST + end - 8], 7);
  t.is(cpu.now, BEFORE + 2 + (ITEMS - 2) * ITEM + 2);
});
