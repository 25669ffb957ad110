// Instruction bytes to micro-op records (SDM vol. 2, chapter 2). The decoder knows encodings, not meanings: what an
// opcode is comes from the rows. It reads at most 15 bytes from a window that the caller filled, and reports what it
// could not decode: too long (#GP), not enough bytes in the window, or no such instruction (#UD).

import {
  BASE_E,
  BASE_E8,
  BASE_NONE,
  BASE_Q,
  BASE_W,
  type DecodePlan,
  planOf,
  REG_CD,
  REG_G,
  REG_G8,
  REG_NONE,
  REG_P,
  REG_S,
  REG_V,
  REG_Z,
  TAIL_FAR,
  TAIL_I8,
  TAIL_I16,
  TAIL_I64,
  TAIL_J,
  TAIL_J8,
  TAIL_OFFSET,
  TAIL_S8,
} from './decode-plan.js';
import { HANDLER_UD, type VariantTable, variantSlot } from './interp/variants.js';
import type { Row } from './isa/row.js';
import { ModrmChoice, type OpcodeTable, type PrefixClass } from './isa/table.js';
import * as L from './layout.js';

/** What of the mode decides how bytes decode. */
export interface DecodeMode {
  /** 16, 32 or 64: default operand and address size (64: operand 32, address 64). */
  readonly bits: 16 | 32 | 64;
  /** Bit n set: segment n (ES CS SS DS) needs no base, limit or rights check. */
  readonly flat: number;
}

/** A decoded instruction; one object is reused. */
export class Decoded {
  handler = 0;
  length = 0;
  row: Row | undefined;
  reg = 0;
  base = 0;
  index = 0;
  address = 0;
  disp = 0;
  imm = 0;
  /** Relative branch: displacement is in imm. */
  relative = false;
  osize = 32;
}

export const DECODE_OK = 0;
/** The window ended before the instruction did. */
export const DECODE_SHORT = 1;
/** More than 15 bytes: #GP(0). */
export const DECODE_TOO_LONG = 2;

const NO_SEGMENT = -1;
const BASE16 = [3, 3, 5, 5, 6, 7, 5, 3] as const;
const INDEX16 = [6, 7, 6, 7, -1, -1, -1, -1] as const;

/** Of Decoder.direct and .choices: not met yet, no instruction. */
const UNKNOWN = 0;
const NOTHING = -1;
/** Choices by ModRM: 8 of memory forms by reg, then 64 of register forms by reg and rm. */
const CHOICES = 72;

export class Decoder {
  readonly out = new Decoded();
  /**
   * By mode, map, opcode and mandatory prefix: UNKNOWN, NOTHING, place of a plan, or, below NOTHING, −2 − the place of
   * CHOICES of the first three by ModRM.
   */
  private readonly direct = new Int32Array(8192);
  private choices = new Int16Array(64 * CHOICES);
  private readonly choiceSlots: ModrmChoice[] = [];
  private readonly plans: DecodePlan[] = [undefined as never];
  /** Place of a row's plan, by the row's id. */
  private readonly planned: number[] = [];

  constructor(
    private readonly table: OpcodeTable,
    private readonly variants: VariantTable,
  ) {}

