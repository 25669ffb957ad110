// The corpus in lockstep with QEMU, guest by guest. `qemu.lockstep` of a guest's expected.json lists the instructions, by
// their text, at which it parts from QEMU, each with the manual's section. A difference in registers or flags is evened
// out; behind another one the two go different ways, and what they print is compared by scripts/corpus-qemu.ts.

import { type CorpusGuest, corpusGuests } from '../../bin/corpus.js';
import { corpusRecordOptions } from '../../bin/corpus-check.js';
import type { Parting } from './parting.js';
import { instructionText } from './report.js';
import { lockstep } from './search.js';

export interface CorpusRow {
  readonly name: string;
  /** One line for people. */
  readonly line: string;
  readonly asExpected: boolean;
}

/** Instructions of a guest without end that are compared. */
const ENDLESS = 100_000;

/** @param names of guests; none means all */
export async function* lockstepCorpus(names: readonly string[] = []): AsyncGenerator<CorpusRow> {
  for (const guest of await corpusGuests())
    if (names.length === 0 || names.includes(guest.name)) yield await lockstepGuest(guest);
}

export async function lockstepGuest(guest: CorpusGuest): Promise<CorpusRow> {
  const { name } = guest;
  const { endless, lockstep: listed = [] } = guest.expected.qemu ?? {};
  const row = (asExpected: boolean, text: string): CorpusRow => ({
    name,
    asExpected,
    line: `${asExpected ? 'same' : 'DIFFERENT'}  ${name.padEnd(18)} ${text}`,
  });
  const result = await lockstep({
    ...corpusRecordOptions(guest),
    // One that does nothing for ever has no events; and where differences are listed, all of them are looked for.
    ...(endless
      ? { every: true, maxInstructions: ENDLESS }
      : listed.length > 0
        ? { every: true, goOn: true }
        : { blocks: true }),
  });
  const { parting, mended, instructions, points, end, messages } = result;
  const compared = `${instructions} instructions, ${points} states compared`;
  if (points === 0) return row(false, `QEMU did not run: ${messages}`);
  const found = new Map(mended.map((one) => [instructionOf(one), one.what]));
  if (parting) found.set(instructionOf(parting), parting.what);
  const unlisted = [...found].filter(([text]) => !listed.some(({ instruction }) => instruction === text));
  if (unlisted.length > 0)
    return row(false, `${compared}; ${unlisted.map(([text, what]) => `at "${text}": ${what}`).join('; ')}`);
  const gone = listed.filter(({ instruction }) => !found.has(instruction));
  if (gone.length > 0)
    return row(false, `${compared}; nothing at "${gone.map(({ instruction }) => instruction).join('", "')}" any more`);
  const how = parting ? 'up to the first that cannot be evened out' : end ? `both ended (${end.reason})` : 'no end';
  return row(true, listed.length === 0 ? `${compared}, ${how}` : `${compared}, ${found.size} listed, ${how}`);
}

/** Text of the instruction that parts the two. */
function instructionOf({ trail }: Parting): string {
  const last = trail.at(-1);
  return last === undefined ? '' : instructionText(last).text;
}
