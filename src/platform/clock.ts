// Virtual time: the one clock that every device reads, and the queue of timers that hang on it.
//
// Time is the processor's cycle count times a whole number of nanoseconds, so it is an exact integer below 2^53 and the
// same on every host. Timers fire in a total order: deadline first, then creation order. Nothing fires by itself: the
// processor asks for nextEvent() and calls runDue() at the first instruction boundary at or after it.
// Deadlines are saved here, by timer name, and not by the devices that own the timers.
// Left out on purpose: any notion of host time, and of frequency changes.

import type { Clock, Plain, Timer } from './device.js';

/** Told about every timer that is programmed or expires; times in virtual nanoseconds. */
export interface ClockListener {
  /** `deadline` is Infinity when the timer was cancelled. */
  timerArmed(name: string, deadline: number): void;
  timerFired(name: string, deadline: number): void;
}

class ClockTimer implements Timer {
  deadline = Number.POSITIVE_INFINITY;

  constructor(
    readonly name: string,
    readonly fire: () => void,
    private readonly changed: (timer: ClockTimer) => void,
  ) {}

  set(when: number): void {
    if (Number.isNaN(when)) throw new RangeError(`timer ${this.name}: deadline is not a number`);
    // Cancelling twice is not news.
    if (when === Number.POSITIVE_INFINITY && this.deadline === when) return;
    this.deadline = when;
    this.changed(this);
  }

  cancel(): void {
    this.set(Number.POSITIVE_INFINITY);
  }
}

/** The platform's clock. `cycle` gives the processor's current cycle; one cycle lasts `nsPerCycle` whole nanoseconds. */
export class VirtualClock implements Clock {
  readonly #timers: ClockTimer[] = [];
  #listener: ClockListener | undefined;
  /** Earliest timer, or null; undefined = must be searched again. */
  #earliest: ClockTimer | null | undefined = null;
  /** Its cycle, while it is known. */
  #next = Number.POSITIVE_INFINITY;
  /** While timers run: the cycle that runDue() was given. */
  #running: number | undefined;

  /** @throws RangeError when nsPerCycle is not a positive integer */
  constructor(
    private readonly cycle: () => number,
    readonly nsPerCycle = 4,
  ) {
    if (!Number.isSafeInteger(nsPerCycle) || nsPerCycle <= 0) {
      throw new RangeError(`nsPerCycle must be a positive integer, not ${nsPerCycle}`);
    }
  }

  /** Virtual nanoseconds since cycle 0. */
  now(): number {
    return (this.#running ?? this.cycle()) * this.nsPerCycle;
  }

  /** The current cycle: that of the running instruction, or of the event being run. */
  nowCycle(): number {
    return this.#running ?? this.cycle();
  }

  /** @throws Error when the name is taken: names identify timers in saved state */
  timer(name: string, fire: () => void): Timer {
    if (this.#timers.some((other) => other.name === name)) throw new Error(`timer ${name} exists already`);
    const timer = new ClockTimer(name, fire, (changed) => {
      this.#earliest = undefined;
      this.#listener?.timerArmed(changed.name, changed.deadline);
    });
    this.#timers.push(timer);
    return timer;
  }

  /** One observer, or none. */
  setListener(listener: ClockListener | undefined): void {
    this.#listener = listener;
  }

  /** Cycle at which the earliest timer is due, or Infinity. */
  nextEvent(): number {
    if (this.#earliest === undefined) this.#first();
    return this.#next;
  }

  /** Fire all timers that are due at or before `cycle`, including those that the fired ones arm for it. */
  runDue(cycle: number): void {
    const outer = this.#running;
    this.#running = cycle;
    try {
      const now = cycle * this.nsPerCycle;
      for (let timer = this.#first(); timer !== null && timer.deadline <= now; timer = this.#first()) {
        const deadline = timer.deadline;
        timer.deadline = Number.POSITIVE_INFINITY;
        this.#earliest = undefined;
        this.#listener?.timerFired(timer.name, deadline);
        timer.fire();
      }
    } finally {
      this.#running = outer;
    }
  }

  /** Deadlines of the armed timers, by name. */
  save(): Plain {
    const armed: Record<string, number> = {};
    for (const timer of this.#timers)
      if (timer.deadline !== Number.POSITIVE_INFINITY) armed[timer.name] = timer.deadline;
    return armed;
  }

  /**
   * Arm exactly the timers that were armed when the state was saved. The listener is not told.
   * @throws Error when the state names a timer that this machine does not have
   */
  load(state: Plain): void {
    const armed = new Map(Object.entries(state as Record<string, number>));
    for (const name of armed.keys()) {
      if (!this.#timers.some((timer) => timer.name === name))
        throw new Error(`saved state has an unknown timer ${name}`);
    }
    for (const timer of this.#timers) timer.deadline = armed.get(timer.name) ?? Number.POSITIVE_INFINITY;
    this.#earliest = undefined;
  }

  #first(): ClockTimer | null {
    if (this.#earliest === undefined) {
      let first: ClockTimer | null = null;
      for (const timer of this.#timers) {
        // Strictly earlier only: of simultaneous timers the one that was created first stays in front.
        if (timer.deadline < (first?.deadline ?? Number.POSITIVE_INFINITY)) first = timer;
      }
      this.#earliest = first;
      this.#next = first === null ? Number.POSITIVE_INFINITY : Math.ceil(first.deadline / this.nsPerCycle);
    }
    return this.#earliest;
  }
}
