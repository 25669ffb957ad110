// The initial memory of the guest, as far as the guest ever saw it. A kernel image is tens of megabytes and a boot
// reads a few of them, so only bytes that were read or executed before they were overwritten are stored; everything
// else is zero in a replay, and the state hash treats it as zero on both sides. Runs of zeros are not stored either.
//
// What is stored is made compressible first, page by page (page-packer.ts). Gaps between the bytes that are stored
// and lengths of what is stored lie in streams of their own, since they are worth a tenth of the whole.

import { decodeCanonical, encodeCanonical } from './codec.js';
import { binary, integer, record } from './fields.js';
import { FILTER_COUNT, unfilterPage } from './memory-filters.js';
import { type PackedPage, packPage } from './page-packer.js';
import { VarintReader, VarintWriter } from './varint.js';

const PAGE = 4096;
/** Span of guest memory that one MEMO chunk covers at most, in bytes. */
export const MEMORY_SPAN = 0x200_0000;
/** Stored bytes at which a chunk ends with the page. */
export const MEMORY_CHUNK = 0x30_0000;

/** Which bytes of the initial memory the guest has observed. */
export interface ObservedMemory {
  /** Mask of the observed bytes of a 4 KiB page, bit 0 of byte 0 first; undefined when all are. The same array always. */
  observedIn(page: number): Uint8Array | undefined;
}

/** Memory as the loader left it at cycle 0. */
export interface MemoryRegion {
  /** Guest physical. */
  readonly address: number;
  readonly data: Uint8Array;
}

/** Every byte, for recorders that do not track. */
export const ALL_OBSERVED: ObservedMemory = { observedIn: () => undefined };

/** A page, or a part of one, and which of its bytes are to be stored: bit 0 of byte 0 of the whole page first. */
export interface ObservedPage {
  /** Guest physical, of `bytes`. */
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly mask: Uint8Array;
}

/** Payloads of MEMO chunks for pages by ascending address. A page is done with when the next one is asked for. */
export function* encodePages(pages: Iterable<ObservedPage>): Generator<Uint8Array> {
  let chunk: ChunkEncoder | undefined;
  let end = 0;
  for (const { address, bytes, mask } of pages) {
    const page = packPage(address, bytes, mask);
    if (!page) continue;
    // A page has one filter in a chunk, also where two regions meet in it.
    const divided = Math.floor((end - 1) / PAGE) === Math.floor(address / PAGE);
    const tooFar = chunk && address + bytes.length > chunk.address + MEMORY_SPAN;
    if (chunk && (divided || tooFar || chunk.used >= MEMORY_CHUNK)) {
      yield chunk.finish(end);
      chunk = undefined;
    }
    chunk ??= new ChunkEncoder(address);
    end = address + bytes.length;
    chunk.add(address, page);
  }
  if (chunk) yield chunk.finish(end);
}

/** Payloads of the MEMO chunks of a region, by ascending address. */
export function* encodeMemory(region: MemoryRegion, observed: ObservedMemory): Generator<Uint8Array> {
  const end = region.address + region.data.length;
  let chunk = new ChunkEncoder(region.address);
  for (let from = region.address; from < end; ) {
    const page = Math.floor(from / PAGE);
    const to = Math.min(end, (page + 1) * PAGE);
    if (to > chunk.address + MEMORY_SPAN || chunk.used >= MEMORY_CHUNK) {
      if (chunk.used > 0) yield chunk.finish(from);
      chunk = new ChunkEncoder(from);
    }
    const bytes = region.data.subarray(from - region.address, to - region.address);
    const packed = packPage(from, bytes, observed.observedIn(page));
    if (packed) chunk.add(from, packed);
    from = to;
  }
  if (chunk.used > 0) yield chunk.finish(end);
}

/** Where a value is next, `end` when it is nowhere before that. */
function nextOf(bytes: Uint8Array, value: number, from: number, end: number): number {
  const at = bytes.indexOf(value, from);
  return at < 0 || at > end ? end : at;
}

class ChunkEncoder {
  /** Bytes stored so far. */
  used = 0;
  #end: number;
  #run = 0;
  readonly #gaps = new VarintWriter();
  readonly #lengths = new VarintWriter();
  readonly #filters: number[] = [];
  #data = new Uint8Array(PAGE * 16);

  constructor(readonly address: number) {
    this.#end = address;
  }

