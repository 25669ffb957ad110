import test from 'ava';
import * as L from '../../../src/cpu/layout.js';
import { NT } from '../../../src/cpu/state.js';
import { farCall, farJump, farReturn } from '../../../src/cpu/system/far-transfers.js';
import {
  ABSENT_CODE,
  CALL_GATE,
  CODE0,
  CODE1,
  CODE3,
  CODE16,
  CODE64,
  CONFORMING,
  DATA0,
  DATA1,
  DATA3,
  dwords,
  encodeGate,
  FakeCore,
  faultOf,
  LDT_SELECTOR,
  longCore,
  protectedCore,
  snapshot,
  stackDwords,
  stackQwords,
  TASK_GATE,
  TSS,
  TSS_SELECTOR,
  TSS2_SELECTOR,
  v86Core,
} from './fake-core.js';

test('real mode far CALL and RET go there and back', (t) => {
  const core = new FakeCore();
  const s = core.state;
  s.setSegment(L.CS, 0x1000, 0x10000n, 0xffff, 0x93);
  s.setReg(4, 0x7000n);
  core.nextIp = 0x105n;
  farCall(core, 16, 0x2000, 0x77n);
  t.is(s.base(L.CS), 0x20000n);
  t.is(s.rip, 0x77n);
  t.is(core.u32(0x6ffc), 0x1000_0105);
  farReturn(core, 16, 2);
  t.is(s.selector(L.CS), 0x1000);
  t.is(s.rip, 0x105n);
  t.is(s.reg(4), 0x7002n);
});

test('a real mode jump beyond 64 KiB is #GP(0)', (t) => {
  t.is(
    faultOf(() => farJump(new FakeCore(), 32, 0x1000, 0x1_0000n)),
    '13(0)',
  );
});

test('a 16-bit stack pointer wraps and keeps the upper half of ESP', (t) => {
  const core = new FakeCore();
  core.state.setReg(4, 0xaaaa_0000n);
  farCall(core, 16, 0x2000, 0n);
  t.is(core.state.reg(4), 0xaaaa_fffcn);
});

test('protected far JMP loads CS with the CPL as its RPL and enters ring code', (t) => {
  const core = protectedCore();
  farJump(core, 32, CODE16, 0x1234n);
  t.is(core.state.selector(L.CS), CODE16);
  t.is(core.state.limit(L.CS), 0xffff);
  t.is(core.state.attributes(L.CS), 0x9b);
  t.is(core.access(CODE16), 0x9b);
  t.is(core.state.rip, 0x1234n);
});

// [what, cpl, selector, offset, expected]
const JUMP_FAULTS: readonly (readonly [string, number, number, bigint, string])[] = [
  ['null', 0, 0, 0n, '13(0)'],
  ['null with RPL', 0, 3, 0n, '13(0)'],
  ['beyond the table', 0, 0xf8, 0n, '13(f8)'],
  ['data', 0, DATA0, 0n, '13(10)'],
  ['LDT descriptor', 0, LDT_SELECTOR, 0n, '13(80)'],
  ['RPL above CPL', 0, CODE0 | 3, 0n, '13(8)'],
  ['inner code', 3, CODE0, 0n, '13(8)'],
  ['outer code', 0, CODE3, 0n, '13(18)'],
  ['conforming code of ring 0 from ring 3', 3, CONFORMING, 0n, 'none'],
  ['absent code', 0, ABSENT_CODE, 0n, '11(b8)'],
  ['offset beyond the limit', 0, CODE16, 0x1_0000n, '13(0)'],
];
for (const [name, cpl, selector, offset, expected] of JUMP_FAULTS) {
  test(`far JMP and CALL to ${name}: ${expected}`, (t) => {
    for (const transfer of [farJump, farCall]) {
      const core = protectedCore(cpl);
      const before = snapshot(core);
      t.is(
        faultOf(() => transfer(core, 32, selector, offset)),
        expected,
      );
      if (expected !== 'none') t.is(snapshot(core), before);
    }
  });
}

test('a call that cannot push changes nothing', (t) => {
  const core = protectedCore();
  core.absent.add(7);
  const before = snapshot(core);
  t.is(
    faultOf(() => farCall(core, 32, CODE0, 0x10n)),
    '14(2)',
  );
  t.is(snapshot(core), before);
});

test('an expand-down stack has no room at or below its limit', (t) => {
  const core = protectedCore();
  core.state.setSegment(L.SS, DATA0, 0n, 0x7fff, 0x4097);
  t.is(
    faultOf(() => farCall(core, 32, CODE0, 0n)),
    '12(0)',
  );
  core.state.setReg(4, 0x8008n);
  t.is(
    faultOf(() => farCall(core, 32, CODE0, 0n)),
    'none',
  );
});

