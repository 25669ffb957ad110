import test from 'ava';
import * as L from '../../../src/cpu/layout.js';
import { CR0_TS, NT, VM } from '../../../src/cpu/state.js';
import { farCall, farJump } from '../../../src/cpu/system/far-transfers.js';
import { iret } from '../../../src/cpu/system/iret.js';
import { lldt } from '../../../src/cpu/system/segments.js';
import { tssInnerStack, tssIst, tssRsp } from '../../../src/cpu/system/tasks.js';
import {
  ABSENT_CODE,
  ABSENT_DATA,
  CALL_GATE,
  CODE0,
  CODE3,
  DATA0,
  DATA3,
  EXECUTE_ONLY,
  type FakeCore,
  faultOf,
  LDT,
  LDT_SELECTOR,
  longCore,
  protectedCore,
  snapshot,
  TSS,
  TSS_SELECTOR,
  TSS2,
  TSS2_SELECTOR,
} from './fake-core.js';

/** A core whose second TSS is ready to run. */
function taskCore(): FakeCore {
  const core = protectedCore();
  core.put(TSS_SELECTOR, { base: TSS, limit: 0x2067, access: 0x8b, flags: 0 });
  core.set32(TSS2 + 0x1c, 0x9_9000);
  core.set32(TSS2 + 0x20, 0x6000);
  core.set32(TSS2 + 0x24, 0x246);
  for (let i = 0; i < 8; i++) core.set32(TSS2 + 0x28 + i * 4, 0xc000 + i);
  const selectors = [DATA3, CODE0, DATA0, DATA3, 0, DATA3];
  selectors.forEach((selector, i) => {
    core.set32(TSS2 + 0x48 + i * 4, selector);
  });
  core.set32(TSS2 + 0x60, LDT_SELECTOR);
  // Handlers for what the new task may raise.
  for (const vector of [1, 10, 11, 12, 13]) core.gate(vector, CODE0, 0x7000 + vector, 0x8e);
  return core;
}

test('a switch saves the old task and loads the new one', (t) => {
  const core = taskCore();
  const s = core.state;
  for (let i = 0; i < 8; i++) if (i !== 4) s.setReg(i, BigInt(0x1111 * (i + 1)));
  s.eflags = 0x893;
  core.nextIp = 0x345n;
  farJump(core, 32, TSS2_SELECTOR, 0n);

  t.is(core.u32(TSS + 0x20), 0x345);
  t.is(core.u32(TSS + 0x24), 0x893);
  t.deepEqual(
    Array.from({ length: 8 }, (_, i) => core.u32(TSS + 0x28 + i * 4)),
    [0x1111, 0x2222, 0x3333, 0x4444, 0x8000, 0x6666, 0x7777, 0x8888],
  );
  t.deepEqual(
    Array.from({ length: 6 }, (_, i) => core.u16(TSS + 0x48 + i * 4)),
    [DATA3, CODE0, DATA0, DATA3, DATA3, DATA3],
  );
  t.is(s.rip, 0x6000n);
  t.is(s.eflags, 0x246);
  t.deepEqual(
    Array.from({ length: 8 }, (_, i) => s.reg(i)),
    Array.from({ length: 8 }, (_, i) => BigInt(0xc000 + i)),
  );
  t.deepEqual(
    [L.ES, L.CS, L.SS, L.DS, L.FS, L.GS, L.LDTR, L.TR].map((segment) => s.selector(segment)),
    [DATA3, CODE0, DATA0, DATA3, 0, DATA3, LDT_SELECTOR, TSS2_SELECTOR],
  );
  t.is(s.base(L.LDTR), BigInt(LDT));
  t.true((s.cr0 & CR0_TS) !== 0);
  t.is(s.cr3, 0n, 'CR3 is loaded only under paging');
});

test('CR3 comes from the TSS under paging, and translations are dropped', (t) => {
  const core = taskCore();
  core.state.set32(L.CR0, 0x8000_0011);
  core.modeChanged();
  farJump(core, 32, TSS2_SELECTOR, 0n);
  t.is(core.state.cr3, 0x9_9000n);
  t.true(core.log.includes('flush all'));
});

