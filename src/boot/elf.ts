// ELF32 and ELF64 files, little-endian, as kernels are built: header, program headers, notes, section headers,
// symbols. System V ABI, chapters 4 and 5; ELF-64 Object File Format. The file is untrusted: tables are checked
// to lie in the file before they are walked, so time and memory are bounded by the file's size.
//
// Left out on purpose: relocation (kernels are loaded where they say), big-endian files, more than 65534 program
// headers (PN_XNUM).

import { hex } from './boot-error.js';
import type { ImageSymbol } from './image.js';
import { ImageReader } from './image-reader.js';

export const PT_LOAD = 1;
export const PT_NOTE = 4;
export const EM_386 = 3;
export const EM_X86_64 = 62;
const SHT_SYMTAB = 2;
const SHT_NOBITS = 8;

export interface ElfProgram {
  type: number;
  flags: number;
  /** Place in the file, in bytes. */
  offset: number;
  /** Address the code is linked for. */
  virtualAddress: bigint;
  /** Address a loader puts it at. */
  physicalAddress: number;
  fileSize: number;
  memorySize: number;
  align: number;
}

export interface ElfSection {
  /** Offset of the name in the section name table. */
  name: number;
  type: number;
  address: bigint;
  offset: number;
  size: number;
  /** Section index of the table of names, for a symbol table. */
  link: number;
  entrySize: number;
}

export interface ElfNote {
  name: string;
  type: number;
  description: Uint8Array;
  /** Place of the note in the file. */
  offset: number;
}

export interface ElfFile {
  reader: ImageReader;
  /** 32 or 64. */
  bits: 32 | 64;
  machine: number;
  entry: bigint;
  programs: ElfProgram[];
  sections: ElfSection[];
}

