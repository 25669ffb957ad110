// The host's own FPU as the reference: builds host-fpu.c and feeds it operands; and the random operands themselves,
// which lean to the boundaries (denormals, NaNs with payloads, infinities, limits of the integers, neighbours).

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { F80 } from '../../../src/cpu/softfloat/format.js';

/** One instruction with operands: 16-byte values for `a` and `b`, the u32 control word or MXCSR. */
export interface HostCase {
  readonly op: number;
  readonly control: number;
  readonly a: bigint;
  readonly b: bigint;
}

export interface HostResult {
  readonly status: number;
  readonly flags: number;
  readonly r: bigint;
  readonly s: bigint;
}

export type HostFpu = (cases: readonly HostCase[]) => HostResult[];

const RECORD = 48;

/** Compile the runner; undefined when this is no x86-64 machine with a C compiler. */
export function buildHostFpu(): HostFpu | undefined {
  if (process.arch !== 'x64') return undefined;
  const program = path.join(mkdtempSync(path.join(tmpdir(), 'host-fpu-')), 'host-fpu');
  try {
    const source = new URL('host-fpu.c', import.meta.url).pathname;
    execFileSync('cc', ['-O1', '-msse4.1', '-mno-red-zone', '-o', program, source], { stdio: 'pipe' });
    execFileSync(program, { input: new Uint8Array(0) });
  } catch {
    return undefined;
  }
  return (cases) => {
    const input = Buffer.alloc(cases.length * RECORD);
    cases.forEach((c, i) => {
      input.writeUInt32LE(c.op, i * RECORD);
      input.writeUInt32LE(c.control, i * RECORD + 4);
      write128(input, i * RECORD + 8, c.a);
      write128(input, i * RECORD + 24, c.b);
    });
    const output = execFileSync(program, { input, maxBuffer: input.length + RECORD });
    return cases.map((_, i) => ({
      status: output.readUInt32LE(i * RECORD),
      flags: output.readUInt32LE(i * RECORD + 4),
      r: read128(output, i * RECORD + 8),
      s: read128(output, i * RECORD + 24),
    }));
  };
}

function write128(buffer: Buffer, at: number, value: bigint): void {
  buffer.writeBigUInt64LE(BigInt.asUintN(64, value), at);
  buffer.writeBigUInt64LE(value >> 64n, at + 8);
}

function read128(buffer: Buffer, at: number): bigint {
  return buffer.readBigUInt64LE(at) | (buffer.readBigUInt64LE(at + 8) << 64n);
}

/** "GenuineIntel", "AuthenticAMD" or whatever the kernel says. */
export function hostVendor(): string {
  return /vendor_id\s*:\s*(\S+)/.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown';
}

export const f80Bits = (value: F80): bigint => value.significand | (BigInt(value.signExponent) << 64n);
export const f80Of = (bits: bigint): F80 => ({
  significand: BigInt.asUintN(64, bits),
  signExponent: Number((bits >> 64n) & 0xffffn),
});

/** xorshift128: the same operands for the same seed everywhere. */
export class Random {
  private state: Uint32Array;
  constructor(seed: number) {
    this.state = Uint32Array.of(seed, 0x9e3779b9, 0x243f6a88, 0xb7e15162);
    for (let i = 0; i < 20; i++) this.u32();
  }
  u32(): number {
    const s = this.state;
    let t = s[3]!;
    t ^= t << 11;
    t ^= t >>> 8;
    s.copyWithin(1, 0, 3);
    s[0] = t ^ s[1]! ^ (s[1]! >>> 19);
    return s[0]!;
  }
  below(n: number): number {
    return this.u32() % n;
  }
  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  /** A fraction of `bits` bits that is often all zeros, all ones, or nearly so. */
  fraction(bits: number): bigint {
    const all = (1n << BigInt(bits)) - 1n;
    switch (this.below(8)) {
      case 0:
        return 0n;
      case 1:
        return all;
      case 2:
        return 1n << BigInt(this.below(bits));
      case 3:
        return all ^ ((1n << BigInt(this.below(bits))) - 1n);
      case 4:
        return this.u64() & all & ~((1n << BigInt(this.below(bits))) - 1n);
      case 5:
        return this.u64() & ((1n << BigInt(this.below(bits))) - 1n);
      default:
        return this.u64() & all;
    }
  }

  private pattern(exponentBits: number, fractionBits: number): bigint {
    const top = (1 << exponentBits) - 1;
    const bias = top >> 1;
    let exponent: number;
    switch (this.below(10)) {
      case 0:
        exponent = 0;
        break;
      case 1:
        exponent = top;
        break;
      case 2:
        exponent = 1 + this.below(fractionBits + 3);
        break;
      case 3:
        exponent = top - 1 - this.below(4);
        break;
      case 4:
        exponent = (bias + fractionBits - 2 + this.below(4)) & top;
        break;
      case 5:
      case 6:
        exponent = bias - 4 + this.below(72);
        break;
      case 7:
        exponent = bias - 1 + this.below(3);
        break;
      default:
        exponent = this.below(top + 1);
    }
    const sign = BigInt(this.below(2));
    return (
      (sign << BigInt(exponentBits + fractionBits)) |
      (BigInt(exponent & top) << BigInt(fractionBits)) |
      this.fraction(fractionBits)
    );
  }

  f32(): number {
    return Number(this.pattern(8, 23));
  }
  f64(): bigint {
    return this.pattern(11, 52);
  }
  /** Mostly proper encodings, some unsupported ones and pseudo-denormals. */
  f80(): bigint {
    const bits = this.pattern(15, 63);
    const signExponent = bits >> 63n;
    const normal = (signExponent & 0x7fffn) !== 0n;
    const integerBit = normal !== (this.below(24) === 0);
    return (signExponent << 64n) | (integerBit ? 1n << 63n : 0n) | (bits & ((1n << 63n) - 1n));
  }
  /** A neighbour in exponent and value of another operand. */
  f80Near(bits: bigint): bigint {
    const exponent = (Number((bits >> 64n) & 0x7fffn) + this.below(140) - 70) & 0x7fff;
    const significand = this.below(2) ? bits & ((1n << 64n) - 1n) : this.fraction(63) | (1n << 63n);
    return (
      (BigInt(this.below(2)) << 79n) |
      (BigInt(exponent) << 64n) |
      (exponent ? significand | (1n << 63n) : significand >> 1n)
    );
  }
}
