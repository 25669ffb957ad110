// Saving and restoring x87 and SSE state: FNSTENV/FLDENV, FNSAVE/FRSTOR, FXSAVE/FXRSTOR, XSAVE/XSAVEOPT/XRSTOR.
//
// SDM vol. 1, 8.1.10 (environment layouts, figures 8-9…8-12), 10.5.1 (FXSAVE image, tables 10-2…10-5), chapter 13
// (XSAVE standard format); vol. 2 for the checks. A fault changes no register. Components are never tracked as
// unmodified (XINUSE is all ones), which the manual allows and QEMU does; an image may still ask for initial state.
// The wait for pending x87 exceptions (#MF) is the row's.

import type { CpuCore } from '../core.js';
import * as L from '../layout.js';
import { type CpuState, CR0_EM, CR0_TS, CR4_OSFXSR, CR4_OSXSAVE, Fault, gp, NM, ud } from '../state.js';
import { wrapLinear } from './descriptors.js';
import { isParagraphMode } from './far-transfers.js';

/** Bits of MXCSR that exist, DAZ included. */
export const MXCSR_MASK = 0xffff;
const MXCSR_INITIAL = 0x1f80;
const FCW_INITIAL = 0x37f;
const FSW_ES = 0x80;
const FSW_B = 0x8000;

/** LDMXCSR, FXRSTOR, XRSTOR: a reserved bit is #GP(0). */
export function checkMxcsr(value: number): void {
  if ((value & ~MXCSR_MASK) !== 0) throw gp(0);
}

/** x87 status word with TOP in bits 11–13. */
export function statusWord(s: CpuState): number {
  return s.get32(L.FPU_STATUS) | (s.get32(L.FPU_TOP) << 11);
}

/** Set TOP and the status word; ES and B follow from the exceptions that the control word leaves unmasked. */
function setStatusWord(s: CpuState, value: number): void {
  const pending = (value & ~s.get32(L.FPU_CONTROL) & 0x3f) !== 0;
  s.set32(L.FPU_TOP, (value >>> 11) & 7);
  s.set32(L.FPU_STATUS, (value & 0x477f) | (pending ? FSW_ES | FSW_B : 0));
}

/** Control word as it is stored: bit 6 reads as 1, reserved bits as 0. */
function setControlWord(s: CpuState, value: number): void {
  s.set32(L.FPU_CONTROL, (value & 0x1f3f) | 0x40);
}

/** Tag of physical register `i` classified from its contents: 0 valid, 1 zero, 2 special, 3 empty. */
function classify(s: CpuState, i: number): number {
  if (((s.get32(L.FPU_TAGS) >>> i) & 1) === 0) return 3;
  const significand = s.get64(L.FPU_REGS + i * 16);
  const exponent = s.view.getUint16(L.FPU_REGS + i * 16 + 8, true) & 0x7fff;
  if (exponent === 0) return significand === 0n ? 1 : 2;
  return exponent === 0x7fff || significand >> 63n === 0n ? 2 : 0;
}

/** The full tag word (vol. 1, 8.1.7). */
export function tagWord(s: CpuState): number {
  let word = 0;
  for (let i = 0; i < 8; i++) word |= classify(s, i) << (i * 2);
  return word;
}

function setTagWord(s: CpuState, word: number): void {
  let tags = 0;
  for (let i = 0; i < 8; i++) if (((word >>> (i * 2)) & 3) !== 3) tags |= 1 << i;
  s.set32(L.FPU_TAGS, tags);
}

/** FNINIT: register contents stay, tags say empty (vol. 2, FINIT/FNINIT). */
export function fninit(cpu: CpuCore): void {
  const s = cpu.state;
  s.set32(L.FPU_CONTROL, FCW_INITIAL);
  s.set32(L.FPU_STATUS, 0);
  s.set32(L.FPU_TOP, 0);
  s.set32(L.FPU_TAGS, 0);
  s.set32(L.FPU_OPCODE, 0);
  s.set32(L.FPU_CS, 0);
  s.set32(L.FPU_DS, 0);
  s.set64(L.FPU_IP, 0n);
  s.set64(L.FPU_DP, 0n);
}

function checkAvailable(cpu: CpuCore): void {
  if ((cpu.state.cr0 & (CR0_EM | CR0_TS)) !== 0) throw new Fault(NM);
}

const environmentSize = (operandSize: number): number => (operandSize === 16 ? 14 : 28);

/** Upper halves of the 32-bit fields that hold 16 bits: reserved, processors store ones (all but the last in real mode). */
const isReservedAbove = (field: number, s: CpuState): boolean => field < 3 || (field === 6 && !isParagraphMode(s));

