// ACPI tables as a block at an address: RSDP (ACPI 6.4, 5.2.5), RSDT or XSDT (5.2.7, 5.2.8), and tables with the
// common header (5.2.6), whose contents are an MADT (5.2.12), an HPET, or bytes under a signature that nobody knows.
// Valid: signatures, lengths and check sums are right, and every pointer leads to a table. Check sums are repaired
// whatever else is broken, but for those that a break names.

import fc from 'fast-check';
import { ByteWriter } from '../byte-writer.js';
import { low8, low32, pick, u8, u16, u32 } from '../numbers.js';
import type { StructureKind } from '../structure.js';

export interface MadtEntry {
  type: number;
  body: Uint8Array;
  /** Lies. */
  length?: number;
}

export interface AcpiTable {
  signature: string;
  revision: number;
  body: Uint8Array;
  /** Interrupt controller structures, behind the body. */
  entries: MadtEntry[];
  /** Lies. */
  length?: number;
  checksum?: number;
}

export interface AcpiTables {
  /** 0: RSDT of 32-bit pointers; 2: XSDT. */
  revision: 0 | 2;
  tables: AcpiTable[];
  /** Lies. */
  rootLength?: number;
  rootAt?: bigint;
  pointers?: bigint[];
  rsdpChecksum?: number;
  signature?: string;
}

export interface AcpiOptions {
  readonly address?: number;
}

const HEADER_SIZE = 36;
const OEM = 'VMREPL';

/** Local APIC, I/O APIC, interrupt source override, local APIC NMI: 5.2.12.2, .3, .5, .7. */
const madtEntry: fc.Arbitrary<MadtEntry> = fc.oneof(
  fc.record({ type: fc.constant(0), body: fc.tuple(u8, u8).map(([id, apic]) => Uint8Array.of(id, apic, 1, 0, 0, 0)) }),
  fc.record({
    type: fc.constant(1),
    body: u8.map((id) => new ByteWriter(10).u8(id).u8(0).u32(0xfec0_0000).u32(0).done()),
  }),
  fc.record({
    type: fc.constant(2),
    body: fc.tuple(fc.nat(15), u32).map(([irq, gsi]) => new ByteWriter(8).u8(0).u8(irq).u32(gsi).u16(0).done()),
  }),
  fc.record({ type: fc.constant(4), body: u16.map((flags) => new ByteWriter(4).u8(0xff).u16(flags).u8(1).done()) }),
);

const table: fc.Arbitrary<AcpiTable> = fc.oneof(
  fc.array(madtEntry, { maxLength: 6 }).map((entries) => ({
    signature: 'APIC',
    revision: 3,
    body: new ByteWriter(8).u32(0xfee0_0000).u32(1).done(),
    entries,
  })),
  fc.constant<AcpiTable>({
    signature: 'HPET',
    revision: 1,
    body: new ByteWriter(20).u32(0x8086_a201).u32(0).u64(0xfed0_0000n).u8(0).u16(0).u8(0).done(),
    entries: [],
  }),
  fc.uint8Array({ maxLength: 64 }).map((body) => ({ signature: 'OEMX', revision: 1, body, entries: [] })),
);

/**
 * Blocks of ACPI tables: RSDP, RSDT or XSDT, and tables with entries (ACPI 6.4, 5.2.5 to 5.2.8, 5.2.12).
 * @param options `address`: guest physical address of the block, which pointers are made for
 */
