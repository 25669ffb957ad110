// fw_cfg items as the page shows them: bytes, and entries in words where the layout is known (e820, the table loader's
// commands, the file directory, ACPI tables). Only what the guest read is there; what is cut says so by its length.

import { e820Text, itemField } from '../trace/semantic/fw-cfg-items.js';
import type { ItemView } from './payload.js';

/** Bytes that are shown of an item. */
const SHOWN = 512;
const MOST_ENTRIES = 256;
const ENTRY_SIZES: Readonly<Record<string, number>> = {
  'etc/e820': 20,
  'e820 table': 20,
  'etc/table-loader': 128,
};
const ACPI_HEADER = 36;

export function itemView(name: string, bytes: Uint8Array): ItemView {
  const data = Buffer.from(bytes.subarray(0, SHOWN)).toString('hex');
  const ranges = name === 'etc/e820' ? e820Ranges(bytes) : undefined;
  return { name, length: bytes.length, data, entries: entriesOf(name, bytes), ...(ranges && { ranges }) };
}

function entriesOf(name: string, bytes: Uint8Array): string[] {
  if (name === 'file directory') return table(name, bytes, 4, 64);
  if (name === 'etc/acpi/tables') return acpiTables(bytes);
  const size = ENTRY_SIZES[name];
  if (name === 'etc/e820') return chunks(bytes, 0, 20).map((entry) => e820Text(entry));
  if (size !== undefined) return table(name, bytes, 0, size);
  if ([1, 2, 4, 8].includes(bytes.length)) return [numberText(bytes)];
  const text = Buffer.from(bytes.subarray(0, 256)).toString('latin1').replace(/\0$/, '');
  return /^[\x20-\x7e\n\t]+$/.test(text) ? [JSON.stringify(text)] : [];
}

/** A little-endian number in both bases. */
function numberText(bytes: Uint8Array): string {
  let value = 0n;
  for (const [n, byte] of bytes.entries()) value |= BigInt(byte) << BigInt(8 * n);
  return `0x${value.toString(16)} (${value})`;
}

function table(name: string, bytes: Uint8Array, start: number, size: number): string[] {
  return chunks(bytes, start, size).flatMap((_, n) => {
    const words = itemField(name, start + n * size, size, bytes);
    return words === undefined ? [] : [words.replace(/^[^:]*: /, '')];
  });
}

function chunks(bytes: Uint8Array, start: number, size: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let at = start; at + size <= bytes.length && found.length < MOST_ENTRIES; at += size) {
    const entry = bytes.subarray(at, at + size);
    if (entry.some((byte) => byte !== 0)) found.push(entry);
  }
  return found;
}

function e820Ranges(bytes: Uint8Array): { address: string; length: string; type: string }[] {
  return chunks(bytes, 0, 20).map((entry) => {
    const view = new DataView(entry.buffer, entry.byteOffset, entry.length);
    const hex = (value: number | bigint) => `0x${value.toString(16)}`;
    return {
      address: hex(view.getBigUint64(0, true)),
      length: hex(view.getBigUint64(8, true)),
      type: hex(view.getUint32(16, true)),
    };
  });
}

/** Tables one behind the other, each with the header of ACPI 6.4, section 5.2.6; what lies between them is skipped. */
function acpiTables(bytes: Uint8Array): string[] {
  const found: string[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + ACPI_HEADER <= bytes.length && found.length < MOST_ENTRIES; ) {
    const text = (from: number, length: number) =>
      Buffer.from(bytes.subarray(at + from, at + from + length))
        .toString('latin1')
        .replaceAll(/[^\x20-\x7e]/g, ' ')
        .trim();
    const signature = text(0, 4);
    const length = view.getUint32(at + 4, true);
    if (signature === 'FACS' && length >= 64) {
      found.push(`${signature} at ${at}, ${length} bytes`);
      at += length;
    } else if (/^[A-Z0-9]{4}$/.test(signature) && length >= ACPI_HEADER && at + length <= bytes.length) {
      const revision = bytes[at + 8];
      found.push(`${signature} at ${at}, ${length} bytes, revision ${revision}, ${text(10, 6)} ${text(16, 8)}`);
      at += length;
    } else at += 1;
  }
  return found;
}
