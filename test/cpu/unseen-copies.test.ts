// String copies of initial memory that nobody has looked at, on the real processor.

import test from 'ava';
import fc from 'fast-check';
import type { Bus } from '../../src/cpu/bus.js';
import { Cpu } from '../../src/cpu/cpu.js';
import { QEMU64_V1 } from '../../src/cpu/cpuid.js';
import * as L from '../../src/cpu/layout.js';
import { CR4_PAE, EFER_LMA } from '../../src/cpu/state.js';

const MIB = 0x10_0000;
const CODE = 0x1000;
const SOURCE = 0x1_0000;
const TARGET = 0x20_0000;

/** Page tables that map the first 2 MiB by small pages, the rest by large ones. */
const TABLES = 0x9000;
type Kind = 'flat' | 'long' | 'long, tables tracked';

/**
 * A flat 32-bit machine, or a 64-bit one, whose code is known and whose page at SOURCE a loader filled with 1, 2, 3 ….
 * @param emitted tracking is left to emitted code where it can
 */
function machine(code: readonly number[], emitted = true, kind: Kind = 'flat'): Cpu {
  const cpu = new Cpu({ model: QEMU64_V1, timing: { name: 'test', nsPerCycle: 4 }, ramSize: 8 * MIB, romSize: 0 });
  cpu.bus = { nextEvent: () => Number.POSITIVE_INFINITY, advance: () => {} } as unknown as Bus;
  const { state } = cpu;
  state.set32(L.CR0, 0x11);
  state.setSegment(L.CS, 8, 0n, 0xffff_ffff, 0xc09b);
  for (const segment of [L.DS, L.ES, L.SS]) state.setSegment(segment, 16, 0n, 0xffff_ffff, 0xc093);
  if (kind !== 'flat') {
    const tables = new DataView(new ArrayBuffer(4 * 4096));
    const set = (at: number, entry: number) => tables.setUint32(at, entry, true);
    for (const level of [0, 1, 2]) set(level * 4096, (TABLES + (level + 1) * 4096) | 0x23);
    for (let n = 1; n < 4; n++) set(2 * 4096 + n * 8, (n * 2 * MIB) | 0xe3);
    for (let n = 0; n < 512; n++) set(3 * 4096 + n * 8, (n * 4096) | 0x63);
    cpu.physical.write(TABLES, new Uint8Array(tables.buffer));
    state.set32(L.CR0, 0x8001_0011);
    state.set32(L.CR3, TABLES);
    state.set32(L.CR4, CR4_PAE);
    state.set32(L.EFER, EFER_LMA | 0x100);
    state.setSegment(L.CS, 8, 0n, 0xffff_ffff, 0xa09b);
  }
  state.rip = BigInt(CODE);
  state.setReg(4, 0x8000n);
  cpu.physical.write(CODE, Uint8Array.from(code));
  cpu.physical.write(
    SOURCE,
    Uint8Array.from({ length: 4096 }, (_, i) => i + 1),
  );
  if (!emitted) (cpu.physical.observed as unknown as { room: undefined }).room = undefined;
  cpu.physical.track(SOURCE, 4096);
  if (kind === 'long, tables tracked') cpu.physical.track(TABLES, 4 * 4096);
  cpu.flushTlb(false);
  cpu.modeChanged();
  return cpu;
}

/** Offsets in the loaded page that are in the trace. */
function observed(cpu: Cpu): number[] {
  const mask = cpu.physical.observed.observedIn(SOURCE >>> 12)!;
  return Array.from({ length: 4096 }, (_, i) => i).filter((i) => (mask[i >> 3]! >> (i & 7)) & 1);
}

const u32 = (n: number) => [n & 0xff, (n >> 8) & 0xff, (n >> 16) & 0xff, n >>> 24];
const copy = (from: number, to: number, words: number) => [
  ...[0xbe, ...u32(from)], // mov esi, from
  ...[0xbf, ...u32(to)], // mov edi, to
  ...[0xb9, ...u32(words)], // mov ecx, words
  ...[0xf3, 0xa5], // rep movsd
];
// With a SIB byte, which says the same in 64-bit code.
const load = (at: number) => [0x8b, 0x04, 0x25, ...u32(at)]; // mov eax, [at]
const load8 = (at: number) => [0x8a, 0x04, 0x25, ...u32(at)]; // mov al, [at]
const store = (at: number) => [0x89, 0x04, 0x25, ...u32(at)]; // mov [at], eax
const add = (at: number) => [0x01, 0x04, 0x25, ...u32(at)]; // add [at], eax
const add8 = (at: number) => [0x00, 0x04, 0x25, ...u32(at)]; // add [at], al
const HLT = 0xf4;

