// What of a page of initial memory is stored, and how: zeros in a row are left out, and the page gets the filter that
// makes it cheapest (memory-filters.ts has the inverse; FORMAT.md, section "MEMO"). All of it is a function of
// WebAssembly, emitted by the build, or when the first page comes: a short boot stores fifty pages, and is over before V8
// would have compiled loops over their bytes well.
//
// Invariant: the outcome follows from the bytes and the mask alone, in integers, so that all hosts choose alike.

import { type Expr, I32, i32, i64 } from '../cpu/wasm/expr.js';
import type { FunctionBuilder } from '../cpu/wasm/function.js';
import { ModuleBuilder } from '../cpu/wasm/module.js';
import { BRANCH_BITS, FILTER_BRANCHES, FILTER_NONE, FILTER_PLACES } from './memory-filters.js';
import { prebuilt } from './prebuilt-packer.js';

const PAGE = 4096;
/** Zeros in a row that are left out. */
const ZERO_RUN = 32;
/** Words that the places filter needs to be worth a try, and the near branches that theirs does. */
const MIN_WORDS = 64;
const MIN_BRANCHES = 4;
/** Nothing of the page is to be stored. */
const NOTHING = -1;

// In the module's memory. What is read past the end of a page is never used.
const BYTES = 0;
const TAKEN = 0x2000;
const MASK = 0x4000;
/** How often each byte stands at each place of a word, as it is and as a difference of places: i32. */
const PLAIN = 0x5000;
const PLACED = 0x6000;
const COUNTS = 0x1000;
/** How much n · log n grows from n to n + 1, of counts in a page. */
const GROWTH = 0x7000;
const WORDS = PAGE / 4;
const WHOLE = 0x0101_0101;
const ALL_ONES = 0x0101_0101_0101_0101n;

/** A page as it is stored. Views, which the next page uses again. */
export interface PackedPage {
  readonly filter: number;
  /** 1 for each byte that is stored. */
  readonly taken: Uint8Array;
  /** Filtered. */
  readonly bytes: Uint8Array;
}

let made: ((address: number, bytes: Uint8Array, mask: Uint8Array | undefined) => PackedPage | undefined) | undefined;

/**
 * A page, or a part of one.
 * @param address guest physical, of `bytes`
 * @param mask which bytes of the whole page to store, bit 0 of byte 0 first; all when undefined
 * @returns undefined when there are none, or only zeros
 */
export function packPage(address: number, bytes: Uint8Array, mask: Uint8Array | undefined): PackedPage | undefined {
  made ??= makePacker();
  return made(address, bytes, mask);
}

function makePacker(): NonNullable<typeof made> {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const instance = new WebAssembly.Instance(
    new WebAssembly.Module(prebuilt ? new Uint8Array(Buffer.from(prebuilt, 'base64')) : emitPacker()),
    { env: { memory } },
  );
  const pack = instance.exports.pack as (address: number, length: number, offset: number) => number;
  const all = new Uint8Array(memory.buffer);
  const growth = new Int32Array(memory.buffer, GROWTH, WORDS + 1);
  for (let n = 0; n <= WORDS; n++) growth[n] = entropyTerm(n + 1) - entropyTerm(n);
  return (address, bytes, mask) => {
    const { length } = bytes;
    if (length === 0) return undefined;
    all.set(bytes, BYTES);
    if (mask === undefined) all.fill(0xff, MASK, MASK + PAGE / 8);
    else all.set(mask, MASK);
    const filter = pack(address, length, address % PAGE);
    if (filter === NOTHING) return undefined;
    return { filter, taken: all.subarray(TAKEN, TAKEN + length), bytes: all.subarray(BYTES, BYTES + length) };
  };
}

/** In 1/256 bits. */
const entropyTerm = (n: number): number => (n === 0 ? 0 : n * logarithm(n));

/** To the base of 2, times 256, between powers along a line. */
function logarithm(n: number): number {
  const power = 31 - Math.clz32(n);
  return (power << 8) + (((n << 8) >> power) - 256);
}

