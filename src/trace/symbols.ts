// Symbols of the guest's kernel, from the ELF symbol table (System V ABI, chapter 4: section header and symbol
// table). Only functions and code labels count; the table serves reports and is outside a trace's content.

import { decodeCanonical, encodeCanonical } from './codec.js';
import { binary, list, record, text } from './fields.js';

const MAX_SYMBOLS = 0x10_0000;
const SHT_SYMTAB = 2;
const SHF_EXECINSTR = 4n;
const STT_NOTYPE = 0;
const STT_FUNC = 2;
/** A symbol is not named for an address further than this behind it, in bytes. */
const MAX_DISTANCE = 0x10_0000n;

export interface SymbolAt {
  readonly name: string;
  /** Bytes from the symbol to the address. */
  readonly offset: number;
}

/** Sorted symbols; the last one at or before an address is its name. */
export class SymbolTable {
  readonly #addresses: BigUint64Array;
  readonly #names: readonly string[];

  private constructor(addresses: BigUint64Array, names: readonly string[]) {
    this.#addresses = addresses;
    this.#names = names;
  }

  /** A table of linear addresses. Of several names for one address the first in code-unit order is kept. */
  static of(symbols: Iterable<readonly [address: bigint, name: string]>): SymbolTable {
    const sorted = [...symbols].sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0));
    const kept = sorted.filter(([address], i) => i === 0 || sorted[i - 1]![0] !== address).slice(0, MAX_SYMBOLS);
    return new SymbolTable(
      BigUint64Array.from(kept, ([address]) => address),
      kept.map(([, name]) => name),
    );
  }

  /** The symbols of a 32- or 64-bit little-endian ELF image; undefined when it has none or is not one. */
  static fromElf(image: Uint8Array): SymbolTable | undefined {
    const symbols = elfSymbols(image);
    return symbols.length > 0 ? SymbolTable.of(symbols) : undefined;
  }

  /** @throws Error when the payload of a SYMS chunk breaks the format. */
  static decode(payload: Uint8Array): SymbolTable {
    const map = record(decodeCanonical(payload), 'the symbols');
    const bytes = binary(map.addresses, 'addresses');
    const names = list(map.names, 'names').map((name) => text(name, 'a symbol'));
    if (bytes.length !== names.length * 8) throw new Error('symbols and addresses differ in number');
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    return new SymbolTable(
      BigUint64Array.from(names, (_, i) => view.getBigUint64(i * 8, true)),
      names,
    );
  }

  get size(): number {
    return this.#names.length;
  }

  /** All symbols by address. */
  *entries(): Generator<readonly [address: bigint, name: string]> {
    for (const [i, name] of this.#names.entries()) yield [this.#addresses[i]!, name];
  }

  /** Payload of a SYMS chunk. */
  encode(): Uint8Array {
    const bytes = Buffer.alloc(this.#addresses.length * 8);
    this.#addresses.forEach((address, i) => {
      bytes.writeBigUInt64LE(address, i * 8);
    });
    return encodeCanonical({ addresses: bytes, names: this.#names });
  }

  /** Linear address of a symbol, the lowest when there are several of the name. */
  addressOf(name: string): bigint | undefined {
    const at = this.#names.indexOf(name);
    return at < 0 ? undefined : this.#addresses[at];
  }

  /** The symbol that a linear address belongs to. */
  lookup(address: bigint): SymbolAt | undefined {
    let low = 0;
    let high = this.#addresses.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#addresses[middle]! <= address) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return undefined;
    const distance = address - this.#addresses[low - 1]!;
    return distance > MAX_DISTANCE ? undefined : { name: this.#names[low - 1]!, offset: Number(distance) };
  }
}

interface Section {
  readonly type: number;
  readonly flags: bigint;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
}

function elfSymbols(image: Uint8Array): [bigint, string][] {
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  try {
    if (view.getUint32(0, false) !== 0x7f45_4c46 || view.getUint8(5) !== 1) return [];
    const wide = view.getUint8(4) === 2;
    const sections = elfSections(view, wide);
    const table = sections.find(({ type }) => type === SHT_SYMTAB);
    const strings = table && sections[table.link];
    return table && strings ? readSymbols(view, wide, sections, table, strings) : [];
  } catch (error) {
    if (error instanceof RangeError) return [];
    throw error;
  }
}

function elfSections(view: DataView, wide: boolean): Section[] {
  const start = wide ? Number(view.getBigUint64(0x28, true)) : view.getUint32(0x20, true);
  const entrySize = view.getUint16(wide ? 0x3a : 0x2e, true);
  const count = view.getUint16(wide ? 0x3c : 0x30, true);
  const sections: Section[] = [];
  for (let i = 0; i < count; i++) {
    const at = start + i * entrySize;
    const word = (offset: number) => view.getUint32(at + offset, true);
    const long = (offset: number) => view.getBigUint64(at + offset, true);
    sections.push(
      wide
        ? { type: word(4), flags: long(8), offset: Number(long(24)), size: Number(long(32)), link: word(40) }
        : { type: word(4), flags: BigInt(word(8)), offset: word(16), size: word(20), link: word(24) },
    );
  }
  return sections;
}

function readSymbols(
  view: DataView,
  wide: boolean,
  sections: readonly Section[],
  table: Section,
  strings: Section,
): [bigint, string][] {
  const found: [bigint, string][] = [];
  const entrySize = wide ? 24 : 16;
  const count = Math.min(Math.floor(table.size / entrySize), MAX_SYMBOLS);
  for (let i = 1; i < count; i++) {
    const at = table.offset + i * entrySize;
    const type = view.getUint8(at + (wide ? 4 : 12)) & 15;
    const section = sections[view.getUint16(at + (wide ? 6 : 14), true)];
    if ((type !== STT_FUNC && type !== STT_NOTYPE) || !section || (section.flags & SHF_EXECINSTR) === 0n) continue;
    const name = stringAt(view, strings, view.getUint32(at, true));
    const address = wide ? view.getBigUint64(at + 8, true) : BigInt(view.getUint32(at + 4, true));
    if (name !== '') found.push([address, name]);
  }
  return found;
}

function stringAt(view: DataView, strings: Section, index: number): string {
  let end = strings.offset + index;
  const from = end;
  const limit = Math.min(strings.offset + strings.size, from + 512);
  while (end < limit && view.getUint8(end) !== 0) end++;
  return Buffer.from(view.buffer, view.byteOffset + from, Math.max(end - from, 0)).toString('utf8');
}
