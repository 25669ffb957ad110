// Rows for src/trace: the container as it lies in a file, traces whose hashes are right and whose payloads are not, each
// payload by itself, and what is found in guest memory and in the bytes of events.

import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { packageFile } from '../../../bin/package.js';
import * as fuzz from '../../../src/fuzz/index.js';
import { record } from '../../../src/index.js';
import { Borrower, fillBorrowed } from '../../../src/trace/borrowed.js';
import { decodeCheckpoint, decodePages, encodeCheckpoint } from '../../../src/trace/checkpoint.js';
import { indexedCheckpoints } from '../../../src/trace/checkpoint-places.js';
import type { ChunkType } from '../../../src/trace/chunks.js';
import { decodeCanonical } from '../../../src/trace/codec.js';
import { TraceError } from '../../../src/trace/error.js';
import { EventBlock } from '../../../src/trace/event-block.js';
import { KIND_NAMES, type TraceEvent } from '../../../src/trace/events.js';
import { decodeHandoff, diffHandoff, handoffsOf, handoffText } from '../../../src/trace/handoff.js';
import { decodeHeader, decodeIndex, decodeNotes, decodeSummary, type TraceHeader } from '../../../src/trace/header.js';
import { inspect, inspectionText, listEvents } from '../../../src/trace/inspect.js';
import { kallsymsIn } from '../../../src/trace/kallsyms.js';
import { decodeKnown, ToldWords } from '../../../src/trace/known-words.js';
import { FoundImages } from '../../../src/trace/lent-images.js';
import { ALL_OBSERVED, decodeMemory, encodeMemory } from '../../../src/trace/memory.js';
import { FILTER_COUNT, unfilterRun } from '../../../src/trace/memory-filters.js';
import { TraceReader } from '../../../src/trace/reader.js';
import { decodePageList, encodeSavedPages, SavedPages } from '../../../src/trace/saved-pages.js';
import { acpiBlobField, acpiField, smbiosField } from '../../../src/trace/semantic/firmware-fields.js';
import { itemField } from '../../../src/trace/semantic/fw-cfg-items.js';
import { Semantics } from '../../../src/trace/semantic/semantics.js';
import { SymbolTable } from '../../../src/trace/symbols.js';
import { VarintReader } from '../../../src/trace/varint.js';
import { payloadsOf, sealTrace } from '../../trace/forged-trace.js';
import { functions, kernelTables, LAYOUTS } from '../../trace/kallsyms-tables.js';
import { structures, symbolElf } from './boot-rows.js';
import { damaged, touched } from './damage.js';
import { clause, type Parser, sentence } from './parser.js';

