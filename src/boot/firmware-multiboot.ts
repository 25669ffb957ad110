// A multiboot kernel for multiboot.bin and multiboot_dma.bin: one block with kernel, module list, command lines and
// modules, and the information structure, which the option ROM completes (Multiboot Specification 0.6.96, 3.1.3 and
// 3.3; layout of the block as in QEMU 7.2, hw/i386/multiboot.c). Of an ELF file QEMU writes the segments into RAM as
// well; the option ROM writes the same bytes once more.
//
// Where QEMU puts paths into command lines, there are base names here: a trace must not depend on where files lie.

import { FW_CFG } from '../platform/devices/fw-cfg.js';
import { hex } from './boot-error.js';
import { EM_X86_64, elfSymbols, isElf, parseElf } from './elf.js';
import { elfExtent, elfMemory } from './elf-memory.js';
import { commandLine, type FirmwareLoad, type FirmwareRequest, item32 } from './firmware-items.js';
import type { ImageSymbol, Segment } from './image.js';
import { ImageReader } from './image-reader.js';

const HAS_ADDRESSES = 0x1_0000;
/** Where the option ROM writes the memory map, and the information structure behind it. */
const MAP_ADDRESS = 0x9000;
const INFO_ADDRESS = MAP_ADDRESS + 0x500;
const INFO_SIZE = 88;
const MODULE_SIZE = 16;
/** Memory, boot device, command line, modules, memory map, loader's name. */
const INFO_FLAGS = 0x24f;
const BOOT_DEVICE = 0x8000_ffff;
const LOADER_NAME = 'qemu';
const PAGE = 4096;

interface LoadedKernel {
  address: number;
  entry: number;
  /** File content and zeros behind it. */
  memory: Uint8Array;
  segments: Segment[];
  symbols: readonly ImageSymbol[];
}

/** @throws ImageError */
export function multibootItems(request: FirmwareRequest, headerAt: number): Omit<FirmwareLoad, 'rom'> {
  const { kernel: file } = request;
  const reader = new ImageReader(file.name, file.bytes);
  const flags = reader.u32(headerAt + 4, 'the multiboot header');
  const kernel = flags & HAS_ADDRESSES ? loadByHeader(reader, headerAt, request) : loadElf(reader, request);
  const name = baseName(file.name);
  const kernelLine = commandLine(`${name} ${request.append ?? ''}`);
  const modules = [...(request.initrd ? [request.initrd] : []), ...(request.modules ?? [])].map((module) => {
    const arguments_ = 'cmdline' in module && module.cmdline ? ` ${module.cmdline}` : '';
    return { bytes: module.bytes, line: commandLine(baseName(module.name) + arguments_) };
  });

  // Kernel, module list, command lines (modules first), loader's name; then each module on a page of its own.
  const listAt = toPage(kernel.memory.length);
  const linesAt = listAt + MODULE_SIZE * modules.length;
  const lineBytes = modules.reduce((sum, { line }) => sum + line.length, kernelLine.length);
  const nameAt = linesAt + lineBytes;
  const starts: number[] = [];
  let end = toPage(nameAt + LOADER_NAME.length + 1);
  for (const { bytes } of modules) {
    starts.push(end);
    end = toPage(end + bytes.length);
  }
  if (kernel.address + end > request.lowMemoryEnd)
    throw reader.error(
      `kernel and modules need memory up to ${hex(kernel.address + end)}, RAM ends at ${hex(request.lowMemoryEnd)}`,
      'give the guest more memory with --memory',
    );
  const block = new Uint8Array(end);
  const view = new DataView(block.buffer);
  block.set(kernel.memory);
  let line = linesAt;
  modules.forEach(({ bytes, line: text }, i) => {
    const entry = listAt + MODULE_SIZE * i;
    view.setUint32(entry, kernel.address + starts[i]!, true);
    view.setUint32(entry + 4, kernel.address + starts[i]! + bytes.length, true);
    view.setUint32(entry + 8, kernel.address + line, true);
    block.set(text, line);
    line += text.length;
    block.set(bytes, starts[i]!);
  });
  block.set(kernelLine, line);
  block.set(commandLine(LOADER_NAME), nameAt);

  const info = new Uint8Array(INFO_SIZE);
  const fields = new DataView(info.buffer);
  const put = (offset: number, value: number) => fields.setUint32(offset, value, true);
  put(0, INFO_FLAGS);
  put(12, BOOT_DEVICE);
  put(16, kernel.address + line);
  put(20, modules.length);
  put(24, kernel.address + listAt);
  put(48, MAP_ADDRESS);
  put(64, kernel.address + nameAt);
  const items = [
    item32(FW_CFG.KERNEL_ENTRY, kernel.entry),
    item32(FW_CFG.KERNEL_ADDR, kernel.address),
    item32(FW_CFG.KERNEL_SIZE, block.length),
    { key: FW_CFG.KERNEL_DATA, data: block },
    item32(FW_CFG.INITRD_ADDR, INFO_ADDRESS),
    item32(FW_CFG.INITRD_SIZE, info.length),
    { key: FW_CFG.INITRD_DATA, data: info },
  ];
  const handoffs = [{ address: BigInt(kernel.entry), protocol: 'multiboot' as const }];
  return { items, segments: kernel.segments, symbols: kernel.symbols, handoffs };
}

