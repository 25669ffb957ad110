// Where the recorder sends events: the writer puts them in a file, live replay compares them with one.
// The calls take primitives, not objects: a boot makes hundreds of thousands of events and recording should not show.
// A request is split in two calls, as effects of answering it may come in between.

/** The instruction an event belongs to, read at the moment of the event. */
export interface Site {
  /** Cycle of the start of the instruction, or of the device event being run. */
  readonly cycle: number;
  /** Code segment selector. */
  readonly cs: number;
  /** Low and high half of the instruction pointer, unsigned. The high one is that of the low one read last. */
  readonly ripLow: number;
  readonly ripHigh: number;
  /**
   * The instruction itself, for the disassembly in reports: up to 15 bytes at cs:rip and the width of the code
   * segment. Asked once for each new site; undefined when the bytes cannot be read without side effects.
   */
  code?(): SiteCode | undefined;
}

export interface SiteCode {
  readonly bits: 16 | 32 | 64;
  readonly bytes: Uint8Array;
}

export interface EventSink {
  /** Who takes the calls, where this one only hands them on. */
  readonly target?: EventSink | undefined;
  /**
   * An event that is complete.
   * @param kind id from KINDS
   * @param data not kept: the sink copies what it needs before it returns. A state hash in memory that threads share may
   *   still be on its way (late-hash.ts)
   */
  event(
    kind: number,
    address: number,
    size: number,
    value: number,
    valueHigh: number,
    name: string,
    data: Uint8Array,
  ): void;
  /** A request whose answer is not known yet. Effects of the answering may come in between; another request may not. */
  ask(kind: number, address: number, size: number): void;
  /** The answer to the last ask(). */
  answer(value: number, valueHigh: number, data: Uint8Array): void;
}
