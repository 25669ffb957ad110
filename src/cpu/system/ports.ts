// IN and OUT (SDM vol. 1, 19.5): the I/O privilege check by CPL and IOPL, else by the TSS's permission bitmap.
// The port access itself is the bus's. REP INS and OUTS move runs of items in one access to the bus: a run is as long
// as registers, segments and paging alone say, never as long as there is time, so that a replay makes the same runs.

import type { AccessSize } from '../bus.js';
import type { CpuCore } from '../core.js';
import * as L from '../layout.js';
import { type CpuState, DF, gp, MODE_64BIT, MODE_PROTECTED, MODE_V86, TF } from '../state.js';

/** Cycles of an access to a port, and of each item of a string. */
export const PORT_COST = 250;
/** Items of a run at most: at 4 ns a cycle an interrupt waits 256 µs for it. */
const LONGEST_RUN = 256;

/** #GP(0) unless the program may access `size` ports from `port` on. */
export function checkPort(cpu: CpuCore, port: number, size: number): void {
  const s = cpu.state;
  const { u32 } = s;
  const mode = u32[L.MODE >>> 2]!;
  if ((mode & MODE_PROTECTED) === 0) return;
  if ((mode & MODE_V86) === 0 && u32[L.CPL >>> 2]! <= ((u32[L.EFLAGS >>> 2]! >>> 12) & 3)) return;
  // 32-bit TSS only (types 9 and 11); a 16-bit one has no bitmap.
  const type = s.attributes(L.TR) & 15;
  if ((type & 8) === 0 || s.limit(L.TR) < 0x67) throw gp();
  const base = s.base(L.TR);
  const map = cpu.memory.read16(base + 0x66n, 'system');
  const at = map + (port >>> 3);
  // Two bytes are always read, so the limit must cover both.
  if (at + 1 > s.limit(L.TR)) throw gp();
  const bits = cpu.memory.read16(base + BigInt(at), 'system') >>> (port & 7);
  if ((bits & ((1 << size) - 1)) !== 0) throw gp();
}

/** For I/O breakpoints, while there are any. */
function noteAccess(cpu: CpuCore, port: number, size: number): void {
  if ((cpu.state.u32[(L.DR + 8 * 7) >>> 2]! & 0xff) !== 0) cpu.notePort?.(port, size);
}

/** Value of an IN of `size` bytes. */
export function portRead(cpu: CpuCore, port: number, size: number): number {
  checkPort(cpu, port, size);
  noteAccess(cpu, port, size);
  return cpu.bus.portRead(port, size as AccessSize);
}

export function portWrite(cpu: CpuCore, port: number, size: number, value: number): void {
  checkPort(cpu, port, size);
  noteAccess(cpu, port, size);
  const masked = size === 4 ? value >>> 0 : value & (size === 2 ? 0xffff : 0xff);
  cpu.bus.portWrite(port, size as AccessSize, masked);
}

/**
 * How many items from `linear` on a REP INS (`write`) or OUTS moves at once: up to the end of the page, of the segment
 * and of the address size; 1 where each item must be seen alone (single step, breakpoints, DF, memory of a device).
 * @param left items to go
 * @param offset within the segment
 * @throws Fault that the first item's access raises
 */
export function stringRun(
  cpu: CpuCore,
  linear: bigint,
  offset: bigint,
  left: bigint,
  bytes: number,
  addressBits: number,
  write: number,
): number {
  const at = BigInt.asUintN(64, linear);
  const items = runItems(cpu.state, at, offset, left, bytes, addressBits, write !== 0, LONGEST_RUN);
  if (items < 2) return 1;
  return cpu.memory.probe(at, items * bytes, write !== 0, 'current', bytes) ? items : 1;
}

/** How many items of a string from `linear` on may be one run, whatever lies there: 1 where each must be seen alone. */
export function runItems(
  s: CpuState,
  linear: bigint,
  offset: bigint,
  left: bigint,
  bytes: number,
  addressBits: number,
  write: boolean,
  longest: number,
): number {
  if (left === 1n || (s.get32(L.EFLAGS) & (TF | DF)) !== 0 || (Number(s.dr(7)) & 0xff) !== 0) return 1;
  const from = BigInt.asUintN(addressBits, offset);
  let room = 4096n - (linear & 0xfffn);
  const wraps = (1n << BigInt(addressBits)) - from;
  if (wraps < room) room = wraps;
  if ((s.get32(L.MODE) & MODE_64BIT) === 0) {
    const limit = segmentRoom(s, linear, from, write);
    if (limit < room) room = limit;
  }
  let run = room / BigInt(bytes);
  if (left < run) run = left;
  return Math.max(1, Math.min(Number(run), longest));
}

/** Bytes up to the end of the shortest segment in which `offset` may have led to `linear`. */
function segmentRoom(s: CpuState, linear: bigint, offset: bigint, write: boolean): bigint {
  let room = 4096n;
  for (let segment = L.ES; segment <= L.GS; segment++) {
    const place = L.SEGMENTS + L.SEGMENT_SIZE * segment;
    const usable = (s.get32(place + L.SEG_ACCESS) & (write ? 2 : 1)) !== 0;
    if (!usable || BigInt.asUintN(32, s.base(segment) + offset) !== linear) continue;
    const left = BigInt(s.get32(place + L.SEG_MAX) >>> 0) - offset + 1n;
    if (left < room) room = left;
  }
  return room;
}

/** The run of a REP INS whose destination `stringRun` has checked. */
export function readRun(cpu: CpuCore, port: number, linear: bigint, bytes: number, items: number): void {
  const data = cpu.bus.portReadString(port, bytes as AccessSize, items);
  cpu.memory.writeBytes(linear, data);
  chargeRun(cpu, items);
}

/** The run of a REP OUTS. */
export function writeRun(cpu: CpuCore, port: number, linear: bigint, bytes: number, items: number): void {
  cpu.bus.portWriteString(port, bytes as AccessSize, cpu.memory.readBytes(linear, items * bytes));
  chargeRun(cpu, items);
}

/** The row pays for one item. */
function chargeRun(cpu: CpuCore, items: number): void {
  cpu.state.i32[L.BUDGET >>> 2]! -= (items - 1) * PORT_COST;
  cpu.state.set64(L.INSTRUCTIONS, cpu.state.get64(L.INSTRUCTIONS) + BigInt(items - 1));
}
