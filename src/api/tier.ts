// The second execution tier: loaded only by runs that are long enough to gain from it. It never changes a trace.

import type { Cpu } from '../cpu/cpu.js';
import { endPatience } from '../start/patience.js';

export type EngineChoice = 'auto' | 'interp' | 'jit';

/** Executions after which a block is translated, hot blocks that are translated together, cycles that fewer wait. */
export const TIER = { threshold: 3000, batch: 64, patience: 1_000_000 };

/** Let hot code be translated from now on. */
export async function translateHotCode(cpu: Cpu): Promise<void> {
  endPatience();
  const { Translator } = await import('../cpu/jit/translator.js');
  const { threshold, batch, patience } = TIER;
  cpu.translateBy((parts) => new Translator(parts, { threshold: () => threshold, batch, patience }));
}
