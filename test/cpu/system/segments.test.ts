import test from 'ava';
import fc from 'fast-check';
import * as L from '../../../src/cpu/layout.js';
import { CR4_UMIP, ZF } from '../../../src/cpu/state.js';
import * as seg from '../../../src/cpu/system/segments.js';
import {
  ABSENT_DATA,
  CALL_GATE,
  CODE0,
  CODE3,
  CONFORMING,
  DATA0,
  DATA1,
  DATA3,
  EXECUTE_ONLY,
  FakeCore,
  faultOf,
  GDT,
  LDT,
  LDT_SELECTOR,
  longCore,
  protectedCore,
  READ_ONLY,
  snapshot,
  TSS_SELECTOR,
  TSS2,
  TSS2_SELECTOR,
  v86Core,
} from './fake-core.js';

test('real mode keeps the cached limit of a segment and moves its base', (t) => {
  const core = new FakeCore();
  core.state.setSegment(L.DS, 8, 0n, 0xffff_ffff, 0xc093);
  seg.loadSegment(core, L.DS, 0x1234);
  t.is(core.state.base(L.DS), 0x12340n);
  t.is(core.state.limit(L.DS), 0xffff_ffff);
  t.is(core.state.selector(L.DS), 0x1234);
});

test('real mode makes a segment that was null usable again', (t) => {
  const core = new FakeCore();
  core.state.setSegment(L.ES, 0, 0n, 0, 0x1_0000);
  seg.loadSegment(core, L.ES, 0xb800);
  t.is(core.state.limit(L.ES), 0xffff);
  t.is(core.state.get32(L.SEGMENTS + L.SEG_ACCESS), 3);
});

test('V86 mode loads 64 KiB segments of ring 3', (t) => {
  const core = v86Core();
  seg.loadSegment(core, L.DS, 0x4567);
  t.is(core.state.base(L.DS), 0x45670n);
  t.is(core.state.limit(L.DS), 0xffff);
  t.is(core.state.attributes(L.DS), 0xf3);
});

test('a data segment load fills base, limit and attributes and sets the accessed bit in the table', (t) => {
  const core = protectedCore();
  core.put(DATA0, { base: 0x12345678, limit: 0xabcde, access: 0x92, flags: 0x4 });
  seg.loadSegment(core, L.DS, DATA0);
  t.is(core.state.base(L.DS), 0x12345678n);
  t.is(core.state.limit(L.DS), 0xabcde);
  t.is(core.state.attributes(L.DS), 0x4093);
  t.is(core.access(DATA0), 0x93);
});

test('granularity multiplies the limit by 4 KiB and fills the low bits', (t) => {
  const core = protectedCore();
  core.put(DATA0, { limit: 0x12, access: 0x92, flags: 0xc });
  seg.loadSegment(core, L.DS, DATA0);
  t.is(core.state.limit(L.DS), 0x12fff);
});

// [segment, selector, cpl, expected fault]
const LOAD_FAULTS: readonly (readonly [string, number, number, number, string])[] = [
  ['CS', L.CS, CODE0, 0, '6'],
  ['null SS', L.SS, 0, 0, '13(0)'],
  ['null SS with RPL 3', L.SS, 3, 3, '13(0)'],
  ['null DS', L.DS, 3, 0, 'none'],
  ['selector beyond the GDT', L.DS, 0xc0, 0, '13(c0)'],
  ['selector in an LDT that is not there', L.DS, 0x0c, 0, '13(c)'],
  ['system descriptor in DS', L.DS, TSS_SELECTOR, 0, '13(60)'],
  ['execute-only code in DS', L.DS, EXECUTE_ONLY, 0, '13(58)'],
  ['readable code in DS', L.DS, CODE0, 0, 'none'],
  ['ring 0 data in DS from ring 3', L.DS, DATA0, 3, '13(10)'],
  ['ring 0 data in DS with RPL 3', L.DS, DATA0 | 3, 0, '13(10)'],
  ['conforming code in DS from ring 3', L.DS, CONFORMING | 3, 3, 'none'],
  ['absent data in DS', L.DS, ABSENT_DATA, 0, '11(48)'],
  ['absent data in SS', L.SS, ABSENT_DATA, 0, '12(48)'],
  ['code in SS', L.SS, CODE0, 0, '13(8)'],
  ['read-only data in SS', L.SS, READ_ONLY, 0, '13(50)'],
  ['RPL different from CPL in SS', L.SS, DATA0 | 1, 0, '13(10)'],
  ['DPL different from CPL in SS', L.SS, DATA3 & ~3, 0, '13(20)'],
  ['right SS', L.SS, DATA3, 3, 'none'],
];
for (const [name, segment, selector, cpl, expected] of LOAD_FAULTS) {
  test(`loading ${name}: ${expected}`, (t) => {
    const core = protectedCore(cpl);
    const before = snapshot(core);
    t.is(
      faultOf(() => seg.loadSegment(core, segment, selector)),
      expected,
    );
    if (expected !== 'none') t.is(snapshot(core), before);
  });
}

