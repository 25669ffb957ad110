// Recording: the platform is wrapped on all the sides it has, and every exchange goes to an event sink. The guest and
// the devices cannot tell that they are recorded; nothing here decides anything.
//
//   processor ── RecordingBus ──► platform          requests, interrupt acknowledge, periodic state hashes
//   platform  ── RecordingLines ──► processor       A20, NMI, SMI, suspend, stop
//   platform  ── RecordingMemory ──► guest memory   DMA both ways
//   clock, inputs, processor ──► Recorder           timers, input, milestones, lines of the platform's own
//
// A request stands before the effects it has, whether it reads or writes.

import { createHash } from 'node:crypto';
import type { AccessSize, Bus, GuestMemory, ProcessorLines, RunEnd, ShadowLines } from '../cpu/bus.js';
import { codeToValue, EMPTY, KINDS, MAX_CHECK_DATA, MAX_EVENT_DATA, TIMER_CANCELLED } from '../trace/events.js';
import type { EventSink } from '../trace/sink.js';

const ID = Object.fromEntries(Object.values(KINDS).map(({ kind, id }) => [kind, id])) as Record<
  keyof typeof KINDS,
  number
>;

// Looked up once: a boot makes hundreds of thousands of these.
const PORT_READ = ID['port-read'];
const PORT_WRITE = ID['port-write'];
const MMIO_READ = ID['mmio-read'];
const MMIO_WRITE = ID['mmio-write'];

/** Level of the line `smram`. */
export const SMRAM_OPEN = 1;
export const SMRAM_IN_SMM = 2;

/** The hooks that are not part of an interface of the machine. */
export class Recorder {
  constructor(readonly sink: EventSink) {}

  /** The guest got somewhere for the first time: entry, paging, long-mode, user. */
  milestone(name: string): void {
    this.sink.event(ID.milestone, 0, 0, 0, 0, name, EMPTY);
  }

  /** A timer was armed for an absolute virtual time in ns; Infinity when it was cancelled. */
  timerArmed(name: string, deadline: number): void {
    const when = deadline === Number.POSITIVE_INFINITY ? TIMER_CANCELLED : deadline;
    this.sink.event(ID['timer-armed'], 0, 0, Math.ceil(when), 0, name, EMPTY);
  }

  /** A timer fired; `deadline` is what it was armed for, in ns. */
  timerFired(name: string, deadline: number): void {
    this.sink.event(ID['timer-fired'], 0, 0, Math.ceil(deadline), 0, name, EMPTY);
  }

  /** Outside data entered a device. */
  input(source: string, data: Uint8Array): void {
    forEachPiece(data, (piece) => this.sink.event(ID.input, 0, 0, 0, 0, source, piece));
  }

  /**
   * A line of the platform's own changed in a way that the processor or the memory map feels (a20, nmi, pam …).
   * @param address the physical range concerned, or 0
   */
  line(name: string, level: number, address = 0): void {
    this.sink.event(ID.line, address, 0, level, 0, name, EMPTY);
  }

  /** A loader is about to enter a kernel by a protocol; data is the record (trace/handoff.ts). */
  handoff(protocol: string, data: Uint8Array): void {
    this.sink.event(ID.handoff, 0, 0, 0, 0, protocol, data);
  }

  /** A hash of the whole machine state, 32 bytes. */
  stateHash(hash: Uint8Array): void {
    this.sink.event(ID['state-hash'], 0, 0, 0, 0, '', hash);
  }

  /** The processor's side of the platform, recorded. */
  bus(inner: Bus, hashes?: PeriodicHashes): RecordingBus {
    return new RecordingBus(inner, this, hashes);
  }

  /** The platform's side of the processor, recorded. */
  lines(inner: ProcessorLines): ProcessorLines {
    return new RecordingLines(inner, this);
  }

  /** The chipset's say in the memory map, recorded as lines `pam` and `smram`. */
  shadow(inner: ShadowLines): ShadowLines {
    return {
      pam: (start, attribute) => {
        this.line('pam', attribute, start);
        inner.pam(start, attribute);
      },
      smram: (open, inSmm) => {
        this.line('smram', (open ? SMRAM_OPEN : 0) | (inSmm ? SMRAM_IN_SMM : 0));
        inner.smram(open, inSmm);
      },
    };
  }

  /** Guest memory as devices see it, recorded. Loaders use the inner one: what they place is the initial memory. */
  memory(inner: GuestMemory): GuestMemory {
    return new RecordingMemory(inner, this.sink);
  }
}

/** Asks for a state hash every `interval` cycles, at the first instruction boundary at or after. */
export interface PeriodicHashes {
  readonly interval: number;
  /** @param cycle the boundary */
  hash(cycle: number): Uint8Array;
  /** True while the processor waits in HLT: a guest that waits for nothing is over, and a hash to come is nothing. */
  halted(): boolean;
}

export class RecordingBus implements Bus {
  readonly #inner: Bus;
  readonly #recorder: Recorder;
  readonly #sink: EventSink;
  readonly #hashes: PeriodicHashes | undefined;
  #nextHash: number;

  constructor(inner: Bus, recorder: Recorder, hashes?: PeriodicHashes) {
    this.#inner = inner;
    this.#recorder = recorder;
    this.#sink = recorder.sink.target ?? recorder.sink;
    this.#hashes = hashes;
    this.#nextHash = hashes ? hashes.interval : Number.POSITIVE_INFINITY;
  }

  portRead(port: number, size: AccessSize): number {
    this.#sink.ask(PORT_READ, port, size);
    const value = this.#inner.portRead(port, size);
    this.#sink.answer(value, 0, EMPTY);
    return value;
  }

