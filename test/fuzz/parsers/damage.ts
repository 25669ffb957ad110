// Damage that a file can have: cut off, bits turned, numbers that lie, pieces moved, put in, taken out, or taken from
// another file. An input knows the file that it came from and what was done to it, so that a failure reads as a recipe
// and shrinks to the fewest edits.

import fc from 'fast-check';
import { EDGES } from '../../../src/fuzz/structure.js';

type Edit =
  | { readonly edit: 'cut'; readonly at: number }
  | { readonly edit: 'flip'; readonly at: number; readonly bit: number }
  | {
      readonly edit: 'number';
      readonly at: number;
      readonly width: 1 | 2 | 4 | 8;
      readonly value: bigint;
      readonly big: boolean;
    }
  | { readonly edit: 'insert'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly edit: 'remove'; readonly at: number; readonly length: number }
  | { readonly edit: 'fill'; readonly at: number; readonly length: number; readonly byte: number }
  | { readonly edit: 'copy'; readonly at: number; readonly from: number; readonly length: number }
  | { readonly edit: 'splice'; readonly at: number; readonly from: number; readonly other: number };

/** A file, damaged. */
export class DamagedFile {
  constructor(
    readonly bytes: Uint8Array,
    private readonly recipe: string,
  ) {}

  toString(): string {
    const { length } = this.bytes;
    const hex = Buffer.from(this.bytes.subarray(0, 512)).toString('hex');
    return `${this.recipe}: ${length} bytes ${hex}${length > 512 ? '…' : ''}`;
  }

  [fc.toStringMethod](): string {
    return this.toString();
  }
}

/** Anywhere, but more often where headers are. */
const place = fc.oneof(fc.nat(63), fc.nat(1023), fc.nat(0x7fff_ffff));
const length = fc.oneof(fc.nat(16), fc.nat(2048));
const value = fc.oneof(fc.constantFrom(...EDGES), fc.bigInt(0n, 0xffff_ffff_ffff_ffffn));

const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ edit: fc.constant('flip' as const), at: place, bit: fc.nat(7) }),
  fc.record({
    edit: fc.constant('number' as const),
    at: place,
    width: fc.constantFrom<(1 | 2 | 4 | 8)[]>(4, 1, 2, 8),
    value,
    big: fc.boolean(),
  }),
  fc.record({ edit: fc.constant('cut' as const), at: place }),
  fc.record({ edit: fc.constant('insert' as const), at: place, bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }) }),
  fc.record({ edit: fc.constant('remove' as const), at: place, length }),
  fc.record({ edit: fc.constant('fill' as const), at: place, length, byte: fc.constantFrom(0, 0xff, 0x20, 0x80) }),
  fc.record({ edit: fc.constant('copy' as const), at: place, from: place, length }),
  fc.record({ edit: fc.constant('splice' as const), at: place, from: place, other: fc.nat(63) }),
);

function apply(bytes: Uint8Array, one: Edit, others: readonly Uint8Array[]): Uint8Array {
  if (bytes.length === 0) return one.edit === 'insert' ? one.bytes : bytes;
  const at = one.at % bytes.length;
  const out = Buffer.from(bytes);
  switch (one.edit) {
    case 'cut':
      return out.subarray(0, at);
    case 'flip':
      out[at]! ^= 1 << one.bit;
      return out;
    case 'number':
      for (let i = 0; i < one.width && at + i < out.length; i++)
        out[at + i] = Number((one.value >> BigInt(8 * (one.big ? one.width - 1 - i : i))) & 0xffn);
      return out;
    case 'insert':
      return Buffer.concat([out.subarray(0, at), one.bytes, out.subarray(at)]);
    case 'remove':
      return Buffer.concat([out.subarray(0, at), out.subarray(at + one.length)]);
    case 'fill':
      return out.fill(one.byte, at, Math.min(out.length, at + one.length));
    case 'copy':
      out.copyWithin(at, one.from % bytes.length, (one.from % bytes.length) + one.length);
      return out;
    case 'splice': {
      const other = others[one.other % others.length]!;
      return Buffer.concat([out.subarray(0, at), other.subarray(other.length === 0 ? 0 : one.from % other.length)]);
    }
  }
}

const words = ({ edit, ...rest }: Edit): string =>
  `${edit}(${Object.entries(rest)
    .map(
      ([name, field]) => `${name} ${field instanceof Uint8Array ? Buffer.from(field).toString('hex') : String(field)}`,
    )
    .join(', ')})`;

/** Files of these, whole or damaged in a few places. */
export function damaged(files: readonly Uint8Array[]): fc.Arbitrary<DamagedFile> {
  return fc.tuple(fc.nat(files.length - 1), fc.array(edit, { maxLength: 6 })).map(([n, edits]) => {
    const bytes = edits.reduce((made, one) => apply(made, one, files), files[n]!);
    return new DamagedFile(Uint8Array.from(bytes), `file ${n}${edits.map((one) => `, ${words(one)}`).join('')}`);
  });
}

/** Only one edit, of one field or byte: what keeps most of a file's sense. */
export function touched(files: readonly Uint8Array[]): fc.Arbitrary<DamagedFile> {
  return fc.tuple(fc.nat(files.length - 1), edit).map(([n, one]) => {
    return new DamagedFile(Uint8Array.from(apply(files[n]!, one, files)), `file ${n}, ${words(one)}`);
  });
}
