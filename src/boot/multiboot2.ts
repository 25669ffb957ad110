// Multiboot2 with the program as loader. Multiboot2 Specification 2.0: 3.1 header and its tags, 3.3 machine state, 3.6
// boot information. On a BIOS machine the EFI tags of a header have no meaning and are passed over, as the
// specification says; every other tag that is neither known nor optional is refused.
//
// Left out on purpose: boot device, VBE, APM, network and EFI information, which there is none of here.

import { hex } from './boot-error.js';
import { commandLine } from './firmware-items.js';
import type { BootImage } from './image.js';
import { ImageReader } from './image-reader.js';
import {
  kernelLine,
  LOADER_NAME,
  lowerAndUpper,
  type MultibootRequest,
  multibootEntry,
  type PlacedModule,
  placeBlock,
  placeModules,
} from './multiboot-boot.js';
import { findMultiboot2Header } from './multiboot-header.js';
import {
  checkEntry,
  loadByAddresses,
  loadElfKernel,
  type MultibootKernel,
  moveKernel,
  withSections,
} from './multiboot-kernel.js';
import { topOfLowRam } from './placement.js';
import { protectedGdt } from './protected-entry.js';
import { chooseMode, describeMode, TEXT_MODE, type VideoMode, type WantedMode } from './video-mode.js';

const BOOTLOADER_MAGIC = 0x36d7_6289;
const ARCHITECTURE_I386 = 0;
const OPTIONAL = 1;
/** Types of header tags. */
const [END, REQUEST, ADDRESS, ENTRY, CONSOLE, FRAMEBUFFER, ALIGN, EFI_SERVICES, EFI32, EFI64, RELOCATABLE] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
];
/** The last type of boot information that the specification names. */
const LAST_INFORMATION = 21;
const RANGE_SIZE = 24;
const CONSOLE_REQUIRED = 1;
const EGA_TEXT_SUPPORTED = 2;
const PREFER_HIGH = 2;
const PREFER_NONE = 0;

/** What the header asks for. */
interface Header {
  addresses?: { headerAddress: number; loadAddress: number; loadEnd: number; bssEnd: number };
  entry?: number;
  relocatable?: { low: number; high: number; align: number; preference: number };
  /** The mode that a framebuffer tag asks for. */
  mode?: WantedMode;
  /** It can do with text. */
  text?: boolean;
}

/** Lay out a Multiboot2 kernel. Throws ImageError; the caller checks the finished image against RAM. */
export function buildMultiboot2(request: MultibootRequest): BootImage {
  const reader = new ImageReader(request.kernel.name, request.kernel.bytes);
  const at = findMultiboot2Header(reader.bytes);
  if (at === undefined)
    throw reader.error(
      'there is no multiboot2 header in the first 32768 bytes',
      'give a multiboot2 kernel, or choose another --boot route',
    );
  const header = readHeader(reader, at, request.screen !== undefined);
  const top = topOfLowRam(request.memoryMap);
  const loaded = header.addresses
    ? loadByAddresses(reader, { offset: at, ...header.addresses })
    : loadElfKernel(reader, top);
  const distance = header.relocatable ? distanceTo(reader, loaded, header.relocatable, top) : 0;
  const kernel = withSections(moveKernel(loaded, distance));
  // The entry tag's address is where the entry would be if the kernel were not moved.
  const entry = header.entry === undefined ? kernel.entry : header.entry + distance;
  if (entry === undefined)
    throw reader.error(`the multiboot2 header (offset ${hex(at)}) gives addresses, but no entry`, 'add an entry tag');
  checkEntry(reader, kernel, entry);
  const { modules, end } = placeModules(request, kernel.end);
  const others = [...kernel.segments, ...modules.map(({ segment }) => segment)];
  const base = header.relocatable && kernel.low;
  const mode = header.mode && request.screen && chooseMode(request.screen, header.mode);
  const video = mode ?? (request.screen && header.text ? TEXT_MODE : undefined);
  const info = information(request, kernel, modules, video, base);
  const gdtAt = info.length;
  const data = new Uint8Array(gdtAt + 32);
  data.set(info);
  data.set(protectedGdt(), gdtAt);
  const address = placeBlock(data.length, others, end);
  return {
    route: 'multiboot2',
    segments: [...others, { address, data, role: 'multiboot2_info' }],
    entry: multibootEntry(BOOTLOADER_MAGIC, address, entry, address + gdtAt),
    structures: [{ name: 'multiboot2_info', address, length: info.length }],
    symbols: kernel.symbols,
    ...(mode && { video: mode }),
  };
}

function readHeader(reader: ImageReader, at: number, screen: boolean): Header {
  const what = 'the multiboot2 header';
  const architecture = reader.u32(at + 4, what);
  if (architecture !== ARCHITECTURE_I386)
    throw reader.error(
      `the multiboot2 header (offset ${hex(at)}) is for architecture ${architecture}, not i386 (0)`,
      'give a kernel for x86',
    );
  const end = at + reader.u32(at + 8, what);
  reader.check(at, end - at, what);
  const header: Header = {};
  for (let tag = at + 16; ; ) {
    if (tag + 8 > end)
      throw reader.error(`the tags of the multiboot2 header (offset ${hex(at)}) have no end tag within its length`);
    const [type, flags, size] = [reader.u16(tag, what), reader.u16(tag + 2, what), reader.u32(tag + 4, what)];
    if (size < 8 || tag + size > end)
      throw reader.error(`the multiboot2 header tag at offset ${hex(tag)} claims ${size} bytes, which do not fit`);
    if (type === END) return header;
    readTag(reader, { tag, type, size, optional: (flags & OPTIONAL) !== 0 }, header, screen);
    tag += align8(size);
  }
}

