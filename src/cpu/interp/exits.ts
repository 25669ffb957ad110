// Why the interpreter returned to TypeScript (EXIT_REASON).

/** The next block costs more than the budget left; RIP is its first instruction. */
export const EXIT_BUDGET = 1;
/** No block is known for RIP (or a link wants one: LINK_PATCH). */
export const EXIT_MISS = 2;
/** EXIT_REQUEST was set; RIP is the next instruction. */
export const EXIT_REQUESTED = 3;
/** ABORT is set; ABORT_UOP is the record of the abandoned instruction. */
export const EXIT_ABORT = 4;
/** One instruction was executed alone and fell through; RIP is the next one. */
export const EXIT_STEPPED = 5;
