// A ROM in place of the firmware that brings QEMU's machine to where ours is at cycle 0: the same device registers
// (by the very accesses that src/platform/firmware-setup.ts makes), the same tables in the BIOS segment, the same
// memory type registers, the same entry state. So the two start equal and no firmware has to be followed.
//
// It runs from the end of the first 4 GiB, in 16 and 32 bits, and uses no RAM. LDTR and the upper halves of registers
// stay as reset leaves them: what an entry state has of them must be 0 there.

import type { EntryState } from '../../src/boot/image.js';
import type { AccessSize } from '../../src/cpu/bus.js';
import type { MemoryRegion } from '../../src/trace/memory.js';

/** One access of the firmware's. Reads are made too: some have effects. */
export interface SetupAccess {
  readonly write: boolean;
  readonly space: 'port' | 'memory';
  readonly address: number;
  readonly size: AccessSize;
  readonly value: number;
}

export interface EntryRom {
  readonly entry: EntryState;
  /** Memory in 0xa0000–0xfffff, where RAM is only once the bridge maps it. */
  readonly shadow: readonly MemoryRegion[];
  readonly setup: readonly SetupAccess[];
  readonly msrs: readonly (readonly [address: number, value: bigint])[];
}

const ROM_SIZE = 0x2_0000;
const ROM_BASE = 0x1_0000_0000 - ROM_SIZE;
const STUB = 0x1_ff00;
const TABLES = 0x1_f000;
const DATA = 0x1_0000;
/** In TABLES: descriptors, then pseudo-descriptors. */
const GDT_SIZE = 0x80;
const OWN_GDTR = GDT_SIZE;
const ENTRY_GDTR = GDT_SIZE + 8;
const ENTRY_IDTR = GDT_SIZE + 16;
const TSS_BUSY = 2;

/** The image; its last byte is at 0xffffffff. @throws RangeError when the setup is too long */
export function buildEntryRom({ entry, shadow, setup, msrs }: EntryRom): Uint8Array {
  const rom = new Uint8Array(ROM_SIZE).fill(0xf4);
  const code = new Assembler(rom, 0, DATA);
  // 32 bits, flat; ESP is not used.
  code.emit(0x66, 0xb8, ...u16(0x10), 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0);
  // The bridge's PAM0: RAM in the BIOS segment, read and written.
  code.out(0xcf8, 4, 0x8000_0058);
  code.out(0xcfd, 1, 0x30);
  let data = DATA;
  for (const region of shadow) {
    if (data + region.data.length > TABLES) throw new RangeError('the tables do not fit into the entry ROM');
    rom.set(region.data, data);
    code.emit(0xbe, ...u32(ROM_BASE + data), 0xbf, ...u32(region.address), 0xb9, ...u32(region.data.length));
    code.emit(0xfc, 0xf3, 0xa4); // cld; rep movsb
    data += region.data.length;
  }
  for (const access of setup) code.access(access);
  for (const [address, value] of msrs) {
    code.emit(0xb9, ...u32(address), 0xb8, ...u32(Number(value & 0xffff_ffffn)));
    code.emit(0xba, ...u32(Number(value >> 32n)), 0x0f, 0x30);
  }
  enter(code, entry);

  // Reset vector, and the way to 32 bits: a GDT of flat segments, PE, far jump.
  const view = new DataView(rom.buffer);
  [0n, 0x00cf9b000000ffffn, 0x00cf93000000ffffn].forEach((descriptor, i) => {
    view.setBigUint64(TABLES + 8 * i, descriptor, true);
  });
  const { tr } = entry.segments;
  if (tr.selector >= 0x18) {
    if (tr.selector > GDT_SIZE - 8 || tr.limit > 0xffff) throw new RangeError('the entry ROM has no such task segment');
    const attributes = BigInt(tr.attributes & ~TSS_BUSY & 0xff);
    const { base } = tr;
    const descriptor = BigInt(tr.limit) | ((base & 0xff_ffffn) << 16n) | (attributes << 40n) | ((base >> 24n) << 56n);
    view.setBigUint64(TABLES + tr.selector, descriptor, true);
  }
  rom.set([...u16(GDT_SIZE - 1), ...u32(ROM_BASE + TABLES)], TABLES + OWN_GDTR);
  rom.set([...u16(entry.gdtr.limit), ...low(entry.gdtr.base)], TABLES + ENTRY_GDTR);
  rom.set([...u16(entry.idtr.limit), ...low(entry.idtr.base)], TABLES + ENTRY_IDTR);
  const stub = new Assembler(rom, STUB, ROM_SIZE - 16);
  stub.emit(0xfa, 0x2e, 0x66, 0x0f, 0x01, 0x16, ...u16((TABLES + OWN_GDTR) & 0xffff)); // cli; lgdt cs:[…]
  stub.emit(0x66, 0xb8, ...u32(0x11), 0x0f, 0x22, 0xc0, 0x66, 0xea, ...u32(ROM_BASE), ...u16(8));
  rom.set([0xe9, ...u16(STUB - (ROM_SIZE - 16 + 3))], ROM_SIZE - 16);
  return rom;
}

