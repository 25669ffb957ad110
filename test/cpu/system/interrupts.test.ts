import test from 'ava';
import * as L from '../../../src/cpu/layout.js';
import { AC, CR4_VME, Fault, IF, NT, RF, TF, VIF, VM } from '../../../src/cpu/state.js';
import { DebugFault, DR6_BS } from '../../../src/cpu/system/faults.js';
import { combineFaults, deliver, interrupt, raise } from '../../../src/cpu/system/interrupts.js';
import {
  ABSENT_CODE,
  CODE0,
  CODE3,
  CODE16,
  CODE64,
  CONFORMING,
  DATA0,
  DATA3,
  dwords,
  FakeCore,
  faultOf,
  longCore,
  protectedCore,
  qwords,
  snapshot,
  TASK_GATE,
  TSS,
  TSS2,
  TSS2_SELECTOR,
  v86Core,
  words,
} from './fake-core.js';

test('real mode pushes FLAGS, CS and IP and clears IF, TF, AC', (t) => {
  const core = new FakeCore();
  const s = core.state;
  s.setSegment(L.CS, 0x1000, 0x10000n, 0xffff, 0x93);
  s.setReg(4, 0x7000n);
  s.rip = 0x1234n;
  s.eflags = IF | TF | AC | 0x41;
  core.set32(0x21 * 4, 0x2000_0056);
  deliver(core, { vector: 0x21, kind: 'software' });
  t.deepEqual(words(core, 0x7000 - 6, 3), [0x1234, 0x1000, 0x343]);
  t.is(s.rip, 0x56n);
  t.is(s.base(L.CS), 0x20000n);
  t.is(s.reg(4), 0x6ffan);
  t.is(s.eflags, 0x43);
});

test('real mode delivery beyond the IVT limit is #GP', (t) => {
  const core = new FakeCore();
  core.state.set32(L.IDTR_LIMIT, 0x21 * 4 + 2);
  t.is(
    faultOf(() => deliver(core, { vector: 0x21, kind: 'software' })),
    '13(10a)',
  );
});

test('an interrupt gate in the same ring pushes EFLAGS, CS, EIP and error code, and clears IF', (t) => {
  const core = protectedCore();
  const s = core.state;
  s.eflags = IF | TF | NT | 2;
  core.gate(13, CODE0, 0x12345, 0x8e);
  deliver(core, { vector: 13, kind: 'exception', errorCode: 0x1234 });
  t.deepEqual(dwords(core, 0x8000 - 16, 4), [0x1234, 0x100, CODE0, IF | TF | NT | RF | 2]);
  t.is(s.rip, 0x12345n);
  t.is(s.reg(4), 0x7ff0n);
  t.is(s.eflags, 2);
});

test('a trap gate keeps IF', (t) => {
  const core = protectedCore();
  core.state.eflags = IF | 2;
  core.gate(0x80, CODE0, 0x5000, 0x8f);
  deliver(core, { vector: 0x80, kind: 'software' });
  t.is(core.state.eflags, IF | 2);
});

test('faults push RF set, traps, interrupts and #DB as it is', (t) => {
  const pushed = (vector: number, kind: 'exception' | 'external') => {
    const core = protectedCore();
    core.gate(vector, CODE0, 0x5000, 0x8e);
    deliver(core, { vector, kind });
    return (core.u32(0x8000 - 4) & RF) !== 0;
  };
  t.deepEqual(
    [pushed(0, 'exception'), pushed(1, 'exception'), pushed(3, 'exception'), pushed(0x30, 'external')],
    [true, false, false, false],
  );
});

test('a change to ring 0 takes the stack from the TSS and pushes the old one', (t) => {
  const core = protectedCore(3);
  const s = core.state;
  s.eflags = IF | 2;
  core.gate(14, CODE0, 0x5000, 0x8e);
  deliver(core, { vector: 14, kind: 'exception', errorCode: 6 });
  t.deepEqual(dwords(core, 0x9000 - 24, 6), [6, 0x100, CODE3, IF | RF | 2, 0x8000, DATA3]);
  t.is(s.cpl, 0);
  t.is(s.selector(L.SS), DATA0);
  t.is(s.selector(L.CS), CODE0);
  t.is(s.reg(4), 0x8fe8n);
});

test('a 16-bit gate pushes words and enters at a 16-bit offset', (t) => {
  const core = protectedCore();
  core.gate(8, CODE16, 0x1_2345, 0x86);
  deliver(core, { vector: 8, kind: 'exception', errorCode: 0 });
  t.deepEqual(words(core, 0x8000 - 8, 4), [0, 0x100, CODE0, 2]);
  t.is(core.state.rip, 0x2345n);
});

