// What lies in RAM after a reset lay there before, except where the guest wrote: QEMU puts kernels and copies of ROMs back
// at every reset. Only pages that have changed are put back, since each is a DMA event of the trace; the others are as
// they were, also where the guest has not looked at them yet.

const PAGE = 4096;

export interface Piece {
  address: number;
  data: Uint8Array;
}

/**
 * The parts of `segments` that differ from `ram`, in page-sized pieces joined where they touch.
 * @param ram from guest physical 0 on
 */
export function changedPieces(ram: Uint8Array, segments: readonly Piece[]): Piece[] {
  const pieces: Piece[] = [];
  for (const { address, data } of segments) {
    let from = -1;
    for (let at = 0; at < data.length; ) {
      const end = Math.min(at + PAGE - ((address + at) % PAGE), data.length);
      const same = Buffer.compare(data.subarray(at, end), ram.subarray(address + at, address + end)) === 0;
      if (!same && from < 0) from = at;
      if (same && from >= 0) {
        pieces.push({ address: address + from, data: data.subarray(from, at) });
        from = -1;
      }
      at = end;
    }
    if (from >= 0) pieces.push({ address: address + from, data: data.subarray(from) });
  }
  return pieces;
}
