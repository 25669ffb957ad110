// The instruction boundary before the guest first looks at a structure. Bytes in memory are watched by what the
// recording of boots keeps anyway, which bytes of the initial memory have been observed (cpu/observed.ts); it is asked
// between slices, and fresh machines run up to the slice that says so with finer and finer ones. A file of fw_cfg is read
// from the moment at which it, or the directory that tells its size, is selected.

import type { Guest } from '../api/guest.js';
import { UserError } from '../api/user-error.js';
import { FW_CFG } from '../platform/devices/fw-cfg.js';
import type { Place } from './targets.js';

/** Cycles of a slice, one round after the other. */
const SLICES = [1 << 20, 1 << 12, 16, 1];

/**
 * A machine that stands before the first read, and has not been told from a run without a stop.
 * @param make the machine at cycle 0, hand-off forgotten
 * @param limit cycles after which the guest is given up
 * @throws UserError when the guest never looks
 */
export function runToFirstRead(make: () => Guest, place: Place, limit: number): Guest {
  const cycle = place.in === 'memory' ? firstObserved(make, place, limit) : firstSelected(make, place.file, limit);
  const guest = make();
  guest.cpu.runUntil(cycle);
  return guest;
}

const never = (what: string): UserError =>
  new UserError(
    `the guest does not read ${what} before it ends; choose another target, or let it run on with --max-cycles`,
  );

function firstObserved(make: () => Guest, place: Place & { in: 'memory' }, limit: number): number {
  let from = 0;
  for (const slice of SLICES) {
    const guest = make();
    const { cpu } = guest;
    cpu.runUntil(from);
    for (;;) {
      const { reason } = cpu.runUntil(cpu.now + slice);
      if (isObserved(guest, place)) break;
      if (reason !== 'until-cycle' || cpu.now > limit) throw never('the structure');
      from = cpu.now;
    }
  }
  return from;
}

/** Whether any byte has been read, executed or overwritten. */
function isObserved({ cpu }: Guest, { address, length }: { address: number; length: number }): boolean {
  const { observed } = cpu.physical;
  for (let at = address; at < address + length; at++) {
    const unknown = observed.unknownIn(at >>> 12);
    const bit = at & 0xfff;
    if (unknown === undefined || (unknown[bit >>> 3]! & (1 << (bit & 7))) === 0) return true;
  }
  return false;
}

function firstSelected(make: () => Guest, file: string, limit: number): number {
  const { cpu, pc } = make();
  const key = pc.fwCfg.list().find(({ name }) => name === file)!.key;
  let selected: number | undefined;
  pc.fwCfg.observer = {
    onSelect: (item) => {
      if (selected !== undefined || (item !== key && item !== FW_CFG.FILE_DIR)) return;
      selected = cpu.cycle;
      cpu.stop({ reason: 'breakpoint' });
    },
  };
  cpu.runUntil(limit);
  if (selected === undefined) throw never(`fw_cfg's ${file}`);
  return selected;
}
