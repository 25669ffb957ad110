// High Precision Event Timer (IA-PC HPET specification 1.0a) as QEMU 7.2 has it: 64-bit counter of 10 ns, three
// timers, legacy replacement, no FSB interrupts, 4-byte accesses only. The PIT's and the RTC's interrupt lines run
// through this device, which cuts them while legacy replacement is on. Counter arithmetic is modulo 2^64 in BigInt,
// including QEMU's "counter = (time + offset) / 10". Oddity kept: a timer block 3, without capabilities, exists.

import type { AccessSize } from '../../../cpu/bus.js';
import type { Clock, Device, Line, MmioHandler, Plain, Timer } from '../../device.js';

export const HPET_BASE = 0xfed00000;
export const HPET_SIZE = 0x400;
/** Low half of the capability register: vendor 8086, legacy replacement, 64-bit counter, three timers, revision 1. */
export const HPET_CAPABILITIES = 0x8086a201;

const PERIOD_NS = 10n;
const PERIOD_FS = 10_000_000n;
/** Interrupt routes that timers may take: GSI 2 only. */
const ROUTE_CAPABILITIES = 0x4n;
const TIMERS = 3;
const RTC_IRQ = 8;

const CFG_ENABLE = 1n;
const CFG_LEGACY = 2n;
const CFG_WRITABLE = 3n;

const TN_LEVEL = 0x2n;
const TN_ENABLE = 0x4n;
const TN_PERIODIC = 0x8n;
const TN_PERIODIC_CAP = 0x10n;
const TN_SIZE_CAP = 0x20n;
const TN_SETVAL = 0x40n;
const TN_32BIT = 0x100n;
const TN_WRITABLE = 0x7f4en;

const ALL_ONES = 0xffff_ffff_ffff_ffffn;
const LOW = 0xffff_ffffn;
const HIGH = 0xffff_ffff_0000_0000n;
/** Deadlines further away than this many ticks are never reached. */
const MAX_TICKS = 0x4000_0000_0000_0000n / PERIOD_NS;

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
const low32 = (value: bigint): number => Number(value & LOW);
const high32 = (value: bigint): number => Number((value >> 32n) & LOW);
const withLow = (value: bigint, low: bigint): bigint => (value & HIGH) | low;
const withHigh = (value: bigint, high: bigint): bigint => (value & LOW) | (high << 32n);

export interface HpetWiring {
  clock: Clock;
  /** Drive a global system interrupt: 0 and 8 in legacy replacement, else the timer's route. */
  irq: (gsi: number, level: boolean) => void;
  /** False while legacy replacement stops the PIT's channel 0 from interrupting. */
  pitEnabled: Line;
}

interface TimerState {
  config: bigint;
  comparator: bigint;
  period: bigint;
  fsb: bigint;
  /** The next expiry is the wrap of a 32-bit one-shot, not its match. */
  wrap: boolean;
  /** Armed deadline in ns, or null. */
  expiry: number | null;
}

interface HpetState {
  config: bigint;
  status: bigint;
  counter: bigint;
  offset: bigint;
  rtcLevel: boolean;
  timers: TimerState[];
}

function initialState(): HpetState {
  const timer = (config: bigint): TimerState => ({
    config,
    comparator: ALL_ONES,
    period: 0n,
    fsb: 0n,
    wrap: false,
    expiry: null,
  });
  const real = TN_PERIODIC_CAP | TN_SIZE_CAP | (ROUTE_CAPABILITIES << 32n);
  const timers = [real, real, real].map(timer);
  return {
    config: 0n,
    status: 0n,
    counter: 0n,
    offset: 0n,
    rtcLevel: false,
    timers: [...timers, { ...timer(0n), comparator: 0n }],
  };
}

const clone = (s: HpetState): HpetState => ({ ...s, timers: s.timers.map((timer) => ({ ...timer })) });

/** The HPET at HPET_BASE. */
export class Hpet implements Device, MmioHandler {
  readonly name = 'hpet';
  private readonly wiring: HpetWiring;
  private readonly alarms: Timer[];
  private state = initialState();

  constructor(wiring: HpetWiring) {
    this.wiring = wiring;
    this.alarms = [0, 1, 2, 3].map((n) => wiring.clock.timer(`hpet${n}`, () => this.fired(n)));
  }

  reset(): void {
    for (let n = 0; n < this.alarms.length; n++) this.disarm(n);
    this.state = initialState();
    this.wiring.pitEnabled(true);
  }

  /** Input: the PIT's channel 0 output; passed on to GSI 0 outside legacy replacement. */
  readonly pitIrq: Line = (level) => {
    if (!this.legacy()) this.wiring.irq(0, level);
  };

