// A baseline as people review it: what a boot did, in lines that a version control system can compare. The trace is
// named by its hash, and the last line is the hash of all lines above it, so that a file that was cut off, merged by
// hand or edited is told from one that was accepted.
// Everything is written from the facts of a boot, so equal boots have equal text; names come in the boot's own order.

import { createHash } from 'node:crypto';
import { grouped } from '../figures.js';
import { handoffText } from '../trace/handoff.js';
import type { BootFacts } from './facts.js';

const VERSION = 1;
const FIRST = `vmreplay baseline ${VERSION}`;
const LAST = /\nsum {8}([0-9a-f]{64})\n$/;
/** Lines of serial output; what is more is told by its hash. */
const MAX_LINES = 5000;

/** What of a baseline file is read again: everything else is in the trace. */
export interface BaselineText {
  readonly name: string;
  readonly root: string;
  /** SHA-256 of the trace file. */
  readonly trace: string;
}

/** @param trace SHA-256 of the trace file */
export function baselineText(name: string, facts: BootFacts, trace: string): string {
  const { header, metrics, end } = facts;
  const row = (label: string, text: string) => `${label.padEnd(11)}${text}`.trimEnd();
  const memory = header.memory % 2 ** 20 === 0 ? `${header.memory / 2 ** 20} MiB` : `${header.memory} bytes`;
  const options = Object.entries(header.options).filter(([key]) => key !== 'serialIn');
  const lines = [
    FIRST,
    row('boot', name),
    row('machine', `${header.machine}, ${memory}, ${header.cpu}`),
    row('timing', `${header.timing.name}, ${header.timing.nsPerCycle} ns a cycle`),
    row('route', header.route),
    ...(header.commandLine === '' ? [] : [row('append', JSON.stringify(header.commandLine))]),
    ...options.map(([key, value]) => row('option', `${key} ${JSON.stringify(value)}`)),
    ...facts.images.map((i) => row('image', `${i.role} ${i.name}, ${grouped(i.size)} bytes, sha256 ${i.sha256}`)),
    row('end', end.code === null ? end.reason : `${end.reason} ${end.code}`),
    ...Object.entries(metrics.cycles).map(([point, cycle]) => row('cycles', `${grouped(cycle).padStart(14)} ${point}`)),
    row('count', `${grouped(metrics.instructions).padStart(14)} instructions`),
    row('count', `${grouped(metrics.events).padStart(14)} events`),
    ...Object.entries(facts.byKind).map(([kind, n]) => row('count', `${grouped(n!).padStart(14)} ${kind}`)),
    row('count', `${grouped(metrics.portAccesses).padStart(14)} port accesses`),
    row('count', `${grouped(metrics.dmaBytes).padStart(14)} bytes of DMA`),
    row('root', facts.root),
    row('state', facts.state),
    row('trace', `${trace} ${grouped(metrics.traceBytes)} bytes`),
    ...facts.handoffs.flatMap((handoff) => ['', ...handoffText(handoff).trimEnd().split('\n')]),
    ...serialLines(facts.serial),
  ];
  const text = `${lines.join('\n')}\n`;
  return `${text}sum        ${digest(text)}\n`;
}

/** @throws Error whose message says what is wrong with the text, to follow the file's name */
export function readBaselineText(text: string): BaselineText {
  const version = /^vmreplay baseline (\d+)\n/.exec(text)?.[1];
  if (version === undefined) throw new Error('is no baseline: it does not begin as one');
  if (Number(version) !== VERSION)
    throw new Error(`is a baseline of version ${version}, and this program has ${VERSION}`);
  const sum = LAST.exec(text);
  if (!sum) throw new Error('was cut off: its last line is missing');
  if (digest(text.slice(0, sum.index + 1)) !== sum[1]) throw new Error('was changed after it was accepted');
  const field = (label: string) => new RegExp(`^${label} +(\\S+)`, 'm').exec(text)?.[1];
  const [name, root, trace] = [field('boot'), field('root'), field('trace')];
  if (!name || !root || !trace || !/^[0-9a-f]{64}$/.test(trace)) throw new Error('names no trace');
  return { name, root, trace };
}

function serialLines(serial: string): string[] {
  if (serial === '') return [];
  const lines = serial.split(/\r*\n/);
  if (lines.at(-1) === '') lines.pop();
  const shown = lines.slice(0, MAX_LINES).map((line) => `| ${printable(line)}`.trimEnd());
  if (lines.length > MAX_LINES) shown.push(`… ${grouped(lines.length - MAX_LINES)} more lines`);
  return ['', `serial     ${grouped(serial.length)} bytes, sha256 ${digest(serial)}`, ...shown];
}

/** Control characters as C writes them: the file is text for every tool. */
const printable = (line: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  line.replaceAll(/[\x00-\x08\x0b-\x1f\x7f-\xff\\]/g, (c) =>
    c === '\\' ? '\\\\' : `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
