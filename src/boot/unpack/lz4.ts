// LZ4's legacy frame, the one that Linux kernels are packed with: magic 0x184c2102, then blocks of at most 8 MiB
// each with a 32-bit compressed length (lz4_Frame_format.md, "Legacy frame"; lz4_Block_format.md). Blocks are
// independent. Left out on purpose: the current frame format, which no kernel uses.

import { DamagedData } from './damaged-data.js';
import { Output } from './output.js';

const MAGIC = 0x184c2102;
const BLOCK = 8 << 20;

/**
 * @param data one or more legacy frames
 * @param limit most bytes of result
 * @throws DamagedData
 */
export function unpackLz4(data: Uint8Array, limit: number): Uint8Array {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const output = new Output(limit);
  let at = 0;
  while (at + 4 <= data.length) {
    const length = view.getUint32(at, true);
    at += 4;
    if (length === MAGIC) continue;
    if (length === 0 || length > data.length - at) throw new DamagedData(`an LZ4 block claims ${length} bytes`);
    unpackBlock(data.subarray(at, at + length), output);
    at += length;
  }
  return output.result();
}

function unpackBlock(block: Uint8Array, output: Output): void {
  const { length } = block;
  const start = output.length;
  let at = 0;
  while (at < length) {
    const token = block[at++]!;
    let literals = token >> 4;
    if (literals === 15) {
      let byte: number;
      do {
        if (at >= length) throw insideSequence();
        literals += byte = block[at++]!;
      } while (byte === 255);
    }
    if (literals > length - at) throw new DamagedData('an LZ4 block ends inside literals');
    output.appendFrom(block, at, literals);
    at += literals;
    // The last sequence has no match.
    if (at === length) break;
    if (length - at < 2) throw insideSequence();
    const distance = block[at]! | (block[at + 1]! << 8);
    at += 2;
    let matched = (token & 15) + 4;
    if (matched === 19) {
      let byte: number;
      do {
        if (at >= length) throw insideSequence();
        matched += byte = block[at++]!;
      } while (byte === 255);
    }
    output.copy(distance, matched, start);
    if (output.length - start > BLOCK) throw new DamagedData('an LZ4 block unpacks to more than 8 MiB');
  }
}

const insideSequence = (): DamagedData => new DamagedData('an LZ4 block ends inside a sequence');
