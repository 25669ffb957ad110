// The container: preamble, chunks, trailer (FORMAT.md, section "Container"). Knows bytes, lengths, compression and
// hashes, not what a chunk means.
//
// Two hashes run over a file. The chain covers every stored byte and answers "is this file what was written?"; the
// content root covers the uncompressed bytes of the content chunks only, so that it is the same whatever zlib wrote
// the file and whatever notes it carries: equal roots, equal boots.

import { createHash, type Hash } from 'node:crypto';
import { brotliCompressSync, brotliDecompressSync, constants, inflateRawSync } from 'node:zlib';
import { unpackLzma } from '../boot/unpack/lzma.js';
import { type Borrower, fillBorrowed, type SourceBytes } from './borrowed.js';
import type { ChunkHeader } from './chunk-place.js';
import { encodeLzma } from './lzma-encoder.js';

/** "\x89VMR\r\n\x1a\n": not text, and damaged visibly by a transfer in text mode. */
export const MAGIC = Buffer.from('89564d520d0a1a0a', 'hex');
export const CONTAINER_MAJOR = 2;
export const CONTAINER_MINOR = 1;
export const PREAMBLE_SIZE = 16;
export const CHUNK_HEADER_SIZE = 24;
export const LINK_SIZE = 32;
/** Offset of the index chunk (u64), then END_MAGIC. */
export const TRAILER_SIZE = 16;
export const END_MAGIC = Buffer.from('VMREND\r\n', 'latin1');
/** Largest payload, stored or raw. A longer length field is damage, and nothing is allocated for it. */
export const MAX_PAYLOAD = 64 * 1024 * 1024;

/** Chunk types this version knows. Readers skip the others. */
export const CHUNK_TYPES = [
  'HEAD',
  'NOTE',
  'EVTS',
  'MEMO',
  'KNOW',
  'PAGE',
  'LIST',
  'CHKP',
  'SYMS',
  'DONE',
  'INDX',
] as const;
export type ChunkType = (typeof CHUNK_TYPES)[number];

/** Chunks outside the content root. */
const ANCILLARY: readonly string[] = ['NOTE', 'SYMS', 'KNOW', 'PAGE', 'LIST', 'CHKP', 'INDX'];

export const CODEC_NONE = 0;
export const CODEC_DEFLATE = 1;
export const CODEC_BROTLI = 2;
/** A .lzma file. (3 was a coder of drafts.) */
export const CODEC_LZMA = 4;
/** Brotli of what is left when bytes that images have are left out (borrowed.ts). */
export const CODEC_BORROWED = 5;
/** Smallest raw payload of memory for which LZMA is worth the time at the end of a run: firmware must not wait for it. */
const MIN_LZMA = 0x8_0000;

/** Bit 0 of a chunk's flags: the chunk is not part of the content root. */
export const FLAG_ANCILLARY = 1;

export function encodePreamble(): Buffer {
  const bytes = Buffer.alloc(PREAMBLE_SIZE);
  MAGIC.copy(bytes);
  bytes.writeUInt16LE(CONTAINER_MAJOR, 8);
  bytes.writeUInt16LE(CONTAINER_MINOR, 10);
  return bytes;
}

/** Chunks of which checkpoints consist. */
export const isOfCheckpoint = (type: string): boolean => type === 'PAGE' || type === 'LIST' || type === 'CHKP';

/** Whether a payload has been packed in itself. */
export const isPackedInside = (type: ChunkType): boolean => type === 'PAGE';

/** Brotli quality by chunk type, chosen by measurement: see FORMAT.md, section "Compression". */
const QUALITY: Readonly<Record<string, number>> = { EVTS: 5, MEMO: 4, LIST: 4, CHKP: 4 };
const BORROWED_QUALITY = 5;
/** Payloads below it are packed at quality 5: the tables of 9 take the host longer to make than such a payload to pack. */
const SMALL = 0x4000;
/** Bits of brotli's window. No larger than the payload: a large one costs a millisecond, whatever is in it. */
const windowFor = (length: number): number => Math.min(24, Math.max(10, 32 - Math.clz32(length + 15)));

/** A payload as a chunk has it. */
export interface PackedPayload {
  readonly codec: number;
  readonly stored: Uint8Array;
}

/**
 * Compress a payload by what its chunk type deserves. The result follows from the arguments alone.
 * @param least smallest payload of memory for which LZMA is worth its time
 * @param pause called now and then
 */
export function packPayload(type: ChunkType, raw: Uint8Array, least = MIN_LZMA, pause?: () => void): PackedPayload {
  if (isPackedInside(type)) return { codec: CODEC_NONE, stored: raw };
  const packed = type === 'MEMO' && raw.length >= least ? encodeLzma(raw, pause) : undefined;
  if (packed) return { codec: CODEC_LZMA, stored: packed };
  const stored = brotli(raw, QUALITY[type] ?? (raw.length < SMALL ? 5 : 9));
  return stored.length < raw.length ? { codec: CODEC_BROTLI, stored } : { codec: CODEC_NONE, stored: raw };
}

