// A guest that reads its start information, is busy for four cycles times a count without it, and follows the address of
// the map that it read: protected mode, no paging, interrupts off. What it worked out lies at 0x101000.

import { writeFileSync } from 'node:fs';
import { elfFile } from '../../boot/guest-builder.js';

const BASE = 0x10_0000;
const u32 = (value: number): number[] => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];

export function writeBusyGuest(file: string, count: number): void {
  const code = Uint8Array.of(
    ...[0x8b, 0x43, 0x28], // mov eax, [ebx+0x28]: the map's address
    ...[0xa3, ...u32(BASE + 0x1000)], // mov [0x101000], eax
    ...[0x31, 0xd2], // xor edx, edx
    ...[0xb9, ...u32(count)], // mov ecx, count
    ...[0x01, 0xca], // again: add edx, ecx
    ...[0xd1, 0xc2], // rol edx, 1
    ...[0x49], // dec ecx
    ...[0x75, 0xf9], // jnz again
    ...[0x89, 0x15, ...u32(BASE + 0x1004)], // mov [0x101004], edx
    ...[0x8b, 0x35, ...u32(BASE + 0x1000)], // mov esi, [0x101000]
    ...[0x8b, 0x06], // mov eax, [esi]
    ...[0x03, 0x43, 0x30], // add eax, [ebx+0x30]: how many entries
    ...[0xa3, ...u32(BASE + 0x1008)], // mov [0x101008], eax
    ...[0xfa, 0xf4], // cli; hlt
  );
  const entry = { name: 'Xen', type: 18, description: Uint8Array.from(u32(BASE)) };
  const loads = [{ physical: BASE, data: code, memorySize: 0x2000 }];
  writeFileSync(file, elfFile({ bits: 32, machine: 3, loads, notes: [entry] }));
}
