// What wasm calls when the TLB fast path misses. Each either moves the data through SCRATCH or sets ABORT: to a
// fault, or to "do this instruction alone" when the access reaches a device or decoded code in the middle of a block.
// Order of checks: canonical form, alignment (#AC), translation and rights. Invariant: an access that is to be done
// alone has had no effect but accessed and dirty bits, which it sets again.
//
// A string copy may carry bytes from place to place that nobody has observed. Its load then leaves them unobserved and
// puts the empty TLB in force, so that the store comes here too, whatever else happens in between.

import type { CodeCache } from './code-cache.js';
import type { DeviceStrings } from './device-strings.js';
import * as L from './layout.js';
import { isCanonical, type Memory } from './linear-memory.js';
import type { Mmu } from './mmu.js';
import { PAGE_CODE, PAGE_PARTIAL, type PhysicalMemory } from './physical.js';
import { ABORT_FAULT, ABORT_REDO, ACCESS_COPY, ACCESS_STACK } from './semantics/context.js';
import { AC, ACV, type CpuState, CR0_AM, Fault, GP, MODE_64BIT, MODE_LONG, SSV, WIDE_ZERO } from './state.js';

const RCX = 1;

export class SlowPaths {
  private readonly buffer: Uint8Array;
  /** Its first n bytes: a view costs more than what is done with it. */
  private readonly first: readonly Uint8Array[];
  /** Read-modify-write that was redirected to SCRATCH: the address that commit() stores to. */
  private modifyLo = WIDE_ZERO;
  private modifyHi = WIDE_ZERO;
  private modifyBytes = 0;
  /** Physical address of what the load of a string copy left unobserved, −1 = nothing; and the TLB in force before. */
  private copiedFrom = WIDE_ZERO;
  private copyTlb = 0;
  /** Linear and physical address of the access to a device that is about to be made alone; −1 = none is. */
  private redoAt = WIDE_ZERO;
  private redoLo = WIDE_ZERO;
  private redoHi = WIDE_ZERO;
  private redoWrite = false;
  /** The fault behind ABORT, when it was raised in TypeScript. */
  fault: Fault | undefined;
  /** Called for every data access while data breakpoints are armed. */
  onAccess: ((lo: number, hi: number, bytes: number, write: boolean) => void) | undefined;

  constructor(
    private readonly state: CpuState,
    private readonly mmu: Mmu,
    private readonly physical: PhysicalMemory,
    private readonly memory: Memory,
    private readonly code: CodeCache,
    private readonly strings: DeviceStrings,
  ) {
    this.buffer = state.u8.subarray(L.SCRATCH, L.SCRATCH + 16);
    this.copiedFrom = -1;
    this.redoAt = -1;
    this.first = Array.from({ length: 17 }, (_, n) => this.buffer.subarray(0, n));
  }

  /** Between load and store of a string copy: put the TLB back. Returns where the copy came from, or −1. */
  private endCopy(): number {
    const from = this.copiedFrom;
    if (from >= 0) {
      this.copiedFrom = -1;
      this.state.set32(L.DATA_TLB, this.copyTlb);
    }
    return from;
  }

  /** Record a fault for the run loop. */
  setFault(fault: unknown): void {
    this.endCopy();
    if (!(fault instanceof Fault)) throw fault;
    const s = this.state;
    s.set32(L.ABORT, ABORT_FAULT);
    s.set32(L.FAULT_VECTOR, fault.vector);
    this.fault = fault;
  }

  private stackFault(access: number, uop: number): boolean {
    if (access & ACCESS_STACK) return true;
    return ((this.state.u8[uop + L.UOP_ADDRESS]! >> 2) & 7) === L.SS;
  }

  /** Checks that apply before translation. True when the access may go on. */
  private check(lo: number, hi: number, access: number, uop: number): boolean {
    const s = this.state;
    const mode = s.get32(L.MODE);
    // The last byte counts too: only an access over a multiple of 4 GiB has another upper half there.
    const carries = lo + (access & 0xff) > 0x1_0000_0000;
    if ((mode & MODE_64BIT) !== 0 && !(isCanonical(hi) && (!carries || isCanonical(hi + 1)))) {
      this.setFault(new Fault(this.stackFault(access, uop) ? SSV : GP, 0));
      return false;
    }
    if (s.get32(L.CPL) === 3 && (s.get32(L.EFLAGS) & AC) !== 0 && (s.get32(L.CR0) & CR0_AM) !== 0) {
      const bytes = access & 0xff;
      if ((lo & (bytes - 1)) !== 0) {
        this.setFault(new Fault(ACV, 0));
        return false;
      }
    }
    return true;
  }

