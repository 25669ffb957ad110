// Typed access to the architectural state in linear memory (addresses: layout.ts), and what is derived from it.
//
// TypeScript and wasm work on the same bytes. Numbers are u32 unless said otherwise; 64-bit fields are bigint
// through `u64`/`setU64`, or two u32 halves where BigInt would be too slow. Nothing here has a side effect on
// guest memory or devices.

import * as L from './layout.js';

/** Bits of MODE. */
export const MODE_PROTECTED = 1; // CR0.PE
export const MODE_PAGING = 2; // CR0.PG
export const MODE_LONG = 4; // EFER.LMA
export const MODE_64BIT = 8; // LMA and CS.L
export const MODE_V86 = 16; // EFLAGS.VM in protected mode
export const MODE_CS32 = 32; // CS.D (operand and address size 32 outside 64-bit mode)
export const MODE_SS32 = 64; // SS.B

/** EFLAGS bits. */
export const CF = 1;
export const PF = 4;
export const AF = 0x10;
export const ZF = 0x40;
export const SF = 0x80;
export const TF = 0x100;
export const IF = 0x200;
export const DF = 0x400;
export const OF = 0x800;
export const IOPL_MASK = 0x3000;
export const NT = 0x4000;
export const RF = 0x1_0000;
export const VM = 0x2_0000;
export const AC = 0x4_0000;
export const VIF = 0x8_0000;
export const VIP = 0x10_0000;
export const ID = 0x20_0000;
export const ARITHMETIC_FLAGS = CF | PF | AF | ZF | SF | OF;

/** Of L.SMM: in system management mode; NMI was blocked when it was entered. */
export const SMM_ACTIVE = 1;
export const SMM_NMI_WAS_BLOCKED = 2;

export const CR0_PE = 1;
export const CR0_MP = 2;
export const CR0_EM = 4;
export const CR0_TS = 8;
export const CR0_ET = 0x10;
export const CR0_NE = 0x20;
export const CR0_WP = 0x1_0000;
export const CR0_AM = 0x4_0000;
export const CR0_NW = 0x2000_0000;
export const CR0_CD = 0x4000_0000;
export const CR0_PG = 0x8000_0000;
export const CR4_VME = 1;
export const CR4_PVI = 2;
export const CR4_TSD = 4;
export const CR4_DE = 8;
export const CR4_PSE = 0x10;
export const CR4_PAE = 0x20;
export const CR4_MCE = 0x40;
export const CR4_PGE = 0x80;
export const CR4_PCE = 0x100;
export const CR4_OSFXSR = 0x200;
export const CR4_OSXMMEXCPT = 0x400;
export const CR4_UMIP = 0x800;
export const CR4_FSGSBASE = 0x1_0000;
export const CR4_OSXSAVE = 0x4_0000;
export const CR4_SMEP = 0x10_0000;
export const CR4_SMAP = 0x20_0000;
export const EFER_SCE = 1;
export const EFER_LME = 0x100;
export const EFER_LMA = 0x400;
export const EFER_NXE = 0x800;

/** Exception vectors. */
export const DE = 0;
export const DB = 1;
export const NMI = 2;
export const BP = 3;
export const OFV = 4;
export const BR = 5;
export const UD = 6;
export const NM = 7;
export const DFV = 8;
export const TS = 10;
export const NP = 11;
export const SSV = 12;
export const GP = 13;
export const PFV = 14;
export const MF = 16;
export const ACV = 17;
export const MC = 18;
export const XM = 19;

/** Thrown by TypeScript semantics to raise an exception at the current instruction; caught at the wasm boundary. */
export class Fault {
  constructor(
    readonly vector: number,
    /** Error code, or undefined where the vector pushes none. */
    readonly errorCode?: number,
    /** Linear address for CR2 (vector 14 only). */
    readonly address?: bigint,
  ) {}
}

/** #GP(code). */
export const gp = (code = 0) => new Fault(GP, code & 0xffff);
/** #UD. */
export const ud = () => new Fault(UD);

/**
 * 0 in fields that come to hold numbers of 32 bits and more. V8 lays a field out for what it holds first; when a number
 * from 2^31 on comes to one that held small ones, it drops all code that has ever looked at the object, and makes it anew.
 */
export const WIDE_ZERO: number = -0;

/** Views of one linear memory. `u8` covers all of it; the others are aligned views. */
export class CpuState {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  readonly i64: BigInt64Array;
  readonly big: BigUint64Array;
  readonly view: DataView;

  constructor(readonly memory: WebAssembly.Memory) {
    const b = memory.buffer;
    this.u8 = new Uint8Array(b);
    this.u16 = new Uint16Array(b);
    this.u32 = new Uint32Array(b);
    this.i32 = new Int32Array(b);
    this.f64 = new Float64Array(b);
    this.i64 = new BigInt64Array(b);
    this.big = new BigUint64Array(b);
    this.view = new DataView(b);
  }

