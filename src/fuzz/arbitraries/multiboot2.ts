// Multiboot2 boot information (Multiboot2 Specification 2.0, 3.6): a total size, then tags of type and size, each begun
// at a multiple of 8, an end tag last. Valid: sizes are those of the contents, texts end, the map says its entries' size.
// Left out: tags of EFI, VBE, APM and networks, which a BIOS boot without them does not have.

import fc from 'fast-check';
import { ByteWriter } from '../byte-writer.js';
import { low32, pick } from '../numbers.js';
import type { StructureKind } from '../structure.js';
import { commandWords } from './command-line.js';
import { type MapEntry, mapBreaks, mapEntries } from './e820.js';
import { type MultibootModule, type MultibootOptions, multibootModules } from './multiboot.js';

interface TagLies {
  size?: number;
  type?: number;
}

export type Multiboot2Tag = TagLies &
  (
    | { kind: 'command line' | 'loader name'; text: string; unterminated?: boolean }
    | { kind: 'module'; module: MultibootModule }
    | { kind: 'basic memory'; lower: number; upper: number }
    | { kind: 'memory map'; entries: MapEntry[]; entrySize?: number }
    | { kind: 'RSDP'; table: Uint8Array }
    | { kind: 'framebuffer'; address: bigint; width: number; height: number; pitch: number }
  );

export interface Multiboot2Info {
  tags: Multiboot2Tag[];
  /** Lies. */
  totalSize?: number;
  noEnd?: boolean;
}

const TYPES: Record<Multiboot2Tag['kind'], number> = {
  'command line': 1,
  'loader name': 2,
  module: 3,
  'basic memory': 4,
  'memory map': 6,
  framebuffer: 8,
  RSDP: 14,
};
const text = commandWords.map((words) => words.join(' '));

const mapOf = ({ tags }: Multiboot2Info): MapEntry[] => {
  const tag = tags.find((one) => one.kind === 'memory map');
  return tag?.kind === 'memory map' ? tag.entries : [];
};

/**
 * Multiboot2 information: tags of memory, modules and texts (Multiboot2 Specification 2.0, 3.6).
 * @param options the end of RAM in bytes, and modules of a real boot
 */
export function multiboot2(options: MultibootOptions = {}): StructureKind<Multiboot2Info> {
  const { ramEnd = 16 << 20 } = options;
  return {
    name: 'multiboot2',
    specification: 'Multiboot2 Specification 2.0, 3.6',
    valid: fc
      .record({
        line: text,
        modules: multibootModules(options),
        entries: mapEntries({ ramEnd }),
        table: fc.uint8Array({ minLength: 20, maxLength: 20 }),
        frame: fc.option(
          fc.record({ width: fc.integer({ min: 320, max: 1920 }), height: fc.integer({ min: 200, max: 1080 }) }),
          {
            nil: undefined,
          },
        ),
      })
      .map(({ line, modules, entries, table, frame }) => ({
        tags: [
          { kind: 'command line', text: line },
          { kind: 'loader name', text: 'vmreplay' },
          ...modules.map((module) => ({ kind: 'module' as const, module })),
          { kind: 'basic memory', lower: 636, upper: (ramEnd >>> 10) - 1024 },
          { kind: 'memory map', entries },
          ...(frame ? [{ kind: 'framebuffer' as const, address: 0xfd00_0000n, pitch: 4 * frame.width, ...frame }] : []),
          { kind: 'RSDP', table },
        ] satisfies Multiboot2Tag[],
      })),
    breaks: {
      ...mapBreaks<Multiboot2Info>(mapOf),
      'total size that lies': (draft, _at, value) => {
        draft.totalSize = low32(value);
      },
      'tag of any size': (draft, at, value) =>
        pick(draft.tags, at, (tag) => {
          tag.size = low32(value);
        }),
      'tag of no size': (draft, at) =>
        pick(draft.tags, at, (tag) => {
          tag.size = 0;
        }),
      'unknown tag': (draft, at, value) =>
        pick(draft.tags, at, (tag) => {
          tag.type = 22 + low32(value & 0xffffn);
        }),
      'no end tag': (draft) => {
        draft.noEnd = true;
      },
      'end tag in the middle': (draft, at) =>
        pick(draft.tags, at, (tag) => {
          tag.type = 0;
        }),
      'map entries of any size': (draft, _at, value) => {
        for (const tag of draft.tags) if (tag.kind === 'memory map') tag.entrySize = low32(value);
      },
      'text without terminator': (draft, at) =>
        pick(
          draft.tags.filter((tag) => tag.kind === 'command line' || tag.kind === 'loader name'),
          at,
          (tag) => {
            if ('text' in tag) tag.unterminated = true;
          },
        ),
      'module that ends before it begins': (draft, at, value) =>
        pick(
          draft.tags.filter((tag) => tag.kind === 'module'),
          at,
          (tag) => {
            if (tag.kind === 'module') tag.module.end = Math.max(0, tag.module.start - 1 - low32(value & 0xffffn));
          },
        ),
      'module anywhere': (draft, at, value) =>
        pick(
          draft.tags.filter((tag) => tag.kind === 'module'),
          at,
          (tag) => {
            if (tag.kind === 'module') tag.module.start = low32(value);
          },
        ),
      'tags in another order': (draft) => draft.tags.reverse(),
      'same tag twice': (draft, at) => pick(draft.tags, at, (tag) => draft.tags.push(tag)),
    },
    encode,
  };
}

