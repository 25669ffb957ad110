// A stack as far transfers, interrupts and task switches see it: pushes and pops that check limits and canonical
// form and never touch RSP; the caller commits `sp` when nothing can fail any more.
//
// SDM vol. 3A, 5.3 (limit checking, expand-down), 6.2 (stacks); vol. 2, PUSH. Invariant: a fault leaves all
// registers as they were; bytes below the stack pointer may have been written, as on hardware.

import type { CpuCore, Privilege } from '../core.js';
import * as L from '../layout.js';
import { type CpuState, Fault, SSV } from '../state.js';
import { ATTR_CODE, ATTR_DB, ATTR_DC, ATTR_P, ATTR_RW, ATTR_S, ATTR_UNUSABLE, isCanonical } from './descriptors.js';

const RSP = 4;

export class Stack {
  private constructor(
    private readonly cpu: CpuCore,
    private readonly base: bigint,
    /** Mask of the stack pointer: 16, 32 or 64 bits. */
    readonly mask: bigint,
    private readonly min: number,
    private readonly max: number,
    private readonly long: boolean,
    /** Current stack pointer; moves with push and pop. */
    public sp: bigint,
    private readonly privilege: Privilege,
    /** Error code of the #SS that a violation raises. */
    private readonly errorCode: number,
  ) {}

  /** The stack in use: SS:RSP. */
  static current(cpu: CpuCore, errorCode = 0, privilege: Privilege = 'current'): Stack {
    const s = cpu.state;
    if (s.is64) return Stack.flat64(cpu, s.reg(RSP), privilege, errorCode);
    return Stack.segment(cpu, s.base(L.SS), s.limit(L.SS), s.attributes(L.SS), s.reg(RSP), privilege, errorCode);
  }

  /** A 64-bit stack: no base, no limit, canonical addresses. */
  static flat64(cpu: CpuCore, sp: bigint, privilege: Privilege, errorCode: number): Stack {
    return new Stack(cpu, 0n, 0xffff_ffff_ffff_ffffn, 0, 0, true, sp, privilege, errorCode);
  }

  /** A stack described by a segment that is not (yet) in SS. */
  static segment(
    cpu: CpuCore,
    base: bigint,
    limit: number,
    attributes: number,
    sp: bigint,
    privilege: Privilege,
    errorCode: number,
  ): Stack {
    const big = (attributes & ATTR_DB) !== 0;
    const usable = (attributes & ATTR_UNUSABLE) === 0;
    const expandDown = (attributes & (ATTR_CODE | ATTR_DC)) === ATTR_DC;
    let min = expandDown ? limit + 1 : 0;
    const max = expandDown ? (big ? 0xffff_ffff : 0xffff) : limit;
    if (!usable) min = Number.POSITIVE_INFINITY;
    return new Stack(cpu, base, big ? 0xffff_ffffn : 0xffffn, min, max, false, sp, privilege, errorCode);
  }

  /** Linear address of `size` bytes at `offset`, or #SS. */
  private linear(offset: bigint, size: number): bigint {
    if (this.long) {
      const address = BigInt.asUintN(64, offset);
      // The last byte too, where the access is not in one aligned piece.
      if (!isCanonical(address) || ((address & 7n) !== 0n && !isCanonical(address + BigInt(size - 1))))
        throw new Fault(SSV, this.errorCode);
      return address;
    }
    const first = Number(offset & this.mask);
    if (first < this.min || first + size - 1 > this.max) throw new Fault(SSV, this.errorCode);
    return (this.base + BigInt(first)) & 0xffff_ffffn;
  }

  /** A stack pointer cut to its width. asUintN is a machine operation where it is compiled, a mask of 64 bits is not. */
  private wrap(sp: bigint): bigint {
    return this.long ? BigInt.asUintN(64, sp) : sp & this.mask;
  }

  /** Push 2, 4 or 8 bytes. */
  push(size: number, value: bigint | number): void {
    const next = this.wrap(this.sp - sizeOf(size));
    const address = this.linear(next, size);
    const v = BigInt(value);
    if (size === 2) this.cpu.memory.write16(address, Number(v & 0xffffn), this.privilege);
    else if (size === 4) this.cpu.memory.write32(address, Number(v & 0xffff_ffffn), this.privilege);
    else this.cpu.memory.write64(address, BigInt.asUintN(64, v), this.privilege);
    this.sp = next;
  }

  /** Pop 2, 4 or 8 bytes, zero-extended. */
  pop(size: number): bigint {
    const value = this.read(this.sp, size);
    this.sp = this.wrap(this.sp + sizeOf(size));
    return value;
  }

  /** Read `size` bytes at `offset` above the stack pointer. */
  peek(offset: number, size: number): bigint {
    return this.read(this.wrap(this.sp + BigInt(offset)), size);
  }

  private read(offset: bigint, size: number): bigint {
    const address = this.linear(offset, size);
    if (size === 2) return BigInt(this.cpu.memory.read16(address, this.privilege));
    if (size === 4) return BigInt(this.cpu.memory.read32(address, this.privilege));
    return this.cpu.memory.read64(address, this.privilege);
  }

  /** Drop `bytes` from the stack (RET imm16). */
  release(bytes: number): void {
    this.sp = (this.sp + BigInt(bytes)) & this.mask;
  }

  /** Make `sp` the stack pointer: only the bits that the stack's width covers are replaced. */
  commit(state: CpuState): void {
    writeStackPointer(state, this.sp, this.mask);
  }
}

/** 2, 4 or 8 as a bigint. */
const sizeOf = (size: number): bigint => (size === 8 ? 8n : size === 4 ? 4n : 2n);

/** Replace RSP under a stack-pointer mask; a 32-bit stack clears the upper half, a 16-bit one keeps the rest. */
export function writeStackPointer(state: CpuState, sp: bigint, mask: bigint): void {
  if (mask === 0xffffn) state.setReg16(RSP, Number(sp & mask));
  else state.setReg(RSP, sp & mask);
}

/** Stack-pointer mask of a segment outside 64-bit mode. */
export function stackMask(attributes: number): bigint {
  return (attributes & ATTR_DB) !== 0 ? 0xffff_ffffn : 0xffffn;
}

/** Attributes of a segment as real mode and V86 mode have it: present, writable, accessed data. */
export const REAL_ATTRIBUTES = ATTR_P | ATTR_S | ATTR_RW | 1;
