// What a comparison in lockstep finds, and what a test may put there for it to find.

import type { Cpu } from '../../src/cpu/cpu.js';
import type { Registers } from './registers.js';

/** Where and how the two parted. */
export interface Parting {
  /** One sentence. */
  readonly what: string;
  readonly ours: Registers;
  /** What QEMU had, when it is a state that differs. */
  readonly theirs: Registers | undefined;
  /** Numbers of the fields that differ. */
  readonly fields: readonly number[];
  /** Instructions that ours had executed. */
  readonly instructions: number;
  /** The last instructions of ours that went well, oldest first; known when every instruction is compared. */
  readonly trail: readonly TrailStep[];
}
export interface TrailStep {
  readonly registers: Registers;
  readonly code: Uint8Array;
  readonly bits: 16 | 32 | 64;
}

/** What to do to the processor after so many instructions. */
export interface Disturbance {
  readonly after: number;
  change(cpu: Cpu): void;
}
