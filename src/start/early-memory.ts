// The processor's memory, made before the program is read. V8 marks its whole heap when a memory of more than 64 MiB is
// made, and copies its young objects twice: with a program in the heap that takes an eighth of a short boot's time, with
// nothing but Node's own there hardly any.
//
// The launcher guesses the size from the command line's words. Invariant: a memory is taken at exactly the size that is
// asked for, so a wrong guess costs time and nothing else. The slot is the process': launcher and program are two scripts,
// and each has a copy of this module.

import { EXTRA_ROM_PAGES, wasmPages } from '../cpu/layout.js';
import { KNOWN_V8, underFlags } from './v8-flags.js';

const SLOT = Symbol.for('vmreplay.early-memory');
const slot = globalThis as { [SLOT]?: WebAssembly.Memory | undefined };

const MIB = 0x10_0000;
/** What `--memory` is without. */
const USUAL = 128;
/** QEMU's firmware for a PC. */
const FIRMWARE = 0x4_0000;

/**
 * V8's flags meanwhile, and as they were: the collection is done on the spot, not beside what follows, and the next one when
 * there is a program's worth of objects. V8 waits until there are four times those that it found, and Node's own are few.
 */
const AT_ONCE = ['--no-incremental-marking', '--heap-growing-percent=1000'];
const USUALLY = ['--incremental-marking', '--heap-growing-percent=0'];

/** Make the memory that a boot with these words is likely to need. */
export function makeEarly(words: readonly string[]): void {
  try {
    const make = () => memoryOf(likelyPages(words));
    slot[SLOT] = KNOWN_V8 ? underFlags(AT_ONCE, USUALLY, make) : make();
  } catch {
    // There is no room, or no such size: the boot says so.
  }
}

/** A memory of so many pages of 64 KiB, the early one if it is of that size. */
export function takeMemory(pages: number): WebAssembly.Memory {
  const early = slot[SLOT];
  slot[SLOT] = undefined;
  return early?.buffer.byteLength === pages * 0x1_0000 ? early : memoryOf(pages);
}

const memoryOf = (pages: number): WebAssembly.Memory => new WebAssembly.Memory({ initial: pages, maximum: pages });

/** The pages of a PC with so much RAM; 0 where the words leave it open. */
export function likelyPages(words: readonly string[]): number {
  const value = (name: string): string | undefined => {
    const at = words.lastIndexOf(name);
    return at < 0 ? words.findLast((word) => word.startsWith(`${name}=`))?.slice(name.length + 1) : words[at + 1];
  };
  const [, count, unit] = /^(\d{1,4})([mg]?)$/i.exec(value('--memory') ?? `${USUAL}`) ?? [];
  if (count === undefined) return 0;
  const ram = Number(count) * (unit?.toLowerCase() === 'g' ? 1024 : 1) * MIB;
  const route = value('--boot') ?? (value('--bios') === undefined && value('--kernel') !== undefined ? '' : 'firmware');
  return wasmPages(ram, route === 'firmware' ? FIRMWARE + 4096 * EXTRA_ROM_PAGES : 0);
}
