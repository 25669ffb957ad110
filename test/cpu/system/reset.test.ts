import test from 'ava';
import { QEMU64_V1, X86_64_V2 } from '../../../src/cpu/cpuid.js';
import * as L from '../../../src/cpu/layout.js';
import { tagWord } from '../../../src/cpu/system/fpu-state.js';
import { resetState } from '../../../src/cpu/system/reset.js';
import { FakeCore, longCore } from './fake-core.js';

// SDM vol. 3A, table 9-1.
test('after reset the first instruction is fetched from FFFFFFF0H', (t) => {
  const { state: s } = new FakeCore();
  t.is(s.base(L.CS) + s.rip, 0xffff_fff0n);
  t.is(s.selector(L.CS), 0xf000);
  t.is(s.limit(L.CS), 0xffff);
  t.is(s.eflags, 2);
  t.is(s.cr0, 0x6000_0010);
  t.is(s.dr(6), 0xffff_0ff0n);
  t.is(s.dr(7), 0x400n);
  t.is(s.get32(L.IDTR_LIMIT), 0xffff);
  t.is(s.get32(L.MXCSR), 0x1f80);
  t.is(s.get32(L.FPU_CONTROL), 0x40);
  t.is(tagWord(s), 0x5555);
});

test('EDX tells the processor signature, the other registers are 0', (t) => {
  for (const model of [QEMU64_V1, X86_64_V2]) {
    const { state: s } = new FakeCore(model);
    t.deepEqual(
      Array.from({ length: 16 }, (_, i) => s.reg(i)),
      Array.from({ length: 16 }, (_, i) => (i === 2 ? BigInt(model.signature) : 0n)),
    );
  }
});

test('every data segment is a writable 64 KiB segment at 0', (t) => {
  const { state: s } = new FakeCore();
  for (const segment of [L.ES, L.SS, L.DS, L.FS, L.GS]) {
    t.deepEqual([s.selector(segment), s.base(segment), s.limit(segment), s.attributes(segment)], [0, 0n, 0xffff, 0x93]);
  }
  t.is(s.get32(L.SEGMENTS + 32 * L.CS + L.SEG_ACCESS), 3, 'code is writable in real mode');
});

test('reset leaves long mode and forgets MSRs, but not the cycle counters', (t) => {
  const core = longCore(3);
  const s = core.state;
  s.set64(L.MSR_LSTAR, 0x1234n);
  s.set64(L.INSTRUCTIONS, 77n);
  s.f64[L.DEADLINE >>> 3] = 5000;
  s.set32(L.INTR, 1);
  resetState(s, QEMU64_V1);
  core.modeChanged();
  t.is(s.mode, 0);
  t.is(s.cpl, 0);
  t.is(s.efer, 0);
  t.is(s.get64(L.MSR_LSTAR), 0n);
  t.is(s.get64(L.INSTRUCTIONS), 77n);
  t.is(s.f64[L.DEADLINE >>> 3], 5000);
  t.is(s.get32(L.INTR), 1);
});

test('two resets from different states end in the same state', (t) => {
  const block = (core: FakeCore) => Buffer.from(core.state.u8.slice(L.SEGMENTS, L.ADDRESS_MASK)).toString('hex');
  const fresh = new FakeCore();
  const used = longCore(3);
  used.state.u8.fill(0xa5, L.MSR_STAR, L.ADDRESS_MASK);
  used.state.u8.fill(0xa5, L.FPU_REGS, L.SCRATCH);
  resetState(used.state, QEMU64_V1);
  t.is(block(used), block(fresh));
  t.deepEqual(used.state.u8.slice(L.FPU_REGS, L.MXCSR + 4), fresh.state.u8.slice(L.FPU_REGS, L.MXCSR + 4));
});