test('conforming handlers run in the ring they interrupt', (t) => {
  const core = protectedCore(3);
  core.gate(0x30, CONFORMING, 0x5000, 0x8e);
  deliver(core, { vector: 0x30, kind: 'external' });
  t.is(core.state.cpl, 3);
  t.is(core.state.selector(L.CS), CONFORMING | 3);
  t.is(core.state.reg(4), 0x7ff4n);
});

// [what is wrong, prepare, kind, expected]; the vector is 0x20.
type Kind = 'external' | 'software';
const GATE_FAULTS: readonly (readonly [string, (core: FakeCore) => void, Kind, string])[] = [
  ['IDT too short, external', (c) => c.state.set32(L.IDTR_LIMIT, 0x106), 'external', '13(103)'],
  ['IDT too short, INT n', (c) => c.state.set32(L.IDTR_LIMIT, 0x106), 'software', '13(102)'],
  ['gate DPL below CPL, INT n', (c) => c.gate(0x20, CODE0, 0, 0x8e), 'software', '13(102)'],
  ['gate DPL below CPL, external', (c) => c.gate(0x20, CODE0, 0, 0x8e), 'external', 'none'],
  ['gate absent', (c) => c.gate(0x20, CODE0, 0, 0x6e), 'software', '11(102)'],
  ['not a gate', (c) => c.gate(0x20, CODE0, 0, 0xec), 'software', '13(102)'],
  ['null code selector', (c) => c.gate(0x20, 0, 0, 0xee), 'software', '13(0)'],
  ['null code selector, external', (c) => c.gate(0x20, 0, 0, 0xee), 'external', '13(1)'],
  ['code selector beyond the GDT', (c) => c.gate(0x20, 0xf0, 0, 0xee), 'external', '13(f1)'],
  ['data selector', (c) => c.gate(0x20, DATA0, 0, 0xee), 'software', '13(10)'],
  ['absent code', (c) => c.gate(0x20, ABSENT_CODE, 0, 0xee), 'external', '11(b9)'],
  ['handler beyond the limit', (c) => c.gate(0x20, CODE16, 0x1_0000, 0xee), 'software', '13(0)'],
  ['TSS too short', (c) => c.state.setSegment(L.TR, 0x60, BigInt(TSS), 8, 0x8b), 'software', '10(60)'],
  ['null inner SS', (c) => c.set16(TSS + 8, 0), 'software', '10(0)'],
  ['inner SS of another ring', (c) => c.set16(TSS + 8, DATA3), 'software', '10(20)'],
  ['inner SS absent', (c) => c.set16(TSS + 8, 0x48), 'external', '12(49)'],
  ['inner SS not writable', (c) => c.set16(TSS + 8, 0x50), 'external', '10(51)'],
];
for (const [name, prepare, kind, expected] of GATE_FAULTS) {
  test(`delivery with ${name}: ${expected}`, (t) => {
    const core = protectedCore(3);
    core.gate(0x20, CODE0, 0x5000, 0xee);
    prepare(core);
    const before = snapshot(core);
    t.is(
      faultOf(() => deliver(core, { vector: 0x20, kind })),
      expected,
    );
    if (expected !== 'none') t.is(snapshot(core), before);
  });
}

test('no room on the inner stack is #SS with the new selector', (t) => {
  const core = protectedCore(3);
  core.put(DATA0, { limit: 0x8ff3, access: 0x92, flags: 4 });
  core.gate(0x20, CODE0, 0x5000, 0xee);
  t.is(
    faultOf(() => deliver(core, { vector: 0x20, kind: 'external' })),
    `12(${(DATA0 | 1).toString(16)})`,
  );
});

test('V86 mode pushes nine dwords, clears the data segments and leaves VM', (t) => {
  const core = v86Core(3);
  const s = core.state;
  core.gate(0x20, CODE0, 0x5000, 0x8e);
  deliver(core, { vector: 0x20, kind: 'external' });
  const selectors = [L.ES, L.DS, L.FS, L.GS].map((segment) => 0x3000 + segment);
  t.deepEqual(dwords(core, 0x9000 - 36, 9), [0x100, 0x1000, VM | 0x3202, 0x100, 0x1800, ...selectors]);
  t.is(s.cpl, 0);
  t.false(s.isV86);
  t.deepEqual(
    [L.ES, L.DS, L.FS, L.GS].map((segment) => s.attributes(segment) & 0x1_0000),
    [0x1_0000, 0x1_0000, 0x1_0000, 0x1_0000],
  );
});

