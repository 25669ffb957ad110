// The machine's state as the hash sees it, and the site of an event, both read from the processor.
// Invariant: neither changes anything that a guest may rely on. Hashing clears dirty flags and drops the TLBs, so that
// the next write of each page is noticed and a run from a checkpoint has the same TLBs: that costs time, not cycles.

import type { Cpu } from '../cpu/cpu.js';
import * as L from '../cpu/layout.js';
import { PAGE_DIRTY } from '../cpu/physical.js';
import { saveProcessor } from '../cpu/snapshot.js';
import { MODE_64BIT, MODE_CS32 } from '../cpu/state.js';
import { type HashedMemory, StateHasher } from '../replay/state-hash.js';
import type { Site, SiteCode } from '../trace/sink.js';

/** Cycles between two periodic state hashes. */
export const HASH_INTERVAL = 1 << 27;

/** Hashes processor and RAM; pages are hashed again only when they were written since the last time. */
export class MachineHash {
  private static readonly made = new WeakMap<Cpu, MachineHash>();
  private readonly hasher: StateHasher;
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
      page: (n) => state.u8.subarray(L.GUEST + n * 4096, L.GUEST + (n + 1) * 4096),
      changed: (n) => (physical.flags[n]! & PAGE_DIRTY) !== 0,
      blank: (n) => (physical.flags[n]! & PAGE_DIRTY) === 0,
    };
    this.written = new Uint8Array(memory.pages);
    this.hasher = new StateHasher(memory, physical.observed);
  }

  /** 32 bytes. */
  hash(): Uint8Array {
    const { physical, mmu } = this.cpu;
    const result = this.hasher.hash(saveProcessor(this.cpu));
    const { flags } = physical;
    for (let n = 0; n < this.written.length; n++) {
      this.written[n]! |= flags[n]! & PAGE_DIRTY;
      flags[n]! &= ~PAGE_DIRTY;
    }
    mmu.flush(false);
    return result;
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
    void this.cpu.ipLow;
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
