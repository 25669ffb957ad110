// What lies where in a boot's memory, for reports: an address is a field of a structure that a loader handed over, of an
// ACPI or SMBIOS table, an entry of a memory map, an offset of an image. Everything is read from the trace: hand-off
// records, the header, and the initial memory as far as the guest has seen it.
// ACPI 6.4, 5.2.5 to 5.2.9; SMBIOS 3.4, 5.2.1 and 6.1.2.

import {
  BOOT_PARAMS,
  type Field,
  HVM_MODULE,
  HVM_START_INFO,
  MULTIBOOT_INFO,
  MULTIBOOT_MODULE,
  MULTIBOOT_VIDEO,
  SETUP_HEADER,
  SETUP_HEADER_OFFSET,
} from '../boot/handoff/layouts.js';
import { type HandoffView, handoffsOf } from '../trace/handoff.js';
import type { MemoryPiece } from '../trace/memory.js';
import type { TraceReader } from '../trace/reader.js';
import { type AcpiTable, acpiField, smbiosField } from '../trace/semantic/firmware-fields.js';

interface Place {
  readonly start: number;
  readonly length: number;
  readonly name: (offset: number) => string;
}

const LAYOUTS: Readonly<Record<string, readonly Field[]>> = {
  hvm_start_info: HVM_START_INFO,
  boot_params: BOOT_PARAMS,
  setup_header: SETUP_HEADER.map(([at, size, name]): Field => [at - SETUP_HEADER_OFFSET, size, name]),
  multiboot_info: [...MULTIBOOT_INFO, ...MULTIBOOT_VIDEO],
};
const E820_IN_BOOT_PARAMS = 0x2d0;
const BIOS_AREA = 0xe_0000;
const BIOS_AREA_END = 0x10_0000;
const MOST_TABLES = 64;
const MOST_TABLE = 0x10_0000;

export class MemoryPlaces {
  readonly #places: Place[] = [];
  readonly #memory: readonly MemoryPiece[];

  /** @throws TraceError */
  constructor(private readonly reader: TraceReader) {
    this.#memory = reader.hasMemory ? [...reader.memory()] : [];
    for (const view of handoffsOf(reader)) this.#addHandoff(view);
    this.#addAcpi();
    this.#addSmbios();
    this.#addImages();
  }

  /** What a guest physical address belongs to; undefined where nothing tells. */
  at(address: number): string | undefined {
    const place = this.#places.find(({ start, length }) => address >= start && address < start + length);
    return place?.name(address - place.start);
  }

  /** Where a field of a hand-off lies, as `diffHandoff` names it; undefined for registers. */
  addressOf(field: string): { address: number; length: number } | undefined {
    return this.#fields.get(field);
  }
  readonly #fields = new Map<string, { address: number; length: number }>();