/** Control registers, tables, segments, registers, and the jump. */
function enter(code: Assembler, entry: EntryState): void {
  code.emit(0xb8, ...u32(entry.cr4), 0x0f, 0x22, 0xe0);
  code.emit(0xb8, ...low(entry.cr3), 0x0f, 0x22, 0xd8);
  // EFER.LME; LMA follows from paging.
  if (entry.efer) code.emit(0xb9, ...u32(0xc000_0080), 0x31, 0xd2, 0xb8, ...u32(entry.efer & ~0x400), 0x0f, 0x30);
  code.emit(0xb8, ...u32(entry.cr0), 0x0f, 0x22, 0xc0);
  code.emit(0x0f, 0x01, 0x1d, ...u32(ROM_BASE + TABLES + ENTRY_IDTR)); // lidt
  // LTR marks its descriptor busy, which in this ROM has no effect.
  if (entry.segments.tr.selector >= 0x18) code.emit(0x66, 0xb8, ...u16(entry.segments.tr.selector), 0x0f, 0x00, 0xd8);
  code.emit(0x0f, 0x01, 0x15, ...u32(ROM_BASE + TABLES + ENTRY_GDTR)); // lgdt
  const segments = [
    ['es', 0xc0],
    ['ss', 0xd0],
    ['ds', 0xd8],
    ['fs', 0xe0],
    ['gs', 0xe8],
  ] as const;
  for (const [name, modrm] of segments) code.emit(0x66, 0xb8, ...u16(entry.segments[name].selector), 0x8e, modrm);
  const order = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'] as const;
  order.forEach((name, n) => {
    code.emit(0xb8 + n, ...low(entry.registers[name]));
  });
  code.emit(0xea, ...low(entry.rip), ...u16(entry.segments.cs.selector));
}

class Assembler {
  constructor(
    private readonly rom: Uint8Array,
    private at: number,
    private readonly end: number,
  ) {}

  emit(...bytes: number[]): void {
    if (this.at + bytes.length > this.end) throw new RangeError('the setup does not fit into the entry ROM');
    this.rom.set(bytes, this.at);
    this.at += bytes.length;
  }

  out(port: number, size: AccessSize, value: number): void {
    this.emit(
      0x66,
      0xba,
      ...u16(port),
      0xb8,
      ...u32(value),
      ...(size === 1 ? [0xee] : size === 2 ? [0x66, 0xef] : [0xef]),
    );
  }

  access({ write, space, address, size, value }: SetupAccess): void {
    if (space === 'port' && write) this.out(address, size, value);
    else if (space === 'port')
      this.emit(0x66, 0xba, ...u16(address), ...(size === 1 ? [0xec] : size === 2 ? [0x66, 0xed] : [0xed]));
    else if (write && size === 4) this.emit(0xc7, 0x05, ...u32(address), ...u32(value));
    else throw new RangeError(`a memory access of ${size} bytes at setup`);
  }
}

const u16 = (value: number) => [value & 0xff, (value >>> 8) & 0xff];
const u32 = (value: number) => [...u16(value & 0xffff), ...u16(value >>> 16)];
/** What 32-bit code can load. @throws RangeError when there is more */
function low(value: bigint): number[] {
  if (value > 0xffff_ffffn) throw new RangeError(`the entry ROM cannot load 0x${value.toString(16)}`);
  return u32(Number(value));
}
