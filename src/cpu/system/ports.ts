// IN and OUT (SDM vol. 1, 19.5): the I/O privilege check by CPL and IOPL, else by the TSS's permission bitmap.
// The port access itself is the bus's.

import type { AccessSize } from '../bus.js';
import type { CpuCore } from '../core.js';
import * as L from '../layout.js';
import { gp } from '../state.js';

/** #GP(0) unless the program may access `size` ports from `port` on. */
export function checkPort(cpu: CpuCore, port: number, size: number): void {
  const s = cpu.state;
  if (!s.isProtected || (!s.isV86 && s.cpl <= s.iopl)) return;
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

/** Value of an IN of `size` bytes. */
export function portRead(cpu: CpuCore, port: number, size: number): number {
  checkPort(cpu, port, size);
  cpu.notePort?.(port, size);
  return cpu.bus.portRead(port, size as AccessSize);
}

export function portWrite(cpu: CpuCore, port: number, size: number, value: number): void {
  checkPort(cpu, port, size);
  cpu.notePort?.(port, size);
  const masked = size === 4 ? value >>> 0 : value & (size === 2 ? 0xffff : 0xff);
  cpu.bus.portWrite(port, size as AccessSize, masked);
}
