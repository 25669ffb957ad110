// hvm_start_info, versions 0 and 1 (Xen, public/arch-x86/hvm/start_info.h), with what it points to: memory map, module
// list, command lines, one behind the other in a block that lies at `address`. Pointers follow from the order unless a
// lie takes their place. A valid structure has its magic, counts that are those of the arrays, and texts that end.

import fc from 'fast-check';
import { ByteWriter } from '../byte-writer.js';
import { low32, pick } from '../numbers.js';
import type { StructureKind } from '../structure.js';
import { commandWords } from './command-line.js';
import { type MapEntry, mapBreaks, mapEntries } from './e820.js';

export interface StartInfoModule {
  address: bigint;
  size: bigint;
  /** Absent: the pointer is 0. */
  commandLine?: string;
}

export interface StartInfo {
  version: number;
  flags: number;
  commandLine?: string;
  rsdp: bigint;
  modules: StartInfoModule[];
  /** Of version 1 only. */
  memoryMap: MapEntry[];
  /** Lies in fields that follow from the others. */
  magic?: number;
  moduleCount?: number;
  mapCount?: number;
  modulesAt?: bigint;
  mapAt?: bigint;
  commandLineAt?: bigint;
  reserved?: number;
}

export interface StartInfoOptions {
  /** Guest physical address of the block. */
  readonly address?: number;
  readonly rsdp?: number;
  /** End of the machine's RAM: what modules and entries of RAM lie below. Default 16 MiB. */
  readonly ramEnd?: number;
  /** Modules of a real boot, none if there are none; when absent, they lie in RAM wherever. */
  readonly modules?: readonly { address: number; size: number }[];
}

const MAGIC = 0x336e_c578;
const text = commandWords.map((words) => words.join(' '));

/**
 * hvm_start_info of version 0 or 1, with memory map, modules and command lines (Xen, arch-x86/hvm/start_info.h).
 * @param options where it lies, the end of RAM, in bytes, and modules of a real boot
 */
export function startInfo(options: StartInfoOptions = {}): StructureKind<StartInfo> {
  const { address = 0x1_0000, rsdp = 0, ramEnd = 16 << 20 } = options;
  const module: fc.Arbitrary<StartInfoModule> = options.modules?.length
    ? fc
        .tuple(fc.constantFrom(...options.modules), fc.option(text, { nil: undefined }))
        .map(([{ address, size }, line]) => moduleOf(BigInt(address), BigInt(size), line))
    : fc
        .tuple(
          fc.integer({ min: 0x200, max: (ramEnd >>> 12) - 17 }),
          fc.nat(0x1_0000),
          fc.option(text, { nil: undefined }),
        )
        .map(([page, size, line]) => moduleOf(BigInt(page) << 12n, BigInt(size), line));
  return {
    name: 'start-info',
    specification: 'Xen, public/arch-x86/hvm/start_info.h, versions 0 and 1',
    valid: fc
      .record({
        version: fc.constantFrom(1, 0),
        line: fc.option(text, { nil: undefined }),
        modules: fc.array(module, { maxLength: options.modules?.length === 0 ? 0 : 4 }),
        map: mapEntries({ ramEnd }),
      })
      .map(({ version, line, modules, map }) => ({
        version,
        flags: 0,
        ...(line !== undefined && { commandLine: line }),
        rsdp: BigInt(rsdp),
        modules,
        memoryMap: version === 0 ? [] : map,
      })),
    breaks: {
      ...mapBreaks<StartInfo>((draft) => draft.memoryMap),
      'wrong magic': (draft, _at, value) => {
        draft.magic = low32(value);
      },
      'unknown version': (draft, _at, value) => {
        draft.version = low32(value);
      },
      'more map entries than there are': (draft, _at, value) => {
        draft.mapCount = draft.memoryMap.length + 1 + low32(value);
      },
      'more modules than there are': (draft, _at, value) => {
        draft.moduleCount = draft.modules.length + 1 + low32(value);
      },
      'map elsewhere': (draft, _at, value) => {
        draft.mapAt = value;
      },
      'module list elsewhere': (draft, _at, value) => {
        draft.modulesAt = value;
      },
      'command line elsewhere': (draft, _at, value) => {
        draft.commandLineAt = value;
      },
      'RSDP elsewhere': (draft, _at, value) => {
        draft.rsdp = value;
      },
      'module elsewhere': (draft, at, value) =>
        pick(draft.modules, at, (one) => {
          one.address = value;
        }),
      'module of any size': (draft, at, value) =>
        pick(draft.modules, at, (one) => {
          one.size = value;
        }),
      'unknown flags': (draft, _at, value) => {
        draft.flags = low32(value);
      },
      'reserved field in use': (draft, _at, value) => {
        draft.reserved = low32(value);
      },
      'long command line': (draft, at) => {
        draft.commandLine = 'long '.repeat(60 * (at + 1));
      },
    },
    encode: (value) => encode(value, address),
  };
}

const moduleOf = (address: bigint, size: bigint, line: string | undefined): StartInfoModule => ({
  address,
  size,
  ...(line !== undefined && { commandLine: line }),
});

function encode(value: StartInfo, base: number): Uint8Array {
  const { version, modules, memoryMap: map } = value;
  const head = version === 0 ? 40 : 56;
  const modulesAt = head + 24 * map.length;
  const out = new ByteWriter(512).zerosTo(modulesAt + 32 * modules.length);
  const string = (line: string | undefined): bigint => {
    if (line === undefined) return 0n;
    const at = BigInt(base + out.length);
    out.text(line).u8(0);
    return at;
  };
  map.forEach(({ address, length, type }, i) => {
    const at = head + 24 * i;
    out
      .put64(at, address)
      .put64(at + 8, length)
      .put32(at + 16, type);
  });
  modules.forEach(({ address, size, commandLine }, i) => {
    const at = modulesAt + 32 * i;
    out
      .put64(at, address)
      .put64(at + 8, size)
      .put64(at + 16, string(commandLine));
  });
  const listAt = modules.length > 0 ? BigInt(base + modulesAt) : 0n;
  out
    .put32(0, value.magic ?? MAGIC)
    .put32(4, version)
    .put32(8, value.flags);
  out.put32(12, value.moduleCount ?? modules.length).put64(16, value.modulesAt ?? listAt);
  out.put64(24, value.commandLineAt ?? string(value.commandLine)).put64(32, value.rsdp);
  if (version === 0) return out.done();
  out.put64(40, value.mapAt ?? (map.length > 0 ? BigInt(base + head) : 0n));
  return out
    .put32(48, value.mapCount ?? map.length)
    .put32(52, value.reserved ?? 0)
    .done();
}
