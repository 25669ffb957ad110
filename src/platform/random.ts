// The machine's entropy: xoshiro128** (Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators", 2018),
// seeded through splitmix32 steps. It is the only source of randomness that devices may use; equal seeds give equal
// machines. Not for cryptography: the guest's secrets are as reproducible as the rest of it, which is the point.

import type { Plain } from './device.js';

/** Deterministic 32-bit generator with saveable state. */
export class Random {
  readonly #state = new Uint32Array(4);

  /** @param seed any integer; its low 64 bits count */
  constructor(seed: number | bigint) {
    const wide = BigInt.asUintN(64, BigInt(seed));
    let low = Number(wide & 0xffff_ffffn);
    const high = Number(wide >> 32n);
    for (let i = 0; i < 4; i++) {
      low = (low + 0x9e37_79b9) >>> 0;
      // The high half enters every word, so that seeds which differ only there differ everywhere.
      let mixed = low ^ Math.imul(high, 0x85eb_ca6b + 2 * i);
      mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0_aaad);
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a_2d97);
      this.#state[i] = (mixed ^ (mixed >>> 15)) >>> 0;
    }
    // The all-zero state is the one that the generator never leaves.
    if (this.#state.every((word) => word === 0)) this.#state[0] = 1;
  }

  /** The next 32 random bits. */
  next(): number {
    const s = this.#state;
    const result = Math.imul(rotateLeft(Math.imul(s[1]!, 5), 7), 9) >>> 0;
    const shifted = s[1]! << 9;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= shifted;
    s[3] = rotateLeft(s[3]!, 11);
    return result;
  }

  /** `length` random bytes. */
  bytes(length: number): Uint8Array {
    const data = new Uint8Array(length);
    for (let at = 0; at < length; at += 4) {
      const word = this.next();
      for (let byte = 0; byte < 4 && at + byte < length; byte++) data[at + byte] = word >>> (8 * byte);
    }
    return data;
  }

  save(): Plain {
    return [...this.#state];
  }

  load(state: Plain): void {
    this.#state.set(state as number[]);
  }
}

function rotateLeft(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}
