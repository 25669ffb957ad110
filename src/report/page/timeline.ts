// The timeline: overview, ruler, phases, what the processor did, and a lane for each device family, from the whole boot
// to single events. Far out a lane shows how many events fall on a pixel (bars, higher for more), near by each event
// with a shape for its direction, and words where there is room.
// A frame costs a search for each pixel and lane, or a step for each visible event, whichever is less.

import { grouped } from '../../figures.js';
import { clipped, type Palette, palette, pattern, Surface } from './canvas.js';
import { lowerBound } from './columns.js';
import { button, el, fill } from './dom.js';
import { timeText } from './format.js';
import { type Lane, shapeOf } from './lanes.js';
import type { Model } from './model.js';
import { gallop, nearestOf } from './search.js';
import { drawShape } from './shapes.js';
import { drawStrips } from './strips.js';

const [RULER, PHASES, CPU, LANE, OVERVIEW] = [22, 20, 18, 18, 26];
const HEAD = RULER + PHASES + CPU;
const MONO = '11px ui-monospace, "SF Mono", Menlo, Consolas, monospace';
const SANS = '11px system-ui, sans-serif';
/** How the processor's lane fills an area of software: pattern (canvas.ts) and colour. */
const FILLS: Readonly<Record<string, readonly [kind: number, color: string]>> = {
  halted: [2, 'faint'],
  kernel: [0, 'busy'],
  user: [3, 'screen'],
  firmware: [1, 'config'],
  decompressor: [4, 'cpu'],
};
/** Pixels from which an event's words are drawn. */
const ROOM = 70;

export class Timeline {
  readonly element: HTMLElement;
  readonly #lanes: Surface;
  readonly #overview: Surface;
  readonly #labels: HTMLElement;
  readonly #status: HTMLElement;
  readonly #axis: HTMLButtonElement;
  #colors: Palette = {};
  #patterns: (CanvasPattern | string)[] = [];
  #strips: { key: string; bitmap: HTMLCanvasElement } | undefined;
  #pointer: { x: number; y: number } | undefined;
  #frame = 0;