test('a null data segment is unusable', (t) => {
  const core = protectedCore();
  seg.loadSegment(core, L.FS, 2);
  t.is(core.state.selector(L.FS), 2);
  t.is(core.state.attributes(L.FS) & 0x1_0000, 0x1_0000);
  t.is(core.state.get32(L.SEGMENTS + 32 * L.FS + L.SEG_ACCESS), 0);
});

test('64-bit mode takes a null SS whose RPL is the CPL, except in ring 3', (t) => {
  const core = longCore(0);
  t.is(
    faultOf(() => seg.loadSegment(core, L.SS, 0)),
    'none',
  );
  t.is(
    faultOf(() => seg.loadSegment(core, L.SS, 1)),
    '13(0)',
  );
  t.is(
    faultOf(() => seg.loadSegment(longCore(3), L.SS, 3)),
    '13(0)',
  );
});

test('a segment in the LDT is found through LDTR', (t) => {
  const core = protectedCore();
  seg.lldt(core, LDT_SELECTOR);
  t.is(core.state.base(L.LDTR), BigInt(LDT));
  core.put(0x14, { base: 0x7000, access: 0x92 });
  seg.loadSegment(core, L.GS, 0x14);
  t.is(core.state.base(L.GS), 0x7000n);
  t.is(core.access(0x14), 0x93);
});

test('a page fault while the accessed bit is set leaves the segment register alone', (t) => {
  const core = protectedCore();
  core.readOnly.add(GDT >> 12);
  const before = snapshot(core);
  t.is(
    faultOf(() => seg.loadSegment(core, L.DS, DATA0)),
    '14(3)',
  );
  t.is(snapshot(core), before);
});

test('MOV to SS shadows the next instruction, LSS does not', (t) => {
  const core = protectedCore();
  seg.loadSegment(core, L.SS, DATA0);
  t.false(core.log.includes('shadow 2'));
  seg.moveToSegment(core, L.SS, DATA0);
  t.true(core.log.includes('shadow 2'));
});

test('LLDT refuses ring 3, LDT selectors, other types and absent tables', (t) => {
  t.is(
    faultOf(() => seg.lldt(new FakeCore(), 0)),
    '6',
  );
  t.is(
    faultOf(() => seg.lldt(v86Core(), 0)),
    '6',
  );
  t.is(
    faultOf(() => seg.lldt(protectedCore(3), LDT_SELECTOR)),
    '13(0)',
  );
  const core = protectedCore();
  t.is(
    faultOf(() => seg.lldt(core, 4)),
    '13(4)',
  );
  t.is(
    faultOf(() => seg.lldt(core, TSS_SELECTOR)),
    '13(60)',
  );
  core.put(LDT_SELECTOR, { access: 0x02 });
  t.is(
    faultOf(() => seg.lldt(core, LDT_SELECTOR)),
    '11(80)',
  );
  t.is(
    faultOf(() => seg.lldt(core, 0)),
    'none',
  );
  t.is(core.state.attributes(L.LDTR) & 0x1_0000, 0x1_0000);
});

test('LTR marks the TSS busy in the table and refuses a busy one', (t) => {
  const core = protectedCore();
  seg.ltr(core, TSS2_SELECTOR);
  t.is(core.access(TSS2_SELECTOR), 0x8b);
  t.is(core.state.base(L.TR), BigInt(TSS2));
  t.is(core.state.attributes(L.TR), 0x8b);
  t.is(
    faultOf(() => seg.ltr(core, TSS2_SELECTOR)),
    '13(70)',
  );
  t.is(
    faultOf(() => seg.ltr(core, 0)),
    '13(0)',
  );
  core.put(TSS2_SELECTOR, { access: 0x09 });
  t.is(
    faultOf(() => seg.ltr(core, TSS2_SELECTOR)),
    '11(70)',
  );
});

test('system descriptors are 16 bytes long in IA-32e mode', (t) => {
  const core = longCore();
  core.put(TSS_SELECTOR, { base: 0x4000, limit: 0x67, access: 0x89, flags: 0 }, 0xffff_8000n);
  seg.ltr(core, TSS_SELECTOR);
  t.is(core.state.base(L.TR), 0xffff_8000_0000_4000n);

  core.put(LDT_SELECTOR, { base: LDT, limit: 0xff, access: 0x82, flags: 0 }, 0x1f00_0000_0000n);
  t.is(
    faultOf(() => seg.lldt(core, LDT_SELECTOR)),
    '13(80)',
    'type of the upper half must be 0',
  );
  core.state.set32(L.GDTR_LIMIT, LDT_SELECTOR + 7);
  t.is(
    faultOf(() => seg.lldt(core, LDT_SELECTOR)),
    '13(80)',
    'all 16 bytes must lie in the table',
  );
});

