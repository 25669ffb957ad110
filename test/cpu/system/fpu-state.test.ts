import test from 'ava';
import fc from 'fast-check';
import { X86_64_V2 } from '../../../src/cpu/cpuid.js';
import * as L from '../../../src/cpu/layout.js';
import { CR0_EM, CR0_TS, CR4_OSFXSR, CR4_OSXSAVE } from '../../../src/cpu/state.js';
import * as fpu from '../../../src/cpu/system/fpu-state.js';
import { FakeCore, faultOf, longCore, protectedCore, snapshot } from './fake-core.js';

const AT = 0x1_0000n;
const at = Number(AT);

/** Registers filled with a pattern: ST(i) is 1.0 * 2^i with a mark in the significand, TOP 5, two registers empty. */
function withState(core: FakeCore): FakeCore {
  const s = core.state;
  s.set32(L.CR4, s.cr4 | CR4_OSFXSR);
  s.set32(L.FPU_CONTROL, 0x37f);
  s.set32(L.FPU_STATUS, 0x4100);
  s.set32(L.FPU_TOP, 5);
  s.set32(L.FPU_TAGS, 0b1110_0111);
  for (let i = 0; i < 8; i++) {
    s.set64(L.FPU_REGS + i * 16, (1n << 63n) | BigInt(i));
    s.view.setUint16(L.FPU_REGS + i * 16 + 8, 0x3fff + i, true);
  }
  s.set32(L.FPU_OPCODE, 0x5d9);
  s.set32(L.FPU_CS, 0x1b);
  s.set32(L.FPU_DS, 0x23);
  s.set64(L.FPU_IP, 0x1_2345_6789n);
  s.set64(L.FPU_DP, 0x2_3456_789an);
  s.set32(L.MXCSR, 0x9fc0);
  for (let i = 0; i < 256; i++) s.u8[L.XMM + i] = i ^ 0x5a;
  return core;
}

/** The floating-point state alone. */
function floating(core: FakeCore): string {
  return Buffer.from(core.state.u8.slice(L.FPU_REGS, L.SCRATCH)).toString('hex');
}

function scramble(core: FakeCore): void {
  core.state.u8.fill(0x11, L.XMM, L.XMM + 256);
  for (let i = 0; i < 8; i++) core.state.u8.fill(0x11, L.FPU_REGS + i * 16, L.FPU_REGS + i * 16 + 10);
  core.state.set32(L.MXCSR, 0x1f80);
  core.state.set32(L.FPU_TOP, 2);
  core.state.set32(L.FPU_TAGS, 0);
}

test('the full tag word classifies what the registers hold', (t) => {
  const core = new FakeCore();
  const s = core.state;
  const values: readonly (readonly [bigint, number])[] = [
    [1n << 63n, 0x3fff], // 1.0: valid
    [0n, 0], // zero
    [0n, 0x8000], // -0
    [1n, 0], // denormal
    [1n << 63n, 0x7fff], // infinity
    [3n << 62n, 0xffff], // NaN
    [1n << 62n, 0x3fff], // unnormal
    [1n << 63n, 0x3fff], // empty
  ];
  values.forEach(([significand, exponent], i) => {
    s.set64(L.FPU_REGS + i * 16, significand);
    s.view.setUint16(L.FPU_REGS + i * 16 + 8, exponent, true);
  });
  s.set32(L.FPU_TAGS, 0x7f);
  t.is(fpu.tagWord(s), 0b11_10_10_10_10_01_01_00);
});

