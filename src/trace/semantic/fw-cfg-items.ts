// The inside of fw_cfg items whose layout is fixed: which structure field a run of bytes belongs to, and what it
// says. e820 entries are those of the ACPI specification 6.4, section 15.2; loader commands are QEMU's
// (hw/acpi/bios-linker-loader, described in docs/specs of QEMU).

import { SETUP_HEADER } from '../../boot/handoff/layouts.js';
import { acpiBlobField, acpiField, smbiosField } from './firmware-fields.js';

const E820_ENTRY = 20;
const E820_TYPES: Readonly<Record<number, string>> = { 1: 'RAM', 2: 'reserved', 3: 'ACPI', 4: 'NVS', 5: 'unusable' };
const LOADER_ENTRY = 128;
const LOADER_COMMANDS: Readonly<Record<number, string>> = {
  1: 'allocate',
  2: 'add pointer',
  3: 'add checksum',
  4: 'write pointer',
};
const DIRECTORY_ENTRY = 64;

/**
 * The field of an item that bytes belong to, in words; undefined where the item has no known layout.
 * @param kept bytes of the item that the guest has read so far
 */
export function itemField(
  item: string,
  offset: number,
  length: number,
  kept: Uint8Array | undefined,
): string | undefined {
  switch (item) {
    case 'etc/e820':
    case 'e820 table':
      return entries('e820 entry', E820_ENTRY, offset, length, kept, e820Text, e820Field);
    case 'etc/table-loader':
      return entries('loader command', LOADER_ENTRY, offset, length, kept, loaderText, () => '');
    case 'file directory':
      if (offset < 4) return 'number of files';
      return entries('file', DIRECTORY_ENTRY, offset - 4, length, kept?.subarray(4), directoryText, () => '');
    case 'etc/acpi/tables':
      return kept && acpiBlobField(kept, offset);
    case 'etc/acpi/rsdp':
      return `ACPI RSDP ${acpiField('RSD PTR ', offset)}`;
    case 'etc/smbios/smbios-tables':
      return kept && smbiosField(kept, offset);
    case 'setup data':
      return setupField(offset);
    default:
      return undefined;
  }
}

/** The setup header of a Linux image, in its first sectors. */
function setupField(offset: number): string | undefined {
  const found = SETUP_HEADER.find(([at, size]) => offset >= at && offset < at + size);
  return found && `setup_header ${found[2]}`;
}

/** The memory map entry as people write it. */
export function e820Text(entry: Uint8Array): string {
  const view = new DataView(entry.buffer, entry.byteOffset, entry.length);
  const address = view.getBigUint64(0, true);
  const length = view.getBigUint64(8, true);
  const type = view.getUint32(16, true);
  const last = address + length - (length > 0n ? 1n : 0n);
  return `[0x${address.toString(16)}-0x${last.toString(16)}] ${E820_TYPES[type] ?? `type ${type}`}`;
}

function e820Field(offset: number): string {
  return offset < 8 ? 'address' : offset < 16 ? 'length' : 'type';
}

function loaderText(entry: Uint8Array): string {
  const view = new DataView(entry.buffer, entry.byteOffset, entry.length);
  const command = view.getUint32(0, true);
  const file = (at: number) =>
    Buffer.from(entry.subarray(at, at + 56))
      .toString('latin1')
      .split('\0', 1)[0]!;
  const name = LOADER_COMMANDS[command] ?? `command ${command}`;
  if (command === 1) return `${name} ${file(4)}, align ${view.getUint32(60, true)}, zone ${entry[64]}`;
  if (command === 2) return `${name} to ${file(60)} in ${file(4)} at ${view.getUint32(116, true)}`;
  if (command === 3) return `${name} of ${file(4)} at ${view.getUint32(60, true)}`;
  return name;
}

function directoryText(entry: Uint8Array): string {
  const name = Buffer.from(entry.subarray(8, 64)).toString('latin1').split('\0', 1)[0]!;
  return `${name}, ${new DataView(entry.buffer, entry.byteOffset).getUint32(0)} bytes`;
}

function entries(
  noun: string,
  size: number,
  offset: number,
  length: number,
  kept: Uint8Array | undefined,
  text: (entry: Uint8Array) => string,
  field: (offset: number) => string,
): string {
  const first = Math.floor(offset / size);
  const last = Math.floor((offset + Math.max(length, 1) - 1) / size);
  if (first !== last) return `${noun} ${first} to ${last}`;
  const within = length < size ? field(offset % size) : '';
  // An entry that the guest has read as a whole can be said in words.
  const entry = kept?.subarray(first * size, (first + 1) * size);
  const words = entry?.length === size ? `: ${text(entry)}` : '';
  return `${noun} ${first}${within === '' ? '' : ` ${within}`}${words}`;
}
