// vmreplay demo: record every guest of the corpus twice, replay it from its trace, compare the two recordings, and
// hold all of it against what the corpus says. Then one comparison that must find something: the same guest with
// another command line.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { grouped, sizeText } from '../../src/figures.js';
import { type CorpusGuest, corpusGuests } from '../corpus.js';
import { checkCorpusGuest, corpusRecordOptions } from '../corpus-check.js';
import { colored, type OutputOptions, Progress, print } from '../print/output.js';
import { endText } from '../print/run.js';

/** The guest that is booted with another command line. */
const DIFFED = 'pvh-start-info';
const DIFF_LINES = 12;

export function addDemo(program: Command): void {
  program
    .command('demo')
    .description('record, replay and compare the guests that come with the project')
    .action(async (_options, command: Command) => {
      const quiet = command.optsWithGlobals<OutputOptions>().quiet === true;
      const scratch = await mkdtemp(join(tmpdir(), 'vmreplay-demo-'));
      try {
        process.exitCode = (await demo(scratch, { quiet })) ? 0 : 1;
      } finally {
        await rm(scratch, { recursive: true, force: true });
      }
    });
}

/** @returns whether everything was as the corpus says */
async function demo(scratch: string, options: OutputOptions): Promise<boolean> {
  const guests = await corpusGuests();
  const width = Math.max(...guests.map(({ name }) => name.length));
  const row = (name: string, cells: string[], outcome: string) => {
    const [end, cycles, events, bytes] = cells as [string, string, string, string];
    const numbers = `${cycles.padStart(11)} ${events.padStart(7)} ${bytes.padStart(9)}`;
    print(options, `${name.padEnd(width)}  ${end.padEnd(14)} ${numbers}  ${outcome}`);
  };
  const progress = new Progress(options);
  row('guest', ['end', 'cycles', 'events', 'trace'], 'replayed, recorded again, compared');
  let differing = 0;
  for (const guest of guests) {
    progress.show(`${guest.name} …`);
    const { result, problems } = await checkCorpusGuest(guest, scratch);
    progress.clear();
    if (problems.length > 0) differing += 1;
    const cells = [endText(result.end), grouped(result.cycles), grouped(result.events), sizeText(result.bytes)];
    row(guest.name, cells, problems.length === 0 ? colored('green', 'same') : colored('red', problems.join('; ')));
  }
  const told = await deliberateDiff(guests.find(({ name }) => name === DIFFED)!, scratch, options);
  const verdict = differing === 0 ? 'all as expected' : `${differing} not as expected`;
  print(options, `\n${guests.length} guests, ${verdict}`);
  return differing === 0 && told;
}

/** Boot the guest with another command line and show what `diff` makes of it. */
async function deliberateDiff(guest: CorpusGuest, scratch: string, options: OutputOptions): Promise<boolean> {
  const { record, diff, renderDiff } = await import('../../src/index.js');
  const [a, b] = [join(scratch, 'a.trace'), join(scratch, 'b.trace')];
  const boot = corpusRecordOptions(guest);
  await record({ ...boot, output: a });
  await record({ ...boot, append: `${boot.append} more`, output: b });
  const result = await diff(a, b, { context: 1 });
  print(options, `\n${guest.name} with another command line:`);
  if (result.same) {
    print(options, colored('red', '  no difference, though there must be one'));
    return false;
  }
  const lines = renderDiff(result).trimEnd().split('\n');
  for (const line of lines.slice(0, DIFF_LINES)) print(options, `  ${line}`);
  if (lines.length > DIFF_LINES) print(options, `  … ${lines.length - DIFF_LINES} more lines`);
  return true;
}