test('a page that is copied is not observed until the copy is read', (t) => {
  // The store before makes a TLB entry for the target, which the copy must not use.
  const cpu = machine([...store(TARGET + 8), ...copy(SOURCE, TARGET, 1024), HLT]);
  t.is(cpu.run().reason, 'halted');
  t.deepEqual(observed(cpu), []);
  t.is(cpu.state.u8[L.GUEST + TARGET + 4095], 0);
  t.is(cpu.state.u8[L.GUEST + TARGET + 4094], 255);
  t.false(cpu.physical.observed.isPageKnown(TARGET >>> 12));

  const reading = machine([...copy(SOURCE, TARGET, 1024), ...store(TARGET), ...load(TARGET + 12), HLT]);
  t.is(reading.run().reason, 'halted');
  t.deepEqual(observed(reading), [12, 13, 14, 15]);
  t.is(reading.state.reg32(0), 0x100f0e0d);
});

test('the copy of a copy is read through both', (t) => {
  const twice = [...copy(SOURCE, TARGET, 1024), ...copy(TARGET + 4, TARGET + 0x1000, 512)];
  const cpu = machine([...twice, ...load(TARGET + 0x1008), HLT]);
  t.is(cpu.run().reason, 'halted');
  t.is(cpu.state.reg32(0), 0x100f0e0d);
  t.deepEqual(observed(cpu), [12, 13, 14, 15]);
});

test('a page onto itself, a short copy, and a copy by single instructions are observed', (t) => {
  const all = Array.from({ length: 4096 }, (_, i) => i);
  const onto = machine([...copy(SOURCE, SOURCE + 64, 1008), HLT]);
  t.is(onto.run().reason, 'halted');
  t.deepEqual(observed(onto), all.slice(0, 64), 'the rest had been overwritten before it was read');
  const short = machine([...copy(SOURCE, TARGET, 4), HLT]);
  t.is(short.run().reason, 'halted');
  t.deepEqual(observed(short), all.slice(0, 16));
  const single = machine([0xbe, ...u32(SOURCE), 0xbf, ...u32(TARGET), 0xa5, HLT]);
  t.is(single.run().reason, 'halted');
  t.deepEqual(observed(single), all.slice(0, 4));
});

test('a copy that is cut into slices of any length observes the same', (t) => {
  for (const slice of [1, 3, 100]) {
    const cpu = machine([...copy(SOURCE, TARGET, 1024), ...load(TARGET + 0x100), HLT]);
    while (cpu.runUntil(cpu.now + slice).reason === 'until-cycle' && cpu.now < 10_000);
    t.deepEqual(observed(cpu), [0x100, 0x101, 0x102, 0x103], `${slice}`);
  }
});

/** REP MOVS (0xa4), STOS (0xaa) or LODS (0xac) of items of 1, 2, 4 or (in 64-bit code) 8 bytes; `from` and `to` are the first ones. */
const repeated = (opcode: number, from: number, to: number, items: number, bytes: number, down: boolean) => [
  ...(down ? [0xfd] : []), // std
  ...[0xbe, ...u32(from), 0xbf, ...u32(to), 0xb9, ...u32(items)],
  ...{ 1: [0xf3, opcode], 2: [0x66, 0xf3, opcode + 1], 4: [0xf3, opcode + 1], 8: [0xf3, 0x48, opcode + 1] }[bytes]!,
  0xfc, // cld
];

/** Reads, writes and copies in and around the pages; copies and fills go up or down. */
function stepsOf(kind: Kind): fc.Arbitrary<number[]> {
  const sizes = fc.constantFrom(...(kind === 'flat' ? [1, 2, 4] : [1, 2, 4, 8]));
  const step = fc.oneof(
    fc.nat(4000).map((at) => load(SOURCE + at)),
    fc.nat(4094).map((at) => load8(TARGET + at)),
    fc.nat(12_000).map((at) => load(TARGET + at)),
    fc.nat(12_000).map((at) => load(TARGET + at)),
    fc.nat(4000).map((at) => store(SOURCE + at)),
    fc.nat(8000).map((at) => store(TARGET + at)),
    fc.nat(4095).map((at) => add8(SOURCE + at)),
    fc.nat(4000).map((at) => add(SOURCE + at)),
    fc.nat(12_000).map((at) => add(TARGET + at)),
    fc
      .record({
        from: fc.oneof(fc.constant(0), fc.nat(4090)),
        to: fc.oneof(fc.constant(0), fc.nat(6000)),
        items: fc.oneof(fc.constant(1024), fc.nat(1500)),
        bytes: sizes,
        kind: fc.constantFrom('first', 'again', 'fill'),
        down: fc.boolean(),
      })
      .map(({ from, to, items, bytes, kind, down }) => {
        // Downwards from the end of what upwards would be.
        const end = down ? (items - 1) * bytes : 0;
        const opcode = kind === 'fill' ? 0xaa : 0xa4;
        return kind === 'again'
          ? repeated(opcode, TARGET + from + end, TARGET + 0x2000 + to + end, items, bytes, down)
          : repeated(opcode, SOURCE + from + end, TARGET + to + end, items, bytes, down);
      }),
  );
  return fc.array(step, { minLength: 1, maxLength: 6 }).map((steps) => steps.flat());
}

