// New inputs from old ones, as changes of their tapes: words, spans of words, two tapes joined, and operands of the
// guest's comparisons in the place of what they were compared with. The tape then is made into a structure by the same
// arbitrary, so that nothing here needs to know one.
//
// Invariant: a matter of the arguments alone. What a changed word means follows from what was drawn before it: the
// sooner it comes, the more of the structure is another one.

import type fc from 'fast-check';
import type { Comparison } from './edges.js';
import { MOST_WORDS, TapeArbitrary } from './tape.js';

/** Changes of one tape: one as a rule, more now and then. */
const MOST_CHANGES = 6;
const LONGEST_SPAN = 16;
const LAST_WORDS = 24;
/** Numbers at which a draw goes one way or the other; small ones are what chooses between cases. */
const WORDS = [
  0, 1, 2, 3, 4, 7, 8, 15, 16, 0x7f, 0x80, 0xff, 0x100, 0xfff, 0x1000, 0xffff, 0x1_0000, 0x10_0000,
] as const;
const LARGE = [0x7fff_ffff, 0x8000_0000, 0xffff_f000, 0xffff_ffff] as const;
const WORD = 0xffff_ffff;

/** Words that are changed in place, and how. */
type Change = (words: number[], context: Context) => void;
interface Context {
  readonly random: fc.Random;
  readonly parents: readonly Uint32Array[];
  readonly dictionary: readonly Comparison[];
}

const below = (random: fc.Random, bound: number): number => random.nextInt(0, bound - 1);
const one = <T>(random: fc.Random, list: readonly T[]): T => list[below(random, list.length)]!;
const word = (random: fc.Random): number => random.nextInt(0, WORD);
/**
 * A position behind the first word, which says the bias; every other one near the end, where structures draw their
 * breaks: what comes last changes nothing else.
 */
const place = (words: readonly number[], random: fc.Random): number => {
  const last = words.length - 1;
  const first = random.nextInt(0, 1) === 0 ? 1 : Math.max(1, last - LAST_WORDS);
  return random.nextInt(Math.min(first, last), last);
};
const span = (words: readonly number[], at: number, random: fc.Random): number =>
  random.nextInt(1, Math.max(1, Math.min(LONGEST_SPAN, words.length - at)));

const changeWord: Change = (words, { random }) => {
  const at = place(words, random);
  const old = words[at]!;
  const ways = [
    () => word(random),
    () => (old ^ (1 << below(random, 32))) >>> 0,
    () => (old + random.nextInt(-8, 8)) >>> 0,
    () => one(random, WORDS),
    () => one(random, LARGE),
  ];
  words[at] = one(random, ways)();
};

const redraw: Change = (words, { random }) => {
  const at = place(words, random);
  const length = span(words, at, random);
  for (let i = 0; i < length; i++) words[at + i] = word(random);
};

const insert: Change = (words, { random }) => {
  const length = random.nextInt(1, 4);
  words.splice(place(words, random), 0, ...Array.from({ length }, () => word(random)));
};

const remove: Change = (words, { random }) => {
  const at = place(words, random);
  words.splice(at, span(words, at, random));
};

const duplicate: Change = (words, { random }) => {
  const at = place(words, random);
  const copy = words.slice(at, at + span(words, at, random));
  words.splice(place(words, random), random.nextInt(0, 1) * copy.length, ...copy);
};

/** What came behind is drawn anew. */
const truncate: Change = (words, { random }) => {
  words.length = place(words, random) + 1;
};

/** The head of this tape and the tail of another, joined at one place or at two. */
const splice: Change = (words, { random, parents }) => {
  const other = one(random, parents);
  if (other.length < 2) return;
  const at = place(words, random);
  const from = random.nextInt(0, 1) === 0 ? Math.min(at, other.length - 1) : random.nextInt(1, other.length - 1);
  words.splice(at, words.length - at, ...other.subarray(from));
};

const bias: Change = (words, { random }) => {
  words[0] = below(random, 16);
};

/** A dictionary by instruction, and by operand: what each was compared with. It is asked often. */
class Lookup {
  static readonly #made = new WeakMap<readonly Comparison[], Lookup>();
  readonly #sites: (readonly Comparison[])[];
  readonly #others = new Map<bigint, bigint[]>();

  static of(dictionary: readonly Comparison[]): Lookup {
    const lookup = Lookup.#made.get(dictionary) ?? new Lookup(dictionary);
    Lookup.#made.set(dictionary, lookup);
    return lookup;
  }

