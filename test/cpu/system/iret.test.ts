import test from 'ava';
import * as L from '../../../src/cpu/layout.js';
import { AC, CR4_VME, ID, IF, NT, RF, TF, VIF, VIP, VM } from '../../../src/cpu/state.js';
import { deliver } from '../../../src/cpu/system/interrupts.js';
import { iret } from '../../../src/cpu/system/iret.js';
import {
  CODE0,
  CODE3,
  CODE64,
  CODE64_3,
  DATA0,
  DATA3,
  FakeCore,
  faultOf,
  longCore,
  protectedCore,
  snapshot,
  stackDwords,
  stackQwords,
  TSS,
  TSS_SELECTOR,
  TSS2,
  TSS2_SELECTOR,
  v86Core,
} from './fake-core.js';

test('real mode IRET restores IP, CS and FLAGS', (t) => {
  const core = new FakeCore();
  const s = core.state;
  s.setReg(4, 0x7000n);
  core.set32(0x7000, 0x2000_0123);
  core.set16(0x7004, 0xf247);
  s.eflags = AC | 2;
  iret(core, 16);
  t.is(s.rip, 0x123n);
  t.is(s.base(L.CS), 0x20000n);
  t.is(s.eflags, AC | 0x7247);
  t.is(s.reg(4), 0x7006n);
});

test('real mode IRETD may set RF, AC and ID, never VM, VIF or VIP', (t) => {
  const core = new FakeCore();
  core.state.setReg(4, 0x7000n);
  core.set32(0x7000, 0x123);
  core.set32(0x7004, 0x2000);
  core.set32(0x7008, 0xffff_ffff);
  iret(core, 32);
  t.is(core.state.eflags, RF | AC | ID | 0x7fd7);
});

test('a return to the same ring leaves SS alone', (t) => {
  const core = protectedCore();
  stackDwords(core, 0x1234, CODE0, 0x246, 0xbad, 0xbad);
  iret(core, 32);
  t.is(core.state.rip, 0x1234n);
  t.is(core.state.reg(4), 0x800cn);
  t.is(core.state.eflags, 0x246);
});

test('a return to ring 3 takes SS:ESP and drops inner data segments', (t) => {
  const core = protectedCore();
  const s = core.state;
  s.setSegment(L.DS, DATA0, 0n, 0xffff_ffff, 0xc093);
  stackDwords(core, 0x1234, CODE3, 0x3202, 0x6000, DATA3);
  iret(core, 32);
  t.is(s.cpl, 3);
  t.is(s.reg(4), 0x6000n);
  t.is(s.selector(L.DS), 0);
  t.is(s.selector(L.FS), DATA3);
  t.is(s.iopl, 3);
});

test('IRET to a 16-bit stack keeps the upper half of ESP', (t) => {
  const core = protectedCore();
  core.put(DATA3, { access: 0xf2, limit: 0xffff, flags: 0 });
  core.state.setReg(4, 0x8000n);
  stackDwords(core, 0x1234, CODE3, 2, 0xaaaa_6000, DATA3);
  iret(core, 32);
  t.is(core.state.reg(4), 0x6000n, 'ESP was 0000_8000: only SP is replaced');
});

test('IF and IOPL change only as CPL and IOPL allow', (t) => {
  const after = (cpl: number, iopl: number) => {
    const core = protectedCore(cpl);
    core.state.eflags = (iopl << 12) | 2;
    core.modeChanged();
    stackDwords(core, 0, core.state.selector(L.CS), IF | 0x3002 | VIF | VIP);
    iret(core, 32);
    return core.state.eflags;
  };
  t.is(after(0, 0), IF | 0x3002 | VIF | VIP);
  t.is(after(3, 0), 2);
  t.is(after(3, 3), IF | 0x3002);
});

test('16-bit IRET leaves the upper half of EFLAGS alone', (t) => {
  const core = protectedCore();
  core.state.eflags = AC | ID | 2;
  core.set16(0x8000, 0x55);
  core.set16(0x8002, CODE0);
  core.set16(0x8004, 0x0202);
  iret(core, 16);
  t.is(core.state.eflags, AC | ID | 0x202);
  t.is(core.state.rip, 0x55n);
});

test('a return to V86 mode loads all segments and leaves ring 0', (t) => {
  const core = protectedCore();
  const s = core.state;
  stackDwords(core, 0x1_0123, 0x1000, VM | 0x3202, 0xfffe, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000);
  iret(core, 32);
  t.true(s.isV86);
  t.is(s.cpl, 3);
  t.deepEqual(
    [L.CS, L.SS, L.ES, L.DS, L.FS, L.GS].map((segment) => s.selector(segment)),
    [0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000],
  );
  t.is(s.base(L.SS), 0x20000n);
  t.is(s.rip, 0x123n);
  t.is(s.reg(4), 0xfffen);
});

test('only ring 0 may return to V86 mode', (t) => {
  const core = protectedCore(3);
  stackDwords(core, 0x123, CODE3, VM | 0x202);
  iret(core, 32);
  t.false(core.state.isV86);
});

test('an interrupt from V86 mode and its IRET restore everything', (t) => {
  const core = v86Core(3);
  const s = core.state;
  core.gate(0x20, CODE0, 0x5000, 0x8e);
  const before = [L.ES, L.CS, L.SS, L.DS, L.FS, L.GS].map((segment) => [s.selector(segment), s.base(segment)]);
  const flags = s.eflags;
  deliver(core, { vector: 0x20, kind: 'external' });
  iret(core, 32);
  t.deepEqual(
    [L.ES, L.CS, L.SS, L.DS, L.FS, L.GS].map((segment) => [s.selector(segment), s.base(segment)]),
    before,
  );
  t.is(s.eflags, flags);
  t.is(s.reg(4), 0x100n);
});

