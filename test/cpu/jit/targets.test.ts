// Returns and indirect jumps on the real processor, with tier 1 and without: guests whose sites lead elsewhere from time
// to time, whose functions are rewritten where they lie and whose pages are mapped anew compute what they must, and end
// the same at every threshold. What no result shows stays as it is, too: a walk that marks its entries, a breakpoint.
// Whatever is remembered of where a site led (docs/decisions.md, inline cache) has to pass here.

import test from 'ava';
import fc from 'fast-check';
import { MachineHash } from '../../../src/api/machine-state.js';
import type { Cpu } from '../../../src/cpu/cpu.js';
import type { TranslatorOptions } from '../../../src/cpu/jit/translator.js';
import * as L from '../../../src/cpu/layout.js';
import { type BareMachine, bareMachine, u32 } from './bare-machine.js';

const MIB = 0x10_0000;
const LOOP = 0x1000;
/** Addresses of the steps that the loop jumps to. */
const TABLE = 0x2000;
const DIRECTORY = 0x1_0000;
/** Page tables of the first 8 MiB, one behind the other. */
const TABLES = 0x1_1000;
/** Physical pages with functions, and the linear pages that lead to them. */
const FRAMES = 0x3_0000;
const FRAME_COUNT = 4;
const PAGES = 0x5_0000;
const PAGE_COUNT = 4;
const SCRIPT = 0x10_0000;
const MOST_CYCLES = 10_000_000;

const PRESENT_WRITABLE = 3;
const GLOBAL = 0x100;

/** Where functions lie in a page. The last runs into the page behind it, whose first bytes are its operand. */
const FUNCTIONS = [0x10, 0x4b, 0x8b0, 0xffe];
const CROSSING = FUNCTIONS.length - 1;

const TIMES_33 = [0x69, 0xdb, ...u32(33)]; // imul ebx, ebx, 33
const ADD = [0x81, 0xc3]; // add ebx, …
const RET = 0xc3;
const LODSD = 0xad;

/** The operand of a function that lies in a frame: there, or for CROSSING in the frame of the page behind. */
const operandIn = (frame: number, fn: number): number =>
  FRAMES + frame * 4096 + (fn === CROSSING ? 0 : FUNCTIONS[fn]! + TIMES_33.length + ADD.length);
const entryOf = (linear: number): number => TABLES + 4 * (linear >>> 12);

// What the guest does: it reads words, of which the first of each step is one of these numbers.
const STEPS = {
  call: [LODSD, 0xff, 0xd0], // call eax
  callMemory: [LODSD, 0xff, 0x56, 0xfc], // call [esi - 4]
  return: [LODSD, 0x68, ...u32(LOOP), 0x50, RET], // push LOOP; push eax; ret
  write: [LODSD, 0x91, LODSD, 0x89, 0x01], // xchg ecx, eax; lodsd; mov [ecx], eax
  invalidate: [LODSD, 0x0f, 0x01, 0x38], // invlpg [eax]
  reload: [0x0f, 0x20, 0xda, 0x0f, 0x22, 0xda], // mov edx, cr3; mov cr3, edx
  look: [LODSD, 0x0f, 0xba, 0x20, 0x05, 0x11, 0xed], // bt dword [eax], 5 (accessed); adc ebp, ebp
  end: [0xf4],
};
type Step = keyof typeof STEPS;
const numberOf = (step: Step): number => Object.keys(STEPS).indexOf(step);

