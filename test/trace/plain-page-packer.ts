// What src/trace/page-packer.ts does, again and plainly, byte by byte: FORMAT.md, section "MEMO", and the choice of a
// filter as it has always been. Traces would change with the choice.

import { FILTER_BRANCHES, FILTER_NONE, FILTER_PLACES } from '../../src/trace/memory-filters.js';

/** Filter, which bytes are stored, and the page filtered; undefined when nothing is stored. */
export function packPlainly(address: number, page: Uint8Array, mask: Uint8Array | undefined) {
  const observed = (i: number): boolean => {
    const at = (address + i) % 4096;
    return mask === undefined || ((mask[at >> 3]! >> (at & 7)) & 1) === 1;
  };
  const taken = Array.from(page, (_, i) => observed(i));
  for (let from = 0; from < page.length; from++) {
    let to = from;
    while (to < page.length && observed(to) && page[to] === 0) to++;
    if (to - from >= 32) taken.fill(false, from, to);
    if (to > from) from = to - 1;
  }
  if (!taken.some((stored, i) => stored && page[i] !== 0)) return undefined;
  const filter = chooseFilter(address, page, taken);
  return { filter, taken: taken.map(Number), bytes: [...filtered(filter, address, page, taken)] };
}

function chooseFilter(address: number, page: Uint8Array, taken: boolean[]): number {
  const words = wholeWords(address, page.length, taken);
  const view = viewOf(page);
  const places = words.map((at) => (view.getInt32(at, true) + address + at) | 0);
  const steps = places.map((place, i) => (place - (places[i - 1] ?? 0)) | 0);
  const whole = 4 * term(words.length);
  const plain = whole - terms(words.map((at) => view.getInt32(at, true)));
  const placed = whole - terms(steps);
  const room = (page.length - (-address & 3)) >> 2;
  if (room >= 64 && words.length >= 64 && placed < plain * 0.75) return FILTER_PLACES;
  const tops = branchesOf(page, taken).map((at) => page[at + 3]!);
  const near = tops.filter((top) => top === 0 || top === 0xff).length;
  return near >= 4 && near > tops.length - near ? FILTER_BRANCHES : FILTER_NONE;
}

function filtered(filter: number, address: number, page: Uint8Array, taken: boolean[]): Uint8Array {
  const out = page.slice();
  const view = viewOf(out);
  if (filter === FILTER_BRANCHES)
    for (const at of branchesOf(page, taken)) {
      const displacement = view.getInt32(at, true);
      const low = (value: number): number => (value << 7) >> 7;
      view.setInt32(at, low(displacement) === displacement ? low(displacement + address + at + 4) : displacement);
    }
  if (filter === FILTER_PLACES) {
    let before = 0;
    for (const at of wholeWords(address, page.length, taken)) {
      const place = (view.getInt32(at, true) + address + at) | 0;
      view.setInt32(at, place - before);
      before = place;
    }
  }
  return out;
}

/** Where the displacements of near branches are that are stored whole. */
function branchesOf(page: Uint8Array, taken: boolean[]): number[] {
  const found: number[] = [];
  for (let at = 0; at < page.length; at++) {
    const two = page[at] === 0x0f && at + 1 < page.length && page[at + 1]! >> 4 === 8;
    const opcode = page[at] === 0xe8 || page[at] === 0xe9 ? 1 : two ? 2 : 0;
    const end = at + opcode + 4;
    if (opcode === 0 || end > page.length || !taken.slice(at, end).every(Boolean)) continue;
    found.push(at + opcode);
    at = end - 1;
  }
  return found;
}

function wholeWords(address: number, length: number, taken: boolean[]): number[] {
  const found: number[] = [];
  for (let at = -address & 3; at + 4 <= length; at += 4) if (taken.slice(at, at + 4).every(Boolean)) found.push(at);
  return found;
}

/** The sum of n · log n over all bytes at all places of words, in 1/256 bits. */
function terms(words: number[]): number {
  let sum = 0;
  for (let byte = 0; byte < 4; byte++) {
    const counts = new Map<number, number>();
    for (const word of words) {
      const value = (word >>> (8 * byte)) & 0xff;
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    for (const count of counts.values()) sum += term(count);
  }
  return sum;
}

function term(n: number): number {
  if (n === 0) return 0;
  const power = 31 - Math.clz32(n);
  return n * (power * 256 + Math.floor((n * 256) / 2 ** power) - 256);
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
