import test from 'ava';
import type { Bus } from '../../src/cpu/bus.js';
import { Cpu } from '../../src/cpu/cpu.js';
import { QEMU64_V1 } from '../../src/cpu/cpuid.js';
import * as L from '../../src/cpu/layout.js';
import { peekMemory, peekTranslation } from '../../src/cpu/peek.js';

const MIB = 0x10_0000;
const CODE = 0x1000;

/** A flat 32-bit machine of 8 MiB with `code` at CODE and nothing around it. */
function machine(code: readonly number[]): Cpu {
  const cpu = new Cpu({ model: QEMU64_V1, timing: { name: 'test', nsPerCycle: 4 }, ramSize: 8 * MIB, romSize: 0 });
  cpu.bus = { nextEvent: () => Number.POSITIVE_INFINITY, advance: () => {} } as unknown as Bus;
  const { state } = cpu;
  state.set32(L.CR0, 0x11);
  state.setSegment(L.CS, 8, 0n, 0xffff_ffff, 0xc09b);
  for (const segment of [L.DS, L.ES, L.SS]) state.setSegment(segment, 16, 0n, 0xffff_ffff, 0xc093);
  state.rip = BigInt(CODE);
  state.setReg(4, 0x8000n);
  cpu.physical.write(CODE, Uint8Array.from(code));
  cpu.flushTlb(false);
  cpu.modeChanged();
  return cpu;
}

// mov ecx, 5; again: inc eax; dec ecx; jnz again; inc ebx; hlt
const LOOP = [0xb9, 5, 0, 0, 0, 0x40, 0x49, 0x75, 0xfc, 0x43, 0xf4];

test('a run ends before the instruction at a breakpoint, each time', (t) => {
  const cpu = machine(LOOP);
  cpu.setBreakpoint(BigInt(CODE + 6)); // in the middle of a block
  for (let round = 1; round <= 5; round++) {
    t.is(cpu.run().reason, 'breakpoint');
    t.is(cpu.state.rip, BigInt(CODE + 6));
    t.is(cpu.state.reg32(0), round);
    t.is(cpu.state.reg32(1), 6 - round);
    cpu.step();
  }
  t.is(cpu.run().reason, 'halted');
  t.is(cpu.state.reg32(3), 1);
});

test('a breakpoint takes hold in code that has run, and cycles do not depend on it', (t) => {
  const plain = machine(LOOP);
  plain.run();
  const cpu = machine(LOOP);
  cpu.runUntil(6);
  cpu.setBreakpoint(BigInt(CODE + 9));
  t.is(cpu.run().reason, 'breakpoint');
  t.is(cpu.state.reg32(0), 5);
  cpu.clearBreakpoint(BigInt(CODE + 9));
  t.is(cpu.run().reason, 'halted');
  t.is(cpu.now, plain.now);
  t.is(cpu.instructions, plain.instructions);
});

test('code at the same offset of another page runs through', (t) => {
  const cpu = machine(LOOP);
  cpu.setBreakpoint(BigInt(CODE + 0x3000 + 5)); // the loop's offset, three pages on
  t.is(cpu.run().reason, 'halted');
  t.is(cpu.state.reg32(0), 5);
});

test('a breakpoint stops single steps that a near cycle limit asks for', (t) => {
  const cpu = machine(LOOP);
  cpu.setBreakpoint(BigInt(CODE + 6));
  t.is(cpu.runUntil(4).reason, 'breakpoint');
  t.is(cpu.now, 2);
});

test('peeking walks 4-level, PAE and 32-bit tables, large pages too, and sets nothing', (t) => {
  const cpu = machine([]);
  const { state, physical } = cpu;
  const put = (at: number, value: bigint) => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    physical.write(at, bytes);
  };
  const [a, b, c, d] = [0x1_0000, 0x1_1000, 0x1_2000, 0x1_3000];
  const linear = 0xffff_9000_4060_1234n;
  put(a + 8 * Number((linear >> 39n) & 511n), BigInt(b) | 1n);
  put(b + 8 * Number((linear >> 30n) & 511n), BigInt(c) | 1n);
  put(c + 8 * Number((linear >> 21n) & 511n), BigInt(d) | 1n);
  put(d + 8 * Number((linear >> 12n) & 511n), 0x5000n | 1n | (1n << 63n));
  put(c + 8 * (Number((linear >> 21n) & 511n) + 1), 0x20_0081n);
  state.set64(L.CR3, BigInt(a));
  state.set32(L.CR0, 0x8000_0011);
  state.set32(L.CR4, 0x20);
  state.set32(L.EFER, 0x500);
  t.is(peekTranslation(state, physical, linear), 0x5234);
  t.is(peekTranslation(state, physical, linear + 0x20_0000n), 0x20_1234);
  t.is(peekTranslation(state, physical, linear + 0x1000n), undefined);
  physical.write(0x5ffe, Uint8Array.of(7, 8));
  t.deepEqual(peekMemory(state, physical, (linear & ~0xfffn) + 0xffen, 10), Uint8Array.of(7, 8), 'up to the hole');
  t.is(physical.read32(d + 8 * Number((linear >> 12n) & 511n)), 0x5001, 'no accessed bit');

  state.set32(L.EFER, 0);
  state.set64(L.PDPTES + 8, BigInt(c) | 1n);
  t.is(peekTranslation(state, physical, 0x4060_1234n), 0x5234);

  state.set32(L.CR4, 0x10);
  put(a + 4 * 0x101, BigInt(d) | 1n | (0x40_0081n << 32n));
  put(d + 4 * 3, 0x6001n);
  t.is(peekTranslation(state, physical, 0x4040_3abcn), 0x6abc);
  t.is(peekTranslation(state, physical, 0x4092_3abcn), 0x52_3abc);
});
