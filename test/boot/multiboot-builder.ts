// Multiboot headers made field by field, and small files that carry them.

import { type ElfPlan, elfFile } from './guest-builder.js';

const MAGIC1 = 0x1bad_b002;
const MAGIC2 = 0xe852_50d6;

/** A header of version 1; `more` are the words behind the checksum. */
export function header1(flags: number, ...more: number[]): Uint8Array {
  return words(MAGIC1, flags, -(MAGIC1 + flags), ...more);
}

export interface Tag {
  type: number;
  optional?: boolean;
  words?: number[];
  /** Instead of the true one. */
  size?: number;
}

/** A header of version 2, with an end tag. */
export function header2(tags: readonly Tag[], architecture = 0, end = true): Uint8Array {
  const all = [...tags, ...(end ? [{ type: 0 }] : [])].map(({ type, optional, words: content = [], size }: Tag) => {
    const own = 8 + 4 * content.length;
    const bytes = Buffer.alloc(Math.ceil(own / 8) * 8);
    bytes.writeUInt16LE(type, 0);
    bytes.writeUInt16LE(optional ? 1 : 0, 2);
    bytes.writeUInt32LE(size ?? own, 4);
    bytes.set(words(...content), 8);
    return bytes;
  });
  const length = 16 + all.reduce((sum, tag) => sum + tag.length, 0);
  return Buffer.concat([words(MAGIC2, architecture, length, -(MAGIC2 + architecture + length)), ...all]);
}

/** An ELF kernel of one segment at 2 MiB that begins with the header, entered behind it; with names and symbols. */
export function elfWith(header: Uint8Array, plan: Partial<ElfPlan> = {}): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(header.length + 64).fill(0x90);
  data.set(header);
  const loads = [{ physical: 0x20_0000, data, memorySize: data.length + 8192 }];
  return elfFile({ bits: 32, loads, symbols: [{ name: 'start', address: 0x20_0000n }], ...plan });
}

/** A flat file: the header at `at`, zeros around it. */
export function flatWith(header: Uint8Array, size: number, at: number): Uint8Array<ArrayBuffer> {
  const file = new Uint8Array(size);
  file.set(header, at);
  return file;
}

export function words(...values: number[]): Uint8Array {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32LE(value >>> 0, 4 * i);
  return bytes;
}
