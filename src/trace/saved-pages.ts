// Pages of checkpoints, packed so that each can be had without the others: a part of a replay needs one in six of the
// pages that it begins with. Some pages at a time are packed together (a group); a list says where each page is, and its
// digest, so that a state's hash can be made, and a page believed, without unpacking any other. FORMAT.md, section "CHKP".
//
// Invariant: what is said here is a claim; who unpacks a page holds it against its digest, and the digests against the
// hash of the state that they are part of.

import { hash } from 'node:crypto';
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';
import { decodeCanonical, encodeCanonical } from './codec.js';
import { binary, integer, record, words32 } from './fields.js';
import { DIGEST_SIZE, MASK_SIZE, PAGE_SIZE, pageDigest } from './state-digest.js';

/** Pages that are packed together: with 16 a fiftieth smaller, but half as many pages more are unpacked. */
const GROUP_PAGES = 8;
/** The same in what others wrote. */
const MOST_GROUP_PAGES = 256;
/** Bytes of unpacked groups that are kept. */
const MAX_UNPACKED = 0x200_0000;

/** Pages of a checkpoint, as threads share them. */
export interface PagesToSave {
  /** Address / 4096 of each that is not zeros, ascending, and of those that are. */
  readonly numbers: Uint32Array<SharedArrayBuffer>;
  readonly zeros: Uint32Array<SharedArrayBuffer>;
  /** Those that are not zeros, with zeros for unobserved bytes. */
  readonly pages: Uint8Array<SharedArrayBuffer>;
  /** 1 for each that state hashes do not take all bytes of, and the masks of those: bytes that count as zeros. */
  readonly isMasked: Uint8Array<SharedArrayBuffer>;
  readonly masks: Uint8Array<SharedArrayBuffer>;
}

/** The payloads of some pages. */
export interface PackedPages {
  readonly groups: Uint8Array;
  readonly list: Uint8Array;
}

/** @param pack gives what packGroups() does for pages side by side */
export function encodeSavedPages(
  { numbers, zeros, pages, isMasked, masks }: PagesToSave,
  pack: (pages: Uint8Array) => Uint8Array = packGroups,
): PackedPages {
  const digests = new Uint8Array(DIGEST_SIZE * numbers.length);
  const places = new Uint32Array(numbers.length);
  const known = new Map<string, number>();
  const different = new Uint8Array(pages.length);
  let masked = 0;
  for (let n = 0; n < numbers.length; n++) {
    const page = pages.subarray(PAGE_SIZE * n, PAGE_SIZE * (n + 1));
    const content = hash('sha256', page, 'binary');
    const place = known.get(content) ?? known.size;
    places[n] = place;
    if (place === known.size) {
      different.set(page, PAGE_SIZE * place);
      known.set(content, place);
    }
    if (isMasked[n] === 0) for (let i = 0; i < DIGEST_SIZE; i++) digests[DIGEST_SIZE * n + i] = content.charCodeAt(i);
    else {
      const mask = masks.subarray(MASK_SIZE * masked, MASK_SIZE * (masked + 1));
      digests.set(pageDigest(page, mask), DIGEST_SIZE * n);
      masked++;
    }
  }
  const packed = pack(different.subarray(0, PAGE_SIZE * known.size));
  const sizes = 4 * Math.ceil(known.size / GROUP_PAGES);
  const list = {
    digests,
    groupPages: GROUP_PAGES,
    numbers: wordsOf(numbers),
    pages: known.size,
    places: wordsOf(places),
    sizes: packed.subarray(0, sizes),
    zeros: wordsOf(zeros),
  };
  return { groups: encodeCanonical(packed.subarray(sizes)), list: encodeCanonical(list) };
}

/** Pages packed in groups: the bytes of each group, 32 bits, and behind them all the groups. @param pause called now and then */
export function packGroups(pages: Uint8Array, pause?: () => void): Uint8Array {
  const size = GROUP_PAGES * PAGE_SIZE;
  const groups: Uint8Array[] = [];
  for (let at = 0; at < pages.length; at += size) {
    pause?.();
    groups.push(packGroup(pages.subarray(at, at + size)));
  }
  const sizes = new Uint32Array(groups.map(({ length }) => length));
  return Buffer.concat([wordsOf(sizes), ...groups]);
}

function packGroup(pages: Uint8Array): Uint8Array {
  const packed = brotliCompressSync(pages, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 4,
      [constants.BROTLI_PARAM_LGWIN]: Math.max(10, 32 - Math.clz32(pages.length + 15)),
      [constants.BROTLI_PARAM_SIZE_HINT]: pages.length,
    },
  });
  return packed.length < pages.length ? packed : pages;
}

/** A list of pages, checked by itself. */
interface PageList {
  readonly numbers: Uint32Array;
  readonly zeros: Uint32Array;
  readonly digests: Uint8Array;
  /** Which of the packed pages it is. */
  readonly places: Uint32Array;
  readonly pages: number;
  readonly groupPages: number;
  /** Where each group begins among the packed bytes, and where the last one ends. */
  readonly starts: Float64Array;
}

