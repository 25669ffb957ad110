// Two outcomes of one case compared: the processor modelled here against silicon. What is not compared is said here,
// once and by name; nothing is excused case by case.
//
//  - transcendental x87 functions: the result may differ by one unit in the last place, and C1 with it (SDM vol. 1,
//    8.3.10, promises no more); every other bit is compared;
//  - x87 instruction and operand pointers and the last opcode: vendors differ in when they are stored (SDM vol. 1,
//    8.1.8; AMD APM vol. 2, 11.4.3), so neither the image nor FNSTENV's fields for them are compared;
//  - MASKMOVQ and MASKMOVDQU: which of the bytes on a faulting page CR2 names (SDM vol. 2: implementation-specific);
//  - the RPL of a null selector in ES, DS, FS and GS: the return to the host's handler clears it (SDM vol. 2, IRET);
//  - the P bit of #PF error codes for addresses of the kernel half: Linux sets the bit for programs.

import type { Row } from '../../../src/cpu/isa/row.js';
import type { Outcome } from './single-step.js';

export const REGISTER_NAMES = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ');
const SEGMENT_NAMES = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];
const FLAGS = 0xcd5;
const PAGE_FAULT = 14;
const C1 = 0x0200;
const TRANSCENDENTAL = new Set(['FSIN', 'FCOS', 'FSINCOS', 'FPTAN', 'FPATAN', 'F2XM1', 'FYL2X', 'FYL2XP1']);

/** Bytes of an FXSAVE image that count: FCW, FSW, tags, MXCSR, ST0–7 (ten bytes each), XMM0–15. */
const FX_BYTES = Uint16Array.from(
  Array.from({ length: 416 }, (_, i) => i).filter(
    (i) => i < 5 || (i >= 24 && i < 28) || i >= 160 || (i >= 32 && i % 16 < 10),
  ),
);

export interface Tolerance {
  /** EFLAGS bits that are not compared. */
  readonly undefinedFlags: number;
  /** Bits of general registers: 64, or 32 where the upper halves cannot be observed. */
  readonly registerBits: 64 | 32;
  /** Bytes of the data page that are not compared: from, to. */
  readonly memory?: readonly (readonly [number, number])[];
  /** Selectors, and in 64-bit code the FS and GS bases, are compared too. */
  readonly segments?: boolean;
  /** Bits of general registers that are compared, within registerBits; bits of the x87 status word that are not. */
  readonly registerMask?: bigint;
  readonly status?: number;
  /** Pairs of vectors (got, wanted) that pass for the same. */
  readonly vectors?: readonly (readonly [number, number])[];
  /** CR2, and the error code, are not compared. */
  readonly address?: boolean;
  readonly error?: boolean;
}

