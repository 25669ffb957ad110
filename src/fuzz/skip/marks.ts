// Instructions at which a case is stopped for a look, once each: the first time that it comes there. They are breakpoints
// that are set once and passed afterwards, so that decoded code stays as it is from case to case.

import type { Cpu } from '../../cpu/cpu.js';
import { peekTranslation } from '../../cpu/peek.js';

export class Marks {
  #all: readonly bigint[] = [];
  readonly #armed = new Set<bigint>();
  /** Marks that are no breakpoints any more, and the pages where they were. */
  readonly #cleared = new Map<bigint, number | undefined>();

  constructor(private readonly cpu: Cpu) {}

  /** Other marks from now on, none of them armed. Decoded code is dropped. */
  set(marks: readonly bigint[]): void {
    this.disarm();
    for (const mark of this.#all) this.cpu.clearBreakpoint(mark);
    this.#cleared.clear();
    this.#all = marks;
    for (const mark of marks) {
      this.cpu.setBreakpoint(mark);
      this.cpu.suspendBreakpoint(mark);
    }
    // Where a mark's page will be is not known as long as there is no paging.
    this.cpu.code.dropAll();
  }

  /** Before a case. */
  arm(): void {
    for (const [mark, page] of this.#cleared) {
      this.cpu.setBreakpoint(mark);
      if (page !== undefined) this.cpu.code.drop(page);
    }
    this.#cleared.clear();
    for (const mark of this.#all) {
      this.cpu.resumeBreakpoint(mark);
      this.#armed.add(mark);
    }
  }

  /** What is left of a case is not looked at. */
  disarm(): void {
    for (const mark of this.#armed) this.cpu.suspendBreakpoint(mark);
    this.#armed.clear();
  }

  /** The mark at which the processor stands, which is passed with that; undefined when it stands at none. */
  reached(): bigint | undefined {
    if (this.#armed.size === 0) return undefined;
    const here = this.cpu.state.linearIp;
    if (!this.#armed.delete(here)) return undefined;
    this.cpu.suspendBreakpoint(here);
    return here;
  }

  /**
   * What comes here again in this case, and to other pages at this offset, is not even passed: for a mark that was
   * reached, in a case that is executed from there on.
   */
  clear(mark: bigint): void {
    const { state, physical } = this.cpu;
    const at = peekTranslation(state, physical, mark);
    this.cpu.clearBreakpoint(mark);
    this.#cleared.set(mark, at === undefined ? undefined : Math.floor(at / 4096));
  }
}
