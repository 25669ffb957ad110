// Input that is known before the run: a file for the serial line, and text that somebody types, on the keyboard or at the
// other end of the line. Bytes of the serial line arrive as fast as it would carry them; keys are held and released at a
// steady pace, which firmware and loaders keep up with.

import type { Board } from '../platform/board.js';
import { Pc } from '../platform/pc.js';
import { keyStrokes } from '../platform/us-keyboard.js';
import type { BootOptions } from './options.js';
import { UserError } from './user-error.js';

/** How long a key is down, and up before the next one: 10 ms each. */
const HOLD_NS = 10_000_000;

/** @throws UserError when there is no keyboard, or it lacks a character */
export function scheduleInputs(
  board: Board,
  input: Required<Pick<BootOptions, 'typeTo'>> & { type: BootOptions['type']; serialIn: Uint8Array | undefined },
): void {
  const { type = [], typeTo, serialIn } = input;
  if (serialIn && serialIn.length > 0) board.inputs.schedule(0, { kind: 'serial', data: serialIn });
  if (type.length > 0 && typeTo === 'keyboard' && !(board instanceof Pc))
    throw new UserError(`--type-to keyboard: a ${board.name} has none; use --type-to serial`);
  for (const { text, cycle } of type) {
    if (typeTo === 'serial') board.inputs.schedule(cycle, { kind: 'serial', data: new TextEncoder().encode(text) });
    else typeOnKeyboard(board, text, cycle);
  }
}

function typeOnKeyboard(board: Board, text: string, cycle: number): void {
  const hold = Math.ceil(HOLD_NS / board.clock.nsPerCycle);
  let at = cycle;
  try {
    for (const { code, with: modifier } of keyStrokes(text)) {
      const keys = modifier === undefined ? [code] : [modifier, code];
      for (const key of keys) board.inputs.schedule(at, { kind: 'key', code: key, down: true });
      for (const key of keys.toReversed()) board.inputs.schedule(at + hold, { kind: 'key', code: key, down: false });
      at += 2 * hold;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UserError(`--type: ${error.message}; use --type-to serial`);
  }
}
