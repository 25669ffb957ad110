// A guest runs the same whether its code is interpreted or translated, whenever what is translated: every guest of the
// corpus ends in the same state at the same cycle with tier 1 off, with every block translated after its first
// execution, and with thresholds, batches and slices of the run chosen at random. The same with what an earlier run
// translated, be it of this guest, of another, or damaged.

import test from 'ava';
import fc from 'fast-check';
import { type CorpusGuest, corpusGuests } from '../../../bin/corpus.js';
import { makeGuest } from '../../../src/api/guest.js';
import { MachineHash } from '../../../src/api/machine-state.js';
import { type KeptTranslations, packKept, unpackKept } from '../../../src/cpu/jit/kept.js';
import { Translator, type TranslatorOptions } from '../../../src/cpu/jit/translator.js';
import * as L from '../../../src/cpu/layout.js';
import { bootOf } from '../../api/corpus-boot.js';

const MOST_CYCLES = 20_000_000;

interface Run {
  readonly outcome: string;
  readonly blocks: number;
  readonly returned: number;
  readonly kept: KeptTranslations | undefined;
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
    const { blocks, returned } = translator?.counts ?? { blocks: 0, returned: 0 };
    const kept = translator?.keep(false);
    return { outcome, blocks, returned, kept: kept && unpackKept(new Uint8Array(Buffer.concat(packKept(kept)))) };
  }
}

const always: TranslatorOptions = { threshold: () => 1, batch: 1, patience: 0 };
/** Nothing is translated but what is kept. */
const onlyKept = (kept: KeptTranslations | undefined): TranslatorOptions => ({
  ...{ threshold: () => 1_000_000, batch: 1, patience: 0 },
  kept,
});
/** As of a guest that differs in the immediate operand or the handler of every third block's first record. */
const stale = ({ modules, ...kept }: KeptTranslations): KeptTranslations => {
  let n = 0;
  const change = (records: Uint8Array): Uint8Array => {
    const changed = new Uint8Array(records);
    if (n++ % 3 === 0) changed[L.UOP_SIZE + (n % 2 === 0 ? L.UOP_IMM : L.UOP_HANDLER)]! ^= 1;
    return changed;
  };
  return {
    ...kept,
    modules: modules.map(({ regions, ...module }) => ({
      ...module,
      regions: regions.map(({ blocks, ...region }) => ({
        ...region,
        blocks: blocks.map(({ records, ...block }) => ({ ...block, records: change(records) })),
      })),
    })),
  };
};

let translated = 0;
let another: KeptTranslations | undefined;
let [returned, expected] = [0, 0];

for (const guest of await corpusGuests()) {
  const interpreted = run(guest, undefined).outcome;

  test(`${guest.name} ends the same when every block is translated`, (t) => {
    const { outcome, blocks } = run(guest, always, [997]);
    t.is(outcome, interpreted);
    translated += blocks;
  });

  test(`${guest.name} ends the same with kept translations, and uses those that are of it`, (t) => {
    const { kept, blocks } = run(guest, always);
    const right = run(guest, onlyKept(kept));
    t.is(right.outcome, interpreted);
    if (kept) {
      returned += right.returned;
      expected += blocks;
      t.is(run(guest, onlyKept(stale(kept)), [997]).outcome, interpreted);
    }
    if (another) t.is(run(guest, { ...always, kept: another }, [60_000]).outcome, interpreted);
    another = kept ?? another;
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

test.after('blocks were translated at all, and kept ones used', (t) => {
  t.true(translated > 1000);
  t.true(returned > expected / 2, `${returned} of ${expected}`);
});
