// The machines of a campaign: made fresh, with watched memory and disks that can be covered, and brought to where the
// structure is first looked at.

import { makeGuest } from '../api/guest.js';
import type { BootOptions } from '../api/options.js';
import type { HandoffProtocol } from '../boot/route.js';
import { type FreshMachine, runToFirstRead } from './first-read.js';
import { KernelEntry } from './kernel-entry.js';
import { CoveredSource, type Place } from './place.js';
import { findTarget, handoffOf } from './targets.js';
import { WatchedMemory } from './watched-machine.js';

/** Cycles within which the guest must look at the structure, and end as it is. */
export const BOOT_LIMIT = 2_000_000_000;

/** What cases run on. */
export interface WatchedMachine extends FreshMachine {
  readonly memory: WatchedMemory;
}

/** A machine that stands where the structure is first looked at. @throws UserError */
export function standAtFirstRead(name: string, boot: BootOptions, coverage = false): WatchedMachine {
  const first = makeMachine(boot, undefined, coverage);
  const protocol = handoffOf(name, first.guest);
  if (protocol !== undefined)
    return runToFirstRead(
      () => makeMachine(boot, protocol, coverage),
      { in: 'hand-off' },
      boot.maxCycles ?? BOOT_LIMIT,
    );
  const { place } = findTarget(name, first.guest);
  if (place.in === 'hand-off') throw new Error('a structure that is known before its hand-off');
  return runToFirstRead(() => makeMachine(boot, undefined, coverage), place, boot.maxCycles ?? BOOT_LIMIT);
}

/** The place of a target, where it can only be told in a machine that stands there. @throws UserError */
export function placeOf(name: string, boot: BootOptions): Place {
  const fresh = makeMachine(boot, undefined);
  if (handoffOf(name, fresh.guest) === undefined) return findTarget(name, fresh.guest).place;
  const { guest, entry } = standAtFirstRead(name, boot);
  return findTarget(name, guest, entry).place;
}

/** A machine at cycle 0, to be watched. @param protocol of the hand-off that is meant, where there are several */
export function makeMachine(
  boot: BootOptions,
  protocol: HandoffProtocol | undefined,
  coverage = false,
): WatchedMachine {
  let memory: WatchedMemory | undefined;
  const disks: CoveredSource[] = [];
  const guest = makeGuest(boot, {
    lines: (inner) => inner,
    memory: (inner) => {
      memory = new WatchedMemory(inner);
      return memory;
    },
    disk: (source) => {
      const covered = new CoveredSource(source);
      disks.push(covered);
      return covered;
    },
    coverage,
  });
  return { guest, disks, entry: new KernelEntry(guest, protocol), memory: memory! };
}
