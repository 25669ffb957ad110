// Option ROMs of the user's, in words: what is wrong with one is said by name before the guest runs, and when a run ends
// inside of one, it is said which, and where. Looking leaves no trace in the machine.

import { checkOptionRom } from '../boot/option-rom.js';
import type { RunEnd } from '../cpu/bus.js';
import type { Cpu } from '../cpu/cpu.js';
import * as L from '../cpu/layout.js';
import { peekMemory } from '../cpu/peek.js';
import { CR0_PE, VM } from '../cpu/state.js';
import type { ImageFile } from './images.js';

/** Where a BIOS puts option ROMs, on multiples of 2 KiB. */
const FIRST = 0xc_0000;
const END = 0xf_0000;
const STEP = 2048;
/** Enough of a ROM to tell it from another. */
const COMPARED = 64;

/** A sentence for each finding. */
export function romWarnings(roms: readonly ImageFile[]): string[] {
  return roms.flatMap(({ name, bytes }) =>
    checkOptionRom(bytes).map(({ offset, text }) => `${name}: option ROM, offset 0x${offset.toString(16)}: ${text}`),
  );
}

/**
 * Which option ROM the processor is in at the end of a run that did not end well.
 * @param roms all that the firmware was given
 */
export function romOfEnd(cpu: Cpu, end: RunEnd, roms: readonly ImageFile[]): string | undefined {
  if (!['max-cycles', 'interrupted', 'triple-fault', 'halted'].includes(end.reason)) return undefined;
  const { state } = cpu;
  const realMode = (state.cr0 & CR0_PE) === 0 || (state.eflags & VM) !== 0;
  const at = Number(state.base(L.CS) + (state.rip & 0xffffn));
  if (!realMode || at < FIRST || at >= END) return undefined;
  const found = findRom(cpu, at, roms);
  if (!found) return undefined;
  const { rom, start } = found;
  const name = rom ? `option ROM ${rom.name}` : `the option ROM at 0x${start.toString(16)}`;
  return `the run ended inside ${name}, at its offset 0x${(at - start).toString(16)}`;
}

/** The option ROM that an address lies in, if it is one of these. @param at linear address */
export function romAt(cpu: Cpu, at: number, roms: readonly ImageFile[]): { name: string; offset: number } | undefined {
  const found = at >= FIRST && at < END ? findRom(cpu, at, roms) : undefined;
  return found?.rom && { name: found.rom.name, offset: at - found.start };
}

function findRom(
  cpu: Cpu,
  at: number,
  roms: readonly ImageFile[],
): { rom: ImageFile | undefined; start: number } | undefined {
  for (let start = at - (at % STEP); start >= FIRST; start -= STEP) {
    const head = peekMemory(cpu.state, cpu.physical, BigInt(start), COMPARED);
    if (head[0] !== 0x55 || head[1] !== 0xaa) continue;
    const rom = roms.find(({ bytes }) => head.every((byte, i) => i >= bytes.length || byte === bytes[i]));
    return { rom, start };
  }
  return undefined;
}
