// REP MOVS and STOS between memory and a device: a run of items in one access to the bus, where the device allows it
// (Bus.mmioString). As with INS and OUTS a run is as long as registers, segments and paging alone say (stringRun), never
// as long as there is time, so that a replay makes the same runs; it costs what its items would cost alone.
//
// The slow paths ask while the instruction executes alone. A run makes the items but the last, which the handler finishes:
// it finds the registers as they stand before it. Left out: copies from device to device, MOVS without REP, other string
// instructions, items under AC: one by one.

import type { AccessSize, Bus } from './bus.js';
import * as L from './layout.js';
import { type Memory, MMIO_COST } from './linear-memory.js';
import type { Mmu } from './mmu.js';
import { PAGE_ROM, type PhysicalMemory } from './physical.js';
import type { Variant } from './semantics/context.js';
import { AC, type CpuState, Fault, MODE_64BIT } from './state.js';
import { runItems } from './system/ports.js';

/** Items of a run at most: at 4 ns a cycle an interrupt waits 209 µs for it. */
const LONGEST_RUN = 1024;
const RCX = 1;
const RSI = 6;
const RDI = 7;

/** A string operand: its linear address, and the offset in the segment. */
interface Place {
  readonly linear: bigint;
  readonly offset: bigint;
}

export class DeviceStrings {
  constructor(
    private readonly state: CpuState,
    private readonly mmu: Mmu,
    private readonly physical: PhysicalMemory,
    private readonly memory: Memory,
    private readonly seam: { readonly bus: Bus },
    private readonly variantOf: (handler: number) => Variant | undefined,
  ) {}

  /**
   * The store of an iteration goes to a device at `at`: write a run that begins with it.
   * @param item the bytes of the item
   * @returns false when nothing has happened
   */
  write(at: number, item: Uint8Array, uop: number): boolean {
    const variant = this.#repeated(uop);
    if (variant === undefined) return false;
    const bytes = item.length;
    const moves = variant.row.mnemonic.startsWith('MOVS');
    let items = this.#items(this.#destination(variant.asize), bytes, variant.asize, true);
    const source = moves ? this.#source(variant.asize, uop) : undefined;
    if (source) items = Math.min(items, this.#items(source, bytes, variant.asize, false));
    if (items < 2 || !this.#takes(at, bytes, items, true)) return false;
    const data = new Uint8Array(items * bytes);
    if (source) {
      const from = this.#translate(source.linear, false);
      if (this.physical.hostOf(from) === 0) return false;
      this.memory.readPhysical(from, data.length, data, 0);
    } else repeat(item, data);
    this.seam.bus.mmioWriteString(at, width(bytes), data);
    this.#pass(items, bytes, variant.asize, moves);
    return true;
  }

  /**
   * The load of a MOVS' iteration reaches a device at `at`: read a run that begins with it, and store all but its last item.
   * @param into takes the last item
   * @returns false when nothing has happened
   */
  read(at: number, bytes: number, into: Uint8Array, uop: number): boolean {
    const variant = this.#repeated(uop);
    if (!variant?.row.mnemonic.startsWith('MOVS')) return false;
    const { asize } = variant;
    const destination = this.#destination(asize);
    const items = Math.min(
      this.#items(this.#source(asize, uop), bytes, asize, false),
      this.#items(destination, bytes, asize, true),
    );
    if (items < 2 || !this.#takes(at, bytes, items, false)) return false;
    const to = this.#translate(destination.linear, true);
    if (this.physical.hostOf(to) === 0 || (this.physical.flags[to >>> 12]! & PAGE_ROM) !== 0) return false;
    const data = this.seam.bus.mmioReadString(at, width(bytes), (items * bytes) / width(bytes));
    const last = (items - 1) * bytes;
    this.memory.writePhysical(to, data.subarray(0, last));
    into.set(data.subarray(last));
    this.#pass(items, bytes, asize, true);
    return true;
  }

  /** The variant of a REP MOVS or STOS. */
  #repeated(uop: number): Variant | undefined {
    const variant = this.variantOf(this.state.u16[uop >>> 1]!);
    if (variant === undefined || variant.rep === 0 || (this.state.get32(L.EFLAGS) & AC) !== 0) return undefined;
    return /^(MOVS|STOS)B?$/.test(variant.row.mnemonic) ? variant : undefined;
  }

  #offset(register: number, asize: number): bigint {
    return BigInt.asUintN(asize, this.state.reg(register));
  }

  #destination(asize: number): Place {
    const offset = this.#offset(RDI, asize);
    const is64 = (this.state.get32(L.MODE) & MODE_64BIT) !== 0;
    return { offset, linear: is64 ? offset : BigInt.asUintN(32, offset + this.state.base(L.ES)) };
  }

  #source(asize: number, uop: number): Place {
    const offset = this.#offset(RSI, asize);
    const how = this.state.u8[uop + L.UOP_ADDRESS]!;
    const segment = (how >> 2) & 7;
    const is64 = (this.state.get32(L.MODE) & MODE_64BIT) !== 0;
    const flat = (how & 0x80) === 0 || (is64 && segment < L.FS);
    const linear = offset + (flat ? 0n : this.state.base(segment));
    return { offset, linear: BigInt.asUintN(is64 ? 64 : 32, linear) };
  }

  #items({ linear, offset }: Place, bytes: number, asize: number, write: boolean): number {
    return runItems(this.state, linear, offset, this.#offset(RCX, asize), bytes, asize, write, LONGEST_RUN);
  }

  #takes(at: number, bytes: number, items: number, write: boolean): boolean {
    const size = width(bytes);
    return (at & (size - 1)) === 0 && this.seam.bus.mmioString(at, size, (items * bytes) / size, write);
  }

  /** Where an operand lies, as its first item alone would find it; nowhere where that would fault. */
  #translate(linear: bigint, write: boolean): number {
    const user = this.state.get32(L.CPL) === 3;
    try {
      return this.mmu.translate(Number(linear & 0xffff_ffffn), Number(linear >> 32n), write, user, false);
    } catch (fault) {
      if (fault instanceof Fault) return Number.POSITIVE_INFINITY;
      throw fault;
    }
  }

  /** Charge a run, and go to its last item. */
  #pass(items: number, bytes: number, asize: number, moves: boolean): void {
    const s = this.state;
    const before = BigInt(items - 1);
    const accesses = items * (bytes / width(bytes));
    s.i32[L.BUDGET >>> 2]! -= accesses * MMIO_COST + items - 1;
    s.set64(L.INSTRUCTIONS, s.get64(L.INSTRUCTIONS) + before);
    this.#add(RCX, -before, asize);
    this.#add(RDI, before * BigInt(bytes), asize);
    if (moves) this.#add(RSI, before * BigInt(bytes), asize);
  }

  #add(register: number, step: bigint, asize: number): void {
    const s = this.state;
    const value = s.reg(register);
    const sum = BigInt.asUintN(asize, value + step);
    s.setReg(register, asize === 16 ? (value & ~0xffffn) | sum : sum);
  }
}

/** Fill with copies of an item, each time with all that is there already. */
function repeat(item: Uint8Array, into: Uint8Array): void {
  into.set(item);
  for (let done = item.length; done < into.length; done *= 2) into.copyWithin(done, 0, done);
}

/** Width of an item's accesses: one of 8 bytes is made as two. */
const width = (bytes: number): AccessSize => Math.min(bytes, 4) as AccessSize;
