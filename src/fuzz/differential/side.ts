// One of two boots that are given the same structure: a machine at a snapshot, from which each case runs to the first
// instruction of the kernel that is handed over to, where the hand-off is read as recordings have it. A direct boot hands
// over at cycle 0; a guest that is a loader itself says with --handoff-at where it enters its kernel.
// Invariant: what a case arrives at follows from its bytes alone.

import type { BootOptions } from '../../api/options.js';
import { UserError } from '../../api/user-error.js';
import type { HandoffProtocol } from '../../boot/route.js';
import { decodeHandoff, encodeHandoff, type HandoffView, handoffFields } from '../../trace/handoff.js';
import { type FreshMachine, runToFirstRead } from '../first-read.js';
import { MachineSnapshot } from '../machine-snapshot.js';
import { makeMachine } from '../stand.js';
import type { Target } from '../target.js';
import { findTarget, putInPlace } from '../targets.js';

/** Cycles within which a boot must come to its hand-off, as it is; of a case, several times what the boot took. */
const BOOT_LIMIT = 4_000_000_000;
const BASE_CYCLES = 2_000_000;
const LONGER = 8;

/** Where a case came to. */
export interface Arrival {
  /** Every field of the hand-off by its path, or how the boot ended without one. */
  readonly fields: ReadonlyMap<string, string>;
  readonly handoff?: HandoffView;
  /** Boundary at which it ended. */
  readonly cycle: number;
}

export class Side {
  readonly target: Target;
  readonly start: number;
  /** No firmware runs before the hand-off. */
  readonly isDirect: boolean;
  readonly #machine: FreshMachine;
  readonly #snapshot: MachineSnapshot;
  readonly #limit: number;
  /** Of the boot as it is. */
  readonly usual: Arrival;
  cycles = 0;

  /**
   * @param name of the target @param which for messages
   * @param by of the hand-offs of a boot through firmware the one by this protocol
   * @throws UserError when this boot does not hand over
   */
  constructor(name: string, boot: BootOptions, which: string, caseCycles?: number, by?: HandoffProtocol) {
    const first = makeMachine(boot, undefined);
    this.isDirect = first.guest.boot.route !== 'firmware';
    // What a guest's own loader enters is where the user says.
    const protocol = boot.handoffAt?.length ? 'any' : this.isDirect ? undefined : by;
    const make = () => makeMachine(boot, protocol);
    this.target = findTarget(name, first.guest);
    const { place } = this.target;
    if (place.in === 'hand-off') throw new Error('a structure that is known before its hand-off');
    const atOnce = this.isDirect && !boot.handoffAt?.length;
    this.#machine = atOnce ? first : runToFirstRead(make, place, boot.maxCycles ?? BOOT_LIMIT);
    const { cpu, pc } = this.#machine.guest;
    this.#machine.entry.watch();
    // Where the kernel is entered is known: setup code's own way into protected mode is none.
    if (this.#machine.entry.points.length > 0) cpu.onFarJump = undefined;
    this.#snapshot = new MachineSnapshot(cpu, pc);
    this.start = cpu.now;
    this.#limit = boot.maxCycles ?? BOOT_LIMIT;
    this.usual = this.#arrive();
    this.#snapshot.restore();
    if (!this.usual.handoff)
      throw new UserError(
        `${which} does not come to a hand-off (${[...this.usual.fields.values()].join()}); say with --handoff-at where its kernel is entered`,
      );
    this.#limit = caseCycles ?? LONGER * (this.usual.cycle - this.start) + BASE_CYCLES;
  }

  /** Room that the structure has here. */
  get room(): number {
    const { place } = this.target;
    return place.in === 'memory' ? place.room : Number.POSITIVE_INFINITY;
  }

  /** Where a boot with this structure comes to. */
  run(bytes: Uint8Array): Arrival {
    putInPlace(this.#machine.guest, this.target.place, bytes, this.#machine.disks);
    const arrival = this.#arrive();
    this.cycles = arrival.cycle - this.start;
    this.#snapshot.restore();
    return arrival;
  }

  hash(): string {
    return this.#snapshot.hash();
  }

  #arrive(): Arrival {
    const { guest, entry } = this.#machine;
    const { cpu } = guest;
    entry.begin();
    const end = entry.run(this.start + this.#limit);
    const cycle = cpu.now;
    if (end !== 'entered') {
      const how = end.reason === 'until-cycle' ? 'none within the limit' : end.reason;
      return { fields: new Map([['end', how]]), cycle };
    }
    const { state } = cpu;
    const at = { cycle, cs: state.selector(1), rip: state.rip };
    const handoff = decodeHandoff(encodeHandoff(entry.record()), at);
    return { fields: handoffFields(handoff), handoff, cycle };
  }
}
