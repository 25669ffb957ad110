// Decoded code in pages that are written, and segment registers that say how code decodes, on the real processor.

import test from 'ava';
import fc from 'fast-check';
import type { Bus } from '../../src/cpu/bus.js';
import { Cpu } from '../../src/cpu/cpu.js';
import { QEMU64_V1 } from '../../src/cpu/cpuid.js';
import * as L from '../../src/cpu/layout.js';

const MIB = 0x10_0000;
const CODE = 0x1000;
const OTHER = 0x20_0000;

const u32 = (n: number) => [n & 0xff, (n >> 8) & 0xff, (n >> 16) & 0xff, n >>> 24];
const HLT = 0xf4;
const RET = 0xc3;
const INC_EAX = 0x40;

function machine(code: readonly number[]): Cpu {
  const cpu = new Cpu({ model: QEMU64_V1, timing: { name: 'test', nsPerCycle: 4 }, ramSize: 8 * MIB, romSize: 0 });
  cpu.bus = { nextEvent: () => Number.POSITIVE_INFINITY, advance: () => {} } as unknown as Bus;
  cpu.physical.write(CODE, Uint8Array.from(code));
  return cpu;
}

/** A flat 32-bit machine. */
function flat32(code: readonly number[]): Cpu {
  const cpu = machine(code);
  const { state } = cpu;
  state.set32(L.CR0, 0x11);
  state.setSegment(L.CS, 8, 0n, 0xffff_ffff, 0xc09b);
  for (const segment of [L.DS, L.ES, L.SS]) state.setSegment(segment, 16, 0n, 0xffff_ffff, 0xc093);
  state.rip = BigInt(CODE);
  state.setReg(4, 0x8000n);
  cpu.flushTlb(false);
  cpu.modeChanged();
  return cpu;
}

/** How often a write comes to a page with code. */
function countWrites(cpu: Cpu): () => number {
  const { onCodeWrite } = cpu.physical;
  let writes = 0;
  cpu.physical.onCodeWrite = (page, offset, length) => {
    writes++;
    onCodeWrite(page, offset, length);
  };
  return () => writes;
}

const call = (from: number, to: number) => [0xe8, ...u32(to - from - 5)];
const fill = (to: number, words: number) => [0xbf, ...u32(to), 0xb9, ...u32(words), 0xf3, 0xab]; // rep stosd

test('memory in which code ran once is written at full speed after a while', (t) => {
  const code = [...call(CODE, OTHER), ...fill(OTHER + 64, 900), ...call(CODE + 17, OTHER), HLT];
  const cpu = flat32(code);
  cpu.physical.write(OTHER, Uint8Array.of(INC_EAX, RET));
  const writes = countWrites(cpu);
  t.is(cpu.run().reason, 'halted');
  t.is(cpu.state.reg32(0), 2);
  t.is(cpu.state.u32[(L.GUEST + OTHER + 64 + 4 * 899) >>> 2], 1);
  t.true(writes() < 100, `${writes()} of 900 writes`);
});

test('code that is written after it was dropped for writes beside it is executed as it is', (t) => {
  const patched = [0xc6, 0x05, ...u32(OTHER), 0x48]; // mov byte [OTHER], dec eax
  const code = [...call(CODE, OTHER), ...fill(OTHER + 64, 900), ...patched, ...call(CODE + 24, OTHER), HLT];
  const cpu = flat32(code);
  cpu.physical.write(OTHER, Uint8Array.of(INC_EAX, RET));
  t.is(cpu.run().reason, 'halted');
  t.is(cpu.state.reg32(0), 0);
});

test('a loop that writes to its own page is decoded anew seldom, and more and more so', (t) => {
  // mov ecx, 20000; again: inc dword [CODE + 0x800]; dec ecx; jnz again; hlt
  const code = [0xb9, ...u32(20_000), 0xff, 0x05, ...u32(CODE + 0x800), 0x49, 0x75, 0xf7, HLT];
  const cpu = flat32(code);
  t.is(cpu.run().reason, 'halted');
  t.is(cpu.state.u32[(L.GUEST + CODE + 0x800) >>> 2], 20_000);
  t.true(cpu.code.blocks < 50, `${cpu.code.blocks} blocks`);
});

test('segment registers in real mode hold what was loaded last, with limits of 64 KiB and of 4 GiB', (t) => {
  const step = fc.record({ segment: fc.constantFrom(L.ES, L.DS, L.FS, L.GS), place: fc.constantFrom(0, 1, 2, 3) });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 24 }), fc.boolean(), (steps, unreal) => {
      const prefix: Record<number, number> = { [L.ES]: 0x26, [L.DS]: 0x3e, [L.FS]: 0x64, [L.GS]: 0x65 };
      const bases = [0, 0x1_0000, 0x2_0000, 0x3_0000];
      const code: number[] = [];
      const expected = new Map<number, number>();
      steps.forEach(({ segment, place }, i) => {
        code.push(0xb8, 0, bases[place]! >> 12, 0x8e, 0xc0 | (segment << 3)); // mov ax, place; mov segment, ax
        const offset = 0x4000 + 2 * i;
        code.push(prefix[segment]!, 0xc7, 0x06, offset & 0xff, offset >> 8, i + 1, 0x55); // mov word [offset], i
        expected.set(bases[place]! + offset, i + 1);
      });
      const cpu = machine([...code, HLT]);
      const { state } = cpu;
      const limit = unreal ? 0xffff_ffff : 0xffff;
      state.setSegment(L.CS, 0, 0n, 0xffff, 0x93);
      for (const segment of [L.DS, L.ES, L.FS, L.GS]) state.setSegment(segment, 0, 0n, limit, 0x93);
      state.rip = BigInt(CODE);
      cpu.flushTlb(false);
      cpu.modeChanged();
      t.is(cpu.run().reason, 'halted');
      for (const [address, value] of expected)
        t.is(state.u16[(L.GUEST + address) >>> 1], 0x5500 | value, address.toString(16));
      for (const segment of [L.DS, L.ES, L.FS, L.GS]) t.is(state.limit(segment), limit);
    }),
  );
});

test('a block from before a checkpoint is as long as it was, whatever begins inside it', (t) => {
  const again = [...call(CODE + 0x100, OTHER + 2), ...call(CODE + 0x105, OTHER), HLT];
  const code = new Uint8Array(0x200);
  code.set([...call(CODE, OTHER), ...call(CODE + 5, OTHER + 2), HLT]);
  code.set(again, 0x100);
  const body = Uint8Array.of(INC_EAX, INC_EAX, INC_EAX, INC_EAX, INC_EAX, RET);
  const make = () => {
    const cpu = flat32([...code]);
    cpu.physical.write(OTHER, body);
    return cpu;
  };
  const before = make();
  t.is(before.run().reason, 'halted');
  const after = make();
  after.loadDecoded(before.saveDecoded());
  after.state.rip = BigInt(CODE + 0x100);
  const sizes: number[] = [];
  after.code.onDecode = (first, end) => sizes.push((end - first) / L.UOP_SIZE);
  t.is(after.run().reason, 'halted');
  t.is(after.state.reg32(0), 3 + 5);
  t.deepEqual(sizes, [1, 4, 1, body.length, 1]);
});
