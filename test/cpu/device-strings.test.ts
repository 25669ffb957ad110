// REP MOVS and STOS at a device's memory, with runs of items and item by item: two machines that differ in the bus alone
// end in the same state at the same cycle, with the same bytes in RAM and in the device, at any place, width, count and
// direction, over the ends of pages and segments, in one go and cut into slices.

import test from 'ava';
import fc from 'fast-check';
import type { AccessSize, Bus } from '../../src/cpu/bus.js';
import { Cpu } from '../../src/cpu/cpu.js';
import { QEMU64_V1 } from '../../src/cpu/cpuid.js';
import * as L from '../../src/cpu/layout.js';
import { MMIO_COST } from '../../src/cpu/linear-memory.js';
import { saveProcessor } from '../../src/cpu/snapshot.js';
import { DF, TF } from '../../src/cpu/state.js';

const RAM = 2 << 20;
const END = 0x8010;
const DATA = 0x2_0000;
const DEVICE = 0x3_0000;
const SIZE = 0x1_0000;

const PATTERN = new Uint8Array(SIZE).map((_, i) => (i * 7) ^ (i >> 8));

/** @param runs the device takes strings */
function machine(runs: boolean) {
  const cpu = new Cpu({ model: QEMU64_V1, timing: { name: 'test', nsPerCycle: 4 }, ramSize: RAM, romSize: 0 });
  const memory = new Uint8Array(SIZE);
  const seen = { accesses: 0, longest: 0 };
  const bytes = (address: number, count: number) => memory.subarray(address - DEVICE, address - DEVICE + count);
  const bus: Bus = {
    portRead: () => 0,
    portWrite: () => {},
    portReadString: (_port, size, count) => new Uint8Array(size * count),
    portWriteString: () => {},
    mmioRead: (address, size) => {
      seen.accesses++;
      return bytes(address, size).reduceRight((value, byte) => value * 256 + byte, 0);
    },
    mmioWrite: (address, size, value) => {
      seen.accesses++;
      for (let i = 0; i < size; i++) memory[address - DEVICE + i] = value >>> (8 * i);
    },
    mmioString: (address, size, count) => runs && address >= DEVICE && address + size * count <= DEVICE + SIZE,
    mmioReadString: (address, size, count) => {
      noteRun(address, size, count);
      return bytes(address, size * count).slice();
    },
    mmioWriteString: (address, size, data) => {
      noteRun(address, size, data.length / size);
      bytes(address, data.length).set(data);
    },
    msrRead: () => 0n,
    msrWrite: () => {},
    acknowledge: () => 0,
    advance: () => {},
    nextEvent: () => Number.POSITIVE_INFINITY,
  };
  const noteRun = (address: number, size: AccessSize, count: number) => {
    seen.accesses++;
    seen.longest = Math.max(seen.longest, count);
    if ((address & 0xfff) + size * count > 4096) throw new Error('a run leaves its page');
  };
  cpu.bus = bus;
  cpu.physical.hide(DEVICE, SIZE);
  const s = cpu.state;
  const segment = (number: number, at: number) => {
    const place = L.SEGMENTS + L.SEGMENT_SIZE * number;
    s.set32(place + L.SEG_SELECTOR, at >> 4);
    s.set64(place + L.SEG_BASE, BigInt(at));
  };
  segment(L.CS, 0);
  // An item that runs over a segment's end raises #GP; that of #DB returns.
  cpu.physical.write(4 * 13, Uint8Array.of(0, 0x90, 0, 0));
  cpu.setBreakpoint(0x9000n);
  cpu.setBreakpoint(BigInt(END));
  cpu.physical.write(4, Uint8Array.of(0, 0x91, 0, 0));
  cpu.physical.write(0x9100, Uint8Array.of(0xcf));
  return { cpu, memory, seen, segment };
}

