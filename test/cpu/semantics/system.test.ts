// System instructions that are emitted in their plain case, held against their TypeScript: alone, in blocks, translated.

import test from 'ava';
import type { Bus } from '../../../src/cpu/bus.js';
import { Cpu } from '../../../src/cpu/cpu.js';
import { QEMU64_V1 } from '../../../src/cpu/cpuid.js';
import { Translator } from '../../../src/cpu/jit/translator.js';
import * as L from '../../../src/cpu/layout.js';
import { CR4_TSD, EFER_LMA, GP } from '../../../src/cpu/state.js';

const CODE = 0x1000;
const RESULTS = 0x2000;
const HLT = 0xf4;

/** A flat 32-bit machine in ring 0 without interrupts. */
function machine(code: readonly number[], translated: boolean): Cpu {
  const cpu = new Cpu({ model: QEMU64_V1, timing: { name: 'test', nsPerCycle: 4 }, ramSize: 1 << 20, romSize: 0 });
  cpu.bus = { nextEvent: () => Number.POSITIVE_INFINITY, advance: () => {} } as unknown as Bus;
  if (translated) cpu.translateBy((parts) => new Translator(parts, { threshold: () => 1, batch: 1, patience: 0 }));
  const { state } = cpu;
  state.set32(L.CR0, 0x11);
  state.setSegment(L.CS, 8, 0n, 0xffff_ffff, 0xc09b);
  for (const segment of [L.DS, L.ES, L.SS]) state.setSegment(segment, 16, 0n, 0xffff_ffff, 0xc093);
  state.rip = BigInt(CODE);
  state.setReg(4, 0x8000n);
  state.setReg(7, BigInt(RESULTS));
  cpu.physical.write(CODE, Uint8Array.from(code));
  cpu.modeChanged();
  return cpu;
}

/** What eight rounds of NOP, RDTSC stored, run in slices. */
function times(slice: number, translated: boolean, offset: bigint): bigint[] {
  const code = [
    ...[0xb9, 8, 0, 0, 0], // mov ecx, 8
    ...[0x90, 0x0f, 0x31, 0x89, 0x07, 0x89, 0x57, 0x04], // nop; rdtsc; mov [edi], eax; mov [edi + 4], edx
    ...[0x83, 0xc7, 0x08, 0xe2, 0xf3, HLT], // add edi, 8; loop; hlt
  ];
  const cpu = machine(code, translated);
  cpu.setCycle(2 ** 31);
  cpu.state.set64(L.TSC_OFFSET, offset);
  while (!cpu.isHalted) cpu.runUntil(cpu.now + slice);
  return Array.from({ length: 8 }, (_, n) => cpu.state.get64(L.GUEST + RESULTS + 8 * n));
}

test('RDTSC gives the time of its own start, in every tier', (t) => {
  // MOV, then rounds of NOP, RDTSC (6 cycles), two stores, ADD and LOOP, at 4 ns a cycle.
  const expected = Array.from({ length: 8 }, (_, n) => BigInt((2 ** 31 + 2 + 11 * n) * 4));
  for (const translated of [false, true])
    for (const slice of [1, 7, 1000]) {
      t.deepEqual(times(slice, translated, 0n), expected, `${slice} ${translated}`);
      // What a written counter takes: TypeScript.
      t.deepEqual(
        times(slice, translated, 5n),
        expected.map((time) => time + 5n),
      );
    }
});

test('RDTSC outside ring 0 is #GP(0) under CR4.TSD', (t) => {
  const cpu = machine([0x0f, 0x31, HLT], false);
  cpu.state.set32(L.CPL, 3);
  cpu.state.set32(L.CR4, CR4_TSD);
  // No IDT: a triple fault.
  t.is(cpu.run().reason, 'triple-fault');
  t.is(cpu.state.get32(L.FAULT_VECTOR), GP);
});

test('STI shadows one instruction when it sets IF, and none when IF is set', (t) => {
  const cpu = machine([0xfb, 0x90, 0xfb, 0x90, HLT], false);
  const shadows = [];
  for (let i = 0; i < 4; i++) {
    cpu.runUntil(cpu.now + 1);
    shadows.push(cpu.interruptShadow);
  }
  t.deepEqual(shadows, [1, 0, 0, 0]);
  t.true(cpu.state.flag(0x200));
});

test('SWAPGS exchanges GS.base for ring 0 in 64-bit code, and is #GP(0) elsewhere', (t) => {
  for (const translated of [false, true]) {
    // mov ecx, 5; swapgs; loop; hlt: five exchanges
    const cpu = machine([0xb9, 5, 0, 0, 0, 0x0f, 0x01, 0xf8, 0xe2, 0xfb, HLT], translated);
    const { state } = cpu;
    state.set32(L.EFER, EFER_LMA);
    state.setSegment(L.CS, 8, 0n, 0xffff_ffff, 0xa09b);
    state.set64(L.MSR_KERNEL_GS_BASE, 0x1234n);
    cpu.modeChanged();
    while (!cpu.isHalted) cpu.runUntil(cpu.now + 3);
    t.deepEqual([state.base(L.GS), state.get64(L.MSR_KERNEL_GS_BASE)], [0x1234n, 0n]);
  }
  const user = machine([0x0f, 0x01, 0xf8, HLT], false);
  user.state.set32(L.EFER, EFER_LMA);
  user.state.setSegment(L.CS, 8, 0n, 0xffff_ffff, 0xa09b);
  user.state.set32(L.CPL, 3);
  user.modeChanged();
  t.is(user.run().reason, 'triple-fault');
  t.is(user.state.get32(L.FAULT_VECTOR), GP);
});
