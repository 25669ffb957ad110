// Traces that say other things than any recording, but whose hashes are right: what stands behind the hash chain gets
// to see them only so. A forger takes the payloads of a good trace apart, changes them and seals the file again.

import {
  CHUNK_HEADER_SIZE,
  type ChunkType,
  ContentRoot,
  decodeChunkHeader,
  decodePayload,
  END_MAGIC,
  encodeChunk,
  encodePreamble,
  FLAG_ANCILLARY,
  firstLink,
  LINK_SIZE,
  PREAMBLE_SIZE,
  startLink,
  TRAILER_SIZE,
} from '../../src/trace/chunks.js';
import { encodeIndex, type IndexEntry } from '../../src/trace/header.js';

export interface Payload {
  readonly type: ChunkType;
  readonly raw: Uint8Array;
}

/** The payloads of a finished trace but for the index, in order. */
export function payloadsOf(file: Buffer): Payload[] {
  const payloads: Payload[] = [];
  for (let at = PREAMBLE_SIZE; ; ) {
    const header = decodeChunkHeader(file.subarray(at, at + CHUNK_HEADER_SIZE));
    if (typeof header === 'string') throw new Error(header);
    if (header.type === 'INDX') return payloads;
    const stored = file.subarray(at + CHUNK_HEADER_SIZE, at + CHUNK_HEADER_SIZE + header.storedLength);
    payloads.push({ type: header.type as ChunkType, raw: Uint8Array.from(decodePayload(header, stored)) });
    at += CHUNK_HEADER_SIZE + header.storedLength + LINK_SIZE;
  }
}

/**
 * A trace of these payloads: chain, root, index and trailer are those of an honest file.
 * @param place what the index says of a payload besides
 */
export function sealTrace(
  payloads: readonly Payload[],
  place: (payload: Payload) => Partial<IndexEntry> = () => ({}),
): Buffer {
  const preamble = encodePreamble();
  const parts: Uint8Array[] = [preamble];
  const root = new ContentRoot();
  const index: IndexEntry[] = [];
  let link: Uint8Array = firstLink(preamble);
  let offset = preamble.length;
  const add = (payload: Payload): void => {
    const { type, raw } = payload;
    const { header, stored } = encodeChunk(type, raw);
    link = startLink(link, header).update(stored).digest();
    if ((header[5]! & FLAG_ANCILLARY) === 0) root.add(type, raw);
    index.push({ type, offset, event: 0, cycle: 0, ...place(payload) });
    parts.push(header, stored, link);
    offset += header.length + stored.length + link.length;
  };
  payloads.forEach(add);
  const indexAt = offset;
  add({ type: 'INDX', raw: encodeIndex([...index], root.digest().toString('hex')) });
  const trailer = Buffer.alloc(TRAILER_SIZE);
  trailer.writeBigUInt64LE(BigInt(indexAt));
  END_MAGIC.copy(trailer, 8);
  return Buffer.concat([...parts, trailer]);
}