  /**
   * Decode at `bytes[start]`, using bytes below `limit`. `pageOffset` is the instruction's offset in its page, for
   * RIP-relative forms; `nearOk` allows the linked form of relative branches whose target stays in the page.
   */
  decode(
    bytes: Uint8Array,
    start: number,
    limit: number,
    mode: DecodeMode,
    pageOffset: number,
    nearOk: boolean,
  ): number {
    const o = this.out;
    const { bits } = mode;
    const long = bits === 64;
    const whole = limit >= start + 15;
    const end = whole ? start + 15 : limit;
    const short = whole ? DECODE_TOO_LONG : DECODE_SHORT;
    let at = start;
    let opsize = false;
    let adsize = false;
    let rep = 0;
    let lock = false;
    let segment: number = NO_SEGMENT;
    let rex = 0;
    let b: number;
    for (;;) {
      if (at >= end) return short;
      b = bytes[at++]!;
      if (PREFIX[b] === 0) break;
      if (b === 0x66) opsize = true;
      else if (b === 0x67) adsize = true;
      else if (b === 0xf3) rep = 1;
      else if (b === 0xf2) rep = 2;
      else if (b === 0xf0) lock = true;
      else if (b === 0x26 || b === 0x2e || b === 0x36 || b === 0x3e) {
        if (!long) segment = (b >> 3) & 3;
      } else if (b === 0x64 || b === 0x65) segment = b - 0x60;
      else if (long) {
        rex = b;
        continue;
      } else break;
      rex = 0; // a REX that is not the last prefix is ignored
    }
    let map = 0;
    if (b === 0x0f) {
      if (at >= end) return short;
      b = bytes[at++]!;
      map = 1;
      if (b === 0x38 || b === 0x3a) {
        map = b === 0x38 ? 2 : 3;
        if (at >= end) return short;
        b = bytes[at++]!;
      }
    }
    const opcode = b;
    const prefixClass = rep === 1 ? 2 : rep === 2 ? 3 : opsize ? 1 : 0;
    // 90H with REX.B names R8: it is the exchange and neither NOP nor PAUSE.
    const wanted = opcode === 0x90 && map === 0 && (rex & 1) !== 0 ? 0x91 : opcode;
    const key = ((((long ? 4 : 0) | map) << 8) | wanted) * 4 + prefixClass;
    let place = this.direct[key]!;
    if (place === UNKNOWN) place = this.meet(key);
    let modrm = 0;
    if (place < NOTHING) {
      if (at >= end) return short;
      modrm = bytes[at]!;
      const choice = -2 - place + (modrm >= 0xc0 ? modrm - 0xb8 : (modrm >> 3) & 7);
      place = this.choices[choice]!;
      if (place === UNKNOWN) place = this.meetForm(choice);
      // The ModRM byte told that there is no such instruction: it counts as read.
      if (place === NOTHING) at++;
    }
    if (place === NOTHING) return this.undefinedInstruction(at - start);

    const plan = this.plans[place]!;
    let osize: number;
    if (long) {
      osize = rex & 8 ? 64 : opsize ? 16 : 32;
      if (plan.size64 === 2 || (plan.size64 === 1 && osize === 32)) osize = 64;
    } else osize = (bits === 32) !== opsize ? 32 : 16;
    const asize = long ? (adsize ? 32 : 64) : (bits === 32) !== adsize ? 32 : 16;

    let base: number = L.ZERO_OFFSET;
    let index: number = L.ZERO_OFFSET;
    let disp = 0;
    let imm = 0;
    let relative = false;
    let scale = 0;
    let mem = false;
    let defaultSegment: number = L.DS;
    let ripRelative = false;
    if (plan.hasModrm) {
      at++;
      const mod = modrm >> 6;
      const rm = modrm & 7;
      mem = mod !== 3 && !plan.registersOnly;
      if (!mem) {
        if (plan.base !== BASE_NONE) base = baseRegister(plan.base, rm, rex);
      } else if (asize === 16) {
        if (mod === 0 && rm === 6) {
          if (at + 2 > end) return short;
          disp = bytes[at]! | (bytes[at + 1]! << 8);
          at += 2;
        } else {
          const n = BASE16[rm]!;
          base = n * 8;
          if (rm < 4) index = INDEX16[rm]! * 8;
          if (n === 5) defaultSegment = L.SS;
          if (mod === 1) {
            if (at + 1 > end) return short;
            disp = (bytes[at++]! << 24) >> 24;
          } else if (mod === 2) {
            if (at + 2 > end) return short;
            disp = bytes[at]! | (bytes[at + 1]! << 8);
            at += 2;
          }
        }
      } else {
        let n = rm;
        if (rm === 4) {
          if (at >= end) return short;
          const sib = bytes[at++]!;
          scale = sib >> 6;
          const scaled = ((sib >> 3) & 7) | ((rex & 2) << 2);
          if (scaled !== 4) index = scaled * 8;
          n = sib & 7;
        }
        let dispBytes = mod === 1 ? 1 : mod === 2 ? 4 : 0;
        if (n === 5 && mod === 0) {
          dispBytes = 4;
          if (rm === 5 && long) ripRelative = true;
        } else {
          n |= (rex & 1) << 3;
          base = n * 8;
          if (n === 4 || n === 5) defaultSegment = L.SS;
        }
        if (dispBytes === 1) {
          if (at + 1 > end) return short;
          disp = (bytes[at++]! << 24) >> 24;
        } else if (dispBytes === 4) {
          if (at + 4 > end) return short;
          disp = read32(bytes, at);
          at += 4;
        }
      }
    }
    if (plan.tail !== 0) {
      let immediates = 0;
      for (let { tail } = plan; tail !== 0; tail >>= 4) {
        const what = tail & 15;
        let value: number;
        if (what === TAIL_I8 || what === TAIL_S8 || what === TAIL_J8) {
          if (at + 1 > end) return short;
          value = bytes[at++]!;
          if (what !== TAIL_I8) value = (value << 24) >> 24;
          if (what === TAIL_S8 && osize === 16) value &= 0xffff;
          if (what === TAIL_J8) relative = true;
        } else if (what === TAIL_OFFSET) {
          const size = asize / 8;
          if (at + size > end) return short;
          disp = size === 2 ? bytes[at]! | (bytes[at + 1]! << 8) : read32(bytes, at);
          if (size === 8) imm = read32(bytes, at + 4);
          at += size;
          continue;
        } else if (what === TAIL_FAR) {
          const size = osize === 16 ? 2 : 4;
          if (at + size + 2 > end) return short;
          disp = size === 2 ? bytes[at]! | (bytes[at + 1]! << 8) : read32(bytes, at);
          at += size;
          imm = bytes[at]! | (bytes[at + 1]! << 8);
          at += 2;
          continue;
        } else if (what === TAIL_I16 || osize === 16) {
          if (at + 2 > end) return short;
          value = bytes[at]! | (bytes[at + 1]! << 8);
          at += 2;
          if (what === TAIL_J) {
            value = (value << 16) >> 16;
            relative = true;
          }
        } else {
          const size = what === TAIL_I64 && osize === 64 ? 8 : 4;
          if (at + size > end) return short;
          value = read32(bytes, at);
          if (size === 8) {
            disp = value;
            value = read32(bytes, at + 4);
          }
          at += size;
          if (what === TAIL_J) relative = true;
        }
        // A second immediate (ENTER) goes above the first one's 16 bits.
        imm = immediates === 0 ? value : (imm & 0xffff) | (value << 16);
        immediates++;
      }
    }
    const length = at - start;
    // Only now: an instruction that cannot be fetched whole faults for that.
    if (lock && !(plan.lockable && mem)) return this.undefinedInstruction(length);
    if (map === 0 && (opcode & 0xf8) === 0xd8) imm = ((opcode & 7) << 8) | modrm; // x87: the 11-bit FOP
    if (ripRelative) {
      base = L.PAGE_IP_OFFSET;
      disp = (disp + pageOffset + length) | 0;
    }
    const effective = segment === NO_SEGMENT ? defaultSegment : segment;
    const slow = asize !== (long ? 64 : 32) || (effective > 3 ? true : !long && (mode.flat & (1 << effective)) === 0);
    let near = false;
    if (relative && nearOk) {
      const target = pageOffset + length + imm;
      near = target >= 0 && target < 4096 && pageOffset + length < 4096 && (osize !== 16 || bits === 16);
    }
    const { repeated } = plan;
    const how = repeated === 0 || rep === 0 ? 0 : repeated === 1 ? 1 : rep;
    const handler = plan.handlers[variantSlot(plan.sized ? osize : 32, mem, how, plan.addressed ? asize : 32, near)]!;
    if (handler < 0) return this.undefinedInstruction(length);
    o.row = plan.row;
    o.handler = handler;
    o.length = length;
    o.reg = plan.reg === REG_NONE ? 0 : register(plan.reg, modrm, opcode, rex);
    o.base = base;
    o.index = index;
    o.address = scale | (effective << 2) | (asize === 16 ? 0 : asize === 32 ? 0x20 : 0x40) | (slow ? 0x80 : 0);
    o.disp = disp;
    o.imm = imm;
    o.relative = relative;
    o.osize = osize;
    return DECODE_OK;
  }