  /** u32 field at a byte address. */
  get32(address: number): number {
    return this.u32[address >>> 2]!;
  }
  set32(address: number, value: number): void {
    this.u32[address >>> 2] = value;
  }
  /** u64 field at a byte address, as bigint. */
  get64(address: number): bigint {
    return this.big[address >>> 3]!;
  }
  set64(address: number, value: bigint): void {
    this.big[address >>> 3] = value;
  }

  /** General register `n` (0 RAX … 15 R15), u64. */
  reg(n: number): bigint {
    return this.big[(L.REGS >>> 3) + n]!;
  }
  setReg(n: number, value: bigint): void {
    this.big[(L.REGS >>> 3) + n] = value;
  }
  /** Low 32 bits of general register `n`. */
  reg32(n: number): number {
    return this.u32[(L.REGS >>> 2) + n * 2]!;
  }
  /** Write 32 bits and zero the upper half, as 32-bit operand size does. */
  setReg32(n: number, value: number): void {
    this.u32[(L.REGS >>> 2) + n * 2] = value;
    this.u32[(L.REGS >>> 2) + n * 2 + 1] = 0;
  }
  /** Write the low 16 bits, keeping the rest. */
  setReg16(n: number, value: number): void {
    this.u16[(L.REGS >>> 1) + n * 4] = value;
  }

  get rip(): bigint {
    return this.get64(L.RIP);
  }
  set rip(value: bigint) {
    this.set64(L.RIP, value);
  }
  /** Linear address of the instruction at RIP. */
  get linearIp(): bigint {
    return this.is64 ? this.rip : BigInt.asUintN(32, this.rip + this.base(L.CS));
  }
  get cr0(): number {
    return this.get32(L.CR0);
  }
  get cr4(): number {
    return this.get32(L.CR4);
  }
  get cr3(): bigint {
    return this.get64(L.CR3);
  }
  get efer(): number {
    return this.get32(L.EFER);
  }
  get cpl(): number {
    return this.get32(L.CPL);
  }
  get mode(): number {
    return this.get32(L.MODE);
  }
  get is64(): boolean {
    return (this.mode & MODE_64BIT) !== 0;
  }
  get isLong(): boolean {
    return (this.mode & MODE_LONG) !== 0;
  }
  get isProtected(): boolean {
    return (this.mode & MODE_PROTECTED) !== 0;
  }
  get isV86(): boolean {
    return (this.mode & MODE_V86) !== 0;
  }
  /** One more instruction is retired. */
  retire(): void {
    const { u32 } = this;
    const low = (u32[L.INSTRUCTIONS >>> 2]! + 1) >>> 0;
    u32[L.INSTRUCTIONS >>> 2] = low;
    if (low === 0) u32[(L.INSTRUCTIONS >>> 2) + 1]!++;
  }
  /** True at a boundary between two iterations of a REP string instruction. */
  get betweenIterations(): boolean {
    const { u32 } = this;
    const low = (u32[L.INSTRUCTIONS >>> 2]! + 1) >>> 0;
    const high = (u32[(L.INSTRUCTIONS >>> 2) + 1]! + (low === 0 ? 1 : 0)) >>> 0;
    return u32[L.REPEATED_AT >>> 2] === low && u32[(L.REPEATED_AT >>> 2) + 1] === high;
  }
  set betweenIterations(value: boolean) {
    const { u32 } = this;
    const low = value ? (u32[L.INSTRUCTIONS >>> 2]! + 1) >>> 0 : 0;
    u32[L.REPEATED_AT >>> 2] = low;
    u32[(L.REPEATED_AT >>> 2) + 1] = value ? u32[(L.INSTRUCTIONS >>> 2) + 1]! + (low === 0 ? 1 : 0) : 0;
  }
  get iopl(): number {
    return (this.get32(L.EFLAGS) >>> 12) & 3;
  }

  /** The six arithmetic flags, from their lazy form. */
  get arithmeticFlags(): number {
    const lo = this.u32[L.FLAG_RESULT >>> 2]!;
    const hi = this.u32[(L.FLAG_RESULT >>> 2) + 1]!;
    const aux = this.get32(L.FLAG_AUX);
    let f = aux >>> 31; // CF
    let p = (lo ^ (aux >>> 8)) & 0xff;
    p ^= p >>> 4;
    if (((0x6996 >>> (p & 15)) & 1) === 0) f |= PF;
    if (aux & 8) f |= AF;
    if ((lo | hi) === 0) f |= ZF;
    if ((hi >>> 31) ^ (aux & 1)) f |= SF;
    if ((aux >>> 31) ^ ((aux >>> 30) & 1)) f |= OF;
    return f;
  }

