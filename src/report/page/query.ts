// The language of the search box, and its application to columns. Words are looked for in an event's text; `key:value`
// asks for one property, with `a..b` for a range; `-` turns either round. All must hold.
//
//   kind:port-write  device:uart0  register:THR  symbol:serial8250  at:0xffffffff81  addr:0x3f8  value:0x20
//   cycle:1000000..2000000  event:500..600  "two words"  -device:timer
//
// A clause is decided for a class of events or for a site where it can be, and only then for an event, since a text
// must be made for that. Runs in slices, so that a million events never hold up the page.

import type { TraceData } from './columns.js';

export interface Clause {
  /** '' for words in the text. */
  readonly key: string;
  readonly value: string;
  readonly negated: boolean;
}

export const KEYS = ['kind', 'device', 'register', 'name', 'symbol', 'at', 'addr', 'value', 'cycle', 'event'] as const;

export interface ParsedQuery {
  readonly clauses: readonly Clause[];
  /** A sentence about what cannot be understood. */
  readonly problem?: string;
}

export function parseQuery(text: string): ParsedQuery {
  const clauses: Clause[] = [];
  const tokens = text.match(/-?(?:[a-z]+:)?(?:"[^"]*"?|[^\s"]+)/gi) ?? [];
  let problem: string | undefined;
  for (const token of tokens) {
    const [, minus, key = '', body] = /^(-?)(?:([a-z]+):)?(.*)$/is.exec(token)!;
    const value = body!.replace(/^"([^"]*)"?$/, '$1').toLowerCase();
    const known = key === '' || (KEYS as readonly string[]).includes(key.toLowerCase());
    if (value === '') continue;
    // A colon in a word is no key: 00:01.3, 0x8:0x7c00.
    if (!known) clauses.push({ key: '', value: `${key}:${value}`.toLowerCase(), negated: minus === '-' });
    else clauses.push({ key: key.toLowerCase(), value, negated: minus === '-' });
    if (isRange(key) && !rangeOf(value)) problem ??= `${key}: a number or a range such as 10..20 is needed`;
  }
  return { clauses, ...(problem !== undefined && { problem }) };
}

const isRange = (key: string): boolean => ['addr', 'value', 'cycle', 'event'].includes(key.toLowerCase());

/** `5`, `0x10`, `5..9`, `5..`, `..9`; underscores and commas are fine. */
export function rangeOf(text: string): readonly [from: number, to: number] | undefined {
  const bounds = boundsOf(text);
  return bounds && [Number(bounds[0]), Number(bounds[1])];
}

/** The same for values of 64 bits. */
function boundsOf(text: string): readonly [from: bigint, to: bigint | number] | undefined {
  const number = (part: string): bigint | undefined => {
    const digits = part.replaceAll(/[_,]/g, '');
    return /^(\d+|0x[0-9a-f]+)$/.test(digits) ? BigInt(digits) : undefined;
  };
  const [first = '', last, ...more] = text.split('..');
  if (more.length > 0) return undefined;
  const from = first === '' && last !== undefined ? 0n : number(first);
  const to = last === undefined ? from : last === '' ? Number.POSITIVE_INFINITY : number(last);
  return from === undefined || to === undefined ? undefined : [from, to];
}

const [NO, YES, ASK] = [0, 1, 2];

/** Decides of a clause: by class and by site where that is enough, else by event. */
interface Test {
  readonly negated: boolean;
  readonly byClass: Uint8Array;
  readonly event: (i: number) => boolean;
}

export class Filter {
  readonly #tests: readonly Test[];
  readonly #count: number;

  constructor(
    private readonly data: TraceData,
    { clauses }: ParsedQuery,
  ) {
    this.#count = data.count;
    this.#tests = clauses.map((clause) => testOf(data, clause));
  }

  matches(i: number): boolean {
    const id = this.data.class[i]!;
    for (const { byClass, event, negated } of this.#tests) {
      const known = byClass[id]!;
      const found = known === ASK ? event(i) : known === YES;
      if (found === negated) return false;
    }
    return true;
  }

  /** Indices of all events that match, in slices of at most `budget` steps. */
  *run(budget = 16_384): Generator<number, Uint32Array> {
    const found = new Uint32Array(this.#count);
    let length = 0;
    for (let i = 0; i < this.#count; i++) {
      if (this.matches(i)) found[length++] = i;
      if (i % budget === budget - 1) yield i;
    }
    return found.slice(0, length);
  }
}

function testOf(data: TraceData, { key, value, negated }: Clause): Test {
  const { classes } = data.head;
  const perClass = (decide: (n: number) => number) => Uint8Array.from(classes, (_, n) => decide(n));
  const always = (n: number) => (): boolean => n === YES;
  const range = isRange(key) ? rangeOf(value) : undefined;
  const inRange = (number: number): boolean => range !== undefined && number >= range[0] && number <= range[1];
  const ask = perClass(() => ASK);
  switch (key) {
    case 'kind':
    case 'device':
    case 'register':
    case 'name': {
      // `device:pci` is every PCI function: a name without its number or place, as --kind takes it.
      const fits = (text: string) =>
        key === 'register' || key === 'name'
          ? text.includes(value)
          : text === value || text.startsWith(`${value} `) || text.includes(value);
      const byClass = perClass((n) => (fits(classes[n]![key].toLowerCase()) ? YES : NO));
      return { negated, byClass, event: always(NO) };
    }
    case 'symbol':
    case 'at': {
      const known = new Uint8Array(data.siteCs.length).fill(ASK);
      const event = (i: number): boolean => {
        const site = data.site[i]!;
        if (known[site] === ASK) {
          const text = key === 'symbol' ? data.symbol(i) : data.place(i);
          known[site] = text.toLowerCase().includes(value) ? YES : NO;
        }
        return known[site] === YES;
      };
      return { negated, byClass: ask, event };
    }
    case 'addr': {
      const byClass = perClass((n) => {
        const { address } = classes[n]!;
        return address === null ? ASK : inRange(address) ? YES : NO;
      });
      return { negated, byClass, event: (i) => inRange(data.address(i)) };
    }
    case 'value': {
      const [from, to] = boundsOf(value) ?? [1n, 0n];
      const event = (i: number): boolean => {
        const high = data.valueHigh(i);
        if (high === 0) return inRange(data.value[i]!);
        const whole = (BigInt(high) << 32n) | BigInt(data.value[i]!);
        return whole >= from && whole <= to;
      };
      return { negated, byClass: ask, event };
    }
    case 'cycle':
      return { negated, byClass: ask, event: (i) => inRange(data.cycle[i]!) };
    case 'event':
      return { negated, byClass: ask, event: inRange };
    default: {
      const byClass = perClass((n) => {
        const { kind, device, register, name } = classes[n]!;
        return `${kind}\n${device} ${register}\n${name}`.toLowerCase().includes(value) ? YES : ASK;
      });
      return {
        negated,
        byClass,
        event: (i) => data.words(i).toLowerCase().includes(value) || inSymbol(data, i, value),
      };
    }
  }
}

const inSymbol = (data: TraceData, i: number, value: string): boolean =>
  data.siteSymbol[data.site[i]!] !== 0 && data.symbol(i).toLowerCase().includes(value);
