// Compares what two boots say to their devices without regard to time: neither cycles nor instruction addresses count,
// nor what follows from time alone (timers, ticks and their acknowledgement, clocks read, how often a status is polled).
// Devices run beside each other, so each is compared on its own: the order between two of them is a matter of time.
//
// Memory is bounded by how far the traces run apart on one device, at most BACKLOG events; past that they differ.

import { dataDetail } from '../diff/data-detail.js';
import type { MeantEvent } from '../diff/event-stream.js';
import { sameBytes } from '../replay/divergence.js';
import type { TraceEvent } from '../trace/events.js';
import type { TraceReader } from '../trace/reader.js';
import { type Meaning, Semantics } from '../trace/semantic/semantics.js';

const BACKLOG = 200_000;

/** Device and register of accesses that follow the clock. Of some only reads: what is written there is a setting. */
const CLOCKED: readonly (readonly [device: RegExp, register: RegExp, reads: boolean])[] = [
  [/^pit$/, /^channel|latch|read back/, true],
  [/^pit$/, /latch|read back/, false],
  [/^pic /, /EOI|OCW3|IRR/, false],
  [/^lapic$/, /^EOI$|^timer (initial|current) count$|TSC_DEADLINE|^[IT]RR|^ISR|^TMR|PPR/, false],
  [/^hpet$/, /counter|status/, true],
  [/^hpet$/, /comparator/, false],
  [/^rtc$/, /./, true],
  [/^rtc$/, /^index/, false],
  [/^acpi pm$/, /PM_TMR/, false],
  [/^speaker$/, /./, true],
];
/** Registers that are read until they say what is waited for. */
const POLLED = /status|^LSR$|^IIR$|^MSR$|^PM1_STS$|^InterruptStatus$/i;

export interface UntimedResult {
  readonly same: boolean;
  /** Pairs that agreed. */
  readonly compared: number;
  /** Of these, how many came at another cycle. */
  readonly moved: number;
  /** The first pair that differs in the order of the baseline; a side is undefined when the device said no more. */
  readonly first?: { readonly a: MeantEvent | undefined; readonly b: MeantEvent | undefined; readonly detail?: string };
}

/** Whether an event counts. */
export type Chosen = (event: TraceEvent, meaning: Meaning) => boolean;

/** @throws TraceError */
export function compareUntimed(a: TraceReader, b: TraceReader, chosen: Chosen): UntimedResult {
  const left = untimed(a, chosen);
  const right = untimed(b, chosen);
  const waiting = new Map<string, Lane>();
  let compared = 0;
  let moved = 0;
  let backlog = 0;
  const differing: { a: MeantEvent | undefined; b: MeantEvent | undefined }[] = [];
  const broken = new Set<string>();
  const take = (meant: MeantEvent, side: 'a' | 'b'): void => {
    const { device } = meant.meaning;
    if (broken.has(device)) return;
    const lane = waiting.get(device) ?? { a: [], b: [], at: 0 };
    waiting.set(device, lane);
    const other = side === 'a' ? lane.b : lane.a;
    const partner = other[lane.at];
    if (partner === undefined) {
      lane[side].push(meant);
      backlog++;
      return;
    }
    lane.at++;
    backlog--;
    if (lane.at === other.length || lane.at > 0x1000) {
      other.splice(0, lane.at);
      lane.at = 0;
    }
    const [x, y] = side === 'a' ? [meant, partner] : [partner, meant];
    if (sameAct(x.event, y.event)) {
      compared++;
      if (x.event.cycle !== y.event.cycle) moved++;
    } else {
      broken.add(device);
      differing.push({ a: x, b: y });
    }
  };
  for (let x = left.next(), y = right.next(); !(x.done && y.done) && backlog < BACKLOG; ) {
    if (!x.done) take(x.value, 'a');
    if (!y.done) take(y.value, 'b');
    if (!x.done) x = left.next();
    if (!y.done) y = right.next();
  }
  for (const [device, lane] of waiting) {
    if (broken.has(device)) continue;
    const [x, y] = [lane.a[lane.at], lane.b[lane.at]];
    if (x || y) differing.push({ a: x, b: y });
  }
  const place = ({ a: x, b: y }: (typeof differing)[number]) =>
    Math.min(x?.event.cycle ?? 2 ** 53, y?.event.cycle ?? 2 ** 53);
  const [first] = differing.sort((p, q) => place(p) - place(q));
  if (!first) return { same: true, compared, moved };
  const detail = first.a && first.b ? dataDetail(first.a, first.b, ['the baseline', 'this boot']) : undefined;
  return { same: false, compared, moved, first: { ...first, ...(detail !== undefined && { detail }) } };
}

/** Events of one device that the other trace has not had yet: `a` or `b` from `at` on, the other is empty. */
interface Lane {
  readonly a: MeantEvent[];
  readonly b: MeantEvent[];
  at: number;
}

/** The events that do not follow the clock; of a poll only its last read. */
function* untimed(reader: TraceReader, chosen: Chosen): Generator<MeantEvent> {
  const semantics = new Semantics();
  const polls = new Map<string, MeantEvent>();
  for (const event of reader.events()) {
    const meaning = semantics.next(event);
    if (!chosen(event, meaning) || followsClock(event, meaning)) continue;
    const { device, register } = meaning;
    const meant = { event, meaning };
    const before = polls.get(device);
    const isPoll = isRead(event) && POLLED.test(register);
    if (before && !(isPoll && before.meaning.register === register)) {
      polls.delete(device);
      yield before;
    }
    if (isPoll) polls.set(device, meant);
    else yield meant;
  }
  yield* polls.values();
}

const isRead = ({ kind }: TraceEvent): boolean => kind.endsWith('-read');

function followsClock(event: TraceEvent, { device, register }: Meaning): boolean {
  switch (event.kind) {
    case 'timer-armed':
    case 'timer-fired':
    case 'state-hash':
    case 'interrupt':
      return true;
    default:
      return CLOCKED.some(([d, r, reads]) => d.test(device) && r.test(register) && (!reads || isRead(event)));
  }
}

/** The same access with the same outcome. */
function sameAct(x: TraceEvent, y: TraceEvent): boolean {
  return (
    x.kind === y.kind &&
    x.address === y.address &&
    x.size === y.size &&
    x.name === y.name &&
    x.value === y.value &&
    x.valueHigh === y.valueHigh &&
    sameBytes(x.data, y.data)
  );
}
