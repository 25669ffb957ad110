// A thread that replays a part of a trace (sealed-parts.ts).
// It answers with console output, and at the end with the outcome or with what is wrong with its checkpoint.
// Left out: reports of what differs, which one thread makes for the whole.

import { parentPort, workerData } from 'node:worker_threads';
import { takeLoaded } from '../start/kept-module.js';
import { TraceReader } from '../trace/reader.js';
import { BadCheckpoint } from './sealed-machine.js';
import type { PartMessage, PartWork } from './sealed-parts.js';
import { replayStretch } from './sealed-replay.js';

const { path, unpacked, stretch, console, loaded } = workerData as PartWork;
const say = (message: PartMessage): void => parentPort?.postMessage(message);
const onConsole = (data: Uint8Array): void => say({ console: data });

if (loaded) takeLoaded(loaded);
const reader = TraceReader.open(path, { unpacked });
try {
  const { divergence, ...outcome } = await replayStretch(reader, console ? { onConsole } : {}, stretch);
  say({ outcome: divergence ? undefined : outcome });
} catch (error) {
  say(error instanceof BadCheckpoint ? { badCheckpoint: error.what } : { outcome: undefined });
} finally {
  reader.close();
}