test('the FXSAVE image has the manual’s layout', (t) => {
  const core = withState(protectedCore(0, X86_64_V2));
  fpu.fxsave(core, AT, false);
  const v = core.view;
  t.is(v.getUint16(at, true), 0x37f);
  t.is(v.getUint16(at + 2, true), 0x6900);
  t.is(v.getUint8(at + 4), 0b1110_0111);
  t.is(v.getUint16(at + 6, true), 0x5d9);
  t.is(v.getUint32(at + 8, true), 0x2345_6789);
  t.is(v.getUint16(at + 12, true), 0x1b);
  t.is(v.getUint32(at + 16, true), 0x3456_789a);
  t.is(v.getUint16(at + 20, true), 0x23);
  t.is(v.getUint32(at + 24, true), 0x9fc0);
  t.is(v.getUint32(at + 28, true), 0xffff);
  t.is(v.getBigUint64(at + 32, true), (1n << 63n) | 5n, 'ST0 is R5');
  t.is(v.getUint16(at + 40, true), 0x4004);
  t.is(v.getUint8(at + 160), 0x5a);
  t.is(v.getUint8(at + 160 + 128), 0, 'XMM8 is not there outside 64-bit mode');
});

test('FXSAVE64 keeps whole pointers and sixteen XMM registers', (t) => {
  const core = withState(longCore(0, X86_64_V2));
  fpu.fxsave(core, AT, true);
  t.is(core.u64(at + 8), 0x1_2345_6789n);
  t.is(core.u64(at + 16), 0x2_3456_789an);
  t.is(core.view.getUint8(at + 160 + 255), 255 ^ 0x5a);
});

test('AMD saves pointers only while an exception is pending', (t) => {
  const core = withState(protectedCore());
  fpu.fxsave(core, AT, false);
  t.is(core.u64(at + 8), 0n);
  t.is(core.u16(at + 6), 0);
  core.state.set32(L.FPU_STATUS, 0x8081);
  fpu.fxsave(core, AT, false);
  t.is(core.u32(at + 8), 0x2345_6789);
});

test('FXSAVE and FXRSTOR give the state back', (t) => {
  const core = withState(longCore(0, X86_64_V2));
  core.state.set32(L.FPU_CS, 0);
  core.state.set32(L.FPU_DS, 0);
  const before = floating(core);
  fpu.fxsave(core, AT, true);
  scramble(core);
  fpu.fxrstor(core, AT, true);
  t.is(floating(core), before);
});

test('FXSAVE leaves SSE state alone without CR4.OSFXSR', (t) => {
  const core = withState(protectedCore());
  core.state.set32(L.CR4, 0);
  core.bytes.fill(0xee, at, at + 512);
  fpu.fxsave(core, AT, false);
  t.is(core.u32(at + 24), 0xeeee_eeee);
  t.is(core.u32(at + 160), 0xeeee_eeee);
  t.is(core.u16(at), 0x37f);
});

test('FXSAVE and FXRSTOR want 16-byte alignment, TS and EM clear, and no reserved MXCSR bit', (t) => {
  const core = withState(protectedCore());
  t.is(
    faultOf(() => fpu.fxsave(core, AT + 8n, false)),
    '13(0)',
  );
  t.is(
    faultOf(() => fpu.fxrstor(core, AT + 8n, false)),
    '13(0)',
  );
  fpu.fxsave(core, AT, false);
  core.set32(at + 24, 0x1_1f80);
  const before = snapshot(core);
  t.is(
    faultOf(() => fpu.fxrstor(core, AT, false)),
    '13(0)',
  );
  t.is(snapshot(core), before);
  for (const bit of [CR0_TS, CR0_EM]) {
    core.state.set32(L.CR0, 1 | bit);
    t.is(
      faultOf(() => fpu.fxsave(core, AT, false)),
      '7',
    );
  }
});

test('a page fault in the middle of FXRSTOR changes nothing', (t) => {
  const core = withState(protectedCore());
  core.absent.add(0x11);
  const before = snapshot(core);
  t.is(
    faultOf(() => fpu.fxrstor(core, 0x1_0f80n, false)),
    '14(0)',
  );
  t.is(snapshot(core), before);
});

