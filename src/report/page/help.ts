// The keys, in a dialog, with the legend of the marks.

import { button, el, table } from './dom.js';
import { SIGNS } from './lanes.js';

const KEYS: readonly (readonly [keys: string, what: string])[] = [
  ['/', 'filter events'],
  ['e', 'to the table of events; there ↑ ↓, Page Up, Page Down, Home, End'],
  [', and . (or k and j)', 'event before, event after'],
  ['[ and ]', 'phase before, phase after'],
  ['+ and −', 'zoom the timeline in and out'],
  ['← → ↑ ↓ on the timeline', 'move and zoom; with Shift further'],
  ['f', 'the whole boot'],
  ['x', 'axis of time, or of events'],
  ['g', 'go to an event by its number'],
  ['d', 'to the first difference of two traces'],
  ['b', 'the other trace'],
  ['c', 'copy a link to the selected event'],
  ['1 … 7', 'views'],
  ['t', 'light or dark'],
  ['Esc', 'clear the filter'],
];

const SIGN_NAMES: readonly (readonly [keyof typeof SIGNS, string])[] = [
  ['read', 'the guest reads from a device'],
  ['write', 'the guest writes to a device'],
  ['async', 'interrupt'],
  ['effect', 'a device acts on memory, lines or the run; input'],
  ['note', 'timer armed or fired'],
  ['mark', 'milestone, hand-off, state hash, end'],
];

export function helpDialog(): HTMLDialogElement {
  const dialog = el('dialog', { 'aria-label': 'Keyboard' });
  dialog.append(
    el('h2', {}, 'Keyboard'),
    table(
      [],
      KEYS.map(([keys, what]) => [el('kbd', {}, keys), what]),
    ),
    el('h2', {}, 'Marks'),
    table(
      [],
      SIGN_NAMES.map(([shape, what]) => [el('span', { class: 'sign' }, SIGNS[shape]), what]),
    ),
    el(
      'p',
      { class: 'muted' },
      'Filters: words are looked for in the text of events. kind: device: register: name: symbol: at: compare one property; addr: value: cycle: event: take a number or a range such as 10..20; a minus sign in front turns a condition round.',
    ),
    button('Close', 'Close (Esc)', () => dialog.close()),
  );
  return dialog;
}
