// The 8254 interval timer (Intel 8254 data sheet, order number 231164) as a PC wires it: channel 0 to IRQ 0, channel 1
// to nothing, channel 2's gate and output to port 0x61 (pc-speaker.ts).
//
// Counters are not stepped: a count is worked out from the time since it was loaded, in exact integer arithmetic at
// 1,193,182 Hz. As in QEMU 7.2: a new mode takes effect on the old count until a count is written, a low gate does not
// stop modes 0 and 4, the output of modes 2, 4 and 5 is a high pulse of one tick, the status byte has no null-count bit.
// IRQ 0 events exist only for rising outputs; the fall, which nothing can see, is made up just before the next change.
// Other than QEMU, which ignores it, BCD counting follows the data sheet.

import type { AccessSize } from '../../cpu/bus.js';
import type { Clock, Device, Line, Plain, PortHandler, Timer } from '../device.js';
import { ticksIn, timeOfTick } from '../time-scale.js';

/** Input clock of all three channels, in Hz. */
export const PIT_FREQUENCY = 1_193_182;

/** Access modes as in bits 4–5 of the control word (1 is the low byte); 3 and 4 double as "low, high byte next". */
const HIGH = 2;
const WORD_LOW = 3;
const WORD_HIGH = 4;

interface ChannelState {
  mode: number;
  bcd: boolean;
  gate: boolean;
  /** Initial count in ticks, 1…0x10000 (10000 in BCD). */
  count: number;
  /** When the count was loaded or the gate restarted it, in ns. */
  loadedAt: number;
  access: number;
  readState: number;
  writeState: number;
  writeLatch: number;
  /** Count kept by a latch command, and what of it is still to be read (0 = nothing). */
  latchedCount: number;
  countLatched: number;
  latchedStatus: number;
  statusLatched: boolean;
}

/** One channel; `now` is a virtual time in ns. */
class Channel {
  state: ChannelState;

  constructor(gate: boolean) {
    this.state = {
      mode: 3,
      bcd: false,
      gate,
      count: 0x10000,
      loadedAt: 0,
      access: 0,
      readState: 0,
      writeState: 0,
      writeLatch: 0,
      latchedCount: 0,
      countLatched: 0,
      latchedStatus: 0,
      statusLatched: false,
    };
  }

  /** Ticks since the count was loaded. */
  ticks(now: number): number {
    return ticksIn(now - this.state.loadedAt, PIT_FREQUENCY);
  }

  output(now: number): boolean {
    const { mode, count } = this.state;
    const ticks = this.ticks(now);
    switch (mode) {
      case 1:
        return ticks < count;
      case 2:
        return ticks !== 0 && ticks % count === 0;
      case 3:
        return ticks % count < (count + 1) >>> 1;
      case 4:
      case 5:
        return ticks === count;
      default:
        return ticks >= count;
    }
  }

  /** Time of the next rise of the output after `now`, or Infinity. */
  nextRise(now: number): number {
    const { mode, count, loadedAt } = this.state;
    const ticks = this.ticks(now);
    let rise = Number.POSITIVE_INFINITY;
    // A count of 1 holds the output of mode 3, and of mode 2 after its first tick, high.
    if (mode === 2 || mode === 3) {
      if (count > 1 || (mode === 2 && ticks === 0)) rise = (Math.floor(ticks / count) + 1) * count;
    } else if (mode !== 1 && ticks < count) {
      rise = count;
    }
    return rise === Number.POSITIVE_INFINITY ? rise : loadedAt + timeOfTick(rise, PIT_FREQUENCY);
  }

  /** The counting element as the guest reads it, in binary or BCD. */
  counter(now: number): number {
    const { mode, count, bcd } = this.state;
    const ticks = this.ticks(now);
    const modulus = bcd ? 10000 : 0x10000;
    let value: number;
    if (mode === 2) value = count - (ticks % count);
    else if (mode === 3) value = count - ((2 * ticks) % count);
    else value = (((count - ticks) % modulus) + modulus) % modulus;
    return bcd ? toBcd(value % modulus) : value;
  }

  load(raw: number, now: number): void {
    const { state } = this;
    state.count = (state.bcd ? fromBcd(raw) : raw) || (state.bcd ? 10000 : 0x10000);
    state.loadedAt = now;
  }

  latchCount(now: number): void {
    const { state } = this;
    if (state.countLatched) return;
    state.latchedCount = this.counter(now);
    state.countLatched = state.access;
  }

  latchStatus(now: number): void {
    const { state } = this;
    if (state.statusLatched) return;
    state.latchedStatus = (this.output(now) ? 0x80 : 0) | (state.access << 4) | (state.mode << 1) | (state.bcd ? 1 : 0);
    state.statusLatched = true;
  }

  read(now: number): number {
    const { state } = this;
    if (state.statusLatched) {
      state.statusLatched = false;
      return state.latchedStatus;
    }
    if (state.countLatched) {
      const part = state.countLatched;
      state.countLatched = part === WORD_LOW ? HIGH : 0;
      return (part === HIGH ? state.latchedCount >>> 8 : state.latchedCount) & 0xff;
    }
    const part = state.readState;
    if (part === WORD_LOW) state.readState = WORD_HIGH;
    else if (part === WORD_HIGH) state.readState = WORD_LOW;
    const count = this.counter(now);
    return (part === HIGH || part === WORD_HIGH ? count >>> 8 : count) & 0xff;
  }
}