test('IRET in V86 mode needs IOPL 3, or VME and 16 bits', (t) => {
  const run = (iopl: number, vme: boolean, size: number, flags: number, pending = false) => {
    const core = v86Core(iopl);
    if (vme) core.state.set32(L.CR4, CR4_VME);
    if (pending) core.state.eflags = core.state.eflags | VIP;
    core.modeChanged();
    core.set16(0x1_8100, 0x10);
    core.set16(0x1_8102, 0x1100);
    core.set16(0x1_8104, flags);
    const fault = faultOf(() => iret(core, size));
    return fault === 'none' ? core.state.eflags : fault;
  };
  t.is(run(0, false, 16, 2), '13(0)');
  t.is(run(0, true, 32, 2), '13(0)');
  t.is(run(3, false, 16, 0x002), VM | 0x3002, 'IF may be cleared, IOPL stays');
  t.is(run(0, true, 16, IF | 2), VM | VIF | IF | 2, 'VIF in place of IF');
  t.is(run(0, true, 16, TF | 2), '13(0)');
  t.is(run(0, true, 16, IF | 2, true), '13(0)', 'VIP waits');
});

test('64-bit IRET always pops SS:RSP', (t) => {
  const core = longCore();
  const s = core.state;
  stackQwords(core, 0x1234n, BigInt(CODE64), 0x202n, 0x9990n, 0n);
  iret(core, 64);
  t.is(s.rip, 0x1234n);
  t.is(s.reg(4), 0x9990n);
  t.is(s.selector(L.SS), 0);
  t.is(s.attributes(L.SS) & 0x1_0000, 0x1_0000);
});

test('64-bit IRET to ring 3, to 64-bit and to compatibility mode', (t) => {
  for (const cs of [CODE64_3, CODE3]) {
    const core = longCore();
    stackQwords(core, 0x1234n, BigInt(cs), 0x202n, 0x1_0000_9990n, BigInt(DATA3));
    iret(core, 64);
    t.is(core.state.cpl, 3);
    t.is(core.state.is64, cs === CODE64_3);
    t.is(core.state.reg(4), cs === CODE64_3 ? 0x1_0000_9990n : 0x9990n);
  }
});

// [what, frame, expected]
const LONG_FAULTS: readonly (readonly [string, bigint[], string])[] = [
  ['null CS', [0n, 0n, 2n, 0n, 0n], '13(0)'],
  ['non-canonical RIP', [1n << 47n, BigInt(CODE64), 2n, 0n, 0n], '13(0)'],
  ['null SS in ring 3', [0n, BigInt(CODE64_3), 2n, 0n, 3n], '13(0)'],
  ['null SS in compatibility mode', [0n, BigInt(CODE0), 2n, 0n, 0n], '13(0)'],
  ['SS of another ring', [0n, BigInt(CODE64_3), 2n, 0n, BigInt(DATA0)], '13(10)'],
];
for (const [name, frame, expected] of LONG_FAULTS) {
  test(`64-bit IRET with ${name}: ${expected}`, (t) => {
    const core = longCore();
    stackQwords(core, ...frame);
    const before = snapshot(core);
    t.is(
      faultOf(() => iret(core, 64)),
      expected,
    );
    t.is(snapshot(core), before);
  });
}

test('NT is #GP(0) in IA-32e mode', (t) => {
  const core = longCore();
  core.state.eflags = NT | 2;
  t.is(
    faultOf(() => iret(core, 64)),
    '13(0)',
  );
});

test('NT returns to the linked task', (t) => {
  const core = protectedCore();
  const s = core.state;
  s.eflags = NT | 2;
  core.set16(TSS, TSS2_SELECTOR);
  core.put(TSS2_SELECTOR, { base: TSS2, limit: 0x67, access: 0x8b, flags: 0 });
  core.put(TSS_SELECTOR, { base: TSS, limit: 0x67, access: 0x8b, flags: 0 });
  core.set32(TSS2 + 0x20, 0x6000);
  core.set32(TSS2 + 0x4c, CODE0);
  core.set32(TSS2 + 0x50, DATA0);
  iret(core, 32);
  t.is(s.rip, 0x6000n);
  t.is(core.access(TSS_SELECTOR), 0x89, 'the task that ends is available again');
  t.is(core.access(TSS2_SELECTOR), 0x8b, 'the one returned to stays busy');
  t.is(core.u32(TSS + 0x24), 2, 'NT is cleared in the saved image');
});

test('a link to a TSS that is not busy is #TS', (t) => {
  const core = protectedCore();
  core.state.eflags = NT | 2;
  core.set16(TSS, TSS2_SELECTOR);
  t.is(
    faultOf(() => iret(core, 32)),
    '10(70)',
  );
});

test('IRET unblocks NMIs even when it faults', (t) => {
  const core = protectedCore();
  core.state.set32(L.NMI_BLOCKED, 1);
  stackDwords(core, 0, 0, 0);
  t.is(
    faultOf(() => iret(core, 32)),
    '13(0)',
  );
  t.is(core.state.get32(L.NMI_BLOCKED), 0);
});
