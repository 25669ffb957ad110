// Reads of partial pages in translated code: what is known of the pages, and how often they were read, is what it is with
// tier 0 alone, whatever is translated, whichever sites note what they read themselves, and wherever an access lies: over
// the end of a page, in a copied page, behind the limit. Instructions that read and then leave the region count once.

import { createHash } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { MachineHash } from '../../../src/api/machine-state.js';
import { packKept, unpackKept } from '../../../src/cpu/jit/kept.js';
import type { TranslatorOptions } from '../../../src/cpu/jit/translator.js';
import * as L from '../../../src/cpu/layout.js';
import { READ_LIMIT } from '../../../src/cpu/observed.js';
import { CR4_PAE, EFER_LMA } from '../../../src/cpu/state.js';
import { type BareMachine, bareMachine, u32 } from './bare-machine.js';

const MIB = 0x10_0000;
const LOOP = 0x1000;
/** Addresses of the steps that the loop jumps to. */
const TABLE = 0x2000;
/** Page tables that map the first 2 MiB by small pages, the rest by large ones. */
const TABLES = 0x9000;
/** Pages that a loader filled; the one behind them is known. */
const LOADED = 0x1_0000;
const LOADED_PAGES = 3;
/** Where they are copied to. */
const COPY = 0x20_0000;
const SCRIPT = 0x40_0000;
const MOST_CYCLES = 1_000_000;

const LODSD = 0xad;
const SWAP = [0x48, 0x96]; // xchg rsi, rax
const WRITTEN = LOADED + 2 * 4096 + 0x800;

// What the guest does at the address in RAX: it reads words, of which the first of each step is one of these numbers.
const STEPS = {
  read1: [0x0f, 0xb6, 0x18], // movzx ebx, byte [rax]
  read2: [0x0f, 0xb7, 0x18], // movzx ebx, word [rax]
  read4: [0x03, 0x18], // add ebx, [rax]
  read8: [0x48, 0x33, 0x18], // xor rbx, [rax]
  read16: [0xf3, 0x0f, 0x6f, 0x00], // movdqu xmm0, [rax]
  compare: [0x38, 0x18, 0x48, 0x0f, 0x42, 0xd8], // cmp [rax], bl; cmovb rbx, rax
  pop: [0x48, 0x94, 0x5b, 0x48, 0x94], // xchg rsp, rax; pop rbx; xchg rsp, rax
  divide: [0x31, 0xd2, 0xf7, 0x30], // xor edx, edx; div dword [rax]
  // These leave the region after the read.
  push: [0xbc, ...u32(WRITTEN), 0xff, 0x30], // mov esp, WRITTEN; push [rax]
  move: [...SWAP, 0xbf, ...u32(WRITTEN), 0xa5, ...SWAP], // mov edi, WRITTEN; movsd
  compareTwo: [...SWAP, 0xbf, ...u32(LOADED + 8), 0xa6, ...SWAP], // mov edi, LOADED + 8; cmpsb
  write: [0x88, 0x18], // mov [rax], bl
  modify: [0x00, 0x18], // add [rax], bl
  // mov r8, rsi; mov esi, LOADED; mov edi, eax; mov ecx, 1024; rep movsd; mov rsi, r8
  copy: [0x49, 0x89, 0xf0, 0xbe, ...u32(LOADED), 0x89, 0xc7, 0xb9, ...u32(1024), 0xf3, 0xa5, 0x4c, 0x89, 0xc6],
  end: [0xf4],
};
type Step = keyof typeof STEPS;
const READS = ['read1', 'read2', 'read4', 'read8', 'read16', 'compare', 'pop', 'divide'] as const;
const numberOf = (step: Step): number => Object.keys(STEPS).indexOf(step);
type Script = readonly (readonly [step: Step, address: number])[];

