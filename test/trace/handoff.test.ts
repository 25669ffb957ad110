// The hand-off record as a trace stores it: what is encoded comes back, and of two records exactly the fields that are
// not the same are named. Whatever has 64 bits keeps them.

import test from 'ava';
import fc from 'fast-check';
import type { Handoff } from '../../src/boot/handoff/handoff.js';
import { registers, SEGMENT_REGISTERS, type SegmentState } from '../../src/boot/image.js';
import {
  decodeHandoff,
  diffHandoff,
  encodeHandoff,
  handoffFields,
  handoffText,
  isEarlierForm,
  pairHandoffs,
} from '../../src/trace/handoff.js';
import { decodeMsgpack } from './independent-msgpack.js';

const segment: SegmentState = { selector: 8, base: 0n, limit: 0xffff_ffff, attributes: 0xc09b };
const sample: Handoff = {
  protocol: 'pvh',
  route: 'firmware',
  state: {
    registers: registers({ rbx: 0x1_0000n, r15: 0xffff_ffff_8000_0000n }),
    rip: 0x10_0000n,
    rflags: 2,
    cr0: 0x11,
    cr3: 0n,
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
    gdtr: { base: 0x1_8000n, limit: 31 },
    idtr: { base: 0n, limit: 0 },
  },
  memoryMap: [{ address: 0n, length: 0x9_fc00n, type: 1 }],
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

/** Everything in a record that has 64 bits beside the registers: how it is called, and a record with another value there. */
const WIDE: readonly (readonly [field: string, put: (value: bigint) => Handoff])[] = [
  ['control.cr3', (cr3) => ({ ...sample, state: { ...sample.state, cr3 } })],
  ['control.gdtr.base', (base) => ({ ...sample, state: { ...sample.state, gdtr: { base, limit: 31 } } })],
  ['control.idtr.base', (base) => ({ ...sample, state: { ...sample.state, idtr: { base, limit: 0 } } })],
  ...SEGMENT_REGISTERS.map((name): [string, (value: bigint) => Handoff] => [
    `${name}.base`,
    (base) => {
      const segments = { ...sample.state.segments, [name]: { ...segment, base } };
      return { ...sample, state: { ...sample.state, segments } };
    },
  ]),
  ['memory map 0.address', (address) => ({ ...sample, memoryMap: [{ ...sample.memoryMap[0]!, address }] })],
  ['memory map 0.length', (length) => ({ ...sample, memoryMap: [{ ...sample.memoryMap[0]!, length }] })],
];
const any64 = fc.oneof(
  fc.bigInt(0n, (1n << 64n) - 1n),
  fc.constantFrom(0n, 1n, 0xffff_ffffn, 1n << 32n, (1n << 53n) + 1n, 0x7fff_ffff_ffff_ffffn, 0xffff_ffff_8200_1000n),
  fc.constantFrom(0xffff_8880_0000_0001n, 0xffff_fe00_0000_1001n, 0xffff_ffff_ffff_ffffn),
);

test('whatever has 64 bits is recorded, shown and told apart to the last of them', (t) => {
  fc.assert(
    fc.property(fc.constantFrom(...WIDE), any64, fc.nat(63), ([field, put], value, bit) => {
      const hex = (number: bigint) => `0x${number.toString(16)}`;
      const other = value ^ (1n << BigInt(bit));
      const [a, b] = [view(put(value)), view(put(other))];
      t.is(handoffFields(a).get(field), hex(value));
      t.true(handoffText(a).includes(hex(value)));
      t.deepEqual(diffHandoff(a, b), [{ field, a: hex(value), b: hex(other) }]);
    }),
    { numRuns: 500 },
  );
});

test('a base is an integer of the shortest form, for any msgpack library', (t) => {
  fc.assert(
    fc.property(any64, (base) => {
      const state = { ...sample.state, gdtr: { base, limit: 31 } };
      const { control } = decodeMsgpack(encodeHandoff({ ...sample, state })) as { control: { gdtr: unknown } };
      t.deepEqual(control.gdtr, { base, limit: 31n });
    }),
  );
});

test('a base that another writer gave as a float is read for what it is', (t) => {
  const whole = Buffer.from(encodeHandoff({ ...sample, state: { ...sample.state, cr3: 0xffff_ffff_8200_1000n } }));
  const at = whole.indexOf(Buffer.from('cr3')) + 3;
  t.is(whole[at], 0xcf, 'uint 64');
  whole[at] = 0xcb;
  whole.writeDoubleBE(0xffff_ffff_8200_1000, at + 1);
  t.is(decodeHandoff(whole, { cycle: 0, cs: 8, rip: 0n }).control.cr3, '0xffffffff82001000');
  for (const wrong of [2 ** 64, -1, 0.5, Number.POSITIVE_INFINITY]) {
    whole.writeDoubleBE(wrong, at + 1);
    t.throws(() => decodeHandoff(whole, { cycle: 0, cs: 8, rip: 0n }), { message: 'cr3 is not a 64-bit number' });
  }
});

test('a memory map of which an earlier program left out the upper bits is no difference, any other is', (t) => {
  const map = (address: bigint, length: bigint) =>
    encodeHandoff({ ...sample, memoryMap: [...sample.memoryMap, { address, length, type: 2 }] });
  const now = map(0x8000_0000_0010_0001n, 0xffff_ffff_ffff_f000n);
  t.true(isEarlierForm(map(0x10_0001n, 0x1f_ffff_ffff_f000n), now));
  t.false(isEarlierForm(map(0x10_0000n, 0x1f_ffff_ffff_f000n), now));
  t.false(isEarlierForm(now, map(0x10_0001n, 0x1f_ffff_ffff_f000n)));
  t.false(isEarlierForm(Uint8Array.of(1), now));
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
