// Runs a boot image on QEMU: every segment is put into memory as it is, and a ROM of a hundred bytes in place of
// the firmware brings the processor into the entry state and jumps. So the reference machine itself says whether
// a layout boots, with no loader but ours.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BootImage, EntryState } from '../../src/boot/image.js';

export const hasQemu = spawnSync('qemu-system-x86_64', ['--version']).status === 0;

const ROM_SIZE = 0x1_0000;
const ROM_BASE = 0xffff_0000;

/** A 64 KiB ROM that ends in the reset vector. Addresses in it are offsets from ROM_BASE. */
export function entryRom(entry: EntryState): Uint8Array {
  const rom = new Uint8Array(ROM_SIZE).fill(0xf4);
  let at = 0;
  const emit = (...bytes: number[]) => {
    rom.set(bytes, at);
    at += bytes.length;
  };
  const u16 = (value: number) => [value & 0xff, (value >> 8) & 0xff];
  const u32 = (value: number | bigint) => {
    const word = Number(BigInt.asUintN(32, BigInt(value)));
    return [...u16(word & 0xffff), ...u16(word >>> 16)];
  };
  const [gdt, gdtr, finalGdtr, code32] = [0x800, 0x840, 0x850, 0x100];
  // 16 bits: a GDT of flat segments, then protected mode.
  emit(0xfa); // cli
  emit(0x2e, 0x66, 0x0f, 0x01, 0x16, ...u16(gdtr)); // lgdt cs:[gdtr]
  emit(0x66, 0xb8, ...u32(0x11), 0x0f, 0x22, 0xc0); // mov eax, PE | ET; mov cr0, eax
  emit(0x66, 0xea, ...u32(ROM_BASE + code32), ...u16(8)); // jmp 8:code32
  at = code32;
  emit(0x66, 0xb8, ...u16(0x10), 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0); // ds, es, ss = 0x10
  emit(0xb8, ...u32(entry.cr4), 0x0f, 0x22, 0xe0);
  emit(0xb8, ...u32(entry.cr3), 0x0f, 0x22, 0xd8);
  if (entry.efer) emit(0xb9, ...u32(0xc000_0080), 0x31, 0xd2, 0xb8, ...u32(entry.efer & 0x100), 0x0f, 0x30); // wrmsr LME
  emit(0xb8, ...u32(entry.cr0), 0x0f, 0x22, 0xc0);
  emit(0x0f, 0x01, 0x15, ...u32(ROM_BASE + finalGdtr)); // lgdt [finalGdtr]
  for (const [name, modrm] of [
    ['es', 0xc0],
    ['ss', 0xd0],
    ['ds', 0xd8],
    ['fs', 0xe0],
    ['gs', 0xe8],
  ] as const) {
    emit(0x66, 0xb8, ...u16(entry.segments[name].selector), 0x8e, modrm);
  }
  const order = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'] as const;
  order.forEach((name, index) => {
    emit(0xb8 + index, ...u32(entry.registers[name]));
  });
  emit(0xea, ...u32(entry.rip), ...u16(entry.segments.cs.selector));
  const descriptors = [0n, 0x00cf9b000000ffffn, 0x00cf93000000ffffn];
  const view = new DataView(rom.buffer);
  descriptors.forEach((descriptor, index) => {
    view.setBigUint64(gdt + 8 * index, descriptor, true);
  });
  rom.set([...u16(23), ...u32(ROM_BASE + gdt)], gdtr);
  rom.set([...u16(entry.gdtr.limit), ...u32(entry.gdtr.base)], finalGdtr);
  // Reset vector: a near jump keeps the code segment's base at the top of the address space.
  rom.set([0xe9, ...u16(0x1_0000 - 0xfff3)], 0xfff0);
  return rom;
}

/** Run until the guest ends or `seconds` are over; returns what it wrote to the first serial port. */
export function runOnQemu(image: BootImage, memoryMiB: number, seconds: number, more: string[] = []): string {
  const directory = mkdtempSync(join(tmpdir(), 'vmreplay-qemu-'));
  try {
    const rom = join(directory, 'rom');
    writeFileSync(rom, entryRom(image.entry));
    const args = ['-M', 'pc', '-nodefaults', '-display', 'none', '-accel', 'tcg', '-no-reboot', '-serial', 'stdio'];
    args.push('-m', String(memoryMiB), '-bios', rom, ...more);
    image.segments.forEach((segment, index) => {
      if (segment.data.length === 0) return;
      const file = join(directory, `segment${index}`);
      writeFileSync(file, segment.data);
      args.push('-device', `loader,file=${file},addr=0x${segment.address.toString(16)},force-raw=on`);
    });
    const run = spawnSync('qemu-system-x86_64', args, { timeout: seconds * 1000, encoding: 'utf8' });
    return run.stdout + run.stderr;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
