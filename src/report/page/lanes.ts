// Lanes of the timeline: one a device family (pci, timer, uart0 …), the busiest first, the rare ones together. A lane has
// its events' places as arrays of its own, so that counting those between two places is two searches.

import type { EventKind } from '../../trace/events.js';
import type { TraceData } from './columns.js';

export interface Lane {
  readonly name: string;
  /** What selects it in the search box; '' where no one name does. */
  readonly query: string;
  readonly group: Group;
  readonly events: Uint32Array;
  readonly cycles: Float64Array;
  /** The same as `events`, for searches along the axis of events. */
  readonly places: Float64Array;
}

/** Kinds of devices, for colours; lanes are told apart by name and place without them. */
export type Group = 'cpu' | 'time' | 'config' | 'line' | 'disk' | 'screen' | 'other';

const MOST_LANES = 18;

const GROUPS: readonly (readonly [RegExp, Group])[] = [
  [/^(processor|pic|ioapic|lapic|handoff)/, 'cpu'],
  [/^(timer|pit|hpet|rtc|acpi pm)/, 'time'],
  [/^(fw_cfg|pci|acpi|elcr|reset|dma|port92|firmware)/, 'config'],
  [/^(uart|debugcon|input|kbd|keyboard|i8042|ps2|serial|mouse)/, 'line'],
  [/^(ide|ata|virtio|memory|block)/, 'disk'],
  [/^(vga|screen|bochs)/, 'screen'],
];

export const groupOf = (device: string): Group => GROUPS.find(([pattern]) => pattern.test(device))?.[1] ?? 'other';

/** `pci 00:01.3` and `port 0x92` belong to `pci` and `port`. */
const familyOf = (device: string): string => device.split(' ')[0]!;

export function lanesOf(data: TraceData): Lane[] {
  const { classes } = data.head;
  const families = [...new Set(classes.map(({ device }) => familyOf(device)))];
  const family = Uint32Array.from(classes, ({ device }) => families.indexOf(familyOf(device)));
  const counts = new Uint32Array(families.length);
  for (const id of data.class) counts[family[id]!]!++;
  const order = families.map((_, n) => n).sort((a, b) => counts[b]! - counts[a]! || a - b);
  const alone = order.length > MOST_LANES ? order.slice(0, MOST_LANES - 1) : order;
  const lane = new Uint32Array(families.length).fill(alone.length);
  alone.forEach((n, at) => {
    lane[n] = at;
  });
  const sizes = new Uint32Array(alone.length + 1);
  families.forEach((_, n) => {
    sizes[lane[n]!]! += counts[n]!;
  });
  const events = Array.from(sizes, (size) => new Uint32Array(size));
  const ends = new Uint32Array(sizes.length);
  for (let i = 0; i < data.count; i++) {
    const at = lane[family[data.class[i]!]!]!;
    events[at]![ends[at]!++] = i;
  }
  const make = (name: string, query: string, indices: Uint32Array): Lane => ({
    name,
    query,
    group: groupOf(name),
    events: indices,
    cycles: Float64Array.from(indices, (i) => data.cycle[i]!),
    places: Float64Array.from(indices),
  });
  const named = alone.map((n, at) => make(families[n]!, `device:${families[n]!}`, events[at]!));
  const rest = events[alone.length]!;
  return rest.length > 0 ? [...named, make(`${order.length - alone.length} others`, '', rest)] : named;
}

/** Shape of an event: which way something went. Legible without colour. */
export type Shape = 'read' | 'write' | 'async' | 'effect' | 'note' | 'mark';

const SHAPES: Readonly<Record<EventKind, Shape>> = {
  'port-read': 'read',
  'port-write': 'write',
  'port-read-string': 'read',
  'port-write-string': 'write',
  'mmio-read': 'read',
  'mmio-write': 'write',
  'mmio-read-string': 'read',
  'mmio-write-string': 'write',
  'msr-read': 'read',
  'msr-write': 'write',
  interrupt: 'async',
  line: 'effect',
  'dma-write': 'effect',
  'dma-read': 'effect',
  stop: 'mark',
  'timer-armed': 'note',
  'timer-fired': 'note',
  input: 'effect',
  milestone: 'mark',
  'state-hash': 'mark',
  end: 'mark',
  handoff: 'mark',
};

export const shapeOf = (kind: EventKind): Shape => SHAPES[kind];

/** The same as a character, for tables. */
export const SIGNS: Readonly<Record<Shape, string>> = {
  read: '◁',
  write: '▶',
  async: '⚡',
  effect: '◆',
  note: '○',
  mark: '▮',
};
