// Tapes outside of memory: as bytes in files (little-endian words), as hexadecimal digits, eight a word, in command lines.

export function bytesOfWords(words: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(4 * words.length);
  const view = new DataView(bytes.buffer);
  words.forEach((word, i) => {
    view.setUint32(4 * i, word, true);
  });
  return bytes;
}

/** What is left over behind the last whole word is not looked at. */
export function wordsOfBytes(bytes: Uint8Array): Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return Uint32Array.from({ length: bytes.length >>> 2 }, (_, i) => view.getUint32(4 * i, true));
}

export const hexOfWords = (words: Uint32Array): string =>
  Array.from(words, (word) => word.toString(16).padStart(8, '0')).join('');

/** @returns undefined when the text is something else */
export function wordsOfHex(text: string): Uint32Array | undefined {
  if (!/^(?:[0-9a-f]{8})+$/i.test(text)) return undefined;
  return Uint32Array.from(text.match(/.{8}/g)!, (digits) => Number.parseInt(digits, 16));
}
