// Where two traces part and why: the cause, the way back to it, the event on both sides with the instruction and the
// registers before it, tables side by side, and what differs behind. It is what `vmreplay diff` found; nothing is
// worked out here. What differs is marked by a sign, not by colour alone.

import type { ComparedTable, Explanation, FirstDifference } from '../../diff/explanation.js';
import { grouped } from '../../figures.js';
import type { EventView } from '../../trace/event-view.js';
import type { DifferenceView, MachineView } from '../payload.js';
import { button, el, fill, table } from './dom.js';
import type { Model } from './model.js';

const VERDICTS: Readonly<Record<Explanation['verdict'], string>> = {
  equal: '= No difference',
  retimed: '≈ The same things at other times',
  diverged: '≠ The boots part',
  cut: '? No difference as far as the recordings go',
};
const MARKS: Readonly<Record<string, string>> = {
  changed: '≠',
  'only-a': '−',
  'only-b': '+',
  moved: '↕',
};
const MOST_GROUPS = 40;

export class DifferencePanel {
  readonly element = el('div', { class: 'difference', tabindex: 0, 'aria-label': 'Difference' });

  constructor(private readonly model: Model) {
    if (model.difference) this.#draw(model.difference);
  }

  #draw({ explanation, report, machines, index }: DifferenceView): void {
    const { cause, first, chain, tables, groups, verdict, same } = explanation;
    const where = index === null ? '' : ` at event #${grouped(index)}`;
    fill(
      this.element,
      el('h2', { class: same ? 'same' : 'differs' }, `${VERDICTS[verdict]}${where}`),
      cause && el('p', { class: 'cause' }, cause.text),
      cause?.symbol != null && el('p', { class: 'muted' }, `in ${cause.symbol}`),
      ...explanation.notes.map((note) => el('p', { class: 'note', role: 'note' }, `! ${note}`)),
      chain.length > 0 && el('h3', {}, 'The way to the cause'),
      chain.length > 0 &&
        el('ol', { class: 'chain' }, ...chain.map(({ role, text }) => el('li', {}, el('b', {}, role), ` ${text}`))),
      first && this.#sides(first, machines),
      ...tables.map(compared),
      groups.length > 0 && el('h3', {}, 'All differences, folded'),
      groups.length > 0 && this.#groups(explanation),
      el('h3', {}, 'As vmreplay diff prints it'),
      el('pre', { class: 'report', tabindex: 0 }, report.join('\n')),
    );
  }

  #sides(first: FirstDifference, machines: readonly (MachineView | null)[]): HTMLElement {
    const said = [first.fields.length > 0 ? `Different: ${first.fields.join(', ')}.` : '', first.detail ?? ''];
    return el(
      'section',
      { 'aria-label': 'First difference' },
      el('p', {}, said.filter(Boolean).join(' ')),
      el('div', { class: 'sides' }, ...[0, 1].map((n) => this.#side(first, n, machines))),
    );
  }

  #side(first: FirstDifference, n: number, machines: readonly (MachineView | null)[]): HTMLElement {
    const letter = n === 0 ? 'A' : 'B';
    const event = n === 0 ? first.a : first.b;
    const site = n === 0 ? first.siteA : first.siteB;
    const after = n === 0 ? first.afterA : first.afterB;
    const [machine, other] = [machines[n] ?? null, machines[1 - n] ?? null];
    const name = this.model.traces[n]?.data.head.file ?? '';
    return el(
      'section',
      { class: `side side-${letter}`, 'aria-label': `Side ${letter}` },
      el('h3', {}, el('span', { class: 'badge' }, letter), name),
      el('p', { class: 'words' }, event ? event.text : 'The trace has ended.'),
      event && el('p', { class: 'muted' }, `cycle ${grouped(event.cycle)}, at ${site?.symbol ?? site?.at ?? ''}`),
      el('h4', {}, 'Events'),
      el(
        'ol',
        { class: 'around' },
        ...first.before.map((one) => this.#line(one, n, 'same')),
        event && this.#line(event, n, 'here'),
        ...after.map((one) => this.#line(one, n, 'after')),
      ),
      machine && el('h4', {}, 'Instruction'),
      machine && listing(machine),
      machine && el('h4', {}, 'Registers before it'),
      machine && registers(machine, other),
      !machine && el('p', { class: 'muted' }, 'No registers: the trace was not replayed for this page.'),
    );
  }

  #line(event: EventView, n: number, kind: 'same' | 'here' | 'after'): HTMLElement {
    const sign = { same: '=', here: '≠', after: ' ' }[kind];
    return el(
      'li',
      { class: kind },
      el('span', { class: 'sign', 'aria-hidden': 'true' }, sign),
      button(`#${grouped(event.index)}`, 'Show it in the table', () => this.#goTo(n, event.index)),
      el('span', { class: 'said', title: event.text }, event.text),
    );
  }

  #groups({ groups }: Explanation): HTMLElement {
    const rows = groups
      .slice(0, MOST_GROUPS)
      .map((group) => [
        el('b', { title: group.kind }, MARKS[group.kind] ?? ''),
        group.kind.replace('only-a', 'only in A').replace('only-b', 'only in B'),
        group.timing === group.count ? `${grouped(group.count)}, timing` : grouped(group.count),
        group.phase,
        `${group.device} ${group.register}`,
        this.#example('A', 0, group.firstA, group.exampleA),
        this.#example('B', 1, group.firstB, group.exampleB),
      ]);
    const head = ['', 'what', 'events', 'phase', 'where', 'first in A', 'first in B'];
    const element = el('div', { class: 'groups' }, table(head, rows));
    if (groups.length > MOST_GROUPS) element.append(el('p', { class: 'muted' }, `${groups.length - MOST_GROUPS} more`));
    return element;
  }

  #example(side: string, n: number, index: number | null, text: string | null): HTMLElement | undefined {
    if (index === null) return undefined;
    return button(text ?? `#${grouped(index)}`, `Event #${grouped(index)} of ${side}`, () => this.#goTo(n, index));
  }

  #goTo(trace: number, event: number): void {
    this.model.setTrace(trace);
    this.model.setTab('events');
    this.model.select(event);
  }
}

