// Structures that a loader in the guest made itself: they are found in the record of the hand-off, in a machine that
// stands at the kernel's first instruction. Others take their place as if a device had written them there at that cycle.
// Left out: structures in memory that the chipset keeps from being written.

import type { Guest } from '../api/guest.js';
import { UserError } from '../api/user-error.js';
import { PAGE_ROM } from '../cpu/physical.js';
import type { KernelEntry } from './kernel-entry.js';
import { either } from './structure.js';
import type { Found, Row } from './target.js';

const MOST_ROOM = 0x1_0000;
const PAGE = 4096;

/** @throws UserError when nothing of the kind is handed over */
export function findHanded(name: string, handed: NonNullable<Row['handed']>, guest: Guest, entry: KernelEntry): Found {
  const { cpu, memory } = guest;
  const { structures, protocol } = entry.record();
  const found = structures.find((one) => one.name === handed.role);
  if (!found) throw new UserError(`${name}: this boot hands over by ${protocol}, without ${handed.role}`);
  const { address } = found;
  const length = Math.max(found.length, 1);
  // The structure's own texts and modules lie behind it as a rule, and are made anew with it.
  const modules = structures
    .filter((one) => /^module \d+$/.test(one.name))
    .map(({ fields }) => {
      const field = (...names: string[]) => Number(fields.find(([one]) => names.includes(one))?.[1] ?? 0);
      const start = field('paddr', 'mod_start');
      return { address: start, size: field('size') || Math.max(field('mod_end') - start, 0) };
    });
  const barriers = modules.map((one) => one.address).filter((at) => at > address);
  let room = Math.min(...barriers, address + MOST_ROOM, memory.ramSize) - address;
  room = writable(guest, address, room);
  if (room < length)
    throw new UserError(`${name}: ${handed.role} lies at 0x${address.toString(16)}, where memory is write-protected`);
  const bytes = cpu.physical.read(address, Math.max(length, PAGE));
  const kind = handed.kind({ address, bytes, ramEnd: memory.ramSize, modules });
  const arbitrary = either(kind).filter((one) => one.encode().length <= room);
  return { place: { in: 'hand-off', cycle: cpu.now, address, length, room }, arbitrary };
}

/** How much of a range takes writes. */
function writable({ cpu }: Guest, address: number, room: number): number {
  const { physical } = cpu;
  let end = address;
  while (end < address + room && physical.hostOf(end) !== 0 && (physical.flags[end >>> 12]! & PAGE_ROM) === 0)
    end = (Math.floor(end / PAGE) + 1) * PAGE;
  return Math.min(end - address, room);
}
