// Batches and results as text, for a queue: JSON with what JSON lacks, words and bytes as base64 (little-endian), bigints
// as hexadecimal digits. No value of a batch has a field that begins with a dollar sign.

import { bytesOfWords, wordsOfBytes } from '../coverage/tape-text.js';

export const textOf = (value: unknown): string =>
  JSON.stringify(value, (_key, item) => {
    if (item instanceof Uint32Array) return { $words: base64(bytesOfWords(item)) };
    if (item instanceof Uint8Array) return { $bytes: base64(item) };
    return typeof item === 'bigint' ? { $number: `0x${item.toString(16)}` } : item;
  });

/** @throws SyntaxError when the text is none of textOf() */
export const readText = (text: string): unknown =>
  JSON.parse(text, (_key, item) => {
    if (typeof item !== 'object' || item === null) return item;
    if (typeof item.$words === 'string') return wordsOfBytes(new Uint8Array(Buffer.from(item.$words, 'base64')));
    if (typeof item.$bytes === 'string') return new Uint8Array(Buffer.from(item.$bytes, 'base64'));
    return typeof item.$number === 'string' ? BigInt(item.$number) : item;
  });

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
