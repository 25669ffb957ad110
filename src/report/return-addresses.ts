// Words on the stack that may be return addresses. There are no frame pointers in a distribution's kernel: a word is taken
// for one when a CALL ends before the address. Which of them are callers is worked out by stack-guess.ts.
// Looking changes nothing in the machine. Left out on purpose: stacks of 16-bit code.

import type { Cpu } from '../cpu/cpu.js';
import { peekMemory } from '../cpu/peek.js';
import { type CpuState, MODE_CS32 } from '../cpu/state.js';

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

/** Linear address of the next instruction, and the width of its code. */
export function instructionPointer(state: CpuState): { at: bigint; bits: 16 | 32 | 64 } {
  const bits = state.is64 ? 64 : (state.mode & MODE_CS32) !== 0 ? 32 : 16;
  return { bits, at: bits === 64 ? state.rip : BigInt.asUintN(32, state.rip + state.base(CS)) };
}

export class ReturnAddresses {
  /** What is known of words that were taken for return addresses. */
  readonly #known = new Map<bigint, bigint | undefined>();

  constructor(private readonly cpu: Cpu) {}

  /** What of the stack may be return addresses, the innermost first. @param at linear address of the instruction */
  from(at: bigint, bits: 32 | 64): ReturnAddress[] {
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
