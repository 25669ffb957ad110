// A thread that replays a part of a trace (sealed-parts.ts). It is started before there is anything for it to do.
// It answers with console output, and at the end with the outcome or with what is wrong with its checkpoint.
// Left out: reports of what differs, which one thread makes for the whole.

import { parentPort } from 'node:worker_threads';
import { takeLoaded } from '../start/kept-module.js';
import { TraceReader } from '../trace/reader.js';
import { BadCheckpoint } from './sealed-machine.js';
import type { PartInput, PartMessage, PartWork } from './sealed-parts.js';
import { replayStretch } from './sealed-replay.js';
import type { ReadyTranslations } from './tier.js';

const say = (message: PartMessage): void => parentPort?.postMessage(message);
const onConsole = (data: Uint8Array): void => say({ console: data });

let give: (translations: ReadyTranslations | undefined) => void;
const translations = new Promise<ReadyTranslations | undefined>((resolve) => {
  give = resolve;
});
parentPort?.on('message', (input: PartInput) => {
  if ('translations' in input) give(input.translations);
  else void replayPart(input);
});

async function replayPart({ path, stretch, console, loaded, checkpoints, runs }: PartWork): Promise<void> {
  let reader: TraceReader | undefined;
  try {
    if (loaded) takeLoaded(loaded);
    reader = TraceReader.open(path, { checkpoints });
    const shared = { runs, translations };
    const options = console ? { onConsole } : {};
    const { divergence, ...outcome } = await replayStretch(reader, options, stretch, undefined, shared);
    say({ outcome: divergence ? undefined : outcome });
  } catch (error) {
    say(error instanceof BadCheckpoint ? { badCheckpoint: error.what } : { outcome: undefined });
  } finally {
    reader?.close();
  }
}
