// What differs before the first instruction: machine, images, command line, and the initial memory itself. When boots
// differ, the cause is most often here, so a report begins with it.

import type { Plain } from '../platform/device.js';
import { encodeCanonical } from '../trace/codec.js';
import type { ImageRecord, TraceHeader } from '../trace/header.js';
import type { MemoryPiece } from '../trace/memory.js';
import type { TraceReader } from '../trace/reader.js';

/** A choice made before the boot that is not the same. */
export interface HeaderDifference {
  /** machine, memory, cpu, timing, route, command line, option NAME, image ROLE … */
  readonly field: string;
  readonly a: string;
  readonly b: string;
  /** Where in the two it begins, in words. */
  readonly detail?: string;
}

/** The first byte of initial memory that differs, among those that both boots have observed. */
export interface MemoryDifference {
  /** Guest physical, hexadecimal text. */
  readonly address: string;
  readonly a: number;
  readonly b: number;
  /** The image that the byte belongs to, and the offset in it. */
  readonly image?: { readonly role: string; readonly offset: number };
}

const NONE = '(none)';

export function diffHeaders(a: TraceHeader, b: TraceHeader): HeaderDifference[] {
  const found: HeaderDifference[] = [];
  const compare = (field: string, x: string, y: string, detail?: string) => {
    if (x !== y) found.push(detail === undefined ? { field, a: x, b: y } : { field, a: x, b: y, detail });
  };
  compare('machine', a.machine, b.machine);
  compare('memory', size(a.memory), size(b.memory));
  compare('cpu', a.cpu, b.cpu);
  compare('timing', `${a.timing.name} (${a.timing.nsPerCycle} ns)`, `${b.timing.name} (${b.timing.nsPerCycle} ns)`);
  compare('route', a.route, b.route);
  compare(
    'command line',
    a.commandLine,
    b.commandLine,
    `from character ${firstDifference(a.commandLine, b.commandLine)}`,
  );
  compareImages(a.images, b.images, compare);
  compare('rom', plainText(a.rom), plainText(b.rom));
  for (const name of new Set([...Object.keys(a.options), ...Object.keys(b.options)])) {
    if (name === 'serialIn') compareInput(a.options[name], b.options[name], compare);
    else compare(`option ${name}`, plainText(a.options[name]), plainText(b.options[name]));
  }
  const [x, y] = [entryState(a), entryState(b)];
  if (!encodeCanonical(x).equals(encodeCanonical(y))) {
    const [left, right, path] = firstPlainDifference(x, y, '');
    found.push({ field: `entry state${path}`, a: plainText(left), b: plainText(right) });
  }
  return found;
}

/** Without the ranges where the recorder noted what the guest sees of what a loader put there: guests cannot tell. */
function entryState({ entry }: TraceHeader): Plain {
  if (!isMap(entry)) return entry;
  const { loaded: _, ...state } = entry;
  return state;
}

/** Compare the initial memories, piece by piece. */
export function diffMemory(a: TraceReader, b: TraceReader): MemoryDifference | undefined {
  const left = byAddress(a);
  const right = byAddress(b);
  let [i, j] = [0, 0];
  while (i < left.length && j < right.length) {
    const x = left[i]!;
    const y = right[j]!;
    const from = Math.max(x.address, y.address);
    const to = Math.min(x.address + x.data.length, y.address + y.data.length);
    if (from < to) {
      const p = x.data.subarray(from - x.address, to - x.address);
      const q = y.data.subarray(from - y.address, to - y.address);
      if (Buffer.compare(p, q) !== 0) {
        const at = p.findIndex((byte, i) => byte !== q[i]);
        return memoryDifference(from + at, p[at]!, q[at]!, a.header.images);
      }
    }
    if (x.address + x.data.length <= y.address + y.data.length) i++;
    else j++;
  }
  return undefined;
}

/** A trace has its memory in several sequences, one for each time that the recorder handed some over. */
const byAddress = (reader: TraceReader): MemoryPiece[] => [...reader.memory()].sort((p, q) => p.address - q.address);

function memoryDifference(address: number, a: number, b: number, images: readonly ImageRecord[]): MemoryDifference {
  const image = images.find((i) => i.address !== undefined && address >= i.address && address < i.address + i.size);
  const found = { address: `0x${address.toString(16)}`, a, b };
  return image ? { ...found, image: { role: image.role, offset: address - image.address! } } : found;
}

/** The file is not in the trace, its hash is; its bytes are in the events. */
function compareInput(
  a: Plain | undefined,
  b: Plain | undefined,
  compare: (field: string, x: string, y: string) => void,
) {
  const text = (hash: Plain | undefined) => (typeof hash === 'string' ? `sha256 ${hash}` : NONE);
  compare('serial input', text(a), text(b));
}

function compareImages(
  a: readonly ImageRecord[],
  b: readonly ImageRecord[],
  compare: (field: string, x: string, y: string) => void,
): void {
  const left = byRole(a);
  const right = byRole(b);
  for (const role of new Set([...left.keys(), ...right.keys()])) {
    compare(`image ${role}`, imageText(left.get(role)), imageText(right.get(role)));
  }
}

/** Images by role; the second of a role is called "module 2". */
function byRole(images: readonly ImageRecord[]): Map<string, ImageRecord> {
  const found = new Map<string, ImageRecord>();
  for (const image of images) {
    let role = image.role;
    for (let n = 2; found.has(role); n++) role = `${image.role} ${n}`;
    found.set(role, image);
  }
  return found;
}

const imageText = (image: ImageRecord | undefined): string =>
  image ? `sha256 ${image.sha256}, ${image.size} bytes` : NONE;

const size = (bytes: number): string => (bytes % 0x10_0000 === 0 ? `${bytes / 0x10_0000} MiB` : `${bytes} bytes`);

/** Index of the first character in which two texts differ. */
export function firstDifference(a: string, b: string): number {
  let i = 0;
  while (i < a.length && a[i] === b[i]) i++;
  return i;
}

function plainText(value: Plain | undefined): string {
  if (value === undefined) return NONE;
  const shown = JSON.stringify(value, (_, item: unknown) => {
    if (typeof item === 'bigint') return `0x${item.toString(16)}`;
    return item instanceof Uint8Array ? `${item.length} bytes` : item;
  });
  return shown.length > 200 ? `${shown.slice(0, 200)}…` : shown;
}

type Fields = Readonly<Record<string, Plain>>;

function firstPlainDifference(a: Plain, b: Plain, path: string): [Plain, Plain, string] {
  if ((isMap(a) && isMap(b)) || (Array.isArray(a) && Array.isArray(b))) {
    const [left, right] = [a as Fields, b as Fields];
    for (const name of new Set([...Object.keys(left), ...Object.keys(right)])) {
      const [x, y] = [left[name] ?? null, right[name] ?? null];
      if (!encodeCanonical(x).equals(encodeCanonical(y))) return firstPlainDifference(x, y, `${path} ${name}`);
    }
  }
  if (a instanceof Uint8Array && b instanceof Uint8Array) {
    let at = 0;
    while (at < a.length && a[at] === b[at]) at++;
    if (at < Math.min(a.length, b.length)) return [a[at]!, b[at]!, `${path} byte ${at}`];
  }
  return [a, b, path];
}

const isMap = (value: Plain): value is Fields =>
  value !== null && typeof value === 'object' && !Array.isArray(value) && !(value instanceof Uint8Array);
