// Where the structure of a boot is, and how others get there: before cycle 0, for a trace, or in a machine that waits at
// the snapshot, for a case. In memory a structure stays at its address; fw_cfg and disks take it as their content.
// What a loader in the guest made itself is there only at the hand-off: a trace has it as a device's write to memory at
// that cycle (Injection), as a case does.
// Invariant: placing before cycle 0 and putting in place at the snapshot make the same run from the snapshot on.

import type { Guest, Seams } from '../api/guest.js';
import type { BootImage, Segment } from '../boot/image.js';
import type { BlockSource } from '../platform/block/block-image.js';
import type { FwCfg } from '../platform/devices/fw-cfg.js';
import { answersOf } from './arbitraries/fw-cfg-answers.js';

/** Bytes in guest memory; up to `room` of them. */
interface MemoryRange {
  readonly address: number;
  readonly length: number;
  readonly room: number;
}

/** Where the structure of a boot is. */
export type Place =
  | ({ readonly in: 'memory' } & MemoryRange)
  /** In memory from `cycle` on: what the guest's own loader made, at the hand-off. */
  | ({ readonly in: 'hand-off'; readonly cycle: number } & MemoryRange)
  /** Files and numbered items of fw_cfg, which the structure's bytes are cut up into. */
  | { readonly in: 'fw_cfg'; readonly items: readonly ItemName[]; split(bytes: Uint8Array): readonly Item[] }
  /** How fw_cfg answers DMA transfers. */
  | { readonly in: 'fw_cfg-dma' }
  /** On a disk, in the order of the machine's, from an offset on. */
  | { readonly in: 'disk'; readonly disk: number; readonly offset: number; readonly length: number };

/** A file by its name, an item by its number. */
export type ItemName = string | number;
export type Item = readonly [name: ItemName, data: Uint8Array];

/** A write to memory that no loader makes, at an exact cycle. */
export interface Injection {
  readonly cycle: number;
  readonly address: number;
  readonly data: Uint8Array;
}

/** What of a boot is changed so that it has another structure. */
export type Changes = Pick<Seams, 'placed' | 'configured' | 'disk'> & { readonly injected?: Injection };

export const segmentAt = (boot: BootImage, address: number): Segment | undefined =>
  boot.segments.find((one) => address >= one.address && address < one.address + one.data.length);

/** The changes of a boot that put a structure in its place before cycle 0, or as soon as there is one. */
export function placing(place: Place, bytes: Uint8Array): Changes {
  switch (place.in) {
    case 'fw_cfg':
      return { configured: (fwCfg) => setItems(fwCfg, place.split(bytes)) };
    case 'fw_cfg-dma':
      return {
        configured: (fwCfg) => {
          fwCfg.answering = answersOf(bytes);
        },
      };
    case 'disk':
      return {
        disk: (source, n) => {
          if (n !== place.disk) return source;
          const covered = new CoveredSource(source);
          covered.cover = { offset: place.offset, bytes };
          return covered;
        },
      };
    case 'hand-off':
      return { injected: { cycle: place.cycle, address: place.address, data: bytes } };
    default:
      return {
        placed: (boot) => {
          const before = segmentAt(boot, place.address)!;
          const offset = place.address - before.address;
          const data = new Uint8Array(Math.max(before.data.length, offset + bytes.length));
          data.set(before.data);
          data.set(bytes, offset);
          boot.segments[boot.segments.indexOf(before)] = { ...before, data };
        },
      };
  }
}

/**
 * Put a structure in its place in a machine that waits at the snapshot.
 * @param disks what the machine was made with, in its order
 */
export function putInPlace({ cpu, pc }: Guest, place: Place, bytes: Uint8Array, disks: readonly CoveredSource[]): void {
  if (place.in === 'fw_cfg') setItems(pc.fwCfg, place.split(bytes));
  else if (place.in === 'fw_cfg-dma') pc.fwCfg.answering = answersOf(bytes);
  else if (place.in === 'disk') disks[place.disk]!.cover = { offset: place.offset, bytes };
  else cpu.physical.write(place.address, bytes);
}

function setItems(fwCfg: FwCfg, items: readonly Item[]): void {
  for (const [name, data] of items) {
    if (typeof name === 'string') fwCfg.setFile(name, data);
    else fwCfg.addItem(name, data);
  }
}

/** A disk's bytes with others in the place of some of them. */
export class CoveredSource implements BlockSource {
  cover: { offset: number; bytes: Uint8Array } | undefined;
  /** Told what is about to be read. */
  onRead: ((offset: number, length: number) => void) | undefined;

  constructor(private readonly inner: BlockSource) {}

  get size(): number {
    return this.inner.size;
  }

  read(offset: number, length: number): Uint8Array {
    this.onRead?.(offset, length);
    const found = this.inner.read(offset, length);
    const { cover } = this;
    if (cover === undefined) return found;
    const from = Math.max(offset, cover.offset);
    const to = Math.min(offset + length, cover.offset + cover.bytes.length);
    if (from < to) found.set(cover.bytes.subarray(from - cover.offset, to - cover.offset), from - offset);
    return found;
  }
}