  /** Input: the RTC's interrupt line; passed on to GSI 8 outside legacy replacement. */
  readonly rtcIrq: Line = (level) => {
    this.state.rtcLevel = level;
    if (!this.legacy()) this.wiring.irq(RTC_IRQ, level);
  };

  mmioRead(offset: number, size: AccessSize): number {
    if (size !== 4 || offset & 3) return 0;
    const s = this.state;
    if (offset >= 0x100) {
      const timer = s.timers[(offset - 0x100) >> 5];
      if (!timer) return 0;
      switch (offset & 0x1f) {
        case 0x00:
          return low32(timer.config);
        case 0x04:
          return high32(timer.config);
        case 0x08:
          return low32(timer.comparator);
        case 0x0c:
          return high32(timer.comparator);
        case 0x10:
          return low32(timer.fsb);
        case 0x14:
          return high32(timer.fsb);
        default:
          return 0;
      }
    }
    switch (offset) {
      case 0x000:
        return HPET_CAPABILITIES;
      case 0x004:
        return Number(PERIOD_FS);
      case 0x010:
        return low32(s.config);
      case 0x020:
        return low32(s.status);
      case 0x0f0:
        return low32(this.counter());
      case 0x0f4:
        return high32(this.counter());
      default:
        return 0;
    }
  }

  mmioWrite(offset: number, size: AccessSize, value: number): void {
    if (size !== 4 || offset & 3) return;
    const s = this.state;
    const data = BigInt(value >>> 0);
    if (offset >= 0x100) {
      const n = (offset - 0x100) >> 5;
      if (n < s.timers.length) this.writeTimer(n, offset & 0x1f, data);
      return;
    }
    switch (offset) {
      case 0x010:
        this.writeConfig(data);
        break;
      case 0x020:
        for (let n = 0; n < TIMERS; n++) if (((data & s.status) >> BigInt(n)) & 1n) this.setIrq(n, false);
        break;
      case 0x0f0:
        s.counter = withLow(s.counter, data);
        break;
      case 0x0f4:
        s.counter = withHigh(s.counter, data);
        break;
      default:
    }
  }

  save(): Plain {
    const s = clone(this.state);
    return { ...s, timers: s.timers.map((timer) => ({ ...timer })) };
  }

  /** Lines are not driven: what they are connected to saves its own inputs. */
  load(state: Plain): void {
    this.state = clone(state as unknown as HpetState);
    this.state.timers.forEach((timer, n) => {
      if (timer.expiry === null) this.alarms[n]!.cancel();
      else this.alarms[n]!.set(timer.expiry);
    });
  }

  private legacy(): boolean {
    return (this.state.config & CFG_LEGACY) !== 0n;
  }

  private enabled(): boolean {
    return (this.state.config & CFG_ENABLE) !== 0n;
  }

  private ticks(): bigint {
    return u64(BigInt(this.wiring.clock.now()) + this.state.offset) / PERIOD_NS;
  }

  private counter(): bigint {
    return this.enabled() ? this.ticks() : this.state.counter;
  }

  private writeConfig(value: bigint): void {
    const s = this.state;
    const old = s.config;
    s.config = (old & ~CFG_WRITABLE) | (value & CFG_WRITABLE);
    const rises = s.config & ~old;
    const falls = old & ~s.config;
    if (rises & CFG_ENABLE) {
      s.offset = u64(s.counter * PERIOD_NS - BigInt(this.wiring.clock.now()));
      for (let n = 0; n < TIMERS; n++) if (s.timers[n]!.comparator !== ALL_ONES) this.arm(n);
    } else if (falls & CFG_ENABLE) {
      s.counter = this.ticks();
      for (let n = 0; n < TIMERS; n++) this.disarm(n);
    }
    if (rises & CFG_LEGACY) {
      this.wiring.pitEnabled(false);
      this.wiring.irq(0, false);
      this.wiring.irq(RTC_IRQ, false);
    } else if (falls & CFG_LEGACY) {
      this.wiring.irq(0, false);
      this.wiring.pitEnabled(true);
      this.wiring.irq(RTC_IRQ, s.rtcLevel);
    }
  }