/** The function's module, for a build to keep. */
export function emitPacker(): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  // Address, length, offset of the first byte in its page.
  const pack = module.declare([I32, I32, I32], I32);
  module.define(pack, (f) => {
    const [address, length, offset] = [f.param(0), f.param(1), f.param(2)];
    f.scope(() => emitSpread(f, length, offset));
    f.scope(() => emitLeaveOutZeros(f, length));
    f.scope(() => emitPlaces(f, address, length));
    f.scope(() => emitBranches(f, address, length));
    i32.const(FILTER_NONE).write(f.body);
  });
  module.export('pack', pack);
  return module.encode(1);
}

/** The bits of the mask from one on, a byte each. */
function emitSpread(f: FunctionBuilder, length: Expr, offset: Expr): void {
  const at = f.local(I32);
  const bit = f.local(I32);
  const eight = f.local(I32);
  f.set(at, i32.const(0));
  f.loop((again) => {
    f.set(bit, i32.add(offset, at));
    f.set(eight, i32.load8U(i32.shrU(bit, 3), MASK));
    const same = i32.or(i32.eqz(eight), i32.eq(eight, 0xff));
    f.if(
      i32.and(i32.eqz(i32.and(bit, 7)), same),
      () => {
        // What lies behind the end is not looked at.
        f.store64(at, i64.mul(i64.extendU(i32.and(eight, 1)), ALL_ONES), TAKEN);
        f.set(at, i32.add(at, 8));
      },
      () => {
        f.store8(at, i32.and(i32.shrU(eight, i32.and(bit, 7)), 1), TAKEN);
        f.set(at, i32.add(at, 1));
      },
    );
    f.brIf(again, i32.ltU(at, length));
  });
}

/** Long runs of zeros are not taken; returns when nothing else is. */
function emitLeaveOutZeros(f: FunctionBuilder, length: Expr): void {
  const at = f.local(I32);
  const run = f.local(I32);
  const any = f.local(I32);
  for (const local of [at, run, any]) f.set(local, i32.const(0));
  const leaveOut = () =>
    f.if(i32.geU(run, ZERO_RUN), () => f.memoryFill(i32.add(i32.sub(at, run), TAKEN), i32.const(0), run));
  f.loop((again) => {
    const taken = i32.load8U(at, TAKEN);
    f.if(
      i32.gtU(taken, i32.load8U(at, BYTES)),
      () => f.set(run, i32.add(run, 1)),
      () => {
        leaveOut();
        f.set(run, i32.const(0));
        f.set(any, i32.or(any, taken));
      },
    );
    f.set(at, i32.add(at, 1));
    f.brIf(again, i32.ltU(at, length));
  });
  leaveOut();
  f.if(i32.eqz(any), () => f.return(i32.const(NOTHING)));
}

/** Filter by places, and return, when the entropy of the words' bytes falls by a quarter. */
function emitPlaces(f: FunctionBuilder, address: Expr, length: Expr): void {
  const first = f.let(i32.and(i32.sub(0, address), 3));
  const end = f.let(i32.add(first, i32.and(i32.sub(length, first), -4)));
  const at = f.local(I32);
  const place = f.local(I32);
  const before = f.local(I32);
  const [found, plain, placed] = [f.local(I32), f.local(I32), f.local(I32)];
  /** Words that are stored whole. */
  const eachWord = (body: () => void): void => {
    f.set(at, first);
    f.set(before, i32.const(0));
    f.loop((again) => {
      f.if(i32.eq(i32.load(at, TAKEN), WHOLE), () => {
        f.set(place, i32.add(i32.load(at, BYTES), i32.add(address, at)));
        body();
        f.set(before, place);
      });
      f.set(at, i32.add(at, 4));
      f.brIf(again, i32.ltU(at, end));
    });
  };
  /** One more of each byte of a word: the sum of n · log n grows. */
  const count = (sum: typeof plain, counts: number, word: Expr): void =>
    f.scope(() => {
      const w = f.let(word);
      for (let byte = 0; byte < 4; byte++) {
        const slot = f.let(i32.shl(i32.and(i32.shrU(w, 8 * byte), 0xff), 2));
        const n = f.let(i32.load(slot, counts + 1024 * byte));
        f.store32(slot, i32.add(n, 1), counts + 1024 * byte);
        f.set(sum, i32.add(sum, i32.load(i32.shl(n, 2), GROWTH)));
      }
    });

  f.if(i32.geS(i32.sub(length, first), 4 * MIN_WORDS), () => {
    f.memoryFill(i32.const(PLAIN), i32.const(0), i32.const(2 * COUNTS));
    for (const local of [found, plain, placed]) f.set(local, i32.const(0));
    eachWord(() => {
      f.set(found, i32.add(found, 1));
      count(plain, PLAIN, i32.load(at, BYTES));
      count(placed, PLACED, i32.sub(place, before));
    });
    // Of `found` bytes at one place of the words: n · log n, which is the sum of what it grew by.
    const whole = f.local(I32);
    const n = f.local(I32);
    f.set(whole, i32.const(0));
    f.set(n, i32.const(0));
    f.if(found, () =>
      f.loop((again) => {
        f.set(whole, i32.add(whole, i32.load(i32.shl(n, 2), GROWTH)));
        f.set(n, i32.add(n, 1));
        f.brIf(again, i32.ltU(n, found));
      }),
    );
    const gain = (sum: Expr): Expr => i32.sub(i32.shl(whole, 2), sum);
    const falls = i32.ltS(i32.mul(gain(placed), 4), i32.mul(gain(plain), 3));
    f.if(i32.and(i32.geU(found, MIN_WORDS), falls), () => {
      eachWord(() => storeBigEndian(f, at, BYTES, i32.sub(place, before)));
      f.return(i32.const(FILTER_PLACES));
    });
  });
}

