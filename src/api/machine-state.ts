// The machine's state as the hash sees it, and the site of an event, both read from the processor.
// Invariant: neither changes anything that a guest may rely on. Hashing clears dirty flags and drops the TLBs, so that
// the next write of each page is noticed and a run from a checkpoint has the same TLBs: that costs time, not cycles.

import type { Cpu } from '../cpu/cpu.js';
import * as L from '../cpu/layout.js';
import { PAGE_DIRTY } from '../cpu/physical.js';
import { saveProcessor } from '../cpu/snapshot.js';
import { MODE_64BIT, MODE_CS32 } from '../cpu/state.js';
import { type HashedMemory, StateHasher } from '../replay/state-hash.js';
import type { KnownSource } from '../trace/known-words.js';
import type { LateHasher } from '../trace/late-hash.js';
import type { Site, SiteCode } from '../trace/sink.js';
import { ZERO_PAGE } from '../trace/state-digest.js';

/** Cycles between two periodic state hashes. */
export const HASH_INTERVAL = 1 << 27;
/** PAGE_DIRTY of four pages at once. */
const FOUR_DIRTY = PAGE_DIRTY * 0x0101_0101;

/** Hashes processor and RAM; pages are hashed again only when they were written since the last time. */
export class MachineHash {
  private static readonly made = new WeakMap<Cpu, MachineHash>();
  private readonly hasher: StateHasher;
  /** Pages that a hash being made has to look at. */
  private dirty: readonly number[] = [];
  /** Pages of RAM written since whoever clears it did so, as far as hashes have seen it: 1 for each. */
  readonly written: Uint8Array;

  /** The one of a processor: it alone knows what the dirty flags that it clears stood for. */
  static of(cpu: Cpu): MachineHash {
    const hash = MachineHash.made.get(cpu) ?? new MachineHash(cpu);
    MachineHash.made.set(cpu, hash);
    return hash;
  }

  private constructor(private readonly cpu: Cpu) {
    const { physical, state } = cpu;
    const memory: HashedMemory = {
      pages: physical.ramSize >>> 12,
      page: (n, count = 1) => state.u8.subarray(L.GUEST + n * 4096, L.GUEST + (n + count) * 4096),
      // A word at either end tells nearly all others.
      isZero: (n) => {
        const at = L.GUEST + n * 4096;
        if (state.u32[at >>> 2] !== 0 || state.u32[(at + 4092) >>> 2] !== 0) return false;
        return Buffer.compare(state.u8.subarray(at, at + 4096), ZERO_PAGE) === 0;
      },
      // What nobody has written is zeros, and loaders write too.
      changed: () => this.dirty,
    };
    this.written = new Uint8Array(memory.pages);
    this.hasher = new StateHasher(memory, this);
  }

  /** Mask of the bytes of a page that count as zeros; undefined when there are none. A view. */
  unknownIn(page: number): Uint8Array | undefined {
    return (this.known ?? this.cpu.physical.observed).unknownIn(page);
  }

  /** By what bytes count as zeros; undefined, for traces from before there were words: by each byte that the guest has not seen. */
  known: KnownSource | undefined;

  /** Hashes may be worked out while the guest goes on. */
  late: LateHasher | undefined;

  /** 32 bytes. */
  hash(): Uint8Array {
    this.late?.settle();
    this.dirty = this.changedPages();
    return this.hashNow();
  }

  private hashNow(): Uint8Array {
    return this.clean(this.hasher.hash(saveProcessor(this.cpu)));
  }

  /**
   * The hash of a machine at a checkpoint, some of whose pages are not in their places.
   * @param pages their numbers
   * @param digestOf what a trace claims of each of them
   */
  hashWith(pages: readonly number[], digestOf: (page: number) => Uint8Array): Uint8Array {
    const absent = new Uint8Array(this.written.length);
    for (const page of pages) {
      absent[page] = 1;
      this.hasher.preset(page, digestOf(page));
    }
    this.dirty = this.changedPages().filter((page) => absent[page] === 0);
    return this.hashNow();
  }

  /** The same; in memory that threads share while it is on its way. */
  hashLater(): Uint8Array {
    this.dirty = this.changedPages();
    if (!this.late?.isWorth(this.dirty.length)) {
      this.late?.settle();
      return this.hashNow();
    }
    return this.clean(this.hasher.hashLater(saveProcessor(this.cpu), this.late));
  }

  private clean(result: Uint8Array): Uint8Array {
    const { physical, mmu } = this.cpu;
    const { flags } = physical;
    for (const n of this.dirty) {
      this.written[n] = 1;
      flags[n]! &= ~PAGE_DIRTY;
    }
    mmu.flush(false);
    return result;
  }

  private changedPages(): readonly number[] {
    const dirty = this.dirtyPages();
    if (!this.known) return dirty;
    const changed = this.known.update(this.cpu.now, dirty);
    // What is known of a page may be another though nobody has written it.
    for (const page of changed) this.cpu.physical.pageHost(page);
    return changed;
  }

  private dirtyPages(): number[] {
    const { flags } = this.cpu.physical;
    const words = new Uint32Array(flags.buffer, flags.byteOffset, Math.ceil(this.written.length / 4));
    const pages: number[] = [];
    for (let i = 0; i < words.length; i++) {
      if ((words[i]! & FOUR_DIRTY) === 0) continue;
      for (let n = i * 4; n < i * 4 + 4; n++) if (n < this.written.length && flags[n]! & PAGE_DIRTY) pages.push(n);
    }
    return pages;
  }
}

/** The instruction that is running, for the trace. */
export class CpuSite implements Site {
  constructor(private readonly cpu: Cpu) {}

  get cycle(): number {
    return this.cpu.cycle;
  }
  get cs(): number {
    return this.cpu.state.selector(L.CS);
  }
  get ripLow(): number {
    return this.cpu.ipLow;
  }
  get ripHigh(): number {
    return this.cpu.ipHigh;
  }
  /** Bytes at the instruction, read without any effect on the machine. */
  code(): SiteCode | undefined {
    const mode = this.cpu.state.mode;
    const bytes = this.cpu.peekCode(15);
    if (bytes === undefined) return undefined;
    return { bits: mode & MODE_64BIT ? 64 : mode & MODE_CS32 ? 32 : 16, bytes };
  }
}
