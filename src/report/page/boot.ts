// What was booted and how it went: the same as `vmreplay inspect`, as tables.

import { grouped, sizeText } from '../../figures.js';
import { button, el, fill, table } from './dom.js';
import { timeText } from './format.js';
import type { Model } from './model.js';

export class BootPanel {
  readonly element = el('div', { class: 'boot', tabindex: 0, 'aria-label': 'The boot' });

  constructor(private readonly model: Model) {
    model.listen((change) => {
      if (change === 'trace') this.draw();
    });
    this.draw();
  }

  draw(): void {
    const { model } = this;
    const { head } = model.data;
    const { inspection: i } = head;
    const ns = i.timing.nsPerCycle;
    const end = i.end ? `${i.end.reason}${i.end.code === null ? '' : ` ${i.end.code}`}` : 'cut off';
    const facts: [string, string | HTMLElement][] = [
      ['file', `${head.file}, ${sizeText(i.bytes)}, ${i.format}`],
      ['recorded by', i.tool || 'an unknown tool'],
      ['machine', `${i.machine}, ${sizeText(head.memory)}, ${i.cpu}`],
      ['timing', `${i.timing.name}, ${ns} ns a cycle`],
      ['boot', `${head.route}${head.commandLine === '' ? '' : `, ${JSON.stringify(head.commandLine)}`}`],
      [
        'run',
        `${grouped(i.cycles)} cycles (${timeText(i.cycles * ns)})${i.instructions === null ? '' : `, ${grouped(i.instructions)} instructions`}`,
      ],
      ['end', end],
      ['root', el('code', {}, i.root ?? 'none: the recording was cut off')],
      ['state', el('code', {}, i.state ?? 'unknown')],
    ];
    const kinds = Object.entries(i.events.byKind).sort(([, a], [, b]) => b - a);
    const most = kinds[0]?.[1] ?? 1;
    fill(
      this.element,
      ...head.notes.map((note) => el('p', { class: 'note', role: 'note' }, `! ${note}`)),
      el('h2', {}, 'The boot'),
      el('dl', { class: 'facts' }, ...facts.flatMap(([name, text]) => [el('dt', {}, name), el('dd', {}, text)])),
      el('h2', {}, 'Phases'),
      table(
        ['phase', 'from cycle', 'to', 'takes'],
        head.phases.map(({ name, from, to }) => [
          button(name, 'Show it on the timeline', () => this.#show(from, to)),
          grouped(from),
          grouped(to),
          timeText((to - from) * ns),
        ]),
      ),
      el('h2', {}, 'Milestones'),
      table(
        ['milestone', 'cycle', 'time', 'rip'],
        i.milestones.map(({ name, cycle, rip }) => [
          button(name, 'Go to its event', () => model.select(model.data.firstAt(cycle))),
          grouped(cycle),
          timeText(cycle * ns),
          el('code', {}, rip),
        ]),
      ),
      el('h2', {}, 'Images'),
      table(
        ['role', 'name', 'bytes', 'sha256'],
        i.images.map(({ role, name, size, sha256 }) => [role, name, grouped(size), el('code', {}, sha256)]),
      ),
      el('h2', {}, `${grouped(i.events.total)} events`),
      table(
        ['kind', 'count', ''],
        kinds.map(([kind, count]) => {
          const bar = el('span', { class: 'bar' });
          bar.style.width = `${Math.max(1, (count / most) * 240)}px`;
          return [button(kind, 'Show only these', () => this.#only(kind)), grouped(count), bar];
        }),
      ),
    );
  }

  #show(from: number, to: number): void {
    const { model } = this;
    if (model.mode === 'time') model.setView(from, to);
    else model.setView(model.data.firstAt(from), model.data.firstAt(to));
  }

  #only(kind: string): void {
    this.model.setQuery(`kind:${kind}`);
    this.model.setTab('events');
  }
}
