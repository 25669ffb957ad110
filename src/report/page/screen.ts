// The screen at the chosen cycle: the last picture at or before it. A slider goes through all of them.

import { grouped } from '../../figures.js';
import { el, fill } from './dom.js';
import type { Model } from './model.js';

export class ScreenPanel {
  readonly element = el('div', { class: 'screen' });
  readonly #note = el('output', { class: 'muted' });
  readonly #image = el('img', { alt: '' });
  readonly #text = el('pre', { tabindex: 0, 'aria-label': 'Text on the screen' });
  readonly #slider = el('input', { type: 'range', min: 0, step: 1, 'aria-label': 'Picture' });

  constructor(private readonly model: Model) {
    this.#slider.addEventListener('input', () => {
      const screen = model.data.head.screens[Number(this.#slider.value)];
      if (screen) model.select(model.data.firstAt(screen.cycle));
    });
    const details = el('details', {}, el('summary', {}, 'As text'), this.#text);
    this.element.append(
      el('div', { class: 'toolbar' }, this.#slider, this.#note),
      el('div', { class: 'screen-body' }, this.#image, details),
    );
    model.listen((change) => {
      if (model.tab === 'screen' && (change === 'event' || change === 'tab' || change === 'trace')) this.draw();
    });
  }

  draw(): void {
    const { model } = this;
    const { screens } = model.data.head;
    const at = screens.findLastIndex(({ cycle }) => cycle <= model.cycle);
    const screen = screens[Math.max(at, 0)];
    this.#slider.hidden = screens.length < 2;
    this.#image.hidden = !screen;
    if (!screen) {
      this.#note.textContent = 'This machine has no screen.';
      fill(this.#text);
      return;
    }
    this.#slider.max = String(screens.length - 1);
    this.#slider.value = String(Math.max(at, 0));
    this.#image.src = model.trace.pictures[Math.max(at, 0)]!;
    this.#image.width = screen.width;
    this.#image.height = screen.height;
    this.#image.alt = screen.lines
      ? 'A text screen; its text is below'
      : `A picture of ${screen.width} by ${screen.height} pixels`;
    this.#text.textContent = screen.lines ? screen.lines.join('\n').trimEnd() || '(blank)' : '(no text screen)';
    this.#note.textContent = `picture ${Math.max(at, 0) + 1} of ${screens.length}, from cycle ${grouped(screen.cycle)} on; shown for cycle ${grouped(model.cycle)}`;
  }
}