test('a call gate to ring 0 switches stacks and copies parameters', (t) => {
  const core = protectedCore(3);
  const s = core.state;
  core.put(CALL_GATE, encodeGate(CODE0, 0x4_5678, 0xec, 3));
  stackDwords(core, 0x11, 0x22, 0x33);
  core.nextIp = 0x107n;
  farCall(core, 32, CALL_GATE | 3, 0xffff_ffffn);
  t.deepEqual(dwords(core, 0x9000 - 28, 7), [0x107, CODE3, 0x11, 0x22, 0x33, 0x8000, DATA3]);
  t.is(s.rip, 0x4_5678n);
  t.is(s.cpl, 0);
  t.is(s.selector(L.SS), DATA0);
  t.is(s.reg(4), 0x9000n - 28n);
});

test('RET imm16 to the outer ring drops parameters from both stacks and nulls inner segments', (t) => {
  const core = protectedCore(0);
  const s = core.state;
  s.setSegment(L.DS, DATA0, 0n, 0xffff_ffff, 0xc093);
  stackDwords(core, 0x200, CODE3, 1, 2, 0x6000, DATA3);
  farReturn(core, 32, 8);
  t.is(s.cpl, 3);
  t.is(s.rip, 0x200n);
  t.is(s.reg(4), 0x6008n);
  t.is(s.selector(L.SS), DATA3);
  t.is(s.selector(L.DS), 0);
  t.is(s.selector(L.ES), DATA3);
});

test('a 16-bit call gate pushes words', (t) => {
  const core = protectedCore(3);
  core.put(CALL_GATE, encodeGate(CODE0, 0x1_5678, 0xe4, 1));
  core.set16(0x8000, 0xabcd);
  farCall(core, 32, CALL_GATE, 0n);
  t.is(core.state.rip, 0x5678n);
  t.deepEqual(
    Array.from({ length: 5 }, (_, i) => core.u16(0x9000 - 10 + i * 2)),
    [0x100, CODE3, 0xabcd, 0x8000, DATA3],
  );
});

test('a call gate to ring 1 uses SS1:ESP1', (t) => {
  const core = protectedCore(3);
  core.put(CALL_GATE, encodeGate(CODE1, 0x5678, 0xec));
  farCall(core, 32, CALL_GATE, 0n);
  t.is(core.state.cpl, 1);
  t.is(core.state.selector(L.SS), DATA1);
  t.is(core.state.reg(4), 0xa000n - 16n);
});

test('JMP through a call gate never changes the ring', (t) => {
  const core = protectedCore(3);
  core.put(CALL_GATE, encodeGate(CODE0, 0x5678, 0xec));
  t.is(
    faultOf(() => farJump(core, 32, CALL_GATE, 0n)),
    '13(8)',
  );
  core.put(CALL_GATE, encodeGate(CONFORMING, 0x5678, 0xec));
  farJump(core, 32, CALL_GATE, 0n);
  t.is(core.state.cpl, 3);
  t.is(core.state.rip, 0x5678n);
});

// [what, gate, cpl, selector of the gate, expected]
const GATE_FAULTS: readonly (readonly [string, bigint, number, number, string])[] = [
  ['DPL below CPL', encodeGate(CODE0, 0, 0x8c), 3, CALL_GATE, '13(a0)'],
  ['DPL below RPL', encodeGate(CODE0, 0, 0x8c), 0, CALL_GATE | 3, '13(a0)'],
  ['not present', encodeGate(CODE0, 0, 0x6c), 3, CALL_GATE, '11(a0)'],
  ['null target', encodeGate(0, 0, 0xec), 3, CALL_GATE, '13(0)'],
  ['data target', encodeGate(DATA0, 0, 0xec), 3, CALL_GATE, '13(10)'],
  ['outer target', encodeGate(CODE3, 0, 0xec), 0, CALL_GATE, '13(18)'],
  ['absent target', encodeGate(ABSENT_CODE, 0, 0xec), 3, CALL_GATE, '11(b8)'],
  ['offset beyond the limit', encodeGate(CODE16, 0x1_0000, 0xec), 3, CALL_GATE, '13(0)'],
];
for (const [name, gate, cpl, selector, expected] of GATE_FAULTS) {
  test(`CALL through a gate with ${name}: ${expected}`, (t) => {
    const core = protectedCore(cpl);
    core.put(CALL_GATE, gate);
    const before = snapshot(core);
    t.is(
      faultOf(() => farCall(core, 32, selector, 0n)),
      expected,
    );
    t.is(snapshot(core), before);
  });
}

test('far JMP changes between 64-bit and compatibility mode', (t) => {
  const core = longCore();
  farJump(core, 32, CODE0, 0x1000n);
  t.false(core.state.is64);
  farJump(core, 32, CODE64, 0x2000n);
  t.true(core.state.is64);
});

