import test from 'ava';
import { X86_64_V2 } from '../../../src/cpu/cpuid.js';
import * as L from '../../../src/cpu/layout.js';
import { AC, CR4_FSGSBASE, CR4_TSD, IF, RF, TF } from '../../../src/cpu/state.js';
import * as fast from '../../../src/cpu/system/fast-calls.js';
import { type FakeCore, faultOf, longCore, protectedCore } from './fake-core.js';

const STAR = (0x23n << 48n) | (0x08n << 32n) | 0x1234_5678n;

function withStar(core: FakeCore): FakeCore {
  const s = core.state;
  s.set64(L.MSR_STAR, STAR);
  s.set64(L.MSR_LSTAR, 0xffff_8000_0000_1000n);
  s.set64(L.MSR_CSTAR, 0xffff_8000_0000_2000n);
  s.set64(L.MSR_SFMASK, BigInt(IF | TF));
  s.set32(L.EFER, s.efer | 1);
  return core;
}

test('SYSCALL saves RIP and RFLAGS and enters ring 0 with fixed segments', (t) => {
  const core = withStar(longCore(3));
  const s = core.state;
  s.eflags = IF | TF | RF | 0x43;
  core.nextIp = 0x7fff_1234n;
  fast.syscall(core);
  t.is(s.rip, 0xffff_8000_0000_1000n);
  t.is(s.reg(1), 0x7fff_1234n);
  t.is(s.reg(11), BigInt(IF | TF | 0x43));
  t.is(s.eflags, 0x43);
  t.is(s.cpl, 0);
  t.deepEqual([s.selector(L.CS), s.attributes(L.CS)], [0x08, 0xa09b]);
  t.deepEqual([s.selector(L.SS), s.attributes(L.SS)], [0x10, 0xc093]);
});

test('SYSRET with 64-bit operands undoes SYSCALL', (t) => {
  const core = withStar(longCore(0));
  const s = core.state;
  s.setReg(1, 0x7fff_1234n);
  s.setReg(11, BigInt(RF | IF | 0x43));
  fast.sysret(core, 64);
  t.is(s.rip, 0x7fff_1234n);
  t.is(s.eflags, IF | 0x43);
  t.is(s.cpl, 3);
  t.deepEqual([s.selector(L.CS), s.attributes(L.CS)], [0x33, 0xa0fb]);
  t.deepEqual([s.selector(L.SS), s.attributes(L.SS)], [0x2b, 0xc0f3]);
});

test('SYSRET with 32-bit operands goes to compatibility mode', (t) => {
  const core = withStar(longCore(0));
  core.state.setReg(1, 0xffff_ffff_0000_1234n);
  fast.sysret(core, 32);
  t.is(core.state.rip, 0x1234n);
  t.is(core.state.selector(L.CS), 0x23);
  t.false(core.state.is64);
});

test('SYSCALL from compatibility mode takes CSTAR on AMD and is #UD on Intel', (t) => {
  const compat = (core: FakeCore) => {
    core.state.setSegment(L.CS, 0x1b, 0n, 0xffff_ffff, 0xc0fb);
    core.modeChanged();
    return withStar(core);
  };
  const amd = compat(longCore(3));
  fast.syscall(amd);
  t.is(amd.state.rip, 0xffff_8000_0000_2000n);
  t.is(
    faultOf(() => fast.syscall(compat(longCore(3, X86_64_V2)))),
    '6',
  );
});

test('legacy SYSCALL on AMD takes EIP from STAR', (t) => {
  const core = withStar(protectedCore(3));
  fast.syscall(core);
  t.is(core.state.rip, 0x1234_5678n);
  t.is(core.state.reg(1), 0x100n);
  t.is(core.state.attributes(L.CS), 0xc09b);
  fast.sysret(core, 32);
  t.is(core.state.rip, 0x100n);
  t.true(core.state.flag(IF));
});