test('a 16-bit TSS is refused in IA-32e mode', (t) => {
  const core = longCore();
  core.put(TSS_SELECTOR, { access: 0x81 });
  t.is(
    faultOf(() => seg.ltr(core, TSS_SELECTOR)),
    '13(60)',
  );
});

test('LGDT takes 24 bits of base with 16-bit operands and a canonical base in 64-bit mode', (t) => {
  const core = protectedCore();
  seg.lgdt(core, 16, 0x1234, 0xaabbccddn);
  t.is(core.state.get64(L.GDTR_BASE), 0xbbccddn);
  seg.lgdt(core, 32, 0x1234, 0xaabbccddn);
  t.is(core.state.get64(L.GDTR_BASE), 0xaabbccddn);
  t.is(core.state.get32(L.GDTR_LIMIT), 0x1234);
  t.is(
    faultOf(() => seg.lidt(longCore(), 64, 0, 1n << 47n)),
    '13(0)',
  );
  t.is(
    faultOf(() => seg.lidt(protectedCore(3), 32, 0, 0n)),
    '13(0)',
  );
});

test('UMIP keeps user code from reading the system registers', (t) => {
  const core = protectedCore(3);
  t.is(seg.str(core), TSS_SELECTOR);
  t.is(seg.sgdtBase(core, 32), BigInt(GDT));
  core.state.set32(L.CR4, CR4_UMIP);
  for (const read of [() => seg.str(core), () => seg.sldt(core), () => seg.sgdtBase(core, 32)]) {
    t.is(faultOf(read), '13(0)');
  }
});

test('LAR and LSL tell about visible descriptors and clear ZF for others', (t) => {
  const core = protectedCore(3);
  const ask = (f: typeof seg.lar, selector: number) => {
    core.state.setReg(0, 0xdead_beef_0000_1111n);
    f(core, 32, 0, selector);
    return (core.state.arithmeticFlags & ZF) !== 0 ? core.state.reg32(0) : -1;
  };
  t.is(ask(seg.lar, CODE3), 0x00c0_fa00);
  t.is(ask(seg.lsl, DATA3), 0xffff_ffff);
  t.is(ask(seg.lar, CODE0), -1, 'DPL below CPL');
  t.is(ask(seg.lar, CONFORMING), 0x00c0_9e00, 'conforming code is visible from everywhere');
  t.is(ask(seg.lar, 0), -1, 'null');
  t.is(ask(seg.lar, 0xf8), -1, 'beyond the table');
  t.is(core.state.reg(0), 0xdead_beef_0000_1111n, 'the register is kept');
});

test('LSL has no answer for gates, LAR has', (t) => {
  const core = protectedCore();
  core.put(CALL_GATE, 0x0000_8c00_0008_0000n);
  seg.lsl(core, 32, 0, CALL_GATE);
  t.is(core.state.arithmeticFlags & ZF, 0);
  seg.lar(core, 32, 0, CALL_GATE);
  t.is(core.state.arithmeticFlags & ZF, ZF);
});

test('VERR and VERW follow type and privilege', (t) => {
  const core = protectedCore(3);
  const zf = (f: typeof seg.verr, selector: number) => {
    f(core, selector);
    return (core.state.arithmeticFlags & ZF) !== 0;
  };
  t.deepEqual(
    [DATA3, CODE3, DATA0, EXECUTE_ONLY | 3, CONFORMING, TSS_SELECTOR, 0].map((s) => [zf(seg.verr, s), zf(seg.verw, s)]),
    [
      [true, true],
      [true, false],
      [false, false],
      [false, false],
      [true, false],
      [false, false],
      [false, false],
    ],
  );
});

test('dropping inner segments keeps conforming code and outer data', (t) => {
  const core = protectedCore();
  seg.loadSegment(core, L.DS, DATA0);
  seg.loadSegment(core, L.ES, DATA3);
  seg.loadSegment(core, L.FS, CONFORMING);
  seg.loadSegment(core, L.GS, DATA1);
  seg.dropInnerSegments(core.state, 3);
  t.deepEqual(
    [L.DS, L.ES, L.FS, L.GS].map((s) => core.state.selector(s)),
    [0, DATA3, CONFORMING, 0],
  );
});

test('no selector makes a load change state and fault at once', (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0xffff }),
        fc.constantFrom(L.ES, L.SS, L.DS, L.FS, L.GS),
        fc.constantFrom(0, 1, 3),
        fc.boolean(),
        (selector, segment, cpl, long) => {
          const core = long ? longCore(cpl) : protectedCore(cpl);
          const before = snapshot(core);
          const fault = faultOf(() => seg.loadSegment(core, segment, selector));
          if (fault !== 'none') return snapshot(core) === before;
          return core.state.selector(segment) === selector;
        },
      ),
    ),
  );
});
