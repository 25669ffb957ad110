// What LZMA's encoder and decoder agree on: the groups of adaptive probabilities, as indexes of one array, and the states
// of the machine that they depend on. The "LZMA specification" of its author has the names.
//
// Invariant: a probability is that of a 0, in 1/2048; each begins at one half.

export const STATES = 12;
export const POSITIONS = 16;
export const HALF = 1024;

export const IS_MATCH = 0;
export const IS_REP = IS_MATCH + STATES * POSITIONS;
export const IS_REP0 = IS_REP + STATES;
export const IS_REP1 = IS_REP0 + STATES;
export const IS_REP2 = IS_REP1 + STATES;
export const IS_REP0_LONG = IS_REP2 + STATES;
export const DISTANCE_SLOT = IS_REP0_LONG + STATES * POSITIONS;
export const DISTANCE_SPECIAL = DISTANCE_SLOT + 4 * 64;
export const DISTANCE_ALIGN = DISTANCE_SPECIAL + 128;
/** A length: choice, choice 2, 16 trees of 3 bits, 16 of 3, one of 8. */
export const LENGTH_LOW = 2;
export const LENGTH_MIDDLE = LENGTH_LOW + POSITIONS * 8;
export const LENGTH_HIGH = LENGTH_MIDDLE + POSITIONS * 8;
export const LENGTH_SIZE = LENGTH_HIGH + 256;
export const MATCH_LENGTH = DISTANCE_ALIGN + 16;
export const REP_LENGTH = MATCH_LENGTH + LENGTH_SIZE;
/** Literals, LITERAL_SIZE of them for each context. */
export const LITERAL = REP_LENGTH + LENGTH_SIZE;
export const LITERAL_SIZE = 0x300;

/** The state behind a literal, a match, a repeated distance, one byte at the last distance. */
export const afterLiteral = (state: number): number => (state < 4 ? 0 : state < 10 ? state - 3 : state - 6);
export const afterMatch = (state: number): number => (state < 7 ? 7 : 10);
export const afterRep = (state: number): number => (state < 7 ? 8 : 11);
export const afterShortRep = (state: number): number => (state < 7 ? 9 : 11);
