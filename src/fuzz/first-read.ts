// The instruction boundary before the guest first looks at a structure. Bytes in memory are watched by what the
// recording of boots keeps anyway, which bytes of the initial memory have been observed (cpu/observed.ts); it is asked
// between slices, and fresh machines run up to the slice that says so with finer and finer ones. A file of fw_cfg is read
// from the moment at which it, or the directory that tells its size, is selected, a numbered item when it is selected, a
// disk with the first of its sectors, fw_cfg's DMA with the first transfer. What a loader in the guest makes is looked at from the hand-off on.

import type { Guest } from '../api/guest.js';
import { UserError } from '../api/user-error.js';
import { FW_CFG } from '../platform/devices/fw-cfg.js';
import type { KernelEntry } from './kernel-entry.js';
import type { CoveredSource, ItemName } from './place.js';

/** What is waited for. */
export type Awaited =
  | { readonly in: 'memory'; readonly address: number; readonly length: number }
  | { readonly in: 'fw_cfg'; readonly items: readonly ItemName[] }
  | { readonly in: 'fw_cfg-dma' }
  | { readonly in: 'disk'; readonly disk: number; readonly offset: number; readonly length: number }
  | { readonly in: 'hand-off' };

/** A machine at cycle 0, whose hand-off nobody watches. */
export interface FreshMachine {
  readonly guest: Guest;
  /** In the machine's order. */
  readonly disks: readonly CoveredSource[];
  readonly entry: KernelEntry;
}

/** Cycles of a slice, one round after the other. */
const SLICES = [1 << 20, 1 << 12, 16, 1];

/**
 * A machine that stands before the first read, and has not been told from a run without a stop.
 * @param limit cycles after which the guest is given up
 * @throws UserError when the guest never looks
 */
export function runToFirstRead<T extends FreshMachine>(make: () => T, awaited: Awaited, limit: number): T {
  if (awaited.in === 'hand-off') {
    const machine = make();
    if (machine.entry.run(limit) !== 'entered') throw never('what is handed over');
    machine.entry.ignore();
    return machine;
  }
  const cycle = cycleOf(make, awaited, limit);
  const machine = make();
  machine.guest.cpu.runUntil(cycle);
  return machine;
}

const never = (what: string): UserError =>
  new UserError(
    `the guest does not read ${what} before it ends; choose another target, or let it run on with --max-cycles`,
  );

function cycleOf(make: () => FreshMachine, awaited: Exclude<Awaited, { in: 'hand-off' }>, limit: number): number {
  switch (awaited.in) {
    case 'memory':
      return firstObserved(make, awaited, limit);
    case 'fw_cfg':
      return firstSelected(make(), awaited.items, limit);
    case 'fw_cfg-dma':
      return firstTransfer(make(), limit);
    default:
      return firstSector(make(), awaited, limit);
  }
}

function firstObserved(
  make: () => FreshMachine,
  place: { readonly address: number; readonly length: number },
  limit: number,
): number {
  let from = 0;
  for (const slice of SLICES) {
    const { guest } = make();
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

function firstSelected({ guest }: FreshMachine, items: readonly ItemName[], limit: number): number {
  const { cpu, pc } = guest;
  const files = pc.fwCfg.list();
  const keys = new Set(
    items.flatMap((item) =>
      typeof item === 'number' ? [item] : [FW_CFG.FILE_DIR, files.find(({ name }) => name === item)!.key],
    ),
  );
  let selected: number | undefined;
  pc.fwCfg.observer = {
    onSelect: (item) => {
      if (selected !== undefined || !keys.has(item)) return;
      selected = cpu.cycle;
      cpu.stop({ reason: 'breakpoint' });
    },
  };
  cpu.runUntil(limit);
  if (selected === undefined) throw never(`fw_cfg's ${items.map((item) => nameOf(item)).join(', ')}`);
  return selected;
}

function firstTransfer({ guest }: FreshMachine, limit: number): number {
  const { cpu, pc } = guest;
  let begun: number | undefined;
  pc.fwCfg.observer = {
    onDma: () => {
      begun ??= cpu.cycle;
      cpu.stop({ reason: 'breakpoint' });
    },
  };
  cpu.runUntil(limit);
  if (begun === undefined) throw never('fw_cfg by DMA');
  return begun;
}

const nameOf = (item: ItemName): string => (typeof item === 'string' ? item : `item 0x${item.toString(16)}`);

function firstSector(
  { guest, disks }: FreshMachine,
  { disk, offset, length }: { readonly disk: number; readonly offset: number; readonly length: number },
  limit: number,
): number {
  const { cpu } = guest;
  let read: number | undefined;
  disks[disk]!.onRead = (from, count) => {
    if (read !== undefined || from >= offset + length || from + count <= offset) return;
    read = cpu.cycle;
    cpu.stop({ reason: 'breakpoint' });
  };
  cpu.runUntil(limit);
  if (read === undefined) throw never(`disk ${disk}`);
  return read;
}
