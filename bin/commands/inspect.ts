// vmreplay inspect: what a trace holds, in full with --json, event by event with --events.

import type { Command } from 'commander';
import type { EventView } from '../../src/index.js';
import { collectNames, parseCount } from '../options/values.js';
import { json, type OutputOptions, print } from '../print/output.js';

type Values = OutputOptions & {
  json?: boolean;
  handoff?: boolean;
  events?: boolean;
  from?: number;
  to?: number;
  kind?: string[];
};

export function addInspect(program: Command): void {
  program
    .command('inspect')
    .description('show what a trace holds')
    .argument('<file>', 'a trace')
    .option('--json', 'as JSON; with --events one object a line')
    .option('--events', 'the events; --from, --to and --kind ask for them, too')
    .option('--handoff', 'what a loader left to the kernel that it entered')
    .option('--from <cycle>', 'events from this cycle on', parseCount)
    .option('--to <cycle>', 'events up to this cycle', parseCount)
    .option('--kind <kind>', 'events of these kinds or devices; repeatable, or separated by commas', collectNames)
    .action(async (file: string, _options, command: Command) => {
      const { quiet, json: asJson, events, handoff, from, to, kind } = command.optsWithGlobals<Values>();
      const library = await import('../../src/index.js');
      const output = { quiet: quiet === true };
      if (handoff) {
        const text = asJson ? json(await library.inspectHandoff(file), 2) : await library.renderHandoff(file);
        print(output, text.trimEnd());
        return;
      }
      const range = {
        ...(from !== undefined && { from }),
        ...(to !== undefined && { to }),
        ...(kind && { kinds: kind }),
      };
      if (!events && Object.keys(range).length === 0) {
        const text = asJson ? json(await library.inspect(file), 2) : await library.renderInspection(file);
        print(output, text.trimEnd());
        return;
      }
      for await (const event of library.inspectEvents(file, range)) {
        if (quiet) continue;
        const line = asJson ? json(event) : eventLine(event);
        // A reader that stops early (head) ends the listing; one that is slow is waited for.
        if (process.stdout.destroyed) break;
        if (!process.stdout.write(`${line}\n`)) await new Promise((resolve) => process.stdout.once('drain', resolve));
      }
    });
}

function eventLine({ cycle, cs, rip, text }: EventView): string {
  return `${String(cycle).padStart(12)}  ${cs}:${rip}  ${text}`;
}
