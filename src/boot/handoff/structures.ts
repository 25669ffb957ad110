// What a loader left in memory, read from a guest that is about to enter its kernel. Whatever the memory holds, reading
// is bounded: entries, texts and tags are counted, not believed. Bytes outside RAM read as all ones.

import {
  BOOT_PARAMS,
  type Field,
  HVM_MODULE,
  HVM_START_INFO,
  MULTIBOOT_INFO,
  MULTIBOOT_MODULE,
  MULTIBOOT_VIDEO,
  MULTIBOOT2_TAGS,
  SETUP_HEADER,
  SETUP_HEADER_OFFSET,
} from './layouts.js';

/** A number, a text, or bytes as hexadecimal text. */
export type FieldValue = number | bigint | string;

/** A structure that a kernel is told of, with the guest address it lies at. */
export interface HandoffStructure {
  name: string;
  address: number;
  length: number;
  fields: (readonly [name: string, value: FieldValue])[];
}

/** An entry of a memory map as it stands in memory, whatever it says: address and length in bytes, 64 bits each. */
export interface HandoffRange {
  address: bigint;
  length: bigint;
  type: number;
}

export interface Contents {
  structures: HandoffStructure[];
  memoryMap: HandoffRange[];
}

/** Guest physical memory; always as many bytes as asked for. */
export type ReadMemory = (address: number, length: number) => Uint8Array;

const MOST_RANGES = 128;
const MOST_MODULES = 32;
const MOST_TEXT = 2048;
const MOST_TAGS = 64;
const E820_TABLE = 0x2d0;
const BOOT_PARAMS_SIZE = 4096;
/** Physical addresses have at most 52 bits; tables behind one stay exact numbers. */
const PAST_ANY_ADDRESS = 2 ** 52;
const MULTIBOOT_HAS_VIDEO = 0x1800;

export const START_INFO_MAGIC = 0x336e_c578;
export const SETUP_MAGIC = 0x5372_6448; // "HdrS"

/** hvm_start_info, command line, modules; the map is that of version 1. */
export function readStartInfo(read: ReadMemory, address: number): Contents {
  const version = word(read, address + 4);
  const length = version === 0 ? 40 : 56;
  const info = structure(read, 'hvm_start_info', address, length, HVM_START_INFO);
  const field = (name: string) => numberOf(info, name);
  const structures = [info, ...text(read, 'cmdline', field('cmdline_paddr'))];
  for (let i = 0; i < Math.min(field('nr_modules'), MOST_MODULES); i++) {
    const module = structure(read, `module ${i}`, field('modlist_paddr') + 32 * i, 32, HVM_MODULE);
    structures.push(module, ...text(read, `module ${i} cmdline`, numberOf(module, 'cmdline_paddr')));
  }
  const count = version === 0 ? 0 : field('memmap_entries');
  return { structures, memoryMap: ranges(read, field('memmap_paddr'), count, 24) };
}

/** boot_params and the command line. */
export function readBootParams(read: ReadMemory, address: number): Contents {
  const params = structure(read, 'boot_params', address, BOOT_PARAMS_SIZE, BOOT_PARAMS);
  const header = setupHeader(read, address);
  const cmdline = numberOf(header, 'cmd_line_ptr') + numberOf(params, 'ext_cmd_line_ptr') * 2 ** 32;
  return {
    structures: [params, header, ...text(read, 'cmdline', cmdline)],
    memoryMap: ranges(read, address + E820_TABLE, numberOf(params, 'e820_entries'), 20),
  };
}

/** The setup header in the setup code, before the code has run. The map is for the BIOS to tell. */
export function readSetupCode(read: ReadMemory, address: number): Contents {
  const header = setupHeader(read, address);
  return { structures: [header, ...text(read, 'cmdline', numberOf(header, 'cmd_line_ptr'))], memoryMap: [] };
}

/** Multiboot information, command line, modules, loader's name. */
export function readMultiboot(read: ReadMemory, address: number): Contents {
  const flags = word(read, address);
  const video = (flags & MULTIBOOT_HAS_VIDEO) !== 0;
  const layout = video ? [...MULTIBOOT_INFO, ...MULTIBOOT_VIDEO] : MULTIBOOT_INFO;
  const info = structure(read, 'multiboot_info', address, video ? 116 : 72, layout);
  const field = (name: string) => numberOf(info, name);
  const structures = [info];
  if (flags & 4) structures.push(...text(read, 'cmdline', field('cmdline')));
  if (flags & 8)
    for (let i = 0; i < Math.min(field('mods_count'), MOST_MODULES); i++) {
      const module = structure(read, `module ${i}`, field('mods_addr') + 16 * i, 16, MULTIBOOT_MODULE);
      structures.push(module, ...text(read, `module ${i} cmdline`, numberOf(module, 'string')));
    }
  if (flags & 0x200) structures.push(...text(read, 'boot_loader_name text', field('boot_loader_name')));
  const memoryMap: HandoffRange[] = [];
  const end = flags & 0x40 ? field('mmap_addr') + field('mmap_length') : 0;
  // Each entry says how long it is, without this word.
  for (let at = field('mmap_addr'); at + 24 <= end && memoryMap.length < MOST_RANGES; at += word(read, at) + 4)
    memoryMap.push(...ranges(read, at + 4, 1, 20));
  return { structures, memoryMap };
}

