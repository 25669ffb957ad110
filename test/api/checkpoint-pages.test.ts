// Pages of checkpoints: a part of a replay has them from the moment on at which it asks for them, whatever asks; and
// traces that have them in the form of before replay as they did.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { MachineHash } from '../../src/api/machine-state.js';
import { record } from '../../src/api/record.js';
import { type SealedMachine, sealedMachine } from '../../src/api/sealed-machine.js';
import { replayStretch } from '../../src/api/sealed-replay.js';
import { peekMemory } from '../../src/cpu/peek.js';
import { decodeCanonical, encodeCanonical } from '../../src/trace/codec.js';
import { TraceReader } from '../../src/trace/reader.js';
import { pvhKernel } from '../boot/guest-builder.js';
import { type Payload, payloadsOf, sealTrace } from '../trace/forged-trace.js';
import { FILLED, FILLED_PAGES, LEFT, pageWriter } from './page-writer.js';

const directory = mkdtempSync(join(tmpdir(), 'vmreplay-pages-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

const trace = join(directory, 'trace');
const OLD = new URL('before-lists.trace', import.meta.url).pathname;

test.before(async () => {
  const kernel = join(directory, 'kernel');
  writeFileSync(kernel, pvhKernel(pageWriter()));
  await record({ kernel, memory: 32 << 20, output: trace, checkpointEvery: 1, maxCycles: 275_000_000 });
});

/** Replays each part of a trace. @returns what differs, undefined for each that agrees */
async function partsOf(path: string): Promise<unknown[]> {
  const reader = TraceReader.open(path);
  const cuts = reader.checkpoints;
  const found: unknown[] = [];
  for (let n = 0; n <= cuts.length; n++) {
    const stretch = { from: n === 0 ? undefined : n - 1, to: cuts[n] };
    found.push((await replayStretch(reader, {}, stretch)).divergence);
  }
  reader.close();
  return found;
}

/** The machine at a checkpoint. */
function machineAt(reader: TraceReader, checkpoint: number): SealedMachine {
  const start = { checkpoint, port: 0, onWrite: () => {} };
  return sealedMachine(reader, (cpu) => MachineHash.of(cpu).hash(), undefined, start);
}

/** A trace with other payloads. */
function forged(name: string, change: (payload: Payload) => Payload[]): string {
  const path = join(directory, name);
  writeFileSync(path, sealTrace(payloadsOf(readFileSync(trace)).flatMap(change)));
  return path;
}

test('all parts agree, with pages in lists and as traces had them before', async (t) => {
  const types = (path: string) => new Set(payloadsOf(readFileSync(path)).map(({ type }) => type));
  t.true(types(trace).has('LIST'));
  t.false(types(OLD).has('LIST'));
  for (const path of [trace, OLD]) t.deepEqual(await partsOf(path), [undefined, undefined, undefined], path);
  // The same where it is not said what state hashes count as zeros.
  const silent = forged('silent', (payload) => (payload.type === 'KNOW' ? [] : [payload]));
  t.deepEqual(await partsOf(silent), [undefined, undefined, undefined]);
});

test('both forms have the same pages', (t) => {
  const pagesOf = (path: string) => {
    const reader = TraceReader.open(path);
    const pages = reader.checkpoints.map((_, n) =>
      [...reader.checkpointPages(n)]
        .sort((a, b) => a.number - b.number)
        .map(({ number, bytes }) => [number, bytes && Buffer.from(bytes).toString('latin1')]),
    );
    reader.close();
    return pages;
  };
  t.deepEqual(pagesOf(trace), pagesOf(OLD));
});

test('a page is put into its place by whatever asks for it', (t) => {
  const reader = TraceReader.open(trace);
  const last = (n: number) => 0x0123_4567 + (n >> 1);
  const ways: Record<string, (machine: SealedMachine, at: number) => number> = {
    read: ({ cpu }, at) => new DataView(cpu.physical.read(at, 4).buffer).getUint32(0, true),
    'a word read': ({ cpu }, at) => cpu.physical.read32(at),
    'a paging entry read': ({ cpu }, at) => cpu.physical.readEntry(at),
    peek: ({ cpu }, at) => Buffer.from(peekMemory(cpu.state, cpu.physical, BigInt(at), 4)).readUInt32LE(),
    'a part written': ({ cpu }, at) => {
      cpu.physical.write(at + 8, Uint8Array.of(1));
      return cpu.physical.read32(at);
    },
    'a word written': ({ cpu }, at) => {
      cpu.physical.write32(at + 8, 1);
      return cpu.physical.read32(at);
    },
  };
  for (const [name, ask] of Object.entries(ways)) {
    const machine = machineAt(reader, 1);
    const { host } = machine.cpu.physical;
    for (let n = 2; n < FILLED_PAGES; n++) {
      const at = FILLED + n * 0x1000;
      t.is(host[at >>> 12], 0, name);
      t.is(ask(machine, at), last(n), name);
      t.not(host[at >>> 12], 0, name);
    }
    t.is(machine.cpu.physical.read32(FILLED), 0);
    t.is(machine.cpu.physical.read32(FILLED + 0x1000), 7);
    t.is(host[LEFT >>> 12], 0);
  }
  reader.close();
});

test('a page that is not what its list says ends the replay that asks for it', async (t) => {
  // One page that is packed serves all that are alike.
  const swapped = forged('swapped', (payload) => {
    if (payload.type !== 'LIST') return [payload];
    const map = decodeCanonical(payload.raw) as Record<string, Uint8Array>;
    const places = new Uint8Array(map.places!.length);
    return [{ ...payload, raw: encodeCanonical({ ...map, places }) }];
  });
  const reader = TraceReader.open(swapped);
  await t.throwsAsync(replayStretch(reader, {}, { from: 1, to: undefined }), { message: /page is not the one/ });
  reader.close();

  const damaged = forged('damaged', (payload) => {
    if (payload.type !== 'PAGE') return [payload];
    const bytes = decodeCanonical(payload.raw) as Uint8Array;
    return [{ ...payload, raw: encodeCanonical(new Uint8Array(bytes.length).fill(0xff)) }];
  });
  const other = TraceReader.open(damaged);
  await t.throwsAsync(replayStretch(other, {}, { from: 1, to: undefined }), {
    message: /checkpoint at cycle \d+ cannot/,
  });
  other.close();

  const short = forged('short', (payload) =>
    payload.type === 'PAGE' ? [{ ...payload, raw: encodeCanonical(new Uint8Array(1)) }] : [payload],
  );
  const third = TraceReader.open(short);
  await t.throwsAsync(replayStretch(third, {}, { from: 1, to: undefined }), {
    message: /pages of a checkpoint are missing/,
  });
  third.close();
});

test('digests that are not those of the state are found before the guest runs', (t) => {
  const path = forged('digests', (payload) => {
    if (payload.type !== 'LIST') return [payload];
    const map = decodeCanonical(payload.raw) as Record<string, Uint8Array>;
    const digests = Uint8Array.from(map.digests!);
    digests[digests.length - 1]! ^= 1;
    return [{ ...payload, raw: encodeCanonical({ ...map, digests }) }];
  });
  const reader = TraceReader.open(path);
  t.throws(() => machineAt(reader, 0), { message: /its state is not the one whose hash was recorded/ });
  reader.close();
});
