// QEMU's ACPI linker/loader: the script etc/table-loader that tells firmware where to put the blobs etc/acpi/tables and
// etc/acpi/rsdp and what to patch in them. Each command is 128 bytes: a little-endian command number, then its
// operands, file names in 56 bytes. Sizes of blob and script are padded as QEMU pads them for the pc machine, so that they
// stay the same when a table changes.

import type { AcpiBlobs } from './tables.js';
import { ACPI_RSDP_ALIGN, ACPI_TABLES_ALIGN } from './tables.js';

export const ACPI_TABLES_FILE = 'etc/acpi/tables';
export const ACPI_RSDP_FILE = 'etc/acpi/rsdp';
export const TABLE_LOADER_FILE = 'etc/table-loader';

const COMMAND_SIZE = 128;
const NAME_SIZE = 56;
const COMMAND_ALLOCATE = 1;
const COMMAND_ADD_POINTER = 2;
const COMMAND_ADD_CHECKSUM = 3;
const ZONE_HIGH = 1;
const ZONE_FSEG = 2;
const TABLES_UNIT = 0x20000;
const SCRIPT_UNIT = 0x1000;

const FILES = { tables: ACPI_TABLES_FILE, rsdp: ACPI_RSDP_FILE } as const;

/** A command under construction: operands follow each other. */
class Command {
  readonly data = new Uint8Array(COMMAND_SIZE);
  private at = 0;

  constructor(command: number) {
    this.number(command, 4);
  }

  number(value: number, size: number): this {
    for (let i = 0; i < size; i++) this.data[this.at++] = (value >>> (8 * i)) & 0xff;
    return this;
  }

  file(name: string): this {
    for (let i = 0; i < name.length; i++) this.data[this.at + i] = name.charCodeAt(i);
    this.at += NAME_SIZE;
    return this;
  }
}

function padded(data: Uint8Array, unit: number): Uint8Array {
  const result = new Uint8Array(Math.ceil(data.length / unit) * unit);
  result.set(data);
  return result;
}

/**
 * The three fw_cfg files for firmware, by name.
 * @param pad fill blob and script up, as QEMU does for the pc machine and not for microvm
 */
export function acpiFwCfgFiles(blobs: AcpiBlobs, pad = true): Record<string, Uint8Array> {
  const commands = [
    new Command(COMMAND_ALLOCATE).file(ACPI_RSDP_FILE).number(ACPI_RSDP_ALIGN, 4).number(ZONE_FSEG, 1),
    new Command(COMMAND_ALLOCATE).file(ACPI_TABLES_FILE).number(ACPI_TABLES_ALIGN, 4).number(ZONE_HIGH, 1),
  ];
  for (const fixup of blobs.fixups) {
    if ('pointer' in fixup) {
      const { blob, offset, size } = fixup.pointer;
      const pointer = new Command(COMMAND_ADD_POINTER).file(FILES[blob]).file(ACPI_TABLES_FILE);
      commands.push(pointer.number(offset, 4).number(size, 1));
    } else {
      const { blob, offset, start, length } = fixup.checksum;
      const checksum = new Command(COMMAND_ADD_CHECKSUM).file(FILES[blob]);
      commands.push(checksum.number(offset, 4).number(start, 4).number(length, 4));
    }
  }
  const script = new Uint8Array(commands.length * COMMAND_SIZE);
  commands.forEach((command, i) => {
    script.set(command.data, i * COMMAND_SIZE);
  });
  return {
    [ACPI_RSDP_FILE]: blobs.rsdp.slice(),
    [ACPI_TABLES_FILE]: padded(blobs.tables, pad ? TABLES_UNIT : 1),
    [TABLE_LOADER_FILE]: padded(script, pad ? SCRIPT_UNIT : 1),
  };
}
