// The real-time clock and CMOS RAM behind ports 0x70 and 0x71: Motorola MC146818A data sheet; the century byte is at
// 0x32, with IBM's alias 0x37.
//
// Wall-clock time at cycle 0 is given from outside and advances with virtual time. Behaves as QEMU 7.2 presents it: the
// date registers are worked out when they are read; update, alarm and periodic interrupts are timers; UIP shows in the
// last 244 µs of a second; a stopped clock (SET or a divider chain in reset) keeps its registers.
// Port 0x70 reads as 0xff and its bit 7 (NMI mask) is kept for the platform, which has no NMI source to mask.
// Left out on purpose: the square wave pin and battery failure.

import type { AccessSize } from '../../../cpu/bus.js';
import { civilTimeOf, secondsOf } from '../../calendar.js';
import type { Clock, Device, Line, Plain, PortHandler, Timer } from '../../device.js';
import { ticksIn, timeOfTick } from '../../time-scale.js';
import { nextAlarm } from './rtc-alarm.js';

const NS_PER_SECOND = 1_000_000_000;
/** Time base of the periodic interrupt. */
const CRYSTAL_HZ = 32_768;
/** UIP is up for this long before the seconds change: 8 periods of the crystal. */
const UIP_NS = Math.floor((8 * NS_PER_SECOND) / CRYSTAL_HZ);

const SECONDS = 0x00;
const SECONDS_ALARM = 0x01;
const MINUTES = 0x02;
const MINUTES_ALARM = 0x03;
const HOURS = 0x04;
const HOURS_ALARM = 0x05;
const WEEKDAY = 0x06;
const DAY = 0x07;
const MONTH = 0x08;
const YEAR = 0x09;
const REG_A = 0x0a;
const REG_B = 0x0b;
const REG_C = 0x0c;
const REG_D = 0x0d;
const SHUTDOWN_STATUS = 0x0f;
const CENTURY = 0x32;
const PS2_CENTURY = 0x37;

const A_UIP = 0x80;
const A_DIVIDER = 0x70;
const B_SET = 0x80;
const B_PIE = 0x40;
const B_AIE = 0x20;
const B_UIE = 0x10;
const B_SQWE = 0x08;
const B_BINARY = 0x04;
const B_24H = 0x02;
const C_IRQF = 0x80;
const C_PF = 0x40;
const C_AF = 0x20;
const C_UF = 0x10;

/** Shutdown status that survives a reset: the guest suspended itself to RAM. */
const SHUTDOWN_S3 = 0xfe;

const DATE_REGISTERS = [SECONDS, MINUTES, HOURS, WEEKDAY, DAY, MONTH, YEAR, CENTURY];

/** The clock. Ports 0x70 and 0x71 at offsets 0 and 1. */
export class Rtc implements Device, PortHandler {
  readonly name = 'rtc';
  readonly #clock: Clock;
  readonly #irq: Line;
  readonly #periodicTimer: Timer;
  readonly #updateTimer: Timer;
  readonly #cmos = new Uint8Array(128);
  #index = 0;
  #nmiMasked = false;
  /** The wall clock read `#baseSeconds` s and `#offset` ns at virtual time `#baseTime`. */
  #baseSeconds: number;
  #baseTime: number;
  #offset = 0;
  #nextPeriodic = 0;
  #nextAlarmTime = 0;
  /** The alarm has struck, with its interrupt enabled: may end a suspension. */
  onAlarm: () => void = () => {};

  /** @param epochSeconds wall clock now, in whole seconds since 1970 */
  constructor(clock: Clock, irq: Line, epochSeconds: number) {
    this.#clock = clock;
    this.#irq = irq;
    this.#baseSeconds = epochSeconds;
    this.#baseTime = clock.now();
    this.#periodicTimer = clock.timer('rtc.periodic', () => this.#periodicExpired());
    this.#updateTimer = clock.timer('rtc.update', () => this.#updateExpired());
    this.#cmos[REG_A] = 0x26;
    this.#cmos[REG_B] = B_24H;
    this.#cmos[REG_D] = 0x80;
    this.#storeDate();
    this.#armUpdate();
  }

