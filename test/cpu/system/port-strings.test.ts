// REP INS and OUTS in real mode against a plain loop over items: memory, registers, cycles, and what the ports saw, at
// any place, width, count and direction, over segment ends, in one go and cut into slices.

import test from 'ava';
import fc from 'fast-check';
import type { Bus } from '../../../src/cpu/bus.js';
import { Cpu } from '../../../src/cpu/cpu.js';
import { QEMU64_V1 } from '../../../src/cpu/cpuid.js';
import * as L from '../../../src/cpu/layout.js';
import { DF, TF } from '../../../src/cpu/state.js';
import { PORT_COST } from '../../../src/cpu/system/ports.js';

const RAM = 2 << 20;
const END = 0x8010;
const DATA_BASE = 0x2_0000;

interface Seen {
  /** Accesses to the bus. */
  accesses: number;
  items: number[];
}

function machine() {
  const cpu = new Cpu({ model: QEMU64_V1, timing: { name: 'test', nsPerCycle: 4 }, ramSize: RAM, romSize: 0 });
  const seen: Seen = { accesses: 0, items: [] };
  let next = 1;
  const item = () => {
    next = (Math.imul(next, 1_103_515_245) + 12_345) >>> 0;
    return next;
  };
  const value = (data: Uint8Array, at: number, size: number) =>
    data.subarray(at, at + size).reduceRight((sum, byte) => sum * 256 + byte, 0);
  const bus: Bus = {
    portRead: (_port, size) => {
      seen.accesses++;
      const v = size === 4 ? item() : item() & (2 ** (8 * size) - 1);
      seen.items.push(v);
      return v;
    },
    portWrite: (_port, _size, v) => {
      seen.accesses++;
      seen.items.push(v);
    },
    portReadString: (_port, size, count) => {
      seen.accesses++;
      const data = new Uint8Array(size * count);
      for (let at = 0; at < data.length; at += size) {
        const v = item();
        for (let k = 0; k < size; k++) data[at + k] = v >>> (8 * k);
        seen.items.push(value(data, at, size));
      }
      return data;
    },
    portWriteString: (_port, size, data) => {
      seen.accesses++;
      for (let at = 0; at < data.length; at += size) seen.items.push(value(data, at, size));
    },
    mmioRead: () => 0,
    mmioWrite: () => {},
    mmioString: () => false,
    mmioReadString: () => new Uint8Array(0),
    mmioWriteString: () => {},
    msrRead: () => 0n,
    msrWrite: () => {},
    acknowledge: () => 0,
    advance: () => {},
    nextEvent: () => Number.POSITIVE_INFINITY,
  };
  cpu.bus = bus;
  const s = cpu.state;
  const base = (segment: number, at: number) => {
    const place = L.SEGMENTS + L.SEGMENT_SIZE * segment;
    s.set32(place + L.SEG_SELECTOR, at >> 4);
    s.set64(place + L.SEG_BASE, BigInt(at));
  };
  base(L.CS, 0);
  base(L.DS, DATA_BASE);
  base(L.ES, DATA_BASE);
  cpu.modeChanged();
  return { cpu, seen };
}

interface Case {
  size: 1 | 2 | 4;
  ins: boolean;
  count: number;
  offset: number;
  down: boolean;
  step: boolean;
  slices: number[];
}

const cases: fc.Arbitrary<Case> = fc.record({
  size: fc.constantFrom(1, 2, 4),
  ins: fc.boolean(),
  count: fc.integer({ min: 0, max: 700 }),
  offset: fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.constantFrom(0, 1, 0xffe, 0xfff, 0xfffc, 0xfffe, 0xffff)),
  down: fc.boolean(),
  step: fc.boolean(),
  slices: fc.array(fc.integer({ min: 1, max: 100_000 }), { maxLength: 4 }),
});

