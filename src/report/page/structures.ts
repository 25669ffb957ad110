// What loaders left to kernels, and what the firmware was told: hand-off records, memory maps, fw_cfg items.

import { grouped, sizeText } from '../../figures.js';
import type { HandoffView } from '../../trace/handoff.js';
import type { ItemView } from '../payload.js';
import { button, type Child, el, fill, table } from './dom.js';
import { hexDump } from './format.js';
import type { Model } from './model.js';

const TYPES: Readonly<Record<string, string>> = {
  '0x1': 'usable RAM',
  '0x2': 'reserved',
  '0x3': 'ACPI tables',
  '0x4': 'ACPI NVS',
  '0x5': 'unusable',
};

export class StructuresPanel {
  readonly element = el('div', { class: 'structures', tabindex: 0, 'aria-label': 'Structures' });

  constructor(private readonly model: Model) {
    model.listen((change) => {
      if (change === 'trace') this.draw();
    });
    this.draw();
  }

  draw(): void {
    const { handoffs, items } = this.model.data.head;
    fill(
      this.element,
      handoffs.length === 0 && el('p', { class: 'muted' }, 'No loader entered a kernel.'),
      ...handoffs.map((view) => this.#handoff(view)),
      items.length > 0 && el('h2', {}, 'fw_cfg items'),
      items.length > 0 && el('p', { class: 'muted' }, 'As far as the guest read them.'),
      ...items.map(itemElement),
      items.length === 0 && el('p', { class: 'muted' }, 'The guest read no fw_cfg items.'),
    );
  }

  #handoff(view: HandoffView): HTMLElement {
    const { model } = this;
    const go = button(`cycle ${grouped(view.cycle)}`, 'Go to the event', () =>
      model.select(model.data.firstAt(view.cycle)),
    );
    const registers = [...Object.entries(view.registers), ...Object.entries(view.control)];
    return el(
      'section',
      { class: 'handoff' },
      el('h2', {}, `Hand-off: ${view.protocol} `, go),
      el('p', {}, `entered at `, el('code', {}, `${view.cs}:${view.rip}`), `, booted by the route ${view.route}`),
      view.memoryMap.length > 0 && el('h3', {}, 'Memory map'),
      view.memoryMap.length > 0 && memoryMap(view.memoryMap),
      el('h3', {}, 'Registers'),
      el(
        'dl',
        { class: 'registers' },
        ...registers.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]),
      ),
      table(
        ['segment', 'selector', 'base', 'limit', 'attributes'],
        Object.entries(view.segments).map(([name, s]) => [name, s.selector, s.base, s.limit, s.attributes]),
      ),
      ...view.structures.map(({ name, address, length, fields }) =>
        el(
          'details',
          { open: !/setup_header|boot_params/.test(name) },
          el('summary', {}, el('b', {}, name), ` at ${address}, ${Number(length)} bytes`),
          table(
            ['field', 'value'],
            Object.entries(fields).map(([field, value]) => [field, el('code', {}, value)]),
          ),
        ),
      ),
    );
  }
}

/** A memory map as a picture to scale (by rank, since sizes differ by powers) and as a table. */
function memoryMap(ranges: readonly { address: string; length: string; type: string }[]): HTMLElement {
  const rows = ranges.map(({ address, length, type }): Child[] => {
    const [start, size] = [BigInt(address), BigInt(length)];
    const end = size === 0n ? start : start + size - 1n;
    const bar = el('span', { class: `map-bar type-${Number(type)}` });
    bar.style.width = `${Math.max(4, Math.log2(Number(size) + 1) * 5)}px`;
    return [
      el('code', {}, `0x${start.toString(16).padStart(9, '0')}`),
      el('code', {}, `0x${end.toString(16).padStart(9, '0')}`),
      sizeText(Number(size)),
      bar,
      TYPES[type] ?? `type ${Number(type)}`,
    ];
  });
  return table(['from', 'to', 'size', 'size, logarithmic', 'kind'], rows, { class: 'memory-map' });
}

function itemElement(item: ItemView): HTMLElement {
  const { name, length, data, entries, ranges } = item;
  const bytes = Uint8Array.from(data.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));
  return el(
    'details',
    { open: ranges !== undefined },
    el('summary', {}, el('b', {}, name), ` ${grouped(length)} ${length === 1 ? 'byte' : 'bytes'}`),
    ranges ? memoryMap(ranges) : entries.length > 0 && el('ol', {}, ...entries.map((entry) => el('li', {}, entry))),
    el('pre', { class: 'dump' }, hexDump(bytes)),
    length > bytes.length && el('p', { class: 'muted' }, `the first ${bytes.length} bytes`),
  );
}