function machine(script: readonly number[], tier?: TranslatorOptions): BareMachine {
  const { cpu, translator, put, words } = bareMachine(8 * MIB, tier);
  put(LOOP, [LODSD, 0xff, 0x24, 0x85, ...u32(TABLE)]); // jmp [TABLE + 4 * eax]
  let at = LOOP + 16;
  Object.values(STEPS).forEach((code, n) => {
    const end = at + code.length + 5;
    put(at, [...code, 0xe9, ...u32(LOOP - end)]);
    words(TABLE + 4 * n, [at]);
    at = end;
  });
  for (let frame = 0; frame < FRAME_COUNT; frame++) {
    for (const fn of FUNCTIONS.keys()) words(operandIn(frame, fn), [firstOperand(frame, fn)]);
    put(operandIn(frame, CROSSING) + 4, [RET]);
    FUNCTIONS.forEach((offset, fn) => {
      put(FRAMES + frame * 4096 + offset, fn === CROSSING ? ADD : [...TIMES_33, ...ADD]);
      if (fn !== CROSSING) put(operandIn(frame, fn) + 4, [RET]);
    });
  }
  words(DIRECTORY, [TABLES | PRESENT_WRITABLE, (TABLES + 4096) | PRESENT_WRITABLE]);
  words(
    TABLES,
    [...Array(2048).keys()].map((page) => (page * 4096) | PRESENT_WRITABLE),
  );
  for (let page = 0; page <= PAGE_COUNT; page++) words(entryOf(PAGES + page * 4096), [entryFor(page % FRAME_COUNT)]);
  words(SCRIPT, [...script, numberOf('end')]);
  const { state } = cpu;
  state.set32(L.CR0, 0x8001_0011);
  state.set32(L.CR3, DIRECTORY);
  state.set32(L.CR4, 0x80);
  state.setSegment(L.CS, 8, 0n, 0xffff_ffff, 0xc09b);
  for (const segment of [L.DS, L.ES, L.SS]) state.setSegment(segment, 16, 0n, 0xffff_ffff, 0xc093);
  state.rip = BigInt(LOOP);
  state.setReg(4, 0x8000n);
  state.setReg(6, BigInt(SCRIPT));
  cpu.flushTlb(false);
  cpu.modeChanged();
  return { cpu, translator };
}
const firstOperand = (frame: number, fn: number): number => 0x1001 * (frame + 1) + 7 * fn;
const entryFor = (frame: number, flags = 0): number => (FRAMES + frame * 4096) | PRESENT_WRITABLE | flags;

/** A script, and what EBX is at its end. */
class Plan {
  readonly words: number[] = [];
  sum = 0;
  private readonly operands = [...Array(FRAME_COUNT).keys()].map((frame) =>
    FUNCTIONS.map((_, fn) => firstOperand(frame, fn)),
  );
  private readonly frames = [...Array(PAGE_COUNT + 1).keys()].map((page) => page % FRAME_COUNT);
  private readonly global = new Set<number>();

  private add(step: Step, ...operands: readonly number[]): void {
    this.words.push(numberOf(step), ...operands);
  }
  call(how: 'call' | 'callMemory' | 'return', page: number, fn: number): void {
    this.add(how, PAGES + page * 4096 + FUNCTIONS[fn]!);
    const operand = this.operands[this.frames[fn === CROSSING ? page + 1 : page]!]![fn]!;
    this.sum = ((fn === CROSSING ? this.sum : Math.imul(this.sum, 33)) + operand) | 0;
  }
  /** By the linear address that functions are called at, where there is one, or by another. */
  rewrite(frame: number, fn: number, operand: number, alias: boolean): void {
    const page = this.frames.indexOf(frame);
    const at = operandIn(frame, fn);
    this.add('write', alias || page < 0 ? at : PAGES + page * 4096 + (at & 0xfff), operand);
    this.operands[frame]![fn] = operand;
  }
  map(page: number, frame: number, global: boolean, reload: boolean): void {
    const linear = PAGES + page * 4096;
    this.add('write', entryOf(linear), entryFor(frame, global ? GLOBAL : 0));
    // A reload leaves global pages alone.
    if (reload && !this.global.has(page)) this.add('reload');
    else this.add('invalidate', linear);
    this.frames[page] = frame;
    if (global) this.global.add(page);
    else this.global.delete(page);
  }
}

function outcome({ cpu }: { cpu: Cpu }, slices: readonly number[] = [MOST_CYCLES]): string {
  for (let i = 0; ; i++) {
    const slice = cpu.isHalted ? MOST_CYCLES : slices[i % slices.length]!;
    const { reason } = cpu.runUntil(Math.min(cpu.now + slice, MOST_CYCLES));
    if (reason === 'until-cycle' && cpu.now < MOST_CYCLES) continue;
    const hash = Buffer.from(MachineHash.of(cpu).hash()).toString('hex');
    return `${cpu.isHalted ? 'halted' : reason}, ${cpu.instructions} instructions, ${hash}`;
  }
}

