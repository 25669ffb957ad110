// PVH: a 32-bit entry that an ELF note names, and one structure to tell the kernel everything. Xen's
// docs/misc/pvh.pandoc ("x86/HVM direct boot ABI") and public/arch-x86/hvm/start_info.h, version 1.
// The modules are the initial file system, then further ones in order. The structure and its tables lie at
// SETUP_ADDRESS, one after the other.

import { hex } from './boot-error.js';
import { isLinuxImage, parseLinuxImage, unpackKernel } from './bzimage.js';
import { type ElfFile, type ElfNote, elfNotes, elfSymbols, loadSegments, parseElf } from './elf.js';
import type { BootImage, MemoryRange, Segment, Structure } from './image.js';
import { cmdlineSegment, GDT_ADDRESS, type NamedFile, placeHigh, SETUP_ADDRESS, topOfLowRam } from './placement.js';
import { protectedEntry, protectedGdt } from './protected-entry.js';

const XEN_ELFNOTE_PHYS32_ENTRY = 18;
const START_INFO_MAGIC = 0x336e_c578;
const START_INFO_SIZE = 56;
const MODULE_SIZE = 32;
const MEMMAP_SIZE = 24;
/** Room for the tables between SETUP_ADDRESS and the GDT. */
const TABLES_LIMIT = GDT_ADDRESS - SETUP_ADDRESS;
/** There is no stated limit to the command line; this is what fits in conventional memory. */
const CMDLINE_LIMIT = 0x1_0000;

/** The note that makes an ELF file a PVH kernel, if it has one. */
export function pvhNote(elf: ElfFile): ElfNote | undefined {
  return elfNotes(elf).find((note) => note.name === 'Xen' && note.type === XEN_ELFNOTE_PHYS32_ENTRY);
}

export interface PvhModule extends NamedFile {
  cmdline?: string;
}

export interface PvhRequest {
  /** ELF, or a bzImage that holds one. */
  kernel: NamedFile;
  initrd?: NamedFile;
  append?: string;
  modules?: readonly PvhModule[];
  memoryMap: readonly MemoryRange[];
  /** Physical address of the RSDP; 0 or none leaves the search to the kernel. */
  rsdp?: number;
}

/** Lay out a PVH boot. Throws ImageError; the caller checks the finished image against RAM. */
export function buildPvh(request: PvhRequest): BootImage {
  const { kernel, memoryMap } = request;
  const packed = isLinuxImage(kernel.bytes);
  const bytes = packed ? unpackKernel(parseLinuxImage(kernel.name, kernel.bytes)) : kernel.bytes;
  const elf = parseElf(packed ? `${kernel.name} (unpacked)` : kernel.name, bytes);
  const entry = pvhEntry(elf);
  const image = packed ? 'kernel.unpacked' : 'kernel';
  const segments: Segment[] = loadSegments(elf).map((program) => ({
    address: program.physicalAddress,
    data: bytes.subarray(program.offset, program.offset + program.fileSize),
    zeros: program.memorySize - program.fileSize,
    role: 'kernel',
    source: { image, offset: program.offset },
  }));
  const kernelEnd = segments.reduce((end, one) => Math.max(end, one.address + one.data.length + one.zeros!), 0);

  const files: PvhModule[] = request.initrd ? [request.initrd] : [];
  files.push(...(request.modules ?? []));
  let highest = topOfLowRam(memoryMap) - 1;
  const modules = files.map((file, index) => {
    const role = request.initrd && index === 0 ? 'initrd' : 'module';
    const segment = placeHigh(file, role, highest, kernelEnd);
    highest = segment.address - 1;
    return segment;
  });
  const cmdline = cmdlineSegment(request.append ?? '', CMDLINE_LIMIT);
  const setup = startInfo(request, files, modules, cmdline);
  if (setup.data.length > TABLES_LIMIT) {
    throw elf.reader.error(
      'there are too many modules for the boot information',
      'give fewer or shorter ones with --module',
    );
  }

  const gdt = { address: GDT_ADDRESS, data: protectedGdt(), role: 'gdt' };
  segments.push(...modules, cmdline, { address: SETUP_ADDRESS, data: setup.data, role: 'hvm_start_info' }, gdt);
  return {
    route: 'pvh',
    segments,
    entry: protectedEntry({ rbx: BigInt(SETUP_ADDRESS) }, entry, GDT_ADDRESS),
    structures: [...setup.structures, { name: 'cmdline', address: cmdline.address, length: cmdline.data.length }],
    symbols: elfSymbols(elf),
  };
}

