// Two kinds of Fault that carry more than a vector and an error code.

import { DB, Fault } from '../state.js';

/** DR6 causes (SDM vol. 3A, 17.2.3). */
export const DR6_BD = 0x2000;
export const DR6_BS = 0x4000;
export const DR6_BT = 0x8000;

/** #DB with the DR6 bits that say why; they are or-ed into DR6 when it is delivered. */
export class DebugFault extends Fault {
  constructor(readonly dr6: number) {
    super(DB);
  }
}

/**
 * A fault that belongs to the new task after a task switch: the state is already that task's, and the instruction
 * that caused the switch is over (SDM vol. 3A, 7.3). It must be delivered at state.rip, never be restarted.
 */
export class CommittedFault extends Fault {
  /** DR6 bits when the fault is #DB. */
  readonly dr6: number;

  constructor(cause: Fault) {
    super(cause.vector, cause.errorCode, cause.address);
    this.dr6 = cause instanceof DebugFault ? cause.dr6 : 0;
  }
}
