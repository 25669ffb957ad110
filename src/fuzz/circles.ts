// Guests that do not end: loops that change nothing, and exceptions that raise themselves, told by executing a few hundred
// instructions one by one; and guests that only wait, as firmware does that has nothing to boot.
//
// Left out on purpose: loops longer than a look. They end at a case's limit.

import type { RunEnd } from '../cpu/bus.js';
import type { Cpu } from '../cpu/cpu.js';
import { boundaryOf } from './skip/stretch.js';
import type { Oracle } from './verdict.js';

/** Instructions of a look. */
const LOOK_STEPS = 300;
/** Exceptions within a look that are a loop of them. */
const MANY_EXCEPTIONS = 8;
/** Cycles of two looks at a guest that may wait: the longer is more than a tick of 18.2 a second. */
const IDLE_LOOKS = [200_000, 20_000_000];

/** What a look is told of the case. */
export interface Surroundings {
  /** Whether something from outside may end a loop. */
  mayEnd(): boolean;
  /** Accesses to devices so far. */
  accesses(): number;
  /** What memory the case has written holds now. */
  written(): Uint8Array;
}

export interface Circle {
  readonly oracle: Oracle;
  /** Lowest instruction of the loop, linear. */
  readonly site: number;
  readonly detail: string;
}

/** A loop that the processor is in, or the end that it came to while it was looked for; undefined when there is neither. */
export function findCircle(cpu: Cpu, around: Surroundings): { end: RunEnd; circle?: Circle } | undefined {
  const [accesses, written] = [around.accesses(), around.written()];
  const first = boundaryOf(cpu).processor;
  let lowest = ipOf(cpu);
  let exceptions = 0;
  for (let steps = 1; steps <= LOOK_STEPS; steps++) {
    cpu.delivered = false;
    const end = cpu.runUntil(cpu.now + 1);
    if (end.reason !== 'until-cycle') return { end };
    if (cpu.delivered) exceptions++;
    lowest = Math.min(lowest, ipOf(cpu));
    if (exceptions >= MANY_EXCEPTIONS) {
      const detail = `${exceptions} exceptions in ${steps} instructions`;
      return { end, circle: { oracle: 'exception loop', site: lowest, detail } };
    }
    if (around.mayEnd() || around.accesses() !== accesses) continue;
    if (Buffer.compare(first, boundaryOf(cpu).processor) === 0 && Buffer.compare(written, around.written()) === 0) {
      const detail = `a loop of ${steps} instructions that changes nothing`;
      return { end, circle: { oracle: exceptions > 0 ? 'exception loop' : 'hang', site: lowest, detail } };
    }
  }
  return undefined;
}

/** Lowest instruction of what runs now: the same wherever in a loop it is looked at. */
export function lowestOfLoop(cpu: Cpu): number {
  let lowest = ipOf(cpu);
  for (let i = 0; i < LOOK_STEPS; i++) {
    if (cpu.runUntil(cpu.now + 1).reason !== 'until-cycle') break;
    lowest = Math.min(lowest, ipOf(cpu));
  }
  return lowest;
}

/** Whether the guest waits for interrupts, as firmware does that has nothing to boot. */
export function isIdle(cpu: Cpu, runTo: (cycle: number) => RunEnd): boolean {
  // Who is busy shows it at once; who waits has to do so past a tick of the PC's timer.
  return IDLE_LOOKS.every((cycles) => {
    const { instructions } = cpu;
    const { reason } = runTo(cpu.now + cycles);
    return reason === 'until-cycle' && cpu.instructions - instructions < cycles / 8;
  });
}

/** Linear address of the instruction at RIP, its low 48 bits: what a number holds exactly. */
export const ipOf = ({ state }: Cpu): number => Number(BigInt.asUintN(48, state.linearIp));
