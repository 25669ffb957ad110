// Where a file says that it speaks Multiboot. Multiboot Specification 0.6.96, 3.1: a header in the first 8192
// bytes, 4-byte aligned; Multiboot2 Specification 2.0, 3.1: in the first 32768 bytes, 8-byte aligned. Only the
// magic and the checksum are judged here; the routes read the rest.

const MULTIBOOT = 0x1bad_b002;
const MULTIBOOT2 = 0xe852_50d6;

/** Offset of the header, or undefined. */
export function findMultibootHeader(bytes: Uint8Array): number | undefined {
  return find(bytes, 8192, 4, 12, MULTIBOOT, (view, at) => view.getUint32(at + 4, true) + view.getUint32(at + 8, true));
}

/** Offset of the header, or undefined. */
export function findMultiboot2Header(bytes: Uint8Array): number | undefined {
  return find(
    bytes,
    32768,
    8,
    16,
    MULTIBOOT2,
    (view, at) => view.getUint32(at + 4, true) + view.getUint32(at + 8, true) + view.getUint32(at + 12, true),
  );
}

/** The magic and the words of `rest` must add up to 0 modulo 2^32. */
function find(
  bytes: Uint8Array,
  span: number,
  step: number,
  length: number,
  magic: number,
  rest: (view: DataView, at: number) => number,
): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = Math.min(span, bytes.length) - length;
  for (let at = 0; at <= end; at += step) {
    if (view.getUint32(at, true) === magic && (magic + rest(view, at)) % 2 ** 32 === 0) return at;
  }
  return undefined;
}
