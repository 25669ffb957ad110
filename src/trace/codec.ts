// Canonical msgpack: one value, one sequence of bytes, readable by any msgpack library.
//
// Map keys are strings in ascending order of their UTF-8 bytes; integers and lengths take the shortest form that
// msgpackr gives them (past 32 bits: int 64 below 2^63, uint 64 above); numbers that are not integers are float 64;
// no extension types, no records, no NaN and no negative zero. Anything else is refused rather than approximated.

import { Packr } from 'msgpackr/pack';
import type { Plain } from '../platform/device.js';
import { checkMsgpack } from './msgpack-check.js';

const packr = new Packr({ useRecords: false, variableMapSize: true, mapsAsObjects: true, int64AsType: 'bigint' });

const MAX_DEPTH = 64;
const MAX_U64 = (1n << 64n) - 1n;
const MIN_I64 = -(1n << 63n);

/** @returns the canonical bytes. @throws RangeError or TypeError for what canonical msgpack cannot say. */
export function encodeCanonical(value: Plain): Buffer {
  return packr.pack(canonical(value, 0));
}

/**
 * Decode msgpack. Integers come back as numbers up to 2^32 - 1 and as bigint past that.
 * @throws Error when the bytes are not one msgpack value of the kinds that a trace has.
 */
export function decodeCanonical(bytes: Uint8Array): unknown {
  checkMsgpack(bytes, MAX_DEPTH);
  return packr.unpack(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

function canonical(value: Plain, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new RangeError('value is nested too deeply for a trace');
  switch (typeof value) {
    case 'number':
      return canonicalNumber(value);
    case 'bigint':
      if (value > MAX_U64 || value < MIN_I64) throw new RangeError(`${value} does not fit 64 bits`);
      return value >= -0x8000_0000n && value <= 0xffff_ffffn ? Number(value) : value;
    case 'string':
      if (/\p{Surrogate}/u.test(value)) throw new TypeError('a string with a lone surrogate has no UTF-8 form');
      return value;
    case 'boolean':
      return value;
    case 'object':
      break;
    default:
      throw new TypeError(`${typeof value} has no place in a trace`);
  }
  if (value === null) return null;
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (Array.isArray(value)) return value.map((item) => canonical(item, depth + 1));
  const map = new Map<string, unknown>();
  const entries = Object.entries(value as Readonly<Record<string, Plain>>);
  entries.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  for (const [name, item] of entries) map.set(name, canonical(item, depth + 1));
  return map;
}

function canonicalNumber(value: number): number | bigint {
  if (!Number.isFinite(value)) throw new RangeError(`${value} has no place in a trace`);
  if (!Number.isInteger(value)) return value;
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is not an exact integer`);
  if (value > 0xffff_ffff || value < -0x8000_0000) return BigInt(value);
  return value + 0;
}
