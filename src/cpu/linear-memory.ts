// Memory as the slow paths and TypeScript semantics reach it: any address, any length, page crossings, MMIO. What the
// data TLB of the access' privilege holds needs no walk; a walk fills it, as one of emitted code does.
//
// Physical accesses outside RAM and ROM go to the bus in naturally aligned pieces of at most 4 bytes, low part
// first. An MMIO access costs extra cycles and is made only while stepping, at an exact cycle; the slow paths see
// to that, TypeScript semantics end their blocks. Writes to several pages are checked on all before any byte moves.

import type { Bus } from './bus.js';
import type { LinearMemory, Privilege } from './core.js';
import * as L from './layout.js';
import type { Mmu } from './mmu.js';
import { peekTranslation } from './peek.js';
import { PAGE_CODE, PAGE_DIRTY, PAGE_PARTIAL, PAGE_ROM, PAGE_SPLIT, type PhysicalMemory } from './physical.js';
import { AC, ACV, type CpuState, CR0_AM, CR4_SMAP, Fault, GP, MODE_LONG } from './state.js';

/** A physical address without memory. */
const NOWHERE = 0x1_0000_0000;
/** Extra cycles of an MMIO access. */
export const MMIO_COST = 50;

export class Memory implements LinearMemory {
  private readonly scratch = new Uint8Array(16);
  private readonly scratchView = new DataView(this.scratch.buffer);
  /** A linear address, cut to 64 bits; and its halves. */
  private readonly linear = new BigUint64Array(1);
  private readonly halves = new Uint32Array(this.linear.buffer);

  constructor(
    private readonly state: CpuState,
    private readonly mmu: Mmu,
    private readonly physical: PhysicalMemory,
    private readonly seam: { readonly bus: Bus },
  ) {}

  private isUser(privilege: Privilege): boolean {
    return privilege === 'user' || (privilege === 'current' && this.state.get32(L.CPL) === 3);
  }

  /** Put a linear address, wrapped to the mode, into `halves`; #GP when it is not canonical in long mode. */
  private split(linear: bigint): void {
    this.linear[0] = linear;
    if ((this.state.get32(L.MODE) & MODE_LONG) === 0) this.halves[1] = 0;
    else if (!isCanonical(this.halves[1]!)) throw new Fault(GP, 0);
  }

  /** The data TLB that serves accesses of this privilege now. */
  private tlbOf(privilege: Privilege): number {
    const s = this.state;
    if (privilege === 'current') return s.get32(L.DATA_TLB);
    if (privilege === 'user') return L.DATA_TLB_USER;
    // The processor's own accesses are never exempt from SMAP.
    return (s.get32(L.CR4) & CR4_SMAP) === 0 ? L.DATA_TLB_OPEN : L.DATA_TLB_SUPERVISOR;
  }

  /**
   * Where `length` bytes lie in linear memory; 0 where there is more to it than copying them: no translation at hand, a
   * device, a page's end, decoded code, content that nobody has seen.
   */
  private hostOf(lo: number, hi: number, length: number, write: boolean, privilege: Privilege): number {
    if ((lo & 0xfff) + length > 4096) return 0;
    const { u32 } = this.state;
    const at = (this.tlbOf(privilege) + ((lo >>> 12) & (L.TLB_ENTRIES - 1)) * L.TLB_ENTRY_SIZE) >>> 2;
    const tag = write ? at + (L.TLB_WRITE >>> 2) : at;
    if (u32[tag] !== (lo & ~0xfff) >>> 0 || u32[tag + 1] !== hi) return 0;
    return (u32[at + (L.TLB_ADDEND >>> 2)]! + lo) >>> 0;
  }

  /** Read `length` (≤ 4096) bytes at a linear address. */
  readLinear(lo: number, hi: number, length: number, user: boolean, explicit: boolean, into: Uint8Array): void {
    const first = Math.min(length, 4096 - (lo & 0xfff));
    const a = this.mmu.translate(lo, hi, false, user, false, explicit);
    let b = 0;
    if (first < length) b = this.translateAfter(lo, hi, first, false, user, explicit);
    this.readPhysical(a, first, into, 0);
    if (first < length) this.readPhysical(b, length - first, into, first);
  }