function machine(script: Script, tier?: TranslatorOptions): BareMachine {
  const { cpu, translator, put, words } = bareMachine(8 * MIB, tier);
  put(LOOP, [LODSD, 0xff, 0x24, 0xc5, ...u32(TABLE)]); // jmp [TABLE + 8 * rax]
  let at = LOOP + 16;
  Object.values(STEPS).forEach((code, n) => {
    const end = at + 1 + code.length + 5;
    put(at, [LODSD, ...code, 0xe9, ...u32(LOOP - end)]);
    words(TABLE + 8 * n, [at, 0]);
    at = end;
  });
  for (const level of [0, 1, 2]) words(TABLES + level * 4096, [(TABLES + (level + 1) * 4096) | 0x23, 0]);
  for (let n = 1; n < 4; n++) words(TABLES + 2 * 4096 + n * 8, [(n * 2 * MIB) | 0xe3, 0]);
  for (let n = 0; n < 512; n++) words(TABLES + 3 * 4096 + n * 8, [(n * 4096) | 0x63, 0]);
  const loaded = LOADED_PAGES * 4096;
  put(
    LOADED,
    Array.from({ length: loaded }, (_, i) => (i % 255) + 1),
  );
  words(
    SCRIPT,
    [...script, ['end', 0] as const].flatMap(([step, address]) => [numberOf(step), address]),
  );
  const { state } = cpu;
  state.set32(L.CR0, 0x8001_0211);
  state.set32(L.CR3, TABLES);
  state.set32(L.CR4, CR4_PAE | 0x200);
  state.set32(L.EFER, EFER_LMA | 0x100);
  state.setSegment(L.CS, 8, 0n, 0xffff_ffff, 0xa09b);
  for (const segment of [L.DS, L.ES, L.SS]) state.setSegment(segment, 16, 0n, 0xffff_ffff, 0xc093);
  state.rip = BigInt(LOOP);
  state.setReg(6, BigInt(SCRIPT));
  cpu.physical.track(LOADED, loaded);
  cpu.flushTlb(false);
  cpu.modeChanged();
  return { cpu, translator };
}

/** What is left when the script has run in slices, as much as the guest and its trace can know of it. */
function outcome({ cpu }: BareMachine, slices: readonly number[] = [MOST_CYCLES]): string {
  for (let i = 0; !cpu.isHalted && cpu.now < MOST_CYCLES; i++) {
    const { reason } = cpu.runUntil(Math.min(cpu.now + slices[i % slices.length]!, MOST_CYCLES));
    if (reason !== 'until-cycle') break;
  }
  const { observed } = cpu.physical;
  const seen = Array.from({ length: LOADED_PAGES }, (_, n) => observed.observedIn((LOADED >>> 12) + n));
  const known = createHash('sha256');
  for (const bytes of [observed.save(), ...seen]) known.update(bytes ?? 'all');
  const hash = Buffer.from(MachineHash.of(cpu).hash()).toString('hex');
  return `${cpu.isHalted ? 'halted' : 'not halted'}, ${cpu.instructions} instructions, ${hash} ${known.digest('hex')}`;
}

/** Tracked reads that tier 0 made. */
function readsByTier0({ cpu }: BareMachine): number {
  const { u16 } = cpu.state;
  return u16.subarray(L.SITE_READS >>> 1, (L.SITE_READS >>> 1) + L.SITES).reduce((sum, n) => sum + n, 0);
}

const always: TranslatorOptions = { threshold: () => 1, batch: 1, patience: 0 };
/** Often enough for what is hot to be translated. */
const SHORT = [97];

