// The overview: a strip for each trace with how many events fall on a pixel, higher for more. Drawn once for a size and
// kept as a picture.

import { Surface } from './canvas.js';
import type { Model } from './model.js';

/** @param each height of a strip, in pixels */
export function drawStrips(
  model: Model,
  width: number,
  height: number,
  each: number,
  color: string,
): HTMLCanvasElement {
  const surface = new Surface(document.createElement('canvas'));
  surface.resize(width, height);
  const { context: c } = surface;
  model.traces.forEach(({ data }, n) => {
    const bottom = (n + 1) * each - 2;
    const counts = new Uint32Array(Math.ceil(width));
    for (let i = 0; i < data.count; i++) {
      const x = Math.min(counts.length - 1, Math.floor((model.place(i, data) / model.whole) * width));
      counts[x]!++;
    }
    const most = Math.log2(1 + counts.reduce((a, b) => Math.max(a, b), 1));
    c.fillStyle = color;
    counts.forEach((count, x) => {
      const tall = count === 0 ? 0 : Math.max(2, (Math.log2(1 + count) / most) * (each - 5));
      c.fillRect(x, bottom - tall, 1, tall);
    });
  });
  return surface.canvas;
}