/** What differs, in words; empty when nothing does. */
export function differences(row: Row | undefined, got: Outcome, want: Outcome, tolerance: Tolerance): string[] {
  if (tolerance.vectors?.some(([a, b]) => a === got.vector && b === want.vector)) return [];
  if (got.vector !== want.vector) return [`vector ${got.vector} for ${want.vector}`];
  const found: string[] = [];
  const kernelHalf = want.vector === PAGE_FAULT && want.cr2 >> 47n !== 0n;
  if ((got.error | (kernelHalf ? 1 : 0)) !== want.error && tolerance.error !== true)
    found.push(`error code ${got.error} for ${want.error}`);
  const anyByte = row?.mnemonic.startsWith('MASKMOV') === true && (got.cr2 ^ want.cr2) >> 12n === 0n;
  if (got.cr2 !== want.cr2 && !anyByte && tolerance.address !== true)
    found.push(`cr2 ${got.cr2.toString(16)} for ${want.cr2.toString(16)}`);
  const registerMask = tolerance.registerMask ?? -1n;
  REGISTER_NAMES.forEach((name, n) => {
    if (got.registers.gpr[n] === want.registers.gpr[n]) return;
    const a = BigInt.asUintN(tolerance.registerBits, got.registers.gpr[n]! & registerMask);
    const b = BigInt.asUintN(tolerance.registerBits, want.registers.gpr[n]! & registerMask);
    if (a !== b) found.push(`${name} ${a.toString(16)} for ${b.toString(16)}`);
  });
  if (got.registers.rip !== want.registers.rip) {
    found.push(`rip ${got.registers.rip.toString(16)} for ${want.registers.rip.toString(16)}`);
  }
  const mask = FLAGS & ~tolerance.undefinedFlags;
  if (((got.registers.eflags ^ want.registers.eflags) & mask) !== 0) {
    found.push(
      `flags ${(got.registers.eflags & mask).toString(16)} for ${(want.registers.eflags & mask).toString(16)}`,
    );
  }
  found.push(...fxDifferences(row, got.registers.fx, want.registers.fx, tolerance.status ?? 0));
  if (tolerance.segments === true) {
    want.selectors.forEach((selector, n) => {
      const null3 = selector === 0 && got.selectors[n] === (got.selectors[n]! & 3);
      if (got.selectors[n] !== selector && !null3) {
        found.push(`${SEGMENT_NAMES[n]} ${got.selectors[n]!.toString(16)} for ${selector.toString(16)}`);
      }
    });
    if (tolerance.registerBits === 64) {
      if (got.fsBase !== want.fsBase) found.push(`fs base ${got.fsBase.toString(16)} for ${want.fsBase.toString(16)}`);
      if (got.gsBase !== want.gsBase) found.push(`gs base ${got.gsBase.toString(16)} for ${want.gsBase.toString(16)}`);
    }
  }
  const ignored = tolerance.memory ?? [];
  const at =
    Buffer.compare(got.memory, want.memory) === 0
      ? -1
      : got.memory.findIndex(
          (byte, i) => byte !== want.memory[i] && !ignored.some(([from, to]) => i >= from && i < to),
        );
  if (at >= 0) {
    const hex = (bytes: Uint8Array) => Buffer.from(bytes.subarray(at, at + 16)).toString('hex');
    found.push(`memory at ${at.toString(16)} ${hex(got.memory)} for ${hex(want.memory)}`);
  }
  return found;
}

function fxDifferences(row: Row | undefined, got: Uint8Array, want: Uint8Array, status: number): string[] {
  if (FX_BYTES.every((i) => got[i] === want[i])) return [];
  const loose = row !== undefined && TRANSCENDENTAL.has(row.mnemonic);
  const found: string[] = [];
  const seen = new Set<number>();
  for (const i of FX_BYTES) {
    const field = i < 32 ? (i < 2 ? 0 : i < 4 ? 2 : i < 5 ? 4 : 24) : i & ~15;
    if (got[i] === want[i] || seen.has(field)) continue;
    seen.add(field);
    if (field === 2 && ((word(got, 2) ^ word(want, 2)) & ~(status | (loose ? C1 : 0))) === 0) continue;
    if (loose && (field === 32 || field === 48) && distance(got, want, field) <= 1n) continue;
    const [name, bytes] = fieldName(field);
    const hex = (image: Uint8Array) =>
      Buffer.from(image.subarray(field, field + bytes))
        .reverse()
        .toString('hex');
    found.push(`${name} ${hex(got)} for ${hex(want)}`);
  }
  return found;
}

function fieldName(field: number): [string, number] {
  if (field === 0) return ['fcw', 2];
  if (field === 2) return ['fsw', 2];
  if (field === 4) return ['tags', 1];
  if (field === 24) return ['mxcsr', 4];
  return field < 160 ? [`st${(field - 32) / 16}`, 10] : [`xmm${(field - 160) / 16}`, 16];
}

const word = (bytes: Uint8Array, at: number): number => bytes[at]! | (bytes[at + 1]! << 8);

/** Distance of two 80-bit numbers in units in the last place. */
function distance(a: Uint8Array, b: Uint8Array, at: number): bigint {
  const value = (image: Uint8Array): bigint => {
    const view = new DataView(image.buffer, image.byteOffset + at, 10);
    const exponent = BigInt(view.getUint16(8, true));
    return (
      ((exponent & 0x7fffn) << 63n) + (view.getBigUint64(0, true) & 0x7fff_ffff_ffff_ffffn) + ((exponent >> 15n) << 79n)
    );
  };
  const d = value(a) - value(b);
  return d < 0n ? -d : d;
}
