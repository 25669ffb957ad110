// Kernel command lines (Linux, admin-guide/kernel-parameters.rst): words with values, quotes around what has blanks, a
// zero at the end. A valid line is printable ASCII and shorter than COMMAND_LINE_SIZE. Hostile ones have no end, end
// early, are too long, or hold what a parser stumbles over.

import fc from 'fast-check';
import { ByteWriter } from '../byte-writer.js';
import { low8, pick, textOf, word } from '../numbers.js';
import type { StructureKind } from '../structure.js';

export interface CommandLine {
  words: string[];
  /** Lies. */
  unterminated?: boolean;
  filler?: number;
}

/** Longest line that Linux takes on x86, with its zero. */
const COMMAND_LINE_SIZE = 2048;

/** Words of a line, as text. */
export const commandWords: fc.Arbitrary<string[]> = fc.array(
  fc.oneof(
    word(12),
    fc.tuple(word(10), word(16, 0)).map(([name, value]) => `${name}=${value}`),
    fc.tuple(word(10), word(8), word(8)).map(([name, a, b]) => `${name}="${a} ${b}"`),
    fc.constantFrom('quiet', 'console=ttyS0', 'console=ttyS0,115200n8', 'memmap=4G$4G', 'mem=16M', 'nolapic'),
  ),
  { maxLength: 12 },
);

/** Kernel command lines with their zero (Linux, admin-guide/kernel-parameters.rst). */
export function commandLine(): StructureKind<CommandLine> {
  return {
    name: 'command line',
    specification: 'Linux, Documentation/admin-guide/kernel-parameters.rst; arch/x86/boot.rst, cmd_line_ptr',
    valid: commandWords.map((words) => ({ words })),
    breaks: {
      'no terminator': (draft) => {
        draft.unterminated = true;
      },
      'too long': (draft, at, value) => {
        draft.words.push('x'.repeat(COMMAND_LINE_SIZE + (at + 1) * Number(value % 64n)));
      },
      'zero inside': (draft, at) =>
        pick(draft.words, at, (one, i) => {
          draft.words[i] = `${one}\0${one}`;
        }),
      'byte above ASCII': (draft, _at, value) => {
        draft.words.push(String.fromCharCode(0x80 | low8(value)));
      },
      'control character': (draft, _at, value) => {
        draft.words.push(String.fromCharCode(Number((value % 31n) + 1n)));
      },
      'quote that stays open': (draft) => {
        draft.words.push('open="never closed');
      },
      'number that overflows': (draft, _at, value) => {
        draft.words.push(`mem=${value}${value}G`);
      },
      'format directive': (draft) => {
        draft.words.push('%s%n%x');
      },
      'many words': (draft, at) => {
        for (let i = 0; i < 40 * (at + 1); i++) draft.words.push(`w${i}`);
      },
      'word of any bytes': (draft, at, value) => {
        draft.words.splice(at % (draft.words.length + 1), 0, textOf(value));
      },
    },
    encode: ({ words, unterminated, filler = 0x41 }) => {
      const out = new ByteWriter().text(words.join(' '));
      if (!unterminated) return out.u8(0).done();
      // What follows in the same page is no zero either.
      while (out.length % 256 !== 0 || out.length === 0) out.u8(filler);
      return out.done();
    },
  };
}