/** Filter branches, and return, when there are some and most of them are near. */
function emitBranches(f: FunctionBuilder, address: Expr, length: Expr): void {
  const at = f.local(I32);
  const opcode = f.local(I32);
  const [near, far] = [f.local(I32), f.local(I32)];
  /** What looks like a near branch with 32 bits of displacement and is stored whole. */
  const eachBranch = (body: () => void): void => {
    f.set(at, i32.const(0));
    f.loop((again) => {
      const byte = i32.load8U(at, BYTES);
      const conditional = i32.and(i32.eq(byte, 0x0f), i32.eq(i32.and(i32.load8U(at, BYTES + 1), 0xf0), 0x80));
      f.set(opcode, i32.or(i32.eq(i32.and(byte, 0xfe), 0xe8), i32.shl(conditional, 1)));
      f.if(opcode, () => {
        const behind = i32.add(at, opcode);
        const stored = i32.and(i32.eq(i32.load(behind, TAKEN), WHOLE), i32.load8U(at, TAKEN));
        const whole = i32.and(stored, i32.load8U(i32.sub(behind, 1), TAKEN));
        f.if(i32.and(whole, i32.leU(i32.add(behind, 4), length)), () => {
          body();
          f.set(at, i32.add(behind, 3));
        });
      });
      f.set(at, i32.add(at, 1));
      f.brIf(again, i32.ltU(at, length));
    });
  };
  f.set(near, i32.const(0));
  f.set(far, i32.const(0));
  eachBranch(() => {
    // The top byte is 0 or 0xff.
    const top = i32.load8U(i32.add(at, opcode), BYTES + 3);
    f.if(
      i32.ltU(i32.and(i32.add(top, 1), 0xff), 2),
      () => f.set(near, i32.add(near, 1)),
      () => f.set(far, i32.add(far, 1)),
    );
  });
  f.if(i32.and(i32.geU(near, MIN_BRANCHES), i32.gtU(near, far)), () => {
    const displacement = f.local(I32);
    const wrap = (value: Expr): Expr => i32.shrS(i32.shl(value, 32 - BRANCH_BITS), 32 - BRANCH_BITS);
    eachBranch(() => {
      const field = i32.add(at, opcode);
      f.set(displacement, i32.load(field, BYTES));
      f.if(i32.eq(wrap(displacement), displacement), () =>
        f.set(displacement, wrap(i32.add(displacement, i32.add(i32.add(address, field), 4)))),
      );
      storeBigEndian(f, field, BYTES, displacement);
    });
    f.return(i32.const(FILTER_BRANCHES));
  });
}

function storeBigEndian(f: FunctionBuilder, at: Expr, offset: number, value: Expr): void {
  f.scope(() => {
    const v = f.let(value);
    for (let byte = 0; byte < 4; byte++) f.store8(at, i32.shrU(v, 24 - 8 * byte), offset + byte);
  });
}