  private translateAfter(
    lo: number,
    hi: number,
    bytes: number,
    write: boolean,
    user: boolean,
    explicit: boolean,
  ): number {
    const next = lo + bytes;
    const carries = next > 0xffff_ffff && (this.state.get32(L.MODE) & MODE_LONG) !== 0;
    if (carries && !isCanonical(hi + 1)) throw new Fault(GP, 0);
    return this.mmu.translate(next >>> 0, carries ? (hi + 1) >>> 0 : hi, write, user, false, explicit);
  }

  /** Check that `length` bytes can be written, without writing. Returns the physical addresses of both parts. */
  prepareWrite(lo: number, hi: number, length: number, user: boolean, explicit: boolean): [number, number] {
    const first = Math.min(length, 4096 - (lo & 0xfff));
    const a = this.mmu.translate(lo, hi, true, user, false, explicit);
    const b = first < length ? this.translateAfter(lo, hi, first, true, user, explicit) : 0;
    return [a, b];
  }

  writeLinear(lo: number, hi: number, data: Uint8Array, length: number, user: boolean, explicit: boolean): void {
    const [a, b] = this.prepareWrite(lo, hi, length, user, explicit);
    const first = Math.min(length, 4096 - (lo & 0xfff));
    this.writePhysical(a, data.length === first ? data : data.subarray(0, first));
    if (first < length) this.writePhysical(b, data.subarray(first, length));
  }

  readPhysical(address: number, length: number, into: Uint8Array, at: number): void {
    const host = this.physical.hostOf(address);
    if (host !== 0) {
      this.physical.noteRead(address >>> 12, address & 0xfff, length);
      const { u8 } = this.state;
      for (let i = 0; i < length; i++) into[at + i] = u8[host + i]!;
      return;
    }
    for (let i = 0; i < length; ) {
      const size = piece(address + i, length - i);
      this.charge();
      const v = this.seam.bus.mmioRead(address + i, size);
      for (let k = 0; k < size; k++) into[at + i + k] = v >>> (8 * k);
      i += size;
    }
  }

  writePhysical(address: number, data: Uint8Array): void {
    const host = this.physical.hostOf(address);
    if (host !== 0) {
      const page = address >>> 12;
      const flags = this.physical.flags[page]!;
      if (flags & PAGE_ROM) {
        if (flags & PAGE_SPLIT) this.physical.writeBehind(address, data);
        return;
      }
      if (flags & PAGE_CODE) this.physical.onCodeWrite(page, address & 0xfff, data.length);
      if (flags & PAGE_PARTIAL) this.physical.observed.write(page, address & 0xfff, data.length);
      this.physical.flags[page] = this.physical.flags[page]! | PAGE_DIRTY;
      const { u8 } = this.state;
      for (let i = 0; i < data.length; i++) u8[host + i] = data[i]!;
      return;
    }
    for (let i = 0; i < data.length; ) {
      const size = piece(address + i, data.length - i);
      let v = 0;
      for (let k = 0; k < size; k++) v |= data[i + k]! << (8 * k);
      this.charge();
      this.seam.bus.mmioWrite(address + i, size, v >>> 0);
      i += size;
    }
  }

  private charge(): void {
    this.state.i32[L.BUDGET >>> 2]! -= MMIO_COST;
  }

  // --- LinearMemory -----------------------------------------------------------------------------------------

  /** #AC(0) when CR0.AM, EFLAGS.AC and CPL 3 ask for it (SDM vol. 3A, 6.15, interrupt 17). */
  private checkAlignment(lo: number, alignment: number, privilege: Privilege): void {
    if ((lo & (alignment - 1)) === 0 || privilege !== 'current') return;
    const s = this.state;
    if (s.get32(L.CPL) === 3 && (s.get32(L.EFLAGS) & AC) !== 0 && (s.get32(L.CR0) & CR0_AM) !== 0)
      throw new Fault(ACV, 0);
  }

  plainAt(lo: number, hi: number, length: number, write: boolean, privilege: Privilege): number {
    return (lo & 3) === 0 ? this.hostOf(lo, hi, length, write, privilege) : 0;
  }

