// A processor with x87 instructions and nothing else, for testing rows, bodies and operations together: the real
// decoder, interpreter and slow paths in flat 32-bit protected mode without paging, one instruction at a time.

import { QEMU64_V1 } from '../../../src/cpu/cpuid.js';
import { x87Rows } from '../../../src/cpu/isa/x87.js';
import * as L from '../../../src/cpu/layout.js';
import { MODE_CS32, MODE_PROTECTED, MODE_SS32 } from '../../../src/cpu/state.js';
import { fninit } from '../../../src/cpu/system/fpu-state.js';
import { resetState } from '../../../src/cpu/system/reset.js';
import { BareMachine } from '../bare-machine.js';

const RAM = 0x1_0000;
/** IP of every instruction. */
export const CODE = 0x1000;
/** What EBX holds unless a test changes it. */
export const DATA = 0x2100;
export const DS_SELECTOR = 0x2b;
export const CS_SELECTOR = 0x23;
const EBX = 3;

export class X87Machine extends BareMachine {
  constructor() {
    super({ rows: x87Rows, model: QEMU64_V1, ram: RAM, code: CODE });
    this.reset();
  }

  /** Flat segments, CR0.NE and CR0.MP, an initialised FPU with empty registers that hold 0. */
  reset(): void {
    const s = this.state;
    resetState(s, QEMU64_V1);
    s.set32(L.CR0, 0x33);
    s.setSegment(L.CS, CS_SELECTOR, 0n, 0xffff_ffff, 0xc0fb);
    for (const segment of [L.ES, L.SS, L.DS, L.FS, L.GS]) s.setSegment(segment, DS_SELECTOR, 0n, 0xffff_ffff, 0xc0f3);
    s.set32(L.MODE, MODE_PROTECTED | MODE_CS32 | MODE_SS32);
    for (const mask of [L.ADDRESS_MASK, L.LINEAR_MASK, L.IP_MASK, L.STACK_MASK]) s.set64(mask, 0xffff_ffffn);
    s.set32(L.STACK_CHECKED, 0);
    s.set32(L.DATA_TLB, L.DATA_TLB_OPEN);
    s.set32(L.STEPPING, 1);
    s.setReg(EBX, BigInt(DATA));
    s.eflags = 2;
    fninit(this.core);
    s.u8.fill(0, L.FPU_REGS, L.FPU_REGS + 128);
    this.ram.fill(0);
  }

  /** Execute one instruction; the vector of the exception it raised, or undefined. */
  step(...code: number[]): number | undefined {
    return this.execute(code, 32);
  }

  /** Status word with TOP. */
  get status(): number {
    return this.state.get32(L.FPU_STATUS) | (this.state.get32(L.FPU_TOP) << 11);
  }
  /** Physical register Rn as 80 bits. */
  register(n: number): bigint {
    const at = L.FPU_REGS + n * 16;
    return this.state.get64(at) | (BigInt(this.state.u16[(at + 8) >>> 1]!) << 64n);
  }
  setRegister(n: number, value: bigint): void {
    const at = L.FPU_REGS + n * 16;
    this.state.set64(at, BigInt.asUintN(64, value));
    this.state.u16[(at + 8) >>> 1] = Number(value >> 64n);
  }
  /** R0…R7. */
  setRegisters(values: readonly bigint[]): void {
    for (const [n, value] of values.entries()) this.setRegister(n, value);
  }
  /** ST(i) as 80 bits, undefined when empty. */
  st(i: number): bigint | undefined {
    const n = (this.state.get32(L.FPU_TOP) + i) & 7;
    return (this.state.get32(L.FPU_TAGS) >>> n) & 1 ? this.register(n) : undefined;
  }
  /** General registers, flags and FPU, to show that a fault changed nothing. */
  snapshot(): string {
    const parts = [
      [L.REGS, L.REGS + 128],
      [L.FLAG_RESULT, L.CPL],
      [L.FPU_REGS, L.MXCSR],
    ] as const;
    return parts.map(([from, to]) => Buffer.from(this.state.u8.slice(from, to)).toString('hex')).join(' ');
  }
}
