// Numbers on offer: what a guest compared with is likelier to take it further than a number at random. An arbitrary that
// draws a number asks whether there is one for it; if so, it is the words for that number that come next, and the
// arbitrary draws them as it draws any others. So the number is on the tape as if it had been drawn by chance, and whoever
// plays the tape needs to know nothing of what was offered.
//
// Invariant: where nothing is offered, an arbitrary draws what it always did.

import fc from 'fast-check';

/** A generator that can be told its next words. */
export interface Offering {
  /** A number to draw; undefined for one at random. */
  offered(): bigint | undefined;
  /** What is drawn next. */
  force(words: readonly number[]): void;
}

const offering = new WeakMap<fc.Random, Offering>();

/** Have the arbitraries that draw from `random` ask. */
export function offerThrough(random: fc.Random, offers: Offering): void {
  offering.set(random, offers);
}

class Offered<T> extends fc.Arbitrary<T> {
  constructor(
    private readonly inner: fc.Arbitrary<T>,
    private readonly wordsOf: (value: bigint, biased: boolean) => readonly number[] | undefined,
  ) {
    super();
  }
  override generate(random: fc.Random, bias: number | undefined): fc.Value<T> {
    const offers = offering.get(random);
    const value = offers?.offered();
    if (offers === undefined || value === undefined) return this.inner.generate(random, bias);
    offers.force(this.wordsOf(value, bias !== undefined) ?? []);
    const made = this.inner.generate(random, bias);
    offers.force([]);
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
  return new Offered(inner, (value, biased) => {
    const cut = BigInt.asUintN(64, value) & max;
    const head = [...(choice === undefined ? [] : [choice]), ...(biased ? [NOT_NEAR_BOUNDS] : [])];
    return max > 0xffff_ffffn ? [...head, low(cut >> 32n), low(cut)] : [...head, low(cut)];
  });
}
