// Every opcode row in both tiers: short programs that begin with an instruction of the row, in states made for it, run
// in a processor that interprets and, translated, in another one. They end at a HLT or in an exception's handler; all
// registers, memory, cycles and instructions must be the same.

import test from 'ava';
import { QEMU64_V1 } from '../../../src/cpu/cpuid.js';
import { allRows } from '../../../src/cpu/isa/rows.js';
import { Translator } from '../../../src/cpu/jit/translator.js';
import * as L from '../../../src/cpu/layout.js';
import { PAGE_DIRTY } from '../../../src/cpu/physical.js';
import { saveProcessor } from '../../../src/cpu/snapshot.js';
import { CaseGenerator, WORDS } from '../oracles/case-generator.js';
import { PAGE } from '../oracles/descriptor-tables.js';
import { RowFinder, rowName } from '../oracles/rows.js';
import { type Case, everyFeature, SingleStep } from '../oracles/single-step.js';

const CYCLES = 2000;
/** TIERS_PROGRAMS asks for more of them for each row, TIERS_SEED for others. */
const perRow = Number(process.env.TIERS_PROGRAMS ?? 1);
const seed = Number(process.env.TIERS_SEED ?? 20261122);

/** Words from a seed (xorshift). */
function* words(from: number): Generator<number> {
  let x = from | 1;
  for (;;) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    yield x >>> 0;
  }
}

const model = everyFeature(QEMU64_V1);
const finder = new RowFinder(model);
const stream = words(seed);
const take = (n: number): number[] => Array.from({ length: n }, () => stream.next().value as number);

/** A case of one of the rows, with the same kind of code as wanted. */
function draw(generator: CaseGenerator, bits?: number) {
  for (let tries = 0; tries < 50; tries++) {
    const made = generator.make(take(WORDS));
    if (made !== undefined && (bits === undefined || made.given.bits === bits)) return made.given;
  }
  return undefined;
}

/** SETcc AL and LEA EBX, [RAX + RBX * 2] for all conditions: what the flags are, by every way of asking. */
function conditions(bits: number): number[] {
  const lea = [...(bits === 64 ? [0x48] : bits === 16 ? [0x66, 0x67] : []), 0x8d, 0x1c, 0x58];
  return Array.from({ length: 16 }, (_, cc) => [0x0f, 0x90 + cc, 0xc0, ...lea]).flat();
}

class Runner {
  readonly step = new SingleStep(model);
  readonly translator: Translator | undefined;

  constructor(translated: boolean) {
    if (translated)
      this.step.cpu.translateBy((parts) => {
        const made = new Translator(parts, { threshold: () => 1, batch: 1, patience: 0 });
        Object.assign(this, { translator: made });
        return made;
      });
  }

  /** Twice, the second time with what the first one left to be translated. */
  run(given: Case): string {
    this.once(given, false);
    this.translator?.poll();
    return this.once(given, true);
  }

  private once(given: Case, again: boolean): string {
    const { cpu } = this.step;
    this.step.prepare(given, 2, again);
    const [cycle, instructions] = [cpu.now, cpu.instructions];
    const end = cpu.runUntil(cpu.now + CYCLES);
    const s = cpu.state;
    const registers = Array.from({ length: 16 }, (_, n) => s.reg(n).toString(16)).join(' ');
    const counted = `${end.reason}, ${cpu.now - cycle} cycles, ${cpu.instructions - instructions} instructions`;
    const memory = Array.from(cpu.physical.flags.subarray(0, cpu.physical.ramSize >>> 12).keys())
      .filter((page) => cpu.physical.flags[page]! & PAGE_DIRTY)
      .map((page) => `${page}:${sum(s.u8.slice(L.GUEST + page * PAGE, L.GUEST + (page + 1) * PAGE))}`);
    const processor = sum(saveProcessor(cpu).slice());
    return [counted, s.rip.toString(16), registers, s.eflags.toString(16), processor, ...memory].join('\n');
  }
}

/** A cheap checksum: there are thousands of programs. */
function sum(bytes: Uint8Array): string {
  let total = 0;
  const words = new Int32Array(bytes.buffer, 0, bytes.length >>> 2);
  for (let i = 0; i < words.length; i++) total = (Math.imul(total, 31) + words[i]!) | 0;
  return total.toString(16);
}

test('programs of every row end the same in both tiers', (t) => {
  t.timeout(10 * 60_000);
  const generator = new CaseGenerator(finder, new Set());
  const [interpreted, translated] = [new Runner(false), new Runner(true)];
  let programs = 0;
  for (const row of allRows) {
    for (let n = 0; n < perRow; n++) {
      generator.rows = [row];
      const first = draw(generator);
      if (first === undefined) continue;
      generator.rows = allRows;
      const [x, y] = take(2).map(() => draw(generator, first.bits)?.code ?? new Uint8Array());
      const code = Uint8Array.from([...first.code, ...conditions(first.bits), ...x!, ...y!]);
      const memory = new Uint8Array(PAGE);
      for (const { offset, bytes } of first.patches ?? []) memory.set(bytes, offset);
      const given: Case = { ...first, code, memory };
      const [a, b] = [interpreted.run(given), translated.run(given)];
      programs++;
      if (a !== b) {
        t.fail(`${rowName(row)}: ${Buffer.from(code).toString('hex')} in ${first.bits}-bit code\n${a}\n\n${b}`);
        return;
      }
    }
  }
  t.true(programs > 0.9 * perRow * allRows.length, `${programs} programs`);
  t.true(translated.translator!.counts.blocks > programs);
});
