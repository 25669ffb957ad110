// The local APIC's timer (Intel SDM vol. 3, "APIC Timer" and "TSC-Deadline Mode"): one-shot, periodic and TSC-deadline,
// with an input of 1 GHz as in QEMU 7.2. Invariant: an interrupt comes initial count + 1 ticks after the count was
// written, at the exact nanosecond. Kept from QEMU: after reset the divider acts as 1 although it reads as "by 2", and
// a write of the divider leaves a running timer armed for the time that the old one gave.

import type { Clock, Plain, Timer } from '../../device.js';

const MASKED = 0x10000;
const PERIODIC = 0x20000;
const TSC_DEADLINE = 0x40000;

/** What the TSC reads, and when it will reach a value. */
export interface TscSource {
  now(): bigint;
  /** Virtual time in ns of the first moment at which now() >= tsc; Infinity if it lies beyond 2^53 ns. */
  timeOf(tsc: bigint): number;
}

interface TimerState {
  /** The timer's LVT entry. */
  lvt: number;
  divide: number;
  /** Binary logarithm of the divisor. */
  shift: number;
  initialCount: number;
  /** When the initial count was written, in ns. */
  startTime: number;
  tscDeadline: bigint;
  /** Armed deadline in ns, null when not armed. */
  expiry: number | null;
}

const initialState = (): TimerState => ({
  lvt: MASKED,
  divide: 0,
  shift: 0,
  initialCount: 0,
  startTime: 0,
  tscDeadline: 0n,
  expiry: null,
});

/** The timer; `expired` is called whenever it runs out, whether or not its LVT entry is masked. */
export class LapicTimer {
  private readonly clock: Clock;
  private readonly tsc: TscSource;
  private readonly alarm: Timer;
  private readonly expired: () => void;
  private state = initialState();

  constructor(clock: Clock, tsc: TscSource, expired: () => void) {
    this.clock = clock;
    this.tsc = tsc;
    this.expired = expired;
    this.alarm = clock.timer('lapic', () => this.fired());
  }

  reset(): void {
    this.state = initialState();
    this.alarm.cancel();
  }

  get lvt(): number {
    return this.state.lvt;
  }

  set lvt(value: number) {
    const s = this.state;
    const wasDeadline = this.isTscDeadline();
    s.lvt = value;
    // SDM: changing between TSC-deadline and the other modes disarms the timer.
    if (wasDeadline !== this.isTscDeadline()) {
      s.tscDeadline = 0n;
      if (wasDeadline) s.initialCount = 0;
    }
    this.arm(this.clock.now());
  }

  get initialCount(): number {
    return this.state.initialCount;
  }

  set initialCount(value: number) {
    this.state.initialCount = value;
    this.state.startTime = this.clock.now();
    this.arm(this.state.startTime);
  }

  get currentCount(): number {
    const s = this.state;
    if (this.isTscDeadline()) return 0;
    const ticks = this.ticks(this.clock.now());
    if (s.lvt & PERIODIC) return s.initialCount - (ticks % (s.initialCount + 1));
    return Math.max(s.initialCount - ticks, 0);
  }

  get divide(): number {
    return this.state.divide;
  }

  set divide(value: number) {
    const s = this.state;
    s.divide = value & 0xb;
    s.shift = (((s.divide & 3) | ((s.divide >> 1) & 4)) + 1) & 7;
  }

  /** IA32_TSC_DEADLINE; reads 0 once reached, and writes outside the mode are ignored. */
  get tscDeadline(): bigint {
    return this.state.tscDeadline;
  }

  set tscDeadline(value: bigint) {
    if (!this.isTscDeadline()) return;
    this.state.tscDeadline = BigInt.asUintN(64, value);
    this.arm(this.clock.now());
  }

  save(): Plain {
    return { ...this.state };
  }

  load(state: Plain): void {
    this.state = { ...(state as unknown as TimerState) };
    this.setAlarm();
  }

  private isTscDeadline(): boolean {
    return (this.state.lvt & (PERIODIC | TSC_DEADLINE)) === TSC_DEADLINE;
  }

  /** Whole ticks since the initial count was written. */
  private ticks(now: number): number {
    return Math.floor((now - this.state.startTime) / 2 ** this.state.shift);
  }

  private arm(now: number): void {
    this.state.expiry = this.nextExpiry(now);
    this.setAlarm();
  }

  private setAlarm(): void {
    if (this.state.expiry === null) this.alarm.cancel();
    else this.alarm.set(this.state.expiry);
  }

  private nextExpiry(now: number): number | null {
    const s = this.state;
    if (this.isTscDeadline()) {
      // The deadline is reached whether or not the entry is masked; only the interrupt is withheld.
      if (s.tscDeadline === 0n) return null;
      const when = this.tsc.timeOf(s.tscDeadline);
      return Number.isFinite(when) ? when : null;
    }
    if (s.lvt & MASKED) return null;
    const ticks = this.ticks(now);
    const period = s.initialCount + 1;
    if (s.lvt & PERIODIC) {
      if (s.initialCount === 0) return null;
      return s.startTime + (Math.floor(ticks / period) + 1) * period * 2 ** s.shift;
    }
    return ticks >= s.initialCount ? null : s.startTime + period * 2 ** s.shift;
  }

  private fired(): void {
    if (this.isTscDeadline()) this.state.tscDeadline = 0n;
    // From now, not from when it was due: periods that fall into one instruction are one request anyhow.
    this.arm(this.clock.now());
    this.expired();
  }
}
