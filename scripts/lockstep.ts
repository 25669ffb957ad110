// Runs a boot here and in QEMU and finds the first instruction at which the two part: both states, what differs, and
// the disassembly on the way there. A corpus guest is compared instruction by instruction, another boot at its device
// accesses, interrupts and exceptions first. With --all, or names behind it, a table of the corpus: compared at device
// accesses, interrupts, exceptions and the starts of blocks, and instruction by instruction where that finds something.
// Exit status: 0 no difference but those that expected.json lists, 1 a difference, 2 bad usage or no QEMU.
// Usage: npm run lockstep -- corpus/NAME | BOOT OPTIONS [--every] [--go-on] [--at ADDRESS]… [--max-instructions N]
//        npm run lockstep -- --all [NAME…]

import { basename, dirname, resolve } from 'node:path';
import { Command } from 'commander';
import { corpusGuests } from '../bin/corpus.js';
import { corpusRecordOptions } from '../bin/corpus-check.js';
import { addBootOptions, bootOptions } from '../bin/options/boot.js';
import { parsePositive } from '../bin/options/values.js';
import { lockstepCorpus } from './lockstep/corpus.js';
import { hasQemu } from './lockstep/qemu.js';
import { reportText } from './lockstep/report.js';
import { type LockstepOptions, lockstep } from './lockstep/search.js';

const parseAddress = (text: string, before: bigint[] = []) => [...before, BigInt(text)];

const command = addBootOptions(new Command('lockstep').argument('[guests...]', 'corpus/NAME'))
  .option('--all', 'every guest of the corpus, or those named, as a table')
  .option('--every', 'compare every instruction from the start')
  .option('--go-on', "make a difference in general registers or flags QEMU's and go on; lists them at the end")
  .option('--at <address>', 'a linear address at which states are compared, too; repeatable', parseAddress)
  .option('--max-instructions <n>', 'end after so many instructions', parsePositive)
  .parse();

async function optionsOf(): Promise<LockstepOptions> {
  const { all: _all, every, goOn, at, maxInstructions, ...boot } = command.opts();
  const more = {
    ...(every && { every }),
    ...(goOn && { goOn }),
    ...(at && { at }),
    ...(maxInstructions && { maxInstructions }),
  };
  const [name] = command.args;
  if (name === undefined) return { ...bootOptions(boot as never), ...more };
  const guest = (await corpusGuests(dirname(resolve(name)))).find((one) => one.name === basename(name));
  if (guest === undefined) return command.error(`there is no guest named ${name}`, { exitCode: 2 });
  // A guest without end is compared for a while.
  const { endless } = guest.expected.qemu ?? {};
  return { ...corpusRecordOptions(guest), every: true, ...(endless && { maxInstructions: 100_000 }), ...more };
}

if (!hasQemu()) command.error('qemu-system-x86_64 is needed; install the package qemu-system-x86', { exitCode: 2 });
const progress = (text: string) => process.stderr.write(`${text}\n`);
if (command.opts().all) {
  let unexpected = 0;
  for await (const { line, asExpected } of lockstepCorpus(command.args.map((name) => basename(name)))) {
    console.log(line);
    if (!asExpected) unexpected++;
  }
  process.exit(unexpected > 0 ? 1 : 0);
}
const result = await lockstep({ ...(await optionsOf()), progress });
console.log(reportText(result));
if (result.points === 0 && result.messages) console.error(result.messages);
process.exitCode = result.parting || result.mended.length > 0 || result.points === 0 ? 1 : 0;