function readTag(
  reader: ImageReader,
  { tag, type, size, optional }: { tag: number; type: number; size: number; optional: boolean },
  header: Header,
  screen: boolean,
): void {
  const word = (index: number): number => {
    if (8 + 4 * index + 4 > size)
      throw reader.error(
        `the multiboot2 header tag of type ${type} at offset ${hex(tag)} is too short (${size} bytes)`,
      );
    return reader.u32(tag + 8 + 4 * index, 'a multiboot2 header tag');
  };
  const refuse = (problem: string): void => {
    if (!optional)
      throw reader.error(
        `the multiboot2 header tag at offset ${hex(tag)} ${problem}`,
        'the kernel needs another loader',
      );
  };
  switch (type) {
    case REQUEST:
      for (let i = 0; i < Math.floor((size - 8) / 4); i++)
        if (word(i) > LAST_INFORMATION) refuse(`requires information of type ${word(i)}, which no loader knows`);
      break;
    case ADDRESS:
      header.addresses = { headerAddress: word(0), loadAddress: word(1), loadEnd: word(2), bssEnd: word(3) };
      // A load address of -1 means the file's beginning.
      if (header.addresses.loadAddress === 0xffff_ffff)
        header.addresses.loadAddress = header.addresses.headerAddress - (findMultiboot2Header(reader.bytes) ?? 0);
      break;
    case ENTRY:
      header.entry = word(0);
      break;
    case CONSOLE:
      if (word(0) & CONSOLE_REQUIRED && !screen) refuse('requires a console on a screen, and the machine has none');
      if (word(0) & EGA_TEXT_SUPPORTED) header.text = true;
      break;
    case FRAMEBUFFER:
      // A recommendation; depth 0 with a size is text.
      if (word(2) !== 0 || word(0) === 0) header.mode = { width: word(0), height: word(1), depth: word(2) };
      else header.text = true;
      break;
    case RELOCATABLE:
      header.relocatable = { low: word(0), high: word(1), align: word(2), preference: word(3) };
      break;
    case ALIGN:
    case EFI_SERVICES:
    case EFI32:
    case EFI64:
      break;
    default:
      refuse(`is of type ${type}, which no loader knows`);
  }
}

/** How far a movable kernel goes from where it is linked. @throws ImageError when its range has no room */
function distanceTo(
  reader: ImageReader,
  kernel: MultibootKernel,
  { low, high, align, preference }: NonNullable<Header['relocatable']>,
  top: number,
): number {
  const size = kernel.end - kernel.low;
  const unit = align === 0 ? 1 : align;
  const lowest = Math.ceil(Math.max(low, 0x10_0000) / unit) * unit;
  const highest = Math.floor((Math.min(high + 1, top) - size) / unit) * unit;
  const fits = (address: number) => address >= lowest && address <= highest;
  if (highest < lowest)
    throw reader.error(
      `the kernel has ${size} bytes and may lie from ${hex(low)} to ${hex(high)} only, where there is no room`,
      'give the guest more memory with --memory',
    );
  if (preference === PREFER_NONE && fits(kernel.low) && kernel.low % unit === 0) return 0;
  return (preference === PREFER_HIGH ? highest : lowest) - kernel.low;
}

/** The boot information: total size, reserved, then tags on 8 bytes each. */
function information(
  request: MultibootRequest,
  kernel: MultibootKernel,
  modules: readonly PlacedModule[],
  video: VideoMode | undefined,
  base: number | undefined,
): Uint8Array {
  const { memoryMap, rsdpTable } = request;
  const parts: Uint8Array[] = [];
  const tag = (type: number, content: Uint8Array) => {
    const data = new Uint8Array(align8(8 + content.length));
    const view = new DataView(data.buffer);
    view.setUint32(0, type, true);
    view.setUint32(4, 8 + content.length, true);
    data.set(content, 8);
    parts.push(data);
  };
  const words = (...values: number[]) => {
    const data = new Uint8Array(4 * values.length);
    const view = new DataView(data.buffer);
    for (const [i, value] of values.entries()) view.setUint32(4 * i, value, true);
    return data;
  };
  tag(1, kernelLine(request));
  tag(2, commandLine(LOADER_NAME));
  for (const { segment, line } of modules)
    tag(3, joined(words(segment.address, segment.address + segment.data.length), line));
  tag(4, words(...lowerAndUpper(memoryMap)));
  const map = new Uint8Array(RANGE_SIZE * memoryMap.length);
  const ranges = new DataView(map.buffer);
  memoryMap.forEach(({ address, length, type }, i) => {
    ranges.setBigUint64(RANGE_SIZE * i, BigInt(address), true);
    ranges.setBigUint64(RANGE_SIZE * i + 8, BigInt(length), true);
    ranges.setUint32(RANGE_SIZE * i + 16, type, true);
  });
  tag(6, joined(words(RANGE_SIZE, 0), map));
  if (video) {
    const { address, pitch, width, height } = video;
    const { depth, type, colours } = describeMode(video);
    tag(8, joined(words(address, 0, pitch, width, height), Uint8Array.of(depth, type, 0, 0), colours));
  }
  const { sections } = kernel;
  if (sections) tag(9, joined(words(sections.count, sections.entrySize, sections.names), sections.data));
  if (rsdpTable) tag(rsdpTable[15]! >= 2 ? 15 : 14, rsdpTable[15]! >= 2 ? rsdpTable : rsdpTable.subarray(0, 20));
  if (base !== undefined) tag(LAST_INFORMATION, words(base));
  tag(0, new Uint8Array(0));
  const size = parts.reduce((sum, part) => sum + part.length, 8);
  return joined(words(size, 0), ...parts);
}

const align8 = (value: number): number => Math.ceil(value / 8) * 8;

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const data = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  return data;
}