/** A payload of which images have a part. @returns undefined when they have none of it */
export function packBorrowed(borrower: Borrower, type: ChunkType, raw: Uint8Array): PackedPayload | undefined {
  const left = borrower.borrow(type, raw);
  return left && { codec: CODEC_BORROWED, stored: brotli(left, BORROWED_QUALITY) };
}

/**
 * The stored form of a chunk: header and payload. The link follows it in the file.
 * @param packed the payload packed already
 */
export function encodeChunk(
  type: ChunkType,
  raw: Uint8Array,
  packed = packPayload(type, raw),
): { header: Buffer; stored: Uint8Array } {
  if (raw.length > MAX_PAYLOAD) throw new RangeError(`a ${type} chunk of ${raw.length} bytes is past the limit`);
  const { codec, stored } = packed;
  const header = Buffer.alloc(CHUNK_HEADER_SIZE);
  header.write(type, 0, 'latin1');
  header[4] = codec;
  header[5] = ANCILLARY.includes(type) ? FLAG_ANCILLARY : 0;
  header.writeBigUInt64LE(BigInt(stored.length), 8);
  header.writeBigUInt64LE(BigInt(raw.length), 16);
  return { header, stored };
}

function brotli(raw: Uint8Array, quality: number): Uint8Array {
  return brotliCompressSync(raw, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: quality,
      [constants.BROTLI_PARAM_LGWIN]: windowFor(raw.length),
      [constants.BROTLI_PARAM_SIZE_HINT]: raw.length,
    },
  });
}

/** @returns the header, or the reason why it cannot be one. */
export function decodeChunkHeader(bytes: Buffer): ChunkHeader | string {
  const type = bytes.toString('latin1', 0, 4);
  if (!/^[A-Z]{4}$/.test(type)) return 'there is no chunk header';
  const stored = bytes.readBigUInt64LE(8);
  const raw = bytes.readBigUInt64LE(16);
  for (const length of [stored, raw]) {
    if (length > BigInt(MAX_PAYLOAD)) return `a chunk claims ${length} bytes, past the limit of ${MAX_PAYLOAD}`;
  }
  const codec = bytes[4]!;
  const flags = bytes[5]!;
  if (bytes[6] !== 0 || bytes[7] !== 0) return 'a reserved field of a chunk header is not zero';
  return { type, codec, flags, storedLength: Number(stored), rawLength: Number(raw) };
}

/** Whether unpacking a chunk may be worth other threads. */
export const isSlowToUnpack = (header: ChunkHeader): boolean => header.codec === CODEC_LZMA;

/** Bytes that are made room for before it is known whether a payload has them. */
const MAX_PIECE = 0x100_0000;

/**
 * @param bytesOf has the images' bytes, for payloads that borrow from them
 * @returns the raw payload
 * @throws Error when it does not decompress to exactly the length that the header gives, and what `bytesOf` throws
 */
export function decodePayload(header: ChunkHeader, stored: Uint8Array, bytesOf?: SourceBytes): Uint8Array {
  let raw: Uint8Array;
  // Else it comes in pieces of 16 KiB, which are put together.
  const chunkSize = Math.max(64, Math.min(header.rawLength, MAX_PIECE));
  const options = { chunkSize, maxOutputLength: Math.max(header.rawLength, 1) };
  if (header.codec === CODEC_NONE) raw = stored;
  else if (header.codec === CODEC_DEFLATE) raw = inflateRawSync(stored, options);
  else if (header.codec === CODEC_BROTLI) raw = brotliDecompressSync(stored, options);
  else if (header.codec === CODEC_LZMA) raw = unpackLzma(stored, header.rawLength);
  else if (header.codec === CODEC_BORROWED && bytesOf) {
    // What is said of borrowed bytes may be longer than they are, though hardly ever.
    const left = brotliDecompressSync(stored, { chunkSize, maxOutputLength: 2 * header.rawLength + 1024 });
    raw = fillBorrowed(header.type, left, header.rawLength, bytesOf);
  } else throw new Error(`compression ${header.codec} is unknown`);
  if (raw.length !== header.rawLength) throw new Error(`payload is ${raw.length} bytes, not ${header.rawLength}`);
  return raw;
}

/** First link of the chain: it covers the preamble. */
export function firstLink(preamble: Uint8Array): Buffer {
  return createHash('sha256').update(preamble).digest();
}

/** Link of a chunk: SHA-256 of the previous link, the chunk's header and its stored payload. */
export function startLink(previous: Uint8Array, header: Uint8Array): Hash {
  return createHash('sha256').update(previous).update(header);
}

/** The hash of a trace's content: type, raw length and raw bytes of every content chunk, in file order. */
export class ContentRoot {
  readonly #hash = createHash('sha256').update('vmreplay trace content 1\n');

  add(type: string, raw: Uint8Array): void {
    const head = Buffer.alloc(12);
    head.write(type, 0, 'latin1');
    head.writeBigUInt64LE(BigInt(raw.length), 4);
    this.#hash.update(head).update(raw);
  }

  /** The root of what has been added so far. */
  digest(): Buffer {
    return this.#hash.copy().digest();
  }
}
