// Instruction bytes to micro-op records (SDM vol. 2, chapter 2). The decoder knows encodings, not meanings: what an
// opcode is comes from the rows. It reads at most 15 bytes from a window that the caller filled, and reports what it
// could not decode: too long (#GP), not enough bytes in the window, or no such instruction (#UD).

import type { VariantTable } from './interp/variants.js';
import { HANDLER_UD } from './interp/variants.js';
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

export class Decoder {
  readonly out = new Decoded();
  private at = 0;
  private end = 0;
  private bytes!: Uint8Array;

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
    this.bytes = bytes;
    this.at = start;
    this.end = Math.min(limit, start + 15);
    const short = () => (limit >= start + 15 ? DECODE_TOO_LONG : DECODE_SHORT);
    const long = mode.bits === 64;
    let opsize = false;
    let adsize = false;
    let rep: 0 | 1 | 2 = 0;
    let lock = false;
    let segment: number = NO_SEGMENT;
    let rex = 0;
    let b: number;
    for (;;) {
      if (this.at >= this.end) return short();
      b = bytes[this.at++]!;
      if (b === 0x66) opsize = true;
      else if (b === 0x67) adsize = true;
      else if (b === 0xf3) rep = 1;
      else if (b === 0xf2) rep = 2;
      else if (b === 0xf0) lock = true;
      else if (b === 0x26 || b === 0x2e || b === 0x36 || b === 0x3e) {
        if (!long) segment = (b >> 3) & 3;
      } else if (b === 0x64 || b === 0x65) segment = b - 0x60;
      else if (long && (b & 0xf0) === 0x40) {
        rex = b;
        continue;
      } else break;
      rex = 0; // a REX that is not the last prefix is ignored
    }
    let map = 0;
    if (b === 0x0f) {
      if (this.at >= this.end) return short();
      b = bytes[this.at++]!;
      map = 1;
      if (b === 0x38 || b === 0x3a) {
        map = b === 0x38 ? 2 : 3;
        if (this.at >= this.end) return short();
        b = bytes[this.at++]!;
      }
    }
    const opcode = b;
    const prefixClass: PrefixClass = rep === 1 ? 2 : rep === 2 ? 3 : opsize ? 1 : 0;
    // 90H with REX.B names R8: it is the exchange and neither NOP nor PAUSE.
    const wanted = opcode === 0x90 && map === 0 && (rex & 1) !== 0 ? 0x91 : opcode;
    let found = this.table.slot(long, map, wanted, prefixClass);
    let modrm = 0;
    if (found instanceof ModrmChoice) {
      if (this.at >= this.end) return short();
      modrm = bytes[this.at]!;
      const entry = found.entries[(modrm >= 0xc0 ? 8 : 0) + ((modrm >> 3) & 7)];
      found = Array.isArray(entry) ? entry[modrm & 7] : entry;
      // The ModRM byte told that there is no such instruction: it counts as read.
      if (found === undefined) this.at++;
    }
    const row = found;
    const o = this.out;
    if (row === undefined) return this.undefinedInstruction(start);

    const options = row.options;
    let osize: number;
    if (long) {
      osize = rex & 8 ? 64 : opsize ? 16 : 32;
      if (options.size === 'f64') osize = 64;
      else if (options.size === 'd64' && osize === 32) osize = 64;
    } else osize = (mode.bits === 32) !== opsize ? 32 : 16;
    const asize = long ? (adsize ? 32 : 64) : (mode.bits === 32) !== adsize ? 32 : 16;

