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
const MAX_BLOCKS = 8;
/** Pages for which a thread is worth its start, and for which one that is there is worth asking. */
const WORTH_A_START = 1024;
const WORTH_ASKING = 32;

/** Pages to be hashed. */
export interface HashBlock {
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  readonly masks: Uint8Array<SharedArrayBuffer>;
  /** Number of each page, and 1 where its mask counts. */
  readonly numbers: Uint32Array<SharedArrayBuffer>;
  readonly masked: Uint8Array<SharedArrayBuffer>;
  /** [pages] */
  readonly count: Uint32Array<SharedArrayBuffer>;
  /** Digests of all pages of the machine. */
  readonly digests: Uint8Array<SharedArrayBuffer>;
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
  const { bytes, masks, numbers, masked, count } = job;
  for (let i = 0; i < count[0]!; i++) {
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
  readonly #free: HashBlock[] = [];
  readonly #busy: { readonly block: HashBlock; readonly ticket: Ticket }[] = [];
  /** The block that is being filled. */
  #block: HashBlock | undefined;
  #end: Ticket | undefined;

  constructor(private readonly thread: PressThread) {
    thread.onWorkHere = () => this.settle();
  }

  /** Whether a hash with so many changed pages should be late. */
  isWorth(pages: number): boolean {
    return pages >= (this.thread.isStarted ? WORTH_ASKING : WORTH_A_START);
  }

  /** Begin a hash. @param digests of all pages */
  begin(digests: Uint8Array<SharedArrayBuffer>): void {
    this.settle();
    this.#digests = digests;
  }

  /** A page that changed. It is copied. */
  add(number: number, page: Uint8Array, unknown: Uint8Array | undefined): void {
    this.#block ??= this.#room();
    const { bytes, masks, numbers, masked, count } = this.#block;
    const i = count[0]!++;
    bytes.set(page, i * PAGE_SIZE);
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
    this.#block = undefined;
    this.#busy.push({ block, ticket: this.thread.submit(block) });
  }

  #room(): HashBlock {
    if (
      this.#free.length === 0 &&
      this.#busy.length > 0 &&
      (this.#blocks >= MAX_BLOCKS || this.#busy[0]!.ticket.isDone)
    ) {
      const { block, ticket } = this.#busy.shift()!;
      ticket.finish();
      this.#free.push(block);
    }
    const block = this.#free.pop() ?? this.#newBlock();
    block.count[0] = 0;
    return { ...block, digests: this.#digests! };
  }

  #newBlock(): HashBlock {
    this.#blocks++;
    const shared = (size: number) => new SharedArrayBuffer(BLOCK_PAGES * size);
    return {
      bytes: new Uint8Array(shared(PAGE_SIZE)),
      masks: new Uint8Array(shared(MASK_SIZE)),
      numbers: new Uint32Array(shared(4)),
      masked: new Uint8Array(shared(1)),
      count: new Uint32Array(new SharedArrayBuffer(4)),
      digests: this.#digests!,
    };
  }
}