test('SYSCALL and SYSRET check EFER.SCE, ring and, on Intel, the target', (t) => {
  const off = longCore(0);
  off.state.set32(L.EFER, 0x500);
  t.is(
    faultOf(() => fast.syscall(off)),
    '6',
  );
  t.is(
    faultOf(() => fast.sysret(withStar(longCore(3)), 64)),
    '13(0)',
  );
  const intel = withStar(longCore(0, X86_64_V2));
  intel.state.setReg(1, 1n << 47n);
  t.is(
    faultOf(() => fast.sysret(intel, 64)),
    '13(0)',
  );
});

test('SYSENTER and SYSEXIT in protected mode', (t) => {
  const core = protectedCore(3);
  const s = core.state;
  t.is(
    faultOf(() => fast.sysenter(core)),
    '13(0)',
  );
  s.set64(L.MSR_SYSENTER_CS, 8n);
  s.set64(L.MSR_SYSENTER_ESP, 0x9000n);
  s.set64(L.MSR_SYSENTER_EIP, 0x5000n);
  s.eflags = IF | 2;
  fast.sysenter(core);
  t.deepEqual([s.rip, s.reg(4), s.cpl, s.selector(L.CS), s.selector(L.SS)], [0x5000n, 0x9000n, 0, 8, 0x10]);
  t.is(s.eflags, 2);
  s.setReg(2, 0x6000n);
  s.setReg(1, 0x7000n);
  fast.sysexit(core, 32);
  t.deepEqual([s.rip, s.reg(4), s.cpl, s.selector(L.CS), s.selector(L.SS)], [0x6000n, 0x7000n, 3, 0x1b, 0x23]);
  t.is(
    faultOf(() => fast.sysexit(core, 32)),
    '13(0)',
  );
});

test('SYSENTER in 64-bit mode is Intel only', (t) => {
  const amd = longCore(3);
  amd.state.set64(L.MSR_SYSENTER_CS, 8n);
  t.is(
    faultOf(() => fast.sysenter(amd)),
    '6',
  );
  const intel = longCore(3, X86_64_V2);
  const s = intel.state;
  s.set64(L.MSR_SYSENTER_CS, 8n);
  s.set64(L.MSR_SYSENTER_EIP, 0xffff_8000_0000_0000n);
  fast.sysenter(intel);
  t.is(s.rip, 0xffff_8000_0000_0000n);
  t.is(s.attributes(L.CS), 0xa09b);
  s.setReg(2, 1n << 47n);
  t.is(
    faultOf(() => fast.sysexit(intel, 64)),
    '13(0)',
  );
  s.setReg(2, 0x1000n);
  fast.sysexit(intel, 64);
  t.deepEqual([s.selector(L.CS), s.selector(L.SS), s.attributes(L.CS)], [0x2b, 0x33, 0xa0fb]);
});

test('WRFSBASE needs CR4.FSGSBASE and a canonical value', (t) => {
  const core = longCore(3, X86_64_V2);
  t.is(
    faultOf(() => fast.writeSegmentBase(core, L.FS, 0n)),
    '6',
  );
  core.state.set32(L.CR4, 0x20 | CR4_FSGSBASE);
  fast.writeSegmentBase(core, L.FS, 0xffff_8000_0000_0000n);
  t.is(fast.readSegmentBase(core, L.FS), 0xffff_8000_0000_0000n);
  t.is(
    faultOf(() => fast.writeSegmentBase(core, L.FS, 1n << 47n)),
    '13(0)',
  );
});