  private redo(): void {
    this.state.set32(L.ABORT, ABORT_REDO);
  }

  /** As Mmu.walkTo; when an access is made again, alone, it need not walk again. */
  private walkTo(lo: number, hi: number, write: boolean, user: boolean): number {
    const { redoAt } = this;
    if (redoAt >= 0) {
      this.redoAt = -1;
      if (lo === this.redoLo && hi === this.redoHi && write === this.redoWrite && this.stepping) {
        this.mmu.walk.counted = false;
        return redoAt;
      }
    }
    return this.mmu.walkTo(lo, hi, write, user, false, true);
  }
  /** A device is to be accessed alone. A walk whose reads are counted is made as often as ever. */
  private redoDevice(at: number, lo: number, hi: number, write: boolean): void {
    this.redo();
    if (this.mmu.walk.counted) return;
    this.redoAt = at;
    this.redoLo = lo;
    this.redoHi = hi;
    this.redoWrite = write;
  }
  /** The instruction that was to be executed again is over. */
  endRedo(): void {
    this.redoAt = -1;
  }

  private get stepping(): boolean {
    return this.state.get32(L.STEPPING) !== 0;
  }

  read(lo: number, hi: number, access: number, uop: number): void {
    const s = this.state;
    const bytes = access & 0xff;
    s.set32(L.ABORT_UOP, uop);
    lo >>>= 0;
    hi >>>= 0;
    try {
      if (!this.check(lo, hi, access, uop)) return;
      const user = s.get32(L.CPL) === 3;
      if ((lo & 0xfff) + bytes <= 4096) {
        const at = this.walkTo(lo, hi, false, user);
        if (at < 0) {
          this.setFault(this.mmu.pageFault());
          return;
        }
        const host = this.physical.hostOf(at);
        if (host !== 0) {
          this.onAccess?.(lo, hi, bytes, false);
          if ((access & ACCESS_COPY) !== 0 && this.physical.isUnknown(at, bytes)) {
            s.u8.copyWithin(L.SCRATCH, host, host + bytes);
            this.copiedFrom = at;
            this.copyTlb = s.get32(L.DATA_TLB);
            s.set32(L.DATA_TLB, L.DATA_TLB_NONE);
            return;
          }
          this.physical.noteRead(at >>> 12, at & 0xfff, bytes);
          this.mmu.install(lo, hi, s.get32(L.DATA_TLB));
          s.u8.copyWithin(L.SCRATCH, host, host + bytes);
          return;
        }
        if (!this.stepping) {
          this.redoDevice(at, lo, hi, false);
          return;
        }
        if ((access & ACCESS_COPY) !== 0 && this.strings.read(at, bytes, this.buffer, uop)) return;
        if (!this.mmu.walk.counted) {
          this.onAccess?.(lo, hi, bytes, false);
          this.memory.readPhysical(at, bytes, this.buffer, 0);
          return;
        }
      } else if (!this.stepping && this.reachesDevice(lo, hi, bytes, false, user)) {
        this.redo();
        return;
      }
      this.onAccess?.(lo, hi, bytes, false);
      this.memory.readLinear(lo, hi, bytes, user, true, this.buffer);
    } catch (fault) {
      this.setFault(fault);
    }
  }

  /** For accesses that cross a page: does either part need to be made alone? Translates (and may fault). */
  private reachesDevice(lo: number, hi: number, bytes: number, write: boolean, user: boolean): boolean {
    const first = 4096 - (lo & 0xfff);
    const a = this.mmu.translate(lo, hi, write, user, false);
    const wide = (this.state.get32(L.MODE) & MODE_LONG) !== 0;
    const next = lo + first;
    const b = this.mmu.translate(next >>> 0, next > 0xffff_ffff && wide ? (hi + 1) >>> 0 : hi, write, user, false);
    return this.alone(a, first, write) || this.alone(b, bytes - first, write);
  }

  private alone(address: number, bytes: number, write: boolean): boolean {
    if (this.physical.hostOf(address) === 0) return true;
    const page = address >>> 12;
    return write && (this.physical.flags[page]! & PAGE_CODE) !== 0 && this.code.overlaps(page, address & 0xfff, bytes);
  }

