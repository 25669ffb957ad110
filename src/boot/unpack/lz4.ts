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
  const start = output.length;
  const next = (): number => {
    if (at >= block.length) throw new DamagedData('an LZ4 block ends inside a sequence');
    return block[at++]!;
  };
  const extended = (length: number): number => {
    if (length < 15) return length;
    for (let byte = 255; byte === 255; length += byte) byte = next();
    return length;
  };
  let at = 0;
  while (at < block.length) {
    const token = next();
    const literals = extended(token >> 4);
    if (literals > block.length - at) throw new DamagedData('an LZ4 block ends inside literals');
    output.append(block.subarray(at, at + literals));
    at += literals;
    // The last sequence has no match.
    if (at === block.length) break;
    const distance = next() | (next() << 8);
    output.copy(distance, extended(token & 15) + 4, start);
    if (output.length - start > BLOCK) throw new DamagedData('an LZ4 block unpacks to more than 8 MiB');
  }
}
