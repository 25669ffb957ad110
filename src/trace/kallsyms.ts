// The symbol table that a Linux kernel carries for its own messages (kernel/kallsyms.c, scripts/kallsyms.c of Linux 4.6
// and later), found in guest memory. Names are packed with a table of 256 tokens, whose digits stand one behind the
// other in every kernel: that is what is looked for. From there the other tables are found by what they must be.
//
//   up to 6.3   offsets · relative_base · num_syms · names · markers · [seqs_of_names] · token_table · token_index
//   from 6.4    num_syms · names · markers · token_table · token_index · offsets · relative_base · seqs_of_names
//
// Memory is the guest's: every count and offset is checked, and what does not fit is no table. Left out: kernels before
// 4.6, which have absolute addresses in the place of offsets.

import { SymbolTable } from './symbols.js';

const TOKENS = 256;
const ZERO = 0x30;
const DIGITS = Buffer.from('0\x001\x002\x003\x004\x005\x006\x007\x008\x009\x00', 'latin1');
/** Symbols for each marker. */
const STRIDE = 256;
const MOST_SYMBOLS = 0x10_0000;
/** Bytes of a name, packed, at most: far fewer on average. */
const MOST_AVERAGE = 128;
const MOST_NAME = 512;
/** Between markers and token table lie at most three bytes a symbol. */
const MOST_BETWEEN = 0x40_0000;
const CODE = 'tTwW';

interface Tokens {
  readonly start: number;
  /** Behind the index. */
  readonly end: number;
  readonly texts: readonly string[];
}

/**
 * The functions of a kernel that lies whole in memory.
 * @param memory guest physical memory from address 0
 * @returns undefined when there is none
 */
export function kallsymsIn(memory: Uint8Array): SymbolTable | undefined {
  const bytes = Buffer.from(memory.buffer, memory.byteOffset, memory.length);
  for (let at = bytes.indexOf(DIGITS); at >= 0; at = bytes.indexOf(DIGITS, at + 1)) {
    const tokens = tokensAround(bytes, at);
    const found = tokens && readTable(bytes, tokens);
    if (found) return found;
  }
  return undefined;
}

/** The token table that has its digits at a place, held against its index. */
function tokensAround(bytes: Buffer, digits: number): Tokens | undefined {
  let start = digits;
  for (let n = 0; n < ZERO; n++) {
    const end = start - 1;
    if (end < 0 || bytes[end] !== 0) return undefined;
    start = end;
    while (start > 0 && bytes[start - 1] !== 0 && end - start < MOST_NAME) start--;
  }
  // The first token has no zero of its own before it, only padding; its place is what the index agrees with.
  const texts: string[] = [];
  const offsets: number[] = [];
  let at = start;
  for (let n = 0; n < TOKENS; n++) {
    const end = bytes.indexOf(0, at);
    if (end < 0 || end - at > MOST_NAME) return undefined;
    offsets.push(at - start);
    texts.push(bytes.toString('latin1', at, end));
    at = end + 1;
  }
  for (const align of [8, 4]) {
    const index = Math.ceil(at / align) * align;
    if (index + 2 * TOKENS > bytes.length) continue;
    if (offsets.every((offset, n) => bytes.readUInt16LE(index + 2 * n) === offset))
      return { start, end: index + 2 * TOKENS, texts };
  }
  return undefined;
}

function readTable(bytes: Buffer, tokens: Tokens): SymbolTable | undefined {
  const lowest = Math.max(0, tokens.start - MOST_BETWEEN);
  for (let at = tokens.start & ~3; at >= lowest; at -= 4) {
    const markers = markersAt(bytes, at, tokens.start);
    if (!markers) continue;
    const found = readNames(bytes, tokens, at, markers);
    if (found) return found;
  }
  return undefined;
}

