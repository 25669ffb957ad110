// A thread that replays a part of a trace (sealed-parts.ts). It is started before there is anything for it to do.
// It answers with console output, and at the end with the outcome or with what is wrong with its checkpoint.
// Left out: reports of what differs, which one thread makes for the whole.

import { parentPort } from 'node:worker_threads';
import { takeLoaded } from '../start/kept-module.js';
import { TraceReader } from '../trace/reader.js';
import { BadCheckpoint } from './sealed-machine.js';
import type { PartInput, PartMessage, PartWork } from './sealed-parts.js';
import { type Outcome, replayStretch } from './sealed-replay.js';
import type { ReadyTranslations } from './tier.js';

const say = (message: PartMessage): void => parentPort?.postMessage(message);
const onConsole = (data: Uint8Array): void => say({ console: data });

let give: (translations: ReadyTranslations | undefined) => void;
const translations = new Promise<ReadyTranslations | undefined>((resolve) => {
  give = resolve;
});
/** What the thread is sent. @returns the outcome that it has answered with, if any */
export async function receive(input: PartInput): Promise<Outcome | undefined> {
  if (!('translations' in input)) return replayPart(input);
  give(input.translations);
  return undefined;
}
parentPort?.on('message', receive);
say({ loaded: true });

async function replayPart(work: PartWork): Promise<Outcome | undefined> {
  const { path, stretch, console, loaded, verified, runs, passed } = work;
  let reader: TraceReader | undefined;
  try {
    if (loaded) takeLoaded(loaded);
    reader = TraceReader.open(path, verified && { verified });
    const shared = { runs, translations, passed };
    const options = console ? { onConsole } : {};
    const { divergence, ...outcome } = await replayStretch(reader, options, stretch, undefined, shared);
    const agreed = divergence ? undefined : outcome;
    say({ outcome: agreed });
    return agreed;
  } catch (error) {
    say(error instanceof BadCheckpoint ? { badCheckpoint: error.what } : { outcome: undefined });
    return undefined;
  } finally {
    reader?.close();
  }
}
