// The events as rows. There are as many row elements as fit the window, whatever the number of events: scrolling changes
// their texts. Past what a browser can scroll, a pixel of the scroll bar stands for more than one.

import { grouped } from '../../figures.js';
import { el } from './dom.js';
import { timeText } from './format.js';
import { groupOf, SIGNS, shapeOf } from './lanes.js';
import type { Model } from './model.js';

const ROW = 22;
/** Browsers lose count past some 16 to 33 million pixels. */
const MOST_HEIGHT = 8_000_000;

interface Row {
  readonly element: HTMLElement;
  readonly cells: HTMLElement[];
  /** Position among the rows that are shown, -1 when hidden. */
  at: number;
}

const COLUMNS = ['#', 'time', 'cycle', '', 'device', 'event', 'from'] as const;

export class EventTable {
  readonly element: HTMLElement;
  readonly #scroller: HTMLElement;
  readonly #spacer: HTMLElement;
  readonly #body: HTMLElement;
  readonly #count: HTMLElement;
  readonly search: HTMLInputElement;
  readonly #rows: Row[] = [];
  #frame = 0;
  /** Row at the top, with its fraction. */
  #top = 0;
  /** The scroll position that was set by the program, whose event says nothing new. */
  #own = -1;

  constructor(private readonly model: Model) {
    this.search = el('input', {
      type: 'search',
      id: 'search',
      placeholder: 'Filter: words, kind:port-write, device:uart0, symbol:…, cycle:10..20, -device:timer',
      'aria-label': 'Filter events',
      'aria-describedby': 'search-status',
      autocomplete: 'off',
      spellcheck: 'false',
    });
    this.#count = el('output', { id: 'search-status', class: 'muted', 'aria-live': 'polite' });
    this.#spacer = el('div', { class: 'rows-spacer' });
    this.#body = el('div', { class: 'rows', role: 'rowgroup' });
    const head = el(
      'div',
      { class: 'row head', role: 'row' },
      ...COLUMNS.map((name) => el('span', { role: 'columnheader' }, name || '\u00a0')),
    );
    this.#scroller = el('div', { class: 'scroller' }, this.#spacer, this.#body);
    const grid = el(
      'div',
      {
        class: 'grid',
        role: 'grid',
        tabindex: 0,
        id: 'events',
        'aria-label': 'Events',
        'aria-colcount': COLUMNS.length,
      },
      el('div', { role: 'rowgroup' }, head),
      this.#scroller,
    );
    this.element = el('div', { class: 'events' }, el('div', { class: 'toolbar' }, this.search, this.#count), grid);
    this.#listen(grid);
    model.listen((change) => {
      if (change === 'trace' || change === 'filter') {
        this.search.value = this.search === document.activeElement ? this.search.value : model.query;
        this.#resize();
        if (change === 'filter' && model.filtered === 1) this.#reveal(true);
      }
      if (change === 'event') this.#reveal();
      if (change !== 'axis' && change !== 'theme') this.invalidate();
    });
    new ResizeObserver(() => {
      this.#resize();
      this.invalidate();
    }).observe(this.#scroller);
  }

  /** Rows that the filter leaves. */
  get length(): number {
    return this.model.matches ? this.model.matches.length : this.model.data.count;
  }

  #eventAt(row: number): number {
    return this.model.matches ? this.model.matches[row]! : row;
  }

  /** The row of an event, or that of the next one that is shown. */
  #rowOf(event: number): number {
    const { matches } = this.model;
    if (!matches) return event;
    let [low, high] = [0, matches.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (matches[middle]! < event) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  get #window(): number {
    return Math.max(1, this.#scroller.clientHeight / ROW);
  }

  get #mostTop(): number {
    return Math.max(0, this.length - this.#window);
  }

  invalidate(): void {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.draw();
    });
  }

  #resize(): void {
    this.#spacer.style.height = `${Math.min(MOST_HEIGHT, this.length * ROW)}px`;
    this.#scrollTo(this.#top);
  }