/** @throws Error when the payload breaks the format */
export function decodePageList(payload: Uint8Array): PageList {
  const map = record(decodeCanonical(payload), 'a list of pages');
  const digests = binary(map.digests, 'digests');
  const [numbers, places, sizes, zeros] = [map.numbers, map.places, map.sizes, map.zeros].map((value) =>
    words32(value, 'numbers of pages'),
  );
  const groupPages = integer(map.groupPages, MOST_GROUP_PAGES, 'groupPages');
  const pages = integer(map.pages, numbers!.length, 'pages');
  if (groupPages === 0 || sizes!.length !== Math.ceil(pages / groupPages)) throw new Error('groups are not whole');
  if (digests.length !== DIGEST_SIZE * numbers!.length || places!.length !== numbers!.length)
    throw new Error('a list of pages is not whole');
  if (places!.some((place) => place >= pages)) throw new Error('a page has no place');
  const starts = new Float64Array(sizes!.length + 1);
  sizes!.forEach((size, n) => {
    starts[n + 1] = starts[n]! + size;
  });
  return { numbers: numbers!, zeros: zeros!, digests, places: places!, pages, groupPages, starts };
}

/** A list and the groups that belong to it. */
export interface ListedPages {
  readonly list: PageList;
  /** Bytes of the packed groups. @throws Error when they are not there */
  readonly read: (from: number, length: number) => Uint8Array;
}

/** What some checkpoints leave: of each page its last version. */
export class SavedPages {
  /** Number of the list that has a page, 1 for the first, by its number; and which of the list's pages it is, −1 for zeros. */
  readonly #lists: Uint8Array | Uint16Array;
  readonly #indexes: Int32Array;
  readonly #unpacked = new Map<number, Uint8Array>();
  #size = 0;

  /**
   * @param lists in the order of their checkpoints
   * @param pages of RAM
   * @throws Error when one is not RAM
   */
  constructor(
    private readonly lists: readonly ListedPages[],
    pages: number,
  ) {
    this.#lists = lists.length < 0x100 ? new Uint8Array(pages) : new Uint16Array(pages);
    this.#indexes = new Int32Array(pages);
    if (lists.length > 0xffff) throw new Error('there are too many lists of pages');
    lists.forEach(({ list: { numbers, zeros } }, n) => {
      const add = (page: number, index: number): void => {
        if (page >= pages) throw new Error(`page ${page} is not RAM`);
        this.#lists[page] = n + 1;
        this.#indexes[page] = index;
      };
      zeros.forEach((page) => {
        add(page, -1);
      });
      numbers.forEach(add);
    });
  }

  /** Numbers of all pages, ascending. */
  *numbers(): Generator<number> {
    for (let page = 0; page < this.#lists.length; page++) if (this.#lists[page] !== 0) yield page;
  }

  isZeros(page: number): boolean {
    return this.#indexes[page]! < 0;
  }

  /** As the state's hash has it. A view. */
  digestOf(page: number): Uint8Array {
    const at = DIGEST_SIZE * this.#indexes[page]!;
    return this.#listOf(page).list.digests.subarray(at, at + DIGEST_SIZE);
  }

  /** 4096 bytes of a page that is not zeros, with zeros for unobserved ones. A view. @throws Error */
  bytesOf(page: number): Uint8Array {
    const { list, read } = this.#listOf(page);
    const place = list.places[this.#indexes[page]!]!;
    const group = Math.floor(place / list.groupPages);
    const key = group * 0x1_0000 + this.#lists[page]!;
    let bytes = this.#unpacked.get(key);
    if (!bytes) {
      bytes = unpackGroup(list, group, read);
      if (this.#size + bytes.length > MAX_UNPACKED) {
        this.#unpacked.clear();
        this.#size = 0;
      }
      this.#unpacked.set(key, bytes);
      this.#size += bytes.length;
    }
    const at = PAGE_SIZE * (place % list.groupPages);
    return bytes.subarray(at, at + PAGE_SIZE);
  }

  #listOf(page: number): ListedPages {
    return this.lists[this.#lists[page]! - 1]!;
  }
}

function unpackGroup({ groupPages, pages, starts }: PageList, group: number, read: ListedPages['read']): Uint8Array {
  const length = PAGE_SIZE * Math.min(groupPages, pages - group * groupPages);
  const from = starts[group]!;
  const packed = read(from, starts[group + 1]! - from);
  if (packed.length === length) return packed;
  const bytes = brotliDecompressSync(packed, { chunkSize: length, maxOutputLength: length });
  if (bytes.length !== length) throw new Error('a group of pages is not whole');
  return bytes;
}

/** 32 bits each, little-endian, as this host has them. */
const wordsOf = (words: Uint32Array): Uint8Array => new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
