// What a comparison says: plain data, the JSON of `vmreplay diff --json`. schemas/diff-1.json describes it, and a test
// holds the two together. Fields are added within a version; what changes or goes makes a new one.

import type { EventField } from '../replay/divergence.js';
import type { EventView } from '../trace/event-view.js';
import type { HandoffDifference } from '../trace/handoff.js';
import type { DifferenceGroup } from './difference-groups.js';
import type { HeaderDifference, MemoryDifference } from './headers.js';
import type { Phase } from './phases.js';
import type { ReportSite } from './site.js';

export const EXPLANATION_VERSION = 1;

/**
 * `equal`: nothing that is compared differs. `retimed`: the same things happened at other times, and nothing else.
 * `diverged`: something else happened. `cut`: no difference as far as a recording that was cut off goes.
 */
export type Verdict = 'equal' | 'retimed' | 'diverged' | 'cut';

/** The first event that differs; a side is null when its trace has ended. */
export interface FirstDifference {
  readonly a: EventView | null;
  readonly b: EventView | null;
  readonly siteA: ReportSite | null;
  readonly siteB: ReportSite | null;
  readonly phaseA: Phase | null;
  readonly phaseB: Phase | null;
  readonly fields: readonly EventField[];
  /** Structure field or byte in which the data of the two differ first. */
  readonly detail?: string;
  readonly before: readonly EventView[];
  readonly afterA: readonly EventView[];
  readonly afterB: readonly EventView[];
}

/** A periodic state hash that differed before any event did. */
export interface StateDifference {
  readonly index: number;
  /** The machine states agreed at this cycle (0: at entry) … */
  readonly agreedAt: number;
  /** … and no longer at this one. */
  readonly differAt: number;
}

/** What a cause is a matter of. */
export type CauseKind =
  | 'image'
  | 'option'
  | 'fw_cfg'
  | 'structure'
  | 'code'
  | 'device'
  | 'input'
  | 'processor'
  | 'timing'
  | 'unknown';

/** Why the two boots part, as far as the traces tell. */
export interface Cause {
  readonly kind: CauseKind;
  /** One sentence for people. */
  readonly text: string;
  /** What is to be looked at: an fw_cfg item, a structure's field, a register, an image, an option. */
  readonly subject: string;
  /** Where it begins to matter; null when nothing of the guest's shows it. */
  readonly phase: Phase | null;
  /** The function it happens in, where a symbol is known. */
  readonly symbol: string | null;
}

/** One step from the first divergence back to its cause. */
export interface ChainLink {
  /**
   * `event` what was seen, `instruction` the first that did something else, `code` bytes of the program that differ,
   * `writer` who wrote the bytes that it read, `source` where those come from.
   */
  readonly role: 'event' | 'instruction' | 'code' | 'writer' | 'source';
  readonly text: string;
  /** Cycle in A and in B, where it has one. */
  readonly cycleA: number | null;
  readonly cycleB: number | null;
  readonly siteA: ReportSite | null;
  readonly siteB: ReportSite | null;
}

/** Two tables side by side. */
export interface ComparedTable {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly {
    readonly mark: '=' | '!' | '-' | '+';
    readonly a: readonly string[] | null;
    readonly b: readonly string[] | null;
  }[];
}

/** How time went, where the same things happened. */
export interface Retiming {
  /** Pairs of events that agree and came after another delay than the pair before. */
  readonly shifts: number;
  /** Cycles by which B is behind A after the first shift, and at the end; negative when it is ahead. */
  readonly first: number;
  readonly last: number;
}

/** What differs at one register of one device. */
export interface RegisterCount {
  readonly device: string;
  readonly register: string;
  /** Same access, another value. */
  changed: number;
  onlyA: number;
  onlyB: number;
}

/** Behind the first divergence. */
export interface Remainder {
  /** Pairs that agree; of these, `shifted` came after another delay than before. */
  readonly equal: number;
  readonly shifted: number;
  readonly changed: number;
  readonly onlyA: number;
  readonly onlyB: number;
  /** Events that both have at another place in the order. */
  readonly moved: number;
  /** Times that the traces were brought together again. */
  readonly resyncs: number;
  readonly registers: readonly RegisterCount[];
}

export interface Explanation {
  readonly version: typeof EXPLANATION_VERSION;
  readonly verdict: Verdict;
  /** The exit status is 0. */
  readonly same: boolean;
  /** What A and B are called, as a rule by their files. */
  readonly names: readonly [string, string];
  readonly cause: Cause | null;
  readonly header: readonly HeaderDifference[];
  readonly memory: MemoryDifference | null;
  readonly state: StateDifference | null;
  readonly first: FirstDifference | null;
  /** From the first divergence back to its cause. */
  readonly chain: readonly ChainLink[];
  /** With `only: ['handoff']`: the fields that differ, and nothing else is compared. */
  readonly handoff: readonly HandoffDifference[] | null;
  /** Memory maps, ACPI tables and boot structures in which the two differ. */
  readonly tables: readonly ComparedTable[];
  /** What differs, folded, in the order of its first appearance. */
  readonly groups: readonly DifferenceGroup[];
  /** Null when nothing came at another time. */
  readonly timing: Retiming | null;
  /** Events that agree before the first difference. */
  readonly agreed: number;
  readonly rest: Remainder | null;
  /** The recording that was cut off and so ended the comparison. */
  readonly cut: 'a' | 'b' | 'both' | null;
  /** One sentence for each recording that was cut off, each name asked for that no event has, and what could not be looked into. */
  readonly notes: readonly string[];
}
