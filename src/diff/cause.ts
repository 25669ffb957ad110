// The cause in one sentence, from what is known without running anything: the choices made before the boot, and the
// first event that differs. Replaying both sides (chain.ts) finds more where these do not say enough.
// What is named is what somebody can look at: an option, an image, an fw_cfg item, a field, a register.

import { hex } from '../trace/event-text.js';
import { KINDS } from '../trace/events.js';
import type { Alignment, FirstPlace } from './align.js';
import type { MeantEvent } from './column-stream.js';
import type { Cause, CauseKind, FirstDifference, StateDifference, Verdict } from './explanation.js';
import type { HeaderDifference, MemoryDifference } from './headers.js';
import type { Phase } from './phases.js';

export interface Findings {
  readonly verdict: Verdict;
  readonly header: readonly HeaderDifference[];
  readonly memory: MemoryDifference | null;
  readonly first: FirstDifference | null;
  readonly place: FirstPlace | null;
  readonly alignment: Alignment;
  readonly state: StateDifference | null;
  /** The final machine states agree. */
  readonly states: boolean;
}

/** Null when nothing differs. */
export function causeOf(findings: Findings): Cause | null {
  const { verdict, header, memory, first, place } = findings;
  if (verdict === 'equal' || verdict === 'cut') return null;
  const phase: Phase | null = place?.x?.phase ?? place?.y?.phase ?? null;
  const symbol = first?.siteA?.symbol ?? first?.siteB?.symbol ?? null;
  const make = (kind: CauseKind, subject: string, text: string): Cause => ({ kind, subject, text, phase, symbol });
  if (verdict === 'retimed' && header.length === 0) {
    const { firstShift, lastShift, shifted } = findings.alignment;
    const words = `the same events at other times: B ${shiftText(firstShift)} at first, ${shiftText(lastShift)} at the end`;
    return make('timing', 'timing', shifted === 0 ? 'the same events, from code at other addresses' : words);
  }
  if (header.length > 0) return fromHeader(header, memory, make);
  if (memory) return make('image', `memory ${memory.address}`, memoryText(memory));
  if (place) return fromEvents(place, first, make);
  if (findings.state) {
    const { agreedAt, differAt } = findings.state;
    return make('processor', 'state', `the machine states part between cycle ${agreedAt} and cycle ${differAt}`);
  }
  return make('processor', 'state', 'the final machine states differ, and no event does');
}

type Make = (kind: CauseKind, subject: string, text: string) => Cause;

function fromHeader(header: readonly HeaderDifference[], memory: MemoryDifference | null, make: Make): Cause {
  // What is chosen by name says more than the bytes that follow from it.
  const choices = header.filter(({ field }) => !isBytes(field) && !field.startsWith('entry state'));
  const shown = choices.length > 0 ? choices : header.filter(({ field }) => isBytes(field));
  const [one] = shown.length > 0 ? shown : header;
  const names = (shown.length > 0 ? shown : header).map(({ field }) => field);
  const isImage = isBytes(one!.field);
  const where = memory?.image ? `, first at offset ${memory.image.offset} of the ${memory.image.role}` : '';
  const what = isImage
    ? `${names.join(', ')} ${names.length === 1 ? 'has' : 'have'} other bytes${where}`
    : shown.map(({ field, a, b }) => `${field} is ${cut(a)} in A, ${cut(b)} in B`).join('; ');
  return make(one!.field === 'serial input' ? 'input' : isImage ? 'image' : 'option', names.join(', '), what);
}

/** What is known by its hash alone. */
const isBytes = (field: string): boolean => field.startsWith('image ') || field === 'serial input';

/** Nothing was chosen differently, so the machine or the files behind it are not the same. */
function fromEvents({ x, y, fields }: FirstPlace, first: FirstDifference | null, make: Make): Cause {
  if (!x || !y) {
    const more = (x ?? y)!;
    return make(
      'unknown',
      subjectOf(more),
      `${x ? 'B' : 'A'} ends, ${x ? 'A' : 'B'} goes on with ${more.meaning.text}`,
    );
  }
  const subject = subjectOf(x);
  const same = x.event.kind === y.event.kind && x.event.address === y.event.address;
  if (!same) return make(kindOf(x), subject, `A does ${x.meaning.text}, B does ${y.meaning.text}`);
  const detail = first?.detail;
  const { row } = { row: KINDS[x.event.kind] };
  const answered = row.role === 'effect' || row.role === 'note' || /read/.test(x.event.kind);
  const verb = answered ? 'the guest gets' : 'the guest writes';
  const values =
    detail ??
    (fields.includes('value')
      ? `${hex(x.event.value)} in A, ${hex(y.event.value)} in B`
      : `${fields.join(', ')} differ${fields.length === 1 ? 's' : ''}`);
  return make(answered ? kindOf(x) : 'code', subject, `${subject}: ${verb} ${values}`);
}

export function kindOf({ event, meaning }: MeantEvent): CauseKind {
  if (meaning.device === 'fw_cfg') return 'fw_cfg';
  if (event.kind === 'input') return 'input';
  if (event.kind === 'handoff') return 'structure';
  return 'device';
}

/** Device and register, or the fw_cfg item. */
export function subjectOf({ meaning }: MeantEvent): string {
  return meaning.device === 'fw_cfg' ? `fw_cfg item ${meaning.register}` : `${meaning.device} ${meaning.register}`;
}

export function memoryText({ address, a, b, image }: MemoryDifference): string {
  const where = image ? `${image.role} at offset ${image.offset}` : `memory at entry, guest ${address},`;
  return `${where} is ${hex(a)} in A, ${hex(b)} in B`;
}

const shiftText = (cycles: number): string =>
  cycles === 0 ? 'on time' : `${Math.abs(cycles)} cycles ${cycles > 0 ? 'later' : 'earlier'}`;

const cut = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text);