test('FNSTENV in 32-bit protected mode stores 28 bytes and masks exceptions', (t) => {
  const core = withState(protectedCore());
  core.state.set32(L.FPU_CONTROL, 0x340);
  fpu.fnstenv(core, 32, AT);
  t.deepEqual(
    Array.from({ length: 7 }, (_, i) => core.u32(at + i * 4)),
    // Reserved halves are stored as ones.
    [0xffff_0340, 0xffff_6900, 0xffff_03c0, 0x2345_6789, 0x05d9_001b, 0x3456_789a, 0xffff_0023],
  );
  t.is(core.state.get32(L.FPU_CONTROL), 0x37f);
});

test('FNSTENV with 16-bit operands stores 14 bytes', (t) => {
  const core = withState(protectedCore());
  core.set32(at + 14, 0xeeee_eeee);
  fpu.fnstenv(core, 16, AT);
  t.deepEqual(
    Array.from({ length: 7 }, (_, i) => core.u16(at + i * 2)),
    [0x37f, 0x6900, 0b00_00_00_11_11_00_00_00, 0x6789, 0x1b, 0x789a, 0x23],
  );
  t.is(core.u32(at + 14), 0xeeee_eeee);
});

test('real mode environments hold linear addresses and the opcode', (t) => {
  const core = withState(new FakeCore());
  const s = core.state;
  s.set32(L.FPU_CS, 0xf000);
  s.set64(L.FPU_IP, 0x1234n);
  s.set32(L.FPU_DS, 0x2000);
  s.set64(L.FPU_DP, 0x5678n);
  fpu.fnstenv(core, 16, AT);
  t.deepEqual(
    [3, 4, 5, 6].map((i) => core.u16(at + i * 2)),
    [0x1234, 0xf5d9, 0x5678, 0x2000],
  );
  fpu.fnstenv(core, 32, AT);
  t.deepEqual(
    [3, 4, 5, 6].map((i) => core.u32(at + i * 4)),
    [0x1234, 0xf5d9, 0x5678, 0x2000],
  );
  fpu.fldenv(core, 32, AT);
  t.deepEqual([s.get64(L.FPU_IP), s.get64(L.FPU_DP), s.get32(L.FPU_OPCODE)], [0xf1234n, 0x25678n, 0x5d9]);
});

test('FLDENV recomputes ES and B from what the control word leaves unmasked', (t) => {
  const core = withState(protectedCore());
  const load = (control: number, status: number) => {
    core.set32(at, control);
    core.set32(at + 4, status);
    core.set32(at + 8, 0xffff);
    fpu.fldenv(core, 32, AT);
    return fpu.statusWord(core.state);
  };
  t.is(load(0x37f, 0x80bf), 0x003f);
  t.is(load(0x37e, 0x3801), 0xb881);
  t.is(core.state.get32(L.FPU_TAGS), 0);
});

test('FNSAVE and FRSTOR give the registers back in every layout', (t) => {
  const cores = [() => protectedCore(), () => new FakeCore(), () => longCore()];
  for (const make of cores) {
    for (const size of [16, 32]) {
      const core = withState(make());
      const s = core.state;
      const registers = Buffer.from(s.u8.slice(L.FPU_REGS, L.FPU_REGS + 128)).toString('hex');
      fpu.fnsave(core, size, AT);
      t.is(s.get32(L.FPU_CONTROL), 0x37f);
      t.is(s.get32(L.FPU_TAGS), 0);
      t.is(fpu.statusWord(s), 0);
      s.u8.fill(0, L.FPU_REGS, L.FPU_REGS + 128);
      fpu.frstor(core, size, AT);
      t.is(Buffer.from(s.u8.slice(L.FPU_REGS, L.FPU_REGS + 128)).toString('hex'), registers);
      t.is(fpu.statusWord(s), 0x6900);
      t.is(s.get32(L.FPU_TAGS), 0b1110_0111);
    }
  }
});

function xsaveCore(): FakeCore {
  const core = withState(longCore(0, X86_64_V2));
  core.state.set32(L.CR4, core.state.cr4 | CR4_OSXSAVE);
  core.state.set32(L.XCR0, 3);
  core.state.set32(L.FPU_CS, 0);
  core.state.set32(L.FPU_DS, 0);
  return core;
}