export function acpi({ address = 0xe_0000 }: AcpiOptions = {}): StructureKind<AcpiTables> {
  return {
    name: 'acpi',
    specification: 'ACPI 6.4, 5.2.5 to 5.2.8 and 5.2.12',
    valid: fc.record({ revision: fc.constantFrom<(0 | 2)[]>(0, 2), tables: fc.array(table, { maxLength: 5 }) }),
    breaks: {
      'table length that lies': (draft, at, value) =>
        pick(draft.tables, at, (one) => {
          one.length = low32(value);
        }),
      'wrong check sum': (draft, at, value) =>
        pick(draft.tables, at, (one) => {
          one.checksum = (low8(value) || 1) & 0xff;
        }),
      'wrong check sum of the RSDP': (draft, _at, value) => {
        draft.rsdpChecksum = low8(value) || 1;
      },
      'unknown signature': (draft, at, value) =>
        pick(draft.tables, at, (one) => {
          one.signature = String.fromCharCode(low8(value), 0, 0xff, 0x41);
        }),
      'RSDP of another name': (draft) => {
        draft.signature = 'RSD PTR_';
      },
      'root table of any length': (draft, _at, value) => {
        draft.rootLength = low32(value);
      },
      'root table elsewhere': (draft, _at, value) => {
        draft.rootAt = value;
      },
      'pointer to nowhere': (draft, _at, value) => {
        draft.pointers = [...(draft.pointers ?? []), value];
      },
      'pointer back to the root': (draft) => {
        draft.pointers = [...(draft.pointers ?? []), BigInt(address + HEADER_SIZE)];
      },
      'entry of no length': (draft, at) =>
        pick(
          draft.tables.flatMap(({ entries }) => entries),
          at,
          (entry) => {
            entry.length = 0;
          },
        ),
      'entry of any length': (draft, at, value) =>
        pick(
          draft.tables.flatMap(({ entries }) => entries),
          at,
          (entry) => {
            entry.length = low8(value);
          },
        ),
      'same table twice': (draft, at) => pick(draft.tables, at, (one) => draft.tables.push(structuredClone(one))),
    },
    encode: (value) => encode(value, address),
  };
}

/** The table alone, with its header: what iasl reads. */
export function encodeTable({ signature, revision, body, entries, ...lie }: AcpiTable): Uint8Array {
  const out = new ByteWriter(128).field(signature, 4).u32(0).u8(revision).u8(0);
  out.field(OEM, 6).field(`VMR${signature}`, 8).u32(1).field('VMRP', 4).u32(1).bytes(body);
  for (const entry of entries)
    out
      .u8(entry.type)
      .u8(entry.length ?? entry.body.length + 2)
      .bytes(entry.body);
  return out
    .put32(4, lie.length ?? out.length)
    .checksum(9, 0, out.length, lie.checksum ?? 0)
    .done();
}

function encode(value: AcpiTables, base: number): Uint8Array {
  const wide = value.revision === 2;
  const tables = value.tables.map(encodeTable);
  const extra = value.pointers ?? [];
  const size = wide ? 8 : 4;
  let next = base + HEADER_SIZE + HEADER_SIZE + size * (tables.length + extra.length);
  const addresses = tables.map((bytes) => {
    const at = Math.ceil(next / 8) * 8;
    next = at + bytes.length;
    return BigInt(at);
  });
  const pointers = new ByteWriter();
  for (const pointer of [...addresses, ...extra]) {
    if (wide) pointers.u64(pointer);
    else pointers.u32(low32(pointer));
  }
  const root = encodeTable({
    signature: wide ? 'XSDT' : 'RSDT',
    revision: 1,
    body: pointers.done(),
    entries: [],
    ...(value.rootLength !== undefined && { length: value.rootLength }),
  });
  const rootAt = value.rootAt ?? BigInt(base + HEADER_SIZE);
  const out = new ByteWriter(512)
    .field(value.signature ?? 'RSD PTR ', 8)
    .u8(0)
    .field(OEM, 6)
    .u8(value.revision);
  out
    .u32(wide ? 0 : low32(rootAt))
    .u32(wide ? HEADER_SIZE : 0)
    .u64(wide ? rootAt : 0n)
    .zerosTo(HEADER_SIZE);
  out.checksum(8, 0, 20, value.rsdpChecksum ?? 0);
  if (wide) out.checksum(32, 0, HEADER_SIZE, value.rsdpChecksum ?? 0);
  out.bytes(root);
  tables.forEach((bytes, i) => {
    out.zerosTo(Number(addresses[i]!) - base).bytes(bytes);
  });
  return out.done();
}