/** The environment in the layout of the mode; `operandSize` is 16, or 32 (also for 64). */
function encodeEnvironment(s: CpuState, operandSize: number): Uint8Array {
  const bytes = new Uint8Array(environmentSize(operandSize));
  const view = new DataView(bytes.buffer);
  const fields = [s.get32(L.FPU_CONTROL), statusWord(s), tagWord(s), ...encodePointers(s, operandSize)];
  fields.forEach((field, i) => {
    if (operandSize === 16) view.setUint16(i * 2, field & 0xffff, true);
    else view.setUint32(i * 4, (isReservedAbove(i, s) ? field | 0xffff_0000 : field) >>> 0, true);
  });
  return bytes;
}

/** The four pointer fields: selectors and offsets in protected mode, linear addresses in real and V86 mode. */
function encodePointers(s: CpuState, operandSize: number): number[] {
  const ip = Number(s.get64(L.FPU_IP) & 0xffff_ffffn);
  const dp = Number(s.get64(L.FPU_DP) & 0xffff_ffffn);
  const cs = s.get32(L.FPU_CS) & 0xffff;
  const ds = s.get32(L.FPU_DS) & 0xffff;
  const opcode = s.get32(L.FPU_OPCODE) & 0x7ff;
  if (!isParagraphMode(s)) {
    return operandSize === 16 ? [ip, cs, dp, ds] : [ip, cs | (opcode << 16), dp, ds];
  }
  const code = (cs * 16 + ip) >>> 0;
  const data = (ds * 16 + dp) >>> 0;
  const high = (linear: number): number => (linear >>> 16) << 12;
  return [code & 0xffff, high(code) | opcode, data & 0xffff, high(data)];
}

function decodeEnvironment(s: CpuState, operandSize: number, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const field = (i: number): number => (operandSize === 16 ? view.getUint16(i * 2, true) : view.getUint32(i * 4, true));
  setControlWord(s, field(0));
  setStatusWord(s, field(1));
  setTagWord(s, field(2));
  const [ip, cs, dp, ds] = [field(3), field(4), field(5), field(6)];
  if (isParagraphMode(s)) {
    s.set64(L.FPU_IP, BigInt(((ip & 0xffff) | ((cs >>> 12) << 16)) >>> 0));
    s.set64(L.FPU_DP, BigInt(((dp & 0xffff) | ((ds >>> 12) << 16)) >>> 0));
    s.set32(L.FPU_CS, 0);
    s.set32(L.FPU_DS, 0);
    s.set32(L.FPU_OPCODE, cs & 0x7ff);
  } else {
    s.set64(L.FPU_IP, BigInt(ip));
    s.set64(L.FPU_DP, BigInt(dp));
    s.set32(L.FPU_CS, cs & 0xffff);
    s.set32(L.FPU_DS, ds & 0xffff);
    if (operandSize !== 16) s.set32(L.FPU_OPCODE, (cs >>> 16) & 0x7ff);
  }
}

/** FNSTENV: store 14 or 28 bytes, then mask all exceptions. */
export function fnstenv(cpu: CpuCore, operandSize: number, linear: bigint): void {
  checkAvailable(cpu);
  const s = cpu.state;
  cpu.memory.writeBytes(linear, encodeEnvironment(s, operandSize), 'current', operandSize / 8);
  const status = statusWord(s);
  setControlWord(s, s.get32(L.FPU_CONTROL) | 0x3f);
  setStatusWord(s, status);
}

/** FLDENV. */
export function fldenv(cpu: CpuCore, operandSize: number, linear: bigint): void {
  checkAvailable(cpu);
  const bytes = cpu.memory.readBytes(linear, environmentSize(operandSize), 'current', operandSize / 8);
  decodeEnvironment(cpu.state, operandSize, bytes);
}

/** Byte offset in the state block of ST(i). */
function stAddress(s: CpuState, i: number): number {
  return L.FPU_REGS + ((s.get32(L.FPU_TOP) + i) & 7) * 16;
}

/** FNSAVE: environment and ST0–ST7 (94 or 108 bytes), then FNINIT. */
export function fnsave(cpu: CpuCore, operandSize: number, linear: bigint): void {
  checkAvailable(cpu);
  const s = cpu.state;
  const head = environmentSize(operandSize);
  const bytes = new Uint8Array(head + 80);
  bytes.set(encodeEnvironment(s, operandSize));
  for (let i = 0; i < 8; i++) {
    const at = stAddress(s, i);
    bytes.set(s.u8.subarray(at, at + 10), head + i * 10);
  }
  cpu.memory.writeBytes(linear, bytes, 'current', operandSize / 8);
  fninit(cpu);
}

