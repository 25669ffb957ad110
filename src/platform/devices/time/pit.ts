// The 8254 interval timer (Intel 8254 data sheet, order number 231164) as a PC wires it: channel 0 to IRQ 0, channel 1
// to nothing, channel 2's gate and output to port 0x61 (pc-speaker.ts).
//
// Counters are not stepped: a count is worked out from the time since it was loaded, in exact integer arithmetic at
// 1,193,182 Hz. As in QEMU 7.2: a new mode takes effect on the old count until a count is written, a low gate does not
// stop modes 0 and 4, the output of modes 2, 4 and 5 is a high pulse of one tick, the status byte has no null-count bit.
// IRQ 0 events exist only for rising outputs; a fall, which nothing can see, is made up for before the next change.
// (QEMU also repeats the high level just before a fall, a new edge if the PIC was initialised meanwhile; not modelled.)
// Other than QEMU, which ignores it, BCD counting follows the data sheet.

import type { AccessSize } from '../../../cpu/bus.js';
import type { Clock, Device, Line, Plain, PortHandler, Timer } from '../../device.js';
import { ticksIn, timeOfTick } from '../../time-scale.js';

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

  /** Time at which the output, high at `now`, falls, or Infinity. */
  nextFall(now: number): number {
    const { mode, count, loadedAt } = this.state;
    const ticks = this.ticks(now);
    let fall = Number.POSITIVE_INFINITY;
    if (mode === 1) fall = count;
    else if (mode === 2 && count > 1) fall = ticks + 1;
    else if (mode === 3 && count > 1) fall = ticks - (ticks % count) + ((count + 1) >>> 1);
    else if (mode >= 4) fall = count + 1;
    return fall === Number.POSITIVE_INFINITY ? fall : loadedAt + timeOfTick(fall, PIT_FREQUENCY);
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
  #nextEvent = Number.POSITIVE_INFINITY;
  /** When IRQ 0, driven high by the last event, falls; Infinity when it is low or stays up. */
  #fallsAt = Number.POSITIVE_INFINITY;
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
    if (enabled === this.#irqEnabled) return;
    this.#irqEnabled = enabled;
    if (enabled) {
      this.#drive(this.#clock.now());
    } else {
      this.#fallsAt = Number.POSITIVE_INFINITY;
      this.#arm(Number.POSITIVE_INFINITY);
    }
  }

  reset(): void {
    const now = this.#clock.now();
    this.#channels.forEach((channel, index) => {
      Object.assign(channel.state, new Channel(index !== 2).state, { loadedAt: now });
    });
    this.#irqEnabled = true;
    // Channel 0 starts in mode 3 with its output high, which is no edge. QEMU looks at it first one nanosecond before it
    // falls and sees the rise then: half a period after reset there is one interrupt that hardware does not make.
    this.#fallsAt = Number.POSITIVE_INFINITY;
    this.#arm(this.#channels[0].nextFall(now) - 1);
  }

  save(): Plain {
    return {
      channels: this.#channels.map((channel) => ({ ...channel.state })),
      nextEvent: Number.isFinite(this.#nextEvent) ? this.#nextEvent : null,
      fallsAt: Number.isFinite(this.#fallsAt) ? this.#fallsAt : null,
      irqEnabled: this.#irqEnabled,
    };
  }

  load(state: Plain): void {
    const saved = state as unknown as {
      channels: ChannelState[];
      nextEvent: number | null;
      fallsAt: number | null;
      irqEnabled: boolean;
    };
    this.#channels.forEach((channel, index) => {
      channel.state = { ...saved.channels[index]! };
    });
    this.#nextEvent = saved.nextEvent ?? Number.POSITIVE_INFINITY;
    this.#fallsAt = saved.fallsAt ?? Number.POSITIVE_INFINITY;
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
    if (select === 0) this.#beforeModeChange(now);
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
    if (index === 0) this.#settle(now + 1);
    restart(now);
    if (index === 0 && this.#irqEnabled) this.#drive(now);
  }

  /** Make up for a fall of IRQ 0 that came before `time` and had no event. */
  #settle(time: number): void {
    if (this.#fallsAt >= time) return;
    this.#fallsAt = Number.POSITIVE_INFINITY;
    this.#irq(false);
  }

  /**
   * As in QEMU, the line keeps its level until the transition that the old mode had in store, and follows the new mode
   * from then on. So a fall that is still to come needs an event of its own now.
   */
  #beforeModeChange(now: number): void {
    this.#settle(now + 1);
    if (this.#fallsAt !== Number.POSITIVE_INFINITY) this.#arm(this.#fallsAt);
  }

  #expire(): void {
    const at = this.#nextEvent;
    this.#settle(at);
    this.#drive(at);
  }

  /** Bring IRQ 0 to the level of channel 0's output at the time `at` and arm the next event. */
  #drive(at: number): void {
    const channel = this.#channels[0];
    const level = channel.output(at);
    this.#irq(level);
    this.#fallsAt = level ? channel.nextFall(at) : Number.POSITIVE_INFINITY;
    this.#arm(channel.nextRise(at));
  }

  #arm(at: number): void {
    this.#nextEvent = at;
    this.#timer.set(at);
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
