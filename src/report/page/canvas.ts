// A canvas as sharp as the screen, and the colours of the style sheet for it.

export class Surface {
  readonly context: CanvasRenderingContext2D;
  width = 0;
  height = 0;

  constructor(readonly canvas: HTMLCanvasElement) {
    this.context = canvas.getContext('2d')!;
  }

  /** Make room for CSS pixels; says whether the size changed. */
  resize(width: number, height: number): boolean {
    const ratio = window.devicePixelRatio || 1;
    const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
    const changed = this.canvas.width !== w || this.canvas.height !== h;
    if (changed) {
      this.canvas.width = w;
      this.canvas.height = h;
      this.canvas.style.height = `${height}px`;
    }
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.width = width;
    this.height = height;
    return changed;
  }

  clear(): void {
    this.context.clearRect(0, 0, this.width, this.height);
  }
}

export type Palette = Readonly<Record<string, string>>;

const NAMES = [
  ...[
    'bg',
    'panel',
    'sunken',
    'line',
    'ink',
    'muted',
    'faint',
    'accent',
    'select',
    'bad',
    'phase-a',
    'phase-b',
    'busy',
  ],
  ...['cpu', 'time', 'config', 'line-io', 'disk', 'screen', 'other', 'flame-a', 'flame-b', 'flame-c', 'flame-ink'],
];

/** Custom properties of the style sheet, as they are with the present theme. */
export function palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** Fill patterns that tell apart what colours tell apart: solid, stripes, dots, bars. */
export function pattern(context: CanvasRenderingContext2D, kind: number, color: string): CanvasPattern | string {
  if (kind === 0) return color;
  const tile = document.createElement('canvas');
  tile.width = 6;
  tile.height = 6;
  const c = tile.getContext('2d')!;
  c.strokeStyle = color;
  c.fillStyle = color;
  c.lineWidth = 1.4;
  if (kind === 1) {
    c.beginPath();
    for (const x of [-3, 0, 3, 6]) {
      c.moveTo(x, 6);
      c.lineTo(x + 6, 0);
    }
    c.stroke();
  } else if (kind === 2) {
    c.fillRect(1, 1, 1.5, 1.5);
    c.fillRect(4, 4, 1.5, 1.5);
  } else if (kind === 3) c.fillRect(0, 0, 6, 2.5);
  else {
    c.fillRect(0, 0, 2.5, 6);
  }
  return context.createPattern(tile, 'repeat') ?? color;
}

/** Text cut to a width, with an ellipsis. */
export function clipped(context: CanvasRenderingContext2D, text: string, width: number): string {
  if (width < 10) return '';
  if (context.measureText(text).width <= width) return text;
  let [low, high] = [0, text.length];
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (context.measureText(`${text.slice(0, middle)}…`).width <= width) low = middle;
    else high = middle - 1;
  }
  return low === 0 ? '' : `${text.slice(0, low)}…`;
}
