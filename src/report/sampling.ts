// Where the processor was, at equal distances of cycles, seen in a sealed replay. A pause between two instructions
// changes nothing, so the samples of a trace are the same on every host.
// Callers are guessed from the stack (return-addresses.ts, stack-guess.ts).
// Left out on purpose: stacks of user programs and of 16-bit code, whose symbols nobody has.

import type { Pause } from '../api/screenshots.js';
import type { Cpu } from '../cpu/cpu.js';
import * as L from '../cpu/layout.js';
import { instructionPointer, type ReturnAddress, ReturnAddresses } from './return-addresses.js';

/** Samples that a page has about, if not told otherwise. */
const WANTED = 8192;

export interface RawSample {
  readonly cycle: number;
  /** Linear address of the next instruction. */
  readonly at: bigint;
  readonly bits: 16 | 32 | 64;
  readonly user: boolean;
  readonly halted: boolean;
  readonly stack: readonly ReturnAddress[];
}

/** A round distance that gives at least the wanted number of samples: 1, 2 or 5 times a power of ten. */
export function chooseInterval(cycles: number): number {
  const least = Math.max(1, cycles / WANTED);
  const power = 10 ** Math.floor(Math.log10(least));
  return [5, 2, 1].map((n) => n * power).find((n) => n <= least) ?? 1;
}

export class Sampler {
  readonly samples: RawSample[] = [];
  readonly #returns: ReturnAddresses;

  /** @param interval cycles between two samples */
  constructor(
    private readonly cpu: Cpu,
    private readonly interval: number,
    private readonly cycles: number,
  ) {
    this.#returns = new ReturnAddresses(cpu);
  }

  /** The guest's RAM as it is now. */
  get memory(): Uint8Array {
    const { state, physical } = this.cpu;
    return state.u8.subarray(L.GUEST, L.GUEST + physical.ramSize);
  }

  pauses(): Pause[] {
    const count = Math.ceil(this.cycles / this.interval);
    return Array.from({ length: count }, (_, n) => ({ cycle: n * this.interval, reached: () => this.#take() }));
  }

  #take(): void {
    const { cpu } = this;
    const { state } = cpu;
    const { at, bits } = instructionPointer(state);
    const user = state.cpl === 3;
    // A processor that waits for long is sampled once for each interval that it waits.
    const stack = user || bits === 16 ? [] : this.#returns.from(at, bits);
    this.samples.push({ cycle: cpu.now, at, bits, user, halted: cpu.isHalted, stack });
  }
}
