// Multiboot information (Multiboot Specification 0.6.96, 3.3) with memory map, modules and texts behind it, as a block
// that lies at `address`; and the header that asks for it (3.1). Valid: the flags name what is there, the map's entries
// say how long they are, modules end behind where they begin, the header's three words add up to 0.

import fc from 'fast-check';
import { ByteWriter } from '../byte-writer.js';
import { low32, pick } from '../numbers.js';
import type { StructureKind } from '../structure.js';
import { commandWords } from './command-line.js';
import { type MapEntry, mapBreaks, mapEntries } from './e820.js';

export interface MultibootModule {
  start: number;
  end: number;
  commandLine: string;
}

export interface MultibootInfo {
  /** KiB. */
  memLower: number;
  memUpper: number;
  commandLine: string;
  modules: MultibootModule[];
  memoryMap: (MapEntry & { size?: number })[];
  loaderName: string;
  /** Lies. */
  flags?: number;
  moduleCount?: number;
  modulesAt?: number;
  mapLength?: number;
  mapAt?: number;
  commandLineAt?: number;
  symbols?: { count: number; size: number; address: number };
}

export interface MultibootOptions {
  readonly address?: number;
  readonly ramEnd?: number;
  readonly modules?: readonly { address: number; size: number }[];
}

const INFO_SIZE = 116;
const FLAGS = 1 | 4 | 8 | 0x40 | 0x200;
const HAS_SECTIONS = 0x20;
const text = commandWords.map((words) => words.join(' '));

/** Modules that lie in RAM, or those of a real boot. */
export function multibootModules({ ramEnd = 16 << 20, modules }: MultibootOptions): fc.Arbitrary<MultibootModule[]> {
  const place = modules?.length
    ? fc.constantFrom(...modules).map(({ address, size }) => [address, size] as const)
    : fc.tuple(
        fc.integer({ min: 0x200, max: (ramEnd >>> 12) - 17 }).map((page) => page << 12),
        fc.nat(0x1_0000),
      );
  const one = fc.tuple(place, text).map(([[start, size], commandLine]) => ({ start, end: start + size, commandLine }));
  return fc.array(one, { maxLength: modules?.length === 0 ? 0 : 4 });
}

/**
 * Multiboot information with memory map, modules and texts (Multiboot Specification 0.6.96, 3.3).
 * @param options where it lies, in bytes, and modules of a real boot
 */
export function multiboot(options: MultibootOptions = {}): StructureKind<MultibootInfo> {
  const { address = 0x1_0000, ramEnd = 16 << 20 } = options;
  return {
    name: 'multiboot',
    specification: 'Multiboot Specification 0.6.96, 3.3',
    valid: fc.record({
      memLower: fc.constant(636),
      memUpper: fc.constant((ramEnd >>> 10) - 1024),
      commandLine: text,
      modules: multibootModules(options),
      memoryMap: mapEntries({ ramEnd }),
      loaderName: fc.constantFrom('vmreplay', 'GRUB 2.06'),
    }),
    breaks: {
      ...mapBreaks<MultibootInfo>((draft) => draft.memoryMap),
      'unknown flags': (draft, _at, value) => {
        draft.flags = FLAGS | low32(value);
      },
      'nothing flagged': (draft) => {
        draft.flags = 0;
      },
      'more modules than there are': (draft, _at, value) => {
        draft.moduleCount = draft.modules.length + 1 + low32(value);
      },
      'module list elsewhere': (draft, _at, value) => {
        draft.modulesAt = low32(value);
      },
      'module that ends before it begins': (draft, at, value) =>
        pick(draft.modules, at, (one) => {
          one.end = Math.max(0, one.start - 1 - low32(value & 0xffffn));
        }),
      'module anywhere': (draft, at, value) =>
        pick(draft.modules, at, (one) => {
          one.start = low32(value);
        }),
      'module of any size': (draft, at, value) =>
        pick(draft.modules, at, (one) => {
          one.end = low32(value);
        }),
      'map longer than it is': (draft, _at, value) => {
        draft.mapLength = 24 * draft.memoryMap.length + 1 + low32(value);
      },
      'map elsewhere': (draft, _at, value) => {
        draft.mapAt = low32(value);
      },
      'map entry of any size': (draft, at, value) =>
        pick(draft.memoryMap, at, (one) => {
          one.size = low32(value);
        }),
      'command line elsewhere': (draft, _at, value) => {
        draft.commandLineAt = low32(value);
      },
      'section headers that are none': (draft, at, value) => {
        draft.symbols = { count: at + 1, size: low32(value), address: low32(value) };
      },
    },
    encode: (value) => encode(value, address),
  };
}

