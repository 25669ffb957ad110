// INSTRUCTIONS.md from the opcode rows: `instructions` writes it, `--check` only says whether it is up to date.
//
// The counts of cases are those of reports kept as data, and of vectors that lie in the repository. `--count` counts the
// Intel vectors anew, where their folder is (VMREPLAY_ORACLES), and keeps the counts.

import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { countIntelVectors } from './instructions/coverage.js';
import { instructionList, LIST } from './instructions/list.js';

const { values } = parseArgs({
  options: { check: { type: 'boolean', default: false }, count: { type: 'boolean', default: false } },
});

if (values.count && !countIntelVectors()) {
  console.error('the vectors of an Intel processor are not here: set VMREPLAY_ORACLES to their folder');
  process.exit(2);
}
const text = instructionList();
if (!values.check) writeFileSync(LIST, text);
else if (readFileSync(LIST, 'utf8') !== text) {
  console.error('INSTRUCTIONS.md is not what the opcode rows give: run "npm run instructions"');
  process.exit(1);
}
