// A machine that stands at the begin of a stretch is put at its end, when it would come there just so: the stretch matches,
// the run goes that far, and the events of devices that come in between do nothing but raise INTR, to which the stretch
// is deaf. They happen at the boundaries at which they would, so that devices see the same cycles.

import type { Cpu } from '../../cpu/cpu.js';
import type { WatchedMemory } from '../watched-machine.js';
import type { Stretch } from './stretch.js';
import { effectsOf } from './stretch-recorder.js';

/** A device did more within a stretch than may be: the case has to be executed from its begin. */
export class Spoilt extends Error {}

/**
 * @param limit cycle to which the run goes
 * @returns false when nothing was done
 * @throws Spoilt
 */
export function passOver(cpu: Cpu, memory: WatchedMemory, stretch: Stretch, limit: number): boolean {
  const begin = cpu.now;
  if (begin + stretch.cycles > limit) return false;
  const event = cpu.platform.nextEvent() - begin;
  if (event <= stretch.cycles && !(stretch.deaf && stretch.boundaryAt(event) !== undefined)) return false;
  if (!stretch.matches(cpu)) return false;
  passEvents(cpu, memory, stretch, begin);
  cpu.setCycle(begin);
  stretch.apply(cpu);
  return true;
}

function passEvents(cpu: Cpu, memory: WatchedMemory, stretch: Stretch, begin: number): void {
  for (;;) {
    const event = cpu.platform.nextEvent() - begin;
    if (event > stretch.cycles) return;
    const at = stretch.boundaryAt(event);
    if (at === undefined) throw new Spoilt();
    // What comes at the end comes when the run goes on.
    if (at >= stretch.cycles) return;
    const before = effectsOf(cpu, memory);
    cpu.setCycle(begin + at);
    cpu.platform.advance(begin + at);
    if (effectsOf(cpu, memory) !== before) throw new Spoilt();
  }
}