  /** Bring the selected event into the window; in the middle, if it was not there. */
  #reveal(always = false): void {
    const { event } = this.model;
    if (event < 0) {
      if (always) this.#scrollTo(0);
      return;
    }
    const row = this.#rowOf(event);
    if (row < this.#top || row > this.#top + this.#window - 1) {
      const far = always || row < this.#top - this.#window || row > this.#top + 2 * this.#window;
      const top = far ? row - this.#window / 2 : row < this.#top ? row : row - this.#window + 1;
      this.#scrollTo(top);
    }
    this.invalidate();
  }

  #scrollTo(top: number): void {
    this.#top = Math.min(Math.max(top, 0), this.#mostTop);
    const most = this.#scroller.scrollHeight - this.#scroller.clientHeight;
    const exact = this.length * ROW <= MOST_HEIGHT;
    const at = exact ? this.#top * ROW : this.#mostTop === 0 ? 0 : (this.#top / this.#mostTop) * most;
    this.#scroller.scrollTop = at;
    this.#own = this.#scroller.scrollTop;
    this.invalidate();
  }

  draw(): void {
    const { model } = this;
    const { data } = model;
    const first = Math.floor(this.#top);
    const wanted = Math.ceil(this.#window) + 1;
    while (this.#rows.length < wanted) this.#addRow();
    const { nsPerCycle } = data.head.inspection.timing;
    const shift = this.#scroller.scrollTop - (this.#top - first) * ROW;
    this.#body.style.transform = `translateY(${shift}px)`;
    this.#rows.forEach((row, n) => {
      const at = first + n;
      const hidden = n >= wanted || at >= this.length;
      if (row.element.hidden !== hidden) row.element.hidden = hidden;
      row.at = hidden ? -1 : at;
      if (hidden) return;
      const event = this.#eventAt(at);
      const { kind, device } = data.classOf(event);
      const cycle = data.cycle[event]!;
      const texts = [
        grouped(event),
        timeText(cycle * nsPerCycle),
        grouped(cycle),
        SIGNS[shapeOf(kind)],
        device,
        data.words(event),
        data.symbol(event) || data.place(event),
      ];
      texts.forEach((text, column) => {
        const cell = row.cells[column]!;
        if (cell.textContent !== text) cell.textContent = text;
      });
      row.cells[3]!.title = kind;
      row.cells[5]!.title = texts[5]!;
      const different = model.difference?.index === event;
      row.element.className = `row group-${groupOf(device)}${event === model.event ? ' selected' : ''}${different ? ' different' : ''}`;
      row.element.id = `event-${event}`;
      row.element.setAttribute('aria-rowindex', String(at + 2));
      row.element.setAttribute('aria-selected', String(event === model.event));
    });
    const grid = this.element.querySelector('.grid')!;
    grid.setAttribute('aria-rowcount', String(this.length + 1));
    if (model.event >= 0) grid.setAttribute('aria-activedescendant', `event-${model.event}`);
    this.#tell();
  }

  #tell(): void {
    const { model } = this;
    const all = grouped(model.data.count);
    const words =
      model.problem ??
      (model.filtered < 1
        ? `searching, ${Math.floor(100 * model.filtered)} %`
        : model.matches
          ? `${grouped(model.matches.length)} of ${all} events`
          : `${all} events`);
    if (this.#count.textContent !== words) this.#count.textContent = words;
  }

  #addRow(): void {
    const cells = COLUMNS.map((_, n) => el('span', { role: 'gridcell', class: `c${n}` }));
    const element = el('div', { class: 'row', role: 'row' }, ...cells);
    const row = { element, cells, at: -1 };
    element.addEventListener('click', () => {
      if (row.at >= 0) this.model.select(this.#eventAt(row.at));
    });
    this.#rows.push(row);
    this.#body.append(element);
  }

  /** Select the row `by` rows further. */
  move(by: number): void {
    const { event } = this.model;
    if (this.length === 0) return;
    const row = event < 0 ? Math.floor(this.#top) - (by > 0 ? 1 : 0) : this.#rowOf(event);
    const off = event >= 0 && this.#eventAt(row) !== event && by > 0 ? 1 : 0;
    this.model.select(this.#eventAt(Math.min(Math.max(row + by - off, 0), this.length - 1)));
  }

  #listen(grid: HTMLElement): void {
    let timer = 0;
    this.search.addEventListener('input', () => {
      clearTimeout(timer);
      timer = window.setTimeout(() => this.model.setQuery(this.search.value), 120);
    });
    this.search.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && this.search.value === '') grid.focus();
      if (event.key === 'Enter' || event.key === 'ArrowDown') {
        clearTimeout(timer);
        this.model.setQuery(this.search.value);
        grid.focus();
        event.preventDefault();
      }
    });
    this.#scroller.addEventListener('scroll', () => {
      const { scrollTop } = this.#scroller;
      if (Math.abs(scrollTop - this.#own) >= 1) {
        const most = this.#scroller.scrollHeight - this.#scroller.clientHeight;
        const exact = this.length * ROW <= MOST_HEIGHT;
        this.#top = exact ? scrollTop / ROW : most <= 0 ? 0 : (scrollTop / most) * this.#mostTop;
        this.#own = -1;
      }
      this.invalidate();
    });
    // A wheel moves by rows even where a pixel of the scroll bar stands for many.
    this.#scroller.addEventListener(
      'wheel',
      (event) => {
        if (this.length * ROW <= MOST_HEIGHT || event.shiftKey || event.ctrlKey) return;
        event.preventDefault();
        const by = event.deltaMode === 1 ? event.deltaY : event.deltaY / ROW;
        this.#scrollTo(this.#top + by);
      },
      { passive: false },
    );
    const page = () => Math.max(1, Math.floor(this.#window) - 1);
    grid.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === 'ArrowDown' || event.key === 'j') this.move(1);
      else if (event.key === 'ArrowUp' || event.key === 'k') this.move(-1);
      else if (event.key === 'PageDown') this.move(page());
      else if (event.key === 'PageUp') this.move(-page());
      else if (event.key === 'Home') this.move(-this.length);
      else if (event.key === 'End') this.move(this.length);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  focus(): void {
    this.element.querySelector<HTMLElement>('.grid')!.focus();
  }

  /** Put the model's query into the box. */
  sync(): void {
    this.search.value = this.model.query;
  }
}
