// A processor with the MMX and SSE instructions and nothing else: the real decoder, interpreter and slow paths, one
// instruction at a time, in flat 32- or 64-bit code. Pages are mapped one to one by 32-bit paging in both modes.

import { X86_64_V2 } from '../../../src/cpu/cpuid.js';
import { mmxRows } from '../../../src/cpu/isa/mmx.js';
import type { Row } from '../../../src/cpu/isa/row.js';
import { sseRows } from '../../../src/cpu/isa/sse.js';
import { sse2Rows } from '../../../src/cpu/isa/sse2.js';
import { sse3Rows } from '../../../src/cpu/isa/sse3.js';
import { sse4Rows } from '../../../src/cpu/isa/sse4.js';
import * as L from '../../../src/cpu/layout.js';
import { MODE_64BIT, MODE_CS32, MODE_LONG, MODE_PAGING, MODE_PROTECTED, MODE_SS32 } from '../../../src/cpu/state.js';
import { fninit } from '../../../src/cpu/system/fpu-state.js';
import { resetState } from '../../../src/cpu/system/reset.js';
import { BareMachine } from '../bare-machine.js';

export const simdRows = [...mmxRows, ...sseRows, ...sse2Rows, ...sse3Rows, ...sse4Rows];

/** IP of every instruction, and a page of data below the end of memory: what lies behind it faults. */
export const CODE = 0x10_0000;
export const DATA = 0x20_0000;
const RAM = DATA + 0x1000;
const PAGE_DIRECTORY = 0x1000;
const PAGE_TABLE = 0x2000;
/** CR0 after reset(): PG, NE, ET, MP, PE. */
export const CR0 = 0x8000_0033;

export class SimdMachine extends BareMachine {
  private bits: 32 | 64 = 64;

  constructor() {
    super({ rows: simdRows, model: X86_64_V2, has: () => true, ram: RAM, code: CODE });
    this.reset();
  }

  /** CR4.OSFXSR and OSXMMEXCPT set, registers 0 but RBX, which holds DATA; MXCSR 1f80. */
  reset(bits: 32 | 64 = 64): void {
    const s = this.state;
    this.bits = bits;
    resetState(s, X86_64_V2);
    s.set32(L.CR0, CR0);
    s.set64(L.CR3, BigInt(PAGE_DIRECTORY));
    s.set32(L.GUEST + PAGE_DIRECTORY, PAGE_TABLE | 7);
    for (let page = 0; page < RAM >>> 12; page++) s.set32(L.GUEST + PAGE_TABLE + page * 4, (page << 12) | 7);
    s.set32(L.CR4, 0x600);
    const long = bits === 64;
    s.setSegment(L.CS, 0x23, 0n, 0xffff_ffff, long ? 0xa0fb : 0xc0fb);
    for (const segment of [L.ES, L.SS, L.DS, L.FS, L.GS]) s.setSegment(segment, 0x2b, 0n, 0xffff_ffff, 0xc0f3);
    s.set32(L.MODE, MODE_PROTECTED | MODE_PAGING | MODE_SS32 | (long ? MODE_LONG | MODE_64BIT : MODE_CS32));
    const mask = long ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn;
    for (const field of [L.ADDRESS_MASK, L.LINEAR_MASK, L.IP_MASK, L.STACK_MASK]) s.set64(field, mask);
    s.set32(L.STACK_CHECKED, 0);
    s.set32(L.DATA_TLB, L.DATA_TLB_OPEN);
    s.set32(L.STEPPING, 1);
    for (let n = 0; n < 16; n++) s.setReg(n, n === 3 ? BigInt(DATA) : 0n);
    s.eflags = 2;
    fninit(this.core);
    s.u8.fill(0, L.FPU_REGS, L.FPU_REGS + 128);
    s.u8.fill(0, L.XMM, L.XMM + 256);
    s.set32(L.MXCSR, 0x1f80);
    this.ram.fill(0, DATA);
  }

  /** The row that the bytes decode to. */
  rowOf(code: ArrayLike<number>): Row | undefined {
    return this.decode(code, this.bits).row;
  }

  /** Execute one instruction; the vector of the exception it raised, or undefined. */
  step(code: ArrayLike<number>): number | undefined {
    return this.execute(code, this.bits);
  }

  xmm(n: number): bigint {
    return this.state.get64(L.XMM + n * 16) | (this.state.get64(L.XMM + n * 16 + 8) << 64n);
  }
  setXmm(n: number, value: bigint): void {
    this.state.set64(L.XMM + n * 16, BigInt.asUintN(64, value));
    this.state.set64(L.XMM + n * 16 + 8, BigInt.asUintN(64, value >> 64n));
  }
  mm(n: number): bigint {
    return this.state.get64(L.FPU_REGS + n * 16);
  }
  setMm(n: number, value: bigint): void {
    this.state.set64(L.FPU_REGS + n * 16, value);
  }
  get mxcsr(): number {
    return this.state.get32(L.MXCSR);
  }
  set mxcsr(value: number) {
    this.state.set32(L.MXCSR, value);
  }
}
