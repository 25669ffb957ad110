import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import type { ChunkPlace } from '../../src/trace/chunk-place.js';
import { CHUNK_HEADER_SIZE, LINK_SIZE, PREAMBLE_SIZE } from '../../src/trace/chunks.js';
import { TraceError } from '../../src/trace/error.js';
import { TraceReader } from '../../src/trace/reader.js';
import { TraceWriter } from '../../src/trace/writer.js';
import { MovableSite, put, type SampleEvent, sampleHeader, withDirectory, writeTrace } from './sample-trace.js';

const someEvents: SampleEvent[] = Array.from({ length: 10_000 }, (_, i) => ({
  kind: 'port-write',
  cycle: i * 7,
  address: 0x3f8,
  size: 1,
  value: i & 0xff,
}));
const someMemory = [{ address: 0x10_0000, data: Uint8Array.from({ length: 5_000 }, (_, i) => i & 0xff) }];

const original = withDirectory((directory) => {
  const path = join(directory, 'good.vmr');
  writeTrace(path, someEvents, {}, { memory: someMemory });
  const reader = TraceReader.open(path);
  const chunks = reader.chunks;
  reader.close();
  return { bytes: readFileSync(path), chunks };
});

/** The sentence with which a file of these bytes is refused; undefined when it is taken for good. */
function refusal(bytes: Uint8Array, options = {}): string | undefined {
  return withDirectory((directory) => {
    const path = join(directory, 'bad.vmr');
    writeFileSync(path, bytes);
    return refusalOf(path, options)?.replace(directory, '');
  });
}

function refusalOf(path: string, options = {}): string | undefined {
  try {
    const reader = TraceReader.open(path, options);
    for (const _ of reader.events());
    reader.root();
    reader.close();
    return undefined;
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
    return error.message;
  }
}

const endOf = (chunk: ChunkPlace): number => chunk.offset + CHUNK_HEADER_SIZE + chunk.storedLength + LINK_SIZE;

test('the undamaged file is accepted', (t) => {
  t.is(refusal(original.bytes), undefined);
  t.deepEqual(
    original.chunks.map(({ type }) => type),
    ['HEAD', 'NOTE', 'EVTS', 'EVTS', 'MEMO', 'DONE', 'INDX'],
  );
});

test('one flipped bit is refused wherever it is', (t) => {
  fc.assert(
    fc.property(fc.nat(original.bytes.length - 1), fc.nat(7), (at, bit) => {
      const bytes = Buffer.from(original.bytes);
      bytes[at]! ^= 1 << bit;
      t.regex(refusal(bytes) ?? 'accepted', /^\/bad\.vmr: [^\n]+$/);
    }),
  );
});

for (const chunk of original.chunks) {
  for (const [part, from, length] of [
    ['header', chunk.offset, CHUNK_HEADER_SIZE],
    ['payload', chunk.offset + CHUNK_HEADER_SIZE, chunk.storedLength],
    ['link', chunk.offset + CHUNK_HEADER_SIZE + chunk.storedLength, LINK_SIZE],
  ] as const) {
    test(`a flipped bit in the ${part} of the ${chunk.type} chunk at ${chunk.offset} is refused`, (t) => {
      for (let k = 0; k < length * 8; k += 1 + Math.floor((length * 8) / 50)) {
        const bytes = Buffer.from(original.bytes);
        bytes[from + (k >> 3)]! ^= 1 << (k & 7);
        t.truthy(refusal(bytes), `bit ${k}`);
        t.truthy(refusal(bytes, { partial: true }), `bit ${k}, partial`);
      }
    });
  }
}

test('swapped chunks are refused', (t) => {
  const { bytes, chunks } = original;
  for (let i = 0; i + 1 < chunks.length; i++) {
    const [a, b] = [chunks[i]!, chunks[i + 1]!];
    const swapped = Buffer.concat([
      bytes.subarray(0, a.offset),
      bytes.subarray(b.offset, endOf(b)),
      bytes.subarray(a.offset, b.offset),
      bytes.subarray(endOf(b)),
    ]);
    t.is(swapped.length, bytes.length);
    t.regex(refusal(swapped) ?? '', /does not match its hash/);
  }
});

test('a file that was cut off is refused, and read up to the last whole chunk when asked', (t) => {
  const { bytes, chunks } = original;
  const secondEvents = chunks[3]!;
  const cut = bytes.subarray(0, secondEvents.offset + 40);
  t.is(
    refusal(cut),
    `/bad.vmr: the recording was cut off at offset ${secondEvents.offset} and cannot be replayed: record the boot again`,
  );
  withDirectory((directory) => {
    const path = join(directory, 'cut.vmr');
    writeFileSync(path, cut);
    const reader = TraceReader.open(path, { partial: true });
    t.false(reader.complete);
    t.is(reader.summary, undefined);
    t.is([...reader.events()].length, 8_192);
    t.is(reader.root(), undefined);
    reader.close();
  });
});

