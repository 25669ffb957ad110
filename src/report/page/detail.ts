// Everything about the selected event, beside whatever else is shown.

import { grouped } from '../../figures.js';
import { KINDS } from '../../trace/events.js';
import { button, el, fill } from './dom.js';
import { hex, hexDump, timeText } from './format.js';
import { groupOf, SIGNS, shapeOf } from './lanes.js';
import type { Model } from './model.js';

export class Detail {
  readonly element = el('aside', { class: 'detail', 'aria-label': 'Selected event', 'aria-live': 'polite' });

  constructor(
    private readonly model: Model,
    private readonly onStatus: (text: string) => void,
  ) {
    model.listen((change) => {
      if (change === 'event' || change === 'trace') this.draw();
    });
    this.draw();
  }

  draw(): void {
    const { model } = this;
    const i = model.event;
    this.element.hidden = i < 0;
    if (i < 0) return;
    const { data } = model;
    const event = data.fields(i);
    const { device, register } = data.classOf(i);
    const row = KINDS[event.kind];
    const { nsPerCycle } = data.head.inspection.timing;
    const phase = data.head.phases.find(({ from, to }) => event.cycle >= from && event.cycle < to)?.name;
    const before = i > 0 ? event.cycle - data.cycle[i - 1]! : undefined;
    const fields: [string, string | Node][] = [
      ['cycle', `${grouped(event.cycle)} · ${timeText(event.cycle * nsPerCycle, nsPerCycle)}`],
    ];
    if (before !== undefined) fields.push(['after', `${grouped(before)} cycles since the event before`]);
    if (phase !== undefined) fields.push(['phase', phase]);
    fields.push(['kind', event.kind], ['device', device], ['register', register]);
    if (event.name !== '' && event.name !== register) fields.push(['name', event.name]);
    if (row.address !== 'none') fields.push([row.address === 'physical' ? 'address' : row.address, hex(event.address)]);
    if (row.size) fields.push(['width', `${event.size} ${event.size === 1 ? 'byte' : 'bytes'}`]);
    const value = valueText(row.value, event.value, event.valueHigh);
    if (value !== undefined) fields.push(['value', value]);
    const symbol = data.symbol(i);
    if (symbol !== '') fields.push(['symbol', el('code', {}, symbol)]);
    fields.push(['at', el('code', {}, data.place(i))]);
    const instruction = data.instruction(i);
    if (instruction !== '') fields.push(['instruction', el('code', {}, instruction)]);
    const copy = button('Copy link', 'Copy a link to this event (c)', () => void this.copy());
    fill(
      this.element,
      el(
        'header',
        {},
        el(
          'h2',
          {},
          el('span', { class: `sign group-${groupOf(device)}` }, SIGNS[shapeOf(event.kind)]),
          ` Event #${grouped(i)}`,
        ),
        copy,
      ),
      el('p', { class: 'words' }, data.words(i)),
      el('dl', {}, ...fields.flatMap(([name, text]) => [el('dt', {}, name), el('dd', {}, text)])),
      event.dataLength > 0 && el('h3', {}, `Data, ${grouped(event.dataLength)} bytes`),
      event.dataLength > 0 && el('pre', { class: 'dump', tabindex: 0 }, hexDump(event.data)),
      event.dataLength > event.data.length &&
        el('p', { class: 'muted' }, `the first ${event.data.length} are in this page`),
      el(
        'p',
        { class: 'same' },
        button('◂ same register', 'The event before at this register', () => this.#sameRegister(-1)),
        button('same register ▸', 'The next event at this register', () => this.#sameRegister(1)),
      ),
    );
  }

  async copy(): Promise<void> {
    if (this.model.event < 0) return;
    try {
      await navigator.clipboard.writeText(location.href);
      this.onStatus('link copied');
    } catch {
      this.onStatus('the link is in the address bar');
    }
  }

  #sameRegister(by: 1 | -1): void {
    const { data, event } = this.model;
    const { device, register } = data.classOf(event);
    const same = data.head.classes.map((row) => row.device === device && row.register === register);
    for (let i = event + by; i >= 0 && i < data.count; i += by) {
      if (same[data.class[i]!]) {
        this.model.select(i);
        return;
      }
    }
    this.onStatus(`no ${by > 0 ? 'later' : 'earlier'} event at ${device} ${register}`);
  }
}

function valueText(unit: string, value: number, high: number): string | undefined {
  switch (unit) {
    case 'none':
      return undefined;
    case 'u64':
      return hex((BigInt(high) << 32n) | BigInt(value));
    case 'nanoseconds':
      return value === Number.MAX_SAFE_INTEGER ? 'never' : `at ${grouped(value)} ns`;
    case 'length':
      return `${grouped(value)} bytes`;
    case 'code':
      return value === 0 ? 'no code' : `code ${value - 1}`;
    default:
      return value < 10 ? String(value) : `${hex(value)} · ${grouped(value)}`;
  }
}
