// Targets of boots through firmware, and of guests that read fw_cfg themselves: files and numbered items of fw_cfg, and
// the first sectors of a disk. Where a structure is several items, its encoding is cut up into them.
// Invariant: a case sets the same items whatever the structure, so that nothing of the case before is left.

import type { Guest } from '../api/guest.js';
import { UserError } from '../api/user-error.js';
import { FW_CFG } from '../platform/devices/fw-cfg.js';
import { acpiFile } from './arbitraries/acpi-file.js';
import { bootOrder } from './arbitraries/boot-order.js';
import { bzImage } from './arbitraries/bzimage.js';
import { commandLine } from './arbitraries/command-line.js';
import { cpio } from './arbitraries/cpio.js';
import { e820 } from './arbitraries/e820.js';
import { fwCfgDirectory } from './arbitraries/fw-cfg.js';
import { fwCfgAnswers } from './arbitraries/fw-cfg-answers.js';
import { KERNEL_ITEMS, kernelItems } from './arbitraries/kernel-items.js';
import { optionRom } from './arbitraries/option-rom.js';
import { partitionTable } from './arbitraries/partition-table.js';
import { smbios } from './arbitraries/smbios.js';
import { tableLoader } from './arbitraries/table-loader.js';
import type { Item, ItemName } from './place.js';
import { either, type StructureKind } from './structure.js';
import type { Found, Row } from './target.js';

/** A kind as one whose values nobody looks into. */
const opaque = <T>(kind: StructureKind<T>): StructureKind<unknown> => kind as StructureKind<unknown>;

/** A file or item as it is before any case. @throws UserError when the machine has none */
function contentOf(target: string, { pc }: Guest, item: ItemName): Uint8Array {
  const key = typeof item === 'number' ? item : pc.fwCfg.list().find(({ name }) => name === item)?.key;
  const data = key === undefined ? undefined : pc.fwCfg.content(key);
  const what = typeof item === 'number' ? `item 0x${item.toString(16)}` : `file ${item}`;
  if (!data) throw new UserError(`${target}: this machine has no fw_cfg ${what}; choose another target`);
  return data;
}

/** A structure that is one or several items. */
function items(
  guest: Guest,
  target: string,
  names: readonly ItemName[],
  kind: StructureKind<unknown>,
  split: (bytes: Uint8Array) => readonly Item[],
  most = Number.POSITIVE_INFINITY,
): Found {
  for (const name of names) contentOf(target, guest, name);
  const arbitrary =
    most === Number.POSITIVE_INFINITY ? either(kind) : either(kind).filter((one) => one.encode().length <= most);
  return { place: { in: 'fw_cfg', items: names, split }, arbitrary };
}

/** A file that is the structure. */
const file = (guest: Guest, target: string, name: string, kind: StructureKind<unknown>): Found =>
  items(guest, target, [name], kind, (bytes) => [[name, bytes]]);

/** The same for boots of either kind. */
const anywhere = (find: (guest: Guest) => Found): Pick<Row, 'find' | 'findInFirmware'> => ({
  find,
  findInFirmware: find,
});