const nat = (max: number) => fc.nat({ max: max - 1 });
const address = fc.oneof(
  nat(LOADED_PAGES * 4096).map((n) => LOADED + n),
  // About the end of a page, known or not what follows.
  fc.tuple(nat(LOADED_PAGES), nat(24)).map(([page, n]) => LOADED + (page + 1) * 4096 - n),
  nat(2 * 4096).map((n) => COPY + n),
);
/** One step again and again, from its address on by some bytes. */
const stride = fc
  .record({
    step: fc.oneof(
      { arbitrary: fc.constantFrom(...READS), weight: 4 },
      fc.constantFrom(...(Object.keys(STEPS) as Step[])),
    ),
    address,
    by: fc.integer({ min: 0, max: 20 }),
    times: fc.oneof({ arbitrary: fc.integer({ min: 1, max: 60 }), weight: 8 }, fc.constant(READ_LIMIT + 50)),
  })
  .map(({ step, address, by, times }): Script => {
    if (step === 'end') return [];
    // What was never copied there is zero.
    if (step === 'divide' && address >= COPY) return [];
    if (step === 'copy') return [[step, COPY + (address & 0xff0)]];
    const inBounds = (at: number) => (at < COPY ? LOADED + ((at - LOADED) % (LOADED_PAGES * 4096)) : at);
    return Array.from({ length: times }, (_, n) => [step, inBounds(address + n * by)] as const);
  });
const scripts = fc.array(stride, { minLength: 5, maxLength: 30 }).map((list): Script => list.flat());

test('what is known of pages is the same whatever notes it', (t) => {
  t.timeout(5 * 60_000);
  let halted = 0;
  fc.assert(
    fc.property(
      scripts,
      fc.constantFrom(0, 1, 5, 50),
      fc.array(fc.constantFrom(1, 1, 2, 3, 10), { minLength: 1, maxLength: 10 }),
      fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 10 }),
      (script, noted, thresholds, slices) => {
        const expected = outcome(machine(script));
        if (expected.startsWith('halted')) halted++;
        t.is(outcome(machine(script, { ...always, noted: 0 }), SHORT), expected);
        let i = 0;
        const some = { threshold: () => thresholds[i++ % thresholds.length]!, batch: 2, patience: 1000, noted };
        t.is(outcome(machine(script, some), slices), expected);
      },
    ),
    { numRuns: 40 },
  );
  // Few divide by what they have made zero.
  t.true(halted > 25, `${halted}`);
});

for (const step of READS)
  test(`translated code notes what it reads: ${step}`, (t) => {
    const script = Array.from({ length: 1000 }, (_, n) => [step, LOADED + 8 * (n % 1000)] as const);
    const interpreted = machine(script);
    const expected = outcome(interpreted);
    t.true(readsByTier0(interpreted) >= 1000 - 2 * LOADED_PAGES);
    const without = machine(script, { ...always, noted: 0x1_0000 });
    t.is(outcome(without, SHORT), expected);
    t.true(readsByTier0(without) >= 1000 - 2 * LOADED_PAGES);
    const noting = machine(script, { ...always, noted: 10 });
    t.is(outcome(noting, SHORT), expected);
    // An instruction that can fault after its read is left to tier 0.
    if (step === 'divide') t.is(readsByTier0(noting), readsByTier0(without));
    else t.true(readsByTier0(noting) < 100, `${readsByTier0(noting)}`);
  });

test('regions that were left for what they read are made anew, and kept so', (t) => {
  const script = Array.from({ length: 1000 }, (_, n) => ['read4', LOADED + 8 * n] as const);
  const tier = { ...always, noted: 300, renewing: 500 };
  const first = machine(script, tier);
  const expected = outcome(first, SHORT);
  t.is(expected, outcome(machine(script)));
  t.true(first.translator!.renew() > 0);
  t.is(first.translator!.renew(), 0);
  const kept = unpackKept(new Uint8Array(Buffer.concat(packKept(first.translator!.keep(false)!))))!;
  t.true(kept.modules.some(({ regions }) => regions.some(({ notes }) => notes)));
  const second = machine(script, { threshold: () => 1_000_000, batch: 1, patience: 0, kept });
  t.is(outcome(second), expected);
  t.true(readsByTier0(second) < 100, `${readsByTier0(second)}`);
});
