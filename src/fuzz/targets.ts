// What `vmreplay fuzz` can put in the place of what a boot hands over: where the structure lies in this boot, which
// arbitrary makes others, and how one gets there, before cycle 0 (for a trace) or at the snapshot (for a case).
// A structure in memory stays at its address, and what lies behind it is overwritten only as far as nothing else is there.
// Left out: structures that firmware makes itself in the guest.

import type fc from 'fast-check';
import type { Guest, Seams } from '../api/guest.js';
import { UserError } from '../api/user-error.js';
import type { BootImage, Segment } from '../boot/image.js';
import { bootOrder } from './arbitraries/boot-order.js';
import { type BootParams, bootParams } from './arbitraries/boot-params.js';
import { commandLine } from './arbitraries/command-line.js';
import { cpio } from './arbitraries/cpio.js';
import { type E820Map, e820, type MapEntry } from './arbitraries/e820.js';
import { type MultibootInfo, multiboot } from './arbitraries/multiboot.js';
import { type Multiboot2Info, multiboot2 } from './arbitraries/multiboot2.js';
import { type StartInfo, startInfo } from './arbitraries/start-info.js';
import { tableLoader } from './arbitraries/table-loader.js';
import { either, type Structure, type StructureKind } from './structure.js';

/** Where the structure of a boot is. */
export type Place =
  | { readonly in: 'memory'; readonly address: number; readonly length: number; readonly room: number }
  | { readonly in: 'fw_cfg'; readonly file: string };

/** A target in one boot. */
export interface Target {
  readonly name: string;
  readonly place: Place;
  readonly arbitrary: fc.Arbitrary<Structure<unknown>>;
  /** The memory map that a structure tells of; undefined when it tells of none. */
  mapOf(value: unknown): readonly MapEntry[] | undefined;
}

interface Row {
  readonly about: string;
  /** @throws UserError when the boot has no such structure */
  find(guest: Guest): Pick<Target, 'place' | 'arbitrary'>;
  mapOf?(value: never): readonly MapEntry[];
}

const MOST_ROOM = 0x1_0000;

/** A structure that the loader left in memory. */
function inMemory(
  name: string,
  role: string,
  make: (found: {
    address: number;
    segment: Segment;
    offset: number;
    guest: Guest;
    ramEnd: number;
  }) => StructureKind<unknown>,
): Row['find'] {
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
    const offset = address - segment.address;
    const kind = make({ address, segment, offset, guest, ramEnd: memory.ramSize });
    const place = { in: 'memory' as const, address, length, room };
    return { place, arbitrary: either(kind).filter((one) => one.encode().length <= room) };
  };
}

const segmentAt = (boot: BootImage, address: number): Segment | undefined =>
  boot.segments.find((one) => address >= one.address && address < one.address + one.data.length);

const modulesOf = ({ boot }: Guest) =>
  boot.segments
    .filter(({ role }) => role === 'initrd' || role === 'module')
    .map(({ address, data }) => ({ address, size: data.length }));

/** A file of fw_cfg. */
function inFwCfg(name: string, file: string, make: (guest: Guest) => StructureKind<unknown>): Row['find'] {
  return (guest) => {
    if (!guest.pc.fwCfg.list().some((one) => one.name === file))
      throw new UserError(`${name}: this machine has no fw_cfg file ${file}; choose another target`);
    return { place: { in: 'fw_cfg', file }, arbitrary: either(make(guest)) };
  };
}

/** A kind as one whose values nobody looks into. */
const opaque = <T>(kind: StructureKind<T>): StructureKind<unknown> => kind as StructureKind<unknown>;

