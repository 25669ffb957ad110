import test from 'ava';
import * as L from '../../../src/cpu/layout.js';
import { CR0_EM, CR0_NE, CR0_TS, GP, MF, NM, PFV, UD, XM } from '../../../src/cpu/state.js';
import { CR0, DATA, SimdMachine } from './simd-machine.js';

const m = new SimdMachine();
const s = m.state;
const hex = (code: string) => Buffer.from(code, 'hex');
const OSFXSR = 0x200;
const OSXMMEXCPT = 0x400;

/** Run one instruction after changing CR0, CR4 and the x87 status of a machine that is otherwise fresh. */
function run(code: string, change: { cr0?: number; cr4?: number; status?: number; mxcsr?: number; rbx?: number } = {}) {
  m.reset();
  s.set32(L.CR0, change.cr0 ?? CR0);
  s.set32(L.CR4, change.cr4 ?? OSFXSR | OSXMMEXCPT);
  s.set32(L.FPU_STATUS, change.status ?? 0);
  m.mxcsr = change.mxcsr ?? 0x1f80;
  if (change.rbx !== undefined) s.setReg(3, BigInt(change.rbx));
  return m.step(hex(code));
}

const SSE = { ADDPS: '0f58c1', PXOR: '660fefc1', MOVSD: 'f20f1003', LDMXCSR: '0fae13', PTEST: '660f3817c1' };
const MMX = { PADDB: '0ffcc1', MOVD: '0f6ec0', PSHUFB: '0f3800c1', PAVGB: '0fe0c1', EMMS: '0f77' };
const NEITHER = { MOVNTI: '0fc303', CRC32: 'f20f38f0c1', PREFETCHT0: '0f180b', SFENCE: '0faef8', CLFLUSH: '0fae3b' };

for (const [name, code] of Object.entries(SSE)) {
  test(`${name} is #UD by CR0.EM or without CR4.OSFXSR, #NM by CR0.TS`, (t) => {
    t.is(run(code), undefined);
    t.is(run(code, { cr0: CR0 | CR0_EM }), UD);
    t.is(run(code, { cr4: OSXMMEXCPT }), UD);
    t.is(run(code, { cr0: CR0 | CR0_TS }), NM);
    t.is(run(code, { cr0: CR0 | CR0_TS | CR0_EM }), UD);
    t.is(run(code, { status: 0x80 }), undefined);
  });
}
for (const [name, code] of Object.entries(MMX)) {
  test(`${name} is #UD by CR0.EM, #NM by CR0.TS, #MF by a pending x87 exception, whatever CR4.OSFXSR`, (t) => {
    t.is(run(code, { cr4: 0 }), undefined);
    t.is(run(code, { cr0: CR0 | CR0_EM | CR0_TS }), UD);
    t.is(run(code, { cr0: CR0 | CR0_TS, status: 0x80 }), NM);
    t.is(run(code, { status: 0x80 }), MF);
    t.is(run(code, { status: 0x80, cr0: CR0 & ~CR0_NE }), undefined);
  });
}
for (const [name, code] of Object.entries(NEITHER)) {
  test(`${name} needs no SSE state`, (t) => {
    t.is(run(code, { cr0: CR0 | CR0_EM | CR0_TS, cr4: 0, status: 0x80 }), undefined);
  });
}
for (const [name, code] of Object.entries({ CVTPS2PI: '0f2dc1', CVTPI2PS: '0f2ac1', MOVQ2DQ: 'f30fd6c1' })) {
  test(`${name} obeys the rules of both register files`, (t) => {
    t.is(run(code, { cr4: 0 }), UD);
    t.is(run(code, { status: 0x80 }), MF);
  });
}

test('CVTPI2PS from memory leaves the x87 alone', (t) => {
  t.is(run('0f2a03', { status: 0x80 }), undefined);
  t.is(s.get32(L.FPU_TAGS), 0);
});

test('a 16-byte memory operand must be aligned, except for the unaligned moves', (t) => {
  for (const code of ['0f2803', '0f2903', '660f6f03', '0f5803', '660fef03', '660f38000b', '660fe703'])
    t.is(run(code, { rbx: DATA + 8 }), GP, code);
  for (const code of ['0f1003', '0f1103', 'f30f6f03', 'f30f7f03', 'f20ff003', 'f30f5803', '660f3a630300', '0ffc03'])
    t.is(run(code, { rbx: DATA + 7 }), undefined, code);
});

test('the alignment check comes before the page fault', (t) => {
  t.is(run('0f2803', { rbx: DATA + 0x1008 }), GP);
  t.is(run('0f2803', { rbx: DATA + 0x1010 }), PFV);
});

test('an unmasked exception is #XM, or #UD without CR4.OSXMMEXCPT; its flag is set, the destination stays', (t) => {
  // 1.0 / 0.0 with ZM clear
  for (const [cr4, vector] of [
    [OSFXSR | OSXMMEXCPT, XM],
    [OSFXSR, UD],
  ] as const) {
    m.reset();
    s.set32(L.CR4, cr4);
    m.mxcsr = 0x1d80;
    m.setXmm(0, 0x3f800000n);
    t.is(m.step(hex('f30f5ec1')), vector);
    t.is(m.mxcsr, 0x1d84);
    t.is(m.xmm(0), 0x3f800000n);
  }
});

test('LDMXCSR refuses reserved bits with #GP and takes the others', (t) => {
  m.reset();
  s.view.setUint32(L.GUEST + DATA, 0x1_0000, true);
  t.is(m.step(hex('0fae13')), GP);
  t.is(m.mxcsr, 0x1f80);
  s.view.setUint32(L.GUEST + DATA, 0xffff, true);
  t.is(m.step(hex('0fae13')), undefined);
  t.is(m.mxcsr, 0xffff);
});

test('a faulting MMX load leaves the x87 state alone', (t) => {
  t.is(run('0f6f03', { rbx: DATA + 0x1000 }), PFV);
  t.is(s.get32(L.FPU_TAGS), 0);
});

test('MASKMOVDQU checks and writes only the selected bytes', (t) => {
  m.reset();
  // The page ends eight bytes on: bytes 8–15 are not there.
  s.setReg(7, BigInt(DATA + 0xff8));
  m.setXmm(0, 0x1f1e1d1c1b1a19181716151413121110n);
  m.setXmm(1, 0x0000000000000000_0000800000000080n);
  t.is(m.step(hex('660ff7c1')), undefined);
  t.is(Buffer.from(m.ram.subarray(DATA + 0xff8, DATA + 0x1000)).toString('hex'), '1000000000150000');
  m.setXmm(1, 0x80_0000000000000080n);
  m.ram.fill(0, DATA);
  t.is(m.step(hex('660ff7c1')), PFV);
  t.is(m.ram[DATA + 0xff8], 0);
});

test('CLFLUSH faults where a byte could not be read', (t) => {
  t.is(run('0fae3b', { rbx: DATA + 0xfff }), undefined);
  t.is(run('0fae3b', { rbx: DATA + 0x1000 }), PFV);
});

test('RCPSS and RSQRTPS answer from the tables', (t) => {
  m.reset();
  m.setXmm(1, 0x40400000_40000000_3f800000n);
  m.step(hex('f30f53c1'));
  t.is(m.xmm(0), 0x3f7ff000n);
  m.step(hex('0f52c1'));
  t.is(m.xmm(0) & 0xffffffffn, 0x3f7ff000n);
});