const cases = fc.record({
  kind: fc.constantFrom('stos', 'to-device', 'from-device', 'within'),
  size: fc.constantFrom(1, 2, 4),
  wide: fc.boolean(),
  count: fc.oneof(fc.integer({ min: 0, max: 2500 }), fc.integer({ min: 0, max: 5 })),
  from: fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.constantFrom(0, 1, 0xffe, 0xfff, 0xfffc, 0xffff)),
  to: fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.constantFrom(0, 2, 0xffe, 0xfff, 0xfff8, 0xffff)),
  override: fc.boolean(),
  down: fc.boolean(),
  step: fc.boolean(),
  slices: fc.array(fc.integer({ min: 1, max: 60_000 }), { maxLength: 4 }),
});
type Case = typeof cases extends fc.Arbitrary<infer T> ? T : never;

function run({ cpu, memory, segment, seen }: ReturnType<typeof machine>, c: Case) {
  seen.accesses = 0;
  const s = cpu.state;
  const source = c.kind === 'to-device' ? DATA : DEVICE;
  segment(L.ES, c.kind === 'from-device' ? DATA : DEVICE);
  segment(L.DS, c.override ? 0 : source);
  segment(L.FS, c.override ? source : 0);
  const opcode = (c.kind === 'stos' ? 0xaa : 0xa4) + (c.size === 1 ? 0 : 1);
  const prefixes = [...(c.size === 4 ? [0x66] : []), ...(c.wide ? [0x67] : []), ...(c.override ? [0x64] : [])];
  const code = [...prefixes, 0xf3, opcode];
  cpu.physical.write(END - code.length, Uint8Array.from(code));
  memory.set(PATTERN);
  cpu.physical.write(DATA, PATTERN);
  s.setReg(0, 0x8899_aabb_ccdd_eeffn);
  s.setReg(1, BigInt(c.count));
  s.setReg(4, 0x7000n);
  s.setReg(6, BigInt(c.from));
  s.setReg(7, BigInt(c.to));
  s.set32(L.EFLAGS, 2 | (c.down ? DF : 0) | (c.step ? TF : 0));
  s.rip = BigInt(END - code.length);
  cpu.modeChanged();
  const start = cpu.now;
  const stops: number[] = [];
  for (const slice of c.slices) {
    if (cpu.runUntil(cpu.now + slice).reason === 'breakpoint') break;
    stops.push(cpu.now - start);
  }
  const end = cpu.runUntil(start + 1e9).reason;
  return { end, cycles: cpu.now - start, stops, accesses: seen.accesses };
}

test('a REP MOVS or STOS at a device does what a loop over its items does, and takes as long', (t) => {
  const [whole, single] = [machine(true), machine(false)];
  fc.assert(
    fc.property(cases, (c) => {
      const [a, b] = [run(whole, c), run(single, c)];
      t.is(a.end, 'breakpoint');
      t.is(a.cycles, b.cycles);
      t.deepEqual(saveProcessor(whole.cpu), saveProcessor(single.cpu));
      t.is(Buffer.compare(whole.memory, single.memory), 0);
      const ram = ({ physical }: Cpu) => physical.read(DATA, SIZE);
      t.is(Buffer.compare(ram(whole.cpu), ram(single.cpu)), 0);
      // Items that are seen alone: single steps, downwards, from device to device.
      if (c.step || c.down || c.kind === 'within') t.is(a.accesses, b.accesses);
      t.true(a.cycles >= b.accesses * MMIO_COST);
    }),
    { numRuns: 120 },
  );
  const long = { kind: 'stos', size: 1, wide: false, count: 2500, from: 0, to: 0 } as const;
  run(whole, { ...long, slices: [], override: false, down: false, step: false });
  t.true(whole.seen.longest > 256 && whole.seen.longest <= 1024);
});

test('a run does not depend on where slices end', (t) => {
  const [whole, cut] = [machine(true), machine(true)];
  fc.assert(
    fc.property(cases, fc.array(fc.integer({ min: 1, max: 5000 }), { maxLength: 40 }), (c, slices) => {
      const [a, b] = [run(whole, { ...c, slices: [] }), run(cut, { ...c, slices })];
      t.is(b.accesses, a.accesses);
      t.is(b.cycles, a.cycles);
    }),
    { numRuns: 60 },
  );
});
