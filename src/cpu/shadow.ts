// RAM that the chipset may hide: 0xa0000–0xfffff, where a PC's bus or a ROM answers instead of the RAM of the same
// address until firmware has copied itself there (shadowing). Which of the two answers reads and takes writes is
// switched in ranges, as the PAM registers of an i440FX have it (Intel 290549, 3.2.18), and for the VGA window as
// its SMRAM register does (3.2.19).
//
// Invariant: a page whose backing changes has lost its decoded code and all translations before the next instruction;
// RAM that is hidden keeps its content and counts as memory in state hashes. ROM never changes and is not hashed.

import type { ShadowLines } from './bus.js';
import type { CodeCache } from './code-cache.js';
import * as L from './layout.js';
import type { Mmu } from './mmu.js';
import { PAGE_DIRTY, PAGE_PARTIAL, PAGE_ROM, PAGE_SPLIT, type PhysicalMemory } from './physical.js';

const FIRST = 0xa0;
const LAST = 0xff;
const MIB = 0x10_0000;
/** The window of VGA memory, which SMRAM lies behind. */
const VGA_START = 0xa_0000;
const VGA_LENGTH = 0x2_0000;

/** RAM answers reads; RAM takes writes. The two bits of a PAM attribute. */
export const RAM_READS = 1;
export const RAM_WRITES = 2;

export class ShadowMemory implements ShadowLines {
  /** What lies beside the RAM of each page: the address in linear memory of a ROM page, 0 = the bus. */
  private readonly beside = new Uint32Array(LAST + 1);
  private readonly modes = new Uint8Array(LAST + 1).fill(RAM_READS | RAM_WRITES);

  private vga = true;
  private open = false;
  private inSmm = false;
  private active = false;

  constructor(
    private readonly physical: PhysicalMemory,
    private readonly code: CodeCache,
    private readonly mmu: Mmu,
  ) {}

  /**
   * Hide the RAM: the bus answers up to 0xbffff, empty ROM up to 0xdffff, then the end of the ROM below 4 GiB.
   * @param romSize of the ROM that is mapped there, in bytes; at most its last 128 KiB are seen
   * @param vga there is a VGA at 0xa0000; without one the RAM there is always seen, as in QEMU
   */
  install(romSize: number, vga = true): void {
    this.vga = vga;
    const seen = Math.min(romSize, 0x2_0000);
    const empty = this.physical.takeRomPages(1);
    for (let page = 0xc0; page <= LAST; page++) {
      const below = MIB - page * 4096;
      this.beside[page] = below <= seen ? this.physical.hostOf(0x1_0000_0000 - below) : empty;
    }
    this.showSmram();
    this.set(0xc_0000, 0x4_0000, 0);
  }

  /** @throws RangeError when no PAM range starts there */
  pam(start: number, attribute: number): void {
    const last = start === 0xf_0000;
    if (start % 0x4000 !== 0 || start < 0xc_0000 || start > 0xf_0000)
      throw new RangeError(`no PAM range starts at 0x${start.toString(16)}`);
    this.set(start, last ? 0x1_0000 : 0x4000, attribute & (RAM_READS | RAM_WRITES));
  }

  smram(open: boolean, inSmm: boolean): void {
    this.open = open;
    this.inSmm = inSmm;
    this.showSmram();
  }

  /** The processor has entered or left SMM. */
  smm(active: boolean): void {
    this.active = active;
    this.showSmram();
  }

  private showSmram(): void {
    const visible = !this.vga || this.open || (this.inSmm && this.active);
    this.set(VGA_START, VGA_LENGTH, visible ? RAM_READS | RAM_WRITES : 0);
  }

  private set(start: number, length: number, mode: number): void {
    let changed = false;
    const { physical } = this;
    for (let page = start >>> 12; page < (start + length) >>> 12; page++) {
      if (page < FIRST || this.modes[page] === mode) continue;
      changed = true;
      this.modes[page] = mode;
      this.code.drop(page);
      const reads = (mode & RAM_READS) !== 0;
      const host = reads ? L.GUEST + page * 4096 : this.beside[page]!;
      let flags = physical.flags[page]! & PAGE_DIRTY;
      if (reads) {
        if (!physical.observed.isPageKnown(page)) flags |= PAGE_PARTIAL;
        if (!(mode & RAM_WRITES)) flags |= PAGE_ROM;
      } else if (host !== 0) flags |= PAGE_ROM | (mode & RAM_WRITES ? PAGE_SPLIT : 0);
      physical.host[page] = host;
      physical.flags[page] = flags;
    }
    if (changed) this.mmu.flush(false);
  }
}
