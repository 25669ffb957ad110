// Breakpoints of DR0–DR3 as DR7 arms them (SDM vol. 3A, 17.2): on execution before the instruction, on data and I/O
// after it. While any is armed the processor executes instructions alone and no data TLB is used, so every access
// is seen here; otherwise they cost nothing.

import * as L from './layout.js';
import { type CpuState, CR4_DE } from './state.js';

const ON_EXECUTION = 1;
const ON_WRITE = 2;
const ON_PORT = 4;
const ON_ACCESS = 8;

export class DebugRegisters {
  /** DR6 bits of the data and I/O breakpoints that the running instruction hit. */
  hits = 0;

  constructor(private readonly state: CpuState) {}

  /** True when DR7 enables a breakpoint, locally or globally. */
  get armed(): boolean {
    return (this.state.u32[(L.DR + 8 * 7) >>> 2]! & 0xff) !== 0;
  }

  /** DR6 bits of enabled breakpoints of some kinds (bit n: R/W field n) that touch a range. */
  private matching(kinds: number, at: bigint, bytes: number): number {
    const dr7 = Number(this.state.dr(7) & 0xffff_ffffn);
    let hits = 0;
    for (let n = 0; n < 4; n++) {
      if ((dr7 & (3 << (2 * n))) === 0 || (kinds & (1 << ((dr7 >>> (16 + 4 * n)) & 3))) === 0) continue;
      const length = [1, 2, 8, 4][(dr7 >>> (18 + 4 * n)) & 3]!;
      const start = this.state.dr(n) & ~BigInt(length - 1);
      if (at < start + BigInt(length) && at + BigInt(bytes) > start) hits |= 1 << n;
    }
    return hits;
  }

  /** DR6 bits of breakpoints on the instruction at RIP. */
  onExecution(): number {
    const s = this.state;
    return this.matching(ON_EXECUTION, (s.rip + s.base(L.CS)) & s.get64(L.LINEAR_MASK), 1);
  }

  readonly noteAccess = (lo: number, hi: number, bytes: number, write: boolean): void => {
    this.hits |= this.matching(write ? ON_WRITE | ON_ACCESS : ON_ACCESS, (BigInt(hi) << 32n) | BigInt(lo), bytes);
  };

  notePort(port: number, bytes: number): void {
    if (this.armed && (this.state.get32(L.CR4) & CR4_DE) !== 0)
      this.hits |= this.matching(ON_PORT, BigInt(port), bytes);
  }
}
