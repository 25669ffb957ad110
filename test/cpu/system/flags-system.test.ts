import test from 'ava';
import fc from 'fast-check';
import * as L from '../../../src/cpu/layout.js';
import { AC, CR4_PVI, CR4_VME, ID, IF, IOPL_MASK, NT, RF, TF, VIF, VIP, VM } from '../../../src/cpu/state.js';
import * as flags from '../../../src/cpu/system/flags-system.js';
import { CODE0, FakeCore, faultOf, longCore, protectedCore, v86Core } from './fake-core.js';

function v86With(iopl: number, cr4: number, extra = 0): FakeCore {
  const core = v86Core(iopl);
  core.state.set32(L.CR4, cr4);
  core.state.eflags = core.state.eflags | extra;
  core.modeChanged();
  return core;
}

test('PUSHF hides RF and VM', (t) => {
  const core = protectedCore();
  core.state.eflags = RF | IF | AC | 0x43;
  t.is(flags.pushf(core, 32), IF | AC | 0x43);
});

test('PUSHF in V86 mode needs IOPL 3, or VME and 16 bits, and then shows VIF as IF with IOPL 3', (t) => {
  t.is(flags.pushf(v86With(3, 0), 32), 0x3202);
  t.is(
    faultOf(() => flags.pushf(v86With(0, 0), 16)),
    '13(0)',
  );
  t.is(
    faultOf(() => flags.pushf(v86With(0, CR4_VME), 32)),
    '13(0)',
  );
  t.is(flags.pushf(v86With(0, CR4_VME), 16) & 0xffff, 0x3002);
  t.is(flags.pushf(v86With(0, CR4_VME, VIF), 16) & 0xffff, 0x3202);
});

test('POPF changes IF and IOPL as CPL and IOPL allow', (t) => {
  const after = (cpl: number, iopl: number, size: number) => {
    const core = protectedCore(cpl);
    core.state.eflags = (iopl << 12) | RF | 2;
    flags.popf(core, size, -1 >>> 0);
    return core.state.eflags;
  };
  const free = 0x4dd7;
  t.is(after(0, 0, 32), free | IF | IOPL_MASK | AC | ID);
  t.is(after(3, 0, 32), free | AC | ID);
  t.is(after(3, 3, 32), free | IF | IOPL_MASK | AC | ID);
  t.is(after(0, 0, 16), free | IF | IOPL_MASK | RF);
  t.is(after(1, 1, 16), free | IF | 0x1000 | RF);
});

test('POPF in V86 mode keeps IOPL; with VME it works on VIF', (t) => {
  const pop = (core: FakeCore, size: number, value: number) => {
    const fault = faultOf(() => flags.popf(core, size, value));
    return fault === 'none' ? core.state.eflags : fault;
  };
  t.is(pop(v86With(3, 0), 16, 2), VM | 0x3002);
  t.is(pop(v86With(0, 0), 16, 2), '13(0)');
  t.is(pop(v86With(0, CR4_VME), 32, 2), '13(0)');
  t.is(pop(v86With(0, CR4_VME), 16, IF | 0x3002), VM | VIF | IF | 2);
  t.is(pop(v86With(0, CR4_VME), 16, TF | 2), '13(0)');
  t.is(pop(v86With(0, CR4_VME, VIP), 16, IF | 2), '13(0)');
  t.is(pop(v86With(0, CR4_VME, VIF), 16, 2), VM | IF | 2);
});

test('a POPF that changes TF, AC or IF recomputes the mode, another does not', (t) => {
  const core = protectedCore();
  flags.popf(core, 32, 0x41);
  t.deepEqual(core.log, []);
  flags.popf(core, 32, TF);
  t.deepEqual(core.log, ['modeChanged']);
});

test('no POPF touches VM, VIF, VIP or reserved bits', (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(
        fc.nat(0xffff_ffff),
        fc.nat(0xffff_ffff),
        fc.constantFrom(0, 3),
        fc.constantFrom(16, 32, 64),
        (a, b, cpl, size) => {
          const core = size === 64 ? longCore(cpl) : protectedCore(cpl);
          core.state.eflags = a & ~VM;
          const before = core.state.eflags;
          flags.popf(core, size, b);
          const fixed = VM | VIF | VIP | 0xffc0_802a;
          return ((core.state.eflags ^ before) & fixed) === 0;
        },
      ),
    ),
  );
});

// [what, core, flags after CLI, flags after STI]; only IF and VIF are shown.
const INTERRUPT_FLAG: readonly (readonly [string, () => FakeCore, string, string])[] = [
  ['real mode', () => new FakeCore(), '', 'IF'],
  ['ring 0', () => protectedCore(0), '', 'IF'],
  ['ring 3, IOPL 0', () => protectedCore(3), '13(0)', '13(0)'],
  ['V86, IOPL 3', () => v86With(3, 0), '', 'IF'],
  ['V86, IOPL 0', () => v86With(0, 0), '13(0)', '13(0)'],
  ['V86, IOPL 0, VME', () => v86With(0, CR4_VME), 'IF', 'IF VIF'],
  ['V86, IOPL 0, VME, VIP', () => v86With(0, CR4_VME, VIP), 'IF', '13(0)'],
];
for (const [name, make, afterCli, afterSti] of INTERRUPT_FLAG) {
  test(`CLI and STI in ${name}`, (t) => {
    const run = (f: (core: FakeCore) => void) => {
      const core = make();
      const fault = faultOf(() => f(core));
      if (fault !== 'none') return fault;
      return [core.state.flag(IF) ? 'IF' : '', core.state.flag(VIF) ? 'VIF' : ''].filter(Boolean).join(' ');
    };
    t.is(run(flags.cli), afterCli);
    t.is(run(flags.sti), afterSti);
  });
}

test('ring 3 works on VIF with PVI', (t) => {
  const core = protectedCore(3);
  core.state.set32(L.CR4, CR4_PVI);
  flags.sti(core);
  t.true(core.state.flag(VIF));
  t.false(core.state.flag(IF));
  flags.cli(core);
  t.false(core.state.flag(VIF));
});

test('STI shadows the next instruction only when IF was clear', (t) => {
  const core = protectedCore();
  flags.sti(core);
  flags.sti(core);
  t.deepEqual(core.log, ['shadow 1']);
});

test('INT3 and INT n check the gate, INT1 does not', (t) => {
  const attempt = (f: (core: FakeCore) => void) => {
    const core = protectedCore(3);
    for (const vector of [1, 3, 0x80]) core.gate(vector, CODE0, 0x5000, 0x8e);
    return faultOf(() => f(core));
  };
  t.is(attempt(flags.int3), '13(1a)');
  t.is(
    attempt((core) => flags.intN(core, 0x80)),
    '13(402)',
  );
  t.is(attempt(flags.int1), 'none');
});

test('INTO calls vector 4 when OF is set', (t) => {
  const core = protectedCore();
  core.gate(4, CODE0, 0x5000, 0x8e);
  flags.into(core);
  t.is(core.state.rip, 0x100n);
  core.state.eflags = 0x802;
  flags.into(core);
  t.is(core.state.rip, 0x5000n);
});

test('BOUND includes both bounds', (t) => {
  const core = protectedCore();
  t.deepEqual(
    [-2, -1, 5, 6].map((index) => faultOf(() => flags.bound(core, index, -1, 5))),
    ['5', 'none', 'none', '5'],
  );
});

test('NT is an ordinary flag for POPF', (t) => {
  const core = protectedCore(3);
  flags.popf(core, 16, NT);
  t.true(core.state.flag(NT));
});