/** Two tables side by side, row against row. */
function compared({ title, columns, rows }: ComparedTable): HTMLElement {
  const cells = (row: readonly string[] | null) => columns.map((_, n) => el('code', {}, row?.[n] ?? '—'));
  const head = ['', ...columns.map((name) => `A ${name}`), ...columns.map((name) => `B ${name}`)];
  const signs: Readonly<Record<string, string>> = { '=': '=', '!': '≠', '-': '−', '+': '+' };
  return el(
    'section',
    {},
    el('h3', {}, title),
    table(
      head,
      rows.map(({ mark, a, b }) => [
        el('b', { class: mark === '=' ? 'muted' : 'differs' }, signs[mark] ?? mark),
        ...cells(a),
        ...cells(b),
      ]),
      { class: 'compared' },
    ),
  );
}

function listing({ listing: lines }: MachineView): HTMLElement {
  return table(
    [],
    lines.map(({ address, bytes, text, symbol, here }) => [
      here ? '▶' : '',
      el('code', { class: here && 'here' }, address),
      el('code', { class: 'muted' }, bytes),
      el('code', { class: here && 'here' }, text),
      symbol !== undefined && el('span', { class: 'muted' }, symbol),
    ]),
    { class: 'listing' },
  );
}

function registers(machine: MachineView, other: MachineView | null): HTMLElement {
  const theirs = new Map(other?.registers);
  return el(
    'dl',
    { class: 'registers' },
    ...machine.registers.flatMap(([name, value]) => {
      const differs = other !== null && theirs.get(name) !== value;
      return [
        el('dt', { class: differs && 'differs' }, differs ? `≠ ${name}` : name),
        el('dd', { class: differs && 'differs' }, value),
      ];
    }),
  );
}
