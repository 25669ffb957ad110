// What the guest printed, by port: the console up to the chosen cycle in ink, what comes later faint. A line is a link to
// the event that began it. Taken from the guest's own writes, so nothing of it is stored twice.

import { grouped } from '../../figures.js';
import type { TraceData } from './columns.js';
import { el, fill } from './dom.js';
import { timeText } from './format.js';
import type { Model } from './model.js';

interface Line {
  readonly event: number;
  readonly text: string;
}

interface Output {
  readonly name: string;
  readonly lines: readonly Line[];
}

/** Lines around the chosen one that are shown. */
const AROUND = 1500;
/** Control sequences of terminals (ECMA-48); the text is shown without. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-Z\\-_]|[\x00-\x08\x0b-\x1f\x7f]/g;

export class ConsolePanel {
  readonly element = el('div', { class: 'console' });
  readonly #text = el('div', { class: 'console-lines', role: 'log', tabindex: 0, 'aria-label': 'Console output' });
  readonly #choice = el('select', { 'aria-label': 'Console' });
  readonly #note = el('output', { class: 'muted' });
  #outputs: readonly Output[] = [];

  constructor(private readonly model: Model) {
    this.element.append(el('div', { class: 'toolbar' }, this.#choice, this.#note), this.#text);
    this.#choice.addEventListener('change', () => this.draw());
    model.listen((change) => {
      if (change === 'trace') this.#load();
      if (model.tab === 'console' && (change === 'event' || change === 'tab' || change === 'trace')) this.draw();
    });
    this.#load();
  }

  #load(): void {
    this.#outputs = outputsOf(this.model.data);
    fill(this.#choice, ...this.#outputs.map(({ name }, n) => el('option', { value: n }, name)));
  }

  draw(): void {
    const { model } = this;
    const output = this.#outputs[Number(this.#choice.value) || 0];
    if (!output) {
      fill(this.#text, el('p', { class: 'muted' }, 'The guest wrote to no serial port and no debug console.'));
      this.#note.textContent = '';
      return;
    }
    const { lines } = output;
    const { data, event } = model;
    const { nsPerCycle } = data.head.inspection.timing;
    const last = event < 0 ? lines.length : lines.findIndex((line) => line.event > event);
    const here = last < 0 ? lines.length : last;
    const [from, to] = [Math.max(0, here - AROUND), Math.min(lines.length, here + AROUND)];
    const rows = lines.slice(from, to).map((line, n) => {
      const at = from + n;
      const row = el(
        'div',
        { class: `console-line${at >= here ? ' later' : ''}${at === here - 1 && event >= 0 ? ' current' : ''}` },
        el('span', { class: 'stamp' }, timeText(data.cycle[line.event]! * nsPerCycle, nsPerCycle * 2500)),
        el('span', { class: 'said' }, line.text === '' ? '\u00a0' : line.text),
      );
      row.addEventListener('click', () => model.select(line.event));
      return row;
    });
    fill(
      this.#text,
      from > 0 && el('p', { class: 'muted' }, `${grouped(from)} earlier lines`),
      ...rows,
      to < lines.length && el('p', { class: 'muted' }, `${grouped(lines.length - to)} later lines`),
    );
    const cycle = event < 0 ? 'at the end' : `at cycle ${grouped(model.cycle)}`;
    this.#note.textContent = `${grouped(here)} of ${grouped(lines.length)} lines ${cycle}`;
    // A view that is about to be shown has no height yet.
    requestAnimationFrame(() => this.#text.querySelector('.current')?.scrollIntoView({ block: 'center' }));
  }
}

/** Ports that carry text a byte at a time. */
function outputsOf(data: TraceData): Output[] {
  const { classes } = data.head;
  const isOutput = (n: number): boolean => {
    const { kind, device, register } = classes[n]!;
    if (kind !== 'port-write' && kind !== 'port-write-string') return false;
    return (device.startsWith('uart') && register === 'THR') || device === 'debugcon';
  };
  const names = new Map<number, string>();
  classes.forEach(({ device }, n) => {
    if (isOutput(n)) names.set(n, device.startsWith('uart') ? `Serial port ${device}` : 'Debug console');
  });
  if (names.size === 0) return [];
  const open = new Map<string, { lines: Line[]; event: number; text: string }>();
  for (let i = 0; i < data.count; i++) {
    const name = names.get(data.class[i]!);
    if (name === undefined) continue;
    let output = open.get(name);
    if (!output) {
      output = { lines: [], event: -1, text: '' };
      open.set(name, output);
    }
    const bytes = classes[data.class[i]!]!.kind === 'port-write' ? [data.value[i]! & 0xff] : data.data(i);
    for (const byte of bytes) {
      if (output.event < 0) output.event = i;
      if (byte === 10) {
        output.lines.push({ event: output.event, text: clean(output.text) });
        output.event = -1;
        output.text = '';
      } else if (output.text.length < 4096) output.text += String.fromCharCode(byte);
    }
  }
  return [...open].map(([name, { lines, event, text }]) => ({
    name,
    lines: event < 0 ? lines : [...lines, { event, text: clean(text) }],
  }));
}

const clean = (text: string): string => text.replaceAll(CONTROL, '');
