// Sealed replay: a Bus that answers from a trace. No device, firmware or image is there; every request the guest
// makes is compared with the recorded one in every field, and what devices did to the guest (DMA, lines, interrupts,
// stop) happens again at the same cycle. Notes (timers, input) have nothing to act on and are skipped.
//
// Invariant: the player consumes events strictly in trace order. What follows a request at the request's cycle is its
// effect and is applied at once; everything else waits for advance().

import type { AccessSize, Bus, GuestMemory, ProcessorLines, RunEnd } from '../cpu/bus.js';
import { TraceError } from '../trace/error.js';
import type { EventBlock } from '../trace/event-block.js';
import { codeToValue, EMPTY, KINDS, MAX_EVENT_DATA, type TraceEvent, valueToCode } from '../trace/events.js';
import type { TraceReader } from '../trace/reader.js';
import type { Site } from '../trace/sink.js';
import {
  type ActualEvent,
  actualEvent,
  agrees,
  type Divergence,
  divergence,
  sameBytes,
  siteRip,
} from './divergence.js';
import { checkOf } from './record.js';

/** What the player acts on. */
export interface PlayerSurroundings {
  readonly lines: ProcessorLines;
  readonly memory: GuestMemory;
  readonly site: Site;
  /**
   * Hash of the whole machine state now, as the recording made it; without it recorded hashes are skipped. One in memory
   * that threads share may be on its way until `settleHash` is called.
   */
  readonly stateHash?: () => Uint8Array;
  readonly settleHash?: () => void;
  /** A recorded line other than a20, nmi, smi and suspend. */
  readonly line?: (name: string, level: number, address: number) => void;
}

/** Ends that the processor reaches by itself; the others are brought about by the player. */
const OWN_ENDS: readonly string[] = ['triple-fault', 'halted'];

/**
 * Cycles after which a request that did not come is missed. Not 1, though the guest must make it at its cycle: the
 * processor runs whole blocks only while no event is near, and a request is no event. One that does not come shows at
 * the next request in any case.
 */
const GRACE = 4096;

export class PlayerBus implements Bus {
  readonly #reader: TraceReader;
  readonly #world: PlayerSurroundings;
  readonly #blocks: Generator<EventBlock>;
  /** The chunk of the next event, and its row there. */
  #block: EventBlock | undefined;
  #row = 0;
  #head: TraceEvent | undefined;
  /** Cycle at which the next event is due, if it is not of a kind that nextEvent() looks at. */
  #due = 0;
  #index = 0;
  readonly #places = new Places();
  /** A state hash that is on its way: it counts as agreeing until it is there, at the next one at the latest. */
  #hash: { readonly expected: TraceEvent; readonly actual: ActualEvent; readonly site: Site } | undefined;
  #interruptUp = false;
  /** The cycle of the end has come: from now on there is nothing to wait for. */
  #over = false;
  #stopped = false;
  #divergence: Divergence | undefined;

  /**
   * @param from the event to begin with, on a machine that is in the state before it
   * @throws TraceError when the recording was cut off and so has no initial memory, or its first events cannot be read
   */
  constructor(reader: TraceReader, world: PlayerSurroundings, from = 0) {
    if (!reader.hasMemory) {
      throw new TraceError(
        reader.path,
        'was cut off and has no initial memory, so it cannot be replayed: record again',
      );
    }
    this.#reader = reader;
    this.#world = world;
    this.#blocks = reader.blocks(from);
    this.#index = from;
    this.#next();
  }

  /** The first divergence; undefined as long as the replay agrees. */
  get divergence(): Divergence | undefined {
    return this.#divergence;
  }

  /** True when only the end of the run is left in the trace. */
  get atEnd(): boolean {
    return this.#head === undefined || this.#head.kind === 'end';
  }

  /** The recorded end has come, and the processor was stopped. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Events that agreed so far, notes included. */
  get position(): number {
    return this.#index;
  }

  portRead(port: number, size: AccessSize): number {
    return this.#request('port-read', port, size)?.value ?? allOnes(size);
  }

