import test from 'ava';
import { QEMU64_V1, X86_64_V2 } from '../../../src/cpu/cpuid.js';
import * as L from '../../../src/cpu/layout.js';
import {
  CR0_CD,
  CR0_ET,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_TS,
  CR4_DE,
  CR4_OSXSAVE,
  CR4_PAE,
  CR4_PGE,
  CR4_SMEP,
  CR4_UMIP,
  EFER_LMA,
} from '../../../src/cpu/state.js';
import * as control from '../../../src/cpu/system/control.js';
import { CODE64, FakeCore, faultOf, longCore, protectedCore, snapshot } from './fake-core.js';

const big = (value: number) => BigInt(value >>> 0);

test('MOV to CR0 keeps ET set and reports protected mode and paging', (t) => {
  const core = new FakeCore();
  control.movToCr(core, 0, 1n);
  t.is(core.state.cr0, CR0_PE | CR0_ET);
  control.movToCr(core, 0, big(CR0_PG | CR0_PE));
  t.deepEqual(
    core.log.filter((line) => line.startsWith('milestone')),
    ['milestone protected-mode', 'milestone paging'],
  );
  t.true(core.log.includes('flush all'));
});

// [what, value, expected]
const CR0_VALUES: readonly (readonly [string, bigint, string])[] = [
  ['PG without PE', big(CR0_PG), '13(0)'],
  ['NW without CD', big(CR0_PE | CR0_NW), '13(0)'],
  ['CD without NW', big(CR0_PE | CR0_CD), 'none'],
  ['upper half', (1n << 32n) | 1n, '13(0)'],
];
for (const [name, value, expected] of CR0_VALUES) {
  test(`MOV to CR0 with ${name}: ${expected}`, (t) => {
    const core = protectedCore();
    const before = snapshot(core);
    t.is(
      faultOf(() => control.movToCr(core, 0, value)),
      expected,
    );
    if (expected !== 'none') t.is(snapshot(core), before);
  });
}

test('setting PG with LME enters IA-32e mode when PAE is on and CS is not 64-bit', (t) => {
  const enable = (prepare: (core: FakeCore) => void) => {
    const core = protectedCore();
    core.state.set32(L.EFER, 0x100);
    core.state.set32(L.CR4, CR4_PAE);
    prepare(core);
    const fault = faultOf(() => control.movToCr(core, 0, big(CR0_PG | CR0_PE)));
    return fault === 'none' ? core.state.efer & EFER_LMA : fault;
  };
  t.is(
    enable(() => {}),
    EFER_LMA,
  );
  t.is(
    enable((core) => core.state.set32(L.CR4, 0)),
    '13(0)',
  );
  t.is(
    enable((core) => core.state.setSegment(L.CS, CODE64, 0n, 0xffff_ffff, 0xa09b)),
    '13(0)',
  );
});

test('clearing PG leaves IA-32e mode from compatibility mode only', (t) => {
  const core = longCore();
  t.is(
    faultOf(() => control.movToCr(core, 0, big(CR0_PE))),
    '13(0)',
  );
  core.state.setSegment(L.CS, 8, 0n, 0xffff_ffff, 0xc09b);
  core.modeChanged();
  control.movToCr(core, 0, big(CR0_PE));
  t.is(core.state.efer & EFER_LMA, 0);
  t.false(core.state.isLong);
});

test('the milestone of long mode is told once PG is set', (t) => {
  const core = protectedCore();
  core.state.set32(L.EFER, 0x100);
  core.state.set32(L.CR4, CR4_PAE);
  control.movToCr(core, 0, big(CR0_PG | CR0_PE));
  t.true(core.log.includes('milestone long-mode'));
});

test('PAE paging refuses PDPTEs with reserved bits', (t) => {
  const attempt = (entry: bigint) => {
    const core = protectedCore();
    core.state.set32(L.CR4, CR4_PAE);
    core.state.set64(L.CR3, 0x9000n);
    Object.assign(core, { readPhysical64: (address: number) => (address === 0x9008 ? entry : 0n) });
    return faultOf(() => control.movToCr(core, 0, big(CR0_PG | CR0_PE)));
  };
  t.is(attempt(0x1001n), 'none');
  t.is(attempt(0x1003n), '13(0)');
  t.is(attempt(0x1002n), 'none', 'not present');
  t.is(attempt((1n << 40n) | 1n), '13(0)');
});

test('CR3 keeps 32 bits outside IA-32e mode and refuses addresses beyond 40 bits inside', (t) => {
  const core = protectedCore();
  control.movToCr(core, 3, 0xffff_ffff_1234_5018n);
  t.is(core.state.cr3, 0x1234_5018n);
  const long = longCore();
  t.is(
    faultOf(() => control.movToCr(long, 3, 1n << 40n)),
    '13(0)',
  );
  control.movToCr(long, 3, (1n << 40n) - 0x1000n);
  t.is(long.state.cr3, (1n << 40n) - 0x1000n);
  t.true(long.log.includes('flush all'));
  long.state.set32(L.CR4, CR4_PAE | CR4_PGE);
  control.movToCr(long, 3, 0n);
  t.true(long.log.includes('flush non-global'));
});

