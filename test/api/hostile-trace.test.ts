// A trace comes from anywhere. Whatever its bytes are, reading and replaying it ends: with a result, or with an error
// that has a sentence for people. Damaged files stop at the hash chain; forged ones, whose hashes are right, get as far
// as the processor.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { packageFile } from '../../bin/package.js';
import { UserError } from '../../src/api/user-error.js';
import { diff, inspect, inspectEvents, record, renderDiff, renderDivergence, replay } from '../../src/index.js';
import { TraceError } from '../../src/trace/error.js';
import { payloadsOf, sealTrace } from '../trace/forged-trace.js';

const directory = mkdtempSync(join(tmpdir(), 'vmreplay-hostile-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));
const good = join(directory, 'good.vmr');
const bad = join(directory, 'bad.vmr');
const kernel = packageFile('corpus/reset-cf9/reset-cf9.elf');
await record({ kernel, memory: 4 << 20, append: 'quiet', output: good });
const original = readFileSync(good);

/** A forged trace may ask for a run of years; it can be stopped like any other. Cycles are ten times the honest run's. */
const PATIENCE = 200_000;

/** What a reader does with a file; throws what is neither a TraceError nor a UserError. */
async function outcomeOf(body: (signal: { aborted: boolean }) => Promise<unknown>): Promise<string> {
  const signal = { aborted: false };
  try {
    return String(await body(signal));
  } catch (error) {
    if (!(error instanceof TraceError || error instanceof UserError)) throw error;
    if (!/^[^\n]+$/.test(error.message)) throw new Error(`not one sentence: ${error.message}`);
    return 'refused';
  }
}

const verbs: [name: string, run: (signal: { aborted: boolean }) => Promise<unknown>][] = [
  ...([false, true] as const).map((live): (typeof verbs)[number] => [
    live ? 'replay --live' : 'replay',
    async (signal) => {
      const onProgress = (cycle: number) => {
        signal.aborted ||= cycle > PATIENCE;
      };
      const { divergence, exitCode } = await replay(bad, { live, signal, onProgress });
      if (divergence) await renderDivergence(bad, divergence);
      return exitCode;
    },
  ]),
  ['diff', async () => renderDiff(await diff(good, bad)).length > 0],
  ['inspect', async () => (await inspect(bad)).events.total],
  [
    'inspect --events',
    async () => {
      let bytes = 0;
      for await (const { text } of inspectEvents(bad)) bytes += text.length;
      return bytes;
    },
  ],
];

const at = fc.nat(original.length - 1);
const damage: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.tuple(at, fc.nat(7)).map(([where, bit]) => {
    const bytes = Uint8Array.from(original);
    bytes[where]! ^= 1 << bit;
    return bytes;
  }),
  at.map((length) => original.subarray(0, length)),
  fc.tuple(at, at, fc.nat(64)).map(([from, to, length]) => {
    const bytes = Uint8Array.from(original);
    bytes.copyWithin(to, from, from + length + 1);
    return bytes;
  }),
  fc.tuple(at, fc.uint8Array({ minLength: 1, maxLength: 40 })).map(([where, extra]) => {
    return Buffer.concat([original.subarray(0, where), extra, original.subarray(where)]);
  }),
  fc.uint8Array({ maxLength: 300 }),
);

test.serial('a damaged trace is never replayed for good, and never a crash', async (t) => {
  await fc.assert(
    fc.asyncProperty(damage, async (bytes) => {
      fc.pre(!original.equals(bytes));
      writeFileSync(bad, bytes);
      for (const [verb, run] of verbs) {
        const outcome = await outcomeOf(run);
        if (verb.startsWith('replay')) t.is(outcome, 'refused', verb);
        // A file that only ends early is a recording that was cut off, and inspected as far as it goes.
        else if (!original.subarray(0, bytes.length).equals(bytes)) t.is(outcome, 'refused', verb);
      }
    }),
    { numRuns: 400 },
  );
});

const payloads = payloadsOf(original);
const value = fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xc0, 0xcf, 0xdf, 0xff), fc.nat(255));
const forgery = fc.nat(payloads.length - 1).chain((chunk) => {
  const place = fc.nat(payloads[chunk]!.raw.length - 1);
  return fc.tuple(
    fc.constant(chunk),
    fc.array(fc.tuple(place, value), { maxLength: 4 }),
    fc.option(place, { freq: 5 }),
    fc.constantFrom(undefined, 'drop', 'double') as fc.Arbitrary<'drop' | 'double' | undefined>,
  );
});

test.serial('a forged trace is refused or replayed to an end, and never a crash', async (t) => {
  t.timeout(300_000);
  await fc.assert(
    fc.asyncProperty(forgery, async ([chunk, changes, cut, fate]) => {
      const forged = payloads.flatMap((payload, i) => {
        if (i !== chunk) return [payload];
        const raw = payload.raw.slice(0, cut ?? payload.raw.length);
        for (const [where, byte] of changes) if (where < raw.length) raw[where] = byte;
        const changed = { ...payload, raw };
        return fate === 'drop' ? [] : fate === 'double' ? [changed, changed] : [changed];
      });
      writeFileSync(bad, sealTrace(forged));
      for (const [, run] of verbs) await outcomeOf(run);
      t.pass();
    }),
    { numRuns: 150 },
  );
});

test.serial('sealing the payloads of a trace again gives a trace that replays', async (t) => {
  writeFileSync(bad, sealTrace(payloads));
  t.is((await replay(bad)).exitCode, 0);
  t.is((await replay(bad, { live: true })).exitCode, 0);
});
