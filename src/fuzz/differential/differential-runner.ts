// Differential fuzzing: each structure on two machines, by two routes or through two builds of a loader. What is handed
// over to the kernel must agree, but for fields that are a route's own (route-fields.ts). Who is right is not asked.
// Invariant: a verdict follows from the structure alone, as of any runner of cases.

import type { BootOptions } from '../../api/options.js';
import { UserError } from '../../api/user-error.js';
import { HANDOFF_PROTOCOLS, type HandoffProtocol } from '../../boot/route.js';
import { type HandoffDifference, NO_FIELD } from '../../trace/handoff.js';
import type { RunnerOptions } from '../options.js';
import type { Structure } from '../structure.js';
import type { Target } from '../target.js';
import type { Verdict } from '../verdict.js';
import { ownReason } from './route-fields.js';
import { type Arrival, Side } from './side.js';

/** The second boot of a differential campaign. */
export interface Against {
  readonly boot: BootOptions;
  /** Fields of the hand-off that may differ, beside those that are a route's own; `*` stands for any text. */
  readonly mayDiffer?: readonly string[];
}

/** Differences that a line tells of. */
const TOLD = 4;

export class DifferentialRunner {
  readonly target: Target;
  readonly start: number;
  /** Two machines note no edges. */
  readonly coverage = undefined;
  readonly #a: Side;
  readonly #b: Side;
  readonly #mayDiffer: readonly string[];
  readonly #sameRoute: boolean;

  /** @throws UserError when a boot has no such structure or no hand-off, or the two do not agree as they are */
  constructor(name: string, boot: BootOptions, { boot: other, mayDiffer = [] }: Against, options: RunnerOptions = {}) {
    const { caseCycles } = options;
    const first = (by?: HandoffProtocol) => new Side(name, boot, 'the first boot', caseCycles, by);
    const second = (by?: HandoffProtocol) => new Side(name, other, 'the boot of --against', caseCycles, by);
    // Firmware may enter a kernel twice, its setup code and then itself: a direct boot says which is meant.
    const direct = directRoute(other);
    [this.#a, this.#b] = direct ? [first(direct), second()] : sidesFrom(first(), second);
    this.#mayDiffer = mayDiffer;
    const route = ({ usual }: Side) => usual.handoff?.route;
    this.#sameRoute = route(this.#a) === route(this.#b);
    const [x, y] = [this.#a.target.place, this.#b.target.place];
    // Pointers in a structure are made for where it lies.
    if (
      x.in === 'memory' &&
      y.in === 'memory' &&
      x.address !== y.address &&
      !['cmdline', 'initrd', 'elf'].includes(name)
    )
      throw new UserError(
        `${name}: it lies at 0x${x.address.toString(16)} in one boot and at 0x${y.address.toString(16)} in the other; choose boots that put it at the same address`,
      );
    const room = Math.min(this.#a.room, this.#b.room);
    const { arbitrary, ...target } = this.#a.target;
    this.target = { ...target, arbitrary: arbitrary.filter((one) => one.encode().length <= room) };
    this.start = this.#a.start;
    const as = this.#differences(this.#a.usual, this.#b.usual);
    if (as.length > 0)
      throw new UserError(
        `the two boots hand over different things as they are: ${told(as)}; compare boots that agree, or name the fields with --may-differ`,
      );
  }

  /** What the last case took, of both machines. */
  get cycles(): number {
    return this.#a.cycles + this.#b.cycles;
  }

  /** Hash of both snapshots' states. */
  hash(): string {
    return `${this.#a.hash()} ${this.#b.hash()}`;
  }

  run(structure: Structure<unknown>): Verdict | undefined {
    const bytes = structure.encode();
    const [a, b] = [this.#a.run(bytes), this.#b.run(bytes)];
    const fields = this.#differences(a, b);
    if (fields.length === 0) return undefined;
    const against = { cycle: recordedAt(b), fields };
    const site = a.handoff ? Number(BigInt.asUintN(48, BigInt(a.handoff.rip))) : 0;
    return {
      oracle: 'disagreement',
      site,
      detail: told(fields),
      cycle: recordedAt(a),
      against,
    };
  }

  /** Fields that differ and may not, in the order of the record. */
  #differences({ fields: a }: Arrival, { fields: b }: Arrival): HandoffDifference[] {
    const names = [...a.keys(), ...[...b.keys()].filter((name) => !a.has(name))];
    const found: HandoffDifference[] = [];
    // A boot that hands nothing over is one difference, not one of each field.
    const ends = a.has('end') || b.has('end');
    for (const field of ends ? ['end'] : names) {
      const [x, y] = [a.get(field) ?? NO_FIELD, b.get(field) ?? NO_FIELD];
      if (x !== y && ownReason(field, this.#sameRoute, this.#mayDiffer) === undefined)
        found.push({ field, a: x, b: y });
    }
    return found;
  }
}

/** The route that a boot's options name, if it is one without firmware. */
function directRoute({ boot }: BootOptions): HandoffProtocol | undefined {
  return HANDOFF_PROTOCOLS.find((protocol) => protocol === boot);
}

/** Both sides, the second by the protocol of a direct first. */
function sidesFrom(a: Side, second: (by?: HandoffProtocol) => Side): [Side, Side] {
  const protocol = HANDOFF_PROTOCOLS.find((one) => one === a.usual.handoff?.protocol);
  return [a, second(a.isDirect ? protocol : undefined)];
}

/** A hand-off is recorded with the first instruction behind it. */
const recordedAt = ({ handoff, cycle }: Arrival): number => (handoff ? cycle + 1 : cycle);

/** Differences for people, in a line. */
function told(fields: readonly HandoffDifference[]): string {
  const some = fields.slice(0, TOLD).map(({ field, a, b }) => `${field} ${short(a)} against ${short(b)}`);
  const more = fields.length - some.length;
  return [...some, ...(more > 0 ? [`${more} more`] : [])].join(', ');
}

const short = (text: string): string => (text.length > 60 ? `${text.slice(0, 59)}…` : text);
