// What TypeScript semantics may ask of the processor: the interface that system/*.ts is written against and that
// cpu.ts implements. Kept apart so that a semantic function neither knows the interpreter nor its tiers.
// Left out on purpose: anything about blocks, records and budgets.

import type { Bus, TimingModel } from './bus.js';
import type { Coverage } from './coverage/coverage.js';
import type { CpuModel } from './cpuid.js';
import type { CpuState } from './state.js';

/** Who makes a memory access: the program at its current CPL, or the processor itself (descriptor tables, TSS: supervisor always). */
export type Privilege = 'current' | 'system' | 'user';

/**
 * Linear memory as TypeScript semantics use it. Every access translates, checks rights, sets accessed and dirty
 * bits, may cross a page, reaches MMIO through the bus, and throws Fault(#PF) (vector 14 with error code and address).
 * Linear addresses are taken modulo 2^64 in long mode and 2^32 otherwise. Writes to several bytes check all pages first.
 */
export interface LinearMemory {
  read8(linear: bigint, privilege?: Privilege): number;
  read16(linear: bigint, privilege?: Privilege): number;
  read32(linear: bigint, privilege?: Privilege): number;
  read64(linear: bigint, privilege?: Privilege): bigint;
  write8(linear: bigint, value: number, privilege?: Privilege): void;
  write16(linear: bigint, value: number, privilege?: Privilege): void;
  write32(linear: bigint, value: number, privilege?: Privilege): void;
  write64(linear: bigint, value: bigint, privilege?: Privilege): void;
  /**
   * Where `length` bytes lie in the processor's linear memory, when an access would be no more than copying them there
   * and nothing is left to check or to mark; else 0, as always where `lo` is no multiple of 4. Halves of the address.
   */
  plainAt(lo: number, hi: number, length: number, write: boolean, privilege: Privilege): number;
  /** `alignment` (a power of two, default 1): #AC(0) when alignment checking is on and the address is not a multiple of it. */
  readBytes(linear: bigint, length: number, privilege?: Privilege, alignment?: number): Uint8Array;
  writeBytes(linear: bigint, data: Uint8Array, privilege?: Privilege, alignment?: number): void;
  /**
   * A run of a string copy, of `items` items of `bytes` bytes that leave no page, from a page of which not everything has
   * been observed: as the single items would be copied. Returns how many were, 0 where they have to be done one by one
   * (then nothing has happened). `left`: bytes of the whole copy that are still to come; `down`: each item lies below the
   * one before.
   */
  copyTracked(from: bigint, to: bigint, bytes: number, items: number, left: number, down: boolean): number;
  /**
   * Check that `length` bytes (< 4 KiB) can be written (or read) without doing it; throws the fault that the access
   * would raise. Returns whether the first byte lies in RAM or ROM, so that no device sees it.
   */
  probe(linear: bigint, length: number, write: boolean, privilege?: Privilege, alignment?: number): boolean;
}

export interface CpuCore {
  readonly state: CpuState;
  readonly memory: LinearMemory;
  readonly bus: Bus;
  readonly model: CpuModel;
  readonly timing: TimingModel;
  /** Cycle of the start of the current instruction. */
  readonly cycle: number;
  /** Address (IP, not linear) of the current instruction, and of the one after it. */
  readonly instructionIp: bigint;
  readonly nextIp: bigint;
  /** Set when an interrupt or exception is delivered; an instruction that delivers one itself (INT n) is not followed by its single-step trap. */
  delivered: boolean;
  /** Recompute MODE, masks, TLB choice, code key, stepping needs after CR0, CR4, EFER, EFLAGS.VM/AC/TF, CS, SS, DS, ES, CPL, DR7 or XCR0 changed. */
  modeChanged(): void;
  /** As modeChanged, after nothing but DS, ES, FS or GS changed. */
  dataSegmentChanged(segment: number): void;
  /** Drop cached translations: all, all but global, or those of one linear page. */
  flushTlb(keepGlobal: boolean): void;
  flushPage(linear: bigint): void;
  /** Enter HLT (wakes on interrupt) or shutdown. */
  halt(): void;
  /** No further progress possible: double fault while delivering one. Resets the machine or ends the run. */
  tripleFault(): void;
  /** Inhibit interrupts for one instruction: 1 after STI, 2 after MOV SS / POP SS. */
  setShadow(kind: 1 | 2): void;
  /** SYSCALL and SYSRET: whether a single-step trap follows them, whatever TF was before. */
  setStepTrap?(on: boolean): void;
  /** A port is about to be accessed: for I/O breakpoints. */
  notePort?(port: number, bytes: number): void;
  /** For tools: called when a far jump is done and RIP is its target. */
  readonly onFarJump?: (() => void) | undefined;
  /** For tools: called when an instruction reads the time stamp counter, or when CR2 is read or written (Cpu.watchLooks). */
  readonly onLook?: ((at: 'clock' | 'cr2') => void) | undefined;
  /** What notes branches and comparisons; undefined unless asked for. */
  readonly coverage?: Coverage | undefined;
  /** Tell the listener that the processor reached something (paging on, long mode, first user-mode instruction). */
  milestone(name: string): void;
}