/** Multiboot2 information, tag by tag. */
export function readMultiboot2(read: ReadMemory, address: number): Contents {
  const size = word(read, address);
  const structures: HandoffStructure[] = [
    { name: 'multiboot2_info', address, length: size, fields: [['total_size', size]] },
  ];
  const memoryMap: HandoffRange[] = [];
  const seen: Record<string, number> = {};
  for (let at = address + 8; at + 8 <= address + size && structures.length <= MOST_TAGS; ) {
    const [type, length] = [word(read, at), word(read, at + 4)];
    if (type === 0 || length < 8) break;
    const { name, fields, text: textAt } = MULTIBOOT2_TAGS[type] ?? { name: `tag ${type}`, fields: [] };
    const n = seen[name] ?? 0;
    seen[name] = n + 1;
    const inside = fields.filter(([offset, bytes]) => offset + bytes <= length);
    const tag = structure(read, n === 0 && type !== 3 ? name : `${name} ${n}`, at, length, inside);
    if (textAt !== undefined) tag.fields.push(['text', textOf(read(at + textAt, clip(length - textAt, MOST_TEXT)))]);
    structures.push(tag);
    const entry = numberOf(tag, 'entry_size');
    if (type === 6 && entry >= 20) memoryMap.push(...ranges(read, at + 16, Math.floor((length - 16) / entry), entry));
    at += Math.ceil(length / 8) * 8;
  }
  return { structures, memoryMap };
}

function setupHeader(read: ReadMemory, params: number): HandoffStructure {
  // The header's end is the target of the jump over it.
  const end = 0x202 + ((word(read, params + 0x200) >>> 8) & 0xff);
  const fields = SETUP_HEADER.filter(([offset, size]) => offset + size <= end).map(
    ([offset, size, name]): Field => [offset - SETUP_HEADER_OFFSET, size, name],
  );
  const length = end - SETUP_HEADER_OFFSET;
  return structure(read, 'setup_header', params + SETUP_HEADER_OFFSET, length, fields);
}

function structure(
  read: ReadMemory,
  name: string,
  address: number,
  length: number,
  layout: readonly Field[],
): HandoffStructure {
  const last = layout.reduce((most, [offset, size]) => Math.max(most, offset + size), 0);
  const bytes = read(address, last);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields = layout.map(([offset, size, field]) => [field, valueAt(view, offset, size)] as const);
  return { name, address, length, fields };
}

function valueAt(view: DataView, offset: number, size: number): FieldValue {
  if (size === 1) return view.getUint8(offset);
  if (size === 2) return view.getUint16(offset, true);
  if (size === 4) return view.getUint32(offset, true);
  if (size === 8) return view.getBigUint64(offset, true);
  let digits = '';
  for (let i = 0; i < size; i++)
    digits += view
      .getUint8(offset + i)
      .toString(16)
      .padStart(2, '0');
  return digits;
}

/** A text as a structure of its own; none at address 0. */
function text(read: ReadMemory, name: string, address: number): HandoffStructure[] {
  if (address === 0 || address >= PAST_ANY_ADDRESS) return [];
  const found = textOf(read(address, MOST_TEXT));
  return [{ name, address, length: found.length + 1, fields: [['text', found]] }];
}

/** Characters up to the zero, one for each byte. */
function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return String.fromCharCode(...(end < 0 ? bytes : bytes.subarray(0, end)));
}

function ranges(read: ReadMemory, address: number, count: number, size: number): HandoffRange[] {
  const found: HandoffRange[] = [];
  for (let i = 0; i < Math.min(count, MOST_RANGES); i++) {
    const bytes = read(address + size * i, 20);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const [start, length] = [view.getBigUint64(0, true), view.getBigUint64(8, true)];
    found.push({ address: start, length, type: view.getUint32(16, true) });
  }
  return found;
}

function word(read: ReadMemory, address: number): number {
  const bytes = read(address, 4);
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
}

/** A field as an address or count; past any address it is 0, and nothing is read there. */
function numberOf({ fields }: HandoffStructure, name: string): number {
  const value = fields.find(([field]) => field === name)?.[1];
  const number = typeof value === 'string' ? 0 : Number(value ?? 0);
  return number < PAST_ANY_ADDRESS ? number : 0;
}

const clip = (value: number, most: number): number => Math.min(Math.max(value, 0), most);
