// How many bytes of pages the guest has observed, by the bits of their masks where those lie: in the processor's linear
// memory, as a rule at equal distances. A function of WebAssembly over that memory counts a kernel's ten thousand pages in
// a millisecond, and nothing is copied.
//
// Invariant: the outcome follows from the masks alone.

import { I32, i32, i64 } from '../cpu/wasm/expr.js';
import { ModuleBuilder } from '../cpu/wasm/module.js';
import { MASK_SIZE } from './state-digest.js';

/** Masks of equal distances. */
interface MaskRow {
  readonly address: number;
  step: number;
  count: number;
}

export class MaskCounter {
  readonly #rows: MaskRow[] = [];
  /** The memory's, which does not grow while masks are added: asking for it takes longer than the rest. */
  readonly #buffer: ArrayBuffer;
  private readonly bitsOf: (address: number, step: number, masks: number) => number;

  /** @param memory in which masks lie */
  constructor(memory: WebAssembly.Memory) {
    this.#buffer = memory.buffer;
    const instance = new WebAssembly.Instance(new WebAssembly.Module(emitCount()), { env: { memory } });
    this.bitsOf = instance.exports.count as MaskCounter['bitsOf'];
  }

  /** Count a mask from now on. @returns false when it does not lie in the memory */
  add(mask: Uint8Array): boolean {
    if (mask.buffer !== this.#buffer) return false;
    const { byteOffset } = mask;
    const row = this.#rows.at(-1);
    if (row?.count === 1) row.step = byteOffset - row.address;
    if (row && row.step > 0 && byteOffset === row.address + row.count * row.step) row.count++;
    else this.#rows.push({ address: byteOffset, step: 0, count: 1 });
    return true;
  }

  /** Bits of all masks that were added. */
  bits(): number {
    let bits = 0;
    for (const { address, step, count } of this.#rows) bits += this.bitsOf(address, step, count);
    return bits;
  }
}

function emitCount(): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  const count = module.declare([I32, I32, I32], I32);
  module.define(count, (f) => {
    const address = f.local(I32);
    const left = f.local(I32);
    const bits = f.local(I32);
    f.set(address, f.param(0));
    f.set(left, f.param(2));
    f.set(bits, i32.const(0));
    f.loop((again) => {
      for (let at = 0; at < MASK_SIZE; at += 8) f.set(bits, i32.add(bits, i32.wrap(i64.popcnt(i64.load(address, at)))));
      f.set(address, i32.add(address, f.param(1)));
      f.set(left, i32.sub(left, 1));
      f.brIf(again, left);
    });
    bits.write(f.body);
  });
  module.export('count', count);
  return module.encode(1);
}