test('XSAVE writes the components asked for and marks them', (t) => {
  const core = xsaveCore();
  core.bytes.fill(0xee, at, at + 512);
  core.view.setBigUint64(at + 512, 0n, true);
  fpu.xsave(core, AT, 2n, true);
  t.is(core.u64(at + 512), 2n);
  t.is(core.u32(at), 0xeeee_eeee);
  t.is(core.u32(at + 24), 0x9fc0);
  fpu.xsave(core, AT, ~0n & 0xffff_ffff_ffff_fffdn, true);
  t.is(core.u64(at + 512), 3n);
  t.is(core.u16(at), 0x37f);
});

test('XRSTOR puts a component without its XSTATE_BV bit into its initial state', (t) => {
  const core = xsaveCore();
  const s = core.state;
  fpu.xsave(core, AT, 3n, true);
  core.view.setBigUint64(at + 512, 0n, true);
  fpu.xrstor(core, AT, 3n, true);
  t.is(s.get32(L.FPU_CONTROL), 0x37f);
  t.is(s.get32(L.FPU_TAGS), 0);
  t.true(s.u8.slice(L.XMM, L.XMM + 256).every((byte) => byte === 0));
  t.is(s.get32(L.MXCSR), 0x9fc0, 'MXCSR is always loaded');
});

test('XSAVE and XRSTOR give the state back', (t) => {
  const core = xsaveCore();
  const before = floating(core);
  fpu.xsave(core, AT, 3n, true);
  scramble(core);
  fpu.xrstor(core, AT, 3n, true);
  t.is(floating(core), before);
});

// [what, prepare, address, expected]
const XRSTOR_FAULTS: readonly (readonly [string, (core: FakeCore) => void, bigint, string])[] = [
  ['OSXSAVE clear', (c) => c.state.set32(L.CR4, 0x20), AT, '6'],
  ['TS set', (c) => c.state.set32(L.CR0, 0x8000_0019), AT, '7'],
  ['16-byte alignment only', () => {}, AT + 16n, '13(0)'],
  ['a component that is not enabled', (c) => c.view.setBigUint64(at + 512, 4n, true), AT, '13(0)'],
  ['compacted format', (c) => c.view.setBigUint64(at + 520, 1n << 63n, true), AT, '13(0)'],
  ['reserved header bytes', (c) => c.bytes.fill(1, at + 528, at + 529), AT, '13(0)'],
  ['reserved MXCSR bits', (c) => c.set32(at + 24, 0x8000_0000), AT, '13(0)'],
];
for (const [name, prepare, address, expected] of XRSTOR_FAULTS) {
  test(`XRSTOR with ${name}: ${expected}`, (t) => {
    const core = xsaveCore();
    fpu.xsave(core, AT, 3n, true);
    prepare(core);
    const before = snapshot(core);
    t.is(
      faultOf(() => fpu.xrstor(core, address, 3n, true)),
      expected,
    );
    t.is(snapshot(core), before);
  });
}

test('every FXRSTOR image survives FXSAVE', (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 416, maxLength: 416 }), (image) => {
        const core = withState(longCore(0, X86_64_V2));
        const v = new DataView(image.buffer, image.byteOffset);
        v.setUint16(0, (v.getUint16(0, true) & 0x1f00) | 0x7f, true); // all masked: ES and B stay 0
        v.setUint16(2, v.getUint16(2, true) & 0x7f7f, true);
        v.setUint8(5, 0);
        v.setUint16(6, v.getUint16(6, true) & 0x7ff, true);
        v.setUint16(26, 0, true);
        v.setUint32(28, 0xffff, true);
        for (let i = 0; i < 8; i++) image.fill(0, 32 + i * 16 + 10, 32 + i * 16 + 16);
        core.bytes.set(image, at);
        fpu.fxrstor(core, AT, true);
        core.bytes.fill(0, at, at + 512);
        fpu.fxsave(core, AT, true);
        return Buffer.compare(core.bytes.subarray(at, at + 416), image) === 0;
      }),
    ),
  );
});
