// Typed access to what msgpack gave: a file may claim anything, so every field is checked before it is used.
// The messages become the middle of a TraceError's sentence.

export function list(value: unknown, field: string): unknown[] {
  if (!Array.isArray(value)) throw new Error(`${field} is not a list`);
  return value;
}

export function binary(value: unknown, field: string): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new Error(`${field} is not binary`);
  return value;
}

export function integer(value: unknown, max: number, field: string): number {
  const number = typeof value === 'bigint' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < 0 || number > max) {
    throw new Error(`${field} is not a number in range`);
  }
  return number;
}

/** Numbers of 32 bits each, little-endian. A copy. */
export function words32(value: unknown, field: string): Uint32Array {
  const bytes = binary(value, field);
  if (bytes.length % 4 !== 0) throw new Error(`${field} are not whole`);
  return new Uint32Array(Uint8Array.from(bytes).buffer);
}

/** A whole number of 64 bits. A float is one, too, where it has no fraction: other writers may have no wider integers. */
export function unsigned64(value: unknown, field: string): bigint {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 64) return BigInt(value);
  if (typeof value === 'bigint' && value >= 0n && value < 1n << 64n) return value;
  throw new Error(`${field} is not a 64-bit number`);
}

export function text(value: unknown, field: string): string {
  if (typeof value !== 'string') throw new Error(`${field} is not text`);
  return value;
}

export function record(value: unknown, field: string): Record<string, unknown> {
  if (value === null || typeof value !== 'object' || Array.isArray(value) || value instanceof Uint8Array) {
    throw new Error(`${field} is not a map`);
  }
  return value as Record<string, unknown>;
}