function encode(value: MultibootInfo, base: number): Uint8Array {
  const { modules, memoryMap: map } = value;
  const modulesAt = INFO_SIZE + 24 * map.length;
  const out = new ByteWriter(512).zerosTo(modulesAt + 16 * modules.length);
  const string = (line: string): number => {
    const at = base + out.length;
    out.text(line).u8(0);
    return at;
  };
  map.forEach(({ address, length, type, size }, i) => {
    const at = INFO_SIZE + 24 * i;
    out
      .put32(at, size ?? 20)
      .put64(at + 4, address)
      .put64(at + 12, length)
      .put32(at + 20, type);
  });
  modules.forEach(({ start, end, commandLine }, i) => {
    const at = modulesAt + 16 * i;
    out
      .put32(at, start)
      .put32(at + 4, end)
      .put32(at + 8, string(commandLine));
  });
  out.put32(0, value.flags ?? FLAGS | (value.symbols ? HAS_SECTIONS : 0));
  out.put32(4, value.memLower).put32(8, value.memUpper);
  out.put32(16, value.commandLineAt ?? string(value.commandLine));
  out.put32(20, value.moduleCount ?? modules.length).put32(24, value.modulesAt ?? base + modulesAt);
  if (value.symbols) out.put32(28, value.symbols.count).put32(32, value.symbols.size).put32(36, value.symbols.address);
  out.put32(44, value.mapLength ?? 24 * map.length).put32(48, value.mapAt ?? base + INFO_SIZE);
  return out.put32(64, string(value.loaderName)).done();
}

/** A kernel by the address fields of its header (3.1.3), which is the whole file but for a loop. */
export interface MultibootFile {
  /** Offset of the header, a multiple of 4. */
  offset: number;
  loadAddress: number;
  bss: number;
  /** Lies. */
  checksum?: number;
  flags?: number;
  headerAddress?: number;
  loadEnd?: number;
  bssEnd?: number;
  entry?: number;
  misplaced?: number;
}

const HEADER_SIZE = 48;
const HAS_ADDRESSES = 0x1_0000;
const HEADER_MAGIC = 0x1bad_b002;

/** Kernel files with a Multiboot header (Multiboot Specification 0.6.96, 3.1). */
export function multibootFile(): StructureKind<MultibootFile> {
  return {
    name: 'multiboot-header',
    specification: 'Multiboot Specification 0.6.96, 3.1',
    valid: fc.record({
      offset: fc.nat(2000).map((n) => n * 4),
      loadAddress: fc.integer({ min: 0x100, max: 0x800 }).map((page) => page << 12),
      bss: fc.nat(0x1_0000),
    }),
    breaks: {
      'wrong check sum': (draft, _at, value) => {
        draft.checksum = low32(value);
      },
      'header behind the first 8 KiB': (draft, at) => {
        draft.offset = 8192 + 4 * at;
      },
      'header that is not aligned': (draft, at) => {
        draft.misplaced = 1 + (at % 3);
      },
      'requirement that nobody knows': (draft, at) => {
        draft.flags = HAS_ADDRESSES | (1 << (3 + (at % 13)));
      },
      'header address below the load address': (draft, _at, value) => {
        draft.headerAddress = low32(value) % draft.loadAddress;
      },
      'load end anywhere': (draft, _at, value) => {
        draft.loadEnd = low32(value);
      },
      'bss end anywhere': (draft, _at, value) => {
        draft.bssEnd = low32(value);
      },
      'entry anywhere': (draft, _at, value) => {
        draft.entry = low32(value);
      },
      'load address anywhere': (draft, _at, value) => {
        draft.loadAddress = low32(value);
      },
    },
    encode: ({ offset, loadAddress, bss, ...lie }) => {
      const at = offset + (lie.misplaced ?? 0);
      const flags = lie.flags ?? HAS_ADDRESSES;
      const end = loadAddress + at + HEADER_SIZE + 2;
      const out = new ByteWriter(at + 64).zerosTo(at);
      out
        .u32(HEADER_MAGIC)
        .u32(flags)
        .u32(lie.checksum ?? -(HEADER_MAGIC + flags));
      out
        .u32(lie.headerAddress ?? loadAddress + at)
        .u32(loadAddress)
        .u32(lie.loadEnd ?? end);
      out.u32(lie.bssEnd ?? end + bss).u32(lie.entry ?? loadAddress + at + HEADER_SIZE);
      return out
        .zerosTo(at + HEADER_SIZE)
        .bytes([0xeb, 0xfe])
        .done();
    },
  };
}
