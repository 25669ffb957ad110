// Numbers on offer: what a guest compared with is likelier to take it further than a number at random. An arbitrary that
// draws a number asks whether there is one for it; if so, it is the words for that number that come next, and the
// arbitrary draws them as it draws any others. So the number is on the tape as if it had been drawn by chance, and whoever
// plays the tape needs to know nothing of what was offered.
//
// Invariant: where nothing is offered, an arbitrary draws what it always did.

import fc from 'fast-check';

/** A generator that can be told its next words. */
export interface Offering {
  /**
   * A number to draw, when so many words were drawn before; undefined for one at random.
   * @param instead what would be drawn; a text as its bytes, from the lowest on
   */
  offered(drawn: number, instead: bigint): bigint | undefined;
  /** Whether a list is to be as long as it may. */
  more(): boolean;
  /** A number and two words to draw another break from, in the place of one; undefined: it stays. */
  another?(): { readonly value: bigint; readonly words: readonly [number, number] } | undefined;
  /** Words that are drawn next, `instead` of so many of those that would be. */
  force(words: readonly number[], instead: number): void;
  /** Some of those are still to come: who draws them is not asked anything. */
  forcing(): boolean;
}

const offering = new WeakMap<fc.Random, Offering>();

/** Have the arbitraries that draw from `random` ask. Its state must begin with how many words were drawn from it. */
export function offerThrough(random: fc.Random, offers: Offering): void {
  offering.set(random, offers);
}

/** Draws as the inner arbitrary, after `offer` had a look at the generator. */
class Offered<T> extends fc.Arbitrary<T> {
  constructor(
    private readonly inner: fc.Arbitrary<T>,
    private readonly offer: (offers: Offering, random: fc.Random, bias: number | undefined) => void,
  ) {
    super();
  }
  override generate(random: fc.Random, bias: number | undefined): fc.Value<T> {
    const offers = offering.get(random);
    if (offers === undefined || offers.forcing()) return this.inner.generate(random, bias);
    this.offer(offers, random, bias);
    const made = this.inner.generate(random, bias);
    offers.force([], 0);
    return made;
  }
  override canShrinkWithoutContext(value: unknown): value is T {
    return this.inner.canShrinkWithoutContext(value);
  }
  override shrink(value: T, context: unknown): fc.Stream<fc.Value<T>> {
    return this.inner.shrink(value, context);
  }
}

const low = (value: bigint): number => Number(BigInt.asUintN(32, value));
/** fast-check asks whether to draw near the bounds, where it was told to now and then: this says no. */
const NOT_NEAR_BOUNDS = 1;
const NEAR_BOUNDS = 0;

/**
 * An arbitrary of whole numbers from 0 to `max` that takes what is offered, cut to its width.
 * @param inner draws such a number with fc.integer or fc.bigInt, or does so as the last of several choices
 * @param choice which of the choices, where there are some
 */
export function offerable<T extends number | bigint>(
  inner: fc.Arbitrary<T>,
  max: bigint,
  choice?: number,
): fc.Arbitrary<T> {
  return new Offered(inner, (offers, random, bias) => {
    const ahead = aheadOf(inner, random, bias);
    const value = offers.offered(drawnFrom(random), BigInt(ahead.value));
    if (value === undefined) return;
    const cut = BigInt.asUintN(64, value) & max;
    const head = [...(choice === undefined ? [] : [choice]), ...(bias === undefined ? [] : [NOT_NEAR_BOUNDS])];
    const words = max > 0xffff_ffffn ? [...head, low(cut >> 32n), low(cut)] : [...head, low(cut)];
    offers.force(words, ahead.words);
  });
}

/**
 * Texts of characters of an alphabet, of at least `minLength` and at most `maxLength`, which is more. What is offered is taken as text,
 * byte by byte from the lowest up to a zero, where it can be drawn: for the whole, or for one character.
 */
