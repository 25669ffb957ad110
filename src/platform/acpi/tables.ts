// The ACPI tables of the pc machine (ACPI 6.4, chapter 5) as QEMU 7.2 makes them: FACS, DSDT, FADT revision 1, MADT,
// HPET, WAET, RSDT, RSDP revision 0. They are built as two blobs plus a list of what to fix up once addresses are
// known; the same list becomes QEMU's loader script for firmware, or is applied here for boots without firmware.
// Invariant: blobs are position independent until placed, and all checksums are right after placing.

import { dsdtBody } from './dsdt.js';

export interface AcpiOptions {
  /** Bytes of RAM below 4 GiB; the PCI window begins there. */
  lowMemoryEnd: number;
  /** End of RAM above 4 GiB. Default 4 GiB: there is none. */
  highMemoryEnd?: number;
  /** Where the PM block is decoded. Default 0x600. */
  pmBase?: number;
  /** The FADT names the SMI command port and the enable values. Default false: SCI_EN is always set. */
  smm?: boolean;
  serial?: boolean;
  /** A VGA is in slot 2. Default false. */
  vga?: boolean;
  hpet?: boolean;
  fwCfgDma?: boolean;
  /** 2 gives an XSDT beside the RSDT and the longer RSDP. Default 0, QEMU's for the pc machine. */
  rsdpRevision?: 0 | 2;
}

type Blob = 'tables' | 'rsdp';

/** A little-endian address in `blob` that holds an offset into the tables until they are placed. */
export interface AcpiPointer {
  blob: Blob;
  offset: number;
  size: 4 | 8;
}

/** The byte at `offset` makes the `length` bytes from `start` on sum to 0. */
export interface AcpiChecksum {
  blob: Blob;
  offset: number;
  start: number;
  length: number;
}

export interface AcpiBlobs {
  tables: Uint8Array;
  rsdp: Uint8Array;
  /** In the order in which they must be applied: a checksum covers pointers patched before it. */
  fixups: ({ pointer: AcpiPointer } | { checksum: AcpiChecksum })[];
  /** Offset of each table in `tables`, by signature. */
  offsets: Record<string, number>;
}

/** Alignment that the tables need, for the FACS at their start. */
export const ACPI_TABLES_ALIGN = 64;
export const ACPI_RSDP_ALIGN = 16;

const HEADER = 36;
export const OEM_ID = 'BOCHS ';
const OEM_TABLE_ID = 'BXPC    ';
const CREATOR = 'BXPC';

/** Write back invalidate, C1 on all processors, no sleep button, RTC wakes from S4, platform clock. */
const FADT_FLAGS = 0x80a5;
const RTC_CENTURY = 0x32;
const SCI = 9;
/** ISA interrupts that the PIIX3 may give to PCI: level, active high. */
const LEVEL_OVERRIDES = [5, 9, 10, 11];
const HPET_ID = 0x8086a201;

/** Bytes with a cursor that write fields in order. */
export class Writer {
  private written = new Uint8Array(512);
  private used = 0;

  get length(): number {
    return this.used;
  }

  number(value: number, size: number): this {
    const at = this.room(size);
    for (let i = 0, rest = value; i < size; i++, rest = Math.floor(rest / 256)) this.written[at + i] = rest;
    return this;
  }

  text(text: string): this {
    const at = this.room(text.length);
    for (let i = 0; i < text.length; i++) this.written[at + i] = text.charCodeAt(i);
    return this;
  }

  bytes(data: Uint8Array): this {
    const at = this.room(data.length);
    this.written.set(data, at);
    return this;
  }

  toBytes(): Uint8Array {
    return this.written.slice(0, this.used);
  }

  /** Where the next `size` bytes go. */
  private room(size: number): number {
    const at = this.used;
    this.used += size;
    if (this.used > this.written.length) {
      const larger = new Uint8Array(Math.max(2 * this.written.length, this.used));
      larger.set(this.written);
      this.written = larger;
    }
    return at;
  }
}

