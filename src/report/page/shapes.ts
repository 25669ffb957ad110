// Marks of single events on the timeline: the shape says which way something went, whatever the colours.

import type { Shape } from './lanes.js';

/** Draw a mark in the present fill and stroke colour. */
export function drawShape(c: CanvasRenderingContext2D, shape: Shape, x: number, y: number, r: number): void {
  c.beginPath();
  switch (shape) {
    case 'read':
      c.moveTo(x + r, y - r);
      c.lineTo(x - r, y);
      c.lineTo(x + r, y + r);
      c.closePath();
      c.stroke();
      return;
    case 'write':
      c.moveTo(x - r, y - r);
      c.lineTo(x + r, y);
      c.lineTo(x - r, y + r);
      c.closePath();
      break;
    case 'async':
      c.moveTo(x + r / 2, y - r - 1);
      c.lineTo(x - r / 2, y + 0.5);
      c.lineTo(x + r / 2, y - 0.5);
      c.lineTo(x - r / 2, y + r + 1);
      c.stroke();
      return;
    case 'effect':
      c.moveTo(x, y - r);
      c.lineTo(x + r, y);
      c.lineTo(x, y + r);
      c.lineTo(x - r, y);
      c.closePath();
      break;
    case 'note':
      c.arc(x, y, r - 1, 0, 2 * Math.PI);
      c.stroke();
      return;
    default:
      c.rect(x - r / 2, y - r - 1, r, 2 * r + 2);
  }
  c.fill();
}
