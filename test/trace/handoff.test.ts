// The hand-off record as a trace stores it: what is encoded comes back, and of two records exactly the fields that are
// not the same are named.

import test from 'ava';
import fc from 'fast-check';
import type { Handoff } from '../../src/boot/handoff/handoff.js';
import { registers, type SegmentState } from '../../src/boot/image.js';
import {
  decodeHandoff,
  diffHandoff,
  encodeHandoff,
  handoffFields,
  handoffText,
  pairHandoffs,
} from '../../src/trace/handoff.js';

const segment: SegmentState = { selector: 8, base: 0, limit: 0xffff_ffff, attributes: 0xc09b };
const sample: Handoff = {
  protocol: 'pvh',
  route: 'firmware',
  state: {
    registers: registers({ rbx: 0x1_0000n, r15: 0xffff_ffff_8000_0000n }),
    rip: 0x10_0000n,
    rflags: 2,
    cr0: 0x11,
    cr3: 0,
    cr4: 0,
    efer: 0,
    segments: {
      es: segment,
      cs: segment,
      ss: segment,
      ds: segment,
      fs: segment,
      gs: segment,
      ldtr: segment,
      tr: segment,
    },
    gdtr: { base: 0x1_8000, limit: 31 },
    idtr: { base: 0, limit: 0 },
  },
  memoryMap: [{ address: 0, length: 0x9_fc00, type: 1 }],
  structures: [
    {
      name: 'hvm_start_info',
      address: 0x1_0000,
      length: 56,
      fields: [
        ['magic', 0x336e_c578],
        ['rsdp_paddr', 0xf_59d0n],
      ],
    },
    { name: 'cmdline', address: 0x2_0000, length: 4, fields: [['text', 'a b']] },
  ],
};
const at = { cycle: 7, cs: 8, rip: 0x10_0000n };
const view = (handoff: Handoff) => decodeHandoff(encodeHandoff(handoff), at);

test('a record comes back with every field in its order', (t) => {
  const seen = view(sample);
  t.like(seen, { cycle: 7, cs: '0x8', rip: '0x100000', protocol: 'pvh', route: 'firmware' });
  t.is(seen.registers.r15, '0xffffffff80000000');
  t.deepEqual(seen.structures[0], {
    name: 'hvm_start_info',
    address: '0x10000',
    length: '0x38',
    fields: { magic: '0x336ec578', rsdp_paddr: '0xf59d0' },
  });
  t.deepEqual(seen.structures[1]!.fields, { text: '"a b"' });
  t.is(seen.control['gdtr.limit'], '0x1f');
  t.regex(handoffText(seen), /^handoff pvh at 0x8:0x100000, cycle 7, route firmware\n/);
});

test('tables and segments may lie in the upper half of memory', (t) => {
  const gs = { ...segment, base: Number(0xffff_8880_0fc0_0000n) };
  const segments = { ...sample.state.segments, gs };
  const gdtr = { base: Number(0xffff_fe00_0000_1000n), limit: 127 };
  const seen = view({ ...sample, state: { ...sample.state, segments, gdtr } });
  t.is(seen.segments.gs!.base, '0xffff88800fc00000');
  t.is(seen.control['gdtr.base'], '0xfffffe0000001000');
});

test('of two records exactly the fields that differ are named', (t) => {
  const other: Handoff = {
    ...sample,
    state: { ...sample.state, registers: registers({ rbx: 0x9500n, r15: 0xffff_ffff_8000_0000n }) },
    structures: [
      {
        ...sample.structures[0]!,
        fields: [
          ['magic', 0x336e_c578],
          ['rsdp_paddr', 0xf_59d1n],
        ],
      },
      ...sample.structures.slice(1),
      { name: 'module 0', address: 1, length: 32, fields: [] },
    ],
  };
  t.deepEqual(diffHandoff(view(sample), view(other)), [
    { field: 'registers.rbx', a: '0x10000', b: '0x9500' },
    { field: 'hvm_start_info.rsdp_paddr', a: '0xf59d0', b: '0xf59d1' },
    { field: 'module 0.address', a: '(none)', b: '0x1' },
    { field: 'module 0.length', a: '(none)', b: '0x20' },
  ]);
  t.deepEqual(diffHandoff(view(sample), view(sample)), []);
});

test('a change of any one field is one difference, in that field', (t) => {
  const names = [...handoffFields(view(sample)).keys()].filter((name) => name.startsWith('registers.r'));
  const general = names.map((name) => name.slice('registers.'.length)).filter((name) => name in sample.state.registers);
  fc.assert(
    fc.property(fc.constantFrom(...general), fc.bigInt(0n, (1n << 64n) - 1n), (name, value) => {
      const key = name as keyof typeof sample.state.registers;
      fc.pre(sample.state.registers[key] !== value);
      const state = { ...sample.state, registers: { ...sample.state.registers, [key]: value } };
      t.deepEqual(
        diffHandoff(view(sample), view({ ...sample, state })).map(({ field }) => field),
        [`registers.${name}`],
      );
    }),
  );
});

test('hand-offs by the same protocol belong together, else the last of each', (t) => {
  const of = (protocol: Handoff['protocol']) => view({ ...sample, protocol });
  const protocols = (pairs: ReturnType<typeof pairHandoffs>) => pairs.map(([x, y]) => [x.protocol, y.protocol]);
  t.deepEqual(protocols(pairHandoffs([of('linux16'), of('linux32')], [of('linux32')])), [['linux32', 'linux32']]);
  t.deepEqual(protocols(pairHandoffs([of('linux16'), of('linux32')], [of('linux64')])), [['linux32', 'linux64']]);
  t.deepEqual(pairHandoffs([of('pvh')], []), []);
});

test('bytes that are no record are an error, not a crash', (t) => {
  const whole = encodeHandoff(sample);
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), (offset, value) => {
      const damaged = Uint8Array.from(whole);
      damaged[offset] = value;
      try {
        handoffText(decodeHandoff(damaged, at));
      } catch (error) {
        t.true(error instanceof Error && !(error instanceof TypeError), String(error));
      }
    }),
  );
});