/** A table with the standard header (5.2.6); the checksum is left 0. */
export function table(signature: string, revision: number, body: Uint8Array): Uint8Array {
  return new Writer()
    .text(signature)
    .number(HEADER + body.length, 4)
    .number(revision, 1)
    .number(0, 1)
    .text(OEM_ID)
    .text(OEM_TABLE_ID)
    .number(1, 4)
    .text(CREATOR)
    .number(1, 4)
    .bytes(body)
    .toBytes();
}

function facs(): Uint8Array {
  return new Writer().text('FACS').number(64, 4).bytes(new Uint8Array(56)).toBytes();
}

/** 5.2.9, the fields of ACPI 1.0. */
function fadt(options: AcpiOptions, facsOffset: number, dsdtOffset: number): Uint8Array {
  const pm = options.pmBase ?? 0x600;
  const smi = options.smm ? { port: 0xb2, enable: 0xf1, disable: 0xf0 } : { port: 0, enable: 0, disable: 0 };
  const body = new Writer()
    .number(facsOffset, 4)
    .number(dsdtOffset, 4)
    .number(1, 1) // interrupt model: multiple APIC
    .number(0, 1)
    .number(SCI, 2)
    .number(smi.port, 4)
    .number(smi.enable, 1)
    .number(smi.disable, 1)
    .number(0, 2) // S4BIOS_REQ, PSTATE_CNT
    .number(pm, 4) // PM1a event block; there is no PM1b
    .number(0, 4)
    .number(pm + 4, 4) // PM1a control block; no PM1b, no PM2
    .number(0, 8)
    .number(pm + 8, 4) // PM timer
    .number(0xafe0, 4) // GPE0; no GPE1
    .number(0, 4)
    .number(4, 1) // lengths: PM1 event, PM1 control, PM2, PM timer, GPE0
    .number(2, 1)
    .number(0, 1)
    .number(4, 1)
    .number(4, 1)
    .number(0, 3) // GPE1 length and base, CST_CNT
    .number(0xfff, 2) // C2 and C3 latencies: not supported
    .number(0xfff, 2)
    .number(0, 6) // flush size and stride, duty cycle
    .number(0, 2) // day and month alarm
    .number(RTC_CENTURY, 1)
    .number(0, 3)
    .number(FADT_FLAGS, 4);
  return table('FACP', 1, body.toBytes());
}

/** 5.2.12: one processor, one I/O APIC, the ISA overrides, NMI at LINT1. */
function madt(): Uint8Array {
  const body = new Writer().number(0xfee00000, 4).number(1, 4); // PC-AT compatible: PICs are there too
  body.bytes(Uint8Array.from([0, 8, 0, 0])).number(1, 4);
  body
    .bytes(Uint8Array.from([1, 12, 0, 0]))
    .number(0xfec00000, 4)
    .number(0, 4);
  const override = (irq: number, gsi: number, flags: number) =>
    body
      .bytes(Uint8Array.from([2, 10, 0, irq]))
      .number(gsi, 4)
      .number(flags, 2);
  override(0, 2, 0);
  for (const irq of LEVEL_OVERRIDES) override(irq, irq, 0x000d);
  body.bytes(Uint8Array.from([4, 6, 0xff, 0, 0, 1]));
  return table('APIC', 1, body.toBytes());
}

/** IA-PC HPET specification 3.2.4. */
function hpet(): Uint8Array {
  const body = new Writer().number(HPET_ID, 4).number(0, 4).number(0xfed00000, 8).number(0, 4);
  return table('HPET', 1, body.toBytes());
}

/** Windows ACPI emulated devices: the PM timer needs no second read. */
const waet = (): Uint8Array => table('WAET', 1, new Writer().number(2, 4).toBytes());

/** Tables one after the other in one blob, and what must be fixed up in it. */
export class TableBlob {
  readonly out = new Writer();
  readonly offsets: Record<string, number> = {};
  readonly fixups: AcpiBlobs['fixups'] = [];

