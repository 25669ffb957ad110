// One Cpu set to any state, one instruction of it, and what came out: what all oracles of the processor stand on.
//
// Protected cases run at CPL 3 under 64-bit paging with the descriptor tables of a Linux process and an LDT
// (descriptor-tables.ts), a code page and a data page. Nothing in the processor is hooked: EFLAGS.TF is
// set as a debugger sets it, every exception (#DB of the step included) goes through the IDT and a TSS to a stack
// at CPL 0, and its vector, error code and frame are read from there. Real-mode cases run until HLT.

import type { Bus } from '../../../src/cpu/bus.js';
import { Cpu } from '../../../src/cpu/cpu.js';
import type { CpuModel } from '../../../src/cpu/cpuid.js';
import * as L from '../../../src/cpu/layout.js';
import {
  CR0_AM,
  CR0_ET,
  CR0_MP,
  CR0_NE,
  CR0_PE,
  CR0_PG,
  CR0_WP,
  CR4_FSGSBASE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_OSXSAVE,
  CR4_PAE,
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
  EFER_SCE,
} from '../../../src/cpu/state.js';
import {
  CODE,
  DATA,
  descriptorBytes,
  GDT_SEGMENTS,
  LDT_SEGMENTS,
  limitInBytes,
  PAGE,
  READ_ONLY,
  segmentOf,
} from './descriptor-tables.js';

/** Offset in the code page where cases put their instruction, unless they choose. */
export const START = 0x200;

export type Bits = 64 | 32 | 16;

/** Registers as a debugger sees them. `fx` is an FXSAVE64 image: FCW, FSW, FTW, MXCSR, ST0–7 and XMM0–15 count. */
export interface Registers {
  readonly gpr: readonly bigint[];
  readonly rip: bigint;
  readonly eflags: number;
  readonly fx: Uint8Array;
}

/** Selectors of ES, CS, SS, DS, FS, GS. */
export type Selectors = readonly [number, number, number, number, number, number];

export interface Case {
  readonly bits: Bits;
  readonly code: Uint8Array;
  readonly registers: Registers;
  /** The data page before. */
  readonly memory: Uint8Array;
  /** Flat segments, FS and GS null, when not given. */
  readonly selectors?: Selectors;
  /** In 64-bit code. */
  readonly fsBase?: bigint;
  readonly gsBase?: bigint;
}

export interface Outcome {
  /** 1: the instruction was executed; else the exception's vector. */
  readonly vector: number;
  /** 0 where the vector has none. */
  readonly error: number;
  /** Valid with vector 14, else 0. */
  readonly cr2: bigint;
  readonly registers: Registers;
  /** The data page after; that of the model is its own memory, valid until it runs again. */
  readonly memory: Uint8Array;
  /** #DB traps taken: iterations of a REP. */
  readonly steps: number;
  readonly selectors: Selectors;
  readonly fsBase: bigint;
  readonly gsBase: bigint;
}

const RAM = 0x40_0000;
const TABLES = 0x20_0000;
const CODE_AT = 0x20_8000;
/** Where the data page is in memory. */
export const DATA_AT = 0x20_9000;
const READ_ONLY_AT = 0x20_a000;
const SYSTEM_AT = 0x20_b000;
const SYSTEM_PAGES = 4;
/** The kernel half: descriptor tables, TSS, handlers and the CPL 0 stack. */
const SYSTEM = 0xffff_9000_0000_0000n;
const IDT = SYSTEM;
const GDT = SYSTEM + 0x1000n;
const LDT = SYSTEM + 0x1100n;
const TSS = SYSTEM + 0x1200n;
const HANDLERS = SYSTEM + 0x2000n;
const STACK_TOP = SYSTEM + 0x3f00n;
const ERROR_CODES = new Set([8, 10, 11, 12, 13, 14, 17]);
const FLAT: Record<Bits, Selectors> = {
  64: [0x2b, 0x33, 0x2b, 0x2b, 0, 0],
  32: [0x2b, 0x23, 0x2b, 0x2b, 0, 0],
  16: [0x2b, 0x07, 0x2b, 0x2b, 0, 0],
};
/** What a case may set: arithmetic flags, DF, AC; what a single step on a host has besides: TF and IF. */
const CASE_FLAGS = 0x4_0cd5;
const TF_IF = 0x302;
/** The code page around the instruction is full of it. */
const HLT = 0xf4;
const SEGMENT_BASE = (segment: number) => L.SEGMENTS + L.SEGMENT_SIZE * segment + L.SEG_BASE;
/** A REP that does not end is given up, on the host too. */
const MAX_STEPS = 5000;

