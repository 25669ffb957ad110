// A processor with the MMX and SSE instructions and nothing else: the real decoder, interpreter and slow paths, one
// instruction at a time, in flat 32- or 64-bit code. Pages are mapped one to one by 32-bit paging in both modes.

import type { Bus } from '../../../src/cpu/bus.js';
import { CodeCache } from '../../../src/cpu/code-cache.js';
import type { CpuCore } from '../../../src/cpu/core.js';
import { X86_64_V2 } from '../../../src/cpu/cpuid.js';
import { DECODE_OK, Decoder } from '../../../src/cpu/decode.js';
import { buildInterpreter } from '../../../src/cpu/interp/build.js';
import { EXIT_STEPPED } from '../../../src/cpu/interp/exits.js';
import { HANDLER_STEP_END, HANDLER_UD, VariantTable } from '../../../src/cpu/interp/variants.js';
import { mmxRows } from '../../../src/cpu/isa/mmx.js';
import type { Row } from '../../../src/cpu/isa/row.js';
import { sseRows } from '../../../src/cpu/isa/sse.js';
import { sse2Rows } from '../../../src/cpu/isa/sse2.js';
import { sse3Rows } from '../../../src/cpu/isa/sse3.js';
import { sse4Rows } from '../../../src/cpu/isa/sse4.js';
import { OpcodeTable } from '../../../src/cpu/isa/table.js';
import * as L from '../../../src/cpu/layout.js';
import { Memory } from '../../../src/cpu/linear-memory.js';
import { Mmu } from '../../../src/cpu/mmu.js';
import { PhysicalMemory } from '../../../src/cpu/physical.js';
import { SlowPaths } from '../../../src/cpu/slow-paths.js';
import {
  CpuState,
  MODE_64BIT,
  MODE_CS32,
  MODE_LONG,
  MODE_PAGING,
  MODE_PROTECTED,
  MODE_SS32,
  UD,
} from '../../../src/cpu/state.js';
import { fninit } from '../../../src/cpu/system/fpu-state.js';
import { resetState } from '../../../src/cpu/system/reset.js';

export const simdRows = [...mmxRows, ...sseRows, ...sse2Rows, ...sse3Rows, ...sse4Rows];

/** IP of every instruction, and a page of data below the end of memory: what lies behind it faults. */
export const CODE = 0x10_0000;
export const DATA = 0x20_0000;
const RAM = DATA + 0x1000;
const PAGE_DIRECTORY = 0x1000;
const PAGE_TABLE = 0x2000;
/** CR0 after reset(): PG, NE, ET, MP, PE. */
export const CR0 = 0x8000_0033;

export class SimdMachine {
  readonly state: CpuState;
  readonly ram: Uint8Array;
  private readonly core: CpuCore;
  private readonly slow: SlowPaths;
  private readonly variants = new VariantTable(simdRows);
  private readonly decoder: Decoder;
  private readonly run: (uop: number) => void;
  private bits: 32 | 64 = 64;
  /** Calls of TypeScript operations so far. */
  slowCalls = 0;

  constructor() {
    const pages = PhysicalMemory.wasmPages(RAM, 0);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const s = new CpuState(memory);
    this.state = s;
    this.ram = s.u8.subarray(L.GUEST, L.GUEST + RAM);
    const physical = new PhysicalMemory(s, RAM);
    const mmu = new Mmu(s, physical);
    this.decoder = new Decoder(new OpcodeTable(simdRows, () => true), this.variants);
    const code = new CodeCache(s, physical, mmu, this.decoder, this.variants);
    const linear = new Memory(s, mmu, physical, { bus: {} as Bus });
    this.slow = new SlowPaths(s, mmu, physical, linear, code);
    mmu.flush(false);
    this.core = { state: s, memory: linear, model: X86_64_V2 } as unknown as CpuCore;
    const built = buildInterpreter(this.variants);
    const system: Record<string, (...args: (number | bigint)[]) => unknown> = {};
    for (const [name, operation] of built.operations)
      system[name] = (...args) => {
        this.slowCalls++;
        try {
          return operation(this.core, ...args);
        } catch (fault) {
          this.slow.setFault(fault);
          return 0;
        }
      };
    const { slow } = this;
    const instance = new WebAssembly.Instance(new WebAssembly.Module(built.bytes), {
      env: { memory },
      slow: {
        read: (lo: number, hi: number, access: number, uop: number) => slow.read(lo, hi, access, uop),
        write: (lo: number, hi: number, access: number, uop: number) => slow.write(lo, hi, access, uop),
        modify: (lo: number, hi: number, access: number, uop: number) => slow.modify(lo, hi, access, uop),
        commit: () => slow.commit(),
        segmentFault: (uop: number, stack: number) => slow.segmentFault(uop, stack),
      },
      system,
    });
    this.run = instance.exports.run;
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
    this.ram.set(code, CODE);
    this.decoder.decode(this.ram, CODE, RAM, { bits: this.bits, flat: 15 }, 0, false);
    return this.decoder.out.row;
  }

  /** Execute one instruction; the vector of the exception it raised, or undefined. */
  step(code: ArrayLike<number>): number | undefined {
    const s = this.state;
    this.ram.set(code, CODE);
    const o = this.decoder.out;
    if (this.decoder.decode(this.ram, CODE, RAM, { bits: this.bits, flat: 15 }, 0, false) !== DECODE_OK)
      throw new Error('the test gave an incomplete instruction');
    if (o.handler === HANDLER_UD) return UD;
    const at = L.STEP_UOPS;
    s.u16[at >>> 1] = o.handler;
    s.u16[(at + L.UOP_WHERE) >>> 1] = o.length << 12;
    s.u8[at + L.UOP_REG] = o.reg;
    s.u8[at + L.UOP_BASE] = o.base;
    s.u8[at + L.UOP_INDEX] = o.index;
    s.u8[at + L.UOP_ADDRESS] = o.address;
    s.i32[(at + L.UOP_DISP) >>> 2] = o.disp;
    s.i32[(at + L.UOP_IMM) >>> 2] = o.imm;
    s.u16[(at + L.UOP_SIZE) >>> 1] = HANDLER_STEP_END;
    s.u16[(at + L.UOP_SIZE + L.UOP_WHERE) >>> 1] = o.length << 12;
    s.set64(L.PAGE_IP, BigInt(CODE));
    s.set32(L.ABORT, 0);
    // Instructions that end their block look the next one up: leave at once.
    s.set32(L.EXIT_REQUEST, 1);
    this.run(at);
    if (s.get32(L.ABORT) !== 0) {
      s.set32(L.ABORT, 0);
      const vector = this.slow.fault?.vector ?? s.get32(L.FAULT_VECTOR);
      this.slow.fault = undefined;
      return vector;
    }
    if (s.get32(L.EXIT_REASON) === EXIT_STEPPED && s.rip !== BigInt(CODE + o.length)) throw new Error('wrong RIP');
    return undefined;
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