  /** Append a table, with the places and sizes of its pointers to others; returns its offset. */
  add(data: Uint8Array, pointers: readonly [number, 4 | 8][] = []): number {
    const { out, fixups } = this;
    const start = out.length;
    const signature = String.fromCharCode(...data.subarray(0, 4));
    this.offsets[signature] = start;
    out.bytes(data);
    for (const [offset, size] of pointers) fixups.push({ pointer: { blob: 'tables', offset: start + offset, size } });
    if (signature !== 'FACS') {
      fixups.push({ checksum: { blob: 'tables', offset: start + 9, start, length: data.length } });
    }
    return start;
  }

  /** RSDT or XSDT. */
  addPointers(signature: string, size: 4 | 8, targets: readonly number[]): number {
    const body = new Writer();
    for (const target of targets) body.number(target, size);
    const pointers = targets.map((_, i): [number, 4 | 8] => [HEADER + i * size, size]);
    return this.add(table(signature, 1, body.toBytes()), pointers);
  }
}

/** Build everything, unplaced. */
export function buildAcpiTables(options: AcpiOptions): AcpiBlobs {
  const blob = new TableBlob();
  const { fixups } = blob;
  const add: TableBlob['add'] = (data, pointers) => blob.add(data, pointers);
  const facsOffset = add(facs());
  const dsdtOffset = add(table('DSDT', 1, dsdtBody(options)));
  const described = [
    add(fadt(options, facsOffset, dsdtOffset), [
      [36, 4],
      [40, 4],
    ]),
    add(madt()),
    ...(options.hpet === false ? [] : [add(hpet())]),
    add(waet()),
  ];
  const rsdtOffset = blob.addPointers('RSDT', 4, described);
  const rsdp = new Writer().text('RSD PTR ').number(0, 1).text(OEM_ID);
  fixups.push({ pointer: { blob: 'rsdp', offset: 16, size: 4 } });
  if (options.rsdpRevision === 2) {
    const xsdtOffset = blob.addPointers('XSDT', 8, described);
    rsdp.number(2, 1).number(rsdtOffset, 4).number(36, 4).number(xsdtOffset, 8).number(0, 4);
    fixups.push({ pointer: { blob: 'rsdp', offset: 24, size: 8 } });
  } else {
    rsdp.number(0, 1).number(rsdtOffset, 4);
  }
  fixups.push({ checksum: { blob: 'rsdp', offset: 8, start: 0, length: 20 } });
  if (options.rsdpRevision === 2) fixups.push({ checksum: { blob: 'rsdp', offset: 32, start: 0, length: 36 } });
  return { tables: blob.out.toBytes(), rsdp: rsdp.toBytes(), fixups, offsets: blob.offsets };
}

/**
 * The blobs as they stand in memory: pointers and checksums filled in. The arguments are not changed.
 * @throws RangeError if an address is not aligned or, for a revision 0 RSDP, not below 4 GiB
 */
export function placeAcpiTables(
  blobs: AcpiBlobs,
  tablesAddress: number,
): { tables: Uint8Array; rsdp: Uint8Array; tablesAddress: number } {
  if (tablesAddress % ACPI_TABLES_ALIGN !== 0 || tablesAddress + blobs.tables.length > 0x1_0000_0000) {
    throw new RangeError(`ACPI tables cannot be at 0x${tablesAddress.toString(16)}`);
  }
  const placed = { tables: blobs.tables.slice(), rsdp: blobs.rsdp.slice(), tablesAddress };
  for (const fixup of blobs.fixups) {
    if ('pointer' in fixup) {
      const { blob, offset, size } = fixup.pointer;
      const view = new DataView(placed[blob].buffer);
      if (size === 4) view.setUint32(offset, view.getUint32(offset, true) + tablesAddress, true);
      else view.setBigUint64(offset, view.getBigUint64(offset, true) + BigInt(tablesAddress), true);
    } else {
      const { blob, offset, start, length } = fixup.checksum;
      const data = placed[blob];
      data[offset] = 0;
      let sum = 0;
      for (let at = start; at < start + length; at++) sum += data[at]!;
      data[offset] = -sum;
    }
  }
  return placed;
}