/** FRSTOR. */
export function frstor(cpu: CpuCore, operandSize: number, linear: bigint): void {
  checkAvailable(cpu);
  const s = cpu.state;
  const head = environmentSize(operandSize);
  const bytes = cpu.memory.readBytes(linear, head + 80, 'current', operandSize / 8);
  decodeEnvironment(s, operandSize, bytes.subarray(0, head));
  for (let i = 0; i < 8; i++) s.u8.set(bytes.subarray(head + i * 10, head + i * 10 + 10), stAddress(s, i));
}

const LEGACY_X87 = 160; // up to and including ST7
const XMM_AT = 160;
/** The operand is 512 bytes, all of which must be accessible, used or not. */
const FXSAVE_AREA = 512;

/** XMM registers that exist in the current mode. */
const xmmCount = (s: CpuState): number => (s.is64 ? 16 : 8);

/** The x87 part of the FXSAVE image, bytes 0–23 and 32–159; `wide` is REX.W in 64-bit mode. */
function encodeX87(cpu: CpuCore, image: Uint8Array, wide: boolean): void {
  const s = cpu.state;
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  view.setUint16(0, s.get32(L.FPU_CONTROL), true);
  view.setUint16(2, statusWord(s), true);
  image[4] = s.get32(L.FPU_TAGS);
  image[5] = 0;
  // AMD keeps the pointers out of the image unless an exception is pending (APM vol. 2, 11.4.4.3).
  const pointers = cpu.model.vendor !== 'AuthenticAMD' || (s.get32(L.FPU_STATUS) & FSW_ES) !== 0;
  const ip = pointers ? s.get64(L.FPU_IP) : 0n;
  const dp = pointers ? s.get64(L.FPU_DP) : 0n;
  view.setUint16(6, pointers ? s.get32(L.FPU_OPCODE) & 0x7ff : 0, true);
  if (wide) {
    view.setBigUint64(8, ip, true);
    view.setBigUint64(16, dp, true);
  } else {
    view.setUint32(8, Number(ip & 0xffff_ffffn), true);
    view.setUint32(12, pointers ? s.get32(L.FPU_CS) & 0xffff : 0, true);
    view.setUint32(16, Number(dp & 0xffff_ffffn), true);
    view.setUint32(20, pointers ? s.get32(L.FPU_DS) & 0xffff : 0, true);
  }
  for (let i = 0; i < 8; i++) {
    const at = stAddress(s, i);
    image.set(s.u8.subarray(at, at + 10), 32 + i * 16);
    image.fill(0, 32 + i * 16 + 10, 32 + i * 16 + 16);
  }
}

function decodeX87(s: CpuState, image: Uint8Array, wide: boolean): void {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  setControlWord(s, view.getUint16(0, true));
  setStatusWord(s, view.getUint16(2, true));
  s.set32(L.FPU_TAGS, image[4]!);
  s.set32(L.FPU_OPCODE, view.getUint16(6, true) & 0x7ff);
  s.set64(L.FPU_IP, wide ? view.getBigUint64(8, true) : BigInt(view.getUint32(8, true)));
  s.set64(L.FPU_DP, wide ? view.getBigUint64(16, true) : BigInt(view.getUint32(16, true)));
  s.set32(L.FPU_CS, wide ? 0 : view.getUint16(12, true));
  s.set32(L.FPU_DS, wide ? 0 : view.getUint16(20, true));
  for (let i = 0; i < 8; i++) s.u8.set(image.subarray(32 + i * 16, 32 + i * 16 + 10), stAddress(s, i));
}

function encodeMxcsr(s: CpuState, image: Uint8Array): void {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  view.setUint32(24, s.get32(L.MXCSR), true);
  view.setUint32(28, MXCSR_MASK, true);
}

function readMxcsr(image: Uint8Array): number {
  const value = new DataView(image.buffer, image.byteOffset, image.byteLength).getUint32(24, true);
  checkMxcsr(value);
  return value;
}

function encodeXmm(s: CpuState, image: Uint8Array): void {
  image.set(s.u8.subarray(L.XMM, L.XMM + xmmCount(s) * 16), XMM_AT);
}

function decodeXmm(s: CpuState, image: Uint8Array): void {
  s.u8.set(image.subarray(XMM_AT, XMM_AT + xmmCount(s) * 16), L.XMM);
}

