// A guest runs the same whether its code is interpreted or translated, whenever what is translated: every guest of the
// corpus ends in the same state at the same cycle with tier 1 off, with every block translated after its first
// execution, and with thresholds, batches and slices of the run chosen at random.

import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { type CorpusGuest, corpusGuests } from '../../../bin/corpus.js';
import { parseSize } from '../../../bin/options/values.js';
import { makeGuest } from '../../../src/api/guest.js';
import { MachineHash } from '../../../src/api/machine-state.js';
import type { BootOptions } from '../../../src/api/options.js';
import { Translator, type TranslatorOptions } from '../../../src/cpu/jit/translator.js';

const MOST_CYCLES = 20_000_000;

function bootOf({ image, directory, expected: { boot } }: CorpusGuest): BootOptions {
  const { route = 'pvh', memory, modules, maxCycles: _, ...same } = boot;
  const options: BootOptions = { ...same, boot: route, kernel: image, memory: parseSize(memory) };
  if (modules) options.modules = modules.map((m) => ({ ...m, path: join(directory, m.path) }));
  if (boot.serialIn) options.serialIn = join(directory, boot.serialIn);
  return options;
}

interface Run {
  readonly outcome: string;
  readonly blocks: number;
}

function run(corpusGuest: CorpusGuest, tier: TranslatorOptions | undefined, slices: readonly number[] = []): Run {
  const guest = makeGuest(bootOf(corpusGuest));
  const { cpu } = guest;
  let translator: Translator | undefined;
  if (tier) cpu.translateBy((parts) => (translator = new Translator(parts, tier)));
  let serial = '';
  guest.pc.onSerial = (byte) => {
    serial += String.fromCharCode(byte);
  };
  for (let i = 0; ; i++) {
    const slice = slices.length === 0 ? MOST_CYCLES : slices[i % slices.length]!;
    let end = cpu.runUntil(Math.min(cpu.now + slice, MOST_CYCLES));
    if (end.reason === 'breakpoint') end = guest.handoff.reached() ?? { reason: 'until-cycle' };
    if (end.reason === 'until-cycle' && cpu.now < MOST_CYCLES) continue;
    const hash = Buffer.from(MachineHash.of(cpu).hash()).toString('hex');
    const outcome = `${end.reason} at ${cpu.now}, ${cpu.instructions} instructions, ${hash}\n${serial}`;
    return { outcome, blocks: translator?.counts.blocks ?? 0 };
  }
}

const always: TranslatorOptions = { threshold: () => 1, batch: 1, patience: 0 };
let translated = 0;

for (const guest of await corpusGuests()) {
  const interpreted = run(guest, undefined).outcome;

  test(`${guest.name} ends the same when every block is translated`, (t) => {
    const { outcome, blocks } = run(guest, always, [997]);
    t.is(outcome, interpreted);
    translated += blocks;
  });

  test(`${guest.name} ends the same whenever its blocks are translated`, (t) => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(1, 1, 2, 3, 10, 1000), { minLength: 1, maxLength: 30 }),
        fc.constantFrom(1, 2, 7, 32),
        fc.constantFrom(0, 1000, 100_000, 100_000_000),
        fc.array(fc.integer({ min: 1, max: 60_000 }), { minLength: 1, maxLength: 20 }),
        (thresholds, batch, patience, slices) => {
          let i = 0;
          const threshold = () => thresholds[i++ % thresholds.length]!;
          // Ones alone would take minutes; a large slice among them keeps the run short.
          t.is(run(guest, { threshold, batch, patience }, [...slices, 60_000]).outcome, interpreted);
        },
      ),
      { numRuns: 2 },
    );
  });
}

test.after('blocks were translated at all', (t) => {
  t.true(translated > 1000);
});