  constructor(private readonly model: Model) {
    const canvas = el('canvas', {
      class: 'lanes',
      tabindex: 0,
      role: 'application',
      'aria-label':
        'Timeline. Left and right move, plus and minus zoom, f fits all, comma and full stop go to the event before and after.',
    });
    const overview = el('canvas', {
      class: 'overview',
      role: 'img',
      'aria-label': 'Whole boot; drag to move the window',
    });
    this.#lanes = new Surface(canvas);
    this.#overview = new Surface(overview);
    this.#labels = el('div', { class: 'lane-labels', role: 'list', 'aria-label': 'Devices' });
    this.#status = el('output', { class: 'timeline-status' });
    this.#axis = button('', 'What the axis counts (x)', () => model.setMode(model.mode === 'time' ? 'events' : 'time'));
    this.element = el(
      'section',
      { class: 'timeline', 'aria-label': 'Timeline' },
      el(
        'div',
        { class: 'timeline-tools' },
        this.#axis,
        button('−', 'Zoom out (-)', () => model.zoom(2), { 'aria-label': 'Zoom out' }),
        button('+', 'Zoom in (+)', () => model.zoom(0.5), { 'aria-label': 'Zoom in' }),
        button('Fit', 'Show the whole boot (f)', () => model.setView(0, model.whole)),
        this.#status,
      ),
      el('div', { class: 'timeline-grid' }, el('div', { class: 'overview-label' }), overview, this.#labels, canvas),
    );
    this.#listen(canvas, overview);
    model.listen((change) => {
      if (change === 'trace') {
        this.#label();
        this.#patterns = [];
      }
      if (change === 'theme') this.#theme();
      this.invalidate();
    });
    new ResizeObserver(() => this.invalidate()).observe(this.element);
    this.#label();
    this.#theme();
  }

  invalidate(): void {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.draw();
    });
  }

  #theme(): void {
    this.#colors = palette();
    this.#strips = undefined;
    this.#patterns = [];
  }

  #label(): void {
    const { model } = this;
    const overview = this.element.querySelector('.overview-label')!;
    fill(overview, ...model.traces.map(({ name }) => el('span', {}, model.traces.length > 1 ? name : 'whole boot')));
    const row = (content: Node, height: number) => {
      const made = el('div', { class: 'lane-label', role: 'listitem' }, content);
      made.style.height = `${height}px`;
      return made;
    };
    const rows = model.trace.lanes.map((lane) => {
      const pick = button(lane.name, `Show only ${lane.name} in the table`, () => this.#pick(lane), {
        class: `lane-pick group-${lane.group}`,
        disabled: lane.query === '',
      });
      pick.append(el('span', { class: 'lane-count' }, grouped(lane.events.length)));
      return row(pick, LANE);
    });
    fill(
      this.#labels,
      row(el('span', {}), RULER),
      row(el('span', { class: 'muted' }, 'phase'), PHASES),
      row(el('span', { class: 'muted' }, 'processor'), CPU),
      ...rows,
    );
  }

  #pick(lane: Lane): void {
    this.model.setQuery(this.model.query === lane.query ? '' : lane.query);
    this.model.setTab('events');
  }

  draw(): void {
    const { model } = this;
    const width = this.#lanes.canvas.clientWidth;
    if (width < 20) return;
    if (this.#patterns.length === 0) this.#makePatterns();
    this.#lanes.resize(width, HEAD + model.trace.lanes.length * LANE + 2);
    this.#overview.resize(width, OVERVIEW * model.traces.length);
    this.#axis.textContent = model.mode === 'time' ? 'Axis: time' : 'Axis: events';
    this.#drawOverview();
    this.#lanes.clear();
    this.#drawRuler();
    this.#drawPhases();
    this.#drawProcessor();
    for (const [n, lane] of model.trace.lanes.entries()) this.#drawLane(lane, HEAD + n * LANE);
    this.#drawMarks();
    this.#tellStatus();
  }

  #makePatterns(): void {
    const { samples } = this.model.trace;
    const { context } = this.#lanes;
    const c = this.#colors;
    this.#patterns = (samples?.areas ?? []).map((area, n) => {
      const [kind, color] = FILLS[area] ?? [1 + (n % 4), 'other'];
      return pattern(context, kind, c[color]!);
    });
  }

  #x(at: number): number {
    const { from, to } = this.model;
    return ((at - from) / (to - from)) * this.#lanes.width;
  }

  #at(x: number): number {
    const { from, to } = this.model;
    return from + (x / this.#lanes.width) * (to - from);
  }

  /** A cycle as a place on the axis. */
  #ofCycle(cycle: number): number {
    return this.model.mode === 'time' ? cycle : this.model.data.firstAt(cycle);
  }

  #drawRuler(): void {
    const { context: c, width } = this.#lanes;
    const { model } = this;
    const { from, to, mode } = model;
    const { nsPerCycle } = model.data.head.inspection.timing;
    const unit = mode === 'time' ? nsPerCycle : 1;
    const rough = ((to - from) * unit * 110) / width;
    const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1e-9)));
    const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough)!;
    c.font = SANS;
    c.textBaseline = 'middle';
    for (let n = Math.ceil((from * unit) / step); n * step <= to * unit; n++) {
      const x = Math.round(this.#x((n * step) / unit)) + 0.5;
      c.strokeStyle = this.#colors.line!;
      c.beginPath();
      c.moveTo(x, RULER - 6);
      c.lineTo(x, this.#lanes.height);
      c.stroke();
      c.fillStyle = this.#colors.muted!;
      const text = mode === 'time' ? timeText(n * step, step) : step < 1 ? '' : `#${grouped(Math.round(n * step))}`;
      c.fillText(text, x + 3, RULER / 2);
    }
  }

  #drawPhases(): void {
    const { context: c, width } = this.#lanes;
    const { phases } = this.model.data.head;
    c.font = SANS;
    c.textBaseline = 'middle';
    phases.forEach(({ name, from, to }, n) => {
      const [left, right] = [Math.max(0, this.#x(this.#ofCycle(from))), Math.min(width, this.#x(this.#ofCycle(to)))];
      if (right <= 0 || left >= width || right - left < 0.5) return;
      c.fillStyle = this.#colors[n % 2 === 0 ? 'phase-a' : 'phase-b']!;
      c.fillRect(left, RULER + 1, right - left, PHASES - 3);
      c.fillStyle = this.#colors.accent!;
      c.fillRect(left, RULER + 1, 1.5, PHASES - 3);
      c.fillStyle = this.#colors.ink!;
      c.fillText(clipped(c, name, right - left - 10), left + 6, RULER + PHASES / 2);
    });
  }

  #drawProcessor(): void {
    const { context: c, width } = this.#lanes;
    const { samples } = this.model.trace;
    const top = RULER + PHASES;
    if (!samples) return;
    const counts = new Uint32Array(samples.areas.length);
    let shown = -1;
    let start = 0;
    const flush = (end: number) => {
      if (shown >= 0) {
        c.fillStyle = this.#patterns[shown]!;
        c.fillRect(start, top + 2, end - start, CPU - 5);
        const area = samples.areas[shown]!;
        c.font = SANS;
        const text = clipped(c, area, end - start - 8);
        if (text === area) {
          const wide = c.measureText(text).width;
          c.fillStyle = this.#colors.panel!;
          c.fillRect(start + 3, top + 3, wide + 6, CPU - 7);
          c.fillStyle = this.#colors.ink!;
          c.fillText(text, start + 6, top + CPU / 2);
        }
      }
    };
    for (let x = 0; x <= width; x += 2) {
      let most = -1;
      if (x < width) {
        const [a, b] = [this.#cycleAt(x), this.#cycleAt(x + 2)];
        const first = Math.floor(a / samples.interval);
        const last = Math.max(first, Math.ceil(b / samples.interval) - 1);
        if (first < samples.count) {
          counts.fill(0);
          for (let n = first; n <= Math.min(last, samples.count - 1); n++) counts[samples.area[n]!]!++;
          most = counts.indexOf(Math.max(...counts));
        }
      }
      if (most !== shown) {
        flush(x);
        shown = most;
        start = x;
      }
    }
    flush(width);
  }

  #cycleAt(x: number): number {
    const at = this.#at(x);
    const { data, mode } = this.model;
    return mode === 'time' ? at : (data.cycle[Math.min(Math.floor(at), data.count - 1)] ?? 0);
  }

  #drawLane(lane: Lane, top: number): void {
    const { context: c, width } = this.#lanes;
    const { model } = this;
    const keys = model.mode === 'time' ? lane.cycles : lane.places;
    c.strokeStyle = this.#colors.line!;
    c.beginPath();
    c.moveTo(0, top + LANE - 0.5);
    c.lineTo(width, top + LANE - 0.5);
    c.stroke();
    const first = lowerBound(keys, model.from);
    const last = lowerBound(keys, model.to, first);
    const visible = last - first;
    c.fillStyle = this.#colors[lane.group === 'line' ? 'line-io' : lane.group]!;
    if (visible === 0) return;
    if (visible * 9 < width) {
      this.#drawEvents(lane, keys, first, last, top);
      return;
    }
    const bar = (x: number, count: number) => {
      const height = Math.min(LANE - 4, 3 + Math.log2(count) * 1.6);
      c.fillRect(x, top + LANE - 2 - height, 1, height);
    };
    if (visible < width * 12) {
      let [x, count] = [-1, 0];
      for (let n = first; n < last; n++) {
        const at = Math.floor(this.#x(keys[n]!));
        if (at === x) count++;
        else {
          if (count > 0) bar(x, count);
          x = at;
          count = 1;
        }
      }
      bar(x, count);
      return;
    }
    let at = first;
    for (let x = 0; x < width && at < last; x++) {
      const next = gallop(keys, this.#at(x + 1), at, last);
      if (next > at) bar(x, next - at);
      at = next;
    }
  }

  #drawEvents(lane: Lane, keys: Float64Array, first: number, last: number, top: number): void {
    const { context: c } = this.#lanes;
    const { data } = this.model;
    const color = c.fillStyle;
    const middle = top + LANE / 2 - 0.5;
    c.font = MONO;
    for (let n = first; n < last; n++) {
      const x = this.#x(keys[n]!);
      const event = lane.events[n]!;
      const room = (n + 1 < keys.length ? this.#x(keys[n + 1]!) : this.#lanes.width) - x;
      c.fillStyle = color;
      c.strokeStyle = color as string;
      drawShape(c, shapeOf(data.classOf(event).kind), x, middle, 4);
      if (room < ROOM) continue;
      const { register, device, kind } = data.classOf(event);
      c.fillStyle = this.#colors.ink!;
      const value = kind.endsWith('read') || kind.endsWith('write') ? ` ${data.value[event]!.toString(16)}` : '';
      const place = device === lane.name ? '' : `${device.slice(lane.name.length).trim()} `;
      c.fillText(clipped(c, `${place}${register}${value}`, room - 14), x + 8, middle + 0.5);
    }
  }

  #drawMarks(): void {
    const { context: c, height } = this.#lanes;
    const { model } = this;
    const line = (at: number, color: string, dash: number[], text: string) => {
      const x = Math.round(this.#x(at)) + 0.5;
      if (x < -1 || x > this.#lanes.width + 1) return;
      c.strokeStyle = color;
      c.setLineDash(dash);
      c.beginPath();
      c.moveTo(x, RULER - 8);
      c.lineTo(x, height);
      c.stroke();
      c.setLineDash([]);
      if (text === '') return;
      c.font = `600 ${SANS}`;
      const wide = c.measureText(text).width + 8;
      const left = Math.min(Math.max(x - wide / 2, 0), this.#lanes.width - wide);
      c.fillStyle = color;
      c.fillRect(left, 2, wide, RULER - 7);
      c.fillStyle = this.#colors.panel!;
      c.fillText(text, left + 4, RULER / 2 - 1);
    };
    const index = model.difference?.index ?? null;
    if (index !== null && index < model.data.count) {
      const near = model.event >= 0 && Math.abs(this.#x(model.place(index)) - this.#x(model.place(model.event))) < 150;
      line(model.place(index), this.#colors.bad!, [4, 3], near ? '≠' : '≠ first difference');
    }
    if (model.event >= 0) line(model.place(model.event), this.#colors.accent!, [], `#${grouped(model.event)}`);
    if (this.#pointer) {
      c.fillStyle = this.#colors.muted!;
      c.fillRect(this.#pointer.x, RULER, 1, height);
    }
  }

  #drawOverview(): void {
    const surface = this.#overview;
    const { context: c, width } = surface;
    const { model } = this;
    surface.clear();
    const key = `${width} ${surface.height} ${model.mode} ${window.devicePixelRatio}`;
    if (this.#strips?.key !== key)
      this.#strips = { key, bitmap: drawStrips(model, width, surface.height, OVERVIEW, this.#colors.muted!) };
    c.drawImage(this.#strips.bitmap, 0, 0, width, surface.height);
    const [left, right] = [model.from, model.to].map((at) => (at / model.whole) * width) as [number, number];
    c.fillStyle = this.#colors.bg!;
    c.globalAlpha = 0.66;
    c.fillRect(0, 0, left, surface.height);
    c.fillRect(right, 0, width - right, surface.height);
    c.globalAlpha = 1;
    c.strokeStyle = this.#colors.accent!;
    c.strokeRect(left + 0.5, 0.5, Math.max(2, right - left - 1), surface.height - 1);
    const at = model.difference?.index ?? null;
    model.traces.forEach(({ data }, n) => {
      if (at === null || at >= data.count) return;
      const x = (model.place(at, data) / model.whole) * width;
      c.fillStyle = this.#colors.bad!;
      c.fillRect(x - 1, n * OVERVIEW, 2, OVERVIEW);
      c.font = `600 ${SANS}`;
      c.fillText('≠', Math.min(x + 3, width - 10), n * OVERVIEW + 9);
    });
  }

  #tellStatus(): void {
    const { model } = this;
    const { nsPerCycle } = model.data.head.inspection.timing;
    const span = model.to - model.from;
    const pointed = this.#pointer ? this.#at(this.#pointer.x) : undefined;
    const words: string[] = [];
    if (model.mode === 'time') {
      words.push(`${timeText(span * nsPerCycle)} shown`);
      if (pointed !== undefined)
        words.push(`cycle ${grouped(Math.round(pointed))} (${timeText(pointed * nsPerCycle)})`);
    } else {
      words.push(`${grouped(Math.round(span))} events shown`);
      if (pointed !== undefined) words.push(`event ${grouped(Math.floor(pointed))}`);
    }
    this.#status.textContent = words.join(' · ');
  }

  /** The event nearest to a point: of the lane below it, else of all. */
  #nearest(x: number, y: number): number {
    const { model } = this;
    const at = this.#at(x);
    const lane = model.trace.lanes[Math.floor((y - HEAD) / LANE)];
    if (y >= HEAD && lane) {
      const keys = model.mode === 'time' ? lane.cycles : lane.places;
      const n = nearestOf(keys, at);
      return n < 0 ? -1 : lane.events[n]!;
    }
    return model.mode === 'time' ? nearestOf(model.data.cycle, at) : Math.round(at);
  }

  #listen(canvas: HTMLCanvasElement, overview: HTMLCanvasElement): void {
    const { model } = this;
    canvas.addEventListener(
      'wheel',
      (event) => {
        event.preventDefault();
        const [dx, dy] = [event.deltaX, event.deltaY].map((d) => (event.deltaMode === 1 ? d * 16 : d)) as [
          number,
          number,
        ];
        if (event.shiftKey || Math.abs(dx) > Math.abs(dy)) model.pan((dx || dy) / this.#lanes.width);
        else model.zoom(Math.exp(Math.max(-200, Math.min(200, dy)) / 300), this.#at(event.offsetX));
      },
      { passive: false },
    );
    let drag: { x: number; from: number; to: number; moved: boolean } | undefined;
    canvas.addEventListener('pointerdown', (event) => {
      drag = { x: event.offsetX, from: model.from, to: model.to, moved: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener('pointermove', (event) => {
      this.#pointer = { x: event.offsetX, y: event.offsetY };
      if (drag && Math.abs(event.offsetX - drag.x) > 3) drag.moved = true;
      if (drag?.moved) {
        const by = ((drag.x - event.offsetX) / this.#lanes.width) * (drag.to - drag.from);
        model.setView(drag.from + by, drag.to + by);
      } else this.invalidate();
    });
    canvas.addEventListener('pointerup', (event) => {
      if (drag && !drag.moved) {
        if (event.offsetY < RULER + PHASES && event.offsetY >= RULER) this.#toPhase(event.offsetX);
        else model.select(this.#nearest(event.offsetX, event.offsetY), false);
      }
      drag = undefined;
    });
    canvas.addEventListener('pointerleave', () => {
      this.#pointer = undefined;
      this.invalidate();
    });
    const move = (event: PointerEvent) => {
      const at = (event.offsetX / this.#overview.width) * model.whole;
      const half = (model.to - model.from) / 2;
      if (event.buttons === 1) model.setView(at - half, at + half);
    };
    overview.addEventListener('pointerdown', (event) => {
      overview.setPointerCapture(event.pointerId);
      const n = Math.min(model.traces.length - 1, Math.floor(event.offsetY / OVERVIEW));
      model.setTrace(n);
      move(event);
    });
    overview.addEventListener('pointermove', move);
    canvas.addEventListener('keydown', (event) => {
      const step = event.shiftKey ? 0.5 : 0.1;
      if (event.key === 'ArrowLeft') model.pan(-step);
      else if (event.key === 'ArrowRight') model.pan(step);
      else if (event.key === 'ArrowUp') model.zoom(0.8);
      else if (event.key === 'ArrowDown') model.zoom(1.25);
      else if (event.key === 'Home') model.setView(0, model.to - model.from);
      else if (event.key === 'End') model.setView(model.whole - (model.to - model.from), model.whole);
      else return;
      event.preventDefault();
    });
  }

  /** A click on a phase shows it. */
  #toPhase(x: number): void {
    const cycle = this.#cycleAt(x);
    const phase = this.model.data.head.phases.find(({ from, to }) => cycle >= from && cycle < to);
    if (phase) this.model.setView(this.#ofCycle(phase.from), this.#ofCycle(phase.to));
  }
}
