// ELF executables as kernels are (System V gABI, chapters 4 and 5): header, program headers of segments that lie apart
// from each other, and a PT_NOTE with Xen's PVH entry (Xen, docs/misc/pvh.pandoc; elfnote.h, type 18) beside other
// notes. Both classes. Code is a loop at the entry: whoever boots one sees a kernel that stays there.

import fc from 'fast-check';
import { ByteWriter } from '../byte-writer.js';
import { low8, low16, low32, pick, word } from '../numbers.js';
import type { StructureKind } from '../structure.js';

export interface ElfSegment {
  address: bigint;
  data: Uint8Array;
  /** Bytes in memory behind the data. */
  zeros: number;
  flags: number;
  /** Lies. */
  fileSize?: bigint;
  memorySize?: bigint;
  offset?: bigint;
}

export interface ElfNoteValue {
  name: string;
  type: number;
  description: Uint8Array;
  /** Lies. */
  nameSize?: number;
  descriptionSize?: number;
}

export interface ElfImage {
  bits: 32 | 64;
  segments: ElfSegment[];
  notes: ElfNoteValue[];
  /** Address in the first segment. */
  entry: bigint;
  /** Lies. */
  machine?: number;
  type?: number;
  byteOrder?: number;
  elfClass?: number;
  programOffset?: bigint;
  programCount?: number;
  programSize?: number;
  pvhEntry?: bigint;
  cut?: number;
}

const LOOP = [0xeb, 0xfe];
const XEN_ENTRY = 18;
const [EM_386, EM_X86_64] = [3, 62];
const MIB = 0x10_0000n;

/** ELF executables with segments, notes and a PVH entry (System V gABI, chapters 4 and 5; Xen, elfnote.h). */
export function elf(): StructureKind<ElfImage> {
  const segment = fc.record({
    gap: fc.bigInt(0n, 0x10n),
    data: fc.uint8Array({ minLength: 2, maxLength: 96 }),
    zeros: fc.nat(0x2000),
    flags: fc.constantFrom(5, 7, 6, 4),
  });
  const other = fc.record({ name: word(8), type: fc.nat(0x200), description: fc.uint8Array({ maxLength: 20 }) });
  return {
    name: 'elf',
    specification: 'System V gABI, chapters 4 and 5; Xen elfnote.h, XEN_ELFNOTE_PHYS32_ENTRY',
    valid: fc
      .record({
        bits: fc.constantFrom<(32 | 64)[]>(32, 64),
        pieces: fc.array(segment, { minLength: 1, maxLength: 4 }),
        others: fc.array(other, { maxLength: 2 }),
      })
      .map(({ bits, pieces, others }) => {
        let next = MIB;
        const segments = pieces.map(({ gap, data, zeros, flags }, i): ElfSegment => {
          const address = next + gap * 0x1000n;
          next = address + BigInt(Math.ceil((data.length + zeros) / 0x1000)) * 0x1000n;
          return { address, data: i === 0 ? Uint8Array.from([...LOOP, ...data.subarray(2)]) : data, zeros, flags };
        });
        return { bits, segments, notes: others, entry: segments[0]!.address };
      }),
    breaks: {
      'segment larger in the file than in memory': (draft, at) =>
        pick(draft.segments, at, (one) => {
          one.memorySize = BigInt(one.data.length - 1);
        }),
      'segment of any size in memory': (draft, at, value) =>
        pick(draft.segments, at, (one) => {
          one.memorySize = value;
        }),
      'segment of any size in the file': (draft, at, value) =>
        pick(draft.segments, at, (one) => {
          one.fileSize = value;
        }),
      'segment behind the end of the file': (draft, at, value) =>
        pick(draft.segments, at, (one) => {
          one.offset = 0x10_0000n + value;
        }),
      'segment anywhere': (draft, at, value) =>
        pick(draft.segments, at, (one) => {
          one.address = value;
        }),
      'segments that overlap': (draft, at) =>
        pick(draft.segments, at, (one) => {
          draft.segments.push({ ...one, data: one.data.slice() });
        }),
      'segment that wraps': (draft, at, value) =>
        pick(draft.segments, at, (one) => {
          one.memorySize = (draft.bits === 32 ? 1n << 32n : 1n << 64n) - one.address + (value & 0xfffn);
        }),
      'note that runs past its segment': (draft, at, value) =>
        pick(draft.notes, at, (one) => {
          one.descriptionSize = 0x100 + low32(value >> 1n);
        }),
      'note name that runs past its segment': (draft, at, value) =>
        pick(draft.notes, at, (one) => {
          one.nameSize = 0x100 + low32(value >> 1n);
        }),
      'PVH entry anywhere': (draft, _at, value) => {
        draft.pvhEntry = value;
      },
      'another machine': (draft, _at, value) => {
        draft.machine = low16(value);
      },
      'another byte order': (draft, _at, value) => {
        draft.byteOrder = low8(value);
      },
      'another class': (draft, _at, value) => {
        draft.elfClass = low8(value);
      },
      'program headers elsewhere': (draft, _at, value) => {
        draft.programOffset = value;
      },
      'more program headers than there are': (draft, _at, value) => {
        draft.programCount = draft.segments.length + 2 + low16(value);
      },
      'program headers of any size': (draft, _at, value) => {
        draft.programSize = low16(value);
      },
      'cut off': (draft, at, value) => {
        draft.cut = (at + 1) * (1 + low8(value));
      },
    },
    encode,
  };
}

