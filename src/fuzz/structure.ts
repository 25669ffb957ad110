// A boot structure as a value: what it says, field by field, and how it breaks its specification, by name. Bytes are
// made from that, so a value shrinks as a structure: counts follow arrays and checksums are right, unless a break that
// is part of the value says otherwise.
//
// Invariants: encode() gives the same bytes for the same value; a hostile structure differs from the valid one that it
// was made from. Left out: decoding bytes; whoever has a parser holds it against the value.

import fc from 'fast-check';
import { extensible, offerable, replaceable } from './coverage/offers.js';

/** One way in which a hostile structure breaks its specification. */
export interface Break {
  /** A key of the kind's `breaks`. */
  readonly name: string;
  /** Which element, modulo how many there are. */
  readonly at: number;
  /** What is put where the break says, cut to the field's width. */
  readonly value: bigint;
}

/** A kind of structure: its values, its bytes, and the ways to break it. */
export interface StructureKind<T> {
  readonly name: string;
  /** What valid values obey, with the section. */
  readonly specification: string;
  readonly valid: fc.Arbitrary<T>;
  /** Each changes a draft: fields of it, or fields that stand for lies, which valid values leave out. */
  readonly breaks: Readonly<Record<string, (draft: T, at: number, value: bigint) => void>>;
  encode(value: T): Uint8Array;
}

/** A structure that an arbitrary made. It prints as what it says, its breaks and its bytes. */
export class Structure<T> {
  readonly #kind: StructureKind<T>;

  constructor(
    kind: StructureKind<T>,
    /** The valid value. */
    readonly base: T,
    /** What is broken; nothing in a valid structure. */
    readonly breaks: readonly Break[],
  ) {
    this.#kind = kind;
  }

  get kind(): string {
    return this.#kind.name;
  }

  /** What the structure says, broken where it is. */
  get value(): T {
    if (this.breaks.length === 0) return this.base;
    const draft = structuredClone(this.base);
    for (const { name, at, value } of this.breaks) this.#kind.breaks[name]!(draft, at, value);
    return draft;
  }

  encode(): Uint8Array {
    return this.#kind.encode(this.value);
  }

  /** For people: breaks, fields, bytes. */
  toString(): string {
    const broken = this.breaks.map(({ name, at, value }) => `${name} (at ${at}, value 0x${value.toString(16)})`);
    const head = `${this.kind}, ${broken.length === 0 ? 'valid' : `broken: ${broken.join(', ')}`}`;
    return [head, ...fieldLines(this.value, '  '), '  bytes:', ...hexLines(this.encode(), '    ')].join('\n');
  }

  [fc.toStringMethod](): string {
    return this.toString();
  }
}

/** Structures that obey their specification. */
export function valid<T>(kind: StructureKind<T>): fc.Arbitrary<Structure<T>> {
  return kind.valid.map((value) => new Structure(kind, value, []));
}

/** Numbers at which sizes, counts and addresses go wrong; small ones first, which is where shrinking leads. */
export const EDGES: readonly bigint[] = [
  ...[0n, 1n, 0xffn, 0x100n, 0xfffn, 0x1000n, 0xffffn, 0x1_0000n, 0xf_ffffn, 0x10_0000n, 0x7fff_ffffn, 0x8000_0000n],
  ...[0xffff_f000n, 0xffff_ffffn, 0x1_0000_0000n, 0x7fff_ffff_ffff_ffffn, 0xffff_ffff_ffff_f000n],
  0xffff_ffff_ffff_ffffn,
];

/** Of the choices of `lies`, the one that may be any number. */
const LAST_LIE = 2;

/** Numbers that structures lie with. */
export const lies: fc.Arbitrary<bigint> = offerable(
  fc.oneof(fc.bigInt(0n, 64n), fc.constantFrom(...EDGES), fc.bigInt(0n, 0xffff_ffff_ffff_ffffn)),
  0xffff_ffff_ffff_ffffn,
  LAST_LIE,
);

export interface HostileOptions {
  /** Most breaks at once. Default 3. */
  readonly most?: number;
  /** Only these breaks. Default all. */
  readonly only?: readonly string[];
}

/** Structures that break their specification in one way, or in several. */
export function hostile<T>(kind: StructureKind<T>, options: HostileOptions = {}): fc.Arbitrary<Structure<T>> {
  const { most = 3 } = options;
  const names = Object.keys(kind.breaks).filter((name) => options.only?.includes(name) ?? true);
  const one = replaceable(
    fc.record({ name: fc.constantFrom(...names), at: fc.nat(15), value: lies }, { noNullPrototype: true }),
    LAST_LIE,
  );
  // A list that may be empty, since shrinking then may drop any of the breaks; with none the filter refuses it.
  return fc
    .tuple(kind.valid, extensible(fc.array(one, { maxLength: most }), most))
    .map(([base, breaks]) => new Structure(kind, base, withEffect(kind, base, breaks)))
    .filter((made) => !sameBytes(made.encode(), kind.encode(made.base)));
}

/** The breaks without those that change nothing beside the others: a list that the base has none of, and the like. */
function withEffect<T>(kind: StructureKind<T>, base: T, breaks: readonly Break[]): readonly Break[] {
  let kept = breaks;
  for (let i = breaks.length - 1; i >= 0 && kept.length > 1; i--) {
    const fewer = kept.filter((one) => one !== breaks[i]);
    if (sameBytes(new Structure(kind, base, kept).encode(), new Structure(kind, base, fewer).encode())) kept = fewer;
  }
  return kept;
}

/** Valid and hostile structures: what a campaign throws at a guest. */
export function either<T>(kind: StructureKind<T>): fc.Arbitrary<Structure<T>> {
  return fc.oneof({ weight: 1, arbitrary: valid(kind) }, { weight: 3, arbitrary: hostile(kind) });
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** A value's fields, one a line; numbers in hexadecimal, bytes shortened. */
export function fieldLines(value: unknown, indent: string): string[] {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [indent + leaf(value)];
  return Object.entries(value).flatMap(([name, field]) => {
    if (field === undefined) return [];
    if (typeof field !== 'object' || field === null || field instanceof Uint8Array)
      return [`${indent}${name}: ${leaf(field)}`];
    const lines = fieldLines(field, `${indent}  `);
    return [`${indent}${name}:${lines.length === 0 ? ' none' : ''}`, ...lines];
  });
}

function leaf(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'bigint') return `0x${value.toString(16)}`;
  if (!(value instanceof Uint8Array)) return JSON.stringify(value) ?? 'none';
  const shown = Buffer.from(value.subarray(0, 32)).toString('hex');
  return `${value.length} bytes ${shown}${value.length > 32 ? '…' : ''}`;
}

/** Bytes, 32 a line; lines of zeros are left out. */
function hexLines(bytes: Uint8Array, indent: string): string[] {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 32) {
    const part = bytes.subarray(at, at + 32);
    if (part.some((byte) => byte !== 0) || at + 32 >= bytes.length)
      lines.push(`${indent}${at.toString(16).padStart(4, '0')}  ${Buffer.from(part).toString('hex')}`);
  }
  return lines;
}