  /** As hostOf, for a naturally aligned access of 4 or 8 bytes: most of what the processor reads and writes by itself. */
  private plainHostOf(linear: bigint, length: 4 | 8, write: boolean, privilege: Privilege): number {
    this.split(linear);
    const lo = this.halves[0]!;
    return (lo & (length - 1)) === 0 ? this.hostOf(lo, this.halves[1]!, length, write, privilege) : 0;
  }

  private get(linear: bigint, length: number, privilege: Privilege): DataView {
    this.split(linear);
    const [lo, hi] = [this.halves[0]!, this.halves[1]!];
    this.checkAlignment(lo, length, privilege);
    const host = this.hostOf(lo, hi, length, false, privilege);
    if (host !== 0) for (let i = 0; i < length; i++) this.scratch[i] = this.state.u8[host + i]!;
    else {
      this.readLinear(lo, hi, length, this.isUser(privilege), privilege === 'current', this.scratch);
      if ((lo & 0xfff) + length <= 4096) this.mmu.install(lo, hi, this.tlbOf(privilege));
    }
    return this.scratchView;
  }
  private put(linear: bigint, length: number, privilege: Privilege): void {
    this.split(linear);
    const [lo, hi] = [this.halves[0]!, this.halves[1]!];
    this.checkAlignment(lo, length, privilege);
    const host = this.hostOf(lo, hi, length, true, privilege);
    if (host !== 0) for (let i = 0; i < length; i++) this.state.u8[host + i] = this.scratch[i]!;
    else {
      this.writeLinear(lo, hi, this.scratch, length, this.isUser(privilege), privilege === 'current');
      if ((lo & 0xfff) + length <= 4096) this.mmu.install(lo, hi, this.tlbOf(privilege));
    }
  }

