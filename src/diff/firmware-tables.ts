// The tables that a guest was given by firmware or for it, from its trace alone: fw_cfg items as far as the guest read
// them, or, in a direct boot, ACPI tables in initial memory. A guest that looked at nothing has nothing here.

import { createHash } from 'node:crypto';
import type { TraceReader } from '../trace/reader.js';
import { acpiTablesOf } from '../trace/semantic/firmware-fields.js';
import { ColumnStream, MOST_AHEAD } from './column-stream.js';
import { MemoryPlaces } from './memory-places.js';
import { SymbolIds } from './symbol-ids.js';

export interface FirmwareTables {
  readonly e820: Uint8Array | undefined;
  /** Name and size of each file in the directory. */
  readonly files: readonly (readonly string[])[];
  /** Signature, length, checksum, and the hash of the bytes the guest saw. */
  readonly acpi: readonly (readonly string[])[];
  /** An fw_cfg item as far as the guest read it. */
  item(name: string): Uint8Array | undefined;
}

/** @throws TraceError */
export function firmwareTables(reader: TraceReader): FirmwareTables {
  const stream = new ColumnStream(reader, new SymbolIds());
  for (let here = stream.ahead(MOST_AHEAD); here > 0; here = stream.ahead(MOST_AHEAD)) stream.skip(here);
  const directory = stream.item('file directory');
  const blob = stream.item('etc/acpi/tables');
  const tables = blob ? acpiTablesOf(blob) : new MemoryPlaces(reader).acpiTables();
  return {
    e820: stream.item('etc/e820'),
    files: directory ? filesOf(directory) : [],
    acpi: tables.map(row),
    item: (name) => stream.item(name),
  };
}

function row({ signature, bytes }: { signature: string; bytes: Uint8Array }): string[] {
  const hash = createHash('sha256').update(bytes).digest('hex');
  return [signature, `${bytes.length}`, `0x${(bytes[9] ?? 0).toString(16).padStart(2, '0')}`, hash.slice(0, 16)];
}

function filesOf(directory: Uint8Array): string[][] {
  const view = new DataView(directory.buffer, directory.byteOffset, directory.length);
  const files: string[][] = [];
  for (let at = 4; at + 64 <= directory.length; at += 64) {
    const name = Buffer.from(directory.subarray(at + 8, at + 64))
      .toString('latin1')
      .split('\0', 1)[0]!;
    if (name !== '') files.push([name, `${view.getUint32(at)}`]);
  }
  return files;
}
