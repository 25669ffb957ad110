// A clock that a test moves by hand; timers fire at their very deadlines, in order of deadline, then creation.

import type { Clock, Timer } from '../../../src/platform/device.js';

interface ManualTimer extends Timer {
  deadline: number;
  fire: () => void;
}

export class ManualClock implements Clock {
  private readonly timers: ManualTimer[] = [];

  constructor(private time = 0) {}

  now(): number {
    return this.time;
  }

  timer(_name: string, fire: () => void): Timer {
    const timer: ManualTimer = {
      deadline: Number.POSITIVE_INFINITY,
      fire,
      set: (when) => {
        timer.deadline = when;
      },
      cancel: () => {
        timer.deadline = Number.POSITIVE_INFINITY;
      },
    };
    this.timers.push(timer);
    return timer;
  }

  /** Let `ns` nanoseconds pass. */
  advance(ns: number): void {
    const end = this.time + ns;
    for (;;) {
      const due = this.timers.reduce((first, timer) => (timer.deadline < first.deadline ? timer : first));
      if (due.deadline > end) break;
      this.time = Math.max(this.time, Math.ceil(due.deadline));
      due.deadline = Number.POSITIVE_INFINITY;
      due.fire();
    }
    this.time = end;
  }
}