  read8(linear: bigint, privilege: Privilege = 'current'): number {
    return this.get(linear, 1, privilege).getUint8(0);
  }
  read16(linear: bigint, privilege: Privilege = 'current'): number {
    return this.get(linear, 2, privilege).getUint16(0, true);
  }
  read32(linear: bigint, privilege: Privilege = 'current'): number {
    const host = this.plainHostOf(linear, 4, false, privilege);
    return host !== 0 ? this.state.u32[host >>> 2]! : this.get(linear, 4, privilege).getUint32(0, true);
  }
  read64(linear: bigint, privilege: Privilege = 'current'): bigint {
    const host = this.plainHostOf(linear, 8, false, privilege);
    return host !== 0 ? this.state.big[host >>> 3]! : this.get(linear, 8, privilege).getBigUint64(0, true);
  }
  write8(linear: bigint, value: number, privilege: Privilege = 'current'): void {
    this.scratchView.setUint8(0, value);
    this.put(linear, 1, privilege);
  }
  write16(linear: bigint, value: number, privilege: Privilege = 'current'): void {
    this.scratchView.setUint16(0, value, true);
    this.put(linear, 2, privilege);
  }
  write32(linear: bigint, value: number, privilege: Privilege = 'current'): void {
    const host = this.plainHostOf(linear, 4, true, privilege);
    if (host !== 0) {
      this.state.u32[host >>> 2] = value;
      return;
    }
    this.scratchView.setUint32(0, value, true);
    this.put(linear, 4, privilege);
  }
  write64(linear: bigint, value: bigint, privilege: Privilege = 'current'): void {
    const host = this.plainHostOf(linear, 8, true, privilege);
    if (host !== 0) {
      this.state.big[host >>> 3] = value;
      return;
    }
    this.scratchView.setBigUint64(0, BigInt.asUintN(64, value), true);
    this.put(linear, 8, privilege);
  }
  readBytes(linear: bigint, length: number, privilege: Privilege = 'current', alignment = 1): Uint8Array {
    this.checkAlignment(Number(linear & 15n), alignment, privilege);
    const out = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const n = Math.min(length - done, 4096);
      this.split(linear + BigInt(done));
      this.readLinear(
        this.halves[0]!,
        this.halves[1]!,
        n,
        this.isUser(privilege),
        privilege === 'current',
        done === 0 ? out : out.subarray(done),
      );
      done += n;
    }
    return out;
  }
  writeBytes(linear: bigint, data: Uint8Array, privilege: Privilege = 'current', alignment = 1): void {
    this.split(linear);
    const [lo, hi] = [this.halves[0]!, this.halves[1]!];
    this.checkAlignment(lo, alignment, privilege);
    if (data.length > 4096) throw new Error('writeBytes takes at most one page');
    this.writeLinear(lo, hi, data, data.length, this.isUser(privilege), privilege === 'current');
  }
  copyTracked(from: bigint, to: bigint, bytes: number, items: number, left: number, down: boolean): number {
    const { state: s, physical } = this;
    const { flags } = physical;
    if (s.get32(L.DATA_TLB) === L.DATA_TLB_NONE || physical.a20Mask !== 0xffff_ffff) return 0;
    if ((s.get32(L.MODE) & MODE_LONG) !== 0 && !(isCanonical64(from) && isCanonical64(to))) return 0;
    this.split(from);
    const [fromLo, fromHi] = [this.halves[0]!, this.halves[1]!];
    this.split(to);
    const [toLo, toHi] = [this.halves[0]!, this.halves[1]!];
    const tables: number[] = [];
    const visit = (entry: number) => tables.push(Math.floor(entry / 4096));
    const a = peekTranslation(s, physical, from, visit) ?? NOWHERE;
    const b = peekTranslation(s, physical, to, visit) ?? NOWHERE;
    if (physical.hostOf(a) === 0 || physical.hostOf(b) === 0) return 0;
    const [fromPage, page] = [a >>> 12, b >>> 12];
    if ((flags[page]! & (PAGE_ROM | PAGE_CODE)) !== 0 || (flags[fromPage]! & PAGE_PARTIAL) === 0) return 0;
    // Walks are counted where tables are partial, and change when they are copied to: such runs are left to the items.
    if (tables.some((table) => table === page || table >= 0x10_0000 || (flags[table]! & PAGE_PARTIAL) !== 0)) return 0;
    if (page === fromPage) return 0;
    const user = s.get32(L.CPL) === 3;
    // All items translate as the first one: a fault is its fault, and accessed and dirty bits are set once.
    this.mmu.translate(fromLo, fromHi, false, user, false);
    this.mmu.translate(toLo, toHi, true, user, false);
    const [seen, written] = physical.copyItems(a, b, down ? -bytes : bytes, items, left);
    // Single items would have left TLB entries.
    if (seen) {
      this.mmu.translate(fromLo, fromHi, false, user, false);
      this.mmu.install(fromLo, fromHi, s.get32(L.DATA_TLB));
    }
    if (written) {
      this.mmu.translate(toLo, toHi, true, user, false);
      this.mmu.install(toLo, toHi, s.get32(L.DATA_TLB));
    }
    return items;
  }
  probe(linear: bigint, length: number, write: boolean, privilege: Privilege = 'current', alignment = 1): boolean {
    this.split(linear);
    const [lo, hi] = [this.halves[0]!, this.halves[1]!];
    this.checkAlignment(lo, alignment, privilege);
    const user = this.isUser(privilege);
    const explicit = privilege === 'current';
    let physical: number;
    if (write) physical = this.prepareWrite(lo, hi, length, user, explicit)[0];
    else {
      physical = this.mmu.translate(lo, hi, false, user, false, explicit);
      const first = 4096 - (lo & 0xfff);
      if (first < length) this.translateAfter(lo, hi, first, false, user, explicit);
    }
    return this.physical.hostOf(physical) !== 0;
  }
}

/** Largest naturally aligned piece of an access: 1, 2 or 4 bytes. */
function piece(address: number, left: number): 1 | 2 | 4 {
  if (left >= 4 && (address & 3) === 0) return 4;
  if (left >= 2 && (address & 1) === 0) return 2;
  // QEMU hands an unaligned access to the device whole where it fits; guests of real machines do not make them.
  return 1;
}

const isCanonical64 = (v: bigint): boolean => BigInt.asIntN(48, v) === BigInt.asIntN(64, v);

/** True when bits 63:47 of a linear address, given by its high half, are all equal (48-bit addresses). */
export function isCanonical(hi: number): boolean {
  const top = hi >> 15;
  return top === 0 || top === -1;
}