test('values that wasm passes as signed 64-bit integers are taken as unsigned', (t) => {
  const core = longCore();
  t.is(
    faultOf(() => control.movToCr(core, 8, -1n)),
    '13(0)',
  );
  control.movToCr(core, 2, -1n);
  t.is(control.movFromCr(core, 2), 0xffff_ffff_ffff_ffffn);
  t.is(
    faultOf(() => control.movToDr(core, 7, -1n)),
    '13(0)',
  );
  control.invlpg(core, L.DS, -0x1000n);
  t.true(core.log.includes('flush fffffffffffff000'));
});

test('CR4 takes the bits of the model and keeps PAE in IA-32e mode', (t) => {
  for (const [model, expected] of [
    [QEMU64_V1, '13(0)'],
    [X86_64_V2, 'none'],
  ] as const) {
    for (const bit of [CR4_SMEP, CR4_OSXSAVE, CR4_UMIP]) {
      t.is(
        faultOf(() => control.movToCr(protectedCore(0, model), 4, big(bit))),
        expected,
      );
    }
  }
  t.is(
    faultOf(() => control.movToCr(longCore(), 4, 0n)),
    '13(0)',
  );
  t.is(
    faultOf(() => control.movToCr(protectedCore(), 4, 1n << 17n)),
    '13(0)',
    'PCIDE',
  );
});

test('a change of PGE drops all translations, a change of OSFXSR none', (t) => {
  const core = protectedCore();
  control.movToCr(core, 4, big(0x200));
  t.deepEqual(core.log, ['modeChanged']);
  control.movToCr(core, 4, big(0x200 | CR4_PGE));
  t.true(core.log.includes('flush all'));
});

test('CR8 is the class in the task-priority register', (t) => {
  const core = longCore();
  control.movToCr(core, 8, 9n);
  t.is(core.msrs.get(0x808), 0x90n);
  t.is(control.movFromCr(core, 8), 9n);
  t.is(
    faultOf(() => control.movToCr(core, 8, 16n)),
    '13(0)',
  );
});

test('control registers are for ring 0; CR1 and CR5 do not exist', (t) => {
  const user = protectedCore(3);
  for (const access of [
    () => control.movFromCr(user, 0),
    () => control.movToCr(user, 3, 0n),
    () => control.clts(user),
    () => control.lmsw(user, 0),
    () => control.hlt(user),
    () => control.wbinvd(user),
    () => control.invlpg(user, L.DS, 0n),
    () => control.movFromDr(user, 0),
  ]) {
    t.is(faultOf(access), '13(0)');
  }
  t.is(
    faultOf(() => control.movFromCr(protectedCore(), 1)),
    '6',
  );
  t.is(
    faultOf(() => control.movToCr(protectedCore(), 5, 0n)),
    '6',
  );
});

test('LMSW can set PE but not clear it; SMSW shows CR0', (t) => {
  const core = protectedCore();
  control.lmsw(core, 0xfff8);
  t.is(core.state.cr0, CR0_PE | CR0_ET | CR0_TS);
  control.lmsw(core, 0x6);
  t.is(control.smsw(core), CR0_PE | CR0_ET | 6);
});

test('CLTS clears TS', (t) => {
  const core = protectedCore();
  core.state.set32(L.CR0, CR0_PE | CR0_TS);
  control.clts(core);
  t.is(core.state.cr0, CR0_PE);
});

test('DR4 and DR5 are DR6 and DR7, or #UD under CR4.DE', (t) => {
  const core = protectedCore();
  control.movToDr(core, 5, 0xffff_ffffn);
  t.is(core.state.dr(7), 0xffff_27ffn);
  core.state.setDr(7, 0x400n);
  control.movToDr(core, 4, 0n);
  t.is(control.movFromDr(core, 6), 0xffff_0ff0n);
  core.state.set32(L.CR4, CR4_DE);
  t.is(
    faultOf(() => control.movFromDr(core, 4)),
    '6',
  );
});

test('DR7.GD turns an access into #DB with BD', (t) => {
  const core = protectedCore();
  core.state.setDr(7, 0x2400n);
  t.like(
    t.throws(() => control.movFromDr(core, 0), { any: true }),
    { vector: 1, dr6: 0x2000 },
  );
});

test('the upper halves of DR6 and DR7 are reserved', (t) => {
  t.is(
    faultOf(() => control.movToDr(longCore(), 7, 1n << 32n)),
    '13(0)',
  );
  const core = longCore();
  control.movToDr(core, 0, 0xffff_8000_0000_1234n);
  t.is(core.state.dr(0), 0xffff_8000_0000_1234n);
});

test('XSETBV needs OSXSAVE, ring 0, x87 and known components', (t) => {
  const core = protectedCore(0, X86_64_V2);
  const set = (index: number, value: bigint) => faultOf(() => control.xsetbv(core, index, value));
  t.is(set(0, 3n), '6');
  core.state.set32(L.CR4, CR4_OSXSAVE);
  t.is(set(0, 3n), 'none');
  t.is(control.xgetbv(core, 0), 3n);
  t.is(set(0, 2n), '13(0)');
  t.is(set(0, 7n), '13(0)');
  t.is(set(1, 1n), '13(0)');
  t.is(
    faultOf(() => control.xgetbv(core, 2)),
    '13(0)',
  );
  core.state.set32(L.CPL, 3);
  t.is(set(0, 3n), '13(0)');
});

test('INVLPG drops one page; HLT halts', (t) => {
  const core = longCore();
  control.invlpg(core, L.DS, 0x1234n);
  control.invlpg(core, L.DS, 1n << 47n);
  control.hlt(core);
  t.deepEqual(core.log, ['flush 1234', 'halt']);
});