function word(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

/** The setup code and the rest of a bzImage, as its header says, or as much as there is. */
function splitLinux(bytes: Uint8Array): readonly Item[] {
  const setupSize = Math.min((((bytes[0x1f1] ?? 0) || 4) + 1) * 512, bytes.length);
  const [setup, kernel] = [bytes.subarray(0, setupSize), bytes.subarray(setupSize)];
  return [
    [FW_CFG.SETUP_SIZE, word(setup.length)],
    [FW_CFG.SETUP_DATA, setup],
    [FW_CFG.KERNEL_SIZE, word(kernel.length)],
    [FW_CFG.KERNEL_DATA, kernel],
  ];
}

const PAGE = 4096;
const MIB = 1 << 20;
const ANCHOR = 'etc/smbios/smbios-anchor';
const SMBIOS_TABLES = 'etc/smbios/smbios-tables';
const SMBIOS_ENTRY = 32;
const GENROMS = 'genroms/';

const others: Readonly<Record<string, Row>> = {
  'table-loader': {
    about: "fw_cfg's etc/table-loader, the ACPI linker's script",
    ...anywhere((guest) => {
      const files = guest.pc.fwCfg.list().filter(({ name, size }) => /^etc\/acpi\//.test(name) && size > 8);
      return file(guest, 'table-loader', 'etc/table-loader', opaque(tableLoader({ files })));
    }),
  },
  'acpi-tables': {
    about: "fw_cfg's etc/acpi/tables: the machine's own tables, broken in places",
    ...anywhere((guest) => {
      const template = contentOf('acpi-tables', guest, 'etc/acpi/tables');
      return file(guest, 'acpi-tables', 'etc/acpi/tables', opaque(acpiFile({ template })));
    }),
  },
  smbios: {
    about: "fw_cfg's SMBIOS entry point and tables",
    ...anywhere((guest) =>
      items(guest, 'smbios', [ANCHOR, SMBIOS_TABLES], opaque(smbios({ address: 0 })), (bytes) => [
        [ANCHOR, bytes.subarray(0, SMBIOS_ENTRY - 1)],
        [SMBIOS_TABLES, bytes.subarray(SMBIOS_ENTRY)],
      ]),
    ),
  },
  'fw-cfg-directory': {
    about: "fw_cfg's directory of files: sizes, keys and names that lie",
    ...anywhere((guest) => {
      const kind = fwCfgDirectory({ files: guest.pc.fwCfg.list() });
      return items(guest, 'fw-cfg-directory', [FW_CFG.FILE_DIR], opaque(kind), (bytes) => [[FW_CFG.FILE_DIR, bytes]]);
    }),
  },
  'fw-cfg-dma': {
    about: 'how fw_cfg answers DMA transfers: ones that fail, that move too little or too much, or never end',
    ...anywhere(() => ({ place: { in: 'fw_cfg-dma' }, arbitrary: either(opaque(fwCfgAnswers())) })),
  },
  'boot-order': {
    about: "fw_cfg's bootorder; a direct boot must have the file (--fw-cfg name=bootorder,string=…)",
    ...anywhere((guest) => file(guest, 'boot-order', 'bootorder', opaque(bootOrder()))),
  },
  'option-rom': {
    about: 'the first option ROM that the firmware finds (--option-rom)',
    findInFirmware: (guest) => {
      const rom = guest.pc.fwCfg.list().find(({ name }) => name.startsWith(GENROMS));
      if (!rom) throw new UserError('option-rom: this boot has none; give one with --option-rom');
      return file(guest, 'option-rom', rom.name, opaque(optionRom()));
    },
  },
  'kernel-items': {
    about: "fw_cfg's numbers of a kernel as an option ROM reads them: addresses and sizes",
    findInFirmware: (guest) => {
      const names = KERNEL_ITEMS.filter(({ key }) => guest.pc.fwCfg.content(key) !== undefined);
      if (names.length === 0) throw new UserError('kernel-items: this boot has no kernel; give one with --kernel');
      const values = names.map(({ key }) => wordOf(contentOf('kernel-items', guest, key)));
      const kind = opaque(kernelItems({ items: names, values, ramEnd: guest.memory.ramSize }));
      const keys = names.map(({ key }) => key);
      return items(guest, 'kernel-items', keys, kind, (bytes) =>
        keys.map((key, i) => [key, bytes.slice(4 * i, 4 * i + 4)] as const),
      );
    },
  },
  'setup-header': {
    about: 'a Linux image as linuxboot.bin reads it from fw_cfg: setup header, setup code, kernel',
    answersFor: /^(HdrS|type_of_loader)$|kernel|initrd|cmdline/,
    findInFirmware: (guest) => {
      const names = [FW_CFG.SETUP_SIZE, FW_CFG.SETUP_DATA, FW_CFG.KERNEL_SIZE, FW_CFG.KERNEL_DATA];
      return items(guest, 'setup-header', names, opaque(bzImage()), splitLinux);
    },
  },
  'partition-table': {
    about: 'the partition table of the first disk (--drive)',
    ...anywhere((guest) => onDisk(guest, 'partition-table', (sectors) => opaque(partitionTable({ sectors })))),
  },
};

const wordOf = (bytes: Uint8Array): number =>
  bytes.length < 4 ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);

/** The beginning of the first disk. */
function onDisk(guest: Guest, target: string, make: (sectors: number) => StructureKind<unknown>): Found {
  const image = guest.header.images.find(({ role }) => role === 'drive' || role === 'virtio-drive');
  if (!image) throw new UserError(`${target}: this boot has no disk; give one with --drive`);
  const sectors = Math.floor(image.size / 512);
  const arbitrary = either(make(sectors)).filter((one) => one.encode().length <= image.size);
  return { place: { in: 'disk', disk: 0, offset: 0, length: 512 }, arbitrary };
}

const initrdItems = (guest: Guest): Found => {
  const { length } = contentOf('initrd', guest, FW_CFG.INITRD_DATA);
  const names = [FW_CFG.INITRD_SIZE, FW_CFG.INITRD_DATA];
  const split = (bytes: Uint8Array): readonly Item[] => [
    [FW_CFG.INITRD_SIZE, word(bytes.length)],
    [FW_CFG.INITRD_DATA, bytes],
  ];
  return items(guest, 'initrd', names, opaque(cpio()), split, length);
};

const cmdlineItems = (guest: Guest): Found => {
  const split = (bytes: Uint8Array): readonly Item[] => [
    [FW_CFG.CMDLINE_SIZE, word(bytes.length)],
    [FW_CFG.CMDLINE_DATA, bytes],
  ];
  return items(guest, 'cmdline', [FW_CFG.CMDLINE_SIZE, FW_CFG.CMDLINE_DATA], opaque(commandLine()), split);
};

/** Bytes from 1 MiB on that an option ROM fills with a kernel and an initrd, if it can; none when there is no kernel. */
function filledBy({ pc, memory }: Guest): number {
  const [kernel, initrd] = [FW_CFG.KERNEL_SIZE, FW_CFG.INITRD_SIZE].map((key) => {
    const data = pc.fwCfg.content(key);
    return data ? wordOf(data) : 0;
  }) as [number, number];
  const bytes = kernel + initrd + PAGE;
  return kernel === 0 || bytes > memory.ramSize - 2 * MIB ? 0 : bytes;
}

/** What stands in the table of all targets. */
export const FIRMWARE_ROWS = {
  e820: anywhere((guest) =>
    file(guest, 'e820', 'etc/e820', opaque(e820({ ramEnd: guest.memory.ramSize, filled: filledBy(guest) }))),
  ),
  initrd: { findInFirmware: initrdItems },
  cmdline: { findInFirmware: cmdlineItems },
  others,
};
