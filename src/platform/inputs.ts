// The one door for everything that comes from outside the machine: the wall clock at cycle 0, the entropy seed, console
// bytes, keys, mouse movements and the power button. Nothing else may bring outside data in.
//
// Every input happens at a cycle: scheduled beforehand, or pushed between two instructions while the machine runs. A
// listener hears each one as it happens, so a recorder can write down all that is needed to have it happen again.
// Inputs of the same cycle happen in the order in which they were given.

import { parseIsoTime } from './calendar.js';
import type { VirtualClock } from './clock.js';
import type { Device, Plain, Timer } from './device.js';
import type { MouseMotion } from './devices/ps2/ps2-mouse.js';
import { Random } from './random.js';

/** Something that happens to the machine from outside. */
export type Input =
  /** Bytes that arrive at the first serial port. */
  | { kind: 'serial'; data: Uint8Array }
  /** A key, named by its set 2 make code (see devices/ps2/ps2-scancodes.ts), goes down or up. */
  | { kind: 'key'; code: number; down: boolean }
  /** The PS/2 mouse. */
  | ({ kind: 'mouse' } & MouseMotion)
  /** The ACPI power button is pressed and released. */
  | { kind: 'power-button' };

/** Hears every input, at the cycle at which the machine gets it. */
export type InputListener = (cycle: number, input: Input) => void;

export interface InputOptions {
  /** Wall clock at cycle 0: ISO 8601 text or whole seconds since 1970. Default 2020-01-01T00:00:00Z. */
  rtc?: string | number;
  /** Entropy seed, 64 bits. Default 0. */
  seed?: number | bigint;
}

interface Scheduled {
  cycle: number;
  input: Input;
}

/** The door. It counts as a device: what is still to come and the state of the entropy are part of the machine's state. */
export class Inputs implements Device {
  readonly name = 'inputs';
  /** Wall clock at cycle 0, in seconds since 1970. */
  readonly epochSeconds: number;
  readonly seed: bigint;
  /** The machine's only source of randomness. */
  readonly random: Random;
  readonly #clock: VirtualClock;
  readonly #timer: Timer;
  #deliver: (input: Input) => void = () => {};
  #listener: InputListener | undefined;
  /** Sorted by cycle, then by order of arrival. */
  #schedule: Scheduled[] = [];

  /** @throws RangeError for a wall clock that is no time, or no whole number of seconds */
  constructor(clock: VirtualClock, options: InputOptions = {}) {
    const rtc = options.rtc ?? '2020-01-01T00:00:00Z';
    this.epochSeconds = typeof rtc === 'string' ? parseIsoTime(rtc) : rtc;
    if (!Number.isSafeInteger(this.epochSeconds)) throw new RangeError(`wall clock ${rtc} is not a whole second`);
    this.seed = BigInt.asUintN(64, BigInt(options.seed ?? 0));
    this.random = new Random(this.seed);
    this.#clock = clock;
    this.#timer = clock.timer('inputs', () => this.#due());
  }

  /** Wiring: where inputs go. */
  connect(deliver: (input: Input) => void): void {
    this.#deliver = deliver;
  }

  /** One listener, or none. */
  setListener(listener: InputListener | undefined): void {
    this.#listener = listener;
  }

  /**
   * Let an input happen at a cycle.
   * @throws RangeError when that cycle has passed
   */
  schedule(cycle: number, input: Input): void {
    if (!Number.isSafeInteger(cycle) || cycle < this.#clock.nowCycle()) {
      throw new RangeError(`input at cycle ${cycle} cannot happen: it is cycle ${this.#clock.nowCycle()}`);
    }
    const at = this.#schedule.findIndex((other) => other.cycle > cycle);
    this.#schedule.splice(at < 0 ? this.#schedule.length : at, 0, { cycle, input });
    this.#arm();
  }

  /** Let an input happen now. Call it only between instructions. */
  push(input: Input): void {
    this.#happen(this.#clock.nowCycle(), input);
  }

  /** Inputs that are still to come. */
  get pending(): number {
    return this.#schedule.length;
  }

  /** The world outside is not reset with the machine. */
  reset(): void {}

  save(): Plain {
    return {
      random: this.random.save(),
      schedule: this.#schedule.map(({ cycle, input }) => ({ cycle, input: { ...input } })),
    };
  }

  load(state: Plain): void {
    const saved = state as unknown as { random: Plain; schedule: Scheduled[] };
    this.random.load(saved.random);
    this.#schedule = saved.schedule.map(({ cycle, input }) => ({ cycle, input: { ...input } }));
  }

  #due(): void {
    const cycle = this.#clock.nowCycle();
    while (this.#schedule.length > 0 && this.#schedule[0]!.cycle <= cycle) {
      this.#happen(cycle, this.#schedule.shift()!.input);
    }
    this.#arm();
  }

  #happen(cycle: number, input: Input): void {
    this.#listener?.(cycle, input);
    this.#deliver(input);
  }

  #arm(): void {
    const next = this.#schedule[0];
    if (next === undefined) this.#timer.cancel();
    else this.#timer.set(next.cycle * this.#clock.nsPerCycle);
  }
}