/** Offsets of every 256th name: from 0, ascending by what 256 names take. */
function markersAt(bytes: Buffer, at: number, end: number): number[] | undefined {
  if (at + 16 > end || bytes.readUInt32LE(at) !== 0) return undefined;
  const markers = [0];
  for (let next = at + 4; next + 4 <= end; next += 4) {
    const value = bytes.readUInt32LE(next);
    const step = value - markers.at(-1)!;
    if (step < STRIDE * 2 || step > STRIDE * MOST_AVERAGE) break;
    markers.push(value);
  }
  return markers.length >= 2 && markers.length <= MOST_SYMBOLS / STRIDE ? markers : undefined;
}

function readNames(bytes: Buffer, tokens: Tokens, markersAt: number, markers: number[]): SymbolTable | undefined {
  const last = markers.at(-1)!;
  // Names end where markers begin, up to padding; at most 256 of them come behind the last marker.
  const [high, low] = [markersAt - last - 2, Math.max(16, markersAt - last - STRIDE * MOST_AVERAGE)];
  for (let names = high & ~3; names >= low; names -= 4) {
    for (const before of [8, 4]) {
      const count = bytes.readUInt32LE(names - before);
      if (Math.ceil(count / STRIDE) !== markers.length) continue;
      const parsed = parseNames(bytes, tokens, names, count, markers, markersAt);
      if (parsed) return withAddresses(bytes, parsed, names - before, tokens.end);
    }
  }
  return undefined;
}

/** Names with their type in front; undefined when they do not meet the markers. */
function parseNames(
  bytes: Buffer,
  { texts }: Tokens,
  start: number,
  count: number,
  markers: readonly number[],
  end: number,
): string[] | undefined {
  const names: string[] = [];
  let at = start;
  for (let n = 0; n < count; n++) {
    if (n % STRIDE === 0 && at - start !== markers[n / STRIDE]) return undefined;
    let length = bytes[at++]!;
    if (length & 0x80) length = (length & 0x7f) | (bytes[at++]! << 7);
    if (length === 0 || length > MOST_NAME || at + length > end) return undefined;
    let name = '';
    for (const stop = at + length; at < stop; at++) name += texts[bytes[at]!]!;
    if (name.length > 2 * MOST_NAME) return undefined;
    names.push(name);
  }
  return end - at < 16 ? names : undefined;
}

/** Addresses before the count, or behind the tokens. */
function withAddresses(bytes: Buffer, names: string[], countAt: number, tokensEnd: number): SymbolTable | undefined {
  const size = 4 * names.length;
  for (const width of [8, 4]) {
    const up = (at: number) => Math.ceil(at / width) * width;
    const down = (at: number) => Math.floor(at / width) * width;
    const baseBefore = down(countAt - width);
    const places = [
      [down(baseBefore - size), baseBefore],
      [up(tokensEnd), up(up(tokensEnd) + size)],
    ] as const;
    for (const [offsets, base] of places) {
      if (offsets < 0 || base + width > bytes.length) continue;
      const found = readAddresses(
        bytes,
        names,
        offsets,
        width === 8 ? bytes.readBigUInt64LE(base) : bytes.readUInt32LE(base),
      );
      if (found) return found;
    }
  }
  return undefined;
}

/** Addresses ascend; with per-processor variables apart, those of code are negative (kallsyms_sym_address). */
function readAddresses(bytes: Buffer, names: string[], at: number, base: bigint | number): SymbolTable | undefined {
  const start = BigInt(base);
  if (start < 0xc000_0000n || start % 0x1000n !== 0n) return undefined;
  const negative = bytes.readInt32LE(at + 4 * (names.length - 1)) < 0;
  const symbols: [bigint, string][] = [];
  let previous = 0n;
  for (const [n, name] of names.entries()) {
    const offset = bytes.readInt32LE(at + 4 * n);
    if (negative && offset >= 0) continue;
    const address = negative ? start - 1n - BigInt(offset) : start + BigInt(offset >>> 0);
    if (address < previous) return undefined;
    previous = address;
    if (CODE.includes(name[0]!)) symbols.push([address, name.slice(1)]);
  }
  return symbols.length > 0 ? SymbolTable.of(symbols) : undefined;
}
