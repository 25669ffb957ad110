// Boot time as a flame graph: area, then functions from the outermost to the one that ran; the wider, the longer. Beside
// it the functions as a table, which says the same in words and numbers. Keyboard: arrows walk through the frames,
// Enter shows one as the whole, Escape goes back.

import { clipped, type Palette, palette, Surface } from './canvas.js';
import { button, el, fill, table } from './dom.js';
import { percent, timeText } from './format.js';
import type { Model } from './model.js';
import { type FrameNode, ranking } from './samples.js';

const ROW = 19;
const RANKED = 100;

interface Box {
  readonly node: FrameNode;
  readonly parent: Box | undefined;
  readonly x: number;
  readonly width: number;
  readonly depth: number;
}

export class Flame {
  readonly element: HTMLElement;
  readonly #surface: Surface;
  readonly #status = el('output', { class: 'muted' });
  readonly #table = el('div', { class: 'ranking' });
  readonly #range: HTMLSelectElement;
  readonly #find: HTMLInputElement;
  #boxes: Box[] = [];
  #root: FrameNode | undefined;
  /** Path of names to the frame that is shown as the whole. */
  #zoom: string[] = [];
  #chosen: Box | undefined;
  #colors: Palette = {};
  #frame = 0;
  #stale = true;

  constructor(private readonly model: Model) {
    const canvas = el('canvas', {
      tabindex: 0,
      role: 'application',
      'aria-label': 'Flame graph. Arrows walk, Enter zooms in, Escape out.',
    });
    this.#surface = new Surface(canvas);
    this.#range = el('select', { 'aria-label': 'Stretch of the boot' });
    this.#range.addEventListener('change', () => this.#changed());
    this.#find = el('input', {
      type: 'search',
      placeholder: 'Mark functions',
      'aria-label': 'Mark functions',
      spellcheck: 'false',
    });
    this.#find.addEventListener('input', () => this.invalidate());
    this.element = el(
      'div',
      { class: 'flame' },
      el(
        'div',
        { class: 'toolbar' },
        this.#range,
        this.#find,
        button('Whole', 'Show all frames (Escape)', () => this.#unzoom(0)),
        this.#status,
      ),
      el('div', { class: 'flame-body' }, el('div', { class: 'flame-canvas' }, canvas), this.#table),
    );
    this.#listen(canvas);
    model.listen((change) => {
      if (change === 'theme') this.#colors = {};
      if (change === 'trace') this.#makeRanges();
      if (change === 'trace' || (change === 'axis' && this.#range.value === 'view')) this.#stale = true;
      if (change !== 'filter' && change !== 'event') this.invalidate();
    });
    new ResizeObserver(() => this.invalidate()).observe(this.element);
    this.#makeRanges();
  }

  #makeRanges(): void {
    const { phases } = this.model.data.head;
    const option = (value: string, text: string) => el('option', { value }, text);
    fill(
      this.#range,
      option('all', 'Whole boot'),
      option('view', 'What the timeline shows'),
      ...phases.map(({ name }, n) => option(`phase ${n}`, `Phase: ${name}`)),
    );
  }

  #changed(): void {
    this.#stale = true;
    this.#zoom = [];
    this.invalidate();
  }

  invalidate(): void {
    if (this.model.tab !== 'flame') return;
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.draw();
    });
  }

  #stretch(): [number, number] {
    const { model } = this;
    const { head } = model.data;
    const [what, n] = this.#range.value.split(' ');
    const phase = what === 'phase' ? head.phases[Number(n)] : undefined;
    if (phase) return [phase.from, phase.to];
    if (what !== 'view') return [0, head.cycles];
    if (model.mode === 'time') return [model.from, model.to];
    const cycle = (at: number) => model.data.cycle[Math.min(Math.max(0, Math.floor(at)), model.data.count - 1)] ?? 0;
    return [cycle(model.from), cycle(model.to)];
  }

  draw(): void {
    const { samples } = this.model.trace;
    const width = this.#surface.canvas.parentElement!.clientWidth;
    if (!samples || width < 20) {
      this.#status.textContent = samples ? '' : 'This page has no processor samples.';
      return;
    }
    if (Object.keys(this.#colors).length === 0) this.#colors = palette();
    if (this.#stale) {
      this.#stale = false;
      this.#root = samples.tree(...this.#stretch());
      this.#rank(this.#root);
    }
    const whole = this.#zoomed();
    this.#boxes = layOut(whole.node, width, whole.above);
    const depth = this.#boxes.reduce((most, box) => Math.max(most, box.depth), 0);
    this.#surface.resize(width, Math.max(120, (depth + 1) * ROW + 4));
    this.#paint();
    this.#tell();
  }

  #zoomed(): { node: FrameNode; above: FrameNode[] } {
    let node = this.#root!;
    const above: FrameNode[] = [];
    for (const name of this.#zoom) {
      const next = node.children.find((child) => child.name === name);
      if (!next) break;
      above.push(node);
      node = next;
    }
    return { node, above };
  }

  #paint(): void {
    const surface = this.#surface;
    const { context: c } = surface;
    const colors = this.#colors;
    const wanted = this.#find.value.trim().toLowerCase();
    surface.clear();
    c.font = '11px ui-monospace, "SF Mono", Menlo, Consolas, monospace';
    c.textBaseline = 'middle';
    for (const box of this.#boxes) {
      const [x, y, width] = [box.x, box.depth * ROW, Math.max(box.width - 1, 0.5)];
      const { name } = box.node;
      const found = wanted !== '' && name.toLowerCase().includes(wanted);
      c.fillStyle = box.depth === 0 ? colors.sunken! : colors[['flame-a', 'flame-b', 'flame-c'][hash(name) % 3]!]!;
      c.globalAlpha = wanted === '' || found || box.depth === 0 ? 1 : 0.45;
      c.fillRect(x, y, width, ROW - 1);
      c.globalAlpha = 1;
      if (found) {
        c.fillStyle = colors.ink!;
        c.fillRect(x, y + ROW - 4, width, 2.5);
      }
      if (box === this.#chosen) {
        c.strokeStyle = colors.ink!;
        c.lineWidth = 2;
        c.strokeRect(x + 1, y + 1, Math.max(width - 2, 1), ROW - 3);
        c.lineWidth = 1;
      }
      if (width < 14) continue;
      c.fillStyle = colors['flame-ink']!;
      c.fillText(clipped(c, name, width - 8), x + 4, y + ROW / 2);
    }
  }

  #tell(): void {
    const { samples } = this.model.trace;
    const { nsPerCycle } = this.model.data.head.inspection.timing;
    const { node, total } = { node: (this.#chosen ?? this.#boxes[0])!.node, total: this.#root!.total };
    const time = (count: number) => timeText(count * samples!.interval * nsPerCycle);
    this.#status.textContent =
      this.#chosen === undefined
        ? `${total} samples, one every ${timeText(samples!.interval * nsPerCycle)}; names from ${samples!.source}`
        : `${node.name}: ${time(node.total)} (${percent(node.total, total)}), ${time(node.self)} in itself`;
  }

  #rank(root: FrameNode): void {
    const { samples } = this.model.trace;
    const { nsPerCycle } = this.model.data.head.inspection.timing;
    const rows = ranking(root).slice(0, RANKED);
    const time = (count: number) => timeText(count * samples!.interval * nsPerCycle);
    fill(
      this.#table,
      table(
        ['function', 'itself', '', 'with callees', ''],
        rows.map(({ name, self, total }) => [
          this.#nameCell(name),
          time(self),
          percent(self, root.total),
          time(total),
          percent(total, root.total),
        ]),
        { 'aria-label': 'Functions by time in themselves' },
      ),
    );
  }

  #nameCell(name: string): HTMLElement {
    return button(name, `Mark ${name}`, () => {
      this.#find.value = this.#find.value === name ? '' : name;
      this.invalidate();
    });
  }

  #boxAt(x: number, y: number): Box | undefined {
    const depth = Math.floor(y / ROW);
    return this.#boxes.find((box) => box.depth === depth && x >= box.x && x < box.x + Math.max(box.width, 1));
  }

  #zoomTo(box: Box): void {
    const path: string[] = [];
    for (let at: Box | undefined = box; at; at = at.parent) path.unshift(at.node.name);
    this.#zoom = path.slice(1);
    this.#chosen = undefined;
    this.invalidate();
  }

  #unzoom(depth: number): void {
    this.#zoom = this.#zoom.slice(0, depth);
    this.#chosen = undefined;
    this.invalidate();
  }

  #choose(box: Box | undefined): void {
    if (!box || box === this.#chosen) return;
    this.#chosen = box;
    this.#paint();
    this.#tell();
  }

  #listen(canvas: HTMLCanvasElement): void {
    canvas.addEventListener('pointermove', (event) => this.#choose(this.#boxAt(event.offsetX, event.offsetY)));
    canvas.addEventListener('click', (event) => {
      const box = this.#boxAt(event.offsetX, event.offsetY);
      if (box) this.#zoomTo(box);
    });
    canvas.addEventListener('keydown', (event) => {
      const box = this.#chosen ?? this.#boxes[0];
      if (!box) return;
      const beside = this.#boxes.filter(({ depth }) => depth === box.depth);
      const at = beside.indexOf(box);
      if (event.key === 'ArrowDown') this.#choose(this.#boxes.find(({ parent }) => parent === box));
      else if (event.key === 'ArrowUp') this.#choose(box.parent);
      else if (event.key === 'ArrowRight') this.#choose(beside[at + 1]);
      else if (event.key === 'ArrowLeft') this.#choose(beside[at - 1]);
      else if (event.key === 'Enter') this.#zoomTo(box);
      else if (event.key === 'Escape') this.#unzoom(Math.max(0, this.#zoom.length - 1));
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  }
}

/** Frames that are at least half a pixel wide; those above the root are as wide as it. */
function layOut(root: FrameNode, width: number, above: readonly FrameNode[]): Box[] {
  const boxes: Box[] = [];
  let parent: Box | undefined;
  for (const node of above) {
    parent = { node, parent, x: 0, width, depth: boxes.length };
    boxes.push(parent);
  }
  const scale = width / Math.max(root.total, 1);
  const place = (node: FrameNode, over: Box | undefined, x: number): void => {
    const box: Box = { node, parent: over, x, width: node.total * scale, depth: over ? over.depth + 1 : 0 };
    boxes.push(box);
    let at = x;
    for (const child of node.children) {
      const wide = child.total * scale;
      if (wide < 0.5) break;
      place(child, box, at);
      at += wide;
    }
  };
  place(root, parent, 0);
  return boxes;
}

function hash(text: string): number {
  let value = 7;
  for (let i = 0; i < text.length; i++) value = (Math.imul(value, 31) + text.charCodeAt(i)) >>> 0;
  return value;
}
