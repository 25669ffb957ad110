// Event symbols of two traces under common numbers, so that events are compared by numbers: equal symbols have equal
// ids, whichever chunk of whichever trace they come from. With each id goes what a comparison asks of all its events.

import type { EventSymbol } from '../trace/event-block.js';
import { isFollowed } from '../trace/semantic/semantics.js';
import { phaseHint } from './phases.js';

/** Bits of `SymbolIds.flags`. */
export const FOLLOWED = 1;
/** Equality of hashes is not enough: the event has bytes, a 64-bit value, or a site of its own. */
export const RICH = 2;
/** The value is a time, or a counter that runs with it; `timedAt` says at which offset of its page. */
export const TIMED = 4;
/** A read: what a loop that waits does over and over. */
export const READ = 8;
/** Comes by itself, at a time of its own. */
export const ASYNC = 16;
/** A hash of the whole machine state. */
export const STATE = 32;
/** The value is virtual time in ns: two that differ are the same thing at another time. */
export const CLOCK = 64;
/** A write that only chooses what is read next. */
export const INDEX = 128;

/** PIT counters, port 0x61 with its refresh toggle, and the PM timer where QEMU's firmware and machines leave it. */
const TIMED_PORTS = new Set([0x40, 0x41, 0x42, 0x61, 0x608, 0xb008]);
const INDEX_PORTS = new Set([0x43, 0x70, 0xcf8, 0x3c4, 0x3ce, 0x3d4]);
/** The counters of the HPET and the local APIC, by page. */
const TIMED_OFFSETS = new Map([
  [0xfed0_0000, new Set([0xf0, 0xf4])],
  [0xfee0_0000, new Set([0x390])],
]);

export class SymbolIds {
  readonly #ids = new Map<string, number>();
  readonly #accesses = new Map<string, number>();
  /** By id: seed of the hash of what was accessed, without the site. */
  readonly seed: number[] = [];
  readonly flags: number[] = [];
  readonly hint: number[] = [];
  readonly kind: string[] = [];
  readonly #timedAt: (ReadonlySet<number> | undefined)[] = [];

  /** Whether an event with this id, at this offset of its page, tells a time. */
  isTimed(id: number, offset: number): boolean {
    return (this.flags[id]! & TIMED) !== 0 && (this.#timedAt[id]?.has(offset) ?? true);
  }

  id(symbol: EventSymbol): number {
    const { layout, size, cs, rip, address, name } = symbol;
    const { row } = layout;
    const access = `${row.id} ${size} ${address} ${name}`;
    const key = `${access} ${cs} ${rip}`;
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const id = this.#ids.size;
    this.#ids.set(key, id);
    let accessId = this.#accesses.get(access);
    if (accessId === undefined) {
      accessId = this.#accesses.size;
      this.#accesses.set(access, accessId);
    }
    this.seed[id] = mix(accessId + 1);
    this.flags[id] = flagsOf(symbol);
    this.hint[id] = phaseHint(symbol);
    this.kind[id] = row.kind;
    this.#timedAt[id] = row.kind === 'mmio-read' ? TIMED_OFFSETS.get(address) : undefined;
    return id;
  }
}

/** Mixes 32 bits; different numbers stay different (the finaliser of MurmurHash3). */
export function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function flagsOf({ layout, address }: EventSymbol): number {
  const { row, ripOperand } = layout;
  let flags = isFollowed(row.kind as Parameters<typeof isFollowed>[0], address) ? FOLLOWED : 0;
  if (row.data !== 'none' || row.value === 'u64' || row.value === 'nanoseconds' || ripOperand) flags |= RICH;
  if (row.kind === 'port-read' || row.kind === 'mmio-read') flags |= READ;
  if (row.role === 'async' || row.role === 'note') flags |= ASYNC;
  if (row.kind === 'state-hash') flags |= STATE | TIMED;
  if (row.value === 'nanoseconds') flags |= TIMED | CLOCK;
  if (row.kind === 'port-write' && INDEX_PORTS.has(address)) flags |= INDEX;
  if (row.kind === 'port-read' && TIMED_PORTS.has(address)) flags |= TIMED;
  if (row.kind === 'mmio-read' && TIMED_OFFSETS.has(address)) flags |= TIMED;
  return flags;
}