  /** Add bytes of one page. */
  add(address: number, { filter, taken, bytes }: PackedPage): void {
    if (this.used + PAGE > this.#data.length) {
      const data = new Uint8Array(this.#data.length * 2);
      data.set(this.#data);
      this.#data = data;
    }
    this.#filters.push(filter);
    const { length } = bytes;
    for (let i = nextOf(taken, 1, 0, length); i < length; ) {
      const stop = nextOf(taken, 0, i, length);
      if (address + i !== this.#end || this.used === 0) {
        if (this.used > 0) this.#lengths.write(this.#run);
        this.#gaps.write(address + i - this.#end);
        this.#run = 0;
      }
      this.#run += stop - i;
      this.#end = address + stop;
      this.#data.set(bytes.subarray(i, stop), this.used);
      this.used += stop - i;
      i = nextOf(taken, 1, stop, length);
    }
  }

  finish(end: number): Uint8Array {
    this.#lengths.write(this.#run);
    return encodeCanonical({
      address: this.address,
      data: this.#data.subarray(0, this.used),
      filters: Uint8Array.from(this.#filters),
      gaps: this.#gaps.bytes(),
      length: end - this.address,
      lengths: this.#lengths.bytes(),
    });
  }
}

/** A run of known bytes of the initial memory. */
export interface MemoryPiece {
  readonly address: number;
  /** A view. */
  readonly data: Uint8Array;
}

/** The pieces of a MEMO payload, by ascending address. @throws Error when the payload breaks the format. */
export function decodeMemory(payload: Uint8Array): MemoryPiece[] {
  const map = record(decodeCanonical(payload), 'a memory chunk');
  const address = integer(map.address, 2 ** 52, 'address');
  const length = integer(map.length, MEMORY_SPAN, 'length');
  const data = Uint8Array.from(binary(map.data, 'data'));
  const filters = binary(map.filters, 'filters');
  const gaps = new VarintReader(binary(map.gaps, 'gaps'));
  const lengths = new VarintReader(binary(map.lengths, 'lengths'));
  const pieces: MemoryPiece[] = [];
  const page = new PageDecoder(filters);
  let at = address;
  let used = 0;
  while (!gaps.done) {
    const gap = gaps.read();
    const run = lengths.read();
    at += gap;
    if (run === 0 || at + run > address + length || used + run > data.length || (gap === 0 && used > 0)) {
      throw new Error('a run of memory is out of range');
    }
    pieces.push({ address: at, data: data.subarray(used, used + run) });
    page.add(at, data.subarray(used, used + run));
    at += run;
    used += run;
  }
  page.finish();
  if (used !== data.length || !lengths.done) throw new Error('memory data is longer than its runs');
  return pieces;
}

/** Gathers the runs of each page and takes its filter off, in place. */
class PageDecoder {
  #page = -1;
  #next = 0;
  readonly #runs: { offset: number; data: Uint8Array }[] = [];
  readonly #bytes = new Uint8Array(PAGE);
  readonly #taken = new Uint8Array(PAGE);

  constructor(private readonly filters: Uint8Array) {}

  add(address: number, data: Uint8Array): void {
    for (let done = 0; done < data.length; ) {
      const at = address + done;
      const page = Math.floor(at / PAGE);
      if (page !== this.#page) {
        this.#flush();
        this.#page = page;
      }
      const n = Math.min(PAGE - (at % PAGE), data.length - done);
      this.#runs.push({ offset: at % PAGE, data: data.subarray(done, done + n) });
      done += n;
    }
  }

  finish(): void {
    this.#flush();
    if (this.#next !== this.filters.length) throw new Error('there are more filters than pages');
  }

  #flush(): void {
    if (this.#runs.length === 0) return;
    const filter = this.filters[this.#next++];
    if (filter === undefined || filter >= FILTER_COUNT) throw new Error('a page of memory has no known filter');
    if (filter > 0) {
      this.#taken.fill(0);
      for (const { offset, data } of this.#runs) {
        this.#bytes.set(data, offset);
        this.#taken.fill(1, offset, offset + data.length);
      }
      unfilterPage(filter, this.#page * PAGE, this.#bytes, this.#taken);
      for (const { offset, data } of this.#runs) data.set(this.#bytes.subarray(offset, offset + data.length));
    }
    this.#runs.length = 0;
  }
}
