// The instruction that a byte of an option ROM belongs to. Code and data are mixed in a ROM and instructions have no
// fixed length, so the code is walked from the entries that the ROM declares (PCI Firmware 3.3, 5.2; Plug and Play BIOS
// 1.0A, 3.2): initialisation at 3, bootstrap vectors of the PnP header, and on along direct jumps and calls.
// What is reached through a table or a register only is not found.

import { codeStep, disassemble } from './disassemble.js';

const INIT = 3;
const PNP_POINTER = 0x1a;
const BOOT_CONNECTION = 0x16;
const BOOTSTRAP = 0x1a;
const MOST_INSTRUCTIONS = 0x4000;

/** The instruction's text, and where it begins; undefined when the byte is not known to be code. */
export function romInstruction(rom: Uint8Array, offset: number): { at: number; text: string } | undefined {
  const view = new DataView(rom.buffer, rom.byteOffset, rom.length);
  const word = (at: number) => (at + 2 <= rom.length ? view.getUint16(at, true) : 0);
  const header = word(PNP_POINTER);
  const isPnp = header !== 0 && Buffer.from(rom.subarray(header, header + 4)).toString('latin1') === '$PnP';
  const vectors = isPnp ? [word(header + BOOT_CONNECTION), word(header + BOOTSTRAP)].filter((at) => at !== 0) : [];
  const waiting = [INIT, ...vectors];
  const seen = new Set<number>();
  while (waiting.length > 0 && seen.size < MOST_INSTRUCTIONS) {
    let at = waiting.pop()!;
    while (at < rom.length && !seen.has(at) && seen.size < MOST_INSTRUCTIONS) {
      seen.add(at);
      const code = { bits: 16 as const, bytes: rom.subarray(at, at + 15) };
      const { length, target, goesOn } = codeStep(code, BigInt(at));
      if (length === 0) break;
      if (offset >= at && offset < at + length) return { at, text: disassemble(code, BigInt(at)).text };
      if (target !== undefined && target < BigInt(rom.length)) waiting.push(Number(target));
      if (!goesOn) break;
      at += length;
    }
  }
  return undefined;
}

/** What two versions of a ROM have at the first byte that differs, in words. */
export function romDifference(a: Uint8Array, b: Uint8Array): string | undefined {
  const at = a.findIndex((byte, i) => byte !== b[i]);
  if (at < 0) return undefined;
  const [p, q] = [romInstruction(a, at), romInstruction(b, at)];
  if (!p || !q) return undefined;
  const where = `0x${Math.min(p.at, q.at).toString(16)}`;
  return `the code at offset ${where} is ${p.text} in A, ${q.text} in B`;
}