/** The timer chip. Ports 0x40…0x43 at offsets 0…3. */
export class Pit implements Device, PortHandler {
  readonly name = 'pit';
  readonly #clock: Clock;
  readonly #irq: Line;
  readonly #timer: Timer;
  readonly #channels = [new Channel(true), new Channel(true), new Channel(false)] as const;
  /** Virtual time that the armed IRQ 0 event stands for; the event may be run later. */
  #nextRise = Number.POSITIVE_INFINITY;
  /** False while the HPET's legacy replacement has taken IRQ 0 over. */
  #irqEnabled = true;

  constructor(clock: Clock, irq: Line) {
    this.#clock = clock;
    this.#irq = irq;
    this.#timer = clock.timer('pit', () => this.#expire());
    this.reset();
  }

  portRead(offset: number, _size: AccessSize): number {
    const channel = this.#channels[offset & 3];
    // The control word register cannot be read.
    return channel === undefined ? 0 : channel.read(this.#clock.now());
  }

  portWrite(offset: number, _size: AccessSize, value: number): void {
    const index = offset & 3;
    if (index === 3) this.#writeControl(value);
    else this.#writeCount(index, value);
  }

  /** Gate input of a channel. */
  setGate(index: 0 | 1 | 2, level: boolean): void {
    const channel = this.#channels[index];
    const { state } = channel;
    const restarts = state.mode !== 0 && state.mode !== 4;
    if (level && !state.gate && restarts) this.#change(index, (now) => (state.loadedAt = now));
    state.gate = level;
  }

  gate(index: 0 | 1 | 2): boolean {
    return this.#channels[index].state.gate;
  }

  /** Level of a channel's output now. */
  output(index: 0 | 1 | 2): boolean {
    return this.#channels[index].output(this.#clock.now());
  }

  /** Let channel 0 drive IRQ 0, or take it away (the HPET's legacy replacement route). */
  setIrqEnabled(enabled: boolean): void {
    this.#irqEnabled = enabled;
    if (enabled) {
      this.#arm(this.#clock.now());
    } else {
      this.#nextRise = Number.POSITIVE_INFINITY;
      this.#timer.cancel();
    }
  }

  reset(): void {
    const now = this.#clock.now();
    this.#channels.forEach((channel, index) => {
      Object.assign(channel.state, new Channel(index !== 2).state, { loadedAt: now });
    });
    this.#irqEnabled = true;
    this.#nextRise = this.#channels[0].nextRise(now);
    this.#timer.set(this.#nextRise);
  }

  save(): Plain {
    return {
      channels: this.#channels.map((channel) => ({ ...channel.state })),
      nextRise: this.#nextRise === Number.POSITIVE_INFINITY ? null : this.#nextRise,
      irqEnabled: this.#irqEnabled,
    };
  }

  load(state: Plain): void {
    const saved = state as unknown as { channels: ChannelState[]; nextRise: number | null; irqEnabled: boolean };
    this.#channels.forEach((channel, index) => {
      channel.state = { ...saved.channels[index]! };
    });
    this.#nextRise = saved.nextRise ?? Number.POSITIVE_INFINITY;
    this.#irqEnabled = saved.irqEnabled;
  }

  #writeControl(value: number): void {
    const now = this.#clock.now();
    const select = value >>> 6;
    if (select === 3) {
      this.#channels.forEach((channel, index) => {
        if (!(value & (2 << index))) return;
        if (!(value & 0x20)) channel.latchCount(now);
        if (!(value & 0x10)) channel.latchStatus(now);
      });
      return;
    }
    const channel = this.#channels[select]!;
    const access = (value >>> 4) & 3;
    if (access === 0) {
      channel.latchCount(now);
      return;
    }
    if (select === 0) this.#settleIrq(now);
    // Modes 6 and 7 are aliases of 2 and 3.
    const mode = (value >>> 1) & 7;
    Object.assign(channel.state, { access, readState: access, writeState: access, bcd: (value & 1) !== 0 });
    channel.state.mode = mode > 5 ? mode - 4 : mode;
  }

  #writeCount(index: number, value: number): void {
    const channel = this.#channels[index]!;
    const { state } = channel;
    const load = (raw: number): void => this.#change(index, (now) => channel.load(raw, now));
    if (state.writeState === WORD_LOW) {
      state.writeLatch = value;
      state.writeState = WORD_HIGH;
    } else if (state.writeState === WORD_HIGH) {
      state.writeState = WORD_LOW;
      load(state.writeLatch | (value << 8));
    } else {
      load(state.writeState === HIGH ? value << 8 : value);
    }
  }

  /** Restart a channel's count; channel 0's line follows at once. */
  #change(index: number, restart: (now: number) => void): void {
    const now = this.#clock.now();
    if (index === 0) this.#settleIrq(now);
    restart(now);
    if (index === 0) this.#arm(now);
  }

  /** Bring IRQ 0 to the level that the old programming gives it, so that a change makes an edge where there is one. */
  #settleIrq(now: number): void {
    if (this.#irqEnabled) this.#irq(this.#channels[0].output(now));
  }

  #expire(): void {
    const at = this.#nextRise;
    this.#irq(false);
    this.#arm(at);
  }

  /** Drive IRQ 0 for the time `at` and arm the next event. */
  #arm(at: number): void {
    if (!this.#irqEnabled) return;
    const channel = this.#channels[0];
    this.#irq(channel.output(at));
    this.#nextRise = channel.nextRise(at);
    this.#timer.set(this.#nextRise);
  }
}

function toBcd(value: number): number {
  let result = 0;
  for (let shift = 0, rest = value; rest > 0; shift += 4, rest = Math.floor(rest / 10)) result |= (rest % 10) << shift;
  return result;
}

function fromBcd(value: number): number {
  let result = 0;
  for (let shift = 12; shift >= 0; shift -= 4) result = result * 10 + ((value >>> shift) & 0xf);
  return result;
}