    o.row = row;
    o.reg = 0;
    o.base = L.ZERO_OFFSET;
    o.index = L.ZERO_OFFSET;
    o.disp = 0;
    o.imm = 0;
    o.relative = false;
    o.osize = osize;
    let scale = 0;
    let mem = false;
    let defaultSegment: number = L.DS;
    let ripRelative = false;
    const mod = modrm >> 6;
    let rm = modrm & 7;
    const reg = ((modrm >> 3) & 7) | ((rex & 4) << 1);
    if (row.hasModrm) {
      this.at++;
      mem = mod !== 3 && !row.ignoresMod;
      if (mem && asize === 16) {
        const base = BASE16[rm]!;
        const index = INDEX16[rm]!;
        if (mod === 0 && rm === 6) {
          if (this.at + 2 > this.end) return short();
          o.disp = bytes[this.at]! | (bytes[this.at + 1]! << 8);
          this.at += 2;
        } else {
          o.base = base * 8;
          if (index >= 0) o.index = index * 8;
          if (base === 5) defaultSegment = L.SS;
          if (mod === 1) {
            if (this.at + 1 > this.end) return short();
            o.disp = (bytes[this.at++]! << 24) >> 24;
          } else if (mod === 2) {
            if (this.at + 2 > this.end) return short();
            o.disp = bytes[this.at]! | (bytes[this.at + 1]! << 8);
            this.at += 2;
          }
        }
      } else if (mem) {
        let base = rm;
        if (rm === 4) {
          if (this.at >= this.end) return short();
          const sib = bytes[this.at++]!;
          scale = sib >> 6;
          const index = ((sib >> 3) & 7) | ((rex & 2) << 2);
          if (index !== 4) o.index = index * 8;
          base = sib & 7;
        }
        let dispBytes = mod === 1 ? 1 : mod === 2 ? 4 : 0;
        if (base === 5 && mod === 0) {
          dispBytes = 4;
          if (rm === 5 && long) ripRelative = true;
        } else {
          base |= (rex & 1) << 3;
          o.base = base * 8;
          if (base === 4 || base === 5) defaultSegment = L.SS;
        }
        if (dispBytes === 1) {
          if (this.at + 1 > this.end) return short();
          o.disp = (bytes[this.at++]! << 24) >> 24;
        } else if (dispBytes === 4) {
          if (this.at + 4 > this.end) return short();
          o.disp = this.read32();
        }
      }
    }
    rm |= (rex & 1) << 3;
    let immediates = 0;
    for (const operand of row.operands) {
      switch (operand.kind) {
        case 'G':
          o.reg = operand.size === 'b' ? byteRegister(reg, rex) : reg * 8;
          break;
        case 'E':
          if (!mem) o.base = operand.size === 'b' ? byteRegister(rm, rex) : rm * 8;
          break;
        case 'R':
          o.base = rm * 8;
          break;
        case 'V':
          o.reg = reg * 16;
          break;
        case 'W':
        case 'U':
          if (!mem) o.base = rm * 16;
          break;
        case 'P':
          o.reg = (reg & 7) * 16;
          break;
        case 'Q':
        case 'N':
          if (!mem) o.base = (rm & 7) * 16;
          break;
        case 'S':
          o.reg = (modrm >> 3) & 7;
          break;
        case 'C':
        case 'D':
          o.reg = reg;
          break;
        case 'T':
          o.base = modrm & 7;
          break;
        case 'Z': {
          const n = (opcode & 7) | ((rex & 1) << 3);
          o.reg = operand.size === 'b' ? byteRegister(n, rex) : n * 8;
          break;
        }
        case 'O': {
          const size = asize / 8;
          if (this.at + size > this.end) return short();
          if (size === 2) {
            o.disp = bytes[this.at]! | (bytes[this.at + 1]! << 8);
            this.at += 2;
          } else {
            o.disp = this.read32();
            if (size === 8) o.imm = this.read32();
          }
          break;
        }
        case 'A':
          if (this.at + (osize === 16 ? 4 : 6) > this.end) return short();
          if (osize === 16) {
            o.disp = bytes[this.at]! | (bytes[this.at + 1]! << 8);
            this.at += 2;
          } else o.disp = this.read32();
          o.imm = bytes[this.at]! | (bytes[this.at + 1]! << 8);
          this.at += 2;
          break;
        case 'I':
        case 'sI':
        case 'J': {
          const bytesNeeded = immediateBytes(operand.text, operand.size, osize, operand.kind === 'J');
          if (this.at + bytesNeeded > this.end) return short();
          let value: number;
          if (bytesNeeded === 1) {
            value = bytes[this.at++]!;
            if (operand.kind !== 'I') value = (value << 24) >> 24;
            if (operand.kind === 'sI' && osize === 16) value &= 0xffff;
          } else if (bytesNeeded === 2) {
            value = bytes[this.at]! | (bytes[this.at + 1]! << 8);
            this.at += 2;
            if (operand.kind === 'J') value = (value << 16) >> 16;
          } else {
            value = this.read32();
            if (bytesNeeded === 8) {
              o.disp = value;
              value = this.read32();
            }
          }
          // A second immediate (ENTER) goes above the first one's 16 bits.
          o.imm = immediates === 0 ? value : (o.imm & 0xffff) | (value << 16);
          immediates++;
          if (operand.kind === 'J') o.relative = true;
          break;
        }
        default:
          break;
      }
    }
    // Only now: an instruction that cannot be fetched whole faults for that.
    if (lock && !(options.lock && mem)) return this.undefinedInstruction(start);
    if (map === 0 && (opcode & 0xf8) === 0xd8) o.imm = ((opcode & 7) << 8) | modrm; // x87: the 11-bit FOP
    const length = this.at - start;
    if (ripRelative) {
      o.base = L.PAGE_IP_OFFSET;
      o.disp = (o.disp + pageOffset + length) | 0;
    }
    const effective = segment === NO_SEGMENT ? defaultSegment : segment;
    const natural = long ? 64 : 32;
    const slow = asize !== natural || (effective > 3 ? true : !long && (mode.flat & (1 << effective)) === 0);
    o.address = scale | (effective << 2) | (asize === 16 ? 0 : asize === 32 ? 0x20 : 0x40) | (slow ? 0x80 : 0);
    let near = false;
    if (o.relative && nearOk) {
      const target = pageOffset + length + o.imm;
      near = target >= 0 && target < 4096 && pageOffset + length < 4096 && (osize !== 16 || mode.bits === 16);
    }
    o.length = length;
    o.handler = this.variants.handlerOf(row, osize, mem, rep, asize, near);
    if (o.handler < 0) return this.undefinedInstruction(start);
    return DECODE_OK;
  }

  private undefinedInstruction(start: number): number {
    const o = this.out;
    o.row = undefined;
    o.handler = HANDLER_UD;
    o.length = Math.max(1, this.at - start);
    o.relative = false;
    return DECODE_OK;
  }

  private read32(): number {
    const b = this.bytes;
    const at = this.at;
    this.at += 4;
    return b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24);
  }
}

/** Byte offset from REGS of an 8-bit register: AH CH DH BH without REX. */
function byteRegister(n: number, rex: number): number {
  return rex === 0 && n >= 4 && n < 8 ? (n - 4) * 8 + 1 : n * 8;
}

function immediateBytes(text: string, size: string, osize: number, relative: boolean): number {
  if (size === 'b') return 1;
  if (size === 'w') return 2;
  if (text === 'Iq') return osize / 8; // MOV r, imm: the only full 64-bit immediate
  if (relative) return osize === 16 ? 2 : 4;
  return osize === 16 ? 2 : 4;
}