test('RDTSC counts nanoseconds of virtual time and is guarded by CR4.TSD', (t) => {
  const core = protectedCore(3);
  core.cycle = 2 ** 33;
  core.state.setReg(0, -1n);
  fast.rdtsc(core);
  t.deepEqual([core.state.reg(0), core.state.reg(2)], [0n, 8n]);
  for (const [cycle, offset] of [
    [0xffff_ffff, 0n],
    [2 ** 32 + 0x8000_0001, 0n],
    [2 ** 33 + 7, -9n],
    [Number.MAX_SAFE_INTEGER, 5n],
  ] as const) {
    core.cycle = cycle;
    core.state.set64(L.TSC_OFFSET, BigInt.asUintN(64, offset));
    fast.rdtsc(core);
    const time = BigInt(cycle) * BigInt(core.timing.nsPerCycle) + offset;
    t.is((core.state.reg(2) << 32n) | core.state.reg(0), BigInt.asUintN(64, time));
  }
  core.state.set32(L.CR4, CR4_TSD);
  t.is(
    faultOf(() => fast.rdtsc(core)),
    '13(0)',
  );
});

test('RDTSCP gives TSC_AUX where the model has it', (t) => {
  const core = longCore(0, X86_64_V2);
  core.state.set64(L.MSR_TSC_AUX, 0x77n);
  fast.rdtscp(core);
  t.is(core.state.reg(1), 0x77n);
  t.is(core.state.reg(0), 4000n);
  t.is(
    faultOf(() => fast.rdtscp(longCore(0))),
    '6',
  );
});

test('RDPMC, MONITOR and MWAIT are #UD without their features', (t) => {
  t.is(
    faultOf(() => fast.rdpmc(protectedCore(0))),
    '6',
  );
  t.is(
    faultOf(() => fast.rdpmc(protectedCore(3))),
    '13(0)',
  );
  t.is(
    faultOf(() => fast.monitor(protectedCore(0))),
    '6',
  );
  t.is(
    faultOf(() => fast.mwait(protectedCore(0))),
    '6',
  );
});

test('CPUID clears the upper halves and shows the APIC and OSXSAVE bits as they are', (t) => {
  const core = longCore(3, X86_64_V2);
  const s = core.state;
  for (let n = 0; n < 4; n++) s.setReg(n, 0xffff_ffff_0000_0000n | (n === 0 ? 1n : 0n));
  fast.cpuid(core);
  t.is(s.reg(0), 0x106a3n);
  t.is(s.reg(2), 0x078b_fbfdn);
  t.is(s.reg(1) & (1n << 27n), 0n);
  s.set32(L.CR4, 0x4_0020);
  core.msrs.set(0x1b, 0xfee0_0100n);
  s.setReg(0, 1n);
  fast.cpuid(core);
  t.is(s.reg(1) & (1n << 27n), 1n << 27n);
  t.is(s.reg(2) & 0x200n, 0n);
});

test('RDMSR and WRMSR are for ring 0 and use EDX:EAX', (t) => {
  const core = longCore(0);
  const s = core.state;
  s.setReg(1, 0xffff_ffff_c000_0082n);
  s.setReg(0, 0xffff_ffff_0000_1000n);
  s.setReg(2, 0xffff_8000n);
  fast.wrmsr(core);
  t.is(s.get64(L.MSR_LSTAR), 0xffff_8000_0000_1000n);
  s.setReg(0, 0n);
  s.setReg(2, 0n);
  fast.rdmsr(core);
  t.deepEqual([s.reg(0), s.reg(2)], [0x1000n, 0xffff_8000n]);
  const user = longCore(3);
  t.is(
    faultOf(() => fast.rdmsr(user)),
    '13(0)',
  );
  t.is(
    faultOf(() => fast.wrmsr(user)),
    '13(0)',
  );
});

test('STAC and CLAC need SMAP and ring 0', (t) => {
  const core = longCore(0, X86_64_V2);
  fast.stac(core);
  t.true(core.state.flag(AC));
  fast.clac(core);
  t.false(core.state.flag(AC));
  t.is(
    faultOf(() => fast.stac(longCore(3, X86_64_V2))),
    '6',
  );
  t.is(
    faultOf(() => fast.stac(longCore(0))),
    '6',
  );
});