test('from V86 mode only a ring 0 handler may be entered', (t) => {
  const core = v86Core(3);
  core.gate(0x20, CONFORMING, 0x5000, 0xee);
  t.is(
    faultOf(() => deliver(core, { vector: 0x20, kind: 'software' })),
    `13(${CONFORMING.toString(16)})`,
  );
});

test('INT n in V86 mode follows IOPL, VME and the redirection bitmap', (t) => {
  const run = (iopl: number, vme: boolean, bit: number) => {
    const core = v86Core(iopl);
    const s = core.state;
    s.eflags = s.eflags | VIF;
    core.modeChanged();
    if (vme) s.set32(L.CR4, CR4_VME);
    core.set16(TSS + 0x66, 0x88);
    core.bytes[TSS + 0x68 + 4] = bit << 1; // vector 0x21
    core.set32(0x21 * 4, 0x0a00_0077);
    core.gate(0x21, CODE0, 0x5000, 0xee);
    const fault = faultOf(() => deliver(core, { vector: 0x21, kind: 'software' }));
    if (fault !== 'none') return fault;
    if (!s.isV86) return 'monitor';
    t.is(s.selector(L.CS), 0xa00);
    t.is(s.rip, 0x77n);
    const flags = core.u16(0x1_8000 + 0xfe);
    return `program IF ${s.flag(IF)} VIF ${s.flag(VIF)} pushed ${flags.toString(16)}`;
  };
  t.is(run(3, false, 0), 'monitor', 'method 1');
  t.is(run(0, false, 0), '13(0)', 'method 2');
  t.is(run(0, true, 1), '13(0)', 'method 3');
  t.is(run(3, true, 1), 'monitor', 'method 4');
  t.is(run(3, true, 0), 'program IF false VIF true pushed 202', 'method 5');
  t.is(run(0, true, 0), 'program IF true VIF false pushed 3202', 'method 6');
});

test('INT3 in V86 mode is never redirected', (t) => {
  const core = v86Core(0);
  core.state.set32(L.CR4, CR4_VME);
  core.gate(3, CODE0, 0x5000, 0xee);
  deliver(core, { vector: 3, kind: 'trap-instruction' });
  t.false(core.state.isV86);
});

test('long mode aligns the frame and always pushes SS:RSP', (t) => {
  const core = longCore();
  const s = core.state;
  core.gate(13, CODE64, 0x5000, 0x8e);
  deliver(core, { vector: 13, kind: 'exception', errorCode: 0x18 });
  t.deepEqual(qwords(core, 0x8000 - 48, 6), [0x18n, 0x100n, BigInt(CODE64), BigInt(RF | 2), 0x8008n, BigInt(DATA0)]);
  t.is(s.reg(4), 0x7fd0n);
  t.is(s.selector(L.SS), DATA0, 'SS stays without a change of ring');
});

test('long mode enters ring 0 on RSP0 with a null SS', (t) => {
  const core = longCore(3);
  const s = core.state;
  core.gate(0x30, CODE64, 0x5000, 0x8e);
  deliver(core, { vector: 0x30, kind: 'external' });
  t.is(s.reg(4), 0x9000n - 40n);
  t.is(core.u64(0x9000 - 8), BigInt(DATA3));
  t.is(s.selector(L.SS), 0);
  t.is(s.attributes(L.SS) & 0x1_0000, 0x1_0000);
  t.is(s.cpl, 0);
});

test('an IST index switches stacks even in the same ring', (t) => {
  const core = longCore();
  core.gate(2, CODE64, 0x5000, 0x8e, 1);
  interrupt(core, 2, 'nmi');
  t.is(core.state.reg(4), 0xb000n - 40n);
  t.is(core.u64(0xb000 - 16), 0x8008n);
  t.is(core.state.get32(L.NMI_BLOCKED), 1);
});

test('long mode refuses 32-bit handlers, task gates and short TSSes', (t) => {
  const attempt = (prepare: (core: FakeCore) => void) => {
    const core = longCore(3);
    core.gate(0x20, CODE64, 0x5000, 0xee);
    prepare(core);
    return faultOf(() => deliver(core, { vector: 0x20, kind: 'software' }));
  };
  t.is(
    attempt((c) => c.gate(0x20, CODE0, 0, 0xee)),
    '13(8)',
  );
  t.is(
    attempt((c) => c.gate(0x20, TASK_GATE, 0, 0xe5)),
    '13(102)',
  );
  t.is(
    attempt((c) => c.state.setSegment(L.TR, 0x60, BigInt(TSS), 10, 0x8b)),
    '10(60)',
  );
  t.is(
    attempt((c) => c.state.set32(L.IDTR_LIMIT, 0x20e)),
    '13(102)',
  );
  t.is(
    attempt((c) => c.view.setBigUint64(TSS + 4, 1n << 48n, true)),
    '12(0)',
  );
});

