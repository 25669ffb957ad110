// What `vmreplay fuzz` can put in the place of what a boot hands over: where the structure lies in this boot, and which
// arbitrary makes others. Of a direct boot it is what our loader leaves in memory; of a boot through firmware what the
// firmware finds (firmware-targets.ts), and what an option ROM hands over (handed-targets.ts).
// A structure in memory stays at its address, and what lies behind it is overwritten only as far as nothing else is there.

import type { Guest } from '../api/guest.js';
import { UserError } from '../api/user-error.js';
import type { HandoffProtocol } from '../boot/route.js';
import type { BootParams } from './arbitraries/boot-params.js';
import { bootParams } from './arbitraries/boot-params.js';
import { commandLine } from './arbitraries/command-line.js';
import { cpio } from './arbitraries/cpio.js';
import type { E820Map } from './arbitraries/e820.js';
import { elf } from './arbitraries/elf.js';
import { type MultibootInfo, multiboot } from './arbitraries/multiboot.js';
import { type Multiboot2Info, multiboot2 } from './arbitraries/multiboot2.js';
import { type StartInfo, startInfo } from './arbitraries/start-info.js';
import { FIRMWARE_ROWS } from './firmware-targets.js';
import { findHanded } from './handed-targets.js';
import type { KernelEntry } from './kernel-entry.js';
import { segmentAt } from './place.js';
import { either, type StructureKind } from './structure.js';
import type { Find, Handed, Row, Target } from './target.js';

const MOST_ROOM = 0x1_0000;

/** A structure that the loader left in memory. */
function inMemory(name: string, role: string, make: (at: Handed) => StructureKind<unknown>): Find {
  return (guest) => {
    const { boot, memory } = guest;
    const found = boot.structures.find((one) => one.name === role);
    const segment = found && segmentAt(boot, found.address);
    if (!found || !segment)
      throw new UserError(
        `${name}: a boot by --boot ${boot.route} hands over no ${role}; choose another target or route`,
      );
    const { address, length } = found;
    const behind = boot.segments.filter((one) => one.address > address && one !== segment).map((one) => one.address);
    const room = Math.min(...behind, address + MOST_ROOM, memory.ramSize) - address;
    const bytes = segment.data.subarray(address - segment.address);
    const kind = make({ address, bytes, ramEnd: memory.ramSize, modules: modulesOf(guest) });
    const place = { in: 'memory' as const, address, length, room };
    return { place, arbitrary: either(kind).filter((one) => one.encode().length <= room) };
  };
}

/** The contents of the initrd or of the first module, in its place and size. */
function inModule(name: string, make: () => StructureKind<unknown>): Find {
  return (guest) => {
    const [found] = modulesOf(guest);
    if (!found) throw new UserError(`${name}: this boot has none; give one with --initrd or --module`);
    const { address, size: length } = found;
    const arbitrary = either(make()).filter((one) => one.encode().length <= length);
    return { place: { in: 'memory', address, length, room: length }, arbitrary };
  };
}

const modulesOf = ({ boot }: Guest) =>
  boot.segments
    .filter(({ role }) => role === 'initrd' || role === 'module')
    .map(({ address, data }) => ({ address, size: data.length }));

/** A kind as one whose values nobody looks into. */
const opaque = <T>(kind: StructureKind<T>): StructureKind<unknown> => kind as StructureKind<unknown>;

/** The same structure, left by our loader or by an option ROM. */
function handedOver(
  name: string,
  protocol: HandoffProtocol,
  role: string,
  kind: (at: Handed) => StructureKind<unknown>,
): Pick<Row, 'find' | 'handed'> {
  return { find: inMemory(name, role, kind), handed: { protocol, role, kind } };
}

const wordAt = (bytes: Uint8Array, offset: number): number =>
  new DataView(bytes.buffer, bytes.byteOffset).getUint32(offset, true);