/** All features on: which of them a host lacks is the oracle's business. */
export function everyFeature(model: CpuModel): CpuModel {
  return { ...model, has: () => true };
}

/** A real-mode case that has not halted by then is given up. */
const REAL_CYCLES = 50_000;

const unused = (): never => {
  throw new Error('the case reached a device');
};

export class SingleStep {
  readonly cpu: Cpu;
  private real: boolean | undefined;
  /** The code page as the last case found it, and where its instruction lay. */
  private readonly codePage = new Uint8Array(PAGE).fill(HLT);
  private codeFrom = 0;
  private codeTo = PAGE;
  /** What IN gives in real mode. */
  portValue = 0xffff_ffff;

  constructor(model: CpuModel) {
    this.cpu = new Cpu({ model, timing: { name: 'oracle', nsPerCycle: 4 }, ramSize: RAM, romSize: 0 });
    const mask = { 1: 0xff, 2: 0xffff, 4: 0xffff_ffff };
    const bus: Bus = {
      portRead: (_port, size) => (this.portValue & mask[size]) >>> 0,
      portWrite: () => {},
      portReadString: (_port, size, count) => {
        const data = new Uint8Array(size * count);
        for (let i = 0; i < data.length; i++) data[i] = this.portValue >>> (8 * (i % size));
        return data;
      },
      portWriteString: () => {},
      mmioRead: unused,
      mmioWrite: unused,
      mmioString: () => false,
      mmioReadString: unused,
      mmioWriteString: unused,
      msrRead: () => 0n,
      msrWrite: () => {},
      acknowledge: unused,
      advance: () => {},
      nextEvent: () => Number.POSITIVE_INFINITY,
    };
    this.cpu.bus = bus;
    this.buildTables();
  }

  // --- protected mode ---------------------------------------------------------------------------------------

