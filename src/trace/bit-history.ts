// Bit histories: what the mixing coder remembers of a context in one byte, namely how many zeros and ones followed it
// (roughly, once they are many) and, where both did, which came last. A bit counts its own kind up and cuts the other
// kind down, so that a history forgets. The table is part of the format; FORMAT.md, section "Mixing coder".

/** Counts that are told apart. */
const LEVELS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 17, 20, 24, 28, 33, 40, 47];
/** The larger count at most, by the smaller one. */
const LARGEST = [47, 31, 19, 12, 9, 7, 6];

interface History {
  readonly zeros: number;
  readonly ones: number;
  readonly last: number;
}

const exists = (a: number, b: number): boolean => Math.max(a, b) <= (LARGEST[Math.min(a, b)] ?? -1);
const above = (n: number): number => LEVELS[Math.min(LEVELS.indexOf(n) + 1, LEVELS.length - 1)]!;
const below = (n: number): number => LEVELS[LEVELS.indexOf(n) - 1]!;
/** What is left of a count when the other bit came. */
const cut = (n: number): number => (n > 25 ? 9 : n > 15 ? 8 : n > 10 ? 7 : n > 7 ? 6 : Math.min(n, 5));

const lastOf = (zeros: number, ones: number, bit: number): number => (zeros && ones ? bit : zeros || !ones ? 0 : 1);
const keyOf = (zeros: number, ones: number, last: number): string => `${zeros},${ones},${last}`;

export interface BitHistories {
  /** Number of histories; 0 is the empty one. */
  readonly states: number;
  /** The history after a bit: index is history × 2 + bit. */
  readonly nextState: Uint8Array;
  /** What a history is taken to say at first: the probability of a one, of 65536. */
  stateProbability(state: number): number;
}

let made: BitHistories | undefined;

/** All histories, made when they are first asked for. */
export function bitHistories(): BitHistories {
  made ??= makeHistories();
  return made;
}

function makeHistories(): BitHistories {
  const histories: History[] = [];
  const numbers = new Map<string, number>();
  // By what they hold, so that the number says how much is lost when a history is dropped.
  for (let sum = 0; sum < 100; sum++) {
    for (const zeros of LEVELS) {
      const ones = sum - zeros;
      if (!LEVELS.includes(ones) || !exists(zeros, ones)) continue;
      for (const last of zeros && ones ? [0, 1] : [lastOf(zeros, ones, 0)]) {
        numbers.set(keyOf(zeros, ones, last), histories.length);
        histories.push({ zeros, ones, last });
      }
    }
  }
  const nextState = new Uint8Array(512);
  histories.forEach(({ zeros, ones }, state) => {
    for (const bit of [0, 1]) {
      let a = bit ? cut(zeros) : above(zeros);
      let b = bit ? above(ones) : cut(ones);
      while (!exists(a, b)) {
        if (a > b || (a === b && bit)) a = below(a);
        else b = below(b);
      }
      nextState[state * 2 + bit] = numbers.get(keyOf(a, b, lastOf(a, b, bit)))!;
    }
  });
  return {
    states: histories.length,
    nextState,
    stateProbability: (state) => {
      const { zeros, ones } = histories[state]!;
      return Math.floor((65535 * (5 * ones + 2)) / (5 * (zeros + ones) + 4));
    },
  };
}
