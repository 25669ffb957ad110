// What a benchmark measures, and medians of it.

export interface Sample {
  /** Wall time. */
  seconds: number;
  cycles?: number;
  instructions?: number;
  events?: number;
  /** Size of the recording. */
  bytes?: number;
  /** Hash of the recording's content. */
  root?: string;
}

/** One way to boot the guest. */
export interface Variant {
  name: string;
  run(): Promise<Sample>;
}

/** The middle value; of an even number of values, the mean of the middle two. */
export function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Names for a message. */
export function variantNames(variants: readonly Variant[]): string {
  return variants.map(({ name }) => `"${name}"`).join(', ');
}