function encode(value: ElfImage): Uint8Array {
  const wide = value.bits === 64;
  const [headerSize, programSize] = wide ? [64, 56] : [52, 32];
  const out = new ByteWriter(1024);
  const word = (number: bigint) => (wide ? out.u64(number) : out.u32(low32(number)));
  const count = value.segments.length + 1;
  out.bytes([0x7f, 0x45, 0x4c, 0x46, value.elfClass ?? (wide ? 2 : 1), value.byteOrder ?? 1, 1]).zerosTo(16);
  out
    .u16(value.type ?? 2)
    .u16(value.machine ?? (wide ? EM_X86_64 : EM_386))
    .u32(1);
  word(value.entry);
  word(value.programOffset ?? BigInt(headerSize));
  word(0n);
  out
    .u32(0)
    .u16(headerSize)
    .u16(value.programSize ?? programSize)
    .u16(value.programCount ?? count);
  out.u16(0).u16(0).u16(0);
  const notes = encodeNotes(value);
  let offset = headerSize + count * programSize;
  const noteAt = offset;
  const program = (type: number, flags: number, fields: readonly bigint[]) => {
    out.u32(type);
    if (wide) out.u32(flags);
    for (const field of fields) word(field);
    if (!wide) out.u32(flags);
    word(type === 4 ? 4n : 0x1000n);
  };
  offset += notes.length;
  for (const { address, data, zeros, flags, ...lie } of value.segments) {
    const size = lie.fileSize ?? BigInt(data.length);
    const memory = lie.memorySize ?? BigInt(data.length + zeros);
    program(1, flags, [lie.offset ?? BigInt(offset), address, address, size, memory]);
    offset += data.length;
  }
  program(4, 4, [BigInt(noteAt), 0n, 0n, BigInt(notes.length), BigInt(notes.length)]);
  out.bytes(notes);
  for (const { data } of value.segments) out.bytes(data);
  const file = out.done();
  return value.cut === undefined ? file : file.subarray(0, Math.max(0, file.length - value.cut));
}

/** The notes, the PVH entry last. */
function encodeNotes({ notes, entry, pvhEntry, bits }: ElfImage): Uint8Array {
  const out = new ByteWriter();
  const xen = new ByteWriter();
  if (bits === 64) xen.u64(pvhEntry ?? entry);
  else xen.u32(low32(pvhEntry ?? entry));
  for (const note of [...notes, { name: 'Xen', type: XEN_ENTRY, description: xen.done() } as ElfNoteValue]) {
    out
      .u32(note.nameSize ?? note.name.length + 1)
      .u32(note.descriptionSize ?? note.description.length)
      .u32(note.type);
    out.text(note.name).u8(0).align(4).bytes(note.description).align(4);
  }
  return out.done();
}
