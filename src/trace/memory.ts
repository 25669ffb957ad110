// The initial memory of the guest, as far as the guest ever saw it. A kernel image is tens of megabytes and a boot
// reads a few of them, so only bytes that were read or executed before they were overwritten are stored; everything
// else is zero in a replay, and the state hash treats it as zero on both sides. Runs of zeros are not stored either.
//
// What is stored is made compressible first, page by page (page-packer.ts). Gaps between the bytes that are stored
// and lengths of what is stored lie in streams of their own, since they are worth a tenth of the whole.

import { encodeCanonical } from './codec.js';
import { decodeRuns, MEMORY_SPAN } from './memory-runs.js';
import { type PackedPage, packPage } from './page-packer.js';
import { ZERO_PAGE } from './state-digest.js';
import { VarintWriter } from './varint.js';

const PAGE = 4096;

export { MEMORY_SPAN } from './memory-runs.js';
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

/** What of some regions lies in pages where they have anything but zeros. */
export function withoutBlanks(regions: readonly MemoryRegion[]): MemoryRegion[] {
  const found: MemoryRegion[] = [];
  for (const { address, data } of regions) {
    let from = 0;
    for (let at = 0, next = 0; at < data.length; at = next) {
      next = Math.min(data.length, at + PAGE - ((address + at) % PAGE));
      // The comparison that is built in is quick from the first call on.
      if (data[at] !== 0 || Buffer.compare(data.subarray(at, next), ZERO_PAGE.subarray(0, next - at)) !== 0) continue;
      if (at > from) found.push({ address: address + from, data: data.subarray(from, at) });
      from = next;
    }
    if (data.length > from) found.push({ address: address + from, data: data.subarray(from) });
  }
  return found;
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
  const { address, offsets, lengths, data } = decodeRuns(payload);
  let used = 0;
  return Array.from(offsets, (offset, i) => {
    used += lengths[i]!;
    return { address: address + offset, data: data.subarray(used - lengths[i]!, used) };
  });
}
