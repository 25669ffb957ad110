// Records the corpus: corpus/<name>/<name>.trace, and the run's length in expected.json. Only a guest that prints what
// it must and ends as it must is recorded. For a change of the timing model, of the trace format or of what every guest
// finds (tables); anything else that changes a trace is a regression, and the tests say so.
// Usage: npx tsx scripts/corpus-record.ts [NAME…]

import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { corpusGuests } from '../bin/corpus.js';
import { checkCorpusGuest, corpusRecordOptions } from '../bin/corpus-check.js';
import { record } from '../src/index.js';

const asked = process.argv.slice(2);
// A trace says under which names its images were given: these are to mean something to everybody.
process.chdir(join(import.meta.dirname, '..'));
const scratch = await mkdtemp(join(tmpdir(), 'vmreplay-corpus-'));
try {
  for (const guest of await corpusGuests('corpus')) {
    const { name, directory } = guest;
    if (asked.length > 0 && !asked.includes(name)) continue;
    const { trace: _trace, ...untraced } = guest;
    const { cycles: _cycles, ...expected } = guest.expected;
    const { result, problems } = await checkCorpusGuest({ ...untraced, expected }, scratch);
    if (problems.length > 0) {
      console.error(`${name}: ${problems.join('; ')}`);
      process.exitCode = 1;
      continue;
    }
    // Written beside its place and moved there, so that a failed recording leaves the old trace.
    const written = join(directory, `${name}.trace.part`);
    await record({ ...corpusRecordOptions(guest), output: written });
    await rename(written, join(directory, `${name}.trace`));
    const { about, boot, end, exitCode, qemu } = expected;
    const json = { about, boot, end, exitCode, cycles: result.cycles, ...(qemu && { qemu }) };
    await writeFile(join(directory, 'expected.json'), `${JSON.stringify(json, null, 2)}\n`);
    console.log(`${name}: ${result.cycles} cycles, ${result.bytes} bytes`);
  }
} finally {
  await rm(scratch, { recursive: true, force: true });
}