test('a file cut anywhere is refused in one sentence', (t) => {
  fc.assert(
    fc.property(fc.nat(original.bytes.length - 1), (length) => {
      t.regex(refusal(original.bytes.subarray(0, length)) ?? 'accepted', /^\/bad\.vmr: [^\n]+$/);
    }),
  );
});

test('another magic is refused as no trace', (t) => {
  t.is(
    refusal(Buffer.from('\x7fELF and so on, long enough')),
    '/bad.vmr: is not a vmreplay trace: it does not begin as one',
  );
  t.is(refusal(Buffer.from('x')), '/bad.vmr: is not a vmreplay trace: it does not begin as one');
});

test('a newer format is refused by its number', (t) => {
  const bytes = Buffer.from(original.bytes);
  bytes.writeUInt16LE(3, 8);
  t.is(refusal(bytes), '/bad.vmr: is in trace format 3 and this program reads format 2: use a newer vmreplay');
});

test('an empty file is refused', (t) => {
  t.is(refusal(new Uint8Array()), '/bad.vmr: is empty, not a trace: record the boot again');
});

test('a directory and a missing file are refused', (t) => {
  withDirectory((directory) => {
    mkdirSync(join(directory, 'd'));
    t.is(refusalOf(join(directory, 'd')), `${directory}/d: is a directory, not a trace`);
    t.is(refusalOf(join(directory, 'none')), `${directory}/none: there is no such file`);
  });
});

test('a length field of 10 GB is refused before anything is allocated', (t) => {
  for (const field of [8, 16]) {
    const bytes = Buffer.from(original.bytes);
    bytes.writeBigUInt64LE(10_000_000_000n, original.chunks[2]!.offset + field);
    t.regex(refusal(bytes) ?? '', /is damaged at offset \d+, chunk 2: a chunk claims 10000000000 bytes/);
  }
});

test('a length that leads past the end of a finished file is damage, not a cut', (t) => {
  const bytes = Buffer.from(original.bytes);
  bytes.writeBigUInt64LE(1_000_000n, original.chunks[2]!.offset + 8);
  t.regex(refusal(bytes, { partial: true }) ?? '', /leads past the end/);
});

test('bytes after the end are refused', (t) => {
  t.truthy(refusal(Buffer.concat([original.bytes, Buffer.alloc(3)])));
});

test('a recording that is killed leaves a partial file that can be read', (t) => {
  withDirectory((directory) => {
    const path = join(directory, 'a.vmr');
    const site = new MovableSite();
    const writer = new TraceWriter(path, sampleHeader, { tool: 't', names: [] }, site);
    for (const event of someEvents) put(writer, site, event);
    copyFileSync(writer.partialPath, join(directory, 'killed'));
    writer.abort();
    const killed = TraceReader.open(join(directory, 'killed'), { partial: true });
    t.is([...killed.events()].length, 8_192);
    killed.close();
    const aborted = TraceReader.open(writer.partialPath, { partial: true });
    t.is([...aborted.events()].length, 10_000);
    t.false(aborted.hasMemory);
    aborted.close();
    truncateSync(writer.partialPath, PREAMBLE_SIZE);
    t.regex(refusalOf(writer.partialPath, { partial: true }) ?? '', /header is missing/);
  });
});

test('a pipe is refused without waiting for a writer', (t) => {
  withDirectory((directory) => {
    execFileSync('mkfifo', [join(directory, 'pipe')]);
    t.is(refusalOf(join(directory, 'pipe')), `${directory}/pipe: is not a regular file`);
  });
});

const notWritten: [title: string, name: string, said: RegExp][] = [
  ['a directory', '', /: is a directory; name the file that the trace is to become$/],
  ['a directory that is not there', 'none/', /: is a directory; name/],
  [
    'a file in a directory that is not there',
    'none/a.vmr',
    /a\.vmr: cannot be written: there is no directory .*none; /,
  ],
  ['a file in a file', 'file/a.vmr', /a\.vmr: cannot be written: there is no directory .*file; /],
  ['a name that is too long', 'a'.repeat(300), /: its name is too long/],
  ['a device', 'device', /device: is not a regular file; name one/],
];

for (const [title, name, said] of notWritten) {
  test(`a trace is not written to ${title}, and nothing is left behind`, (t) => {
    withDirectory((directory) => {
      writeFileSync(join(directory, 'file'), '');
      symlinkSync('/dev/full', join(directory, 'device'));
      const path = `${directory}/${name}`;
      const before = readdirSync(directory);
      const error = t.throws(() => new TraceWriter(path, sampleHeader, { tool: 't', names: [] }, new MovableSite()));
      t.true(error instanceof TraceError);
      t.regex(error.message, said);
      t.deepEqual(readdirSync(directory), before);
    });
  });
}

test('a recording that is given up before its first event leaves no file', (t) => {
  withDirectory((directory) => {
    const writer = new TraceWriter(join(directory, 'a.vmr'), sampleHeader, { tool: 't', names: [] }, new MovableSite());
    writer.abort();
    t.deepEqual(readdirSync(directory), []);
  });
});
