// Reads a trace. Opening verifies every byte of the file against the hash chain before anything is believed; after
// that, chunks are decoded one at a time, so memory is bounded by one chunk. What cannot be used is refused with a
// TraceError of one sentence.

import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import type { SourceBytes } from './borrowed.js';
import { type CheckpointState, decodeCheckpoint, decodePages, type SavedPage } from './checkpoint.js';
import { type Checkpoint, indexedCheckpoints } from './checkpoint-places.js';
import type { ChunkPlace } from './chunk-place.js';
import {
  CHUNK_HEADER_SIZE,
  CHUNK_TYPES,
  CODEC_BORROWED,
  CODEC_NONE,
  CONTAINER_MAJOR,
  ContentRoot,
  decodeChunkHeader,
  decodePayload,
  END_MAGIC,
  FLAG_ANCILLARY,
  firstLink,
  isOfCheckpoint,
  isSlowToUnpack,
  LINK_SIZE,
  MAGIC,
  PREAMBLE_SIZE,
  startLink,
  TRAILER_SIZE,
} from './chunks.js';
import { systemReason, TraceError } from './error.js';
import { EventBlock, siteKey } from './event-block.js';
import type { TraceEvent } from './events.js';
import {
  decodeHeader,
  decodeIndex,
  decodeNotes,
  decodeSummary,
  type TraceHeader,
  type TraceNotes,
  type TraceSummary,
} from './header.js';
import { unpackKept } from './kept-unpacked.js';
import { decodeKnown, type KnownChange } from './known-words.js';
import { FoundImages } from './lent-images.js';
import { decodeMemory, type MemoryPiece } from './memory.js';
import { decodeRuns, type MemoryRuns } from './memory-runs.js';
import { decodePageList, SavedPages } from './saved-pages.js';
import type { SiteCode } from './sink.js';
import { SymbolTable } from './symbols.js';

const READ_SIZE = 0x10_0000;
/** Bytes of unpacked payloads that are kept, and events. */
const MAX_UNPACKED = 0x200_0000;
const MAX_KEPT_EVENTS = 0x10_0000;

/** What a reader has found out about a file, for another one of the same file. */
export interface Verified {
  readonly size: number;
  readonly chunks: readonly ChunkPlace[];
  readonly checkpoints: readonly Checkpoint[];
  /** Events up to the end of each chunk of them that has been read, by its offset. */
  readonly ends: ReadonlyMap<number, number>;
}

export interface OpenOptions {
  /** Accept a recording that was cut off: what is there up to the last whole chunk. */
  readonly partial?: boolean;
  /** Of a finished file that another reader has verified and has open: it is not verified once more. */
  readonly verified?: Verified;
}

export class TraceReader {
  readonly path: string;
  /** Bytes of the file. */
  readonly size: number;
  readonly header: TraceHeader;
  readonly notes: TraceNotes;
  /** Undefined when the recording was cut off. */
  readonly summary: TraceSummary | undefined;
  /** Chunks in file order. */
  readonly chunks: readonly ChunkPlace[];
  /** One sentence when the recording was cut off, else undefined. */
  readonly damage: string | undefined;
  #file: number;
  readonly #code = new Map<string, SiteCode>();
  /** Events up to the end of a chunk of them, by its offset, as far as they have been read. */
  readonly #ends: Map<number, number>;
  /** Chunks of events that root() has come by, by offset. */
  readonly #blocks = new Map<number, EventBlock>();
  #found: FoundImages | undefined;
  #symbols: SymbolTable | undefined | null = null;
  #checkpoints: readonly Checkpoint[] | undefined;
  /** Raw payloads of chunks that are slow to unpack, by offset, since they are asked for twice and take long. */
  readonly #unpacked = new Map<number, Uint8Array | undefined>();