test('a task gate switches tasks and pushes the error code there', (t) => {
  const core = protectedCore();
  const s = core.state;
  core.set32(TSS2 + 0x20, 0x6000);
  core.set32(TSS2 + 0x24, 2);
  core.set32(TSS2 + 0x38, 0xc000);
  core.set32(TSS2 + 0x4c, CODE0);
  core.set32(TSS2 + 0x50, DATA0);
  core.gate(8, TSS2_SELECTOR, 0, 0x85);
  deliver(core, { vector: 8, kind: 'exception', errorCode: 0 });
  t.is(s.rip, 0x6000n);
  t.is(s.reg(4), 0xbffcn);
  t.is(core.u32(0xbffc), 0);
  t.true(s.flag(NT));
  t.is(core.u32(TSS + 0x20), 0x100, 'EIP of the interrupted task');
  t.is(core.u16(TSS2), 0x60, 'link');
});

// Table 6-5.
test('the double-fault table', (t) => {
  const benign = 6;
  const contributory = 13;
  const page = 14;
  const row = (first: number) => [benign, contributory, page].map((second) => combineFaults(first, second));
  t.deepEqual(row(benign), ['serial', 'serial', 'serial']);
  t.deepEqual(row(contributory), ['serial', 'double-fault', 'serial']);
  t.deepEqual(row(page), ['serial', 'double-fault', 'double-fault']);
  t.deepEqual(row(8), ['serial', 'shutdown', 'shutdown']);
  t.deepEqual(
    [0, 10, 11, 12, 13].map((vector) => combineFaults(vector, vector)),
    Array(5).fill('double-fault'),
  );
  t.deepEqual(
    [1, 3, 4, 5, 6, 7, 16, 17, 18, 19].map((vector) => combineFaults(vector, 13)),
    Array(10).fill('serial'),
  );
});

test('a #GP whose gate is absent becomes #DF with error code 0', (t) => {
  const core = protectedCore();
  core.gate(8, CODE0, 0x7000, 0x8e);
  raise(core, new Fault(13, 0x10));
  t.is(core.state.rip, 0x7000n);
  t.deepEqual(dwords(core, 0x8000 - 16, 4), [0, 0x100, CODE0, 2]);
});

test('a #DF that cannot be delivered is a triple fault', (t) => {
  const core = protectedCore();
  core.state.set32(L.IDTR_LIMIT, 0);
  raise(core, new Fault(6));
  t.deepEqual(
    core.log.filter((line) => line === 'triple fault'),
    ['triple fault'],
  );
});

test('a page fault on the way to a #GP handler is delivered as #PF with its CR2', (t) => {
  const core = protectedCore(3);
  core.gate(13, CODE0, 0x7000, 0x8e);
  core.gate(14, CODE0, 0x7100, 0x8e);
  core.put(0xa0, { access: 0x92 });
  core.set32(TSS + 4, 0x2_0000);
  core.absent.add(0x1f);
  let stop = 0;
  const { write32 } = core.memory;
  core.memory.write32 = (address, value, privilege) => {
    if (stop++ === 1) core.absent.clear(); // the first push faults, the page comes back for the #PF frame
    write32(address, value, privilege);
  };
  raise(core, new Fault(13, 0));
  t.is(core.state.rip, 0x7100n);
  t.is(core.state.get64(L.CR2), 0x1_fffcn);
});

test('a page fault sets CR2 and pushes its error code', (t) => {
  const core = protectedCore();
  core.gate(14, CODE0, 0x7100, 0x8e);
  raise(core, new Fault(14, 2, 0xdead_b000n));
  t.is(core.state.get64(L.CR2), 0xdead_b000n);
  t.is(core.u32(0x8000 - 16), 2);
});

test('a debug fault adds to DR6 and clears DR7.GD', (t) => {
  const core = protectedCore();
  core.gate(1, CODE0, 0x7100, 0x8e);
  core.state.setDr(7, 0x2400n);
  raise(core, new DebugFault(DR6_BS));
  t.is(core.state.dr(6), 0xffff_4ff0n);
  t.is(core.state.dr(7), 0x400n);
});

test('an external interrupt whose gate is bad raises #GP with EXT set', (t) => {
  const core = protectedCore();
  core.gate(13, CODE0, 0x7100, 0x8e);
  core.state.set32(L.IDTR_LIMIT, 0xff);
  interrupt(core, 0x20);
  t.is(core.state.rip, 0x7100n);
  t.is(core.u32(0x8000 - 16), 0x103);
});
