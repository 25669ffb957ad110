// State hashes that a thread works out while the guest goes on: what changed is copied, which takes a tenth of the time
// that hashing it does. The result is read when the events that it stands among are packed. What the thread has not begun
// by then, or by the next hash, is done here.
//
// Invariants: the hashes are those of replay/state-hash.ts; one is under way at a time, so no page is hashed out of order;
// memory is bounded by MAX_BLOCKS.

import { awaitEnd } from './job-state.js';
import type { PressThread, Ticket } from './press-thread.js';
import { DIGEST_SIZE, MASK_SIZE, PAGE_SIZE, pageDigest, stateDigest } from './state-digest.js';

/** Pages of a block, and blocks at most. */
const BLOCK_PAGES = 256;
const MAX_BLOCKS = 20;
/** Pages for which a thread is worth its start, and for which one that is there is worth asking. */
const WORTH_A_START = 1024;
const WORTH_ASKING = 32;

/** Pages to be hashed. */
export interface HashBlock {
  /** What PageBlock makes views of. */
  readonly block: SharedArrayBuffer;
  readonly pages: number;
  /** Digests of all pages of the machine. */
  readonly digests: Uint8Array<SharedArrayBuffer>;
}

/** Pages in one buffer, since each that is sent to a thread costs as much as hashing some pages. */
class PageBlock {
  static readonly SIZE = BLOCK_PAGES * (PAGE_SIZE + MASK_SIZE + 5);
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  readonly masks: Uint8Array<SharedArrayBuffer>;
  /** Number of each page, and 1 where its mask counts. */
  readonly numbers: Uint32Array<SharedArrayBuffer>;
  readonly masked: Uint8Array<SharedArrayBuffer>;

  constructor(readonly buffer: SharedArrayBuffer) {
    let at = 0;
    const next = (size: number) => {
      at += BLOCK_PAGES * size;
      return at - BLOCK_PAGES * size;
    };
    this.bytes = new Uint8Array(buffer, next(PAGE_SIZE), BLOCK_PAGES * PAGE_SIZE);
    this.masks = new Uint8Array(buffer, next(MASK_SIZE), BLOCK_PAGES * MASK_SIZE);
    this.numbers = new Uint32Array(buffer, next(4), BLOCK_PAGES);
    this.masked = new Uint8Array(buffer, next(1), BLOCK_PAGES);
  }
}

/** All pages are hashed: what is left to do. */
export interface HashEnd {
  /** SHA-256 of the processor's state. */
  readonly cpu: Uint8Array;
  readonly digests: Uint8Array<SharedArrayBuffer>;
  /** Where the hash is to be: behind the state of its job. */
  readonly result: Uint8Array<SharedArrayBuffer>;
}

/** Do either. */
export function doHash(job: HashBlock | HashEnd): void {
  const { digests } = job;
  if ('result' in job) {
    job.result.set(stateDigest(job.cpu, digests));
    return;
  }
  const { bytes, masks, numbers, masked } = new PageBlock(job.block);
  for (let i = 0; i < job.pages; i++) {
    const mask = masked[i] === 1 ? masks.subarray(i * MASK_SIZE, (i + 1) * MASK_SIZE) : undefined;
    digests.set(pageDigest(bytes.subarray(i * PAGE_SIZE, (i + 1) * PAGE_SIZE), mask), numbers[i]! * DIGEST_SIZE);
  }
}

/** Wait for a hash. It is no one's to do any more when this is called, or this thread's. */
export function awaitHash(result: Uint8Array<SharedArrayBuffer>): void {
  if (!awaitEnd(new Int32Array(result.buffer, 0, 1))) throw new Error('a state hash did not come');
}

export class LateHasher {
  #digests: Uint8Array<SharedArrayBuffer> | undefined;
  #blocks = 0;
  readonly #free: PageBlock[] = [];
  readonly #busy: { readonly block: PageBlock; readonly ticket: Ticket }[] = [];
  /** The block that is being filled, pages in it, and those that have been copied: the others lie side by side. */
  #block: PageBlock | undefined;
  #used = 0;
  #copied = 0;
  #pages: (first: number, count: number) => Uint8Array = () => new Uint8Array(0);
  #end: Ticket | undefined;

  constructor(private readonly thread: PressThread) {
    thread.onWorkHere = () => this.settle();
  }

  /** Whether a hash with so many changed pages should be late. */
  isWorth(pages: number): boolean {
    return pages >= (this.thread.isStarted ? WORTH_ASKING : WORTH_A_START);
  }

  /**
   * Begin a hash.
   * @param digests of all pages
   * @param pages the bytes of pages side by side; a view
   */
  begin(digests: Uint8Array<SharedArrayBuffer>, pages: (first: number, count: number) => Uint8Array): void {
    this.settle();
    this.#digests = digests;
    this.#pages = pages;
  }

  /** A page that changed. It is copied by the time of end(). */
  add(number: number, unknown: Uint8Array | undefined): void {
    const block = this.#block ?? this.#open();
    const { masks, numbers, masked } = block;
    const i = this.#used++;
    if (i !== this.#copied && numbers[i - 1] !== number - 1) this.#copy(block, i);
    numbers[i] = number;
    masked[i] = unknown ? 1 : 0;
    if (unknown) masks.set(unknown, i * MASK_SIZE);
    if (i + 1 === BLOCK_PAGES) this.#send();
  }

  /** @returns where the hash will be */
  end(cpu: Uint8Array): Uint8Array<SharedArrayBuffer> {
    this.#send();
    const buffer = new SharedArrayBuffer(4 + DIGEST_SIZE);
    const result = new Uint8Array(buffer, 4);
    const job: HashEnd = { cpu, digests: this.#digests!, result };
    this.#end = this.thread.submit(job, new Int32Array(buffer, 0, 1));
    return result;
  }

  /** Have the hash that is under way done. */
  settle(): void {
    const end = this.#end;
    if (!end) return;
    this.#end = undefined;
    // Who takes the end first sees to the blocks before it.
    const mine = end.take();
    for (const { block, ticket } of this.#busy.splice(0)) {
      ticket.finish();
      this.#free.push(block);
    }
    if (mine) end.doHere();
    else end.finish();
  }

  #send(): void {
    const block = this.#block;
    if (!block) return;
    this.#copy(block, this.#used);
    this.#block = undefined;
    const job: HashBlock = { block: block.buffer, pages: this.#used, digests: this.#digests! };
    this.#busy.push({ block, ticket: this.thread.submit(job) });
  }

  /** Copy pages up to one of a block. */
  #copy({ bytes, numbers }: PageBlock, end: number): void {
    const from = this.#copied;
    bytes.set(this.#pages(numbers[from]!, end - from), from * PAGE_SIZE);
    this.#copied = end;
  }

  #open(): PageBlock {
    const block = this.#room();
    this.#block = block;
    this.#used = 0;
    this.#copied = 0;
    return block;
  }

  #room(): PageBlock {
    while (this.#busy[0]?.ticket.isDone) this.#free.push(this.#busy.shift()!.block);
    if (this.#free.length === 0 && this.#blocks >= MAX_BLOCKS) {
      // From the end, since the thread comes from the beginning.
      const here = this.#busy.findLastIndex(({ ticket }) => ticket.tryHere());
      if (here < 0) this.#busy[0]!.ticket.finish();
      this.#free.push(this.#busy.splice(Math.max(here, 0), 1)[0]!.block);
    }
    return this.#free.pop() ?? this.#newBlock();
  }

  #newBlock(): PageBlock {
    this.#blocks++;
    return new PageBlock(new SharedArrayBuffer(PageBlock.SIZE));
  }
}
