// The opcode rows arranged for decoding: by mode, map, opcode, mandatory prefix, then ModRM. Rows whose CPUID
// feature the model lacks are left out, so that they decode to #UD. Two rows for one slot are an error.

import type { FeatureName, Row } from './row.js';

/** Mandatory-prefix classes: none, 66, F3, F2. */
export type PrefixClass = 0 | 1 | 2 | 3;
const CLASSES: readonly PrefixClass[] = [0, 1, 2, 3];
const CLASS_OF = { NP: 0, 66: 1, F3: 2, F2: 3 } as const;

/** A slot: a row, or a choice by ModRM: 16 entries (register form 8–15, memory form 0–7, by ModRM.reg), each a row or 8 by ModRM.rm. */
export type Slot = Row | ModrmChoice | undefined;
export class ModrmChoice {
  readonly entries: (Row | (Row | undefined)[] | undefined)[] = new Array(16).fill(undefined);
}

export class OpcodeTable {
  /** [long][map][opcode * 4 + prefix class] */
  private readonly slots: Slot[][][];
  /** Rows by map and opcode, which are arranged when the opcode is first met: a guest knows few of them. */
  private readonly unplaced = new Map<number, Row[]>();

  constructor(rows: readonly Row[], has: (feature: FeatureName) => boolean) {
    this.slots = [0, 1].map(() => [0, 1, 2, 3].map(() => new Array<Slot>(1024).fill(undefined)));
    for (const r of rows) {
      if (r.options.cpuid !== undefined && !has(r.options.cpuid)) continue;
      for (let op = r.opcode; op < r.opcode + (r.plusR ? 8 : 1); op++) {
        const at = (r.map << 8) | op;
        const others = this.unplaced.get(at);
        if (others === undefined) this.unplaced.set(at, [r]);
        else others.push(r);
      }
    }
  }

  private place(r: Row, op: number, specific: boolean): void {
    const classes = r.prefix === 'any' ? CLASSES : [CLASS_OF[r.prefix]];
    for (const long of [0, 1]) {
      if (long === 1 ? r.options.mode === 'no64' : r.options.mode === 'only64') continue;
      for (const pc of classes) this.put(this.slots[long]![r.map]!, op * 4 + pc, r, specific);
    }
  }

  private put(slots: Slot[], at: number, r: Row, specific: boolean): void {
    const clash = (old: Row | undefined) => {
      if (old === undefined) return false;
      if (!specific && old.prefix !== 'any') return true; // the prefixed row stays
      throw new Error(`opcode rows clash: ${old.encoding} ${old.mnemonic} and ${r.encoding} ${r.mnemonic}`);
    };
    if (!r.hasModrm) {
      const old = slots[at];
      if (old instanceof ModrmChoice) {
        if (specific) throw new Error(`opcode row ${r.encoding} needs a ModRM byte as its neighbours do`);
        return;
      }
      if (!clash(old)) slots[at] = r;
      return;
    }
    let choice = slots[at];
    if (!(choice instanceof ModrmChoice)) {
      if (choice !== undefined) {
        if (!clash(choice)) return;
        return;
      }
      choice = new ModrmChoice();
      slots[at] = choice;
    }
    for (let i = 0; i < 16; i++) {
      const isReg = i >= 8;
      if (!r.ignoresMod && (r.form === 'mem' ? isReg : r.form === 'reg' ? !isReg : false)) continue;
      if (r.modrmReg >= 0 && r.modrmReg !== (i & 7)) continue;
      if (r.modrmByte >= 0) {
        if (r.modrmByte >>> 3 !== (0x18 | (i & 7))) continue;
        let byRm = choice.entries[i];
        if (!Array.isArray(byRm)) {
          byRm = new Array<Row | undefined>(8).fill(byRm);
          choice.entries[i] = byRm;
        }
        const old = byRm[r.modrmByte & 7];
        if (old === undefined || old.modrmByte < 0) byRm[r.modrmByte & 7] = r;
        else clash(old);
        continue;
      }
      const old = choice.entries[i];
      if (Array.isArray(old)) {
        for (let rm = 0; rm < 8; rm++) old[rm] ??= r;
      } else if (!clash(old)) choice.entries[i] = r;
    }
  }

  /** @throws Error when rows of the opcode clash */
  slot(long: boolean, map: number, opcode: number, prefix: PrefixClass): Slot {
    const rows = this.unplaced.get((map << 8) | opcode);
    if (rows !== undefined) {
      this.unplaced.delete((map << 8) | opcode);
      // Rows with a mandatory prefix first: a row without one then fills what they leave free.
      for (const specific of [true, false])
        for (const r of rows) if ((r.prefix !== 'any') === specific) this.place(r, opcode, specific);
    }
    return this.slots[long ? 1 : 0]![map]![opcode * 4 + prefix];
  }
}