const always: TranslatorOptions = { threshold: () => 1, batch: 1, patience: 0 };
const nat = (max: number) => fc.nat({ max: max - 1 });
const how = fc.constantFrom('call' as const, 'callMemory' as const, 'return' as const);
type Action = (plan: Plan) => void;
const calls = fc
  .tuple(fc.array(fc.tuple(how, nat(PAGE_COUNT), nat(FUNCTIONS.length)), { minLength: 1, maxLength: 6 }), nat(8))
  .map(
    ([list, times]): Action =>
      (plan) => {
        for (let i = 0; i <= times; i++) for (const call of list) plan.call(...call);
      },
  );
const rewrite = fc.tuple(nat(FRAME_COUNT), nat(FUNCTIONS.length), fc.nat(), fc.boolean()).map(
  (how): Action =>
    (plan) =>
      plan.rewrite(...how),
);
const map = fc.tuple(nat(PAGE_COUNT), nat(FRAME_COUNT), fc.boolean(), fc.boolean()).map(
  (how): Action =>
    (plan) =>
      plan.map(...how),
);
const actions = fc.array(fc.oneof({ arbitrary: calls, weight: 2 }, rewrite, map), { minLength: 20, maxLength: 120 });

test('targets that change, code that is rewritten and pages that are mapped anew are as in memory', (t) => {
  t.timeout(5 * 60_000);
  let translated = 0;
  fc.assert(
    fc.property(
      actions,
      fc.array(fc.constantFrom(1, 1, 2, 3, 10), { minLength: 1, maxLength: 10 }),
      fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 10 }),
      (list, thresholds, slices) => {
        const plan = new Plan();
        for (const action of list) action(plan);
        const interpreted = machine(plan.words);
        const expected = outcome(interpreted);
        t.regex(expected, /^halted/);
        t.is(interpreted.cpu.state.reg32(3) | 0, plan.sum);
        const all = machine(plan.words, always);
        t.is(outcome(all, [997]), expected);
        translated += all.translator!.counts.blocks;
        let i = 0;
        const some = { threshold: () => thresholds[i++ % thresholds.length]!, batch: 2, patience: 1000 };
        t.is(outcome(machine(plan.words, some), slices), expected);
      },
    ),
    { numRuns: 25 },
  );
  t.true(translated > 300, `${translated} blocks`);
});

for (const [name, tier] of [['interpreted', undefined] as const, ['translated', always] as const]) {
  test(`a page that another one took the place of is walked again, ${name}`, (t) => {
    const rival = PAGES + 4096 * L.CODE_TLB_ENTRIES;
    const plan = new Plan();
    const warm = () => {
      for (let i = 0; i < 200; i++) plan.call('call', 0, 0);
    };
    warm();
    plan.words.push(numberOf('write'), entryOf(rival), entryFor(0));
    plan.words.push(numberOf('write'), entryOf(PAGES), entryFor(0));
    warm();
    const look = () => plan.words.push(numberOf('look'), entryOf(PAGES));
    look();
    plan.words.push(numberOf('call'), rival + FUNCTIONS[0]!);
    look();
    plan.call('call', 0, 0);
    look();
    const { cpu } = machine(plan.words, tier);
    t.is(cpu.run().reason, 'halted');
    // While it is in the code TLB, nobody reads its entry, which was written without INVLPG.
    t.is(cpu.state.reg32(5), 0b001);
  });

  test(`a breakpoint where a site has led before is met, and goes away again, ${name}`, (t) => {
    const plan = new Plan();
    for (let i = 0; i < 1000; i++) plan.call(i % 3 === 0 ? 'return' : 'call', 1, 2);
    const expected = outcome(machine(plan.words, tier));
    const made = machine(plan.words, tier);
    const { cpu } = made;
    t.is(cpu.runUntil(2000).reason, 'until-cycle');
    const linear = BigInt(PAGES + 4096 + FUNCTIONS[2]!);
    cpu.setBreakpoint(linear);
    for (let i = 0; i < 3; i++) {
      t.is(cpu.run().reason, 'breakpoint');
      t.is(cpu.state.rip, linear);
      cpu.step();
    }
    cpu.clearBreakpoint(linear);
    t.is(outcome(made), expected);
  });
}
