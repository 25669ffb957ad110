// A processor with some of the opcode rows and nothing around it: the real decoder, interpreter and slow paths, one
// instruction at a time at one place, in flat 32- or 64-bit code without a run loop. What state the machine is in is
// its user's affair; faults are returned instead of delivered. Left out: events, interrupts, devices.

import type { Bus } from '../../src/cpu/bus.js';
import { CodeCache } from '../../src/cpu/code-cache.js';
import type { CpuCore } from '../../src/cpu/core.js';
import type { CpuModel, Feature } from '../../src/cpu/cpuid.js';
import { DECODE_OK, type Decoded, Decoder } from '../../src/cpu/decode.js';
import { DeviceStrings } from '../../src/cpu/device-strings.js';
import { buildInterpreter } from '../../src/cpu/interp/build.js';
import { EXIT_STEPPED } from '../../src/cpu/interp/exits.js';
import { givesI64 } from '../../src/cpu/interp/operations.js';
import { HANDLER_STEP_END, HANDLER_UD, VariantTable } from '../../src/cpu/interp/variants.js';
import type { Row } from '../../src/cpu/isa/row.js';
import { OpcodeTable } from '../../src/cpu/isa/table.js';
import * as L from '../../src/cpu/layout.js';
import { Memory } from '../../src/cpu/linear-memory.js';
import { Mmu } from '../../src/cpu/mmu.js';
import { PhysicalMemory } from '../../src/cpu/physical.js';
import { SlowPaths } from '../../src/cpu/slow-paths.js';
import { CpuState, UD } from '../../src/cpu/state.js';

export interface BareMachineOptions {
  readonly rows: readonly Row[];
  readonly model: CpuModel;
  /** Features whose rows decode; the model's when absent. */
  readonly has?: (feature: Feature) => boolean;
  /** Bytes of RAM. */
  readonly ram: number;
  /** IP and physical address of every instruction. */
  readonly code: number;
}

export class BareMachine {
  readonly state: CpuState;
  readonly ram: Uint8Array;
  /** Calls of TypeScript operations so far. */
  slowCalls = 0;
  protected readonly core: CpuCore;
  readonly physical: PhysicalMemory;
  protected readonly slow: SlowPaths;
  protected readonly mmu: Mmu;
  private readonly decoder: Decoder;
  private readonly run: (uop: number) => void;

  constructor(private readonly options: BareMachineOptions) {
    const { rows, model, has = (feature: Feature) => model.has(feature) } = options;
    const pages = L.wasmPages(options.ram, 0);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const s = new CpuState(memory);
    this.state = s;
    this.ram = s.u8.subarray(L.GUEST, L.GUEST + options.ram);
    const physical = new PhysicalMemory(s, options.ram);
    this.physical = physical;
    this.mmu = new Mmu(s, physical);
    const variants = new VariantTable(rows);
    this.decoder = new Decoder(new OpcodeTable(rows, (feature) => has(feature as Feature)), variants);
    const code = new CodeCache(s, physical, this.mmu, this.decoder, variants);
    const seam = { bus: {} as Bus };
    const linear = new Memory(s, this.mmu, physical, seam);
    const strings = new DeviceStrings(s, this.mmu, physical, linear, seam, (handler) => variants.variantOf(handler));
    const slow = new SlowPaths(s, this.mmu, physical, linear, code, strings);
    this.slow = slow;
    this.mmu.flush(false);
    this.core = { state: s, memory: linear, model } as unknown as CpuCore;
    const built = buildInterpreter(variants);
    const system: Record<string, (...args: (number | bigint)[]) => unknown> = {};
    built.operations.imports.forEach((made, n) => {
      const operation = built.operations.operation(n);
      system[made.name] = (...args) => {
        this.slowCalls++;
        try {
          return operation(this.core, ...args);
        } catch (fault) {
          slow.setFault(fault);
          return givesI64(made) ? 0n : 0;
        }
      };
    });
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
  }

  /** Drop cached translations, after paging changed. */
  flush(): void {
    this.mmu.flush(false);
  }

  /** What the bytes decode to; the object is reused. @throws Error when they are no whole instruction */
  protected decode(code: ArrayLike<number>, bits: 32 | 64): Decoded {
    this.ram.set(code, this.options.code);
    const mode = { bits, flat: 15 };
    if (this.decoder.decode(this.ram, this.options.code, this.options.ram, mode, 0, false) !== DECODE_OK)
      throw new Error('the test gave an incomplete instruction');
    return this.decoder.out;
  }

  /** Execute one instruction; the vector of the exception it raised, or undefined. */
  protected execute(code: ArrayLike<number>, bits: 32 | 64): number | undefined {
    const s = this.state;
    const o = this.decode(code, bits);
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
    s.set64(L.PAGE_IP, BigInt(this.options.code));
    s.set32(L.ABORT, 0);
    // Instructions that end their block look the next one up: leave at once.
    s.set32(L.EXIT_REQUEST, 1);
    this.run(at);
    if (s.get32(L.ABORT) !== 0) {
      s.set32(L.ABORT, 0);
      this.slow.fault = undefined;
      return s.get32(L.FAULT_VECTOR);
    }
    const next = BigInt(this.options.code + o.length);
    if (s.get32(L.EXIT_REASON) === EXIT_STEPPED && s.rip !== next) throw new Error('wrong RIP');
    return undefined;
  }
}