export function isElf(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

/**
 * Read the header, the program headers and the section headers.
 * @throws ImageError for anything that is not a whole little-endian x86 ELF executable
 */
export function parseElf(name: string, bytes: Uint8Array): ElfFile {
  const reader = new ImageReader(name, bytes);
  if (!isElf(bytes))
    throw reader.error('there is no ELF magic at offset 0', 'give an ELF kernel, or another --boot route');
  const elfClass = reader.u8(4, 'the ELF class');
  if (elfClass !== 1 && elfClass !== 2) throw reader.error(`the ELF class at offset 4 is ${elfClass}, neither 1 nor 2`);
  if (reader.u8(5, 'the byte order') !== 1) {
    throw reader.error('the byte order at offset 5 is not little-endian', 'give a kernel for x86');
  }
  const bits = elfClass === 1 ? 32 : 64;
  reader.check(0, bits === 32 ? 52 : 64, 'the ELF header');
  const machine = reader.u16(18, 'the machine');
  if (machine !== EM_386 && machine !== EM_X86_64) {
    throw reader.error(`the machine at offset 18 is ${machine}, not x86 (3 or 62)`, 'give a kernel for x86');
  }
  const word = (offset: number, what: string) =>
    bits === 32 ? BigInt(reader.u32(offset, what)) : reader.u64(offset, what);
  const size = (offset: number, what: string) => (bits === 32 ? reader.u32(offset, what) : reader.size64(offset, what));
  const w = bits / 8;
  const entry = word(24, 'the entry address');
  const programOffset = size(24 + w, 'the offset of the program headers');
  const sectionOffset = size(24 + 2 * w, 'the offset of the section headers');
  const counts = 24 + 3 * w + 4;
  const programSize = reader.u16(counts + 2, 'the size of a program header');
  const programCount = reader.u16(counts + 4, 'the count of program headers');
  const sectionSize = reader.u16(counts + 6, 'the size of a section header');
  const sectionCount = reader.u16(counts + 8, 'the count of section headers');
  if (programCount === 0xffff)
    throw reader.error(`the count of program headers at offset ${hex(counts + 4)} is 0xffff`);
  const minimum = bits === 32 ? { program: 32, section: 40 } : { program: 56, section: 64 };
  if (programCount > 0 && programSize < minimum.program) {
    throw reader.error(`the size of a program header at offset ${hex(counts + 2)} is ${programSize}, too small`);
  }
  reader.check(programOffset, programCount * programSize, 'the program header table');

  const programs: ElfProgram[] = [];
  for (let i = 0; i < programCount; i++) {
    const at = programOffset + i * programSize;
    const what = `program header ${i}`;
    const place = at + (bits === 32 ? 4 : 8);
    const program: ElfProgram = {
      type: reader.u32(at, what),
      flags: reader.u32(at + (bits === 32 ? 24 : 4), what),
      offset: size(place, what),
      virtualAddress: word(place + w, what),
      physicalAddress: size(place + 2 * w, what),
      fileSize: size(place + 3 * w, what),
      memorySize: size(place + 4 * w, what),
      align: bits === 32 ? reader.u32(at + 28, what) : Number(reader.u64(at + 48, what)),
    };
    if (program.type === PT_LOAD || program.type === PT_NOTE) {
      reader.check(program.offset, program.fileSize, `the data of ${what}`);
      if (program.type === PT_LOAD && program.memorySize < program.fileSize) {
        throw reader.error(`${what} at offset ${hex(at)} has more bytes in the file than in memory`);
      }
    }
    programs.push(program);
  }
  checkOverlap(reader, programs);

  // Section headers serve only to find symbols; a kernel boots without, so a broken table counts as none.
  const sections: ElfSection[] = [];
  if (sectionSize >= minimum.section && reader.has(sectionOffset, sectionCount * sectionSize)) {
    for (let i = 0; i < sectionCount; i++) {
      const at = sectionOffset + i * sectionSize;
      const what = `section header ${i}`;
      const number = (offset: number) => Number(word(offset, what));
      sections.push({
        name: reader.u32(at, what),
        type: reader.u32(at + 4, what),
        address: word(at + 8 + w, what),
        offset: number(at + 8 + 2 * w),
        size: number(at + 8 + 3 * w),
        link: reader.u32(at + 8 + 4 * w, what),
        entrySize: number(at + 8 + 4 * w + 8 + w),
      });
    }
  }
  return { reader, bits, machine, entry, programs, sections };
}

function checkOverlap(reader: ImageReader, programs: readonly ElfProgram[]): void {
  const loads = programs
    .map((program, index) => ({ ...program, index }))
    .filter((program) => program.type === PT_LOAD && program.memorySize > 0)
    .sort((a, b) => a.physicalAddress - b.physicalAddress);
  for (let i = 1; i < loads.length; i++) {
    const [before, after] = [loads[i - 1]!, loads[i]!];
    if (after.physicalAddress < before.physicalAddress + before.memorySize) {
      throw reader.error(
        `the segments of program headers ${before.index} and ${after.index} overlap at physical address ` +
          hex(after.physicalAddress),
      );
    }
  }
}

/** The loadable segments that occupy memory, in file order. */
export function loadSegments(elf: ElfFile): ElfProgram[] {
  return elf.programs.filter((program) => program.type === PT_LOAD && program.memorySize > 0);
}

/** Every note of the PT_NOTE segments. Throws ImageError when a note runs past its segment. */
export function elfNotes(elf: ElfFile): ElfNote[] {
  const notes: ElfNote[] = [];
  const { reader } = elf;
  for (const program of elf.programs) {
    if (program.type !== PT_NOTE) continue;
    // Fields are padded to 4 bytes, or to 8 in segments aligned so (gABI, "Note Section").
    const align = program.align === 8 ? 8 : 4;
    const up = (value: number) => Math.ceil(value / align) * align;
    const end = program.offset + program.fileSize;
    for (let at = program.offset; at + 12 <= end; ) {
      const nameSize = reader.u32(at, 'a note');
      const descriptionSize = reader.u32(at + 4, 'a note');
      const description = at + up(12 + nameSize);
      if (at + 12 + nameSize > end || description + descriptionSize > end) {
        throw reader.error(`the note at offset ${hex(at)} runs past its segment, which ends at ${hex(end)}`);
      }
      // Names are short words; a long one is no name that anybody looks for.
      const name = reader.slice(at + 12, Math.min(nameSize, 64), 'the name of a note');
      const zero = name.indexOf(0);
      notes.push({
        name: latin1(zero < 0 ? name : name.subarray(0, zero)),
        type: reader.u32(at + 8, 'a note'),
        description: reader.slice(description, descriptionSize, 'the content of a note'),
        offset: at,
      });
      at += up(description - at + descriptionSize);
    }
  }
  return notes;
}

/** Longest symbol name kept, in bytes. */
const NAME_LIMIT = 512;

/**
 * Names of functions and objects from the symbol table, by ascending address; empty for a stripped file.
 * Broken entries are left out: symbols decorate reports and stop nothing.
 */
export function elfSymbols(elf: ElfFile): ImageSymbol[] {
  const { reader, sections, bits } = elf;
  const symbols: ImageSymbol[] = [];
  const entry = bits === 32 ? 16 : 24;
  const table = sections.find((section) => section.type === SHT_SYMTAB);
  const names = table && sections[table.link];
  if (!table || !names || names.type === SHT_NOBITS) return symbols;
  if (table.entrySize !== entry || !reader.has(table.offset, table.size)) return symbols;
  if (!reader.has(names.offset, names.size)) return symbols;
  const text = reader.bytes.subarray(names.offset, names.offset + names.size);
  for (let at = table.offset; at + entry <= table.offset + table.size; at += entry) {
    const nameOffset = reader.u32(at, 'a symbol');
    const info = reader.u8(at + (bits === 32 ? 12 : 4), 'a symbol');
    const section = reader.u16(at + (bits === 32 ? 14 : 6), 'a symbol');
    const type = info & 0xf;
    // NOTYPE (0) too: hand-written assembly, where boots fail, rarely gives types.
    if (type > 2 || section === 0 || nameOffset === 0 || nameOffset >= text.length) continue;
    const end = text.indexOf(0, nameOffset);
    if (end < 0 || end === nameOffset || end - nameOffset > NAME_LIMIT) continue;
    symbols.push({
      name: latin1(text.subarray(nameOffset, end)),
      address: bits === 32 ? BigInt(reader.u32(at + 4, 'a symbol')) : reader.u64(at + 8, 'a symbol'),
      size: bits === 32 ? reader.u32(at + 8, 'a symbol') : Number(reader.u64(at + 16, 'a symbol')),
    });
  }
  return symbols.sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : a.name < b.name ? -1 : 1));
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