const ROWS: Readonly<Record<string, Row>> = {
  'start-info': {
    about: 'hvm_start_info with memory map, modules and command line (--boot pvh)',
    find: inMemory('start-info', 'hvm_start_info', ({ address, segment, offset, guest, ramEnd }) => {
      const rsdp = new DataView(segment.data.buffer, segment.data.byteOffset).getUint32(offset + 32, true);
      return opaque(startInfo({ address, ramEnd, rsdp, modules: modulesOf(guest) }));
    }),
    mapOf: ({ memoryMap }: StartInfo) => memoryMap,
  },
  'boot-params': {
    about: 'boot_params with e820 table, setup_data and command line (--boot linux32, linux64)',
    find: inMemory('boot-params', 'boot_params', ({ address, segment, offset, guest, ramEnd }) => {
      const template = segment.data.slice(offset, offset + 4096);
      const [ramdisk] = modulesOf(guest);
      return opaque(bootParams({ address, ramEnd, template, ...(ramdisk && { ramdisk }) }));
    }),
    mapOf: ({ memoryMap }: BootParams) => memoryMap,
  },
  multiboot: {
    about: 'the Multiboot information structure (--boot multiboot)',
    find: inMemory('multiboot', 'multiboot_info', ({ address, guest, ramEnd }) =>
      opaque(multiboot({ address, ramEnd, modules: modulesOf(guest) })),
    ),
    mapOf: ({ memoryMap }: MultibootInfo) => memoryMap,
  },
  multiboot2: {
    about: 'the Multiboot2 information structure (--boot multiboot2)',
    find: inMemory('multiboot2', 'multiboot2_info', ({ address, guest, ramEnd }) =>
      opaque(multiboot2({ address, ramEnd, modules: modulesOf(guest) })),
    ),
    mapOf: ({ tags }: Multiboot2Info) => tags.flatMap((tag) => (tag.kind === 'memory map' ? tag.entries : [])),
  },
  cmdline: {
    about: 'the command line, where the loader put it',
    find: inMemory('cmdline', 'cmdline', () => opaque(commandLine())),
  },
  initrd: {
    about: 'the contents of the initrd, or of the first module, in its place and size',
    find: (guest) => {
      const [found] = modulesOf(guest);
      if (!found) throw new UserError('initrd: this boot has none; give one with --initrd or --module');
      const { address, size: length } = found;
      const arbitrary = either(opaque(cpio())).filter((one) => one.encode().length <= length);
      return { place: { in: 'memory', address, length, room: length }, arbitrary };
    },
  },
  e820: {
    about: "fw_cfg's etc/e820, for guests that read it",
    find: inFwCfg('e820', 'etc/e820', ({ memory }) => opaque(e820({ ramEnd: memory.ramSize }))),
    mapOf: ({ entries }: E820Map) => entries,
  },
  'table-loader': {
    about: "fw_cfg's etc/table-loader, the ACPI linker's script",
    find: inFwCfg('table-loader', 'etc/table-loader', ({ pc }) =>
      opaque(tableLoader({ files: pc.fwCfg.list().filter(({ name, size }) => /^etc\/acpi\//.test(name) && size > 8) })),
    ),
  },
  'boot-order': {
    about: "fw_cfg's bootorder; the guest must have the file (--fw-cfg name=bootorder,string=…)",
    find: inFwCfg('boot-order', 'bootorder', () => opaque(bootOrder())),
  },
};

/** Names of all targets, with a line for each. */
export const TARGETS: readonly { name: string; about: string }[] = Object.entries(ROWS).map(([name, { about }]) => ({
  name,
  about,
}));

/** The target in a boot. @throws UserError when there is none of that name, or the boot has no such structure */
export function findTarget(name: string, guest: Guest): Target {
  const row = Object.hasOwn(ROWS, name) ? ROWS[name] : undefined;
  if (!row) throw new UserError(`there is no fuzz target ${name}; choose one of ${Object.keys(ROWS).join(', ')}`);
  if (guest.shadow || guest.boot.route === 'firmware')
    throw new UserError(`${name}: fuzzing needs a direct boot; give --kernel without --bios, or a --boot route`);
  return { name, ...row.find(guest), mapOf: (value) => row.mapOf?.(value as never) };
}

/** The changes of a boot that put a structure in its place before cycle 0. */
export function placing(place: Place, bytes: Uint8Array): Pick<Seams, 'placed' | 'configured'> {
  if (place.in === 'fw_cfg') return { configured: (fwCfg) => fwCfg.setFile(place.file, bytes) };
  return {
    placed: (boot) => {
      const before = segmentAt(boot, place.address)!;
      const offset = place.address - before.address;
      const data = new Uint8Array(Math.max(before.data.length, offset + bytes.length));
      data.set(before.data);
      data.set(bytes, offset);
      boot.segments[boot.segments.indexOf(before)] = { ...before, data };
    },
  };
}

/** Put a structure in its place in a machine that waits at the snapshot. */
export function putInPlace({ cpu, pc }: Guest, place: Place, bytes: Uint8Array): void {
  if (place.in === 'fw_cfg') pc.fwCfg.setFile(place.file, bytes);
  else cpu.physical.write(place.address, bytes);
}
