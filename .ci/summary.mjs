// Reads ava's TAP output and the exit status of `npm test`, names what was skipped and what failed, and prints
// `N passed, N failed` as the last line. Whatever made `npm test` fail without a failed test (build, types, lint, a
// crash) counts as one failure, so that the line never says that all is well when it is not.
// Usage: node .ci/summary.mjs LOG STATUS

import { readFileSync } from 'node:fs';

const [log, status] = process.argv.slice(2);
const text = readFileSync(log, 'utf8');
let passed = 0;
const failed = [];
const skipped = [];
for (const line of text.split('\n')) {
  const match = /^(not )?ok \d+ - (.*)$/.exec(line);
  if (!match) continue;
  const [, not, title] = match;
  const directive = /^(.*?) # (SKIP|TODO)\b/i.exec(title);
  if (directive) skipped.push(directive[1]);
  else if (not) failed.push(title);
  else passed += 1;
}
const plan = /^1\.\.(\d+)$/m.exec(text);
if (failed.length === 0 && (status !== '0' || !plan)) {
  failed.push(
    plan ? `npm test ended with status ${status}` : `npm test ended with status ${status} before the tests ended`,
  );
}
for (const title of skipped) console.log(`skipped: ${title}`);
for (const title of failed) console.log(`failed: ${title}`);
console.log(`${passed} passed, ${failed.length} failed`);
process.exitCode = failed.length > 0 ? 1 : 0;
