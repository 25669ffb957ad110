// Register contents and data page that the vectors in simd-vectors.txt start from.

/** 64-bit values by preset: integers, singles, doubles, special singles, special doubles. */
// biome-ignore format: table
const POOLS: readonly (readonly bigint[])[] = [
  [0x0102030405060708n, 0x7f80ff0001fe8081n, 0x8000000080007fffn, 0xffff00017fff8000n, 0x0000001200000034n,
   0xfedcba9876543210n, 0x6162636465666768n, 0x00000000ffffffffn, 0x0f1e2d3c4b5a6978n, 0x8081828384858687n],
  [0x3f80000040490fdbn, 0xc2f6e97942f6e979n, 0x3eaaaaab4b18967fn, 0x447a0000c47a0000n, 0xbf00000041200000n,
   0x3dcccccd3e4ccccdn, 0x42c80000c0e00000n, 0x4048f5c33f000000n, 0xc16000004cbebc20n],
  [0x400921fb54442d18n, 0xc0febe30c49ba5e3n, 0x3fd5555555555555n, 0x40c3880000000000n, 0xbfe0000000000000n,
   0x41cdcd64ff7ffffen, 0x3fb999999999999an, 0xc024000000000000n, 0x4059000000000000n],
  [0x7fc123457f800000n, 0x0000000180000000n, 0xff8000007fa00001n, 0x007fffff00800000n, 0x7f7fffffff7fffffn,
   0x4f000000cf000000n, 0x3f800000bf800000n, 0x8000000100000000n, 0xffc00000ffbfffffn],
  [0x7ff8000012345678n, 0x7ff0000000000000n, 0x0000000000000001n, 0x8000000000000000n, 0xfff0000000000000n,
   0x7ff4000000000001n, 0x000fffffffffffffn, 0x0010000000000000n, 0x7fefffffffffffffn, 0x41e0000000000000n,
   0xc1e0000000000000n, 0x43e0000000000000n, 0x3ff0000000000000n],
];
export const PRESETS = POOLS.length;

const at = (preset: number, i: number): bigint => POOLS[preset]![i % POOLS[preset]!.length]!;

export const presetXmm = (preset: number, n: number): bigint => at(preset, 2 * n) | (at(preset, 2 * n + 1) << 64n);
export const presetMm = (preset: number, n: number): bigint => at(preset, 3 * n + 1);
/** General registers but RBX and RDI, which point into the data page. */
export const presetGpr = (n: number): bigint => at(0, n + 3);
/** Offsets in the data page of what RBX and RDI point to. */
export const RBX_OFFSET = 0x200;
export const RDI_OFFSET = 0x305;

/** The data page, by a linear congruential generator. */
export function presetMemory(seed: number): Uint8Array {
  const page = new Uint8Array(4096);
  let x = seed;
  for (let i = 0; i < page.length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    page[i] = x >>> 24;
  }
  return page;
}
