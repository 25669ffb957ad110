// INSTRUCTIONS.md is what the opcode rows give.

import { readFileSync } from 'node:fs';
import test from 'ava';
import { instructionList, LIST } from '../scripts/instructions/list.js';

test('INSTRUCTIONS.md is up to date', (t) => {
  t.true(instructionList() === readFileSync(LIST, 'utf8'), 'run "npm run instructions" and commit the file');
});
