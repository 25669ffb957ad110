// The second execution tier of a run: loaded only by runs that are long enough to gain from it, and from the start where
// an earlier boot of the same has left its translations. It never changes a trace.

import type { Cpu } from '../cpu/cpu.js';
import { type KeptTranslations, unpackKept } from '../cpu/jit/kept.js';
import type { Compiler, Translator } from '../cpu/jit/translator.js';
import { endPatience } from '../start/patience.js';
import type { TraceHeader } from '../trace/header.js';
import { TranslationStore } from './kept-translations.js';

export type EngineChoice = 'auto' | 'interp' | 'jit';

/** Executions after which a block is translated, hot blocks that are translated together, cycles that fewer wait. */
export const TIER = { threshold: 3000, batch: 64, patience: 1_000_000 };
/** When hotter blocks are there already, and translating is not what the time goes into: fewer executions, larger modules. */
const LATER = { threshold: 500, batch: 256, patience: 8_000_000 };
/** A boot that adds less than this part to what is kept was the last to look for more. */
const SETTLED = 1 / 8;

/** Translations that were kept, and their modules, made ready once for all threads that run parts of the same boot. */
export interface ReadyTranslations {
  /** As they are kept. */
  readonly data: Uint8Array<ArrayBuffer>;
  /** In their order. */
  readonly modules: readonly WebAssembly.Module[];
}

/** What is kept of a boot; undefined where nothing is. */
export async function readyTranslations(header: TraceHeader): Promise<ReadyTranslations | undefined> {
  const data = TranslationStore.of(header)?.data();
  const kept = data && unpackKept(data);
  if (!kept) return undefined;
  const { keptCode } = await import('../start/kept-code.js');
  return { data, modules: keptCode.compile(kept.modules) };
}

/** Let hot code be translated from now on. */
export async function translateHotCode(
  cpu: Cpu,
  kept?: KeptTranslations,
  { threshold, ...tier } = TIER,
  ready: readonly WebAssembly.Module[] = [],
): Promise<Translator> {
  // Kept code is taken under the flags under which it was made.
  endPatience();
  const { Translator } = await import('../cpu/jit/translator.js');
  const { keptCode } = await import('../start/kept-code.js');
  let translator: Translator | undefined;
  cpu.translateBy((parts) => {
    const compiler = kept && ready.length > 0 ? madeReady(kept, ready, keptCode) : keptCode;
    translator = new Translator(parts, { ...tier, threshold: () => threshold, kept, compiler });
    return translator;
  });
  return translator!;
}

function madeReady({ modules }: KeptTranslations, ready: readonly WebAssembly.Module[], compiler: Compiler): Compiler {
  const found = new Map(modules.map(({ bytes }, n) => [bytes, ready[n]]));
  return { ...compiler, compile: (list) => list.map((one) => found.get(one.bytes) ?? compiler.compile([one])[0]!) };
}

/**
 * What a run does with translations that are kept: adds to them, by looking for more at a cost of its own; uses them, and
 * leaves its own only where there are none; or uses them and leaves nothing.
 */
export type Keeping = 'adds' | 'uses' | 'borrows';

export class Tier {
  private translator: Translator | undefined;
  private readonly store: TranslationStore | undefined;
  private kept: KeptTranslations | undefined;

  /**
   * @param header what is booted; without it nothing is kept
   * @param ready what is kept, where it has been read already
   */
  constructor(
    private readonly cpu: Cpu,
    private readonly engine: EngineChoice,
    header: TraceHeader | undefined,
    private readonly keeping: Keeping = 'adds',
    private readonly ready?: ReadyTranslations | undefined,
  ) {
    if (engine === 'auto' && header) this.store = TranslationStore.of(header);
  }

  /** Before the first instruction. */
  async begin(): Promise<void> {
    this.kept = this.ready && this.store ? unpackKept(this.ready.data) : this.store?.read();
    if (this.kept || this.engine === 'jit') await this.translate();
  }

  /** A run that is longer than a slice gains from translated code. */
  async afterSlice(): Promise<void> {
    if (!this.translator && this.engine === 'auto') await this.translate();
  }

  private async translate(): Promise<void> {
    const more = this.keeping === 'adds' && this.kept?.settled === false;
    this.translator = await translateHotCode(this.cpu, this.kept, more ? LATER : TIER, this.ready?.modules);
  }

  /** The run is over: keep what was translated, when it is more than there was. */
  end(): void {
    const { store, kept, translator } = this;
    if (!store || !translator || this.keeping === 'borrows' || (this.keeping === 'uses' && kept)) return;
    const { blocks, installed } = translator.counts;
    const renewed = translator.renew();
    const settled = kept !== undefined && renewed === 0 && blocks < SETTLED * installed;
    if (kept?.settled && settled) return;
    const now = translator.keep(settled);
    if (now) store.write(now);
  }
}