/** FXSAVE, FXSAVE64 (`wide`). The area is 16-byte aligned, else #GP(0). SSE state is there under CR4.OSFXSR. */
export function fxsave(cpu: CpuCore, linear: bigint, wide: boolean): void {
  checkAvailable(cpu);
  const s = cpu.state;
  if ((linear & 15n) !== 0n) throw gp(0);
  cpu.memory.probe(linear, FXSAVE_AREA, true);
  const sse = (s.cr4 & CR4_OSFXSR) !== 0;
  const image = new Uint8Array(sse ? XMM_AT + xmmCount(s) * 16 : LEGACY_X87);
  encodeX87(cpu, image, wide);
  if (sse) {
    encodeMxcsr(s, image);
    encodeXmm(s, image);
    cpu.memory.writeBytes(linear, image);
    return;
  }
  cpu.memory.writeBytes(linear, image.subarray(0, 24));
  cpu.memory.writeBytes(wrapLinear(s, linear + 32n), image.subarray(32));
}

/** FXRSTOR, FXRSTOR64. Reserved MXCSR bits are #GP(0). */
export function fxrstor(cpu: CpuCore, linear: bigint, wide: boolean): void {
  checkAvailable(cpu);
  const s = cpu.state;
  if ((linear & 15n) !== 0n) throw gp(0);
  cpu.memory.probe(linear, FXSAVE_AREA, false);
  const sse = (s.cr4 & CR4_OSFXSR) !== 0;
  const image = cpu.memory.readBytes(linear, sse ? XMM_AT + xmmCount(s) * 16 : LEGACY_X87);
  const mxcsr = sse ? readMxcsr(image) : undefined;
  decodeX87(s, image, wide);
  if (mxcsr === undefined) return;
  s.set32(L.MXCSR, mxcsr);
  decodeXmm(s, image);
}

const X87 = 1n;
const SSE = 2n;
const HEADER_AT = 512n;

/** #UD, #NM and alignment common to the XSAVE family; the components asked for. */
function requestedComponents(cpu: CpuCore, linear: bigint, mask: bigint): bigint {
  const s = cpu.state;
  if ((s.cr4 & CR4_OSXSAVE) === 0) throw ud();
  if ((s.cr0 & CR0_TS) !== 0) throw new Fault(NM);
  if ((linear & 63n) !== 0n) throw gp(0);
  return mask & BigInt(s.get32(L.XCR0));
}

/** XSAVE, XSAVE64, and XSAVEOPT (which, without tracking, does the same): `mask` is EDX:EAX (vol. 1, 13.7, 13.9). */
export function xsave(cpu: CpuCore, linear: bigint, mask: bigint, wide: boolean): void {
  const s = cpu.state;
  const components = requestedComponents(cpu, linear, mask);
  const header = wrapLinear(s, linear + HEADER_AT);
  cpu.memory.probe(linear, 576, true);
  const present = cpu.memory.read64(header);
  const image = new Uint8Array(XMM_AT + xmmCount(s) * 16);
  if ((components & X87) !== 0n) {
    encodeX87(cpu, image, wide);
    cpu.memory.writeBytes(linear, image.subarray(0, 24));
    cpu.memory.writeBytes(wrapLinear(s, linear + 32n), image.subarray(32, LEGACY_X87));
  }
  if ((components & SSE) !== 0n) {
    encodeMxcsr(s, image);
    encodeXmm(s, image);
    cpu.memory.writeBytes(wrapLinear(s, linear + 24n), image.subarray(24, 32));
    cpu.memory.writeBytes(wrapLinear(s, linear + BigInt(XMM_AT)), image.subarray(XMM_AT));
  }
  cpu.memory.write64(header, present | components);
}

/** XRSTOR, XRSTOR64: components absent from XSTATE_BV get their initial state (vol. 1, 13.8). */
export function xrstor(cpu: CpuCore, linear: bigint, mask: bigint, wide: boolean): void {
  const s = cpu.state;
  const components = requestedComponents(cpu, linear, mask);
  const image = cpu.memory.readBytes(linear, 576);
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const present = view.getBigUint64(512, true);
  // The compacted format (XCOMP_BV bit 63) is not enumerated; bytes 8–23 of the header must be 0.
  const reserved = view.getBigUint64(520, true) | view.getBigUint64(528, true);
  if ((present & ~BigInt(s.get32(L.XCR0))) !== 0n || reserved !== 0n) throw gp(0);
  const mxcsr = (components & SSE) !== 0n ? readMxcsr(image) : undefined;

  if ((components & X87) !== 0n) {
    if ((present & X87) !== 0n) decodeX87(s, image, wide);
    else {
      fninit(cpu);
      s.u8.fill(0, L.FPU_REGS, L.FPU_REGS + 128);
    }
  }
  if (mxcsr !== undefined) {
    s.set32(L.MXCSR, mxcsr);
    if ((present & SSE) !== 0n) decodeXmm(s, image);
    else s.u8.fill(0, L.XMM, L.XMM + xmmCount(s) * 16);
  }
}

/** MXCSR after reset. */
export const MXCSR_RESET = MXCSR_INITIAL;
