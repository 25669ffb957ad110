// Generated instructions of every opcode row against the processor that the test runs on.
//
// ORACLE_CASES sets how many are tried (20,000), ORACLE_SEED which ones: a fresh seed is printed by every run. What
// differs is shrunk to one instruction in the plainest state and printed as a test vector.

import test from 'ava';
import { NOT_COMPARABLE } from './case-generator.js';
import { hostOracle } from './host-oracle.js';
import { rowName } from './rows.js';
import { vectorLine } from './vector-line.js';

const total = Number(process.env.ORACLE_CASES ?? 20_000);
const seed = Number(process.env.ORACLE_SEED ?? Date.now() % 1_000_000_000);
const oracle = hostOracle();
const onHost = oracle === undefined ? test.skip : test;

onHost('instructions of every row do what the processor of the host does', async (t) => {
  t.timeout(30 * 60_000);
  t.log(`ORACLE_SEED=${seed}, ${total} cases on ${oracle!.host.vendor}`);
  for (const name of oracle!.generator.absent) t.log(`skipped, the host lacks it: ${name}`);
  const lines: string[] = [];
  const compared = new Map<string, number>();
  for await (const batch of oracle!.batches(seed, total)) {
    for (const [name, n] of batch.compared) compared.set(name, (compared.get(name) ?? 0) + n);
    for (const mismatch of batch.mismatches.slice(0, 5)) {
      const plain = await oracle!.shrink(mismatch);
      lines.push(
        `${plain.found.join(', ')}\n${vectorLine(rowName(plain.generated.row), plain.generated.given, plain.wanted)}`,
      );
    }
    if (lines.length >= 5) break;
  }
  t.is(lines.length, 0, lines.join('\n'));
  const count = [...compared.values()].reduce((a, b) => a + b, 0);
  t.true(count > total * 0.95, `${count} of ${total} cases were comparable`);
  const names = new Set(oracle!.generator.rows.map(rowName));
  t.log(`${count} compared, ${compared.size} of ${names.size} rows`);
});

onHost('only rows that a program on the host cannot run or judge are left out', (t) => {
  const left = new Set(oracle!.generator.rows.map((row) => row.mnemonic));
  for (const [mnemonic, reason] of Object.entries(NOT_COMPARABLE)) {
    t.false(left.has(mnemonic), `${mnemonic}: ${reason}`);
    t.not(reason, '');
  }
  t.true(oracle!.generator.rows.length > 900);
});
