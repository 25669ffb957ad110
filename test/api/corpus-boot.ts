// A guest of the corpus as the options of a boot through the API, for tests that make the machine themselves.

import { join } from 'node:path';
import type { CorpusGuest } from '../../bin/corpus.js';
import { parseSize } from '../../bin/options/values.js';
import type { BootOptions } from '../../src/api/options.js';

/** The boot that a corpus guest's manifest asks for, without its limit of cycles. */
export function bootOf({ image, directory, expected: { boot } }: CorpusGuest): BootOptions {
  const { route = 'pvh', memory, modules, maxCycles: _, ...same } = boot;
  const options: BootOptions = { ...same, boot: route, kernel: image, memory: parseSize(memory) };
  if (modules) options.modules = modules.map((m) => ({ ...m, path: join(directory, m.path) }));
  if (boot.serialIn) options.serialIn = join(directory, boot.serialIn);
  return options;
}
