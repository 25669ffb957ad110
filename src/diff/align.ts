// After the first divergence: pair up what is left of two traces and count what differs. Cycles and instruction
// pointers no longer count, only what was said to whom. Where the traces do not match, the shortest skip on both
// sides after which a few events in a row match again is looked for, in a window of bounded size.

import { sameBytes } from '../replay/divergence.js';
import type { EventStream, MeantEvent } from './event-stream.js';

/** Events on each side among which a place to go on is looked for. */
const WINDOW = 4096;
/** Events in a row that must match there. */
const RUN = 4;

/** What differs at one register of one device. */
export interface RegisterCount {
  readonly device: string;
  readonly register: string;
  /** Same access, another value. */
  changed: number;
  onlyA: number;
  onlyB: number;
}

export interface Remainder {
  /** Pairs that agree; of these, `shifted` came after another delay than before. */
  equal: number;
  shifted: number;
  changed: number;
  onlyA: number;
  onlyB: number;
  /** Times that the traces were brought together again. */
  resyncs: number;
  registers: RegisterCount[];
}

/** Consume both streams to their ends. */
export function alignRest(a: EventStream, b: EventStream): Remainder {
  const rest: Remainder = { equal: 0, shifted: 0, changed: 0, onlyA: 0, onlyB: 0, resyncs: 0, registers: [] };
  const registers = new Map<string, RegisterCount>();
  const count = (meant: MeantEvent, column: 'changed' | 'onlyA' | 'onlyB') => {
    rest[column]++;
    const { device, register } = meant.meaning;
    const key = `${device}\n${register}`;
    let row = registers.get(key);
    if (!row) {
      row = { device, register, changed: 0, onlyA: 0, onlyB: 0 };
      registers.set(key, row);
    }
    row[column]++;
  };
  let shift = 0;
  for (;;) {
    const x = a.peek();
    const y = b.peek();
    if (!x || !y) break;
    const same = sameAccess(x, y);
    if (same && sameValue(x, y)) {
      rest.equal++;
      const now = y.event.cycle - x.event.cycle;
      if (now !== shift) rest.shifted++;
      shift = now;
    } else if (same && (goesOn(a, b, 1) || !(a.peek(1) && b.peek(1)))) {
      count(x, 'changed');
    } else {
      const [skipA, skipB] = findSync(a, b);
      for (let i = 0; i < skipA; i++) count(a.peek(i)!, 'onlyA');
      for (let i = 0; i < skipB; i++) count(b.peek(i)!, 'onlyB');
      a.pass(skipA);
      b.pass(skipB);
      rest.resyncs++;
      continue;
    }
    a.pass();
    b.pass();
  }
  for (let x = a.peek(); x; x = a.peek()) {
    count(x, 'onlyA');
    a.pass();
  }
  for (let y = b.peek(); y; y = b.peek()) {
    count(y, 'onlyB');
    b.pass();
  }
  const total = (row: RegisterCount) => row.changed + row.onlyA + row.onlyB;
  rest.registers = [...registers.values()].sort((p, q) => total(q) - total(p));
  return rest;
}

function sameAccess({ event: x }: MeantEvent, { event: y }: MeantEvent): boolean {
  return x.kind === y.kind && x.address === y.address && x.size === y.size && x.name === y.name;
}

function sameValue({ event: x }: MeantEvent, { event: y }: MeantEvent): boolean {
  if (x.kind === 'timer-armed' || x.kind === 'timer-fired') return true;
  return x.value === y.value && x.valueHigh === y.valueHigh && sameBytes(x.data, y.data);
}

/** Whether the events `ahead` are the same access. */
function goesOn(a: EventStream, b: EventStream, ahead: number): boolean {
  const x = a.peek(ahead);
  const y = b.peek(ahead);
  return x !== undefined && y !== undefined && sameAccess(x, y);
}

/** How many events to skip on each side: first by whole events, then by accesses alone, at last the whole window. */
function findSync(a: EventStream, b: EventStream): [number, number] {
  return searchWindow(a, b, wholeKey) ?? searchWindow(a, b, accessKey) ?? [ahead(a, WINDOW / 2), ahead(b, WINDOW / 2)];
}

function searchWindow(
  a: EventStream,
  b: EventStream,
  key: (meant: MeantEvent) => string,
): [number, number] | undefined {
  const places = new Map<string, number>();
  runs(b, key).forEach((run, j) => {
    if (!places.has(run)) places.set(run, j);
  });
  let best: [number, number] | undefined;
  runs(a, key).forEach((run, i) => {
    const j = places.get(run);
    if (j === undefined || i + j === 0) return;
    if (!best || i + j < best[0] + best[1]) best = [i, j];
  });
  return best;
}

/** Keys of RUN events in a row, from each event of the window. */
function runs(stream: EventStream, key: (meant: MeantEvent) => string): string[] {
  const keys: string[] = [];
  for (let i = 0; i < WINDOW; i++) {
    const meant = stream.peek(i);
    if (!meant) break;
    keys.push(key(meant));
  }
  const last = Math.max(keys.length - RUN, 0);
  return keys.slice(0, last + 1).map((_, i) => keys.slice(i, i + RUN).join('|'));
}

function ahead(stream: EventStream, most: number): number {
  let n = 0;
  while (n < most && stream.peek(n)) n++;
  return n;
}

const accessKey = ({ event }: MeantEvent): string => `${event.kind} ${event.address} ${event.size} ${event.name}`;

function wholeKey(meant: MeantEvent): string {
  const { event } = meant;
  if (event.kind.startsWith('timer')) return accessKey(meant);
  const data = event.data.length > 0 ? Buffer.from(event.data).toString('latin1') : '';
  return `${accessKey(meant)} ${event.value} ${event.valueHigh} ${data}`;
}
