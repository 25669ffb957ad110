// vmreplay fetch: real guests from the distribution's archive, into the cache.

import type { Command } from 'commander';
import { sizeText } from '../../src/figures.js';
import { type OutputOptions, Progress, print } from '../print/output.js';

type Values = OutputOptions & { refresh?: boolean; list?: boolean };

export function addFetch(program: Command): void {
  program
    .command('fetch')
    .description("bring real guests from the distribution's archive into the cache")
    .argument('[name...]', 'guests (default: those the tests and the benchmark use)')
    .option('--refresh', "ask for the archive's newest even when the cache has the guest")
    .option('--list', 'show which guests there are')
    .action(async (names: string[], _options, command: Command) => {
      const { quiet, refresh, list } = command.optsWithGlobals<Values>();
      const output = { quiet: quiet === true };
      const { fetchGuests } = await import('../../src/fetch/fetch.js');
      const { GUESTS, DEFAULT_GUESTS } = await import('../../src/fetch/guests.js');
      if (list) {
        for (const { name, about } of GUESTS) {
          print(output, `${DEFAULT_GUESTS.includes(name) ? '*' : ' '} ${name.padEnd(14)} ${about}`);
        }
        return;
      }
      const progress = new Progress(output);
      const results = await fetchGuests(names, { refresh: refresh === true, log: (line) => progress.show(line) });
      progress.clear();
      for (const { guest, fetched, files } of results) {
        print(output, `${guest}${fetched ? '' : ' (already there)'}`);
        for (const { path, size } of files) print(output, `  ${path}  ${sizeText(size)}`);
      }
    });
}