/** A flat file that says itself where it goes. */
function loadByHeader(reader: ImageReader, at: number, request: FirmwareRequest): LoadedKernel {
  const what = 'the multiboot header';
  const [headerAddress, address, loadEnd, bssEnd, entry] = [12, 16, 20, 24, 28].map((n) =>
    reader.u32(at + n, what),
  ) as [number, number, number, number, number];
  const start = at - (headerAddress - address);
  if (headerAddress < address || start < 0)
    throw reader.error(`header_addr ${hex(headerAddress)} and load_addr ${hex(address)} do not fit each other`);
  if (loadEnd !== 0 && loadEnd < address) throw reader.error(`load_end_addr ${hex(loadEnd)} lies before load_addr`);
  const size = loadEnd === 0 ? reader.length - start : loadEnd - address;
  if (bssEnd !== 0 && bssEnd < address + size) throw reader.error(`bss_end_addr ${hex(bssEnd)} lies before the end`);
  const extent = bssEnd === 0 ? size : bssEnd - address;
  refuseOutside(reader, address + extent, request);
  const memory = new Uint8Array(extent);
  memory.set(reader.slice(start, size, 'the kernel'));
  return { address, entry, memory, segments: [], symbols: [] };
}

function loadElf(reader: ImageReader, request: FirmwareRequest): LoadedKernel {
  if (!isElf(reader.bytes))
    throw reader.error(
      'the multiboot header gives no addresses, and the file is no ELF file',
      'set bit 16 of its flags',
    );
  const elf = parseElf(reader.name, reader.bytes);
  if (elf.machine === EM_X86_64)
    throw reader.error("QEMU's multiboot loader takes 32-bit ELF files only", 'convert it to elf32-i386');
  const { low, high } = elfExtent(elf);
  refuseOutside(reader, high, request);
  const segments = elfMemory(elf, request.lowMemoryEnd);
  const memory = new Uint8Array(high - low);
  for (const { address, data } of segments) memory.set(data, address - low);
  return { address: low, entry: Number(elf.entry), memory, segments, symbols: elfSymbols(elf) };
}

/** Before anything of that size is allocated. */
function refuseOutside(reader: ImageReader, end: number, { lowMemoryEnd }: FirmwareRequest): void {
  if (end > lowMemoryEnd)
    throw reader.error(
      `the kernel needs memory up to ${hex(end)}, RAM ends at ${hex(lowMemoryEnd)}`,
      'give the guest more memory with --memory',
    );
}

const toPage = (value: number): number => Math.ceil(value / PAGE) * PAGE;
const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