test('a switch to ring 3 sets the CPL from CS', (t) => {
  const core = taskCore();
  core.set32(TSS2 + 0x4c, CODE3);
  core.set32(TSS2 + 0x50, DATA3);
  farJump(core, 32, TSS2_SELECTOR, 0n);
  t.is(core.state.cpl, 3);
});

test('a switch can start a V86 task', (t) => {
  const core = taskCore();
  core.set32(TSS2 + 0x24, VM | 0x3202);
  core.set32(TSS2 + 0x4c, 0x1000);
  farJump(core, 32, TSS2_SELECTOR, 0n);
  t.true(core.state.isV86);
  t.is(core.state.base(L.CS), 0x10000n);
  t.is(core.state.cpl, 3);
});

test('a 16-bit TSS saves and loads words', (t) => {
  const core = taskCore();
  const s = core.state;
  core.put(TSS2_SELECTOR, { base: TSS2, limit: 0x2b, access: 0x81, flags: 0 });
  core.bytes.fill(0, TSS2, TSS2 + 0x68);
  core.set16(TSS2 + 0x0e, 0x6543);
  core.set16(TSS2 + 0x10, 0x202);
  core.set16(TSS2 + 0x12, 0xaaaa);
  core.set16(TSS2 + 0x1a, 0xc000);
  core.set16(TSS2 + 0x24, CODE0);
  core.set16(TSS2 + 0x26, DATA0);
  farCall(core, 32, TSS2_SELECTOR, 0n);
  t.is(s.rip, 0x6543n);
  t.is(s.reg(0) & 0xffffn, 0xaaaan);
  t.is(core.u16(TSS2), TSS_SELECTOR);
  t.true(s.flag(NT));
  // And back: the 16-bit task's state goes to its words.
  s.setReg16(0, 0x1234);
  core.nextIp = 0x6600n;
  iret(core, 32);
  t.is(core.u16(TSS2 + 0x12), 0x1234);
  t.is(core.u16(TSS2 + 0x0e), 0x6600);
  t.is(core.u16(TSS2 + 0x10) & NT, 0);
  t.is(s.selector(L.TR), TSS_SELECTOR);
  t.is(core.access(TSS2_SELECTOR), 0x81);
});

// Faults that leave the old task running: [what, prepare, expected].
const BEFORE: readonly (readonly [string, (core: FakeCore) => void, string])[] = [
  ['TSS absent', (c) => c.put(TSS2_SELECTOR, { base: TSS2, limit: 0x67, access: 0x09, flags: 0 }), '11(70)'],
  ['TSS too short', (c) => c.put(TSS2_SELECTOR, { base: TSS2, limit: 0x66, access: 0x89, flags: 0 }), '10(70)'],
  ['new TSS paged out', (c) => void c.absent.add(TSS2 >> 12), '14(0)'],
  ['old TSS not writable', (c) => void c.readOnly.add(TSS >> 12), '14(3)'],
];
for (const [name, prepare, expected] of BEFORE) {
  test(`${name}: ${expected} in the old task`, (t) => {
    const core = taskCore();
    prepare(core);
    const before = snapshot(core);
    t.is(
      faultOf(() => farJump(core, 32, TSS2_SELECTOR, 0n)),
      expected,
    );
    t.is(snapshot(core), before);
    t.is(core.access(TSS_SELECTOR), 0x8b);
  });
}

