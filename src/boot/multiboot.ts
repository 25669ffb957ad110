// Multiboot (version 1) with the program as loader. Multiboot Specification 0.6.96: 3.1 header, 3.2 machine state, 3.3
// information structure. Memory, command line, modules, ELF sections, memory map and loader's name are always there, a
// framebuffer where it is asked for and the machine has a screen.
//
// Left out on purpose, and so not flagged: boot device and drives (there is no BIOS that numbered them), a.out symbols,
// ROM configuration table, APM, VBE. Flags 0 to 15 that nobody has defined are requirements, and refused.

import { hex } from './boot-error.js';
import { commandLine } from './firmware-items.js';
import type { BootImage, Structure } from './image.js';
import { ImageReader } from './image-reader.js';
import {
  kernelLine,
  LOADER_NAME,
  lowerAndUpper,
  type MultibootRequest,
  multibootEntry,
  placeBlock,
  placeModules,
} from './multiboot-boot.js';
import { findMultibootHeader } from './multiboot-header.js';
import { checkEntry, loadByAddresses, loadElfKernel, type MultibootKernel, withSections } from './multiboot-kernel.js';
import { topOfLowRam } from './placement.js';
import { protectedGdt } from './protected-entry.js';
import { chooseMode, describeMode, type Screen, TEXT_MODE, type VideoMode } from './video-mode.js';

const BOOTLOADER_MAGIC = 0x2bad_b002;
const WANTS_VIDEO = 4;
const REQUIRED = 0xffff;
const KNOWN_REQUIRED = 7;
const HAS_ADDRESSES = 0x1_0000;
const INFO_SIZE = 116;
const MODULE_SIZE = 16;
const RANGE_SIZE = 24;
const GDT_SIZE = 32;

/** Bits of the information structure's flags. */
const [MEMORY, CMDLINE, MODULES, SECTIONS, MAP, NAME, FRAMEBUFFER] = [1, 4, 8, 0x20, 0x40, 0x200, 0x1000];
const LINEAR_GRAPHICS = 0;

/** Lay out a Multiboot kernel. Throws ImageError; the caller checks the finished image against RAM. */
export function buildMultiboot(request: MultibootRequest): BootImage {
  const reader = new ImageReader(request.kernel.name, request.kernel.bytes);
  const at = findMultibootHeader(reader.bytes);
  if (at === undefined)
    throw reader.error(
      'there is no multiboot header in the first 8192 bytes',
      'give a multiboot kernel, or choose another --boot route',
    );
  const what = 'the multiboot header';
  const flags = reader.u32(at + 4, what);
  const unknown = flags & REQUIRED & ~KNOWN_REQUIRED;
  if (unknown !== 0)
    throw reader.error(
      `the multiboot header (offset ${hex(at)}) requires ${hex(unknown)}, which no loader knows`,
      'the kernel needs another loader',
    );
  const { kernel: loaded, entry } = load(reader, at, flags, topOfLowRam(request.memoryMap));
  const kernel = withSections(loaded);
  checkEntry(reader, kernel, entry);
  const { modules, end } = placeModules(request, kernel.end);
  const others = [...kernel.segments, ...modules.map(({ segment }) => segment)];
  const video = request.screen && wantedMode(reader, at, flags, request.screen);

  const lines = [kernelLine(request), ...modules.map(({ line }) => line), commandLine(LOADER_NAME)];
  const mapAt = INFO_SIZE;
  const listAt = mapAt + RANGE_SIZE * request.memoryMap.length;
  const linesAt = listAt + MODULE_SIZE * modules.length;
  const sectionsAt = align(linesAt + lines.reduce((sum, line) => sum + line.length, 0), 8);
  const gdtAt = align(sectionsAt + (kernel.sections?.data.length ?? 0), 8);
  const data = new Uint8Array(gdtAt + GDT_SIZE);
  const base = placeBlock(data.length, others, end);
  const view = new DataView(data.buffer);
  const put = (offset: number, value: number) => view.setUint32(offset, value, true);
  const put64 = (offset: number, value: number) => view.setBigUint64(offset, BigInt(value), true);

  request.memoryMap.forEach(({ address, length, type }, i) => {
    const range = mapAt + RANGE_SIZE * i;
    put(range, RANGE_SIZE - 4);
    put64(range + 4, address);
    put64(range + 12, length);
    put(range + 20, type);
  });
  const lineAddresses = writeLines(data, linesAt, lines, base);
  modules.forEach(({ segment }, i) => {
    const module = listAt + MODULE_SIZE * i;
    put(module, segment.address);
    put(module + 4, segment.address + segment.data.length);
    put(module + 8, lineAddresses[i + 1]!);
  });
  data.set(protectedGdt(), gdtAt);

  put(0, MEMORY | CMDLINE | MODULES | MAP | NAME | (kernel.sections ? SECTIONS : 0) | (video ? FRAMEBUFFER : 0));
  const [lower, upper] = lowerAndUpper(request.memoryMap);
  put(4, lower);
  put(8, upper);
  put(16, lineAddresses[0]!);
  put(20, modules.length);
  put(24, base + listAt);
  if (kernel.sections) {
    data.set(kernel.sections.data, sectionsAt);
    put(28, kernel.sections.count);
    put(32, kernel.sections.entrySize);
    put(36, base + sectionsAt);
    put(40, kernel.sections.names);
  }
  put(44, RANGE_SIZE * request.memoryMap.length);
  put(48, base + mapAt);
  put(64, lineAddresses.at(-1)!);
  if (video) putVideo(view, video);

  const structure = (name: string, offset: number, length: number): Structure => ({
    name,
    address: base + offset,
    length,
  });
  return {
    route: 'multiboot',
    segments: [...others, { address: base, data, role: 'multiboot_info' }],
    entry: multibootEntry(BOOTLOADER_MAGIC, base, entry, base + gdtAt),
    structures: [structure('multiboot_info', 0, INFO_SIZE), structure('cmdline', linesAt, lines[0]!.length)],
    symbols: kernel.symbols,
    ...(video && video !== TEXT_MODE && { video }),
  };
}