const ROWS: Readonly<Record<string, Row>> = {
  'start-info': {
    about: 'hvm_start_info with memory map, modules and command line (--boot pvh, or as pvh.bin makes it)',
    ...handedOver('start-info', 'pvh', 'hvm_start_info', ({ bytes, ...at }) =>
      opaque(startInfo({ ...at, rsdp: wordAt(bytes, 32) })),
    ),
    mapOf: ({ memoryMap }: StartInfo) => memoryMap,
  },
  'boot-params': {
    about:
      'boot_params with e820 table, setup_data and command line (--boot linux32, linux64, or as setup code makes it)',
    ...handedOver('boot-params', 'linux32', 'boot_params', ({ bytes, modules: [ramdisk], ...at }) =>
      opaque(bootParams({ ...at, template: bytes.slice(0, 4096), ...(ramdisk && { ramdisk }) })),
    ),
    mapOf: ({ memoryMap }: BootParams) => memoryMap,
  },
  multiboot: {
    about: 'the Multiboot information structure (--boot multiboot, or as multiboot.bin makes it)',
    ...handedOver('multiboot', 'multiboot', 'multiboot_info', (at) => opaque(multiboot(at))),
    mapOf: ({ memoryMap }: MultibootInfo) => memoryMap,
  },
  multiboot2: {
    about: 'the Multiboot2 information structure (--boot multiboot2)',
    find: inMemory('multiboot2', 'multiboot2_info', (at) => opaque(multiboot2(at))),
    mapOf: ({ tags }: Multiboot2Info) => tags.flatMap((tag) => (tag.kind === 'memory map' ? tag.entries : [])),
  },
  cmdline: {
    about: 'the command line, where the loader put it, or as fw_cfg has it',
    find: inMemory('cmdline', 'cmdline', () => opaque(commandLine())),
    ...FIRMWARE_ROWS.cmdline,
  },
  initrd: {
    about: 'the contents of the initrd, or of the first module, in its place and size',
    find: inModule('initrd', () => opaque(cpio())),
    ...FIRMWARE_ROWS.initrd,
  },
  elf: {
    about: 'the initrd or first module as an ELF file, for guests that load one',
    find: inModule('elf', () => opaque(elf())),
  },
  e820: {
    about: "fw_cfg's etc/e820",
    ...FIRMWARE_ROWS.e820,
    mapOf: ({ entries }: E820Map) => entries,
  },
  ...FIRMWARE_ROWS.others,
};

/** Names of all targets, with a line for each. */
export const TARGETS: readonly { name: string; about: string }[] = Object.entries(ROWS).map(([name, { about }]) => ({
  name,
  about,
}));

function rowOf(name: string): Row {
  const row = Object.hasOwn(ROWS, name) ? ROWS[name] : undefined;
  if (!row) throw new UserError(`there is no fuzz target ${name}; choose one of ${Object.keys(ROWS).join(', ')}`);
  return row;
}

const isFirmware = ({ boot }: Guest): boolean => boot.route === 'firmware';

/** By which protocol a kernel is entered when the target is there; undefined when it is there before. */
export function handoffOf(name: string, guest: Guest): HandoffProtocol | undefined {
  const row = rowOf(name);
  return isFirmware(guest) && !row.findInFirmware ? row.handed?.protocol : undefined;
}

/**
 * The target in a boot.
 * @param entry of a machine that stands at the hand-off, for structures that are only there then
 * @throws UserError when there is none of that name, or the boot has no such structure
 */
export function findTarget(name: string, guest: Guest, entry?: KernelEntry): Target {
  const row = rowOf(name);
  const find = isFirmware(guest) ? row.findInFirmware : row.find;
  const shared = { name, answersFor: row.answersFor, mapOf: (value: unknown) => row.mapOf?.(value as never) };
  if (find) return { ...shared, ...find(guest) };
  if (isFirmware(guest) && row.handed && entry) return { ...shared, ...findHanded(name, row.handed, guest, entry) };
  throw new UserError(
    isFirmware(guest)
      ? `${name}: a boot through firmware hands over none that is known beforehand; choose another target, or a --boot route`
      : `${name}: only firmware looks at it; give --bios, or choose another target`,
  );
}

export { type Place, placing, putInPlace } from './place.js';
