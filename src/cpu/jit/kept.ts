// Translations kept from process to process: which blocks were translated, with their records, and the modules that were
// made of them. A boot is deterministic, so the next one decodes the same blocks; those that say the same get the
// address that they had (block-homes.ts), and their regions at once, with no threshold and no compilation.
//
// Invariant: a kept region holds nothing but what follows from the records at the addresses that it names, and these
// addresses are given to blocks with these records alone. So what is kept may come from any guest: it fits or is not
// used. Whoever reads a file has made sure that it is whole and of this very program (api/kept-translations.ts).

import { UOP_SIZE, UOPS } from '../layout.js';

export interface KeptBlock {
  readonly header: number;
  /** Physical page of its first instruction. */
  readonly page: number;
  /** Header and records. */
  readonly records: Uint8Array;
}

export interface KeptRegion {
  readonly slot: number;
  readonly bits: 16 | 32 | 64;
  readonly flat: number;
  /** How many of the blocks it is entered by: the first ones. */
  readonly entries: number;
  /** It was made with tracked reads to note. */
  readonly notes: boolean;
  readonly blocks: readonly KeptBlock[];
}

export interface KeptModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** V8's code of it, if any. */
  readonly code: Uint8Array;
  readonly regions: readonly KeptRegion[];
}

export interface KeptTranslations {
  /** The last boot found little to add. */
  readonly settled: boolean;
  /** Slots in the table of regions, used or not. */
  readonly slots: number;
  readonly modules: readonly KeptModule[];
}

/** Where kept records end at the latest: room must be left for blocks that are not kept. */
export const KEPT_END = UOPS + 0x100_0000;
export const KEPT_SLOTS = 0x8000;
const MAGIC = 0x334b_5256; // VRK3

/** Pieces of one array: counts and addresses as u32, then records, modules and code as they are. */
export function packKept(kept: KeptTranslations): Uint8Array[] {
  const words: number[] = [MAGIC, kept.settled ? 1 : 0, kept.slots, kept.modules.length];
  const data: Uint8Array[] = [];
  for (const { bytes, code, regions } of kept.modules) {
    words.push(bytes.length, code.length, regions.length);
    for (const { slot, bits, flat, entries, notes, blocks } of regions) {
      words.push(slot, bits, flat, blocks.length, entries, notes ? 1 : 0);
      for (const { header, page, records } of blocks) {
        words.push(header, page, records.length);
        data.push(records);
      }
    }
    data.push(bytes, code);
  }
  const head = new DataView(new ArrayBuffer(4 * (1 + words.length)));
  [words.length, ...words].forEach((word, n) => {
    head.setUint32(4 * n, word, true);
  });
  return [new Uint8Array(head.buffer), ...data];
}

/** The contents of `data`, as views of it; undefined when they make no sense. */
export function unpackKept(data: Uint8Array<ArrayBuffer>): KeptTranslations | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  let next = 4;
  let at = 0;
  let sound = true;
  const word = (limit: number): number => {
    if (next + 4 > data.length) sound = false;
    const value = sound ? view.getUint32(next, true) : 0;
    next += 4;
    if (value > limit) sound = false;
    return sound ? value : 0;
  };
  const piece = (length: number): Uint8Array<ArrayBuffer> => {
    at += length;
    if (at > data.length) sound = false;
    return data.subarray(at - length, at);
  };
  if (data.length < 4) return undefined;
  at = 4 * (1 + view.getUint32(0, true));
  if (word(0xffff_ffff) !== MAGIC) return undefined;
  const settled = word(1) === 1;
  const slots = word(KEPT_SLOTS);
  const modules: KeptModule[] = [];
  for (let count = word(KEPT_SLOTS); count > 0 && sound; count--) {
    const sizes = [word(data.length), word(data.length)] as const;
    const regions: KeptRegion[] = [];
    for (let left = word(KEPT_SLOTS); left > 0 && sound; left--) {
      const [slot, bits, flat] = [word(slots), word(64) as 16 | 32 | 64, word(63)];
      const blocks: KeptBlock[] = [];
      const count = word(256);
      const entries = word(count);
      const notes = word(1) === 1;
      for (let n = count; n > 0 && sound; n--) {
        const [header, page, length] = [word(KEPT_END), word(0xf_ffff), word(128 * UOP_SIZE)];
        if (header < UOPS || header % UOP_SIZE !== 0 || header + length > KEPT_END || length < 2 * UOP_SIZE)
          sound = false;
        blocks.push({ header, page, records: piece(length) });
      }
      if (slot >= slots || ![16, 32, 64].includes(bits)) sound = false;
      regions.push({ slot, bits, flat, entries, notes, blocks });
    }
    modules.push({ regions, bytes: piece(sizes[0]), code: piece(sizes[1]) });
  }
  return sound ? { settled, slots, modules } : undefined;
}
