// From RIP to a block: fetch translation, code TLB, decoding. The slow side of the interpreter's lookup (interp/
// build.ts does the fast one). Faults of the fetch are thrown; nothing is charged here.

import type { BlockPlace, CodeCache } from './code-cache.js';
import type { DecodeMode } from './decode.js';
import * as L from './layout.js';
import { isCanonical } from './linear-memory.js';
import type { Mmu } from './mmu.js';
import type { PhysicalMemory } from './physical.js';
import { type CpuState, Fault, gp, MODE_64BIT, UD, WIDE_ZERO } from './state.js';

export class BlockFinder implements BlockPlace {
  /** How bytes decode now. */
  mode: DecodeMode = { bits: 16, flat: 0 };
  // Of the last fetch: BlockPlace, and its linear address.
  page = 0;
  offset = 0;
  ip = WIDE_ZERO;
  limit = WIDE_ZERO;
  nearOk = false;
  private lo = WIDE_ZERO;
  private hi = WIDE_ZERO;

  constructor(
    private readonly state: CpuState,
    private readonly mmu: Mmu,
    private readonly physical: PhysicalMemory,
    private readonly code: CodeCache,
  ) {}

  nextPage(): number {
    const [lo, hi] = this.pageAfter(this.lo, this.hi);
    return Math.floor(this.mmu.translate(lo, hi, false, this.state.get32(L.CPL) === 3, true) / 4096);
  }

  /** The offset map of the page of a fetch, put into the code TLB; sets `page`. */
  private fetchPage(lo: number, hi: number): number {
    const { u32 } = this.state;
    const at = this.mmu.translate(lo, hi, false, u32[L.CPL >>> 2] === 3, true);
    const page = Math.floor(at / 4096);
    // Code outside memory: the floating bus reads as FF FF, which is no instruction.
    if (page >= 0x10_0000 || this.physical.hostOf(page * 4096) === 0) {
      this.code.onNoMemory(page);
      throw new Fault(UD);
    }
    this.page = page;
    const key = u32[L.CODE_KEY >>> 2]!;
    const tag = ((lo & ~0xfff) | key) >>> 0;
    const entry = (L.CODE_TLB + ((lo >>> 12) & (L.CODE_TLB_ENTRIES - 1)) * L.CODE_TLB_ENTRY_SIZE) >>> 2;
    // Two of three fetches look for a block that is new in a page that is there: then all of this was done before.
    const there = u32[entry] === tag && u32[entry + 1] === hi && u32[entry + (L.CTLB_PAGE >>> 2)] === page;
    if (there && this.mmu.isNoted(entry)) return u32[entry + (L.CTLB_MAP >>> 2)]!;
    const map = this.code.mapOf(page, key >>> 1);
    u32[entry] = tag;
    u32[entry + 1] = hi;
    u32[entry + (L.CTLB_MAP >>> 2)] = map;
    u32[entry + (L.CTLB_PAGE >>> 2)] = page;
    this.mmu.noteCode(entry);
    return map;
  }

  /**
   * The map of a block that was decoded before a checkpoint, where it was found then without a fetch: through a link, or
   * in the code TLB; sets `page`. 0 where it was not.
   */
  private mapBefore(lo: number, hi: number): number {
    const { before } = this.code;
    const { u32 } = this.state;
    const patch = u32[L.LINK_PATCH >>> 2]!;
    if (patch !== 0) {
      const map = before.takeLink(patch);
      if (map !== 0) this.page = this.code.pageOfMap(map);
      return map;
    }
    const entry = (L.CODE_TLB + ((lo >>> 12) & (L.CODE_TLB_ENTRIES - 1)) * L.CODE_TLB_ENTRY_SIZE) >>> 2;
    if (u32[entry] !== ((lo & ~0xfff) | u32[L.CODE_KEY >>> 2]!) >>> 0 || u32[entry + 1] !== hi) return 0;
    const map = u32[entry + (L.CTLB_MAP >>> 2)]!;
    if (!before.has((map >>> 2) + (lo & 0xfff))) return 0;
    this.page = u32[entry + (L.CTLB_PAGE >>> 2)]!;
    return map;
  }

