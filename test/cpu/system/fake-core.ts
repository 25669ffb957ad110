// A processor with nothing but state and flat linear memory, for testing system semantics by themselves: no
// translation, pages that a test marks absent fault, and every call that leaves the semantics is noted.

import type { Bus } from '../../../src/cpu/bus.js';
import type { CpuCore, LinearMemory, Privilege } from '../../../src/cpu/core.js';
import { type CpuModel, QEMU64_V1 } from '../../../src/cpu/cpuid.js';
import * as L from '../../../src/cpu/layout.js';
import {
  CpuState,
  CR0_PE,
  CR0_PG,
  EFER_LMA,
  Fault,
  MODE_64BIT,
  MODE_CS32,
  MODE_LONG,
  MODE_PAGING,
  MODE_PROTECTED,
  MODE_SS32,
  MODE_V86,
  PFV,
  VM,
} from '../../../src/cpu/state.js';
import { resetState } from '../../../src/cpu/system/reset.js';

const SIZE = 0x20_0000;

/** Layout of the little world that the tests share. */
export const GDT = 0x1000;
export const IDT = 0x2000;
export const LDT = 0x3000;
export const TSS = 0x4000;
export const TSS2 = 0x5000;

/** Descriptor fields for `put`. */
export interface SegmentSpec {
  base?: number;
  limit?: number;
  /** Access byte: P, DPL, S, type. */
  access: number;
  /** High nibble of byte 6: G, D/B, L, AVL. */
  flags?: number;
}

export function encodeSegment({ base = 0, limit = 0xfffff, access, flags = 0xc }: SegmentSpec): bigint {
  const low = ((limit & 0xffff) | ((base & 0xffff) << 16)) >>> 0;
  const high =
    (((base >>> 16) & 0xff) | (access << 8) | (limit & 0xf0000) | (flags << 20) | (base & 0xff00_0000)) >>> 0;
  return BigInt(low) | (BigInt(high) << 32n);
}

/** A gate: call, interrupt, trap or task. `low5` is the parameter count or IST. */
export function encodeGate(selector: number, offset: number, access: number, low5 = 0): bigint {
  const low = ((offset & 0xffff) | (selector << 16)) >>> 0;
  const high = ((offset & 0xffff_0000) | (access << 8) | low5) >>> 0;
  return BigInt(low) | (BigInt(high) << 32n);
}

export class FakeCore implements CpuCore {
  readonly state = new CpuState(new WebAssembly.Memory({ initial: 1 }));
  readonly bytes = new Uint8Array(SIZE);
  readonly view = new DataView(this.bytes.buffer);
  /** Linear pages (number >> 12) that fault. */
  readonly absent = new Set<number>();
  readonly readOnly = new Set<number>();
  readonly log: string[] = [];
  readonly msrs = new Map<number, bigint>([[0x1b, 0xfee0_0900n]]);
  readonly timing = { name: 'test', nsPerCycle: 4 };
  cycle = 1000;
  instructionIp = 0n;
  nextIp = 0x100n;
  delivered = false;
  readonly bus: Bus;
  readonly memory: LinearMemory;

  constructor(readonly model: CpuModel = QEMU64_V1) {
    resetState(this.state, model);
    this.bus = {
      msrRead: (index: number) => this.msrs.get(index) ?? 0n,
      msrWrite: (index: number, value: bigint) => void this.msrs.set(index, value),
    } as unknown as Bus;
    this.memory = this.makeMemory();
    this.modeChanged();
    this.log.length = 0;
  }

  private makeMemory(): LinearMemory {
    const check = (linear: bigint, length: number, write: boolean, privilege: Privilege = 'current'): number => {
      const user = privilege === 'user' || (privilege === 'current' && this.state.cpl === 3);
      for (let page = Number(linear >> 12n); page <= Number((linear + BigInt(length) - 1n) >> 12n); page++) {
        const error = (write ? 2 : 0) | (user ? 4 : 0);
        const at = page === Number(linear >> 12n) ? linear : BigInt(page) << 12n;
        if (this.absent.has(page)) throw new Fault(PFV, error, at);
        if (write && this.readOnly.has(page)) throw new Fault(PFV, error | 1, at);
      }
      const address = Number(linear);
      if (address + length > SIZE) throw new Error(`outside the test's memory: ${linear.toString(16)}`);
      return address;
    };
    const v = this.view;
    return {
      read8: (a, p) => v.getUint8(check(a, 1, false, p)),
      read16: (a, p) => v.getUint16(check(a, 2, false, p), true),
      read32: (a, p) => v.getUint32(check(a, 4, false, p), true),
      read64: (a, p) => v.getBigUint64(check(a, 8, false, p), true),
      write8: (a, x, p) => v.setUint8(check(a, 1, true, p), x),
      write16: (a, x, p) => v.setUint16(check(a, 2, true, p), x, true),
      write32: (a, x, p) => v.setUint32(check(a, 4, true, p), x, true),
      write64: (a, x, p) => v.setBigUint64(check(a, 8, true, p), x, true),
      readBytes: (a, n, p) => {
        const at = check(a, n, false, p);
        return this.bytes.slice(at, at + n);
      },
      writeBytes: (a, data, p) => this.bytes.set(data, check(a, data.length, true, p)),
      plainAt: () => 0,
      copyTracked: () => 0,
      probe: (a, n, write, p) => check(a, n, write, p) >= 0,
    };
  }

