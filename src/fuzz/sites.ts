// What an instruction at fault is called, and how the guest came there. Functions are named by a file of symbols that was
// given, by the symbol table of the kernel's ELF file, or by the table that a Linux kernel carries for its own messages
// (unpacked when the first fault asks). Early code runs at physical addresses, before the kernel maps itself to where its
// symbols say: such an address is looked up where its segment will be. Firmware has no symbols: there an address is an
// offset in an option ROM or in the BIOS's file. Callers are guessed from the stack as the report does it.
// Invariant: names follow from the machine's state and the files. Looking changes nothing in the machine.

import type { Guest } from '../api/guest.js';
import { findImage, readImage } from '../api/images.js';
import { romAt } from '../api/option-roms.js';
import type { BootOptions } from '../api/options.js';
import { readSymbols } from '../api/symbol-files.js';
import { UserError } from '../api/user-error.js';
import { ImageError } from '../boot/boot-error.js';
import { isLinuxImage, parseLinuxImage, unpackKernel } from '../boot/bzimage.js';
import { isElf, loadSegments, parseElf } from '../boot/elf.js';
import { instructionPointer, ReturnAddresses } from '../report/return-addresses.js';
import { type FunctionAt, guessStack } from '../report/stack-guess.js';
import { type SymbolAt, SymbolTable } from '../trace/symbols.js';

/** Functions of a stack that tell one finding from another; what lies deeper is the way there, not the fault. */
const MOST_FRAMES = 16;
const [BIOS_LOW, ONE_MIB, FOUR_GIB] = [0xe_0000, 0x10_0000, 2 ** 32];

/** A site for people, as far as it is known. */
export interface SiteName {
  /** `name+0x12`, or `bios.bin+0x1234` for a byte of a file that is firmware. */
  readonly symbol?: string;
  /** Functions from the innermost outwards, the one at fault first; none where there are no symbols. */
  readonly stack?: readonly string[];
}

interface Moved {
  readonly physical: bigint;
  readonly virtual: bigint;
  readonly size: bigint;
}

export class Sites {
  readonly #guest: Guest;
  readonly #boot: BootOptions;
  readonly #given: SymbolTable | undefined;
  #own: { table: SymbolTable | undefined; moved: readonly Moved[] } | undefined;

  /** @param symbols a file that says more than the kernel does @throws UserError when it has none */
  constructor(guest: Guest, boot: BootOptions, symbols?: string) {
    this.#guest = guest;
    this.#boot = boot;
    this.#given = symbols === undefined ? undefined : readSymbols(symbols);
  }

  /** What a site is called, in a machine that stands there or just behind. @param site linear address */
  name(site: number): SiteName {
    const at = BigInt(site);
    const found = this.#lookup(at);
    if (!found) {
      const module = this.#module(site);
      return module === undefined ? {} : { symbol: module };
    }
    return { symbol: offsetText(found), stack: this.#stack(at).slice(0, MOST_FRAMES) };
  }

  #stack(site: bigint): string[] {
    const { cpu } = this.#guest;
    const { at, bits } = instructionPointer(cpu.state);
    // A stack of the machine is one of the site only while the machine is in the same function.
    const here = this.#functionAt(at);
    const there = this.#functionAt(site)!;
    if (bits === 16 || cpu.state.cpl === 3 || here?.name !== there.name) return [there.name];
    const words = new ReturnAddresses(cpu).from(at, bits);
    return guessStack(at, words, (address) => this.#functionAt(address)).map(({ name }) => name);
  }

  #functionAt(address: bigint): FunctionAt | undefined {
    const found = this.#lookup(address);
    return found && { name: found.name, start: address - BigInt(found.offset) };
  }

  #lookup(address: bigint): SymbolAt | undefined {
    // Sites are kept as their low 48 bits.
    const canonical = address >> 47n === 1n ? address | (0xffffn << 48n) : address;
    const own = this.#kernel();
    const moved = own.moved.find(({ physical, size }) => canonical >= physical && canonical < physical + size);
    for (const table of [this.#given, own.table]) {
      const found = table?.lookup(canonical) ?? (moved && table?.lookup(canonical - moved.physical + moved.virtual));
      if (found) return found;
    }
    return undefined;
  }

  /** The kernel's own symbols, looked for once. */
  #kernel(): { table: SymbolTable | undefined; moved: readonly Moved[] } {
    this.#own ??= kernelSymbols(this.#guest, this.#boot);
    return this.#own;
  }

  /** Firmware at an address: which file, and where in it. */
  #module(site: number): string | undefined {
    const { cpu, optionRoms, header, imageNames } = this.#guest;
    const rom = romAt(cpu, site, optionRoms);
    if (rom) return `${baseName(rom.name)}+0x${rom.offset.toString(16)}`;
    const bios = header.images.findIndex(({ role }) => role === 'bios');
    if (bios < 0) return undefined;
    const { size } = header.images[bios]!;
    const end = site >= BIOS_LOW && site < ONE_MIB ? ONE_MIB : FOUR_GIB;
    const offset = size - (end - site);
    return offset >= 0 && offset < size
      ? `${baseName(imageNames[bios] ?? 'bios')}+0x${offset.toString(16)}`
      : undefined;
  }
}

const baseName = (path: string): string => path.replace(/^.*\//, '');
const offsetText = ({ name, offset }: SymbolAt): string => `${name}+0x${offset.toString(16)}`;

function kernelSymbols({ boot: { symbols } }: Guest, { kernel }: BootOptions) {
  const table =
    symbols.length > 0 ? SymbolTable.of(symbols.map(({ address, name }) => [address, name] as const)) : undefined;
  if (kernel === undefined) return { table, moved: [] };
  try {
    const { bytes } = readImage('kernel', kernel);
    const moved = movedSegments(bytes);
    return { table: table ?? readSymbols(findImage('kernel', kernel)), moved };
  } catch (error) {
    // No symbols are no fault of the case.
    if (error instanceof UserError || error instanceof ImageError) return { table, moved: [] };
    throw error;
  }
}

/** Segments of a kernel that will run elsewhere than they are loaded. */
function movedSegments(bytes: Uint8Array): Moved[] {
  const file = isLinuxImage(bytes) ? unpackKernel(parseLinuxImage('kernel', bytes)) : bytes;
  if (!isElf(file)) return [];
  return loadSegments(parseElf('kernel', file))
    .map(({ physicalAddress, virtualAddress, memorySize }) => ({
      physical: BigInt(physicalAddress),
      virtual: BigInt(virtualAddress),
      size: BigInt(memorySize),
    }))
    .filter(({ physical, virtual }) => physical !== virtual);
}
