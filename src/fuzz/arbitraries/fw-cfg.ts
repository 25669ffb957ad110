// fw_cfg as a guest reads it (QEMU, docs/specs/fw_cfg.rst): the directory of files, big-endian, and the descriptor of a
// DMA transfer, which the guest writes and the device reads. A valid directory counts its entries, has keys from 0x20
// on, names that end, and sizes of the files; a valid descriptor points into RAM and asks for one thing.

import fc from 'fast-check';
import { ByteWriter } from '../byte-writer.js';
import { low8, low16, low32, pick, word } from '../numbers.js';
import type { StructureKind } from '../structure.js';

export interface FwCfgEntry {
  name: string;
  size: number;
  key: number;
  /** Lies. */
  reserved?: number;
}

export interface FwCfgDirectory {
  entries: FwCfgEntry[];
  /** Lies. */
  count?: number;
}

const NAME_SIZE = 56;
const FIRST_FILE = 0x20;

export interface FwCfgDirectoryOptions {
  /** Files of a real machine; when absent, they are made up. */
  readonly files?: readonly FwCfgEntry[];
}

/**
 * The directory of fw_cfg's files, big-endian (QEMU, docs/specs/fw_cfg.rst, key 0x19).
 * @param options `files`: those of a real machine; made up when absent, with names under etc/, opt/ and genroms/
 */
export function fwCfgDirectory({ files }: FwCfgDirectoryOptions = {}): StructureKind<FwCfgDirectory> {
  const name = fc.tuple(fc.constantFrom('etc/', 'opt/', 'genroms/', ''), word(40)).map((parts) => parts.join(''));
  return {
    name: 'fw-cfg-directory',
    specification: 'QEMU, docs/specs/fw_cfg.rst, "File Directory (Key 0x0019)"',
    valid: files
      ? fc.subarray([...files]).map((some) => ({ entries: some.map(({ name, size, key }) => ({ name, size, key })) }))
      : fc
          .uniqueArray(fc.record({ name, size: fc.nat(0x2_0000) }), { maxLength: 32, selector: (file) => file.name })
          .map((made) => ({
            entries: made
              .sort((a, b) => (a.name < b.name ? -1 : 1))
              .map((file, i) => ({ name: file.name, size: file.size, key: FIRST_FILE + i })),
          })),
    breaks: {
      'more files than there are': (draft, _at, value) => {
        draft.count = draft.entries.length + 1 + low32(value);
      },
      'size that lies': (draft, at, value) =>
        pick(draft.entries, at, (entry) => {
          entry.size = low32(value);
        }),
      'name without terminator': (draft, at) =>
        pick(draft.entries, at, (entry) => {
          entry.name = entry.name.padEnd(NAME_SIZE, 'n');
        }),
      'name of nothing': (draft, at) =>
        pick(draft.entries, at, (entry) => {
          entry.name = '';
        }),
      'key of nothing': (draft, at, value) =>
        pick(draft.entries, at, (entry) => {
          entry.key = low16(value);
        }),
      'same name twice': (draft, at) => pick(draft.entries, at, (entry) => draft.entries.push({ ...entry })),
      'unsorted names': (draft) => draft.entries.reverse(),
      'reserved field in use': (draft, at, value) =>
        pick(draft.entries, at, (entry) => {
          entry.reserved = low16(value);
        }),
    },
    encode: ({ entries, count }) => {
      const out = new ByteWriter(4 + 64 * entries.length).u32be(count ?? entries.length);
      for (const { name, size, key, reserved } of entries)
        out
          .u32be(size)
          .u16be(key)
          .u16be(reserved ?? 0)
          .field(name, NAME_SIZE);
      return out.done();
    },
  };
}

export interface FwCfgTransfer {
  control: number;
  length: number;
  address: bigint;
}

export interface FwCfgTransferOptions {
  readonly ramEnd?: number;
  /** Where the descriptor itself will lie. */
  readonly descriptorAt?: number;
}

const [ERROR, READ, SKIP, SELECT, WRITE] = [1, 2, 4, 8, 0x10];
const MMIO = 0xfee0_0000n;

/**
 * A DMA descriptor that a guest leaves for fw_cfg: control, length, address, big-endian (docs/specs/fw_cfg.rst).
 * @param options the end of RAM, in bytes
 */
export function fwCfgTransfer(options: FwCfgTransferOptions = {}): StructureKind<FwCfgTransfer> {
  const { ramEnd = 16 << 20, descriptorAt = 0x8000 } = options;
  return {
    name: 'fw-cfg-dma',
    specification: 'QEMU, docs/specs/fw_cfg.rst, "Guest-side DMA Interface"',
    valid: fc
      .record({
        key: fc.constantFrom(0x19, 0x00, 0x20, 0x21),
        select: fc.boolean(),
        operation: fc.constantFrom(READ, SKIP),
        length: fc.nat(0x2000),
        page: fc.integer({ min: 0x10, max: (ramEnd >>> 12) - 4 }),
      })
      .map(({ key, select, operation, length, page }) => ({
        control: operation | (select ? SELECT | (key << 16) : 0),
        length,
        address: BigInt(page) << 12n,
      })),
    breaks: {
      'length that is too large': (draft, _at, value) => {
        draft.length = low32(value) | 0x1000_0000;
      },
      'across the end of RAM': (draft, at) => {
        draft.address = BigInt(ramEnd - 1 - at);
        draft.length = at + 2;
      },
      'into MMIO': (draft, _at, value) => {
        draft.address = MMIO + (value & 0xfffn);
      },
      'across a page': (draft, at) => {
        draft.address = (draft.address & ~0xfffn) + 0xfffn - BigInt(at);
        draft.length = at + 0x1002;
      },
      'over its own descriptor': (draft, at) => {
        draft.address = BigInt(Math.max(0, descriptorAt - at));
        draft.length = at + 16;
      },
      'past any address': (draft, _at, value) => {
        draft.address = 0xffff_ffff_0000_0000n | value;
      },
      'read and write at once': (draft) => {
        draft.control |= READ | WRITE;
      },
      'unknown control bits': (draft, _at, value) => {
        draft.control = (draft.control | (low8(value) << 5) | ERROR) >>> 0;
      },
      'selects nothing there is': (draft, _at, value) => {
        draft.control = ((draft.control & 0xffff) | SELECT | ((low16(value) | 0x100) << 16)) >>> 0;
      },
      'writes what is read-only': (draft) => {
        draft.control = (draft.control & ~(READ | SKIP)) | WRITE;
      },
    },
    encode: ({ control, length, address }) => new ByteWriter(16).u32be(control).u32be(length).u64be(address).done(),
  };
}
