// The phases of a boot, told from what a trace says of the processor: milestones, hand-off records, resets, and where
// the code lies that makes an event. No guest is recognised by what it does.
//
//   reset          from power-on to protected mode, firmware only
//   POST           firmware's own code afterwards
//   option ROM     code at 0xc0000 to 0xdffff
//   loader         code below 0xa0000 before a kernel is entered: boot sectors and what they load. A firmware's own
//                  code above 1 MiB is POST until then.
//   decompression  from the entry of a kernel by a Linux protocol to the first event of code in the upper half of the
//                  address space
//   kernel         a kernel's own code; by PVH and Multiboot from its entry on
//   user           from the first instruction of user mode on, with the kernel's work for it

import type { EventSymbol } from '../trace/event-block.js';
import type { TraceHeader } from '../trace/header.js';

export const PHASES = ['reset', 'post', 'option-rom', 'loader', 'decompression', 'kernel', 'user'] as const;
export type Phase = (typeof PHASES)[number];

/** How people call them. */
export const PHASE_NAMES: Readonly<Record<Phase, string>> = {
  reset: 'reset',
  post: 'POST',
  'option-rom': 'option ROM',
  loader: 'loader',
  decompression: 'kernel decompression',
  kernel: 'kernel',
  user: 'user',
};

const [RESET, POST, OPTION_ROM, LOADER, DECOMPRESSION, KERNEL, USER] = [0, 1, 2, 3, 4, 5, 6] as const;

/** What an event says about the phase; 0 is nothing. */
const Hint = {
  none: 0,
  reset: 1,
  protectedMode: 2,
  bios: 3,
  optionRom: 4,
  lowCode: 5,
  highCode: 6,
  linux: 7,
  kernel: 8,
  user: 9,
} as const;

const UPPER_32 = 0xc000_0000n;
const UPPER_64 = 1n << 63n;

/** The hint of a symbol, the same for all its events. */
export function phaseHint({ layout, name, cs, rip }: EventSymbol): number {
  switch (layout.row.kind) {
    case 'handoff':
      return name.startsWith('linux') ? Hint.linux : Hint.kernel;
    case 'milestone':
      return name === 'user-mode' ? Hint.user : name === 'protected-mode' ? Hint.protectedMode : Hint.none;
    case 'stop':
      return name === 'reset' ? Hint.reset : Hint.none;
    default:
      return layout.row.sited ? placeHint(cs, rip) : Hint.none;
  }
}

function placeHint(cs: number, rip: bigint): number {
  if (rip >= UPPER_64) return Hint.highCode;
  if (cs >= 0x100 && rip <= 0xffffn) {
    // A selector this large is a real-mode segment.
    const linear = cs * 16 + Number(rip);
    return linear < 0xa_0000
      ? Hint.lowCode
      : linear < 0xc_0000
        ? Hint.none
        : linear < 0xe_0000
          ? Hint.optionRom
          : Hint.bios;
  }
  if (rip >= UPPER_32 && rip < 0xfe00_0000n) return Hint.highCode;
  if (rip < 0xa_0000n) return Hint.lowCode;
  if (rip < 0xc_0000n) return Hint.none;
  return rip < 0xe_0000n ? Hint.optionRom : rip < 0x10_0000n ? Hint.bios : Hint.none;
}

/** Follows one trace through its phases. */
export class PhaseTracker {
  #phase: number;

  constructor({ route }: Pick<TraceHeader, 'route'>) {
    this.#phase = route === 'firmware' ? RESET : route.startsWith('linux') ? DECOMPRESSION : KERNEL;
  }

  get phase(): Phase {
    return PHASES[this.#phase]!;
  }

  /** An event with this hint came. */
  follow(hint: number): void {
    const phase = this.#phase;
    switch (hint) {
      case Hint.reset:
        this.#phase = RESET;
        break;
      case Hint.protectedMode:
        if (phase === RESET) this.#phase = POST;
        break;
      case Hint.optionRom:
        if (phase < LOADER) this.#phase = OPTION_ROM;
        break;
      case Hint.bios:
        if (phase === OPTION_ROM) this.#phase = POST;
        break;
      case Hint.lowCode:
        if (phase === POST || phase === OPTION_ROM) this.#phase = LOADER;
        break;
      case Hint.highCode:
        if (phase === DECOMPRESSION) this.#phase = KERNEL;
        break;
      case Hint.linux:
        if (phase < KERNEL) this.#phase = DECOMPRESSION;
        break;
      case Hint.kernel:
        if (phase < KERNEL) this.#phase = KERNEL;
        break;
      case Hint.user:
        this.#phase = USER;
        break;
      default:
    }
  }
}