/** The mode that the header asks for. */
function wantedMode(reader: ImageReader, at: number, flags: number, screen: Screen): VideoMode | undefined {
  if ((flags & WANTS_VIDEO) === 0) return undefined;
  const [type, width, height, depth] = [32, 36, 40, 44].map((n) => reader.u32(at + n, 'the multiboot header')) as [
    number,
    number,
    number,
    number,
  ];
  return type === LINEAR_GRAPHICS ? chooseMode(screen, { width, height, depth }) : TEXT_MODE;
}

function load(reader: ImageReader, at: number, flags: number, end: number): { kernel: MultibootKernel; entry: number } {
  if ((flags & HAS_ADDRESSES) === 0) {
    const kernel = loadElfKernel(reader, end);
    return { kernel, entry: kernel.entry! };
  }
  const field = (n: number) => reader.u32(at + n, 'the address fields of the multiboot header');
  const kernel = loadByAddresses(reader, {
    offset: at,
    headerAddress: field(12),
    loadAddress: field(16),
    loadEnd: field(20),
    bssEnd: field(24),
  });
  return { kernel, entry: field(28) };
}

/** framebuffer_addr and what follows it. */
function putVideo(view: DataView, mode: VideoMode): void {
  const { address, pitch, width, height } = mode;
  const { depth, type, colours } = describeMode(mode);
  view.setBigUint64(88, BigInt(address), true);
  view.setUint32(96, pitch, true);
  view.setUint32(100, width, true);
  view.setUint32(104, height, true);
  view.setUint8(108, depth);
  view.setUint8(109, type);
  for (const [i, value] of colours.entries()) view.setUint8(110 + i, value);
}

/** One line behind the other from `at` on. @returns their guest addresses */
function writeLines(data: Uint8Array, at: number, lines: readonly Uint8Array[], base: number): number[] {
  let next = at;
  return lines.map((line) => {
    const start = next;
    data.set(line, start);
    next += line.length;
    return base + start;
  });
}

const align = (value: number, to: number): number => Math.ceil(value / to) * to;
