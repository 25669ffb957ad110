// What a search found, as text: where the two parted, the way there, and both states with what differs marked.

import { disassemble } from '../../src/diff/disassemble.js';
import type { Parting, TrailStep } from './parting.js';
import { FIELDS, linearOf, RIP, show } from './registers.js';
import type { LockstepResult } from './search.js';

/** The whole report. */
export function reportText(result: LockstepResult): string {
  const { parting, mended, instructions, points, flagsOnly, devices } = result;
  const lines: string[] = [];
  if (parting) lines.push(...partingLines(parting), '');
  else {
    const end = result.end ? `, and both ended (${result.end.reason})` : '';
    lines.push(`no difference in ${instructions} instructions, ${points} states compared${end}`);
  }
  lines.push(...mendedLines(mended));
  if (flagsOnly > 0) lines.push(`${flagsOnly} states differed in flags that may differ`);
  if (devices.length > 0)
    lines.push(
      'devices that answered otherwise (their time stands still here):',
      ...devices.map((line) => `  ${line}`),
    );
  return lines.join('\n');
}

function partingLines(parting: Parting): string[] {
  const { what, ours, theirs, fields, trail, instructions } = parting;
  const lines = [`the two part after ${instructions} instructions of ours: ${what}`];
  if (trail.length > 0) {
    lines.push('', 'the way there (the last line is the instruction that parts them):');
    lines.push(...trail.map((step) => `  ${instructionLine(step)}`));
    const before = trail.at(-1)!.registers;
    lines.push(
      '',
      'before it, both:',
      ...columns(before.map((value, i) => `${FIELDS[i]} ${show(i, value)}`).slice(0, RIP + 2)),
    );
  }
  if (theirs === undefined) {
    lines.push('', 'ours now:', ...columns(ours.map((value, i) => `${FIELDS[i]} ${show(i, value)}`)));
    return lines;
  }
  lines.push('', `${'after it'.padEnd(18)}${'ours'.padEnd(18)}QEMU`);
  FIELDS.forEach((name, i) => {
    if (theirs[i] === undefined) return;
    const mark = fields.includes(i) ? '≠' : ' ';
    lines.push(`${mark} ${name.padEnd(16)}${show(i, ours[i]).padEnd(18)}${show(i, theirs[i])}`);
  });
  return lines;
}

/** One line an instruction whose results were made QEMU's. */
function mendedLines(mended: readonly Parting[]): string[] {
  const found = new Map<string, { count: number; first: string }>();
  for (const { trail, fields, ours, theirs } of mended) {
    const where = instructionLine(trail.at(-1)!);
    const first = fields.map((i) => `${FIELDS[i]} ${show(i, ours[i])}, QEMU ${show(i, theirs![i])}`).join('; ');
    const entry = found.get(where) ?? { count: 0, first };
    entry.count++;
    found.set(where, entry);
  }
  const lines = [...found].map(([where, { count, first }]) => `  ${where}  ${count} times, first: ${first}`);
  return lines.length > 0 ? ['made the same where the two differed:', ...lines] : [];
}

/** Bytes and text of an instruction. */
export function instructionText({ registers, code, bits }: TrailStep): { text: string; bytes: string } {
  return disassemble({ bits, bytes: code }, registers[RIP] as bigint);
}

/** Address, bytes and text of an instruction. */
function instructionLine(step: TrailStep): string {
  const { registers, bits } = step;
  const { text, bytes } = instructionText(step);
  return `${linearOf(registers)
    .toString(16)
    .padStart(bits === 64 ? 16 : 8, '0')}  ${bytes.padEnd(20)}  ${text}`;
}

/** Four to a line. */
function columns(words: readonly string[]): string[] {
  const lines: string[] = [];
  for (let i = 0; i < words.length; i += 4)
    lines.push(
      `  ${words
        .slice(i, i + 4)
        .map((word) => word.padEnd(28))
        .join('')}`.trimEnd(),
    );
  return lines;
}
