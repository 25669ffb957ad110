// A Multiboot kernel in memory, for both versions of the protocol: by the addresses in its header, or as the ELF file
// it is (Multiboot Specification 0.6.96, 3.1.2; Multiboot2 Specification 2.0, 3.1.5, 3.1.6). ELF64 files are taken as
// GRUB takes them: entered in 32-bit mode all the same. An entry that is a linked address becomes the physical one.
//
// Section headers are handed over; sections that the kernel does not load itself (names, symbols) are put behind it and
// their addresses filled in. Broken section headers count as none, as everywhere: no kernel needs them to boot.

import { hex } from './boot-error.js';
import { type ElfFile, elfSymbols, isElf, loadSegments, parseElf } from './elf.js';
import { elfExtent, elfMemory } from './elf-memory.js';
import { type ImageSymbol, type Segment, segmentSize } from './image.js';
import type { ImageReader } from './image-reader.js';

const PAGE = 4096;
const SHT_NULL = 0;
const SHT_NOBITS = 8;

/** What a header says of a file's place in memory; an address or size of 0 has the specification's meaning. */
export interface AddressFields {
  /** Of the header in the file, in bytes. */
  offset: number;
  headerAddress: number;
  loadAddress: number;
  loadEnd: number;
  bssEnd: number;
}

/** Section headers as the guest finds them. */
export interface SectionTable {
  count: number;
  entrySize: number;
  /** Index of the section with the names. */
  names: number;
  data: Uint8Array;
}

export interface MultibootKernel {
  segments: Segment[];
  /** Physical address of the entry, undefined when neither file nor header names one. */
  entry: number | undefined;
  low: number;
  /** First address behind the kernel and what was put there for it. */
  end: number;
  elf: ElfFile | undefined;
  sections: SectionTable | undefined;
  symbols: ImageSymbol[];
}

/**
 * A kernel whose header gives addresses.
 * @throws ImageError when they contradict each other or the file
 */
export function loadByAddresses(reader: ImageReader, fields: AddressFields): MultibootKernel {
  const { offset, headerAddress, loadAddress, loadEnd, bssEnd } = fields;
  const start = offset - (headerAddress - loadAddress);
  if (headerAddress < loadAddress || start < 0)
    throw reader.error(`header_addr ${hex(headerAddress)} and load_addr ${hex(loadAddress)} do not fit each other`);
  if (loadEnd !== 0 && loadEnd < loadAddress)
    throw reader.error(`load_end_addr ${hex(loadEnd)} lies before load_addr ${hex(loadAddress)}`);
  const size = loadEnd === 0 ? reader.length - start : loadEnd - loadAddress;
  const end = loadAddress + size;
  if (bssEnd !== 0 && bssEnd < end)
    throw reader.error(`bss_end_addr ${hex(bssEnd)} lies before the end of what is loaded, ${hex(end)}`);
  const data = reader.slice(start, size, 'the kernel');
  const zeros = bssEnd === 0 ? 0 : bssEnd - end;
  const segment = { address: loadAddress, data, zeros, role: 'kernel', source: { image: 'kernel', offset: start } };
  const none = { entry: undefined, elf: undefined, sections: undefined, symbols: [] };
  return { segments: [segment], low: loadAddress, end: end + zeros, ...none };
}

/**
 * An ELF kernel.
 * @param end of RAM
 * @throws ImageError when it is none, or does not fit
 */
export function loadElfKernel(reader: ImageReader, end: number): MultibootKernel {
  if (!isElf(reader.bytes))
    throw reader.error(
      'the multiboot header gives no addresses, and the file is no ELF file',
      'give an ELF kernel, or one whose header has the address fields',
    );
  const elf = parseElf(reader.name, reader.bytes);
  const { low, high } = elfExtent(elf);
  const segments = elfMemory(elf, end);
  const entry = physicalEntry(elf);
  return { segments, entry, low, end: high, elf, sections: undefined, symbols: elfSymbols(elf) };
}

/** The kernel somewhere else in memory, for one that says it can be moved; before withSections(). */
export function moveKernel(kernel: MultibootKernel, distance: number): MultibootKernel {
  const { entry } = kernel;
  return {
    ...kernel,
    segments: kernel.segments.map((segment) => ({ ...segment, address: segment.address + distance })),
    entry: entry === undefined ? undefined : entry + distance,
    low: kernel.low + distance,
    end: kernel.end + distance,
  };
}

/** @throws ImageError when the entry lies in nothing that was loaded */
export function checkEntry(reader: ImageReader, kernel: MultibootKernel, entry: number): void {
  const inside = kernel.segments.some((one) => entry >= one.address && entry < one.address + segmentSize(one));
  if (!inside) throw reader.error(`the entry ${hex(entry)} lies in no loaded part of the kernel`);
}

function physicalEntry(elf: ElfFile): number {
  const { entry } = elf;
  for (const { virtualAddress, physicalAddress, memorySize } of loadSegments(elf)) {
    const offset = entry - virtualAddress;
    if (offset >= 0n && offset < BigInt(memorySize)) return physicalAddress + Number(offset);
  }
  return Number(entry);
}

/** The kernel with its section headers, and behind it the sections that it does not load itself. */
export function withSections(kernel: MultibootKernel): MultibootKernel {
  const { elf } = kernel;
  if (elf === undefined || elf.sections.length === 0) return kernel;
  const { reader, bits, sections } = elf;
  const w = bits / 8;
  const number = (offset: number) =>
    bits === 32 ? reader.u32(offset, 'a section header') : Number(reader.u64(offset, 'a section header'));
  const counts = 24 + 3 * w + 10;
  const entrySize = reader.u16(counts, 'the size of a section header');
  // A copy: slice() of a Buffer would be none.
  const data = new Uint8Array(reader.slice(number(24 + 2 * w), sections.length * entrySize, 'the section headers'));
  const view = new DataView(data.buffer);
  const segments: Segment[] = [];
  let { end } = kernel;
  let total = 0;
  for (const [i, { type, address, offset, size }] of sections.entries()) {
    if (type === SHT_NULL || type === SHT_NOBITS || address !== 0n || size === 0) continue;
    total += size;
    // Sections do not share bytes; where they claim to, the table is broken.
    if (!reader.has(offset, size) || total > reader.length) return kernel;
    const start = Math.ceil(end / 16) * 16;
    if (bits === 32) view.setUint32(i * entrySize + 12, start, true);
    else view.setBigUint64(i * entrySize + 16, BigInt(start), true);
    const content = reader.bytes.subarray(offset, offset + size);
    segments.push({ address: start, data: content, role: 'section', source: { image: 'kernel', offset } });
    end = start + size;
  }
  const names = reader.u16(counts + 4, 'the index of the section names');
  const table = { count: sections.length, entrySize, names, data };
  return { ...kernel, segments: [...kernel.segments, ...segments], end, sections: table };
}

export const toPage = (value: number): number => Math.ceil(value / PAGE) * PAGE;