/** The entry that the note names. @throws ImageError when there is none, or it lies outside the kernel */
export function pvhEntry(elf: ElfFile): number {
  const { reader } = elf;
  const note = pvhNote(elf);
  if (!note) {
    throw reader.error(
      'there is no Xen note of type 18, which names the PVH entry',
      'build it with CONFIG_PVH, or choose another --boot route',
    );
  }
  const length = note.description.length;
  if (length !== 4 && length !== 8) {
    throw reader.error(`the PVH entry note at offset ${hex(note.offset)} has ${length} bytes, neither 4 nor 8`);
  }
  const view = new DataView(note.description.buffer, note.description.byteOffset, length);
  const entry = length === 4 ? BigInt(view.getUint32(0, true)) : view.getBigUint64(0, true);
  const inside = loadSegments(elf).some(
    ({ physicalAddress, fileSize }) => entry >= physicalAddress && entry < physicalAddress + fileSize,
  );
  if (!inside || entry >= 1n << 32n) {
    throw reader.error(
      `the PVH entry ${hex(entry)} (note at offset ${hex(note.offset)}) lies in no loaded segment below 4 GiB`,
    );
  }
  return Number(entry);
}

/** hvm_start_info, memory map, module list and the modules' command lines, in this order. */
function startInfo(request: PvhRequest, files: readonly PvhModule[], modules: readonly Segment[], cmdline: Segment) {
  const { memoryMap } = request;
  const texts = files.map((file) =>
    file.cmdline === undefined ? undefined : new TextEncoder().encode(`${file.cmdline}\0`),
  );
  const memmap = START_INFO_SIZE;
  const modlist = memmap + MEMMAP_SIZE * memoryMap.length;
  let end = modlist + MODULE_SIZE * modules.length;
  const textOffsets = texts.map((text) => {
    const at = end;
    end += text?.length ?? 0;
    return at;
  });
  const data = new Uint8Array(end);
  const view = new DataView(data.buffer);
  const u32 = (offset: number, value: number) => view.setUint32(offset, value, true);
  const u64 = (offset: number, value: number) => view.setBigUint64(offset, BigInt(value), true);
  u32(0, START_INFO_MAGIC);
  u32(4, 1);
  u32(12, modules.length);
  u64(16, modules.length > 0 ? SETUP_ADDRESS + modlist : 0);
  u64(24, cmdline.address);
  u64(32, request.rsdp ?? 0);
  u64(40, SETUP_ADDRESS + memmap);
  u32(48, memoryMap.length);
  memoryMap.forEach(({ address, length, type }, index) => {
    const at = memmap + MEMMAP_SIZE * index;
    u64(at, address);
    u64(at + 8, length);
    u32(at + 16, type);
  });
  modules.forEach((segment, index) => {
    const at = modlist + MODULE_SIZE * index;
    const text = texts[index];
    u64(at, segment.address);
    u64(at + 8, segment.data.length);
    u64(at + 16, text ? SETUP_ADDRESS + textOffsets[index]! : 0);
    if (text) data.set(text, textOffsets[index]!);
  });
  const at = (name: string, offset: number, length: number): Structure => ({
    name,
    address: SETUP_ADDRESS + offset,
    length,
  });
  const structures = [
    at('hvm_start_info', 0, START_INFO_SIZE),
    at('hvm_memmap', memmap, MEMMAP_SIZE * memoryMap.length),
  ];
  if (modules.length > 0) structures.push(at('hvm_modlist', modlist, MODULE_SIZE * modules.length));
  return { data, structures };
}