const MIB = 1 << 20;
const directory = mkdtempSync(join(tmpdir(), 'vmreplay-parsers-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
/** What a trace is called in messages. */
const file = join(directory, 'bad.vmr');

const E820 = packageFile('corpus/e820/e820.elf');
const recorded: Record<string, Buffer> = {};
/** Recordings of guests of the corpus, one of which changes modes and one of which reads fw_cfg. */
async function recordings(): Promise<Buffer[]> {
  for (const name of ['reset-cf9', 'e820', 'multiboot']) {
    const output = join(directory, `${name}.vmr`);
    const kernel = packageFile(`corpus/${name}/${name}.elf`);
    recorded[name] ??= await record({ kernel, memory: 4 * MIB, append: 'quiet', output, maxCycles: 50_000_000 }).then(
      () => readFileSync(output),
    );
  }
  return Object.values(recorded);
}

async function payloads(type: ChunkType): Promise<Uint8Array[]> {
  return (await recordings()).flatMap((trace) =>
    payloadsOf(trace)
      .filter((one) => one.type === type)
      .map(({ raw }) => raw),
  );
}

/** Lists of pages. */
function pageLists(): Uint8Array[] {
  const state = { cycle: 1, event: 1, processor: new Uint8Array(), tracked: new Uint8Array(), handoff: [] };
  const pages = Array.from({ length: 20 }, (_, n) => ({
    number: 7 * n,
    bytes: n % 4 === 0 ? undefined : new Uint8Array(4096).fill(n >> 1),
  }));
  return [...encodeCheckpoint(state, pages)].flatMap((one) =>
    'pages' in one ? [Uint8Array.from(encodeSavedPages(one.pages).list)] : [],
  );
}

/** Everything that is read of a trace but its replay, which is test/api/hostile-trace.test.ts's. */
function readWhole(bytes: Uint8Array): void {
  writeFileSync(file, bytes);
  for (const partial of [true, false]) {
    const reader = TraceReader.open(file, { partial });
    try {
      inspect(reader);
      inspectionText(reader);
      for (const view of listEvents(reader)) if (/undefined/.test(view.text)) throw new TypeError(view.text);
      for (const handoff of handoffsOf(reader)) handoffText(handoff);
      for (const _ of reader.memory());
      for (const [n, checkpoint] of reader.checkpoints.entries()) {
        reader.checkpointState(checkpoint);
        for (const _ of reader.checkpointPages(n));
      }
      reader.symbols?.lookup(0xffff_ffff_8100_0000n);
      reader.root();
    } finally {
      reader.close();
    }
  }
}

/** A payload by itself: the reader puts the clause into its sentence. */
const payload = (type: ChunkType, covers: readonly string[], decode: (raw: Uint8Array) => unknown): Parser => ({
  name: `the payload of a ${type} chunk`,
  covers: covers.map((name) => `src/trace/${name}.ts`),
  inputs: async () => damaged(await payloads(type)),
  parse: decode,
  refusal: clause(),
  runs: 1000,
});

const SITE = { cycle: 1, cs: 16, rip: 0n };
const ITEMS = ['etc/e820', 'etc/table-loader', 'file directory', 'etc/acpi/tables', 'etc/acpi/rsdp', 'setup data'];

/** Events out of bytes: what they say is anything, but for the kinds. */
function* eventsOf(bytes: Uint8Array): Generator<TraceEvent> {
  const ports = [
    0x510, 0x511, 0x514, 0x518, 0xcf8, 0xcfc, 0x20, 0x21, 0x43, 0x40, 0x70, 0x71, 0x3f8, 0x3fb, 0x3c4, 0x3d5,
  ];
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, 16);
    const number = view.getUint32(0, true);
    const data = bytes.subarray(at, at + (view.getUint8(12) % 64));
    yield {
      index: at / 16,
      kind: KIND_NAMES[view.getUint8(4) % KIND_NAMES.length]!,
      cycle: at,
      cs: 16,
      rip: BigInt(number),
      address: view.getUint8(5) < 0xc0 ? ports[number % ports.length]! : number,
      size: [1, 2, 4, 8][view.getUint8(6) % 4]!,
      value: view.getUint32(8, true),
      valueHigh: 0,
      name: view.getUint8(7) < 9 ? 'serial' : '',
      data,
    };
  }
}