  private undefinedInstruction(length: number): number {
    const o = this.out;
    o.row = undefined;
    o.handler = HANDLER_UD;
    o.length = Math.max(1, length);
    o.reg = 0;
    o.base = L.ZERO_OFFSET;
    o.index = L.ZERO_OFFSET;
    o.address = 0;
    o.disp = 0;
    o.imm = 0;
    o.relative = false;
    return DECODE_OK;
  }

  /** What an entry of `direct` is, when it is first asked for. */
  private meet(key: number): number {
    const slot = this.table.slot(key >= 4096, (key >> 10) & 3, (key >> 2) & 0xff, (key & 3) as PrefixClass);
    let place: number;
    if (slot instanceof ModrmChoice) {
      const first = CHOICES * this.choiceSlots.length;
      this.choiceSlots.push(slot);
      if (first + CHOICES > this.choices.length) {
        const larger = new Int16Array(2 * this.choices.length);
        larger.set(this.choices);
        this.choices = larger;
      }
      place = -2 - first;
    } else place = this.placeOf(slot);
    this.direct[key] = place;
    return place;
  }

  /** The same for an entry of `choices`. */
  private meetForm(choice: number): number {
    const { entries } = this.choiceSlots[Math.floor(choice / CHOICES)]!;
    const form = choice % CHOICES;
    const entry = form < 8 ? entries[form] : entries[8 + ((form - 8) >> 3)];
    const place = this.placeOf(Array.isArray(entry) ? entry[form & 7] : entry);
    this.choices[choice] = place;
    return place;
  }