  #addHandoff({ protocol, structures, memoryMap }: HandoffView): void {
    for (const { name, address, length, fields } of structures) {
      const start = Number(address);
      const layout = LAYOUTS[name] ?? (/^module \d+$/.test(name) ? moduleLayout(protocol) : undefined);
      const isText = 'text' in fields;
      if (isText) this.#fields.set(`${name}.text`, { address: start, length: Number(length) });
      for (const [offset, size, field] of layout ?? []) {
        this.#fields.set(`${name}.${field}`, { address: start + offset, length: size });
      }
      this.#places.push({
        start,
        length: Number(length),
        name: (offset) => {
          if (name === 'boot_params' && offset >= E820_IN_BOOT_PARAMS) {
            const entry = Math.floor((offset - E820_IN_BOOT_PARAMS) / 20);
            if (entry < memoryMap.length)
              return `boot_params e820_table entry ${entry} ${rangeField(offset, 20, E820_IN_BOOT_PARAMS)}`;
          }
          if (isText) return `${name} character ${offset}`;
          const found = layout?.find(([at, size]) => offset >= at && offset < at + size);
          return `${name} ${found ? found[2] : `offset 0x${offset.toString(16)}`}`;
        },
      });
      const value = (field: string) => Number(fields[field] ?? 0);
      if (name === 'hvm_start_info')
        this.#addMap(value('memmap_paddr'), memoryMap.length, 24, 0, 'start info memory map');
      if (name === 'multiboot_info') this.#addMap(value('mmap_addr'), memoryMap.length, 24, 4, 'multiboot memory map');
      if (name === 'boot_params')
        this.#addMap(start + E820_IN_BOOT_PARAMS, memoryMap.length, 20, 0, 'boot_params e820_table');
    }
    // A structure inside another comes first.
    this.#places.sort((p, q) => p.length - q.length);
  }

  #addMap(start: number, entries: number, size: number, skip: number, title: string): void {
    if (start === 0) return;
    for (let i = 0; i < entries; i++) {
      const at = start + i * size + skip;
      this.#fields.set(`memory map ${i}.address`, { address: at, length: 8 });
      this.#fields.set(`memory map ${i}.length`, { address: at + 8, length: 8 });
      this.#fields.set(`memory map ${i}.type`, { address: at + 16, length: 4 });
    }
    this.#places.push({
      start,
      length: entries * size,
      name: (offset) => `${title} entry ${Math.floor(offset / size)} ${rangeField(offset, size, 0, skip)}`,
    });
  }

  /** Initial memory; zeros where the guest has seen none. */
  read(address: number, length: number): Uint8Array {
    const out = new Uint8Array(length);
    for (const { address: start, data } of this.#memory) {
      const from = Math.max(start, address);
      const to = Math.min(start + data.length, address + length);
      if (from < to) out.set(data.subarray(from - start, to - start), from - address);
    }
    return out;
  }

  #addAcpi(): void {
    const rsdp = this.#find('RSD PTR ');
    if (rsdp === undefined) return;
    const view = viewOf(this.read(rsdp, 36));
    this.#places.push({ start: rsdp, length: 36, name: (offset) => `ACPI RSDP ${acpiField('RSD PTR ', offset)}` });
    const root = view.getUint32(16, true);
    const xsdt = view.getUint8(15) >= 2 ? Number(view.getBigUint64(24, true) & 0xffff_ffffn) : 0;
    const seen = new Set<number>();
    const add = (at: number): void => {
      if (at === 0 || seen.has(at) || seen.size >= MOST_TABLES) return;
      seen.add(at);
      const head = this.read(at, 36);
      const signature = Buffer.from(head.subarray(0, 4)).toString('latin1');
      const length = Math.min(viewOf(head).getUint32(4, true), MOST_TABLE);
      if (!/^[A-Z0-9]{4}$/.test(signature) || length < 36) return;
      this.#places.push({
        start: at,
        length,
        name: (offset) => `ACPI table ${signature} ${acpiField(signature, offset)}`,
      });
      const bytes = this.read(at, length);
      this.#acpi.push({ signature, at, bytes });
      const table = viewOf(bytes);
      const wide = signature === 'XSDT' ? 8 : 4;
      if (signature === 'RSDT' || signature === 'XSDT')
        for (let i = 36; i + wide <= length; i += wide) add(table.getUint32(i, true));
      if (signature === 'FACP' && length >= 44) add(table.getUint32(40, true));
    };
    add(root);
    add(xsdt);
  }

  /** The ACPI tables that the guest has looked at, by address. */
  acpiTables(): AcpiTable[] {
    return this.#acpi;
  }
  readonly #acpi: AcpiTable[] = [];

  #addSmbios(): void {
    const anchor = this.#find('_SM_');
    if (anchor === undefined) return;
    this.#places.push({ start: anchor, length: 31, name: (offset) => `SMBIOS entry point offset ${offset}` });
    const view = viewOf(this.read(anchor, 31));
    const [length, start] = [view.getUint16(22, true), view.getUint32(24, true)];
    const table = this.read(start, length);
    this.#places.push({ start, length, name: (offset) => smbiosField(table, offset) });
  }

  /** Anchors stand on paragraphs of the BIOS area. */
  #find(text: string): number | undefined {
    const wanted = Buffer.from(text, 'latin1');
    for (const { address, data } of this.#memory) {
      const from = Math.max(address, BIOS_AREA);
      for (let at = Math.ceil(from / 16) * 16; at < Math.min(address + data.length, BIOS_AREA_END); at += 16) {
        if (wanted.equals(data.subarray(at - address, at - address + wanted.length))) return at;
      }
    }
    return undefined;
  }

  #addImages(): void {
    const { images, rom } = this.reader.header;
    const all: Place[] = [];
    for (const { role, address, size } of images) {
      if (address !== undefined)
        all.push({ start: address, length: size, name: (n) => `image ${role} at offset ${n}` });
    }
    const bios = images.find(({ role }) => role === 'bios');
    for (const [start, length] of bios ? rom : []) {
      // Firmware lies at the end of the first 4 GiB, its last part again at the end of the first MiB.
      const behind = start + length >= 0x1_0000_0000 ? 0 : BIOS_AREA_END - (start + length);
      const first = bios!.size - length - behind;
      if (first >= 0) all.push({ start, length, name: (n) => `image bios at offset ${first + n}` });
    }
    this.#places.push(...all.sort((p, q) => p.length - q.length));
  }
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

const moduleLayout = (protocol: string): readonly Field[] => (protocol === 'pvh' ? HVM_MODULE : MULTIBOOT_MODULE);

function rangeField(offset: number, size: number, base: number, skip = 0): string {
  const within = ((offset - base) % size) - skip;
  return within < 0 ? 'size' : within < 8 ? 'address' : within < 16 ? 'length' : 'type';
}