// Table 7-1: faults in the new task: [what, prepare, vector, code]. The new SS may not be loaded yet, so the handler
// is a task of its own, as the manual advises (6.15, #TS): it is entered by a task gate.
const AFTER: readonly (readonly [string, (core: FakeCore) => void, number, number])[] = [
  ['LDT selector in the LDT', (c) => c.set32(TSS2 + 0x60, 0x84), 10, 0x84],
  ['LDT of the wrong type', (c) => c.set32(TSS2 + 0x60, DATA0), 10, DATA0],
  ['LDT absent', (c) => c.put(LDT_SELECTOR, { access: 0x02 }), 10, LDT_SELECTOR],
  ['null CS', (c) => c.set32(TSS2 + 0x4c, 0), 10, 0],
  ['CS that is data', (c) => c.set32(TSS2 + 0x4c, DATA0), 10, DATA0],
  ['CS of another ring', (c) => c.set32(TSS2 + 0x4c, CODE0 | 3), 10, CODE0],
  ['CS absent', (c) => c.set32(TSS2 + 0x4c, ABSENT_CODE), 11, ABSENT_CODE],
  ['null SS', (c) => c.set32(TSS2 + 0x50, 0), 10, 0],
  ['SS of another ring', (c) => c.set32(TSS2 + 0x50, DATA3), 10, DATA3 & ~3],
  ['SS absent', (c) => c.set32(TSS2 + 0x50, ABSENT_DATA), 12, ABSENT_DATA],
  ['data segment that cannot be read', (c) => c.set32(TSS2 + 0x54, EXECUTE_ONLY), 10, EXECUTE_ONLY],
  ['data segment absent', (c) => c.set32(TSS2 + 0x54, ABSENT_DATA), 11, ABSENT_DATA],
];
for (const [name, prepare, vector, code] of AFTER) {
  test(`${name}: vector ${vector} in the new task`, (t) => {
    const core = taskCore();
    const handler = 0x5800;
    core.put(CALL_GATE, { base: handler, limit: 0x67, access: 0x89, flags: 0 });
    core.set32(handler + 0x20, 0x7777);
    core.set32(handler + 0x38, 0xd000);
    core.set32(handler + 0x4c, CODE0);
    core.set32(handler + 0x50, DATA0);
    prepare(core);
    core.gate(vector, CALL_GATE, 0, 0x85);
    farJump(core, 32, TSS2_SELECTOR, 0n);
    t.is(core.state.rip, 0x7777n);
    t.is(core.u32(0xcffc), code);
    t.is(core.u32(TSS2 + 0x20), 0x6000, 'the faulting task has not run an instruction');
    t.is(core.u16(handler), TSS2_SELECTOR);
  });
}

test('the T bit raises #DB with DR6.BT before the first instruction of the task', (t) => {
  const core = taskCore();
  core.set16(TSS2 + 0x64, 1);
  farJump(core, 32, TSS2_SELECTOR, 0n);
  t.is(core.state.rip, 0x7001n);
  t.is(core.state.dr(6) & 0x8000n, 0x8000n);
  t.is(core.u32(0xc004 - 12), 0x6000);
});

test('an EIP beyond the new code segment is #GP(0) in the new task', (t) => {
  const core = taskCore();
  core.put(CODE3, { access: 0x9a, limit: 0x5fff, flags: 4 });
  core.set32(TSS2 + 0x4c, CODE3 & ~3);
  farJump(core, 32, TSS2_SELECTOR, 0n);
  t.is(core.state.rip, 0x700dn);
});

test('local breakpoints do not survive a switch', (t) => {
  const core = taskCore();
  core.state.setDr(7, 0x4ffn);
  farJump(core, 32, TSS2_SELECTOR, 0n);
  t.is(core.state.dr(7), 0x4aan);
});

test('inner stacks are read from 16-, 32- and 64-bit TSSes within their limits', (t) => {
  const core = protectedCore(3);
  t.deepEqual(tssInnerStack(core, 1), { ss: 0x41, sp: 0xa000n });
  core.state.setSegment(L.TR, TSS_SELECTOR, BigInt(TSS), 0x2b, 0x83);
  core.set16(TSS + 6, 0x1234);
  core.set16(TSS + 8, DATA0);
  t.deepEqual(tssInnerStack(core, 1), { ss: DATA0, sp: 0x1234n });
  const long = longCore(3);
  t.is(tssRsp(long, 0), 0x9008n);
  t.is(tssIst(long, 1), 0xb000n);
  long.state.setSegment(L.TR, TSS_SELECTOR, BigInt(TSS), 0x2a, 0x8b);
  t.is(
    faultOf(() => tssIst(long, 1, 1)),
    '10(61)',
  );
});

test('LLDT and a task switch agree about the LDT', (t) => {
  const core = taskCore();
  farJump(core, 32, TSS2_SELECTOR, 0n);
  const loaded = [core.state.base(L.LDTR), core.state.limit(L.LDTR), core.state.attributes(L.LDTR)];
  lldt(core, LDT_SELECTOR);
  t.deepEqual([core.state.base(L.LDTR), core.state.limit(L.LDTR), core.state.attributes(L.LDTR)], loaded);
});