  modeChanged(): void {
    const s = this.state;
    let mode = 0;
    const v86 = (s.cr0 & CR0_PE) !== 0 && (s.eflags & VM) !== 0;
    if (s.cr0 & CR0_PE) mode |= MODE_PROTECTED;
    if (s.cr0 & CR0_PG) mode |= MODE_PAGING;
    if (s.efer & EFER_LMA) {
      mode |= MODE_LONG;
      if (s.attributes(L.CS) & 0x2000) mode |= MODE_64BIT;
    }
    if (v86) mode |= MODE_V86;
    if (s.attributes(L.CS) & 0x4000) mode |= MODE_CS32;
    if (s.attributes(L.SS) & 0x4000) mode |= MODE_SS32;
    s.set32(L.MODE, mode);
    this.log.push('modeChanged');
  }
  dataSegmentChanged(): void {
    this.modeChanged();
  }
  flushTlb(keepGlobal: boolean): void {
    this.log.push(keepGlobal ? 'flush non-global' : 'flush all');
  }
  flushPage(linear: bigint): void {
    this.log.push(`flush ${linear.toString(16)}`);
  }
  halt(): void {
    this.log.push('halt');
  }
  tripleFault(): void {
    this.log.push('triple fault');
  }
  setShadow(kind: 1 | 2): void {
    this.log.push(`shadow ${kind}`);
  }
  milestone(name: string): void {
    this.log.push(`milestone ${name}`);
  }

  /** Put a descriptor into the GDT (or LDT, by the selector's TI bit). */
  put(selector: number, descriptor: bigint | SegmentSpec, upper = 0n): void {
    const at = (selector & 4 ? LDT : GDT) + (selector & ~7);
    this.view.setBigUint64(at, typeof descriptor === 'bigint' ? descriptor : encodeSegment(descriptor), true);
    if (upper !== 0n) this.view.setBigUint64(at + 8, upper, true);
  }
  access(selector: number): number {
    return this.bytes[(selector & 4 ? LDT : GDT) + (selector & ~7) + 5]!;
  }
  /** Put a gate into the IDT. */
  gate(vector: number, selector: number, offset: number, access: number, ist = 0): void {
    const size = this.state.isLong ? 16 : 8;
    this.view.setBigUint64(IDT + vector * size, encodeGate(selector, offset, access, ist), true);
    if (size === 16) this.view.setBigUint64(IDT + vector * size + 8, 0n, true);
  }

  u16(address: number): number {
    return this.view.getUint16(address, true);
  }
  u32(address: number): number {
    return this.view.getUint32(address, true);
  }
  u64(address: number): bigint {
    return this.view.getBigUint64(address, true);
  }
  set16(address: number, value: number): void {
    this.view.setUint16(address, value, true);
  }
  set32(address: number, value: number): void {
    this.view.setUint32(address, value, true);
  }
}

/** Selectors of the shared GDT. */
export const CODE0 = 0x08;
export const DATA0 = 0x10;
export const CODE3 = 0x1b;
export const DATA3 = 0x23;
export const CODE16 = 0x28;
export const CONFORMING = 0x30;
export const CODE1 = 0x38;
export const DATA1 = 0x41;
export const ABSENT_DATA = 0x48;
export const READ_ONLY = 0x50;
export const EXECUTE_ONLY = 0x58;
export const TSS_SELECTOR = 0x60;
export const TSS2_SELECTOR = 0x70;
export const LDT_SELECTOR = 0x80;
export const CODE64 = 0x90;
export const CODE64_3 = 0x9b;
export const CALL_GATE = 0xa0;
export const TASK_GATE = 0xb0;
export const ABSENT_CODE = 0xb8;

/** Fill the GDT and point the table registers at it. `tss` is the access byte of both TSSes. */
function fillTables(core: FakeCore): void {
  const s = core.state;
  core.put(CODE0, { access: 0x9a });
  core.put(DATA0, { access: 0x92 });
  core.put(CODE3, { access: 0xfa });
  core.put(DATA3, { access: 0xf2 });
  core.put(CODE16, { access: 0x9a, limit: 0xffff, flags: 0 });
  core.put(CONFORMING, { access: 0x9e });
  core.put(CODE1, { access: 0xba });
  core.put(DATA1, { access: 0xb2 });
  core.put(ABSENT_DATA, { access: 0x12 });
  core.put(READ_ONLY, { access: 0x90 });
  core.put(EXECUTE_ONLY, { access: 0x98 });
  core.put(TSS_SELECTOR, { base: TSS, limit: 0x2067, access: 0x89, flags: 0 });
  core.put(TSS2_SELECTOR, { base: TSS2, limit: 0x67, access: 0x89, flags: 0 });
  core.put(LDT_SELECTOR, { base: LDT, limit: 0xff, access: 0x82, flags: 0 });
  core.put(CODE64, { access: 0x9a, flags: 0xa });
  core.put(CODE64_3, { access: 0xfa, flags: 0xa });
  core.put(ABSENT_CODE, { access: 0x1a });
  s.set64(L.GDTR_BASE, BigInt(GDT));
  s.set32(L.GDTR_LIMIT, 0xbf);
  s.set64(L.IDTR_BASE, BigInt(IDT));
  s.set32(L.IDTR_LIMIT, 0xfff);
  s.setSegment(L.LDTR, 0, 0n, 0, 0x1_0000);
  s.setSegment(L.TR, TSS_SELECTOR, BigInt(TSS), 0x2067, 0x8b);
}