  portWrite(port: number, size: AccessSize, value: number): void {
    this.#sink.event(PORT_WRITE, port, size, value, 0, '', EMPTY);
    this.#inner.portWrite(port, size, value);
  }

  portReadString(port: number, size: AccessSize, count: number): Uint8Array {
    this.#sink.ask(ID['port-read-string'], port, size);
    const data = this.#inner.portReadString(port, size, count);
    this.#sink.answer(0, 0, data);
    return data;
  }

  portWriteString(port: number, size: AccessSize, data: Uint8Array): void {
    this.#sink.event(ID['port-write-string'], port, size, 0, 0, '', data);
    this.#inner.portWriteString(port, size, data);
  }

  mmioRead(address: number, size: AccessSize): number {
    this.#sink.ask(MMIO_READ, address, size);
    const value = this.#inner.mmioRead(address, size);
    this.#sink.answer(value, 0, EMPTY);
    return value;
  }

  mmioWrite(address: number, size: AccessSize, value: number): void {
    this.#sink.event(MMIO_WRITE, address, size, value, 0, '', EMPTY);
    this.#inner.mmioWrite(address, size, value);
  }

  mmioString(address: number, size: AccessSize, count: number, write: boolean): boolean {
    return this.#inner.mmioString(address, size, count, write);
  }

  mmioReadString(address: number, size: AccessSize, count: number): Uint8Array {
    this.#sink.ask(ID['mmio-read-string'], address, size);
    const data = this.#inner.mmioReadString(address, size, count);
    this.#sink.answer(0, 0, data);
    return data;
  }

  mmioWriteString(address: number, size: AccessSize, data: Uint8Array): void {
    this.#sink.event(ID['mmio-write-string'], address, size, 0, 0, '', data);
    this.#inner.mmioWriteString(address, size, data);
  }

  msrRead(index: number): bigint {
    this.#sink.ask(ID['msr-read'], index, 0);
    const value = this.#inner.msrRead(index);
    this.#sink.answer(Number(value & 0xffff_ffffn), Number(value >> 32n), EMPTY);
    return value;
  }

  msrWrite(index: number, value: bigint): void {
    this.#sink.event(ID['msr-write'], index, 0, Number(value & 0xffff_ffffn), Number(value >> 32n), '', EMPTY);
    this.#inner.msrWrite(index, value);
  }

  acknowledge(): number {
    const vector = this.#inner.acknowledge();
    this.#sink.event(ID.interrupt, vector, 0, 0, 0, '', EMPTY);
    return vector;
  }

  advance(cycle: number): void {
    this.#inner.advance(cycle);
    if (cycle < this.#nextHash) return;
    const hashes = this.#hashes!;
    const { interval } = hashes;
    this.#recorder.stateHash(hashes.hash(cycle));
    this.#nextHash = (Math.floor(cycle / interval) + 1) * interval;
  }

  nextEvent(): number {
    const next = this.#inner.nextEvent();
    if (next <= this.#nextHash || (next === Number.POSITIVE_INFINITY && this.#hashes?.halted())) return next;
    return this.#nextHash;
  }
}

class RecordingLines implements ProcessorLines {
  readonly #inner: ProcessorLines;
  readonly #recorder: Recorder;

  constructor(inner: ProcessorLines, recorder: Recorder) {
    this.#inner = inner;
    this.#recorder = recorder;
  }

  get cycle(): number {
    return this.#inner.cycle;
  }

  /** Not an event: what the guest sees of it is the acknowledge. */
  setIntr(level: boolean): void {
    this.#inner.setIntr(level);
  }

  pulseNmi(): void {
    this.#recorder.line('nmi', 1);
    this.#inner.pulseNmi();
  }

  pulseSmi(): void {
    this.#recorder.line('smi', 1);
    this.#inner.pulseSmi();
  }

  suspend(): void {
    this.#recorder.line('suspend', 1);
    this.#inner.suspend();
  }

  setA20(enabled: boolean): void {
    this.#recorder.line('a20', enabled ? 1 : 0);
    this.#inner.setA20(enabled);
  }

  stop(end: RunEnd): void {
    this.#recorder.sink.event(ID.stop, 0, 0, codeToValue(end.code), 0, end.reason, EMPTY);
    this.#inner.stop(end);
  }
}

class RecordingMemory implements GuestMemory {
  readonly #inner: GuestMemory;
  readonly #sink: EventSink;

  constructor(inner: GuestMemory, sink: EventSink) {
    this.#inner = inner;
    this.#sink = sink;
  }

  get ramSize(): number {
    return this.#inner.ramSize;
  }

  read(address: number, length: number): Uint8Array {
    const data = this.#inner.read(address, length);
    this.#sink.event(ID['dma-read'], address, 0, length, 0, '', checkOf(data));
    return data;
  }

  write(address: number, data: Uint8Array): void {
    forEachPiece(data, (piece, offset) => {
      this.#sink.event(ID['dma-write'], address + offset, 0, 0, 0, '', piece);
    });
    this.#inner.write(address, data);
  }
}

/** What a check event stores of guest memory: the bytes when they are few, else their SHA-256. */
export function checkOf(data: Uint8Array): Uint8Array {
  return data.length <= MAX_CHECK_DATA ? data : createHash('sha256').update(data).digest();
}

function forEachPiece(data: Uint8Array, body: (piece: Uint8Array, offset: number) => void): void {
  for (let at = 0; at < data.length; at += MAX_EVENT_DATA) body(data.subarray(at, at + MAX_EVENT_DATA), at);
}
