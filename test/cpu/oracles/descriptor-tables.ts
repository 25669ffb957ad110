// The segments that cases of the oracles may use: those of a Linux process, and an LDT with one of each kind.
//
// native-step.c sets the same LDT up on the host (modify_ldt): the two lists must agree. Attributes are in the format
// of SEG_ATTRIBUTES (src/cpu/layout.ts); bit 12 is AVL, which Linux sets from `useable`.

/** Linear address of the code page, of the data page, and of the page that may only be read; 4 KiB each. */
export const CODE = 0x1000_0000;
export const DATA = 0x2000_0000;
export const PAGE = 4096;
export const READ_ONLY = DATA + 2 * PAGE;

export interface Segment {
  readonly selector: number;
  readonly base: number;
  /** As in the descriptor: bytes, or pages with the G attribute. */
  readonly limit: number;
  readonly attributes: number;
}

const AVL = 0x1000;
const DB = 0x4000;

export const GDT_SEGMENTS: readonly Segment[] = [
  { selector: 0x08, base: 0, limit: 0xf_ffff, attributes: 0xc09b },
  { selector: 0x10, base: 0, limit: 0xf_ffff, attributes: 0xa09b },
  { selector: 0x18, base: 0, limit: 0xf_ffff, attributes: 0xc093 },
  { selector: 0x23, base: 0, limit: 0xf_ffff, attributes: 0xc0fb },
  { selector: 0x2b, base: 0, limit: 0xf_ffff, attributes: 0xc0f3 },
  { selector: 0x33, base: 0, limit: 0xf_ffff, attributes: 0xa0fb },
];

export const LDT_SEGMENTS: readonly Segment[] = [
  { selector: 0x07, base: CODE, limit: 0xfff, attributes: AVL | 0xfb }, // 16-bit code
  { selector: 0x0f, base: DATA, limit: 0xfff, attributes: AVL | 0xf3 }, // data, 16-bit stack
  { selector: 0x17, base: DATA, limit: 0x7ff, attributes: AVL | DB | 0xf3 }, // half a page
  { selector: 0x1f, base: DATA, limit: 0xfff, attributes: AVL | DB | 0xf1 }, // read-only
  { selector: 0x27, base: DATA, limit: 0x7ff, attributes: AVL | 0xf7 }, // expand-down, to 64 KiB
  { selector: 0x2f, base: CODE, limit: 0xfff, attributes: AVL | DB | 0xf9 }, // code that cannot be read
  { selector: 0x37, base: DATA, limit: 0xfff, attributes: AVL | DB | 0x73 }, // not present
  { selector: 0x3f, base: CODE, limit: 0xfff, attributes: AVL | DB | 0x7f }, // conforming code, not present
  { selector: 0x47, base: DATA, limit: 0x7ff, attributes: AVL | DB | 0xf7 }, // expand-down, to 4 GiB
];

const USER_SEGMENTS = new Map([...GDT_SEGMENTS, ...LDT_SEGMENTS].map((s) => [s.selector, s]));

/** The segment that a selector with RPL 3 names, or undefined: null or none. */
export const segmentOf = (selector: number): Segment | undefined => USER_SEGMENTS.get(selector);

/** The eight bytes of a descriptor (SDM vol. 3A, figure 5-1). */
export function descriptorBytes(s: Segment): bigint {
  return (
    BigInt(s.limit & 0xffff) |
    (BigInt(s.base & 0xff_ffff) << 16n) |
    (BigInt(s.attributes & 0xff) << 40n) |
    (BigInt((s.attributes >> 8) | ((s.limit >> 16) & 15)) << 48n) |
    (BigInt(s.base >>> 24) << 56n)
  );
}

/** Limit in bytes. */
export const limitInBytes = (s: Segment): number =>
  (s.attributes & 0x8000) !== 0 ? ((s.limit << 12) | 0xfff) >>> 0 : s.limit;