  private constructor(dictionary: readonly Comparison[]) {
    const sites = new Map<number, Comparison[]>();
    for (const one of dictionary) {
      listAt(sites, one.site).push(one);
      listAt(this.#others, one.left).push(one.right);
      listAt(this.#others, one.right).push(one.left);
    }
    this.#sites = [...sites.values()];
  }

  /** Any: every instruction is as likely, however often it compared. */
  any(random: fc.Random): Comparison {
    return one(random, one(random, this.#sites));
  }

  /** What a number was compared with; any operand now and then, and where it was compared with nothing. */
  other(value: bigint, random: fc.Random): bigint {
    const others = this.#others.get(value);
    if (others !== undefined && below(random, 4) !== 0) return one(random, others);
    const { left, right } = this.any(random);
    return random.nextInt(0, 1) === 0 ? left : right;
  }
}

function listAt<K, V>(lists: Map<K, V[]>, key: K): V[] {
  let list = lists.get(key);
  if (list === undefined) {
    list = [];
    lists.set(key, list);
  }
  return list;
}

/** An operand in the place of the other, where there is a word like it; else anywhere. */
const compared: Change = (words, { random, dictionary }) => {
  if (dictionary.length === 0) return;
  const { width, left, right } = Lookup.of(dictionary).any(random);
  const [old, wanted] = random.nextInt(0, 1) === 0 ? [left, right] : [right, left];
  const low = (value: bigint) => Number(BigInt.asUintN(32, value));
  const mask = width >= 4 ? WORD : 2 ** (8 * width) - 1;
  const alike = [...words.keys()].filter((i) => i > 0 && (words[i]! & mask) >>> 0 === low(old));
  const near = random.nextInt(0, 3) === 0 ? BigInt(random.nextInt(-1, 1)) : 0n;
  const value = BigInt.asUintN(8 * width, wanted + near);
  const at = alike.length > 0 ? one(random, alike) : place(words, random);
  words[at] = low(value);
  // The upper half is drawn first.
  if (width === 8 && at > 1) words[at - 1] = low(value >> 32n);
};

/** The likelier ones more than once. */
const CHANGES: readonly Change[] = [
  ...[changeWord, changeWord, changeWord, changeWord, redraw, redraw, insert, remove, duplicate, truncate],
  ...[splice, splice, bias],
];

/**
 * A tape that differs from its parents in a few places.
 * @param parents at least one
 * @param dictionary operands that were not equal; may be empty
 * @throws RangeError without parents
 */
export function mutate(
  parents: readonly Uint32Array[],
  dictionary: readonly Comparison[],
  random: fc.Random,
): Uint32Array {
  if (parents.length === 0) throw new RangeError('mutate needs at least one parent');
  const words = [...one(random, parents)];
  const changes = dictionary.length === 0 ? CHANGES : [...CHANGES, compared, compared, compared, compared];
  const context = { random, parents, dictionary };
  const count = random.nextInt(0, 1) === 0 ? 1 : random.nextInt(2, MOST_CHANGES);
  if (words.length === 0) words.push(word(random));
  for (let i = 0; i < count; i++) {
    one(random, changes)(words, context);
    if (words.length === 0) words.push(word(random));
  }
  return Uint32Array.from(words.slice(0, MOST_WORDS));
}

/** Of so many numbers one is drawn from the dictionary: of those that a tape has, and of those behind its end. */
const RARE = [4, 16, 64] as const;
const OFTEN = 2;
/** Of so many breaks another takes the place of one. */
const ANOTHER = 4;
/** Parents that are the newest. */
const NEWEST = 4;

/**
 * mutate() for the tapes of an arbitrary: of most, some numbers and texts are operands of the dictionary, wherever the
 * arbitrary draws some, and lists that may be longer are. The tape that is returned has all that as words.
 */
export function mutatorOf(arbitrary: fc.Arbitrary<unknown>): typeof mutate {
  return (parents, dictionary, random) => {
    const way = below(random, 4);
    if (dictionary.length === 0 || way === 0) return mutate(parents, dictionary, random);
    // What is as it was but for a number or a further break is what comes one step further, most likely of the newest.
    const recent = below(random, 2) === 0 ? parents : parents.slice(-NEWEST);
    const base = way === 1 ? mutate(parents, dictionary, random) : one(random, recent);
    const whole = way === 2;
    // Behind its end a tape says one thing; here it is to be another each time.
    const tape = Uint32Array.from([...base, word(random)]);
    const rarity = one(random, RARE);
    const longer = whole || below(random, 2) === 0;
    const lookup = Lookup.of(dictionary);
    const offers = {
      more: () => longer,
      another: () => {
        if (!whole || below(random, ANOTHER) !== 0) return undefined;
        const { left, right } = lookup.any(random);
        const value = random.nextInt(0, 1) === 0 ? left : right;
        return { value, words: [word(random), word(random)] as const };
      },
      offered: (drawn: number, instead: bigint) => {
        const within = drawn < base.length;
        if (whole ? within : below(random, within ? rarity : OFTEN) !== 0) return undefined;
        return lookup.other(instead, random);
      },
    };
    const played = new TapeArbitrary(arbitrary, tape, offers);
    played.generate();
    return played.tape;
  };
}
