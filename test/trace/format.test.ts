// Reads the example of FORMAT.md with a decoder written from its text, and compares with what the reader says.

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { KIND_BY_ID, KINDS } from '../../src/trace/events.js';
import { TraceReader } from '../../src/trace/reader.js';
import { decodeMsgpack } from './independent-msgpack.js';
import { withDirectory } from './sample-trace.js';

const document = readFileSync(new URL('../../src/trace/FORMAT.md', import.meta.url), 'utf8');
const example = (() => {
  const block = /```hex\n([\s\S]*?)```/.exec(document)![1]!;
  const rows = block.split('\n').filter((line) => /^[0-9a-f]{4} {2}/.test(line));
  return Buffer.from(rows.map((row) => row.slice(6, 54).replaceAll(' ', '')).join(''), 'hex');
})();

const sha256 = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest();

interface Chunk {
  type: string;
  offset: number;
  flags: number;
  payload: Buffer;
}

/** Container, chain and trailer, by the tables of the document. */
function parse(bytes: Buffer): Chunk[] {
  const chunks: Chunk[] = [];
  let link = sha256(bytes.subarray(0, 16));
  let at = 16;
  while (at < bytes.length - 16) {
    const header = bytes.subarray(at, at + 24);
    const stored = Number(header.readBigUInt64LE(8));
    const payload = bytes.subarray(at + 24, at + 24 + stored);
    link = sha256(link, header, payload);
    if (!link.equals(bytes.subarray(at + 24 + stored, at + 56 + stored))) throw new Error(`link at ${at}`);
    chunks.push({ type: header.toString('latin1', 0, 4), offset: at, flags: header[5]!, payload });
    at += 56 + stored;
  }
  return chunks;
}

function varints(bytes: Uint8Array): number[] {
  const values: number[] = [];
  let value = 0;
  let scale = 1;
  for (const byte of bytes) {
    value += (byte & 127) * scale;
    scale *= 128;
    if (byte < 128) {
      values.push(value);
      value = 0;
      scale = 1;
    }
  }
  return values;
}

type Map = Record<string, unknown>;

const chunks = parse(example);
const chunk = (type: string) => chunks.find((c) => c.type === type)!;
const payload = (type: string) => decodeMsgpack(chunk(type).payload) as Map;

test('the example begins with the magic and ends with the trailer', (t) => {
  t.is(example.subarray(0, 8).toString('hex'), '89564d520d0a1a0a');
  t.is(example.readBigUInt64LE(example.length - 16), BigInt(chunk('INDX').offset));
  t.is(example.toString('latin1', example.length - 8), 'VMREND\r\n');
});

test('the root of the example follows from its content chunks', (t) => {
  const parts: Uint8Array[] = [Buffer.from('vmreplay trace content 1\n')];
  for (const { type, flags, payload: raw } of chunks) {
    if ((flags & 1) !== 0) continue;
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(raw.length));
    parts.push(Buffer.from(type), length, raw);
  }
  t.is(payload('INDX').root, sha256(...parts).toString('hex'));
});

test('the index of the example lists its chunks', (t) => {
  t.deepEqual(
    (payload('INDX').chunks as unknown[][]).map(([type, offset]) => [type, Number(offset)]),
    chunks.slice(0, -1).map(({ type, offset }) => [type, offset]),
  );
});

test('the events of the example follow from its columns', (t) => {
  const events = payload('EVTS');
  const symbols = events.symbols as bigint[][];
  t.deepEqual(varints(events.order as Uint8Array), [0, 1, 2, 3]);
  t.deepEqual(
    symbols.map(([kind, size, cs, rip, address]) => [KIND_BY_ID[Number(kind)]!.kind, size, cs, rip, address]),
    [
      ['port-read', 1n, 8n, 0x10_0003n, 0x3fdn],
      ['port-write', 1n, 8n, 0x10_0009n, 0x3f8n],
      ['interrupt', 0n, 8n, 0n, 0x20n],
      ['end', 0n, 8n, 0n, 0n],
    ],
  );
  // Columns: cycle and value of the read, of the write; cycle and rip of the interrupt; cycle, rip and code of the end.
  t.deepEqual(varints(events.values as Uint8Array), [10 * 2, 0x60, 4 * 2, 0x48, 486 * 2, 3 * 2, 0, 0, 2]);
  t.deepEqual(events.code, [
    [0n, 64n, Uint8Array.of(0xec)],
    [1n, 64n, Uint8Array.of(0xee)],
  ]);
});

test('the memory of the example is one run of bytes', (t) => {
  const memory = payload('MEMO');
  t.is(memory.address, 0x10_0000n);
  t.deepEqual(varints(memory.gaps as Uint8Array), [0]);
  t.deepEqual(varints(memory.lengths as Uint8Array), [5]);
  t.deepEqual([...(memory.filters as Uint8Array)], [0]);
  t.is(Buffer.from(memory.data as Uint8Array).toString('hex'), '66bafd03ec');
});

test('the reader reads the example', (t) => {
  withDirectory((directory) => {
    const path = join(directory, 'example.vmr');
    writeFileSync(path, example);
    const reader = TraceReader.open(path);
    t.is(reader.root(), payload('INDX').root as string);
    t.deepEqual(
      [...reader.events()].map(({ kind, cycle, rip, value }) => [kind, cycle, rip, value]),
      [
        ['port-read', 10, 0x10_0003n, 0x60],
        ['port-write', 14, 0x10_0009n, 0x48],
        ['interrupt', 500, 0x10_000cn, 0],
        ['end', 500, 0x10_000cn, 2],
      ],
    );
    reader.close();
  });
});

test('the table of kinds in the document is the one in the program', (t) => {
  const yes = (flag: boolean) => (flag ? 'yes' : '');
  const or = (field: string) => (field === 'none' ? '' : field);
  const cells = (line: string) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim());
  t.deepEqual(
    document
      .split('\n')
      .filter((line) => /^\| \d+ +\| [a-z-]+ +\| (request|async|effect|check|note) /.test(line))
      .map(cells),
    Object.values(KINDS).map((row) => [
      String(row.id),
      row.kind,
      row.role,
      or(row.address),
      yes(row.size),
      or(row.value),
      yes(row.name),
      or(row.data),
      yes(row.sited),
    ]),
  );
});
