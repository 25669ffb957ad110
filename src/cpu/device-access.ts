// A device that is accessed in the middle of a block, without giving the block up: what follows the access in its block
// is taken back from the account for as long as the access lasts, so that the device sees the cycle that it would see
// if the instruction were executed alone, and is charged again afterwards.
//
// Done for instructions that access memory once, from tier 0, where all state is in memory; a region says that it calls
// (ACCESS_REGION) and is told next time, when it is made, which records do such things. Invariant: the block goes on only
// if the loop would have come back to the instruction behind, with nothing to do before: no line or limit was touched, no
// event came nearer, and the code TLB still leads there, as it does not when code was dropped. Else the block is left
// behind the instruction.

import { HANDLER_UD, SPECIAL_HANDLERS, type VariantTable } from './interp/variants.js';
import * as L from './layout.js';
import type { Variant } from './semantics/context.js';
import { ACCESS_REGION } from './semantics/context.js';
import type { CpuState } from './state.js';

/** Records remembered at most; then it begins anew. */
const MAX_RECORDS = 4096;
const UNKNOWN = 2;
const ONE_ACCESS = new Set(['MOV', 'MOVZX', 'MOVSX', 'MOVSXD', 'CMP', 'TEST']);

/** Whether nothing but one access to memory can come between this instruction and the next. */
export const accessesOnce = ({ row }: Variant): boolean =>
  ONE_ACCESS.has(row.mnemonic) && row.options.ends === undefined && row.operands.every(({ kind }) => kind !== 'S');

export class DeviceAccess {
  /** Records that have reached a device in the middle of a block. */
  readonly records = new Set<number>();
  /** By handler: 1 = accessesOnce. */
  private readonly once: Uint8Array;
  /** What follows the instruction in its block: cycles and instructions. */
  private cost = 0;
  private count = 0;

  constructor(
    private readonly state: CpuState,
    private readonly variants: VariantTable,
    /** Whether the block loop has nothing to look at, after an access to the bus. */
    private readonly undisturbed: () => boolean,
  ) {
    this.once = new Uint8Array(variants.cost.length).fill(UNKNOWN);
  }

  /** A device is about to be accessed by a record's instruction. False when it has to be executed alone. */
  begin(uop: number, access: number): boolean {
    const { u32, i32, u16 } = this.state;
    if (this.records.size >= MAX_RECORDS) this.records.clear();
    this.records.add(uop);
    if (access & ACCESS_REGION || uop < L.UOPS || u32[L.EXIT_REQUEST >>> 2] !== 0) return false;
    const handler = u16[uop >>> 1]!;
    if (this.once[handler] === UNKNOWN) this.once[handler] = accessesOnce(this.variants.variantOf(handler)!) ? 1 : 0;
    if (this.once[handler] === 0) return false;
    this.measure(uop);
    i32[L.BUDGET >>> 2]! += this.cost;
    return true;
  }

  /** What follows an instruction in its block. */
  private measure(uop: number): void {
    const { cost, ends } = this.variants;
    const { u16 } = this.state;
    this.cost = 0;
    this.count = 0;
    for (let at = uop; ends[u16[at >>> 1]!] === 0; ) {
      at += L.UOP_SIZE;
      const handler = u16[at >>> 1]!;
      this.cost += cost[handler]!;
      if (handler >= SPECIAL_HANDLERS || handler === HANDLER_UD) this.count++;
    }
  }

  /** The access was made. True when the block goes on; else what follows is not charged, nor counted. */
  end(): boolean {
    const { u32, i32 } = this.state;
    const left = i32[L.BUDGET >>> 2]! - this.cost;
    if (left >= 0 && this.undisturbed() && this.finds()) {
      i32[L.BUDGET >>> 2] = left;
      u32[L.EXIT_REQUEST >>> 2] = 0;
      return true;
    }
    const before = u32[L.INSTRUCTIONS >>> 2]!;
    u32[L.INSTRUCTIONS >>> 2] = before - this.count;
    if (before < this.count) u32[(L.INSTRUCTIONS >>> 2) + 1]!--;
    return false;
  }
  /** After an `end` that was false: as if the access had not been made, but for what it cost. */
  takeBack(): void {
    const { i32 } = this.state;
    i32[L.BUDGET >>> 2]! -= this.cost;
    this.state.set64(L.INSTRUCTIONS, this.state.get64(L.INSTRUCTIONS) + BigInt(this.count));
  }

  /** Whether the code TLB has the page of the running block. */
  private finds(): boolean {
    const { u32 } = this.state;
    const base = u32[(L.SEGMENTS + L.SEGMENT_SIZE * L.CS + L.SEG_BASE) >>> 2]!;
    const low = (u32[L.PAGE_IP >>> 2]! + base) >>> 0;
    const high = (u32[(L.PAGE_IP >>> 2) + 1]! & u32[(L.LINEAR_MASK >>> 2) + 1]!) >>> 0;
    const entry = (L.CODE_TLB + ((low >>> 12) & (L.CODE_TLB_ENTRIES - 1)) * L.CODE_TLB_ENTRY_SIZE) >>> 2;
    return u32[entry] === (low | u32[L.CODE_KEY >>> 2]!) >>> 0 && u32[entry + 1] === high;
  }
}