  /** Bit 7 of port 0x70: the guest has masked NMI. */
  get nmiMasked(): boolean {
    return this.#nmiMasked;
  }

  /** Put a byte into CMOS RAM, as the board does before power-on. `index` is 0x0e…0x7f. */
  setCmos(index: number, value: number): void {
    if (index <= REG_D || index >= this.#cmos.length) throw new RangeError(`CMOS index 0x${index.toString(16)}`);
    this.#cmos[index] = value;
  }

  portRead(offset: number, _size: AccessSize): number {
    if ((offset & 1) === 0) return 0xff;
    if (this.#index === PS2_CENTURY) this.#index = CENTURY;
    const value = this.#cmos[this.#index]!;
    switch (this.#index) {
      case REG_A:
        return this.#updateInProgress() ? value | A_UIP : value;
      case REG_C:
        this.#irq(false);
        this.#cmos[REG_C] = 0;
        if (value & (C_UF | C_AF)) this.#armUpdate();
        return value;
      default:
        if (!DATE_REGISTERS.includes(this.#index) || !this.#running()) return value;
        this.#storeDate();
        return this.#cmos[this.#index]!;
    }
  }

  portWrite(offset: number, _size: AccessSize, value: number): void {
    if ((offset & 1) === 0) {
      this.#index = value & 0x7f;
      this.#nmiMasked = (value & 0x80) !== 0;
      return;
    }
    if (this.#index === PS2_CENTURY) this.#index = CENTURY;
    switch (this.#index) {
      case SECONDS_ALARM:
      case MINUTES_ALARM:
      case HOURS_ALARM:
        this.#cmos[this.#index] = value;
        this.#armUpdate();
        break;
      case REG_A:
        this.#writeA(value);
        break;
      case REG_B:
        this.#writeB(value);
        break;
      case REG_C:
      case REG_D:
        break;
      default:
        this.#cmos[this.#index] = value;
        if (DATE_REGISTERS.includes(this.#index) && this.#running()) {
          this.#setTime();
          this.#armUpdate();
        }
    }
  }

  /** RESET pin: interrupts are disabled and cleared; time and RAM survive. */
  reset(): void {
    if (this.#cmos[SHUTDOWN_STATUS] !== SHUTDOWN_S3) this.#cmos[SHUTDOWN_STATUS] = 0;
    this.#cmos[REG_B]! &= ~(B_PIE | B_AIE | B_SQWE);
    this.#cmos[REG_C]! &= ~(C_UF | C_IRQF | C_PF | C_AF);
    this.#armUpdate();
    this.#irq(false);
  }

  save(): Plain {
    return {
      cmos: this.#cmos.slice(),
      index: this.#index,
      nmiMasked: this.#nmiMasked,
      baseSeconds: this.#baseSeconds,
      baseTime: this.#baseTime,
      offset: this.#offset,
      nextPeriodic: this.#nextPeriodic,
      nextAlarmTime: this.#nextAlarmTime,
    };
  }

  load(state: Plain): void {
    const saved = state as Record<string, number>;
    this.#cmos.set((state as { cmos: Uint8Array }).cmos);
    this.#index = saved.index!;
    this.#nmiMasked = (state as { nmiMasked: boolean }).nmiMasked;
    this.#baseSeconds = saved.baseSeconds!;
    this.#baseTime = saved.baseTime!;
    this.#offset = saved.offset!;
    this.#nextPeriodic = saved.nextPeriodic!;
    this.#nextAlarmTime = saved.nextAlarmTime!;
  }

  /** Whether the registers follow time. */
  #running(): boolean {
    return !(this.#cmos[REG_B]! & B_SET) && (this.#cmos[REG_A]! & A_DIVIDER) <= 0x20;
  }

  /** Nanoseconds since the base second. */
  #elapsed(): number {
    return this.#clock.now() - this.#baseTime + this.#offset;
  }

  #nsOfSecond(): number {
    return this.#elapsed() % NS_PER_SECOND;
  }

  #writeA(value: number): void {
    const old = this.#cmos[REG_A]!;
    const oldPeriod = this.#period();
    let uip = old & A_UIP;
    if ((value & 0x60) === 0x60) {
      if (this.#running()) this.#storeDate();
      uip = 0;
    } else if ((old & 0x60) === 0x60 && (value & A_DIVIDER) <= 0x20) {
      // Data sheet: the first update begins half a second after the divider chain is let go.
      if (!(this.#cmos[REG_B]! & B_SET)) {
        this.#offset = NS_PER_SECOND / 2;
        this.#setTime();
      }
      uip = 0;
    }
    this.#cmos[REG_A] = (value & ~A_UIP) | uip;
    if ((old ^ value) & 0x0f) this.#armPeriodic(oldPeriod);
    this.#armUpdate();
  }

  #writeB(value: number): void {
    const old = this.#cmos[REG_B]!;
    const oldPeriod = this.#period();
    let next = value;
    if (value & B_SET) {
      if (this.#running()) this.#storeDate();
      this.#cmos[REG_A]! &= ~A_UIP;
      next &= ~B_UIE;
    } else if (old & B_SET && (this.#cmos[REG_A]! & A_DIVIDER) <= 0x20) {
      this.#offset = this.#nsOfSecond();
      this.#setTime();
    }
    // A flag that is up when its interrupt becomes enabled interrupts at once.
    const raise = (next & this.#cmos[REG_C]! & (C_PF | C_AF | C_UF)) !== 0;
    if (raise) this.#cmos[REG_C]! |= C_IRQF;
    else this.#cmos[REG_C]! &= ~C_IRQF;
    this.#irq(raise);
    this.#cmos[REG_B] = next;
    if ((old ^ next) & B_PIE) this.#armPeriodic(oldPeriod);
    this.#armUpdate();
  }

  /** Period of the periodic interrupt in crystal ticks; 0 = none. */
  #period(): number {
    const rate = this.#cmos[REG_A]! & 0x0f;
    if (!(this.#cmos[REG_B]! & B_PIE) || rate === 0) return 0;
    return 1 << ((rate <= 2 ? rate + 7 : rate) - 1);
  }

  /** The period changed from `oldPeriod`: what has passed of the running period counts for the new one. */
  #armPeriodic(oldPeriod: number): void {
    const period = this.#period();
    if (period === 0) {
      this.#periodicTimer.cancel();
      return;
    }
    const tick = ticksIn(this.#clock.now(), CRYSTAL_HZ);
    const passed = oldPeriod === 0 ? 0 : tick - (ticksIn(this.#nextPeriodic, CRYSTAL_HZ) - oldPeriod);
    this.#setPeriodic(tick + period - Math.min(passed, period));
  }

  #setPeriodic(tick: number): void {
    this.#nextPeriodic = timeOfTick(tick, CRYSTAL_HZ);
    this.#periodicTimer.set(this.#nextPeriodic);
  }

  #periodicExpired(): void {
    const period = this.#period();
    if (period !== 0) this.#setPeriodic(ticksIn(this.#nextPeriodic, CRYSTAL_HZ) + period);
    this.#cmos[REG_C]! |= C_PF;
    if (this.#cmos[REG_B]! & B_PIE) {
      this.#cmos[REG_C]! |= C_IRQF;
      this.#irq(true);
    }
  }

  /** Arm the timer for the next second, or the next alarm when nothing else can change before it. */
  #armUpdate(): void {
    if ((this.#cmos[REG_A]! & 0x60) === 0x60) {
      this.#updateTimer.cancel();
      return;
    }
    let next = this.#clock.now() + NS_PER_SECOND - this.#nsOfSecond();
    this.#storeDate();
    this.#nextAlarmTime = next + (this.#secondsToAlarm() - 1) * NS_PER_SECOND;
    // A latched UIP must be cleared at the next second, so the timer may skip seconds only without it.
    if (!(this.#cmos[REG_A]! & A_UIP) && this.#cmos[REG_C]! & C_UF) {
      if (this.#cmos[REG_B]! & B_SET || this.#cmos[REG_C]! & C_AF) {
        this.#updateTimer.cancel();
        return;
      }
      next = this.#nextAlarmTime;
    }
    if (next !== this.#updateTimer.deadline) this.#updateTimer.set(next);
  }

  #updateExpired(): void {
    this.#storeDate();
    this.#cmos[REG_A]! &= ~A_UIP;
    let flags = C_UF;
    const alarm = this.#clock.now() >= this.#nextAlarmTime;
    if (alarm) flags |= C_AF;
    const fresh = flags & ~this.#cmos[REG_C]!;
    this.#cmos[REG_C]! |= flags;
    if (fresh & this.#cmos[REG_B]!) {
      this.#cmos[REG_C]! |= C_IRQF;
      this.#irq(true);
    }
    this.#armUpdate();
    if (alarm && this.#cmos[REG_B]! & B_AIE) this.onAlarm();
  }

  #updateInProgress(): boolean {
    if (!this.#running()) return false;
    const { deadline } = this.#updateTimer;
    if (deadline !== Number.POSITIVE_INFINITY && this.#clock.now() >= deadline - UIP_NS) {
      // Latched until the update happens, so that a guest which saw UIP rise also sees it fall.
      this.#cmos[REG_A]! |= A_UIP;
      return true;
    }
    return this.#nsOfSecond() >= NS_PER_SECOND - UIP_NS;
  }

  #secondsToAlarm(): number {
    const register = (index: number): number => this.#decode(this.#cmos[index]!);
    return nextAlarm(
      { hour: this.#hour(HOURS_ALARM), minute: register(MINUTES_ALARM), second: register(SECONDS_ALARM) },
      { hour: this.#hour(HOURS), minute: register(MINUTES), second: register(SECONDS) },
    );
  }

  /** Bring the date registers up to date, unless SET holds them. */
  #storeDate(): void {
    if (this.#cmos[REG_B]! & B_SET) return;
    const time = civilTimeOf(this.#baseSeconds + Math.floor(this.#elapsed() / NS_PER_SECOND));
    const twelve = !(this.#cmos[REG_B]! & B_24H);
    const hour = twelve ? time.hour % 12 || 12 : time.hour;
    this.#cmos[SECONDS] = this.#encode(time.second);
    this.#cmos[MINUTES] = this.#encode(time.minute);
    this.#cmos[HOURS] = this.#encode(hour) | (twelve && time.hour >= 12 ? 0x80 : 0);
    this.#cmos[WEEKDAY] = this.#encode(time.weekday);
    this.#cmos[DAY] = this.#encode(time.day);
    this.#cmos[MONTH] = this.#encode(time.month);
    this.#cmos[YEAR] = this.#encode(time.year % 100);
    this.#cmos[CENTURY] = this.#encode(Math.floor(time.year / 100));
  }

  /** Take the wall clock from the date registers. */
  #setTime(): void {
    const register = (index: number): number => this.#decode(this.#cmos[index]!);
    this.#baseSeconds = secondsOf({
      second: register(SECONDS),
      minute: register(MINUTES),
      hour: this.#hour(HOURS),
      day: register(DAY),
      month: register(MONTH),
      year: register(YEAR) + 100 * register(CENTURY),
    });
    this.#baseTime = this.#clock.now();
  }

  #encode(value: number): number {
    return this.#cmos[REG_B]! & B_BINARY ? value : (Math.floor(value / 10) << 4) | (value % 10);
  }

  /** -1 for the "don't care" codes 0xc0…0xff of alarm registers. */
  #decode(value: number): number {
    if ((value & 0xc0) === 0xc0) return -1;
    return this.#cmos[REG_B]! & B_BINARY ? value : (value >>> 4) * 10 + (value & 0x0f);
  }

  /**
   * An hour register as 0…23, or -1 for "don't care". In 12-hour mode bit 7 is PM, in alarms too (QEMU 7.2 takes the
   * PM bit of an alarm from the current hour instead).
   */
  #hour(index: number): number {
    const value = this.#cmos[index]!;
    if ((value & 0xc0) === 0xc0) return -1;
    if (this.#cmos[REG_B]! & B_24H) return this.#decode(value);
    return (this.#decode(value & 0x7f) % 12) + (value & 0x80 ? 12 : 0);
  }
}