/** Items that fit before an item would run over the end of the 64 KiB segment, where processors raise #GP. */
function itemsBeforeEnd(c: Case): number {
  let offset = c.offset;
  for (let n = 0; n < c.count; n++) {
    if (offset + c.size > 0x1_0000) return n;
    offset = (offset + (c.down ? -c.size : c.size)) & 0xffff;
  }
  return c.count;
}

test('a REP INS or OUTS does what a loop over its items does', (t) => {
  let runs = 0;
  const { cpu, seen } = machine();
  const s = cpu.state;
  // A run ends behind the instruction, or at the handler of #GP (vector 13); that of #DB (1) returns.
  cpu.physical.write(4 * 13, Uint8Array.of(0, 0x90, 0, 0));
  cpu.setBreakpoint(0x9000n);
  cpu.setBreakpoint(BigInt(END));
  cpu.physical.write(4, Uint8Array.of(0, 0x91, 0, 0));
  cpu.physical.write(0x9100, Uint8Array.of(0xcf));
  fc.assert(
    fc.property(cases, (c) => {
      const what = JSON.stringify(c);
      seen.accesses = 0;
      seen.items = [];
      const retired = cpu.instructions;
      const start = cpu.now;
      const opcode = (c.ins ? 0x6c : 0x6e) + (c.size === 1 ? 0 : 1);
      const code = [...(c.size === 4 ? [0x66] : []), 0xf3, opcode];
      cpu.physical.write(END - code.length, Uint8Array.from(code));
      const memory = new Uint8Array(0x1_0000).map((_, i) => (i * 7) ^ (i >> 8));
      cpu.physical.write(DATA_BASE, memory);
      s.setReg(1, BigInt(c.count));
      s.setReg(2, 0x300n);
      s.setReg(4, 0x7000n);
      s.setReg(c.ins ? 7 : 6, BigInt(c.offset));
      s.set32(L.EFLAGS, 2 | (c.down ? DF : 0));
      s.rip = BigInt(END - code.length);
      if (c.step) {
        // Each item is followed by #DB, whose handler returns.
        s.set32(L.EFLAGS, s.get32(L.EFLAGS) | TF);
      }
      cpu.modeChanged();
      for (const slice of c.slices) if (cpu.runUntil(cpu.now + slice).reason === 'breakpoint') break;
      t.is(cpu.runUntil(start + 1e9).reason, 'breakpoint', what);

      const items = itemsBeforeEnd(c);
      const step = c.down ? -c.size : c.size;
      t.is(seen.items.length, items, `items of ${what}`);
      t.is(Number(s.reg(1)), c.count - items, `count of ${what}`);
      t.is(Number(s.reg(c.ins ? 7 : 6)), (c.offset + step * items) & 0xffff, `offset of ${what}`);
      let offset = c.offset;
      for (const item of seen.items) {
        const at = new DataView(memory.buffer, offset, c.size);
        if (c.ins) for (let k = 0; k < c.size; k++) at.setUint8(k, item >>> (8 * k));
        else for (let k = 0; k < c.size; k++) if (at.getUint8(k) !== ((item >>> (8 * k)) & 0xff)) t.fail('wrong item');
        offset = (offset + step) & 0xffff;
      }
      t.deepEqual(Buffer.from(cpu.physical.read(DATA_BASE, 0x1_0000)), Buffer.from(memory));
      if (!c.step) {
        // The instruction retires once an item (at least once, unless it faults).
        if (items === c.count) t.is(cpu.instructions - retired, Math.max(items, 1), `retired by ${what}`);
        t.true(cpu.now - start >= items * PORT_COST);
        if (seen.accesses < items) runs++;
        // No run crosses a page, or is longer than 256 items.
        if (!c.down) t.true(seen.accesses <= 2 * (Math.ceil((items * c.size) / 4096) + 1) + Math.ceil(items / 256));
      } else t.is(seen.accesses, items, `accesses of ${what}`);
    }),
    { numRuns: 150 },
  );
  t.true(runs > 0);
});