  private constructor(path: string, options: OpenOptions) {
    this.path = path;
    this.#file = openTrace(path);
    try {
      this.size = fstatSync(this.#file).size;
      const verified = options.verified?.size === this.size ? options.verified : undefined;
      this.#checkpoints = verified?.checkpoints;
      this.#ends = new Map(verified?.ends);
      const { chunks, cutAt } = verified ? { chunks: verified.chunks, cutAt: undefined } : this.#scan();
      this.chunks = chunks;
      const done = this.#find('DONE');
      this.damage = cutAt === undefined ? undefined : `the recording was cut off at offset ${cutAt}`;
      if (cutAt !== undefined && !options.partial) {
        this.#refuse(`${this.damage} and cannot be replayed: record the boot again`, cutAt);
      }
      const head = this.#find('HEAD');
      if (!head || chunks[0] !== head) this.#refuse('the header is missing: record the boot again', PREAMBLE_SIZE);
      this.header = this.#decode(head, decodeHeader);
      const note = this.#find('NOTE');
      this.notes = note ? this.#decode(note, decodeNotes) : { tool: '', names: [] };
      if (cutAt === undefined && !done) this.#refuse('the summary is missing: record the boot again');
      this.summary = done ? this.#decode(done, decodeSummary) : undefined;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Open and verify a trace.
   * @throws TraceError when it is no trace, is damaged, is from a newer version, or (without `partial`) was cut off
   */
  static open(path: string, options: OpenOptions = {}): TraceReader {
    return new TraceReader(path, options);
  }

  /** Whether the recording was finished. */
  get complete(): boolean {
    return this.damage === undefined;
  }

  close(): void {
    if (this.#file >= 0) closeSync(this.#file);
    this.#file = -1;
    this.#blocks.clear();
  }

  /** The chunks of events, in order; without those that have been read before and have only events before `from`. */
  *blocks(from = 0): Generator<EventBlock> {
    let next = 0;
    for (const place of this.chunks) {
      if (place.type !== 'EVTS') continue;
      const end = this.#ends.get(place.offset);
      if (end !== undefined && end <= from) {
        next = end;
        continue;
      }
      const block = this.#blocks.get(place.offset) ?? this.#decode(place, (raw) => new EventBlock(raw));
      if (block.first !== next) this.#refuse(`events ${next} to ${block.first} are missing`, place.offset);
      next += block.count;
      this.#ends.set(place.offset, next);
      for (const [key, code] of block.code) if (!this.#code.has(key)) this.#code.set(key, code);
      yield block;
    }
  }

  /** The events from a number on, in order. */
  *events(from = 0): Generator<TraceEvent> {
    for (const block of this.blocks(from)) {
      for (let i = Math.max(0, from - block.first); i < block.count; i++) yield block.at(i);
    }
  }

  /** The instruction at a site, when the trace has it and its events have been read. */
  code(cs: number, rip: bigint): SiteCode | undefined {
    return this.#code.get(siteKey(cs, rip));
  }

  /** Whether the initial memory is in the file: not so in a recording that was cut off. */
  get hasMemory(): boolean {
    return this.complete;
  }

  /** Initial memory as far as the guest saw it, by ascending address in each chunk; what no piece covers is zero. */
  *memory(): Generator<MemoryPiece> {
    for (const chunk of this.chunks) {
      if (chunk.type === 'MEMO') yield* this.#decode(chunk, decodeMemory);
    }
  }

  /** The same as columns, a chunk at a time. */
  *memoryRuns(): Generator<MemoryRuns> {
    for (const chunk of this.chunks) if (chunk.type === 'MEMO') yield this.#decode(chunk, decodeRuns);
  }

  /** Where a replay can begin, in order. */
  get checkpoints(): readonly Checkpoint[] {
    const index = this.#find('INDX');
    this.#checkpoints ??= index && indexedCheckpoints(this.chunks, this.#decode(index, decodeIndex).chunks);
    this.#checkpoints ??= this.#readCheckpoints();
    return this.#checkpoints;
  }

  /** What one of them says itself. */
  checkpointState({ state }: Checkpoint): CheckpointState {
    return this.#decode(state, decodeCheckpoint);
  }

  /** Pages that changed between checkpoint `n` - 1, or the beginning, and `n`. Their bytes are views. */
  *checkpointPages(n: number): Generator<SavedPage> {
    const { pages = [] } = this.checkpoints[n] ?? {};
    for (const place of pages) if (place.type === 'CHKP') yield* this.#decode(place, decodePages);
    const saved = this.#savedPages(pages);
    for (const number of saved.numbers())
      yield { number, bytes: saved.isZeros(number) ? undefined : this.#orRefuse(pages, () => saved.bytesOf(number)) };
  }

  /**
   * Pages as checkpoint `last` and all before it leave them, none of them unpacked.
   * @returns undefined when the trace has them in another form
   */
  savedPages(last: number): SavedPages | undefined {
    const places = this.checkpoints.slice(0, last + 1).flatMap(({ pages }) => pages);
    return places.some(({ type }) => type === 'CHKP') ? undefined : this.#savedPages(places);
  }

  #savedPages(places: readonly ChunkPlace[]): SavedPages {
    const lists = places.flatMap((place, n) => {
      if (place.type !== 'LIST') return [];
      const list = this.#decode(place, decodePageList);
      return { list, read: this.#groupReader(places[n - 1], list.starts.at(-1)!, place) };
    });
    return this.#orRefuse(places, () => new SavedPages(lists, Math.floor(this.header.memory / 4096)));
  }

  /** What of a checkpoint's pages breaks the format. */
  #orRefuse<T>(places: readonly ChunkPlace[], read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (error instanceof TraceError) throw error;
      const what = `pages of a checkpoint cannot be read (${(error as Error).message}): record the boot again`;
      return this.#refuse(what, places[0]?.offset);
    }
  }

  /** Reads packed groups of pages. @param place of the chunk that should have them, `bytes` in all */
  #groupReader(place: ChunkPlace | undefined, bytes: number, list: ChunkPlace) {
    if (place?.type !== 'PAGE' || place.codec !== CODEC_NONE || place.rawLength !== binaryHead(bytes) + bytes)
      this.#refuse('pages of a checkpoint are missing: record the boot again', list.offset);
    const start = place.offset + CHUNK_HEADER_SIZE + binaryHead(bytes);
    return (from: number, length: number): Uint8Array => this.#read(start + from, length);
  }

  /** For another reader of the file. @param last number of the last checkpoint that it needs */
  verified(last: number): Verified {
    const { size, chunks } = this;
    return { size, chunks, checkpoints: this.checkpoints.slice(0, last + 1), ends: this.#ends };
  }

  /** Found from the end, since a checkpoint's state stands behind its pages. */
  #readCheckpoints(): Checkpoint[] {
    const places = this.chunks.filter(({ type }) => isOfCheckpoint(type));
    const found: Checkpoint[] = [];
    for (let end = places.length; end > 0; ) {
      const place = places[end - 1]!;
      const { pageChunks, cycle, event, decoded } = this.#decode(place, decodeCheckpoint);
      const start = end - 1 - pageChunks;
      if (start < 0 || event >= (found[0]?.event ?? Number.POSITIVE_INFINITY))
        this.#refuse('the checkpoints are not in order: record the boot again', place.offset);
      found.unshift({ cycle, event, code: decoded?.pages.length, state: place, pages: places.slice(start, end - 1) });
      end = start;
    }
    return found;
  }

  /** What state hashes count as zeros, as it changes; undefined when the trace does not say it. */
  knownWords(): KnownChange[] | undefined {
    const chunks = this.chunks.filter(({ type }) => type === 'KNOW');
    if (chunks.length === 0) return undefined;
    const pages = Math.floor(this.header.memory / 4096);
    return chunks.flatMap((chunk) => this.#decode(chunk, (raw) => decodeKnown(raw, pages)));
  }

  /** The kernel's symbols, if the trace has them. */
  get symbols(): SymbolTable | undefined {
    if (this.#symbols === null) {
      const place = this.#find('SYMS');
      this.#symbols = place && this.#decode(place, (raw) => SymbolTable.decode(raw));
    }
    return this.#symbols;
  }

  /**
   * The hash of the content, computed from the content and compared with the one in the index.
   * Equal roots, equal boots. Undefined when the recording was cut off.
   * @param events of which the first ones, as far as that is not too much, are kept unpacked for who reads them next
   */
  root(events = 0): string | undefined {
    const index = this.#find('INDX');
    if (!index) return undefined;
    const content = new ContentRoot();
    let [next, bytes] = [0, 0];
    for (const place of this.chunks) {
      if ((place.flags & FLAG_ANCILLARY) !== 0) continue;
      bytes += place.type === 'EVTS' ? place.rawLength : 0;
      const keep = place.type === 'EVTS' && next < events && bytes <= MAX_UNPACKED;
      const block = this.#decode(place, (raw) => {
        content.add(place.type, raw);
        return keep ? new EventBlock(raw) : undefined;
      });
      if (!block) continue;
      next = block.first + block.count;
      if (next <= MAX_KEPT_EVENTS) this.#blocks.set(place.offset, block);
    }
    const root = content.digest().toString('hex');
    const stored = this.#decode(index, decodeIndex).root;
    if (stored !== root) this.#refuse(`its content does not have the root ${stored} that it claims: record it again`);
    return root;
  }

  /** The root that the index gives, not held against the content, which takes reading all of it. */
  get claimedRoot(): string | undefined {
    const index = this.#find('INDX');
    return index && this.#decode(index, decodeIndex).root;
  }

  /** The raw payload of a chunk that is slow to unpack: it and those behind it are unpacked together and kept. Undefined when damaged. */
  #unpack(place: ChunkPlace): Uint8Array | undefined {
    if (!this.#unpacked.has(place.offset)) {
      this.#unpacked.clear();
      let left = MAX_UNPACKED;
      const places: ChunkPlace[] = [];
      for (const other of this.chunks) {
        if (other.offset < place.offset || !isSlowToUnpack(other)) continue;
        left -= other.rawLength;
        if (left < 0 && other !== place) break;
        places.push(other);
      }
      const results = unpackKept(
        places.map((header) => ({
          header,
          stored: this.#read(header.offset + CHUNK_HEADER_SIZE, header.storedLength),
        })),
      );
      places.forEach(({ offset }, n) => {
        this.#unpacked.set(offset, results[n]);
      });
    }
    return this.#unpacked.get(place.offset);
  }

  /** Bytes of images, for payloads that borrow from them: none do before header and notes. */
  readonly #images: SourceBytes = (source) => {
    this.#found ??= new FoundImages(this.path, this.header, this.notes);
    return this.#found.bytesOf(source);
  };

