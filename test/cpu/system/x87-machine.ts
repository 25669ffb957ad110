// A processor with x87 instructions and nothing else, for testing rows, bodies and operations together: the real
// decoder, interpreter and slow paths in flat 32-bit protected mode without paging, one instruction at a time.

import type { Bus } from '../../../src/cpu/bus.js';
import { CodeCache } from '../../../src/cpu/code-cache.js';
import type { CpuCore } from '../../../src/cpu/core.js';
import { QEMU64_V1 } from '../../../src/cpu/cpuid.js';
import { DECODE_OK, Decoder } from '../../../src/cpu/decode.js';
import { buildInterpreter } from '../../../src/cpu/interp/build.js';
import { EXIT_STEPPED } from '../../../src/cpu/interp/exits.js';
import { HANDLER_STEP_END, HANDLER_UD, VariantTable } from '../../../src/cpu/interp/variants.js';
import { OpcodeTable } from '../../../src/cpu/isa/table.js';
import { x87Rows } from '../../../src/cpu/isa/x87.js';
import * as L from '../../../src/cpu/layout.js';
import { Memory } from '../../../src/cpu/linear-memory.js';
import { Mmu } from '../../../src/cpu/mmu.js';
import { PhysicalMemory } from '../../../src/cpu/physical.js';
import { SlowPaths } from '../../../src/cpu/slow-paths.js';
import { CpuState, MODE_CS32, MODE_PROTECTED, MODE_SS32, UD } from '../../../src/cpu/state.js';
import { fninit } from '../../../src/cpu/system/fpu-state.js';
import { resetState } from '../../../src/cpu/system/reset.js';

const RAM = 0x1_0000;
/** IP of every instruction. */
export const CODE = 0x1000;
/** What EBX holds unless a test changes it. */
export const DATA = 0x2100;
export const DS_SELECTOR = 0x2b;
export const CS_SELECTOR = 0x23;
const EBX = 3;

export class X87Machine {
  readonly state: CpuState;
  readonly ram: Uint8Array;
  private readonly core: CpuCore;
  private readonly slow: SlowPaths;
  private readonly mmu: Mmu;
  private readonly variants = new VariantTable(x87Rows);
  private readonly decoder: Decoder;
  private readonly run: (uop: number) => void;

  constructor() {
    const pages = PhysicalMemory.wasmPages(RAM, 0);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const s = new CpuState(memory);
    this.state = s;
    this.ram = s.u8.subarray(L.GUEST, L.GUEST + RAM);
    const physical = new PhysicalMemory(s, RAM);
    const mmu = new Mmu(s, physical);
    this.mmu = mmu;
    this.decoder = new Decoder(new OpcodeTable(x87Rows, (f) => QEMU64_V1.has(f as never)), this.variants);
    const code = new CodeCache(s, physical, mmu, this.decoder, this.variants);
    const linear = new Memory(s, mmu, physical, { bus: {} as Bus });
    this.slow = new SlowPaths(s, mmu, physical, linear, code);
    mmu.flush(false);
    this.core = { state: s, memory: linear, model: QEMU64_V1 } as unknown as CpuCore;
    const built = buildInterpreter(this.variants);
    const system: Record<string, (...args: (number | bigint)[]) => unknown> = {};
    for (const [name, operation] of built.operations)
      system[name] = (...args) => {
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

  /** Drop cached translations, after paging changed. */
  flush(): void {
    this.mmu.flush(false);
  }

  /** Execute one instruction; the vector of the exception it raised, or undefined. */
  step(...code: number[]): number | undefined {
    const s = this.state;
    this.ram.set(code, CODE);
    const o = this.decoder.out;
    if (this.decoder.decode(this.ram, CODE, RAM, { bits: 32, flat: 15 }, 0, false) !== DECODE_OK)
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
      this.slow.fault = undefined;
      return s.get32(L.FAULT_VECTOR);
    }
    if (s.get32(L.EXIT_REASON) === EXIT_STEPPED && s.rip !== BigInt(CODE + o.length)) throw new Error('wrong RIP');
    return undefined;
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
