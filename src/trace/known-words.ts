// Which words of memory (8 bytes, aligned) count as zeros in a state hash: those with a byte that stands for initial memory
// which the guest has not observed. A replay that noted accesses as a recording does would know them by itself, and take a
// sixth longer for it; so a trace says at each hash what has changed since the one before (KNOW chunks, FORMAT.md). By words
// and not by bytes, since that takes a third of the room.
//
// Invariant: whoever follows a machine and whoever is told by its trace have the same masks at the same hash.

import { decodeCanonical, encodeCanonical } from './codec.js';
import { binary, integer, list, record } from './fields.js';
import { isFull, MASK_SIZE } from './state-digest.js';
import { VarintReader, VarintWriter } from './varint.js';

/** Bytes of a word, as a trace's header says it: those that one byte of a page's mask stands for. */
export const WORD_SIZE = 8;
/** Bytes of changes that are a payload of their own while the guest runs. */
const MUCH = 0x4_0000;
/** State hashes of a payload at most. */
const MOST_CYCLES = 0x1_0000;

const ALL = new Uint8Array(MASK_SIZE).fill(0xff);
const NONE = new Uint8Array(MASK_SIZE);
const scratch = new Uint8Array(MASK_SIZE);

/** The mask of all words that have a byte in a mask of bytes. A view, until the next one. */
export function wholeWords(mask: Uint8Array): Uint8Array {
  for (let n = 0; n < MASK_SIZE; n++) scratch[n] = mask[n] === 0 ? 0 : 0xff;
  return scratch;
}

/** Masks of bytes that a replay might not have. */
interface Unknown {
  /** Bit 0 of byte 0 first; undefined when there are none. */
  unknownIn(page: number): Uint8Array | undefined;
}

/** What state hashes go by. */
export interface KnownSource extends Unknown {
  /**
   * A hash is about to be made.
   * @param changed pages that were written, ascending; where a machine is followed also those of which a byte became known
   * @returns pages whose digests may be others than at the hash before
   */
  update(cycle: number, changed: readonly number[]): readonly number[];
}

/** Masks of whole words. */
class KnownWords implements Unknown {
  /** Pages nothing of which is known. */
  readonly #untouched: Uint8Array;
  readonly #masks = new Map<number, Uint8Array>();

  /**
   * @param pages of RAM
   * @param loaded ranges that are tracked from cycle 0 on
   */
  constructor(
    readonly pages: number,
    loaded: Iterable<readonly [address: number, bytes: number]>,
  ) {
    this.#untouched = new Uint8Array(pages);
    for (const [address, bytes] of loaded)
      if (bytes > 0) this.#untouched.fill(1, Math.floor(address / 4096), Math.floor((address + bytes - 1) / 4096) + 1);
  }

  unknownIn(page: number): Uint8Array | undefined {
    return this.#untouched[page] === 1 ? ALL : this.#masks.get(page);
  }

  /** @param mask a view; undefined when all of the page is known */
  protected set(page: number, mask: Uint8Array | undefined): void {
    this.#untouched[page] = 0;
    const own = this.#masks.get(page);
    if (!mask) this.#masks.delete(page);
    else if (own) own.set(mask);
    else this.#masks.set(page, mask.slice());
  }
}

/** Those of a machine that tracks what the guest sees. */
export class FollowedWords extends KnownWords implements KnownSource {
  /** Takes what changes, for a trace. */
  log: KnownLog | undefined;

  constructor(
    pages: number,
    loaded: Iterable<readonly [address: number, bytes: number]>,
    private readonly machine: Unknown,
  ) {
    super(pages, loaded);
  }

  update(cycle: number, changed: readonly number[]): readonly number[] {
    for (const page of changed) this.#follow(page);
    this.log?.end(cycle);
    return changed;
  }

  #follow(page: number): void {
    const bytes = this.machine.unknownIn(page);
    const before = this.unknownIn(page);
    if (!bytes) {
      if (!before) return;
      this.log?.whole(page);
      this.set(page, undefined);
      return;
    }
    if (before === ALL && isFull(bytes)) return;
    wholeWords(bytes);
    // The comparison that is built in is quick from the first call on.
    if (before && Buffer.compare(scratch, before) === 0) return;
    this.log?.page(page, before ?? NONE, scratch);
    this.set(page, scratch);
  }
}

/** Those that a trace tells. */
export class ToldWords extends KnownWords implements KnownSource {
  #next = 0;

  /** @param changes by ascending cycle */
  constructor(
    pages: number,
    loaded: Iterable<readonly [address: number, bytes: number]>,
    private readonly changes: readonly KnownChange[],
  ) {
    super(pages, loaded);
  }