  write(lo: number, hi: number, access: number, uop: number): void {
    const s = this.state;
    const bytes = access & 0xff;
    const copied = this.endCopy();
    s.set32(L.ABORT_UOP, uop);
    lo >>>= 0;
    hi >>>= 0;
    try {
      if (!this.check(lo, hi, access, uop)) return;
      const user = s.get32(L.CPL) === 3;
      if ((lo & 0xfff) + bytes <= 4096) {
        const at = this.walkTo(lo, hi, true, user);
        if (at < 0) {
          this.setFault(this.mmu.pageFault());
          return;
        }
        if (this.alone(at, bytes, true) && !this.stepping) {
          if (this.physical.hostOf(at) === 0) this.redoDevice(at, lo, hi, true);
          else this.redo();
          return;
        }
        this.onAccess?.(lo, hi, bytes, true);
        const data = this.first[bytes]!;
        if (copied >= 0 && this.physical.copyUnseen(copied, at, data, s.get32(L.REGS + 8 * RCX) * bytes)) return;
        if (this.physical.hostOf(at) === 0) {
          if (!this.strings.write(at, data, uop)) this.memory.writePhysical(at, data);
          return;
        }
        this.memory.writePhysical(at, data);
        this.mmu.install(lo, hi, s.get32(L.DATA_TLB));
        return;
      }
      if (!this.stepping && this.reachesDevice(lo, hi, bytes, true, user)) {
        this.redo();
        return;
      }
      if (copied >= 0) this.physical.noteRead(copied >>> 12, copied & 0xfff, bytes);
      this.onAccess?.(lo, hi, bytes, true);
      this.memory.writeLinear(lo, hi, this.buffer, bytes, user, true);
    } catch (fault) {
      this.setFault(fault);
    }
  }

  /** Read-modify-write: the address in linear memory to work on; SCRATCH when the store has to be committed. */
  modify(lo: number, hi: number, access: number, uop: number): number {
    const s = this.state;
    const bytes = access & 0xff;
    s.set32(L.ABORT_UOP, uop);
    lo >>>= 0;
    hi >>>= 0;
    try {
      if (!this.check(lo, hi, access, uop)) return 0;
      const user = s.get32(L.CPL) === 3;
      if ((lo & 0xfff) + bytes <= 4096) {
        const at = this.mmu.walkTo(lo, hi, true, user, false, true);
        if (at < 0) {
          this.setFault(this.mmu.pageFault());
          return 0;
        }
        const host = this.physical.hostOf(at);
        const alone = this.alone(at, bytes, true);
        if (alone && !this.stepping) {
          this.redo();
          return 0;
        }
        this.onAccess?.(lo, hi, bytes, true);
        if (host !== 0 && !alone && (this.physical.flags[at >>> 12]! & (PAGE_CODE | PAGE_PARTIAL)) === 0) {
          this.mmu.install(lo, hi, s.get32(L.DATA_TLB));
          // A ROM page gets no write entry, nor may it be written in place.
          if (
            s.u32[
              (s.get32(L.DATA_TLB) + ((lo >>> 12) & (L.TLB_ENTRIES - 1)) * L.TLB_ENTRY_SIZE + L.TLB_WRITE) >>> 2
            ]! ===
            (lo & ~0xfff) >>> 0
          )
            return host;
        }
      } else {
        if (!this.stepping && this.reachesDevice(lo, hi, bytes, true, user)) {
          this.redo();
          return 0;
        }
        this.onAccess?.(lo, hi, bytes, true);
        this.memory.prepareWrite(lo, hi, bytes, user, true);
      }
      this.memory.readLinear(lo, hi, bytes, user, true, this.buffer);
      this.modifyLo = lo;
      this.modifyHi = hi;
      this.modifyBytes = bytes;
      return L.SCRATCH;
    } catch (fault) {
      this.setFault(fault);
      return 0;
    }
  }

  commit(): void {
    try {
      const user = this.state.get32(L.CPL) === 3;
      this.memory.writeLinear(this.modifyLo, this.modifyHi, this.buffer, this.modifyBytes, user, true);
    } catch (fault) {
      this.setFault(fault);
    }
  }

  segmentFault(_uop: number, stack: number): void {
    this.setFault(new Fault(stack ? SSV : GP, 0));
  }
}
