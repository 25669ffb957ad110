// What a link into a report says, behind the #: trace, event, tab, filter, and the stretch of the time axis. Everything
// is optional, and what cannot be read is left out: a link may come from another report.

export interface Address {
  /** 0 is A, 1 is B. */
  readonly trace?: number;
  readonly event?: number;
  readonly tab?: string;
  readonly query?: string;
  readonly axis?: 'time' | 'events';
  readonly from?: number;
  readonly to?: number;
}

export function parseAddress(hash: string): Address {
  const fields = new URLSearchParams(hash.replace(/^#/, ''));
  const trace = { a: 0, b: 1 }[fields.get('t') ?? ''];
  const event = count(fields.get('e'));
  const [from, to] = (fields.get('v') ?? '').split('-').map((text) => count(text));
  const tab = fields.get('tab') ?? undefined;
  const query = fields.get('q') ?? undefined;
  const axis = fields.get('x');
  return {
    ...(trace !== undefined && { trace }),
    ...(event !== undefined && { event }),
    ...(tab !== undefined && /^[a-z]+$/.test(tab) && { tab }),
    ...(query !== undefined && query !== '' && { query }),
    ...((axis === 'time' || axis === 'events') && { axis }),
    ...(from !== undefined && to !== undefined && from < to && { from, to }),
  };
}

export function formatAddress({ trace, event, tab, query, axis, from, to }: Address): string {
  const fields = new URLSearchParams();
  if (trace !== undefined) fields.set('t', trace === 0 ? 'a' : 'b');
  if (event !== undefined) fields.set('e', String(event));
  if (tab !== undefined) fields.set('tab', tab);
  if (query) fields.set('q', query);
  if (axis !== undefined) fields.set('x', axis);
  if (from !== undefined && to !== undefined) fields.set('v', `${Math.floor(from)}-${Math.ceil(to)}`);
  return `#${fields}`;
}

function count(text: string | null | undefined): number | undefined {
  const value = text && /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}