  private writeTimer(n: number, register: number, value: bigint): void {
    const timer = this.state.timers[n]!;
    const periodic = (timer.config & TN_PERIODIC) !== 0n;
    switch (register) {
      case 0x00: {
        const old = timer.config;
        timer.config = (old & ~TN_WRITABLE) | (value & TN_WRITABLE);
        if (value & TN_32BIT) {
          timer.comparator &= LOW;
          timer.period &= LOW;
        }
        if (timer.config & ~old & TN_ENABLE) {
          if (this.enabled()) this.arm(n);
        } else if (old & ~timer.config & TN_ENABLE) {
          this.disarm(n);
        }
        return;
      }
      case 0x08:
        if (!periodic || timer.config & TN_SETVAL) timer.comparator = withLow(timer.comparator, value);
        if (periodic) timer.period = withLow(timer.period, timer.config & TN_32BIT ? value & 0x7fff_ffffn : value);
        break;
      case 0x0c:
        // QEMU: the upper half goes to the comparator or to the period, never to both.
        if (!periodic || timer.config & TN_SETVAL) timer.comparator = withHigh(timer.comparator, value);
        else timer.period = withHigh(timer.period, timer.config & TN_32BIT ? value & 0x7fff_ffffn : value);
        break;
      case 0x10:
        timer.fsb = withLow(timer.fsb, value);
        return;
      case 0x14:
        timer.fsb = withHigh(timer.fsb, value);
        return;
      default:
        return;
    }
    timer.config &= ~TN_SETVAL;
    if (this.enabled()) this.arm(n);
  }

  /** Ticks from `current` to the match, at least 1; a match in the past half of the number circle is due now. */
  private distance(timer: TimerState, current: bigint): bigint {
    const bits = timer.config & TN_32BIT ? 32 : 64;
    const difference = BigInt.asIntN(bits, timer.comparator - current);
    return difference > 0n ? difference : 1n;
  }

  private arm(n: number): void {
    const timer = this.state.timers[n]!;
    const current = this.ticks();
    let ticks = this.distance(timer, current);
    timer.wrap = false;
    // Specification 2.3.9.2: a 32-bit one-shot also interrupts when the counter's lower half wraps.
    if (timer.config & TN_32BIT && !(timer.config & TN_PERIODIC)) {
      const untilWrap = LOW - (current & LOW);
      if (untilWrap < ticks) {
        ticks = untilWrap;
        timer.wrap = true;
      }
    }
    this.setAlarm(n, ticks);
  }

  private setAlarm(n: number, ticks: bigint): void {
    const timer = this.state.timers[n]!;
    if (ticks < MAX_TICKS) {
      timer.expiry = this.wiring.clock.now() + Number(ticks * PERIOD_NS);
      this.alarms[n]!.set(timer.expiry);
    } else {
      timer.expiry = null;
      this.alarms[n]!.cancel();
    }
  }

  private disarm(n: number): void {
    this.state.timers[n]!.expiry = null;
    this.alarms[n]!.cancel();
    this.setIrq(n, false);
  }

  private fired(n: number): void {
    const timer = this.state.timers[n]!;
    const current = this.ticks();
    timer.expiry = null;
    if (timer.config & TN_PERIODIC && timer.period !== 0n) {
      this.advancePeriod(timer, current);
      this.setAlarm(n, this.distance(timer, current));
    } else if (timer.wrap && timer.config & TN_32BIT && !(timer.config & TN_PERIODIC)) {
      this.setAlarm(n, this.distance(timer, current));
      timer.wrap = false;
    }
    this.setIrq(n, true);
  }

  /**
   * Move the comparator by whole periods until it is ahead of the counter; in one step, as a guest chooses how far.
   * QEMU leaves it in place at an exact match, relying on timers that always come late: it would fire twice here.
   */
  private advancePeriod(timer: TimerState, current: bigint): void {
    const bits = timer.config & TN_32BIT ? 32 : 64;
    const period = BigInt.asUintN(bits, timer.period);
    const behind = -BigInt.asIntN(bits, timer.comparator - current);
    if (behind < 0n || period === 0n) return;
    timer.comparator = BigInt.asUintN(bits, timer.comparator + (behind / period + 1n) * period);
  }

  private setIrq(n: number, set: boolean): void {
    const timer = this.state.timers[n]!;
    const bit = 1n << BigInt(n);
    const gsi = n <= 1 && this.legacy() ? (n === 0 ? 0 : RTC_IRQ) : Number((timer.config >> 9n) & 0x1fn);
    const fsb = (timer.config & 0x4000n) !== 0n;
    if (!set || !(timer.config & TN_ENABLE) || !this.enabled()) {
      this.state.status &= ~bit;
      if (!fsb) this.wiring.irq(gsi, false);
    } else if (fsb) {
      // The capability is not advertised; QEMU would send the message all the same, here it is dropped.
    } else if (timer.config & TN_LEVEL) {
      this.state.status |= bit;
      this.wiring.irq(gsi, true);
    } else {
      this.state.status &= ~bit;
      this.wiring.irq(gsi, true);
      this.wiring.irq(gsi, false);
    }
  }
}
