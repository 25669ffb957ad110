// What an investigation asks of a replayed machine: to run it to a cycle, and to look at it there without changing it.
// src/api/sealed-probe.ts has the machine; here it is an interface, since a comparison knows no processor.

import type { SiteCode } from '../trace/sink.js';

/** The processor at an instruction boundary. */
export interface ProbeState {
  readonly cs: number;
  readonly rip: bigint;
  /** rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 to r15. */
  readonly registers: readonly bigint[];
  /** Bases of es, cs, ss, ds, fs, gs. */
  readonly bases: readonly bigint[];
  readonly rflags: number;
  readonly bits: 16 | 32 | 64;
}

/** A sealed replay that is run piece by piece. */
export interface Probe {
  readonly cycle: number;
  /** The trace is over, or the replay does not follow it any more. */
  readonly ended: boolean;
  /** Run to the first instruction boundary at or behind the cycle. */
  runTo(cycle: number): void;
  /** The processor's architectural state without its count of instructions; equal bytes, equal states. */
  fingerprint(): Uint8Array;
  state(): ProbeState;
  /** The instruction at rip; undefined where it cannot be fetched. */
  code(): SiteCode | undefined;
  /** Guest physical address of a linear one, undefined where nothing is mapped. */
  translate(linear: bigint): number | undefined;
  /** All of the guest's RAM from address 0, as it is; a view. */
  memory(): Uint8Array;
  /** Guest memory as it is, zeros where there is none. */
  bytes(physical: number, length: number): Uint8Array;
}

/** Makes machines at cycle 0, as often as they are asked for. */
export type OpenProbe = () => Promise<Probe>;