function encode({ tags, totalSize, noEnd }: Multiboot2Info): Uint8Array {
  const out = new ByteWriter(512).u32(0).u32(0);
  for (const tag of tags) {
    const at = out.align(8).length;
    out.u32(tag.type ?? TYPES[tag.kind]).u32(0);
    encodeBody(out, tag);
    out.put32(at + 4, tag.size ?? out.length - at);
  }
  out.align(8);
  if (!noEnd) out.u32(0).u32(8);
  return out.put32(0, totalSize ?? out.length).done();
}

function encodeBody(out: ByteWriter, tag: Multiboot2Tag): void {
  switch (tag.kind) {
    case 'command line':
    case 'loader name':
      out.text(tag.text);
      if (!tag.unterminated) out.u8(0);
      return;
    case 'module':
      out.u32(tag.module.start).u32(tag.module.end).text(tag.module.commandLine).u8(0);
      return;
    case 'basic memory':
      out.u32(tag.lower).u32(tag.upper);
      return;
    case 'memory map':
      out.u32(tag.entrySize ?? 24).u32(0);
      for (const { address, length, type } of tag.entries) out.u64(address).u64(length).u32(type).u32(0);
      return;
    case 'RSDP':
      out.bytes(tag.table);
      return;
    case 'framebuffer':
      out.u64(tag.address).u32(tag.pitch).u32(tag.width).u32(tag.height).u8(32).u8(1).u16(0);
      out.bytes([16, 8, 8, 8, 0, 8]);
  }
}

/** A header's tags behind its four words, in a file that is nothing else (3.1). */
export interface Multiboot2File {
  loadAddress: number;
  requests: number[];
  /** Lies. */
  checksum?: number;
  architecture?: number;
  length?: number;
  tagSize?: number;
  unknownTag?: number;
  entry?: number;
  loadEnd?: number;
  noEnd?: boolean;
}

const HEADER_MAGIC = 0xe852_50d6;

/** Kernel files with a Multiboot2 header and its tags (Multiboot2 Specification 2.0, 3.1). */
export function multiboot2File(): StructureKind<Multiboot2File> {
  return {
    name: 'multiboot2-header',
    specification: 'Multiboot2 Specification 2.0, 3.1',
    valid: fc.record({
      loadAddress: fc.integer({ min: 0x100, max: 0x800 }).map((page) => page << 12),
      requests: fc.subarray([1, 2, 3, 4, 6, 9, 14]),
    }),
    breaks: {
      'wrong check sum': (draft, _at, value) => {
        draft.checksum = low32(value);
      },
      'another architecture': (draft, _at, value) => {
        draft.architecture = low32(value);
      },
      'length that lies': (draft, _at, value) => {
        draft.length = low32(value);
      },
      'tag of any size': (draft, _at, value) => {
        draft.tagSize = low32(value);
      },
      'unknown tag': (draft, _at, value) => {
        draft.unknownTag = 11 + Number(value & 0xfffn);
      },
      'entry anywhere': (draft, _at, value) => {
        draft.entry = low32(value);
      },
      'load end anywhere': (draft, _at, value) => {
        draft.loadEnd = low32(value);
      },
      'no end tag': (draft) => {
        draft.noEnd = true;
      },
      'request of anything': (draft, at, value) => {
        draft.requests.push(22 + at + Number(value & 0xffn));
      },
    },
    encode: ({ loadAddress, requests, ...lie }) => {
      const out = new ByteWriter().zerosTo(16);
      const tag = (type: number, words: readonly number[]) => {
        out
          .align(8)
          .u16(type)
          .u16(0)
          .u32(lie.tagSize ?? 8 + 4 * words.length);
        for (const word of words) out.u32(word);
      };
      if (requests.length > 0) tag(1, requests);
      if (lie.unknownTag !== undefined) tag(lie.unknownTag, []);
      const size = out.align(8).length + 24 + 16 + (lie.noEnd ? 0 : 8);
      tag(2, [loadAddress, loadAddress, lie.loadEnd ?? loadAddress + size + 2, 0]);
      tag(3, [lie.entry ?? loadAddress + size]);
      out.align(8);
      if (!lie.noEnd) out.u16(0).u16(0).u32(8);
      const length = lie.length ?? out.length;
      const architecture = lie.architecture ?? 0;
      out.put32(0, HEADER_MAGIC).put32(4, architecture).put32(8, length);
      out.put32(12, lie.checksum ?? -(HEADER_MAGIC + architecture + length));
      return out.bytes([0xeb, 0xfe]).done();
    },
  };
}