/** Fills of the page that was loaded and of copies of it, little known of or nearly all, up to and over limits and ends. */
function fillsOf(kind: Kind): fc.Arbitrary<number[]> {
  const sizes = fc.constantFrom(...(kind === 'flat' ? [1, 2, 4] : [1, 2, 4, 8]));
  const page = fc.constantFrom(SOURCE, TARGET);
  const touch = fc
    .tuple(page, fc.nat(4092), fc.constantFrom(load, load8, store, add8))
    .map(([page, at, access]) => access(page + at));
  const filled = fc
    .record({
      page,
      // From the beginning, from anywhere, or up to about the end.
      start: fc.oneof(
        fc.constant(0),
        fc.nat(4095),
        fc.nat(80).map((n) => 4095 - n),
      ),
      // Few, up to a limit, or as many as there is room for.
      items: fc.oneof(fc.nat(40), fc.integer({ min: 200, max: 300 }), fc.constant(4096), fc.nat(1500)),
      within: fc.boolean(),
      bytes: sizes,
      down: fc.nat(7).map((n) => n === 0),
    })
    .map(({ page, start, items, within, bytes, down }) => {
      const n = within ? Math.min(items, Math.floor((4096 - start) / bytes)) : items;
      // Never below the page, where the code is not far.
      return repeated(0xaa, SOURCE, page + start + (down ? Math.max(n - 1, 0) * bytes : 0), n, bytes, down);
    });
  const copied = fc
    .record({ shift: fc.oneof(fc.constant(0), fc.nat(4000)), items: fc.oneof(fc.constant(4096), fc.nat(4096)) })
    .map(({ shift, items }) => repeated(0xa4, SOURCE, TARGET + shift, items, 1, false));
  // All but a few words have been read; some of these are filled, and more or less behind them.
  const hole = fc
    .record({
      page,
      at: fc.nat(1000),
      words: fc.integer({ min: 1, max: 20 }),
      behind: fc.oneof(fc.constant(0), fc.integer({ min: -20, max: 20 })),
      items: fc.oneof(fc.nat(80), fc.integer({ min: 200, max: 300 })),
      bytes: sizes,
    })
    .map(({ page, at, words, behind, items, bytes }) => [
      ...(page === TARGET ? repeated(0xa4, SOURCE, TARGET, 1024, 4, false) : []),
      ...repeated(0xac, page, 0, at, 4, false),
      ...repeated(0xac, page + 4 * (at + words), 0, Math.max(1024 - at - words, 0), 4, false),
      ...repeated(0xaa, 0, page + 4 * at + behind, items, bytes, false),
    ]);
  const steps = fc.array(fc.oneof(touch, { arbitrary: filled, weight: 3 }, { arbitrary: hole, weight: 2 }), {
    minLength: 1,
    maxLength: 6,
  });
  return fc
    .tuple(fc.option(copied, { nil: [] }), steps, fc.option(copied, { nil: [] }), steps)
    .map(([first, some, second, more]) => [...first, ...some.flat(), ...second, ...more.flat()]);
}

/** What is left when code has run in slices. `emitted`: tracking is left to emitted code where it can. */
function outcome(code: readonly number[], slice: number, emitted = true, kind: Kind = 'flat'): string {
  const cpu = machine([...code, HLT], emitted, kind);
  while (cpu.runUntil(cpu.now + slice).reason === 'until-cycle' && cpu.now < 30_000);
  const { observed: memory, flags } = cpu.physical;
  const pages = [SOURCE, SOURCE + 0x1000, TARGET, TARGET + 0x1000, TARGET + 0x2000, TARGET + 0x3000].map((at) => {
    const unknown = Buffer.from(memory.unknownIn(at >>> 12) ?? []).toString('hex');
    return `${unknown} ${flags[at >>> 12]! & 9} ${Buffer.from(cpu.state.u8.subarray(L.GUEST + at, L.GUEST + at + 4096)).toString('hex')}`;
  });
  return `${cpu.now} ${cpu.instructions} ${observed(cpu).join()} ${Buffer.from(memory.save()).toString('hex')}\n${pages.join('\n')}`;
}

