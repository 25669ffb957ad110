// Which events of two traces are compared: those that `only` and `ignore` name. It remembers what no event is named, since
// a comparison of nothing finds no difference.

import { isNamed } from '../trace/event-view.js';
import type { TraceEvent } from '../trace/events.js';
import type { Meaning } from '../trace/semantic/semantics.js';
import type { Phase } from './phases.js';

export interface Filter {
  /** Kinds, devices, phases or fw_cfg items to compare; all when empty. */
  readonly only?: readonly string[] | undefined;
  /** The same, to leave out. `timing`: when things happen and where the code that does them lies. */
  readonly ignore?: readonly string[] | undefined;
}

export class EventFilter {
  readonly ignoresTiming: boolean;
  readonly #only: readonly string[];
  /** Without `timing`. */
  readonly #ignore: readonly string[];
  readonly #unseen: Set<string>;

  constructor({ only = [], ignore = [] }: Filter) {
    this.ignoresTiming = ignore.includes('timing');
    this.#only = only;
    this.#ignore = ignore.filter((name) => name !== 'timing');
    this.#unseen = new Set([...this.#only, ...this.#ignore]);
  }

  /** Whether events are looked at by name. */
  get hasNames(): boolean {
    return this.#only.length > 0 || this.#ignore.length > 0;
  }

  /** Names that no event had so far. */
  get unseen(): readonly string[] {
    return [...this.#unseen];
  }

  passes(event: TraceEvent, meaning: Meaning, phase: Phase): boolean {
    const is = (name: string) => isNamed(event, meaning, name) || name === phase || isItem(meaning, name);
    for (const name of this.#unseen) if (is(name)) this.#unseen.delete(name);
    return (this.#only.length === 0 || this.#only.some(is)) && !this.#ignore.some(is);
  }
}

/** Whether an event is a transfer of the fw_cfg item of that name. */
const isItem = ({ device, register }: Meaning, name: string): boolean => device === 'fw_cfg' && register === name;
