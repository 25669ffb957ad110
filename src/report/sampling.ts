// Where the processor was, at equal distances of cycles, seen in a sealed replay. A pause between two instructions
// changes nothing, so the samples of a trace are the same on every host.
//
// Callers are guessed from the stack, as there are no frame pointers in a distribution's kernel: a word is a return
// address when a CALL ends before it, and a caller when that CALL leads to the function that was called (stack-guess.ts).
// Left out on purpose: stacks of user programs and of 16-bit code, whose symbols nobody has.

import type { Pause } from '../api/screenshots.js';
import type { Cpu } from '../cpu/cpu.js';
import * as L from '../cpu/layout.js';
import { peekMemory } from '../cpu/peek.js';
import { MODE_CS32 } from '../cpu/state.js';

/** Samples that a page has about, if not told otherwise. */
const WANTED = 8192;
/** Words of the stack that are looked at. */
const STACK_WORDS = 256;
/** Return addresses lie within this distance of the instruction. */
const REACH = 1n << 31n;
const [RSP, CS, SS] = [4, 1, 2];

/** A word on the stack that may be a return address. */
export interface ReturnAddress {
  readonly address: bigint;
  /** What the CALL before it leads to; 0 when that is not in the instruction; -1 for what an interrupt pushed. */
  readonly target: bigint;
}

export interface RawSample {
  readonly cycle: number;
  /** Linear address of the next instruction. */
  readonly at: bigint;
  readonly bits: 16 | 32 | 64;
  readonly user: boolean;
  readonly halted: boolean;
  readonly stack: readonly ReturnAddress[];
}

/** A round distance that gives at least the wanted number of samples: 1, 2 or 5 times a power of ten. */
export function chooseInterval(cycles: number): number {
  const least = Math.max(1, cycles / WANTED);
  const power = 10 ** Math.floor(Math.log10(least));
  return [5, 2, 1].map((n) => n * power).find((n) => n <= least) ?? 1;
}

export class Sampler {
  readonly samples: RawSample[] = [];
  /** What is known of words that were taken for return addresses. */
  readonly #known = new Map<bigint, bigint | undefined>();

  /** @param interval cycles between two samples */
  constructor(
    private readonly cpu: Cpu,
    private readonly interval: number,
    private readonly cycles: number,
  ) {}

  /** The guest's RAM as it is now. */
  get memory(): Uint8Array {
    const { state, physical } = this.cpu;
    return state.u8.subarray(L.GUEST, L.GUEST + physical.ramSize);
  }

  pauses(): Pause[] {
    const count = Math.ceil(this.cycles / this.interval);
    return Array.from({ length: count }, (_, n) => ({ cycle: n * this.interval, reached: () => this.#take() }));
  }

  #take(): void {
    const { cpu } = this;
    const { state } = cpu;
    const bits = state.is64 ? 64 : (state.mode & MODE_CS32) !== 0 ? 32 : 16;
    const at = bits === 64 ? state.rip : BigInt.asUintN(32, state.rip + state.base(CS));
    const user = state.cpl === 3;
    // A processor that waits for long is sampled once for each interval that it waits.
    const stack = user || bits === 16 ? [] : this.#returns(at, bits);
    this.samples.push({ cycle: cpu.now, at, bits, user, halted: cpu.isHalted, stack });
  }

  #returns(at: bigint, bits: 32 | 64): ReturnAddress[] {
    const { state, physical } = this.cpu;
    const width = bits / 8;
    const top = bits === 64 ? state.reg(RSP) : BigInt.asUintN(32, state.reg(RSP) + state.base(SS));
    const bytes = peekMemory(state, physical, top, STACK_WORDS * width);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const words = Math.floor(bytes.length / width);
    const word = (n: number): bigint =>
      bits === 64 ? view.getBigUint64(n * 8, true) : BigInt(view.getUint32(n * 4, true));
    const [cs, ss] = [BigInt(state.selector(CS)), BigInt(state.selector(SS))];
    const found: ReturnAddress[] = [];
    for (let n = 0; n < words; n++) {
      const address = word(n);
      const distance = address - at;
      if (distance > REACH || distance < -REACH) continue;
      // RIP, CS, RFLAGS, RSP, SS of a 64-bit interrupt frame.
      if (bits === 64 && n + 4 < words && word(n + 1) === cs && (word(n + 4) === ss || word(n + 4) === 0x18n)) {
        found.push({ address, target: -1n });
        continue;
      }
      const target = this.#callBefore(address);
      if (target !== undefined) found.push({ address, target });
    }
    return found;
  }

  /** What the CALL that ends at an address leads to; 0 when only registers know; undefined when there is none. */
  #callBefore(address: bigint): bigint | undefined {
    if (this.#known.has(address)) return this.#known.get(address);
    const code = peekMemory(this.cpu.state, this.cpu.physical, address - 7n, 7);
    const target = code.length === 7 ? callTarget(code, address) : undefined;
    if (this.#known.size < 0x10_0000) this.#known.set(address, target);
    return target;
  }
}

/** Opcodes E8 and FF /2 in their lengths (SDM vol. 2A, CALL), by the seven bytes before the return address. */
export function callTarget(code: Uint8Array, address: bigint): bigint | undefined {
  if (code[2] === 0xe8) {
    const relative = new DataView(code.buffer, code.byteOffset, 7).getInt32(3, true);
    return BigInt.asUintN(64, address + BigInt(relative));
  }
  const modRm = (n: number) => (code[7 - n] === 0xff && (code[8 - n]! >> 3) % 8 === 2 ? code[8 - n]! : -1);
  const [two, three, four, six, seven] = [modRm(2), modRm(3), modRm(4), modRm(6), modRm(7)];
  const sib = (byte: number) => byte >= 0 && (byte & 7) === 4;
  if (two >= 0xd0 || (two >= 0 && two < 0x40 && !sib(two) && (two & 7) !== 5)) return 0n;
  if (three >= 0x40 && three < 0x80 && !sib(three)) return 0n;
  if (three >= 0 && three < 0x40 && sib(three)) return 0n;
  if (four >= 0x40 && four < 0x80 && sib(four)) return 0n;
  if (six >= 0x80 && six < 0xc0 && !sib(six)) return 0n;
  if (six >= 0 && six < 0x40 && (six & 7) === 5) return 0n;
  return seven >= 0x80 && seven < 0xc0 && sib(seven) ? 0n : undefined;
}