  /** Whether a replay needs nothing but the file: no payload borrows from an image. */
  get isSealed(): boolean {
    return this.chunks.every(({ codec }) => codec !== CODEC_BORROWED);
  }

  #find(type: string): ChunkPlace | undefined {
    return this.chunks.find((chunk) => chunk.type === type);
  }

  #decode<T>(place: ChunkPlace, decode: (raw: Uint8Array) => T): T {
    const unpacked = isSlowToUnpack(place) ? this.#unpack(place) : undefined;
    const stored = unpacked ?? this.#read(place.offset + CHUNK_HEADER_SIZE, place.storedLength);
    try {
      return decode(unpacked ?? decodePayload(place, stored, this.#images));
    } catch (error) {
      if (error instanceof TraceError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      return this.#refuse(
        `the ${place.type} chunk at offset ${place.offset} cannot be read (${reason}): record the boot again`,
        place.offset,
      );
    }
  }

  /** Walk the chunks and check the chain. `cutAt` is where a recording that was cut off has its last whole chunk's end. */
  #scan(): { chunks: ChunkPlace[]; cutAt: number | undefined } {
    const preamble = this.#checkPreamble();
    const chunks: ChunkPlace[] = [];
    // Memory of their own for all pieces would have to be found and cleared by the system.
    const room = Buffer.allocUnsafe(Math.min(READ_SIZE, this.size));
    let link: Uint8Array = firstLink(preamble);
    let offset = PREAMBLE_SIZE;
    // A file that ends as a finished one does was not cut off: a length that leads past its end is damage.
    const finished = this.size >= TRAILER_SIZE && END_MAGIC.equals(this.#read(this.size - 8, 8));
    for (;;) {
      const left = this.size - offset;
      const last = chunks.at(-1);
      if (last?.type === 'INDX' && left >= TRAILER_SIZE) {
        this.#checkTrailer(last.offset, offset);
        return { chunks, cutAt: undefined };
      }
      if (left < CHUNK_HEADER_SIZE) return this.#cut(chunks, offset, finished);
      const bytes = this.#read(offset, CHUNK_HEADER_SIZE);
      const header = decodeChunkHeader(bytes);
      const number = chunks.length;
      if (typeof header === 'string') {
        return this.#refuse(
          `is damaged at offset ${offset}, chunk ${number}: ${header}; restore or record it again`,
          offset,
        );
      }
      if (left < CHUNK_HEADER_SIZE + header.storedLength + LINK_SIZE) return this.#cut(chunks, offset, finished);
      const payloadAt = offset + CHUNK_HEADER_SIZE;
      link = this.#hashLink(link, bytes, payloadAt, header.storedLength, room);
      const linkAt = payloadAt + header.storedLength;
      if (!this.#read(linkAt, LINK_SIZE).equals(link)) {
        const what = `chunk ${number} (${header.type}) at offset ${offset} does not match its hash`;
        return this.#refuse(`is damaged: ${what}; restore the file or record it again`, offset);
      }
      chunks.push({ ...header, offset });
      offset = linkAt + LINK_SIZE;
    }
  }

  #cut(chunks: ChunkPlace[], offset: number, finished: boolean): { chunks: ChunkPlace[]; cutAt: number } {
    if (finished) {
      this.#refuse(`is damaged: the chunk at offset ${offset} leads past the end; restore or record it again`, offset);
    }
    return { chunks, cutAt: offset };
  }

  #checkPreamble(): Buffer {
    if (this.size === 0) this.#refuse('is empty, not a trace: record the boot again', 0);
    const preamble = this.#read(0, Math.min(PREAMBLE_SIZE, this.size));
    if (!preamble.subarray(0, 8).equals(MAGIC.subarray(0, Math.min(8, this.size)))) {
      this.#refuse('is not a vmreplay trace: it does not begin as one', 0);
    }
    if (preamble.length < PREAMBLE_SIZE) this.#refuse('was cut off in its first bytes: record the boot again', 0);
    const major = preamble.readUInt16LE(8);
    if (major !== CONTAINER_MAJOR) {
      const mend = major > CONTAINER_MAJOR ? 'use a newer vmreplay' : 'record the boot again';
      this.#refuse(`is in trace format ${major} and this program reads format ${CONTAINER_MAJOR}: ${mend}`, 8);
    }
    return preamble;
  }

  #checkTrailer(indexOffset: number, offset: number): void {
    const trailer = this.#read(offset, TRAILER_SIZE);
    if (trailer.readBigUInt64LE(0) !== BigInt(indexOffset) || !trailer.subarray(8).equals(END_MAGIC)) {
      this.#refuse(`is damaged: its trailer at offset ${offset} is wrong; restore or record it again`, offset);
    }
    if (this.size !== offset + TRAILER_SIZE) {
      this.#refuse(`has ${this.size - offset - TRAILER_SIZE} bytes after its end; restore or record it again`, offset);
    }
  }

  #hashLink(previous: Uint8Array, header: Buffer, at: number, length: number, room: Buffer): Buffer {
    const hash = startLink(previous, header);
    for (let done = 0; done < length; ) {
      const piece = this.#read(at + done, Math.min(READ_SIZE, length - done), room);
      hash.update(piece);
      done += piece.length;
    }
    return hash.digest();
  }

  #read(offset: number, length: number, room?: Buffer): Buffer {
    const bytes = room?.subarray(0, length) ?? Buffer.allocUnsafe(length);
    let done = 0;
    while (done < length) {
      let count: number;
      try {
        count = readSync(this.#file, bytes, done, length - done, offset + done);
      } catch (error) {
        return this.#refuse(`cannot be read at offset ${offset + done}: ${systemReason(error)}`, offset);
      }
      if (count === 0) this.#refuse(`became shorter while it was read, at offset ${offset + done}: try again`, offset);
      done += count;
    }
    return bytes;
  }

  #refuse(what: string, offset?: number): never {
    throw new TraceError(this.path, what, offset);
  }
}

/** Bytes in front of so many of a binary in msgpack. */
const binaryHead = (bytes: number): number => (bytes < 0x100 ? 2 : bytes < 0x1_0000 ? 3 : 5);

/** Whether this version gives a chunk type a meaning. */
export const isKnownChunk = (type: string): boolean => (CHUNK_TYPES as readonly string[]).includes(type);

function openTrace(path: string): number {
  let file: number;
  try {
    // A pipe would be waited for, so what it is comes first.
    const stat = statSync(path);
    if (!stat.isFile()) {
      throw new TraceError(path, stat.isDirectory() ? 'is a directory, not a trace' : 'is not a regular file');
    }
    file = openSync(path, 'r');
  } catch (error) {
    if (error instanceof TraceError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new TraceError(path, code === 'ENOENT' ? 'there is no such file' : `cannot be read: ${systemReason(error)}`);
  }
  return file;
}