  update(cycle: number, changed: readonly number[]): readonly number[] {
    const pages = new Set(changed);
    for (; this.#next < this.changes.length && this.changes[this.#next]!.cycle <= cycle; this.#next++) {
      readChange(new VarintReader(this.changes[this.#next]!.pages), this.pages, (page, runs) => {
        pages.add(page);
        this.#change(page, runs);
      });
    }
    return pages.size === changed.length ? changed : [...pages].sort((a, b) => a - b);
  }

  #change(page: number, runs: Uint16Array): void {
    if (runs.length === 0) {
      this.set(page, undefined);
      return;
    }
    scratch.set(this.unknownIn(page) ?? NONE);
    for (let i = 0, at = 0; i < runs.length; i++) {
      const end = at + runs[i]!;
      if (i % 2 === 1) for (let word = at; word < end; word++) scratch[word]! ^= 0xff;
      at = end;
    }
    this.set(page, scratch);
  }
}

/** What became another between two state hashes. */
export interface KnownChange {
  /** Of the later one. */
  readonly cycle: number;
  /** As a payload has it. */
  readonly pages: Uint8Array;
}

/** Writes changes down as they come. */
export class KnownLog {
  #cycles: number[] = [];
  readonly #data = new VarintWriter();
  #last = 0;
  #any = false;

  /** @param full takes a payload when much has come */
  constructor(private readonly full: (payload: Uint8Array) => void) {}

  /** All of a page is known. Pages come by ascending number. */
  whole(page: number): void {
    this.#page(page, 1);
  }

  /** Masks of words, 0 or 0xff for each. */
  page(page: number, before: Uint8Array, after: Uint8Array): void {
    this.#page(page, 0);
    for (let at = 0, differs = false; at < MASK_SIZE; differs = !differs) {
      const from = at;
      while (at < MASK_SIZE && (before[at] !== after[at]) === differs) at++;
      this.#data.write(at - from);
    }
  }

  /** The changes before a state hash are complete. */
  end(cycle: number): void {
    if (!this.#any) return;
    this.#data.write(0);
    this.#cycles.push(cycle);
    this.#last = 0;
    this.#any = false;
    if (this.#data.bytes().length < MUCH && this.#cycles.length < MOST_CYCLES) return;
    const payload = this.take();
    if (payload) this.full(payload);
  }

  /** The payload of all since the last; undefined when there is nothing. */
  take(): Uint8Array | undefined {
    if (this.#cycles.length === 0) return undefined;
    const payload = encodeCanonical({ cycles: this.#cycles, words: this.#data.bytes() });
    this.#cycles = [];
    this.#data.reset();
    return payload;
  }

  #page(page: number, whole: number): void {
    this.#data.write((page - this.#last) * 2 + whole + 1);
    this.#last = page;
    this.#any = true;
  }
}

/**
 * What a payload says, by ascending cycle.
 * @param pages of the machine's RAM
 * @throws Error when it cannot be
 */
export function decodeKnown(payload: Uint8Array, pages: number): KnownChange[] {
  const map = record(decodeCanonical(payload), 'known words');
  const bytes = binary(map.words, 'words');
  const cycles = list(map.cycles, 'cycles');
  if (cycles.length > MOST_CYCLES) throw new Error(`there are ${cycles.length} cycles`);
  const reader = new VarintReader(bytes);
  let before = -1;
  const changes = cycles.map((item) => {
    const cycle = integer(item, Number.MAX_SAFE_INTEGER, 'cycle');
    if (cycle < before) throw new Error('the cycles are not in order');
    before = cycle;
    const from = reader.position;
    readChange(reader, pages, () => {});
    return { cycle, pages: bytes.subarray(from, reader.position) };
  });
  if (!reader.done) throw new Error('there are more words than cycles');
  return changes;
}

const runs = new Uint16Array(MASK_SIZE + 1);

/**
 * Read one change.
 * @param found takes runs of words that are as before, others, as before and so on to the page's end; none for a page all
 * of which is known. A view
 * @throws Error
 */
function readChange(reader: VarintReader, pages: number, found: (page: number, runs: Uint16Array) => void): void {
  let page = 0;
  for (let code = reader.read(); code !== 0; code = reader.read()) {
    page += Math.floor((code - 1) / 2);
    if (page >= pages) throw new Error(`page ${page} is not RAM`);
    let count = 0;
    for (let at = 0; code % 2 === 1 && at < MASK_SIZE; ) {
      const run = reader.read();
      at += run;
      if (at > MASK_SIZE || (run === 0 && count > 0)) throw new Error('words lead past the end of a page');
      runs[count++] = run;
    }
    found(page, runs.subarray(0, count));
  }
}