export const traceRows: readonly Parser[] = [
  {
    name: 'a trace file that is damaged',
    covers: ['reader', 'chunks', 'chunk-place', 'error', 'inspect', 'event-view', 'event-text', 'unpack-pool'].map(
      (name) => `src/trace/${name}.ts`,
    ),
    inputs: async () => damaged(await recordings()),
    parse: readWhole,
    refusal: sentence(TraceError, file),
    runs: 200,
    most: 128 * MIB,
  },
  {
    name: 'a trace whose hashes are right and whose payloads are not',
    covers: ['src/trace/reader.ts', 'src/trace/semantic/semantics.ts', 'src/trace/handoff.ts'],
    inputs: async () => {
      const all = (await recordings()).map((trace) => payloadsOf(trace));
      const first = all[1]!;
      return fc
        .tuple(fc.nat(first.length - 1), touched(first.map(({ raw }) => raw)))
        .chain(([n]) => touched([first[n]!.raw]).map((made) => ({ n, made })))
        .map(({ n, made }) => {
          const raw = made.bytes;
          const sealed = sealTrace(first.map((one, i) => (i === n ? { ...one, raw } : one)));
          return Object.assign(made, { bytes: Uint8Array.from(sealed) });
        });
    },
    parse: readWhole,
    refusal: sentence(TraceError, file),
    runs: 200,
    most: 128 * MIB,
  },
  payload('HEAD', ['header', 'fields', 'codec', 'msgpack-check'], decodeHeader),
  payload('NOTE', ['header'], decodeNotes),
  payload('DONE', ['header'], decodeSummary),
  {
    ...payload('INDX', ['header', 'checkpoint-places'], (raw) => {
      const { chunks } = decodeIndex(raw);
      const places = chunks.map((one) => ({ ...one, codec: 0, flags: 0, storedLength: 0, rawLength: 0 }));
      indexedCheckpoints(places, chunks);
    }),
    inputs: async () => damaged((await recordings()).map((trace) => trace.subarray(-2000, -48))),
  },
  payload('EVTS', ['event-block', 'event-layout', 'events', 'varint'], (raw) => {
    const block = new EventBlock(raw);
    for (let i = 0; i < block.count; i++) block.at(i).data.length;
  }),
  payload('MEMO', ['memory', 'memory-filters', 'memory-runs'], decodeMemory),
  {
    name: 'a payload that borrows from images',
    covers: ['src/trace/borrowed.ts', 'src/trace/lent-images.ts'],
    inputs: () => {
      const kernel = Uint8Array.from(readFileSync(E820));
      const borrower = new Borrower({ images: [kernel], unpacked: 0, name: '' });
      const memory = [...encodeMemory({ address: 0x10_0000, data: kernel }, ALL_OBSERVED)];
      return damaged(memory.concat(kernel).map((raw, n) => borrower.borrow(n === 0 ? 'MEMO' : 'EVTS', raw)!));
    },
    parse: (bytes) => {
      const kernel = readFileSync(E820);
      const sha256 = createHash('sha256').update(kernel).digest('hex');
      const images = [{ role: 'kernel', sha256, size: kernel.length }];
      const found = new FoundImages(file, { images } as unknown as TraceHeader, { tool: '', names: [E820] });
      fillBorrowed(Buffer.from(bytes).includes('sources') ? 'MEMO' : 'EVTS', bytes, MIB, found.bytesOf);
    },
    refusal: clause(),
    runs: 1000,
  },
  payload('KNOW', ['known-words'], (raw) => {
    const told = new ToldWords(1 << 16, [], decodeKnown(raw, 1 << 16));
    for (const page of told.update(Number.MAX_SAFE_INTEGER, [])) told.unknownIn(page);
  }),
  {
    ...payload('CHKP', ['checkpoint'], (raw) => {
      decodeCheckpoint(raw);
      decodePages(raw);
    }),
    inputs: async () => damaged([...(await payloads('CHKP')), ...(await payloads('HEAD'))]),
  },
  {
    ...payload('LIST', ['saved-pages'], (raw) => {
      const list = decodePageList(raw);
      const saved = new SavedPages([{ list, read: (_, length) => new Uint8Array(Math.min(length, MIB)) }], 1 << 16);
      for (const page of saved.numbers()) if (!saved.isZeros(page)) saved.bytesOf(page);
    }),
    inputs: () => damaged(pageLists()),
  },
  {
    ...payload('SYMS', ['symbols'], (raw) => SymbolTable.decode(raw).lookup(0x10_0004n)),
    inputs: () =>
      damaged([
        Uint8Array.from(SymbolTable.of([[0x10_0000n, 'start'] as const, [0x10_0008n, 'halt'] as const]).encode()),
      ]),
  },
  {
    name: 'canonical msgpack',
    covers: ['src/trace/codec.ts', 'src/trace/msgpack-check.ts'],
    inputs: async () => damaged([...(await payloads('HEAD')), ...(await payloads('DONE'))]),
    parse: (bytes) => decodeCanonical(bytes),
    refusal: clause(),
    runs: 2000,
  },
  {
    name: 'numbers of variable length',
    covers: ['src/trace/varint.ts'],
    inputs: () => damaged([new Uint8Array(100).fill(0xff), Uint8Array.from({ length: 256 }, (_, i) => i)]),
    parse: (bytes) => {
      const reader = new VarintReader(bytes);
      while (!reader.done) if (!Number.isSafeInteger(reader.read())) throw new TypeError('no integer');
    },
    refusal: clause(),
  },
  {
    name: 'a page of memory under a filter',
    covers: ['src/trace/memory-filters.ts'],
    inputs: () => damaged([symbolElf, new Uint8Array(4096).fill(0xe8), new Uint8Array(8192).fill(0x0f)]),
    parse: (bytes) => {
      const page = Uint8Array.from(bytes.subarray(0, 4096));
      for (let filter = 0; filter < FILTER_COUNT + 1; filter++)
        for (const address of [0, 0x1003, 0xffff_f000]) {
          const middle = bytes.length % (page.length + 1);
          const before = unfilterRun(filter, address, page, 0, middle, 0);
          unfilterRun(filter, (address + middle) | 0, page, middle, page.length, before);
        }
    },
  },
  {
    name: 'the record of a hand-off',
    covers: ['src/trace/handoff.ts'],
    inputs: async () => {
      const records = (await payloads('EVTS')).flatMap((raw) => {
        const block = new EventBlock(raw);
        const all = Array.from({ length: block.count }, (_, i) => block.at(i));
        return all.filter(({ kind }) => kind === 'handoff').map(({ data }) => Uint8Array.from(data));
      });
      return damaged(records);
    },
    parse: (bytes) => {
      const view = decodeHandoff(bytes, SITE);
      handoffText(view);
      diffHandoff(view, view);
    },
    refusal: clause(),
    runs: 1000,
  },
  {
    name: 'symbols of an ELF file',
    covers: ['src/trace/symbols.ts'],
    inputs: () => damaged([symbolElf, ...structures(fuzz.elf(), 8)]),
    parse: (bytes) => SymbolTable.fromElf(bytes)?.lookup(0x10_0000n),
    runs: 2000,
    most: 64 * MIB,
  },
  {
    name: 'a kernel’s own symbols in memory',
    covers: ['src/trace/kallsyms.ts'],
    inputs: () =>
      damaged(Object.values(LAYOUTS).map((layout) => Uint8Array.from(kernelTables(functions(600), layout)))),
    parse: (bytes) => kallsymsIn(bytes)?.lookup(0xffff_ffff_8100_0000n),
    runs: 200,
  },
  {
    name: 'what events mean',
    covers: ['semantics', 'fw-cfg', 'pci', 'pci-bars', 'devices', 'vga', 'registers'].map(
      (name) => `src/trace/semantic/${name}.ts`,
    ),
    inputs: () => damaged([...structures(fuzz.fwCfgDirectory(), 12), ...structures(fuzz.bootParams(), 4), symbolElf]),
    parse: (bytes) => {
      const semantics = new Semantics();
      for (const event of eventsOf(bytes)) {
        const meaning = semantics.next(event);
        if (/undefined|NaN/.test(`${meaning.device} ${meaning.register} ${meaning.text}`))
          throw new TypeError(`${event.kind}: ${meaning.text}`);
        meaning.fieldAt?.(0);
      }
      for (const [name, item] of semantics.fwCfgItems) itemField(name, 0, item.length, item);
    },
  },
  {
    name: 'the inside of firmware’s tables',
    covers: ['src/trace/semantic/firmware-fields.ts', 'src/trace/semantic/fw-cfg-items.ts'],
    inputs: () =>
      damaged(
        [fuzz.acpi(), fuzz.smbios(), fuzz.e820(), fuzz.tableLoader(), fuzz.fwCfgDirectory()].flatMap((kind) =>
          structures(kind, 16),
        ),
      ),
    parse: (bytes) => {
      for (const offset of [0, 9, 40, 1000, bytes.length - 1, bytes.length]) {
        const said = [acpiBlobField(bytes, offset), smbiosField(bytes, offset), acpiField('RSDT', offset)];
        for (const item of ITEMS) said.push(itemField(item, offset, 4, bytes), itemField(item, offset, 300, undefined));
        if (said.some((text) => text !== undefined && /NaN|undefined/.test(text))) throw new TypeError(String(said));
      }
    },
  },
];