test('long mode checks L with D, canonical targets, and legal gate types', (t) => {
  const core = longCore();
  core.put(CODE16, { access: 0x9a, flags: 0xe });
  t.is(
    faultOf(() => farJump(core, 64, CODE16, 0n)),
    `13(${CODE16.toString(16)})`,
  );
  t.is(
    faultOf(() => farJump(core, 64, CODE64, 1n << 47n)),
    '13(0)',
  );
  t.is(
    faultOf(() => farJump(core, 64, TSS2_SELECTOR, 0n)),
    '13(70)',
  );
  core.put(CALL_GATE, encodeGate(CODE0, 0, 0x8c));
  t.is(
    faultOf(() => farCall(core, 64, CALL_GATE, 0n)),
    '13(8)',
    'a 64-bit call gate leads to 64-bit code',
  );
});

test('a 64-bit call gate to ring 0 pushes four qwords on RSP0 and nulls SS', (t) => {
  const core = longCore(3);
  core.put(CALL_GATE, encodeGate(CODE64, 0x5678, 0xec), 0xffff_8000n);
  farCall(core, 64, CALL_GATE, 0n);
  t.is(core.state.rip, 0xffff_8000_0000_5678n);
  t.is(core.state.reg(4), 0x9008n - 32n);
  t.deepEqual(
    [0, 8, 16, 24].map((i) => core.u64(0x9008 - 32 + i)),
    [0x100n, 0x9bn, 0x8008n, BigInt(DATA3)],
  );
  t.is(core.state.selector(L.SS), 0);
});

test('a 64-bit far RET to ring 3 takes SS:RSP from the stack', (t) => {
  const core = longCore();
  stackQwords(core, 0x7fff_0000_1234n, 0x9bn, 0x7fff_0000_8000n, BigInt(DATA3));
  farReturn(core, 64, 0);
  t.is(core.state.rip, 0x7fff_0000_1234n);
  t.is(core.state.reg(4), 0x7fff_0000_8000n);
  t.is(core.state.cpl, 3);
});

// [what, dwords on the stack, cpl, expected]
const RETURN_FAULTS: readonly (readonly [string, number[], number, string])[] = [
  ['null CS', [0, 0], 0, '13(0)'],
  ['inner CS', [0, CODE0], 3, '13(8)'],
  ['data', [0, DATA0], 0, '13(10)'],
  ['RPL unlike DPL', [0, CODE0 | 1, 0, DATA1], 0, '13(8)'],
  ['absent code', [0, ABSENT_CODE], 0, '11(b8)'],
  ['IP beyond the limit', [0x1_0000, CODE16], 0, '13(0)'],
  ['null outer SS', [0, CODE3, 0, 0], 0, '13(0)'],
  ['outer SS of another ring', [0, CODE3, 0, DATA1], 0, '13(40)'],
  ['outer SS that is code', [0, CODE3, 0, CODE3], 0, '13(18)'],
  ['outer SS absent', [0, CODE3, 0, 0x4b], 0, '12(48)'],
];
for (const [name, values, cpl, expected] of RETURN_FAULTS) {
  test(`far RET with ${name}: ${expected}`, (t) => {
    const core = protectedCore(cpl);
    core.put(0x48, { access: 0x72 });
    stackDwords(core, ...values);
    const before = snapshot(core);
    t.is(
      faultOf(() => farReturn(core, 32, 0)),
      expected,
    );
    t.is(snapshot(core), before);
  });
}

test('V86 far transfers take selectors as paragraphs', (t) => {
  const core = v86Core();
  farCall(core, 16, 0x1100, 0x20n);
  t.is(core.state.base(L.CS), 0x11000n);
  t.is(core.state.attributes(L.CS), 0xf3);
  farReturn(core, 16, 0);
  t.is(core.state.selector(L.CS), 0x1000);
});

test('JMP and CALL to a TSS switch tasks; CALL nests', (t) => {
  for (const transfer of [farJump, farCall]) {
    const core = protectedCore();
    core.set32(0x5000 + 0x20, 0x6000);
    core.set32(0x5000 + 0x24, 2);
    core.set32(0x5000 + 0x4c, CODE0);
    core.set32(0x5000 + 0x50, DATA0);
    core.put(TASK_GATE, encodeGate(TSS2_SELECTOR, 0, 0x85));
    core.put(TSS_SELECTOR, { base: TSS, limit: 0x2067, access: 0x8b, flags: 0 });
    transfer(core, 32, transfer === farJump ? TSS2_SELECTOR : TASK_GATE, 0n);
    t.is(core.state.rip, 0x6000n);
    t.is(core.state.selector(L.TR), TSS2_SELECTOR);
    t.is(core.state.flag(NT), transfer === farCall);
    t.is(core.access(TSS2_SELECTOR), 0x8b);
    t.is(core.access(TSS_SELECTOR), transfer === farCall ? 0x8b : 0x89);
  }
});

test('a busy TSS cannot be called', (t) => {
  const core = protectedCore();
  core.put(TSS2_SELECTOR, { base: 0x5000, limit: 0x67, access: 0x8b, flags: 0 });
  t.is(
    faultOf(() => farCall(core, 32, TSS2_SELECTOR, 0n)),
    '13(70)',
  );
});