const KINDS = ['flat', 'long'] as const;
const STEPS = [stepsOf, fillsOf];
for (const kind of KINDS) {
  test(`runs are as their single items, whatever was read, written and copied before (${kind})`, (t) => {
    for (const steps of STEPS)
      fc.assert(
        fc.property(steps(kind), (code) => {
          t.is(outcome(code, 30_000, true, kind), outcome(code, 1, true, kind));
        }),
        { numRuns: 30 },
      );
  });
}

test('runs are as single items at every cycle', (t) => {
  fc.assert(
    fc.property(fillsOf('long'), fc.integer({ min: 1, max: 20_000 }), (code, end) => {
      const at = (slice: number) => {
        const cpu = machine([...code, HLT], true, 'long');
        while (cpu.now < end && cpu.runUntil(Math.min(cpu.now + slice, end)).reason === 'until-cycle');
        const masks = Buffer.from(cpu.physical.observed.save()).toString('hex');
        return `${cpu.now} ${cpu.state.reg32(1)} ${cpu.state.reg32(7)} ${masks}`;
      };
      t.is(at(20_000), at(1));
    }),
    { numRuns: 30 },
  );
});

test('a fill walks tables that are tracked as often as single items', (t) => {
  const filled = fc.record({
    start: fc.oneof(fc.constant(0), fc.nat(4095)),
    items: fc.integer({ min: 2, max: 1500 }),
    copied: fc.boolean(),
    bytes: fc.constantFrom(1, 2, 4, 8),
  });
  fc.assert(
    fc.property(filled, ({ start, items, copied, bytes }) => {
      const after = (single: number) => {
        const to = (copied ? TARGET : SOURCE) + start;
        const one = repeated(0xaa, 0, 0, 1, bytes, false).slice(10, -1);
        const loop = [...one, 0xff, 0xca, 0x75, 0x100 - one.length - 4]; // …; dec edx; jnz
        const rest = repeated(0xaa, 0, 0, items - single, bytes, false).slice(10, -1);
        const code = [0xbf, ...u32(to), 0xba, ...u32(single), ...loop, ...rest, HLT]; // mov edi, to; mov edx, single
        const cpu = machine([...(copied ? copy(SOURCE, TARGET, 1024) : []), ...code], true, 'long, tables tracked');
        t.is(cpu.run().reason, 'halted');
        return Buffer.from(cpu.physical.observed.save()).toString('hex');
      };
      // Twice round the loop at least: what is fetched is the same.
      t.is(after(2), after(items));
    }),
    { numRuns: 60 },
  );
});

for (const kind of KINDS) {
  test(`emitted code keeps the record of a page as TypeScript does (${kind})`, (t) => {
    for (const steps of STEPS)
      fc.assert(
        fc.property(steps(kind), (code) => {
          t.is(outcome(code, 30_000, true, kind), outcome(code, 30_000, false, kind));
        }),
        { numRuns: 30 },
      );
  });
}

test('a copied page is whole when its last unknown byte is read, or written', (t) => {
  for (const last of [load8(TARGET + 4095), [0xa2, ...u32(TARGET + 4095)]]) {
    const words = Array.from({ length: 1023 }, (_, n) => load(TARGET + 4 * n)).flat();
    const all = [...words, ...load8(TARGET + 4092), ...load8(TARGET + 4093), ...load8(TARGET + 4094)];
    const cpu = machine([...copy(SOURCE, TARGET, 1024), ...all, HLT]);
    t.is(cpu.run().reason, 'halted');
    t.false(cpu.physical.observed.isPageKnown(TARGET >>> 12));
    const whole = machine([...copy(SOURCE, TARGET, 1024), ...all, ...last, HLT]);
    t.is(whole.run().reason, 'halted');
    t.true(whole.physical.observed.isPageKnown(TARGET >>> 12));
  }
});

test('a device that reads the copy observes it', (t) => {
  const cpu = machine([...copy(SOURCE, TARGET, 1024), HLT]);
  t.is(cpu.run().reason, 'halted');
  t.deepEqual([...cpu.physical.read(TARGET + 20, 3)], [21, 22, 23]);
  t.deepEqual(observed(cpu), [20, 21, 22]);
});