/** Flat 32-bit protected mode in ring `cpl`, ESP 0x8000; ring 0 stack 0x9000, ring 1 stack 0xa000. */
export function protectedCore(cpl = 0, model: CpuModel = QEMU64_V1): FakeCore {
  const core = new FakeCore(model);
  const s = core.state;
  fillTables(core);
  s.set32(L.CR0, 0x11);
  s.set32(L.CPL, cpl);
  s.setSegment(L.CS, cpl === 3 ? CODE3 : cpl === 1 ? CODE1 | 1 : CODE0, 0n, 0xffff_ffff, 0xc09b | (cpl << 5));
  s.setSegment(L.SS, cpl === 3 ? DATA3 : cpl === 1 ? DATA1 : DATA0, 0n, 0xffff_ffff, 0xc093 | (cpl << 5));
  for (const segment of [L.ES, L.DS, L.FS, L.GS]) s.setSegment(segment, DATA3, 0n, 0xffff_ffff, 0xc0f3);
  s.setReg(4, 0x8000n);
  s.rip = 0x100n;
  core.set32(TSS + 4, 0x9000);
  core.set16(TSS + 8, DATA0);
  core.set32(TSS + 12, 0xa000);
  core.set16(TSS + 16, DATA1);
  core.modeChanged();
  core.log.length = 0;
  return core;
}

/** 64-bit mode in ring `cpl`, RSP 0x8008; RSP0 0x9008, IST1 0xb000. */
export function longCore(cpl = 0, model: CpuModel = QEMU64_V1): FakeCore {
  const core = protectedCore(cpl, model);
  const s = core.state;
  s.set32(L.CR0, 0x8000_0011);
  s.set32(L.CR4, 0x20);
  s.set32(L.EFER, 0x501);
  s.setSegment(L.CS, cpl === 3 ? CODE64_3 : CODE64, 0n, 0xffff_ffff, 0xa09b | (cpl << 5));
  s.setReg(4, 0x8008n);
  core.view.setBigUint64(TSS + 4, 0x9008n, true);
  core.view.setBigUint64(TSS + 0x24, 0xb000n, true);
  core.modeChanged();
  core.log.length = 0;
  return core;
}

/** V86 mode: CS 0x1000, SS 0x2000, SP 0x100. */
export function v86Core(iopl = 3): FakeCore {
  const core = protectedCore(3);
  const s = core.state;
  s.eflags = VM | (iopl << 12) | 0x202;
  for (const segment of [L.ES, L.DS, L.FS, L.GS])
    s.setSegment(segment, 0x3000 + segment, BigInt((0x3000 + segment) << 4), 0xffff, 0xf3);
  s.setSegment(L.CS, 0x1000, 0x1_0000n, 0xffff, 0xf3);
  s.setSegment(L.SS, 0x1800, 0x1_8000n, 0xffff, 0xf3);
  s.setReg(4, 0x100n);
  core.modeChanged();
  core.log.length = 0;
  return core;
}

/** Run `body` and return the Fault it throws as `vector(code)`, or 'none'. */
export function faultOf(body: () => void): string {
  try {
    body();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return error.errorCode === undefined ? `${error.vector}` : `${error.vector}(${error.errorCode.toString(16)})`;
  }
  return 'none';
}

/** All architectural state as one string, to show that a fault changed nothing. */
export function snapshot(core: FakeCore): string {
  return Buffer.from(core.state.u8.slice(L.REGS, L.SCRATCH)).toString('base64');
}

/** `count` words, doublewords, quadwords of guest memory. */
export const words = (core: FakeCore, address: number, count: number) =>
  Array.from({ length: count }, (_, i) => core.u16(address + i * 2));
export const dwords = (core: FakeCore, address: number, count: number) =>
  Array.from({ length: count }, (_, i) => core.u32(address + i * 4));
export const qwords = (core: FakeCore, address: number, count: number) =>
  Array.from({ length: count }, (_, i) => core.u64(address + i * 8));

/** What a 32-bit return finds on protectedCore's stack, the first at the top. */
export function stackDwords(core: FakeCore, ...values: number[]): void {
  values.forEach((value, i) => {
    core.set32(0x8000 + i * 4, value);
  });
}
/** The same for a 64-bit return and longCore's stack. */
export function stackQwords(core: FakeCore, ...values: bigint[]): void {
  values.forEach((value, i) => {
    core.view.setBigUint64(0x8008 + i * 8, value, true);
  });
}