export function offerableText(alphabet: string, minLength: number, maxLength: number): fc.Arbitrary<string> {
  const character = fc.constantFrom(...alphabet);
  const unit = new Offered(character, (offers, random, bias) => {
    const ahead = aheadOf(character, random, bias);
    const places = placesOf(offers.offered(drawnFrom(random), numberOf(ahead.value)), alphabet);
    if (places.length === 1) offers.force(places, ahead.words);
  });
  const inner = fc.string({ unit, minLength, maxLength });
  return new Offered(inner, (offers, random, bias) => {
    const ahead = aheadOf(inner, random, bias);
    const places = placesOf(offers.offered(drawnFrom(random), numberOf(ahead.value)), alphabet);
    if (places.length === 0 || places.length < minLength || places.length > maxLength) return;
    const head = bias === undefined ? [] : [NOT_NEAR_BOUNDS];
    offers.force([...head, places.length - minLength, ...places], ahead.words);
  });
}

/** The bytes of a number as places in an alphabet; none when it is no text of that. */
function placesOf(value: bigint | undefined, alphabet: string): number[] {
  const places: number[] = [];
  for (let rest = BigInt.asUintN(64, value ?? 0n); (rest & 0xffn) !== 0n; rest >>= 8n) {
    const place = alphabet.indexOf(String.fromCharCode(Number(rest & 0xffn)));
    if (place < 0) return [];
    places.push(place);
  }
  return places;
}

/**
 * A record of which another may take the place, while what is drawn behind it stays what it was: of a choice, a number
 * from 0 on, and a number that is as offerable() has it with the same last choice.
 */
export function replaceable<T>(inner: fc.Arbitrary<T>, choice: number): fc.Arbitrary<T> {
  return new Offered(inner, (offers, random, bias) => {
    const other = offers.another?.();
    if (other === undefined) return;
    const [first, second] = other.words;
    const near = bias === undefined ? [] : [NOT_NEAR_BOUNDS];
    const value = [low(other.value >> 32n), low(other.value)];
    offers.force([first, ...near, second, choice, ...near, ...value], aheadOf(inner, random, bias).words);
  });
}

/** What an arbitrary would draw, and by how many words: with so many others in their place, what comes behind stays. */
function aheadOf<T>(inner: fc.Arbitrary<T>, random: fc.Random, bias: number | undefined): { value: T; words: number } {
  const ahead = random.clone();
  const { value } = inner.generate(ahead, bias);
  return { value, words: drawnFrom(ahead) - drawnFrom(random) };
}

/** The first eight characters of a text as a number, the first one lowest. */
function numberOf(text: string): bigint {
  let value = 0n;
  for (let i = Math.min(8, text.length) - 1; i >= 0; i--) value = (value << 8n) | BigInt(text.charCodeAt(i) & 0xff);
  return value;
}

const drawnFrom = (random: fc.Random): number => random.getState()?.[0] ?? 0;

/**
 * An fc.array of none to `most` elements, of which there may be as many as that on demand, behind those it had. An empty
 * one stays empty: where a filter refuses that, it is the next try that the tape is about.
 */
export function extensible<T>(inner: fc.Arbitrary<T[]>, most: number): fc.Arbitrary<T[]> {
  return new Offered(inner, (offers, random, bias) => {
    if (!offers.more() || inner.generate(random.clone(), bias).value.length === 0) return;
    // Drawn as fast-check draws it: a word may be refused, since no range but of a power of two divides all words evenly;
    // what the next one says is then another matter.
    const ahead = random.clone();
    const words: number[] = [];
    if (bias !== undefined) {
      // It asks first whether elements are drawn near their bounds, then whether the length is, too.
      const elements = ahead.nextInt(1, bias) === 1;
      words.push(elements ? NEAR_BOUNDS : NOT_NEAR_BOUNDS);
      if (elements) {
        ahead.nextInt(1, bias);
        words.push(NOT_NEAR_BOUNDS);
      }
    }
    ahead.nextInt(0, most);
    offers.force([...words, most], drawnFrom(ahead) - drawnFrom(random));
  });
}