  portWrite(port: number, size: AccessSize, value: number): void {
    this.#request('port-write', port, size, value);
  }

  portReadString(port: number, size: AccessSize, count: number): Uint8Array {
    const length = size * count;
    const event = this.#request('port-read-string', port, size, 0, 0, undefined, length);
    return event?.data ?? new Uint8Array(length).fill(0xff);
  }

  portWriteString(port: number, size: AccessSize, data: Uint8Array): void {
    this.#request('port-write-string', port, size, 0, 0, data);
  }

  mmioRead(address: number, size: AccessSize): number {
    return this.#request('mmio-read', address, size)?.value ?? allOnes(size);
  }

  mmioWrite(address: number, size: AccessSize, value: number): void {
    this.#request('mmio-write', address, size, value);
  }

  /** As it was recorded: traces from before there were such strings have single accesses. */
  mmioString(_address: number, _size: AccessSize, _count: number, write: boolean): boolean {
    return this.#head?.kind === (write ? 'mmio-write-string' : 'mmio-read-string');
  }

  mmioReadString(address: number, size: AccessSize, count: number): Uint8Array {
    const length = size * count;
    const event = this.#request('mmio-read-string', address, size, 0, 0, undefined, length);
    return event?.data ?? new Uint8Array(length).fill(0xff);
  }

  mmioWriteString(address: number, size: AccessSize, data: Uint8Array): void {
    this.#request('mmio-write-string', address, size, 0, 0, data);
  }

  msrRead(index: number): bigint {
    const event = this.#request('msr-read', index, 0);
    return event ? BigInt.asUintN(64, (BigInt(event.valueHigh) << 32n) | BigInt(event.value)) : 0n;
  }

  msrWrite(index: number, value: bigint): void {
    this.#request('msr-write', index, 0, Number(value & 0xffff_ffffn), Number(value >> 32n));
  }

