// ACPI tables as a machine gives them to its firmware, one behind the other in a file, not linked yet (ACPI 6.4, 5.2.6;
// the linker's script is table-loader.ts). The template's tables are kept, so that the script still fits; a valid file
// differs in what nobody interprets, a hostile one in headers, in AML, or in its length.

import { low8, low32, pick, u32 } from '../numbers.js';
import type { StructureKind } from '../structure.js';

export interface AcpiFileTable {
  /** Of the header, in the file. */
  readonly offset: number;
  signature: string;
  length: number;
  revision: number;
  oemRevision: number;
}

export interface AcpiFile {
  tables: AcpiFileTable[];
  /** Bytes behind the headers that are others. */
  bytes: { offset: number; value: number }[];
  /** Lies. */
  cut?: number;
}

export interface AcpiFileOptions {
  /** The file that the machine has; nothing is encoded without one. */
  readonly template?: Uint8Array;
}

const HEADER = 36;
/** Without a header of a length. */
const FACS = 'FACS';

/**
 * Files of ACPI tables as a machine gives them to its firmware, not linked yet (ACPI 6.4, 5.2.6).
 * @param options `template`: the machine's own file, whose tables are kept
 */
export function acpiFile({ template = new Uint8Array(0) }: AcpiFileOptions = {}): StructureKind<AcpiFile> {
  const tables = tablesIn(template);
  return {
    name: 'acpi-tables',
    specification: 'ACPI 6.4, 5.2.6',
    valid: u32.map((oemRevision) => ({ tables: tables.map((table) => ({ ...table, oemRevision })), bytes: [] })),
    breaks: {
      'table length that lies': (draft, at, value) =>
        pick(draft.tables, at, (table) => {
          table.length = low32(value);
        }),
      'unknown signature': (draft, at, value) =>
        pick(draft.tables, at, (table) => {
          table.signature = String.fromCharCode(low8(value), 0x41, 0xff, 0x42);
        }),
      'signature of another table': (draft, at, value) =>
        pick(draft.tables, at, (table) => {
          table.signature = draft.tables[Number(value % BigInt(draft.tables.length))]!.signature;
        }),
      'unknown revision': (draft, at, value) =>
        pick(draft.tables, at, (table) => {
          table.revision = low8(value);
        }),
      'byte behind a header': (draft, at, value) =>
        pick(draft.tables, at, ({ offset, length }) => {
          const room = Math.max(1, Math.min(length, template.length - offset) - HEADER);
          draft.bytes.push({ offset: offset + HEADER + Number((value >> 8n) % BigInt(room)), value: low8(value) });
        }),
      'cut off': (draft, at, value) => {
        draft.cut = (at + 1) * (1 + low8(value));
      },
    },
    encode: ({ tables, bytes, cut = 0 }) => {
      const out = new Uint8Array(template);
      const view = new DataView(out.buffer);
      for (const { offset, signature, length, revision, oemRevision } of tables) {
        for (let i = 0; i < 4; i++) out[offset + i] = signature.charCodeAt(i);
        view.setUint32(offset + 4, length, true);
        if (offset + HEADER > out.length) continue;
        out[offset + 8] = revision;
        view.setUint32(offset + 24, oemRevision, true);
      }
      for (const { offset, value } of bytes) if (offset < out.length) out[offset] = value;
      return out.subarray(0, Math.max(0, out.length - cut));
    },
  };
}

/** What has a header: tables lie one behind the other, the FACS first. */
function tablesIn(file: Uint8Array): AcpiFileTable[] {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const found: AcpiFileTable[] = [];
  for (let at = 0; at + HEADER <= file.length; ) {
    const signature = String.fromCharCode(...file.subarray(at, at + 4));
    const length = view.getUint32(at + 4, true);
    if (!/^[A-Z0-9_]{4}$/.test(signature) || length < HEADER || at + length > file.length) {
      at += 4;
      continue;
    }
    if (signature !== FACS)
      found.push({
        offset: at,
        signature,
        length,
        revision: file[at + 8]!,
        oemRevision: view.getUint32(at + 24, true),
      });
    at += length;
  }
  return found;
}