  private placeOf(row: Row | undefined): number {
    if (row === undefined) return NOTHING;
    let place = this.planned[row.id];
    if (place === undefined) {
      place = this.plans.push(planOf(row, this.variants)) - 1;
      this.planned[row.id] = place;
    }
    return place;
  }
}

/** 1: a prefix, in 64-bit mode at least. */
const PREFIX = new Uint8Array(256);
for (const b of [0x66, 0x67, 0xf3, 0xf2, 0xf0, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]) PREFIX[b] = 1;
PREFIX.fill(1, 0x40, 0x50);

/** Byte offset from REGS of an 8-bit register: AH CH DH BH without REX. */
function byteRegister(n: number, rex: number): number {
  return rex === 0 && n >= 4 && n < 8 ? (n - 4) * 8 + 1 : n * 8;
}

function register(kind: number, modrm: number, opcode: number, rex: number): number {
  if (kind >= REG_Z) {
    const n = (opcode & 7) | ((rex & 1) << 3);
    return kind === REG_Z ? n * 8 : byteRegister(n, rex);
  }
  const low = (modrm >> 3) & 7;
  const n = low | ((rex & 4) << 1);
  switch (kind) {
    case REG_G:
      return n * 8;
    case REG_G8:
      return byteRegister(n, rex);
    case REG_V:
      return n * 16;
    case REG_P:
      return low * 16;
    case REG_S:
      return low;
    case REG_CD:
      return n;
    default:
      throw new Error(`no register of kind ${kind}`);
  }
}

function baseRegister(kind: number, low: number, rex: number): number {
  const n = low | ((rex & 1) << 3);
  switch (kind) {
    case BASE_E:
      return n * 8;
    case BASE_E8:
      return byteRegister(n, rex);
    case BASE_W:
      return n * 16;
    case BASE_Q:
      return low * 16;
    default:
      return low; // x87
  }
}

const read32 = (b: Uint8Array, at: number): number =>
  b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24);