  private put(at: number, value: bigint): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    this.cpu.physical.write(at, bytes);
  }

  private buildTables(): void {
    const table = (n: number) => TABLES + n * PAGE;
    const user = 0x67n; // present, writable, user, accessed, dirty
    const system = 0x63n;
    const noExecute = 1n << 63n;
    const entry = (n: number, index: bigint, value: bigint) => this.put(table(n) + Number(index & 511n) * 8, value);
    entry(0, 0n, BigInt(table(1)) | user);
    entry(1, 0n, BigInt(table(2)) | user);
    entry(2, BigInt(CODE) >> 21n, BigInt(table(3)) | user);
    entry(2, BigInt(DATA) >> 21n, BigInt(table(4)) | user);
    entry(3, 0n, BigInt(CODE_AT) | user);
    entry(4, 0n, BigInt(DATA_AT) | user | noExecute);
    entry(4, BigInt(READ_ONLY >> 12), BigInt(READ_ONLY_AT) | 0x65n | noExecute);
    entry(0, SYSTEM >> 39n, BigInt(table(5)) | system);
    entry(5, SYSTEM >> 30n, BigInt(table(6)) | system);
    entry(6, SYSTEM >> 21n, BigInt(table(7)) | system);
    for (let i = 0; i < SYSTEM_PAGES; i++) entry(7, BigInt(i), BigInt(SYSTEM_AT + i * PAGE) | system);

    const at = (linear: bigint) => SYSTEM_AT + Number(linear - SYSTEM);
    for (let vector = 0; vector < 256; vector++) {
      const to = HANDLERS + BigInt(vector * 16);
      // Interrupt gates; INT3 and INTO may be called from CPL 3.
      const type = vector === 3 || vector === 4 ? 0xeen : 0x8en;
      this.put(
        at(IDT) + vector * 16,
        (to & 0xffffn) | (0x10n << 16n) | (type << 40n) | (((to >> 16n) & 0xffffn) << 48n),
      );
      this.put(at(IDT) + vector * 16 + 8, to >> 32n);
    }
    // Where an exception leads when nobody stops before its handler.
    this.cpu.physical.write(at(HANDLERS), new Uint8Array(PAGE).fill(HLT));
    for (const segment of GDT_SEGMENTS) this.put(at(GDT) + (segment.selector & ~7), descriptorBytes(segment));
    for (const segment of LDT_SEGMENTS) this.put(at(LDT) + (segment.selector & ~7), descriptorBytes(segment));
    // RSP0; the I/O map lies past the limit.
    this.put(at(TSS) + 4, STACK_TOP);
    this.put(at(TSS) + 0x60, 0xffffn << 48n);
  }

  private enterProtected(): void {
    const s = this.cpu.state;
    if (this.real !== false) {
      this.cpu.reset();
      s.set32(L.CR0, (CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_AM) >>> 0);
      s.set32(L.CR4, CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_FSGSBASE | CR4_OSXSAVE);
      s.set64(L.CR3, BigInt(TABLES));
      s.set32(L.EFER, EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE);
      s.set64(L.IDTR_BASE, IDT);
      s.set32(L.IDTR_LIMIT, 0xfff);
      s.set64(L.GDTR_BASE, GDT);
      s.set32(L.GDTR_LIMIT, 0x7f);
      s.setSegment(L.LDTR, 0x50, LDT, LDT_SEGMENTS.length * 8 - 1, 0x82);
      s.setSegment(L.TR, 0x40, TSS, 0x67, 0x8b);
      this.cpu.flushTlb(false);
      this.real = false;
    }
  }

  private load(segment: number, selector: number): void {
    const s = this.cpu.state;
    const found = segmentOf(selector);
    if (found === undefined) s.setSegment(segment, selector, 0n, 0, 0x1_0000);
    else s.setSegment(segment, selector, BigInt(found.base), limitInBytes(found), found.attributes);
  }

  private user(selectors: Selectors): void {
    this.cpu.state.set32(L.CPL, 3);
    this.load(L.CS, selectors[L.CS]!);
    this.load(L.SS, selectors[L.SS]!);
  }

  private page(at: number): Uint8Array {
    const host = this.cpu.physical.hostOf(at);
    return this.cpu.state.u8.subarray(host, host + PAGE);
  }

  /** Put an instruction into the code page, HLT everywhere else. Only what changes is written: decoding is slow. */
  private writeCode(code: Uint8Array, offset: number): void {
    const touched = Buffer.compare(this.page(CODE_AT), this.codePage) !== 0;
    const to = Math.min(PAGE, offset + code.length);
    this.codePage.fill(HLT, this.codeFrom, this.codeTo);
    this.codePage.set(code.subarray(0, to - offset), offset);
    const [from, end] = touched ? [0, PAGE] : [Math.min(offset, this.codeFrom), Math.max(to, this.codeTo)];
    this.cpu.physical.write(CODE_AT + from, this.codePage.subarray(from, end));
    this.codeFrom = offset;
    this.codeTo = to;
  }

  /** Put a case into the processor, to run with these flags besides its own; code that is there already can stay. */
  prepare(given: Case, flags = TF_IF, codeStays = false): void {
    this.enterProtected();
    const { cpu } = this;
    const s = cpu.state;
    const { registers } = given;
    const selectors = given.selectors ?? FLAT[given.bits];
    this.user(selectors);
    for (const segment of [L.ES, L.DS, L.FS, L.GS]) this.load(segment, selectors[segment]!);
    if (given.bits === 64) {
      s.set64(SEGMENT_BASE(L.FS), given.fsBase ?? 0n);
      s.set64(SEGMENT_BASE(L.GS), given.gsBase ?? 0n);
    }
    for (let n = 0; n < 16; n++) s.setReg(n, registers.gpr[n]!);
    s.rip = registers.rip;
    s.eflags = (registers.eflags & CASE_FLAGS) | flags;
    s.set64(L.CR2, 0n);
    s.set32(L.SHADOW, 0);
    s.set32(L.HALTED, 0);
    this.loadFx(registers.fx);
    if (!codeStays) this.writeCode(given.code, Number(registers.rip) & (PAGE - 1));
    cpu.physical.write(DATA_AT, given.memory);
    cpu.modeChanged();
  }

  /** Run the instruction of a case: all iterations of a REP, or up to its exception. */
  run(given: Case): Outcome {
    this.prepare(given);
    const { cpu } = this;
    const s = cpu.state;
    const { registers } = given;
    const selectors = given.selectors ?? FLAT[given.bits];

    let steps = 0;
    for (;;) {
      cpu.step();
      // MOV SS and POP SS put the trap off to the next instruction: the HLT behind, which is #GP.
      if (s.cpl !== 0) cpu.step();
      steps++;
      if (s.cpl !== 0) throw new Error('a single step ended without its #DB');
      const vector = Number(s.rip - HANDLERS) / 16;
      const frame = this.frame(vector);
      if (vector === 1 && frame.rip === registers.rip && steps < MAX_STEPS) {
        // A REP that is not over: the handler returns.
        s.setReg(4, frame.rsp);
        s.rip = frame.rip;
        s.eflags = frame.eflags;
        this.user(selectors);
        cpu.modeChanged();
        continue;
      }
      const gpr = Array.from({ length: 16 }, (_, n) => s.reg(n));
      gpr[4] = frame.rsp;
      return {
        vector,
        error: frame.error,
        cr2: vector === 14 ? s.get64(L.CR2) : 0n,
        registers: { gpr, rip: frame.rip, eflags: frame.eflags & ~0x1_0100, fx: this.storeFx() },
        memory: this.page(DATA_AT),
        steps,
        selectors: [s.selector(L.ES), frame.cs, frame.ss, s.selector(L.DS), s.selector(L.FS), s.selector(L.GS)],
        fsBase: s.base(L.FS),
        gsBase: s.base(L.GS),
      };
    }
  }

  /** What the exception pushed. */
  private frame(vector: number) {
    const s = this.cpu.state;
    const base = this.cpu.physical.hostOf(SYSTEM_AT + Number(s.reg(4) - SYSTEM));
    const view = new DataView(s.u8.buffer, base, 48);
    const skip = ERROR_CODES.has(vector) ? 8 : 0;
    return {
      error: skip === 0 ? 0 : view.getUint32(0, true),
      rip: view.getBigUint64(skip, true),
      cs: view.getUint16(skip + 8, true),
      eflags: view.getUint32(skip + 16, true),
      rsp: view.getBigUint64(skip + 24, true),
      ss: view.getUint16(skip + 32, true),
    };
  }

  /** Registers from an FXSAVE64 image (SDM vol. 1, 10.5.1). */
  private loadFx(image: Uint8Array): void {
    const s = this.cpu.state;
    const view = new DataView(image.buffer, image.byteOffset, 512);
    const status = view.getUint16(2, true);
    const top = (status >> 11) & 7;
    s.set32(L.FPU_CONTROL, view.getUint16(0, true));
    s.set32(L.FPU_STATUS, status & ~0x3800);
    s.set32(L.FPU_TOP, top);
    s.set32(L.FPU_TAGS, view.getUint8(4));
    for (const field of [L.FPU_OPCODE, L.FPU_CS, L.FPU_DS]) s.set32(field, 0);
    s.set64(L.FPU_IP, 0n);
    s.set64(L.FPU_DP, 0n);
    s.set32(L.MXCSR, view.getUint32(24, true));
    for (let i = 0; i < 8; i++) {
      const to = L.FPU_REGS + ((top + i) & 7) * 16;
      s.u8.set(image.subarray(32 + i * 16, 42 + i * 16), to);
      s.u8.fill(0, to + 10, to + 16);
    }
    s.u8.set(image.subarray(160, 416), L.XMM);
  }

  private storeFx(): Uint8Array {
    const s = this.cpu.state;
    const image = new Uint8Array(512);
    const view = new DataView(image.buffer);
    const top = s.get32(L.FPU_TOP);
    view.setUint16(0, s.get32(L.FPU_CONTROL), true);
    view.setUint16(2, s.get32(L.FPU_STATUS) | (top << 11), true);
    view.setUint8(4, s.get32(L.FPU_TAGS));
    view.setUint32(24, s.get32(L.MXCSR), true);
    for (let i = 0; i < 8; i++) {
      const from = L.FPU_REGS + ((top + i) & 7) * 16;
      image.set(s.u8.subarray(from, from + 10), 32 + i * 16);
    }
    image.set(s.u8.subarray(L.XMM, L.XMM + 256), 160);
    return image;
  }

  // --- real mode --------------------------------------------------------------------------------------------

  /**
   * Run from CS:IP in real mode: until HLT, or one instruction with all iterations of its REP. Registers by name;
   * returns those after it.
   */
  runReal(
    registers: Readonly<Record<RealRegister, number>>,
    memory: readonly (readonly [number, number])[],
    until: 'halt' | 'next' = 'halt',
  ): RealOutcome {
    const { cpu } = this;
    const s = cpu.state;
    if (this.real !== true) {
      cpu.reset();
      cpu.flushTlb(false);
      this.real = true;
    }
    s.set32(L.CR0, CR0_ET);
    s.set32(L.IDTR_LIMIT, 0x3ff);
    s.set64(L.IDTR_BASE, 0n);
    s.set32(L.CPL, 0);
    s.set32(L.SHADOW, 0);
    s.set32(L.HALTED, 0);
    for (const segment of [L.FS, L.GS]) s.setSegment(segment, 0, 0n, 0xffff, 0x93);
    REAL_SEGMENTS.forEach((name, segment) => {
      s.setSegment(segment, registers[name], BigInt(registers[name] * 16), 0xffff, 0x93);
    });
    REAL_GENERAL.forEach((name, n) => {
      s.setReg(n, BigInt(registers[name]));
    });
    s.rip = BigInt(registers.ip);
    s.eflags = registers.flags;
    for (const [address, byte] of memory) cpu.physical.write(address, Uint8Array.of(byte));
    cpu.modeChanged();
    if (until === 'halt') {
      // Whole blocks: a REP that faults leaves the flags as they were before all of its iterations.
      cpu.runUntil(cpu.now + REAL_CYCLES);
      if (!cpu.isHalted) throw new Error('no HLT');
    } else {
      do cpu.step();
      while (s.betweenIterations);
    }
    const after = { ip: Number(s.rip), flags: s.eflags & 0xffff } as Record<RealRegister, number>;
    REAL_SEGMENTS.forEach((name, segment) => {
      after[name] = s.selector(segment);
    });
    REAL_GENERAL.forEach((name, n) => {
      after[name] = Number(s.reg(n));
    });
    return { registers: after, byte: (address) => cpu.physical.read(address, 1)[0]! };
  }

  /** Set bytes back after a real-mode case. */
  clearReal(addresses: Iterable<number>): void {
    for (const address of addresses) this.cpu.physical.write(address, Uint8Array.of(0));
  }
}

export const REAL_GENERAL = ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di'] as const;
export const REAL_SEGMENTS = ['es', 'cs', 'ss', 'ds'] as const;
export type RealRegister = (typeof REAL_GENERAL)[number] | (typeof REAL_SEGMENTS)[number] | 'ip' | 'flags';
export interface RealOutcome {
  readonly registers: Record<RealRegister, number>;
  byte(address: number): number;
}
