// Writes a trace as it happens: events go into columns, full columns into a chunk, the chunk into FILE.partial, which
// becomes FILE when the recording is finished. Memory is bounded by one chunk, whatever the length of the boot; a
// recording that is killed leaves FILE.partial, readable up to its last whole chunk.

import { accessSync, closeSync, constants, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { Borrower, type LentImages } from './borrowed.js';
import type { CheckpointPiece } from './checkpoint.js';
import {
  type ChunkType,
  ContentRoot,
  END_MAGIC,
  encodeChunk,
  encodePreamble,
  FLAG_ANCILLARY,
  firstLink,
  isOfCheckpoint,
  type PackedPayload,
  startLink,
  TRAILER_SIZE,
} from './chunks.js';
import { systemReason, TraceError } from './error.js';
import type { EventBatches } from './event-batch.js';
import { type EventChunk, EventStream } from './event-stream.js';
import { codeToValue, EMPTY, type EventKind, KIND_BY_ID, KINDS } from './events.js';
import {
  encodeHeader,
  encodeIndex,
  encodeNotes,
  encodeSummary,
  type IndexEntry,
  type Milestone,
  type TraceHeader,
  type TraceNotes,
} from './header.js';
import { KnownLog } from './known-words.js';
import { LateHasher } from './late-hash.js';
import { ALL_OBSERVED, encodeMemory, type MemoryRegion, type ObservedMemory } from './memory.js';
import { MemoryStream } from './memory-stream.js';
import { Press } from './press.js';
import { packLent } from './press-jobs.js';
import { PressThread } from './press-thread.js';
import type { EventSink, Site } from './sink.js';
import type { SymbolTable } from './symbols.js';

/** Events at which a state hash also ends the chunk, so that a killed recording loses little. */
const FLUSH_AT_HASH = 0x400;
const MAX_MILESTONES = 256;
const MILESTONE = KINDS.milestone.id;
const STATE_HASH = KINDS['state-hash'].id;

/** What only the end of a run knows. */
export interface TraceEnd {
  readonly reason: string;
  readonly code?: number | undefined;
  readonly cycles: number;
  readonly instructions: number;
  /** Hash of the final machine state, 32 bytes. */
  readonly state: Uint8Array;
  /** Memory as it was at cycle 0, in regions that do not overlap; and which bytes the guest saw, all when absent. */
  readonly memory: Iterable<MemoryRegion>;
  readonly observed?: ObservedMemory | undefined;
  /** Symbols of the kernel, for reports; outside the content. */
  readonly symbols?: SymbolTable | undefined;
}

export class TraceWriter implements EventSink {
  readonly path: string;
  readonly partialPath: string;
  /** Packs while the guest runs; it starts with the first work for it. */
  readonly #thread = new PressThread();
  readonly #events: EventStream;
  readonly #batches: EventBatches;
  readonly #site: Site;
  readonly #root = new ContentRoot();
  readonly #index: IndexEntry[] = [];
  readonly #counts = new Float64Array(32);
  readonly #milestones: Milestone[] = [];
  #file: number;
  #offset = 0;
  #link: Buffer;
  #open = -1;
  #eventChunks = 0;
  readonly #memory = new Press(this.#thread);
  #stream: MemoryStream | undefined;
  #checkpoint: ((event: number) => Iterable<CheckpointPiece>) | undefined;
  readonly #checkpoints = new Press(this.#thread);
  /** What the index says of each chunk of theirs. */
  readonly #checkpointPlaces: Omit<IndexEntry, 'type' | 'offset'>[] = [];
  #knownLog: KnownLog | undefined;
  readonly #known = new Press(this.#thread);

  /**
   * Create FILE.partial and write the header.
   * @throws TraceError when the file cannot be created
   */
  constructor(path: string, header: TraceHeader, notes: TraceNotes, site: Site) {
    checkTracePath(path);
    this.path = path;
    this.partialPath = `${path}.partial`;
    this.#site = site;
    this.#events = new EventStream(site, this.#thread);
    this.#batches = this.#events.batches;
    try {
      this.#file = openSync(this.partialPath, 'w');
    } catch (error) {
      throw new TraceError(this.partialPath, `cannot be written: ${systemReason(error)}`);
    }
    try {
      const preamble = encodePreamble();
      this.#write(preamble);
      this.#link = firstLink(preamble);
      this.#chunk('HEAD', encodeHeader(header));
      this.#chunk('NOTE', encodeNotes(notes));
    } catch (error) {
      this.abort();
      throw error;
    }
  }

  event(
    kind: number,
    address: number,
    size: number,
    value: number,
    valueHigh: number,
    name: string,
    data: Uint8Array,
  ): void {
    const batches = this.#batches;
    if (batches.full && this.#open < 0) this.#flush();
    batches.append(kind, address, size, value, valueHigh, name, data);
    this.#counts[kind]!++;
    if (kind === MILESTONE) this.#addMilestone(name);
    if (kind !== STATE_HASH) return;
    if (isShared(data)) batches.setLate(data);
    this.#writeEvents(this.#events.endWait());
    if (batches.batch.count >= FLUSH_AT_HASH && this.#open < 0) this.#flush();
    this.#stream?.step();
    if (this.#checkpoint) {
      const { events: event } = this;
      for (const piece of this.#checkpoint(event)) {
        if ('pages' in piece) this.#checkpoints.addSavedPages(piece.pages);
        else this.#checkpoints.addPayload('CHKP', piece.state);
        const place = { event, cycle: this.#site.cycle, code: piece.code };
        for (let n = 0; n < piece.chunks; n++) this.#checkpointPlaces.push(place);
      }
    }
  }

  ask(kind: number, address: number, size: number): void {
    const batches = this.#batches;
    if (batches.full) this.#flush();
    this.#open = batches.append(kind, address, size, 0, 0, '', EMPTY);
    this.#counts[kind]!++;
  }

  answer(value: number, valueHigh: number, data: Uint8Array): void {
    this.#batches.setAnswer(this.#open, value, valueHigh, data);
    this.#open = -1;
  }

  /** Has state hashes worked out on the thread that packs. An event with one of its is complete when that is done. */
  lateHasher(): LateHasher {
    return new LateHasher(this.#thread);
  }

  /**
   * Have memory packed while the guest runs, whenever much of it came to be observed. Both are those of finish().
   * @param room in which masks of observed bytes may lie
   */
  streamMemory(memory: Iterable<MemoryRegion>, observed: ObservedMemory, room?: WebAssembly.Memory): void {
    this.#stream = new MemoryStream(memory, observed, (pages) => this.#memory.addPages(pages), room);
  }

  /** Leave out what lies in images: the trace is not sealed then, and has the same root. Before the first event. */
  borrowFrom(lent: LentImages): void {
    this.#thread.borrower = new Borrower(lent);
  }

  /** Takes what changes of what state hashes count as zeros. */
  knownLog(): KnownLog {
    this.#knownLog = new KnownLog((payload) => this.#known.addPayload('KNOW', payload));
    return this.#knownLog;
  }

  /** Ask at each state hash for the pieces of a checkpoint: none when none is due. `event` counts those before it. */
  takeCheckpoints(take: (event: number) => Iterable<CheckpointPiece>): void {
    this.#checkpoint = take;
  }

  /**
   * End the recording: the end event, initial memory, summary and index; then FILE.partial becomes FILE.
   * @returns the content root, lower-case hex
   * @throws TraceError when the file cannot be written or renamed
   */
  finish(end: TraceEnd): string {
    this.event(KINDS.end.id, 0, 0, codeToValue(end.code), 0, end.reason, EMPTY);
    this.#flush();
    // What is left of memory is the thread's while this one packs events.
    const streamed = this.#stream?.finish() ?? false;
    const known = this.#knownLog?.take();
    if (streamed && known) this.#known.addPayload('KNOW', known);
    this.#writeEvents(this.#events.finish());
    if (streamed) this.#writePressed(this.#memory);
    else this.#writeMemory(end);
    this.#writePressed(this.#known);
    if (!streamed && known) this.#chunk('KNOW', known);
    this.#writePressed(this.#checkpoints);
    this.#thread.close();
    if (end.symbols) this.#chunk('SYMS', end.symbols.encode());
    this.#chunk(
      'DONE',
      encodeSummary({
        end: { reason: end.reason, code: end.code ?? null },
        cycles: end.cycles,
        instructions: end.instructions,
        state: Buffer.from(end.state).toString('hex'),
        events: this.events,
        byKind: this.#byKind(),
        milestones: this.#milestones,
      }),
    );
    const root = this.#root.digest().toString('hex');
    const indexOffset = this.#offset;
    this.#chunk('INDX', encodeIndex(this.#index, root));
    const trailer = Buffer.alloc(TRAILER_SIZE);
    trailer.writeBigUInt64LE(BigInt(indexOffset));
    END_MAGIC.copy(trailer, 8);
    this.#write(trailer);
    closeSync(this.#file);
    this.#file = -1;
    try {
      renameSync(this.partialPath, this.path);
    } catch (error) {
      const what = `cannot be written: ${systemReason(error)}; the recording is in ${this.partialPath}`;
      throw new TraceError(this.path, what);
    }
    return root;
  }

  /** Events written so far. */
  get events(): number {
    const { first, count } = this.#batches.batch;
    return first + count;
  }

  /** Give up: what was recorded stays in FILE.partial, which goes away when no chunk of it is whole. Never throws. */
  abort(): void {
    if (this.#file < 0) {
      this.#thread.close();
      return;
    }
    try {
      if (this.#batches.batch.count > 0) this.#flush();
      this.#writeEvents(this.#events.finish());
    } catch {
      // What made the recorder give up, a full disk as a rule, is told already.
    }
    this.#thread.close();
    closeSync(this.#file);
    this.#file = -1;
    if (this.#eventChunks === 0) rmSync(this.partialPath, { force: true });
  }

  #writeMemory(end: TraceEnd): void {
    const regions = [...end.memory].sort((a, b) => a.address - b.address);
    for (const region of regions) {
      for (const payload of encodeMemory(region, end.observed ?? ALL_OBSERVED)) this.#chunk('MEMO', payload);
    }
  }

  #writePressed(press: Press): void {
    for (const { type, raw, ...packed } of press.finish()) this.#chunk(type, raw, packed);
  }

  #flush(): void {
    this.#writeEvents(this.#events.flush());
  }

  #writeEvents(chunks: readonly EventChunk[]): void {
    for (const { raw, packed, first, baseCycle } of chunks) {
      this.#index.push({ type: 'EVTS', offset: this.#offset, event: first, cycle: baseCycle });
      this.#chunk('EVTS', raw, packed);
      this.#eventChunks++;
    }
  }

  #chunk(type: ChunkType, raw: Uint8Array, packed?: PackedPayload): void {
    const { borrower } = this.#thread;
    const { header, stored } = encodeChunk(type, raw, packed ?? packLent(borrower, type, raw));
    const place = isOfCheckpoint(type) ? this.#checkpointPlaces.shift() : undefined;
    if (type !== 'EVTS') this.#index.push({ type, offset: this.#offset, event: 0, cycle: 0, ...place });
    this.#link = startLink(this.#link, header).update(stored).digest();
    if ((header[5]! & FLAG_ANCILLARY) === 0) this.#root.add(type, raw);
    this.#write(header);
    this.#write(stored);
    this.#write(this.#link);
  }

  #write(bytes: Uint8Array): void {
    let done = 0;
    try {
      while (done < bytes.length) done += writeSync(this.#file, bytes, done);
    } catch (error) {
      const what = `cannot be written at offset ${this.#offset}: ${systemReason(error)}`;
      throw new TraceError(this.partialPath, what, this.#offset);
    }
    this.#offset += bytes.length;
  }

  #addMilestone(name: string): void {
    if (this.#milestones.length >= MAX_MILESTONES) return;
    const { cycle, ripLow, ripHigh } = this.#site;
    this.#milestones.push({ name, cycle, rip: (BigInt(ripHigh) << 32n) | BigInt(ripLow) });
  }

  #byKind(): Partial<Record<EventKind, number>> {
    const counts: Partial<Record<EventKind, number>> = {};
    this.#counts.forEach((count, id) => {
      if (count > 0) counts[KIND_BY_ID[id]!.kind as EventKind] = count;
    });
    return counts;
  }
}

const isShared = (data: Uint8Array): data is Uint8Array<SharedArrayBuffer> => data.buffer instanceof SharedArrayBuffer;

/**
 * Check that a trace can get this name at the end: a recording may take long, and is renamed into its place.
 * @throws TraceError when it names a directory, a device or a pipe, lies nowhere, or must not be overwritten
 */
export function checkTracePath(path: string): void {
  const refuse = (what: string): never => {
    throw new TraceError(path, what);
  };
  const statOf = (name: string) => {
    try {
      return statSync(name, { throwIfNoEntry: false });
    } catch (error) {
      return refuse(`cannot be written: ${systemReason(error)}; choose another place`);
    }
  };
  const parent = dirname(path);
  if (!statOf(parent)?.isDirectory()) {
    refuse(`cannot be written: there is no directory ${parent}; make it, or choose another place`);
  }
  const stat = statOf(path);
  if (stat?.isDirectory() || path.endsWith('/')) refuse('is a directory; name the file that the trace is to become');
  if (stat === undefined) return;
  if (!stat.isFile()) refuse('is not a regular file; name one that the trace is to become');
  try {
    accessSync(path, constants.W_OK);
  } catch (error) {
    refuse(`cannot be overwritten: ${systemReason(error)}; choose another name`);
  }
}
