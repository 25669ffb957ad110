// The first sectors of a disk: a master boot record with its four partitions (UEFI 2.9, 5.2.1), or a protective one with
// a GPT behind it (5.3: header, 128 entries of 128 bytes). Valid: partitions lie on the disk and apart from each other,
// at most one is active, both CRCs of the GPT are right. Left out: extended partitions and the GPT's copy at the end.

import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { ByteWriter } from '../byte-writer.js';
import { low8, low32, pick } from '../numbers.js';
import type { StructureKind } from '../structure.js';

export interface Partition {
  first: bigint;
  sectors: bigint;
  /** Type byte; for a GPT, of the type GUID's last byte. */
  type: number;
  active: boolean;
  /** Lies. */
  flag?: number;
}

export interface PartitionTable {
  scheme: 'mbr' | 'gpt';
  partitions: Partition[];
  /** Lies. */
  signature?: number;
  gptSignature?: string;
  headerCrc?: number;
  entriesCrc?: number;
  entryCount?: number;
  entrySize?: number;
  entriesAt?: bigint;
  headerSize?: number;
}

export interface PartitionOptions {
  /** Of the disk, in sectors of 512 bytes. Default 65536. */
  readonly sectors?: number;
}

const SECTOR = 512;
const ENTRIES = 128;
const ENTRY_SIZE = 128;
const GPT_SECTORS = 34;

/**
 * The first sectors of a disk: MBR, or protective MBR and GPT (UEFI 2.9, 5.2.1 and 5.3).
 * @param options `sectors`: of 512 bytes, of the disk
 */
export function partitionTable({ sectors = 65536 }: PartitionOptions = {}): StructureKind<PartitionTable> {
  const step = fc.record({
    gap: fc.nat(64),
    size: fc.integer({ min: 1, max: 4096 }),
    type: fc.constantFrom(0x83, 0x0c, 0x82),
  });
  const most = Math.min(4, Math.floor((sectors - 2 * GPT_SECTORS) / 4160));
  return {
    name: 'partition-table',
    specification: 'UEFI 2.9, 5.2.1 and 5.3',
    valid: fc
      .record({
        scheme: fc.constantFrom<('mbr' | 'gpt')[]>('mbr', 'gpt'),
        steps: fc.array(step, { maxLength: most }),
        active: fc.nat(7),
      })
      .map(({ scheme, steps, active }) => {
        let next = BigInt(GPT_SECTORS);
        const partitions = steps.map(({ gap, size, type }, i) => {
          const first = next + BigInt(gap);
          next = first + BigInt(size);
          return { first, sectors: BigInt(size), type, active: scheme === 'mbr' && i === active };
        });
        return { scheme, partitions };
      }),
    breaks: {
      'wrong signature': (draft, _at, value) => {
        draft.signature = low32(value) & 0xffff;
      },
      'partitions that overlap': (draft, at) =>
        pick(draft.partitions, at, (one) => draft.partitions.unshift({ ...one })),
      'partition behind the end of the disk': (draft, at, value) =>
        pick(draft.partitions, at, (one) => {
          one.first = BigInt(sectors) + value;
        }),
      'partition of any size': (draft, at, value) =>
        pick(draft.partitions, at, (one) => {
          one.sectors = value;
        }),
      'partition of no size': (draft, at) =>
        pick(draft.partitions, at, (one) => {
          one.sectors = 0n;
        }),
      'boot flag that is none': (draft, at, value) =>
        pick(draft.partitions, at, (one) => {
          one.flag = low8(value);
        }),
      'GPT of another name': (draft) => {
        draft.gptSignature = 'EFI PARX';
      },
      'wrong CRC of the header': (draft, _at, value) => {
        draft.headerCrc = low32(value) || 1;
      },
      'wrong CRC of the entries': (draft, _at, value) => {
        draft.entriesCrc = low32(value) || 1;
      },
      'more entries than there are': (draft, _at, value) => {
        draft.entryCount = ENTRIES + 1 + low32(value >> 1n);
      },
      'entries of any size': (draft, _at, value) => {
        draft.entrySize = low32(value);
      },
      'entries elsewhere': (draft, _at, value) => {
        draft.entriesAt = value;
      },
      'GPT header of any size': (draft, _at, value) => {
        draft.headerSize = low32(value);
      },
    },
    encode: (value) => (value.scheme === 'mbr' ? encodeMbr(value) : encodeGpt(value, sectors)),
  };
}

function encodeMbr({ partitions, signature }: PartitionTable): Uint8Array {
  const out = new ByteWriter(SECTOR).zerosTo(0x1be);
  for (const { first, sectors, type, active, flag } of partitions.slice(0, 4))
    out
      .u8(flag ?? (active ? 0x80 : 0))
      .bytes([0xfe, 0xff, 0xff])
      .u8(type)
      .bytes([0xfe, 0xff, 0xff])
      .u32(low32(first))
      .u32(low32(sectors));
  return out
    .zerosTo(0x1fe)
    .u16(signature ?? 0xaa55)
    .done();
}

function encodeGpt(value: PartitionTable, sectors: number): Uint8Array {
  const last = BigInt(sectors - 1);
  const protective: Partition = { first: 1n, sectors: last, type: 0xee, active: false };
  const mbr = encodeMbr({
    scheme: 'mbr',
    partitions: [protective],
    ...(value.signature !== undefined && { signature: value.signature }),
  });
  const entries = new ByteWriter(ENTRIES * ENTRY_SIZE);
  value.partitions.forEach(({ first, sectors: size, type, flag }, i) => {
    // The GUID of Linux file system data, its last byte told apart by type.
    entries.u32(0x0fc6_3daf).u16(0x8483).u16(0x4772).bytes([0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, type]);
    entries
      .u32(i + 1)
      .zerosTo(ENTRY_SIZE * i + 32)
      .u64(first)
      .u64(first + size - 1n)
      .u64(BigInt(flag ?? 0));
    entries.zerosTo(ENTRY_SIZE * (i + 1));
  });
  const table = entries.zerosTo(ENTRIES * ENTRY_SIZE).done();
  const size = value.headerSize ?? 92;
  const header = new ByteWriter(SECTOR)
    .field(value.gptSignature ?? 'EFI PART', 8)
    .u32(0x1_0000)
    .u32(size)
    .u32(0)
    .u32(0);
  header
    .u64(1n)
    .u64(last)
    .u64(BigInt(GPT_SECTORS))
    .u64(last - BigInt(GPT_SECTORS - 1))
    .u64(0x1234n)
    .u64(0x5678n);
  header
    .u64(value.entriesAt ?? 2n)
    .u32(value.entryCount ?? ENTRIES)
    .u32(value.entrySize ?? ENTRY_SIZE);
  header.u32(value.entriesCrc ?? crc32(table)).zerosTo(SECTOR);
  header.put32(16, value.headerCrc ?? crc32(header.done().subarray(0, Math.min(size, SECTOR))));
  return new ByteWriter(GPT_SECTORS * SECTOR).bytes(mbr).bytes(header.done()).bytes(table).done();
}