  /**
   * Header of the block at RIP, decoded if need be; fills the link that asked for it.
   * @param missed compiled code looked for it in vain
   * @throws Fault of the fetch
   */
  find(missed = false): number {
    const { u32 } = this.state;
    if (this.code.full) this.code.dropAll();
    const is64 = (u32[L.MODE >>> 2]! & MODE_64BIT) !== 0;
    const ripLo = u32[L.RIP >>> 2]!;
    const csBase = u32[(L.SEGMENTS + L.SEGMENT_SIZE * L.CS + L.SEG_BASE) >>> 2]!;
    const limit = u32[(L.SEGMENTS + L.SEGMENT_SIZE * L.CS + L.SEG_LIMIT) >>> 2]!;
    const lo = is64 ? ripLo : (ripLo + csBase) >>> 0;
    const hi = is64 ? u32[(L.RIP >>> 2) + 1]! : 0;
    if (is64 ? !isCanonical(hi | 0) : ripLo > limit) throw gp(0);
    const map = (missed && this.code.before.any && this.mapBefore(lo, hi)) || this.fetchPage(lo, hi);
    const offset = lo & 0xfff;
    let header = u32[(map >>> 2) + offset]!;
    if (header === 0) {
      this.lo = lo;
      this.hi = hi;
      this.offset = offset;
      this.ip = is64 ? 0 : ripLo;
      this.limit = is64 ? Number.POSITIVE_INFINITY : limit;
      // A linked jump does not look at the limit: it may not lie in the page.
      this.nearOk = is64 || ((csBase & 0xfff) === 0 && (ripLo | 0xfff) >>> 0 <= limit);
      header = this.code.decodeBlock(this, map, this.mode);
    }
    const patch = u32[L.LINK_PATCH >>> 2]!;
    if (patch !== 0) {
      // Links made by single steps die with the record.
      if (patch >= L.UOPS) u32[patch >>> 2] = header;
      u32[L.LINK_PATCH >>> 2] = 0;
    }
    // RIP where the page begins. The offset is of the linear address: RIP itself may be less, and then it borrows.
    u32[L.PAGE_IP >>> 2] = ripLo - offset;
    u32[(L.PAGE_IP >>> 2) + 1] = u32[(L.RIP >>> 2) + 1]! - (ripLo < offset ? 1 : 0);
    return header;
  }

  /**
   * The second page of a crossing instruction, whose HANDLER_CROSS record is at `uop`: put it into the code TLB, or,
   * when it is another page by now, have the block forgotten. True when the record holds. @throws Fault of the fetch
   */
  holdsAcross(uop: number): boolean {
    const s = this.state;
    const is64 = (s.get32(L.MODE) & MODE_64BIT) !== 0;
    const linear = s.rip + (is64 ? 0n : s.base(L.CS));
    const hi = is64 ? Number(BigInt.asUintN(64, linear) >> 32n) : 0;
    const [nextLo, nextHi] = this.pageAfter(Number(BigInt.asUintN(32, linear)), hi);
    this.fetchPage(nextLo, nextHi);
    if (this.page === s.u32[(uop + L.UOP_IMM) >>> 2]!) return true;
    // The header lies right before.
    s.u32[s.u32[(uop - L.UOP_SIZE + L.HEADER_MAP) >>> 2]!] = 0;
    return false;
  }

  /** The page that follows in linear address space, wrapped to the mode. @throws #GP(0) when it is not canonical */
  private pageAfter(lo: number, hi: number): [lo: number, hi: number] {
    const nextLo = ((lo & ~0xfff) + 4096) >>> 0;
    const carries = nextLo === 0 && (this.state.get32(L.MODE) & MODE_64BIT) !== 0;
    if (carries && !isCanonical(hi + 1)) throw gp(0);
    return [nextLo, carries ? (hi + 1) >>> 0 : hi];
  }
}