  /** Replace the six arithmetic flags (other bits of `f` are ignored). */
  set arithmeticFlags(f: number) {
    // Result is 0 for ZF, else 0x01 with its parity and sign corrected through AUX.
    const zero = (f & ZF) !== 0;
    const result = zero ? 0 : 1;
    this.u32[L.FLAG_RESULT >>> 2] = result;
    this.u32[(L.FLAG_RESULT >>> 2) + 1] = 0;
    let aux = 0;
    const cf = f & CF;
    const of = (f & OF) !== 0 ? 1 : 0;
    aux |= cf << 31;
    aux |= (cf ^ of) << 30;
    if (f & AF) aux |= 8;
    if (f & SF) aux |= 1;
    // Parity of the corrected low byte must be even for PF = 1.
    const odd = result === 1;
    const wantOdd = (f & PF) === 0;
    if (odd !== wantOdd) aux |= 1 << 8;
    this.set32(L.FLAG_AUX, aux >>> 0);
  }

  /** All of EFLAGS, materialised. */
  get eflags(): number {
    return (this.get32(L.EFLAGS) | this.arithmeticFlags) >>> 0;
  }
  /** Replace EFLAGS without any privilege check; callers then call `Cpu.modeChanged()` when VM, AC or TF may differ. */
  set eflags(value: number) {
    this.arithmeticFlags = value;
    this.set32(L.EFLAGS, ((value & ~ARITHMETIC_FLAGS & 0x3f_ffff & ~0x8028) | 2) >>> 0);
  }
  flag(mask: number): boolean {
    return (this.get32(L.EFLAGS) & mask) !== 0;
  }

  selector(segment: number): number {
    return this.get32(L.SEGMENTS + L.SEGMENT_SIZE * segment + L.SEG_SELECTOR);
  }
  attributes(segment: number): number {
    return this.get32(L.SEGMENTS + L.SEGMENT_SIZE * segment + L.SEG_ATTRIBUTES);
  }
  limit(segment: number): number {
    return this.get32(L.SEGMENTS + L.SEGMENT_SIZE * segment + L.SEG_LIMIT);
  }
  base(segment: number): bigint {
    return this.get64(L.SEGMENTS + L.SEGMENT_SIZE * segment + L.SEG_BASE);
  }

  /**
   * Fill a segment register's cache. `attributes` is in the format of SEG_ATTRIBUTES (bit 16: unusable), `limit`
   * in bytes. The derived check fields are set here; callers call `Cpu.modeChanged()` after CS or SS changed.
   */
  setSegment(segment: number, selector: number, base: bigint, limit: number, attributes: number): void {
    const high = Number(BigInt.asUintN(64, base) >> 32n);
    this.setSegmentHalves(segment, selector, Number(BigInt.asUintN(32, base)), high, limit, attributes);
  }

  /** The same with a base in halves. */
  setSegmentHalves(
    segment: number,
    selector: number,
    baseLow: number,
    baseHigh: number,
    limit: number,
    attributes: number,
  ): void {
    const { u32 } = this;
    const at = (L.SEGMENTS + L.SEGMENT_SIZE * segment) >>> 2;
    let access = 0;
    let min = 0;
    let max = limit >>> 0;
    u32[at + (L.SEG_SELECTOR >>> 2)] = selector & 0xffff;
    u32[at + (L.SEG_ATTRIBUTES >>> 2)] = attributes;
    u32[at + (L.SEG_LIMIT >>> 2)] = max;
    u32[at + (L.SEG_BASE >>> 2)] = baseLow;
    u32[at + (L.SEG_BASE >>> 2) + 1] = baseHigh;
    // Usable (present, not null), and code or data.
    if ((attributes & 0x1_0090) === 0x90) {
      if ((attributes & 8) !== 0) {
        access = (attributes & 2) !== 0 ? 1 : 0; // code: readable or execute-only
      } else {
        access = (attributes & 2) !== 0 ? 3 : 1; // data: writable or read-only
        if ((attributes & 4) !== 0) {
          min = max + 1; // expand-down: valid offsets lie above the limit (SDM 3A 5.3)
          max = (attributes & 0x4000) !== 0 ? 0xffff_ffff : 0xffff;
        }
      }
    }
    if (min > 0xffff_ffff) {
      access = 0;
      min = 0xffff_ffff;
    }
    u32[at + (L.SEG_MIN >>> 2)] = min;
    u32[at + (L.SEG_MAX >>> 2)] = max;
    u32[at + (L.SEG_ACCESS >>> 2)] = access;
  }

  /** CR2, DR0–7 and plain MSRs are read with get64 at their address in layout.ts. */
  dr(n: number): bigint {
    return this.get64(L.DR + 8 * n);
  }
  setDr(n: number, value: bigint): void {
    this.set64(L.DR + 8 * n, value);
  }
}
