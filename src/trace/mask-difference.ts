// What of one mask of a page is not in another, as bits and as a number. A function of WebAssembly: a boot asks tens of
// thousands of times, which is much for a loop that V8 has not compiled yet and little for one that it has.
//
// Invariant: the outcome follows from the masks alone.

import { I32, i32, i64 } from '../cpu/wasm/expr.js';
import { ModuleBuilder } from '../cpu/wasm/module.js';
import { MASK_SIZE } from './state-digest.js';

export class MaskDifference {
  readonly #bytes: Uint8Array;
  readonly #difference: () => number;
  /** The mask that is asked about, then what is left of it. */
  readonly mask: Uint8Array;
  readonly words: Uint32Array;

  constructor() {
    const memory = new WebAssembly.Memory({ initial: 1 });
    const instance = new WebAssembly.Instance(new WebAssembly.Module(emitDifference()), { env: { memory } });
    this.#difference = instance.exports.difference as () => number;
    this.#bytes = new Uint8Array(memory.buffer);
    this.mask = this.#bytes.subarray(0, MASK_SIZE);
    this.words = new Uint32Array(memory.buffer, 0, MASK_SIZE / 4);
  }

  /** Leave in `mask` what is not in `other`. @returns the number of its bits */
  without(other: Uint8Array): number {
    this.#bytes.set(other, MASK_SIZE);
    return this.#difference();
  }
}

function emitDifference(): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  const difference = module.declare([], I32);
  module.define(difference, (f) => {
    const zero = i32.const(0);
    const count = f.local(I32);
    for (let at = 0; at < MASK_SIZE; at += 8) {
      const left = f.let(i64.and(i64.load(zero, at), i64.xor(i64.load(zero, at + MASK_SIZE), -1n)));
      f.store64(zero, left, at);
      f.set(count, i32.add(count, i32.wrap(i64.popcnt(left))));
    }
    count.write(f.body);
  });
  module.export('difference', difference);
  return module.encode(1);
}