  acknowledge(): number {
    const expected = this.#head;
    const vector = expected?.kind === 'interrupt' ? expected.address & 0xff : 0;
    if (expected?.kind === 'interrupt' && this.#isHere(expected, vector, 0)) this.#next();
    else this.#compare(actualEvent(this.#world.site, 'interrupt', vector, 0, 0, 0, '', EMPTY));
    this.#interruptUp = false;
    this.#world.lines.setIntr(false);
    return vector;
  }

  advance(cycle: number): void {
    for (;;) {
      const head = this.#head;
      if (!head || head.cycle > cycle || this.#divergence) return;
      if (head.kind === 'end') {
        if (head.cycle + (OWN_ENDS.includes(head.name) ? GRACE : 0) < cycle) this.#missed();
        else if (!OWN_ENDS.includes(head.name)) {
          this.#stopped = true;
          this.#world.lines.stop(endOf(head));
        } else this.#over = true;
        return;
      }
      if (head.kind === 'interrupt' && head.cycle === cycle) {
        this.#interruptUp = true;
        this.#world.lines.setIntr(true);
        return;
      }
      if (head.kind === 'state-hash') this.#checkState();
      else if (!this.#effect(head)) {
        // A request or milestone: the guest is about to make it, or has gone past it.
        if (head.cycle + GRACE <= cycle || head.kind === 'interrupt') this.#missed();
        return;
      }
    }
  }

  nextEvent(): number {
    const head = this.#head;
    if (!head || this.#divergence) return Number.POSITIVE_INFINITY;
    switch (head.kind) {
      case 'interrupt':
        return this.#interruptUp ? head.cycle + 1 : head.cycle;
      case 'end':
        if (!this.#over) return head.cycle;
        return head.name === 'halted' ? Number.POSITIVE_INFINITY : head.cycle + GRACE;
      case 'state-hash':
        return head.cycle;
      default:
        return this.#due;
    }
  }

  /** The run was stopped at a boundary by a tool: bring about what the trace has there before anything of the guest's. */
  catchUp(cycle: number): void {
    this.#effectsAt(cycle);
  }

  /** A loader is about to enter a kernel. */
  handoff(protocol: string, data: Uint8Array): void {
    this.#compare(actualEvent(this.#world.site, 'handoff', 0, 0, 0, 0, protocol, data));
  }

  /** The processor got somewhere for the first time. */
  milestone(name: string): void {
    this.#compare(actualEvent(this.#world.site, 'milestone', 0, 0, 0, 0, name, EMPTY));
  }

  /**
   * The run is over: compare how, and the final state.
   * @returns the divergence, if there is one
   */
  finish(end: RunEnd): Divergence | undefined {
    this.#settle();
    if (this.#divergence) return this.#divergence;
    const { site, stateHash, settleHash } = this.#world;
    this.#compare(actualEvent(site, 'end', 0, 0, codeToValue(end.code), 0, end.reason, EMPTY));
    const state = this.#reader.summary?.state;
    if (!this.#divergence && stateHash && state !== undefined) {
      const data = stateHash();
      settleHash?.();
      const expected = Buffer.from(state, 'hex');
      if (!expected.equals(data)) {
        const actual = actualEvent(site, 'state-hash', 0, 0, 0, 0, '', data);
        this.#diverge({ ...actual, index: this.#index, data: expected }, actual);
      }
    }
    return this.#divergence;
  }

  #request(
    kind: TraceEvent['kind'],
    address: number,
    size: number,
    value?: number,
    valueHigh = 0,
    data?: Uint8Array,
    length?: number,
  ): TraceEvent | undefined {
    const head = this.#head;
    // Nearly always, and there is nothing to report then.
    if (
      head?.kind === kind &&
      this.#isHere(head, address, size) &&
      (value === undefined || (head.value === value && head.valueHigh === valueHigh)) &&
      (data === undefined ? length === undefined || head.data.length === length : sameBytes(head.data, data))
    ) {
      this.#next();
      this.#effectsAt(head.cycle);
      return head;
    }
    // What the request does not say is the answer: taken over from the trace, if it is of the length asked for.
    const answered = head?.kind === kind ? head : undefined;
    const answer = length !== undefined && answered?.data.length !== length ? new Uint8Array(length) : answered?.data;
    const actual = actualEvent(
      this.#world.site,
      kind,
      address,
      size,
      value ?? answered?.value ?? 0,
      value === undefined ? (answered?.valueHigh ?? 0) : valueHigh,
      '',
      data ?? answer ?? EMPTY,
    );
    if (!this.#compare(actual)) return undefined;
    this.#effectsAt(head!.cycle);
    return head;
  }

  /** Whether the next event, of a kind without a name, is at this place and of this address and size. */
  #isHere(head: TraceEvent, address: number, size: number): boolean {
    const { site } = this.#world;
    return (
      head.address === address &&
      head.size === size &&
      head.cycle === site.cycle &&
      head.cs === site.cs &&
      head.rip === this.#places.rip(site) &&
      !this.#divergence
    );
  }

  /** Compare with the next event and pass it. */
  #compare(actual: ActualEvent): boolean {
    if (this.#divergence) return false;
    const head = this.#head;
    if (!head || !agrees(head, actual)) {
      this.#diverge(head, actual);
      return false;
    }
    this.#next();
    return true;
  }

  #effectsAt(cycle: number): void {
    while (this.#head && this.#head.cycle === cycle && !this.#divergence && this.#effect(this.#head));
  }

  /** Apply an effect and pass it. @returns false when the event is none. */
  #effect(event: TraceEvent): boolean {
    const { lines, memory, line } = this.#world;
    switch (event.kind) {
      case 'dma-write':
        memory.write(event.address, event.data);
        break;
      case 'dma-read': {
        if (event.value > MAX_EVENT_DATA) {
          this.#refuse(`has event ${event.index} read more memory than one event may`);
        }
        const data = checkOf(memory.read(event.address, event.value));
        return this.#compare({ ...event, data });
      }
      case 'line':
        if (event.name === 'a20') lines.setA20(event.value !== 0);
        else if (event.name === 'nmi') lines.pulseNmi();
        else if (event.name === 'smi') lines.pulseSmi();
        else if (event.name === 'suspend') lines.suspend();
        else line?.(event.name, event.value, event.address);
        break;
      case 'stop':
        lines.stop(endOf(event));
        break;
      default:
        return false;
    }
    this.#next();
    return true;
  }

  #checkState(): void {
    const { site, stateHash } = this.#world;
    if (!stateHash) {
      this.#next();
      return;
    }
    this.#settle();
    if (this.#divergence) return;
    const expected = this.#head!;
    const actual = actualEvent(site, 'state-hash', 0, 0, 0, 0, '', stateHash());
    const isThere = !(actual.data.buffer instanceof SharedArrayBuffer);
    const here = isThere ? site : siteNow(site);
    if (this.#compare(isThere ? actual : { ...actual, data: expected.data }) && !isThere)
      this.#hash = { expected, actual, site: here };
  }

  /** Compare a state hash that is on its way. */
  #settle(): void {
    const { settleHash } = this.#world;
    if (!this.#hash) return;
    const { expected, actual, site } = this.#hash;
    this.#hash = undefined;
    settleHash?.();
    const data = Uint8Array.from(actual.data);
    if (sameBytes(expected.data, data)) return;
    this.#index = expected.index;
    this.#stop(divergence(site, expected.index, expected, { ...actual, data }));
  }

  #missed(): void {
    this.#diverge(this.#head, undefined);
  }

  #diverge(expected: TraceEvent | undefined, actual: ActualEvent | undefined): void {
    this.#settle();
    if (!this.#divergence) this.#stop(divergence(this.#world.site, this.#index, expected, actual));
  }

  #stop(found: Divergence): void {
    this.#divergence = found;
    this.#world.lines.setIntr(false);
    this.#world.lines.stop({ reason: 'divergence' });
  }

  #next(): void {
    const last = this.#head;
    if (last) this.#index = last.index + 1;
    for (;;) {
      this.#head = this.#read();
      // Without an end there would be nothing to stop the guest.
      if (!this.#head && last?.kind !== 'end') this.#refuse(`ends after ${this.#index} events without an end event`);
      if (last?.kind === 'end' && this.#head) this.#refuse(`goes on after its end, with event ${this.#head.index}`);
      if (!this.#head) return;
      const { role } = KINDS[this.#head.kind];
      if (role !== 'note') {
        this.#due = this.#head.cycle + (role === 'effect' || this.#head.kind === 'dma-read' ? 0 : GRACE);
        return;
      }
      this.#index = this.#head.index + 1;
    }
  }

  #read(): TraceEvent | undefined {
    for (;;) {
      if (this.#block && this.#row < this.#block.count) return this.#block.at(this.#row++);
      const { value, done } = this.#blocks.next();
      if (done) return undefined;
      this.#block = value;
      this.#row = Math.max(0, this.#index - value.first);
    }
  }

  #refuse(what: string): never {
    throw new TraceError(this.#reader.path, `${what}: record the boot again`);
  }
}

/** Instruction pointers that were asked for: a number of 64 bits takes longer to make than all else of an event. */
class Places {
  static readonly SIZE = 0x400;
  readonly #lows = new Uint32Array(Places.SIZE);
  readonly #highs = new Uint32Array(Places.SIZE);
  readonly #rips: bigint[] = Array(Places.SIZE).fill(0n);

  rip(site: Site): bigint {
    const low = site.ripLow;
    const high = site.ripHigh;
    const at = (low ^ (low >>> 10)) & (Places.SIZE - 1);
    if (this.#lows[at] !== low || this.#highs[at] !== high) {
      this.#lows[at] = low;
      this.#highs[at] = high;
      this.#rips[at] = siteRip(site);
    }
    return this.#rips[at]!;
  }
}

/** A site as it is now. */
function siteNow(site: Site): Site {
  const { cycle, cs, ripLow, ripHigh } = site;
  const code = site.code?.();
  return { cycle, cs, ripLow, ripHigh, code: () => code };
}

function endOf(event: TraceEvent): RunEnd {
  const code = valueToCode(event.value);
  const reason = event.name as RunEnd['reason'];
  return code === undefined ? { reason } : { reason, code };
}

/** What a floating bus reads as. */
const allOnes = (size: number): number => (size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff);
