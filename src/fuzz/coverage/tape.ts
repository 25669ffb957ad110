// A case as what was drawn for it: a tape is the list of 32-bit words that an arbitrary took from its generator. Played
// again it gives the same structure; with words changed it gives another that the same arbitrary makes, so that whatever
// is done to a tape, a valid structure stays valid and a hostile one breaks what its kind can break.
//
// The first word says the bias (fast-check's: how often numbers are drawn near their bounds), the others are what was
// drawn, as numbers from 0 on: a field of 32 bits is its word, smaller ones are their word modulo their range. Behind the
// end words come from a generator that the tape seeds. Invariant: a tape alone says which structure it is, on any Node.

import fc from 'fast-check';
import { type Offering, offerThrough } from './offers.js';

/** What arbitraries may be given instead of what they draw. */
export type Offers = Omit<Offering, 'force' | 'forcing'>;

/** Words of a tape that are kept; what is drawn behind them is not part of it. */
export const MOST_WORDS = 1 << 15;
/** The first word is taken modulo this; below the least bias there is none. */
const BIASES = 16;
const LEAST_BIAS = 2;
/** pure-rand's words are signed. */
const SIGN = 0x8000_0000;

/** What fc.Random is made over: pure-rand's generator. */
abstract class Words {
  abstract next(): number;
  abstract clone(): Words;
  abstract getState(): readonly number[];
  /** fast-check makes true copies only of generators that can jump. */
  jump(): void {
    throw new Error('a tape has no other stretches to jump to');
  }
}

/** Words that follow from the seed alone (a 32-bit counter, mixed). */
class Tail extends Words {
  #state: number;

  constructor(seed: number) {
    super();
    this.#state = seed;
  }
  override next(): number {
    this.#state = (this.#state + 0x9e37_79b9) | 0;
    let word = this.#state ^ (this.#state >>> 16);
    word = Math.imul(word, 0x21f0_aaad);
    word = Math.imul(word ^ (word >>> 15), 0x735a_2d97);
    return (word ^ (word >>> 15)) | 0;
  }
  override clone(): Tail {
    return new Tail(this.#state);
  }
  override getState(): readonly number[] {
    return [this.#state];
  }
}

/** A tape that plays. */
class Player extends Words {
  constructor(
    private readonly tape: Uint32Array,
    private at: number,
    private readonly tail: Tail,
    /** Words drawn behind the end. */
    private behind = 0,
  ) {
    super();
  }
  override next(): number {
    if (this.at < this.tape.length) return this.tape[this.at++]! - SIGN;
    this.behind++;
    return this.tail.next();
  }
  override clone(): Player {
    return new Player(this.tape, this.at, this.tail.clone(), this.behind);
  }
  /** How many words were drawn. */
  override getState(): readonly number[] {
    return [this.at + this.behind];
  }
}

/** The words of an fc.Random, each as it is. */
class Drawn extends Words {
  constructor(private readonly random: fc.Random) {
    super();
  }
  override next(): number {
    return this.random.nextInt(-SIGN, SIGN - 1);
  }
  override clone(): Drawn {
    return new Drawn(this.random.clone());
  }
  override getState(): readonly number[] {
    return [];
  }
}

/** Notes what goes through it. Copies do not: fast-check makes them to shrink with. */
class Recorder extends Words {
  #forced: readonly number[] = [];

  constructor(
    private readonly inner: Words,
    private readonly into: number[],
  ) {
    super();
  }
  force(words: readonly number[], instead: number): void {
    for (let i = 0; i < instead; i++) this.inner.next();
    this.#forced = words;
  }
  get forcing(): boolean {
    return this.#forced.length > 0;
  }
  override next(): number {
    const [forced] = this.#forced;
    if (forced !== undefined) this.#forced = this.#forced.slice(1);
    const word = forced === undefined ? this.inner.next() : forced - SIGN;
    if (this.into.length < MOST_WORDS) this.into.push(word + SIGN);
    return word;
  }
  override clone(): Words {
    return this.inner.clone();
  }
  override getState(): readonly number[] {
    return this.inner.getState();
  }
  /** fc.Random copies what it is made over; here that copy is this. */
  random(): fc.Random {
    return new fc.Random({ next: () => 0, clone: () => this, getState: () => [] });
  }
}

/** An arbitrary whose draws are written down: as the inner one in all it generates and in how that shrinks. */
abstract class RecordingArbitrary<T> extends fc.Arbitrary<T> {
  #tape = new Uint32Array();

  constructor(protected readonly inner: fc.Arbitrary<T>) {
    super();
  }
  /** The tape of the last value that was generated; shrinking does not change it. */
  get tape(): Uint32Array {
    return this.#tape;
  }
  protected record(words: Words, bias: number | undefined, offers?: Offers): fc.Value<T> {
    const drawn = [bias ?? 0];
    const recorder = new Recorder(words, drawn);
    const random = recorder.random();
    if (offers)
      offerThrough(random, {
        ...offers,
        force: (forced, instead) => recorder.force(forced, instead),
        forcing: () => recorder.forcing,
      });
    const value = this.inner.generate(random, bias);
    this.#tape = Uint32Array.from(drawn);
    return value;
  }
  override canShrinkWithoutContext(value: unknown): value is T {
    return this.inner.canShrinkWithoutContext(value);
  }
  override shrink(value: T, context: unknown): fc.Stream<fc.Value<T>> {
    return this.inner.shrink(value, context);
  }
}

/**
 * The one structure that a tape says, whatever generator is given; `tape` is then what was drawn of it, and behind it.
 * Where numbers are offered, those that are taken stand on it instead.
 */
export class TapeArbitrary<T> extends RecordingArbitrary<T> {
  constructor(
    inner: fc.Arbitrary<T>,
    private readonly played: Uint32Array,
    private readonly offers?: Offers,
  ) {
    super(inner);
  }
  override generate(): fc.Value<T> {
    const [first = 0] = this.played;
    const bias = first % BIASES;
    const player = new Player(this.played, 1, new Tail(seedOf(this.played)));
    return this.record(player, bias < LEAST_BIAS ? undefined : bias, this.offers);
  }
}

/** As the inner arbitrary, draw for draw; `tape` is that of the last value. */
export class TapedArbitrary<T> extends RecordingArbitrary<T> {
  override generate(random: fc.Random, bias: number | undefined): fc.Value<T> {
    // More than the first word can say is as good as its most: biased draws are then rare.
    return this.record(new Drawn(random), bias !== undefined && bias >= BIASES ? BIASES - 1 : bias);
  }
}

/** A tape that nothing was recorded for: all of it comes from the seed. */
export function blankTape(seed: number): Uint32Array {
  return Uint32Array.of(new Tail(seed).next() >>> 0);
}

/** Random numbers that follow from the seed alone, the same on every Node. */
export const randomOf = (seed: number): fc.Random => new fc.Random(new Tail(seed));

/** A number that follows from the words, all of them and their order. */
function seedOf(words: Uint32Array): number {
  let hash = 0x811c_9dc5;
  for (const word of words) {
    hash = Math.imul(hash ^ word, 0x0100_0193);
    hash ^= hash >>> 15;
  }
  return hash | 0;
}
