// The output queue of a PS/2 device. Replies to commands go in front of what the device sends by itself, and a new
// command throws unread replies away; 16 bytes in all, and what does not fit is lost as a whole. As in QEMU 7.2.
// The 8042 empties it; keyboard and mouse fill it.

/** Bytes that a PS/2 device holds at most. */
const CAPACITY = 16;

/** Saved form of a queue. */
export interface Ps2QueueState {
  replies: Uint8Array;
  data: Uint8Array;
  last: number;
}

export class Ps2Queue {
  #replies: number[] = [];
  #data: number[] = [];
  #last = 0;

  /** @param line whether there is something to read; called at every change that a controller may latch */
  constructor(private readonly line: (ready: boolean) => void) {}

  get length(): number {
    return this.#replies.length + this.#data.length;
  }

  /** Whether `count` more bytes fit. */
  fits(count: number): boolean {
    return this.length + count <= CAPACITY;
  }

  /** Send bytes, all or none. */
  send(...bytes: number[]): void {
    if (!this.fits(bytes.length)) return;
    this.#data.push(...bytes);
    this.line(true);
  }

  /** Answer a command: always fits, and comes first. */
  reply(...bytes: number[]): void {
    this.#replies = bytes;
    this.line(true);
  }

  /** A new command came: replies that nobody read are void. */
  dropReplies(): void {
    this.#replies = [];
  }

  /** The next byte, or the last one again when there is none. */
  read(): number {
    const byte = this.#replies.shift() ?? this.#data.shift();
    if (byte === undefined) return this.#last;
    this.#last = byte;
    this.line(false);
    if (this.length > 0) this.line(true);
    return byte;
  }

  /** Forget everything, without touching the line. */
  clear(): void {
    this.#replies = [];
    this.#data = [];
  }

  save(): Ps2QueueState {
    return { replies: Uint8Array.from(this.#replies), data: Uint8Array.from(this.#data), last: this.#last };
  }

  load(state: Ps2QueueState): void {
    this.#replies = [...state.replies];
    this.#data = [...state.data];
    this.#last = state.last;
  }
}
