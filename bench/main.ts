// npm run bench -- boot|seabios [--runs N] [--only vmreplay|qemu] [--output FILE]
// Measurements against QEMU on this host. Each prints medians and ratios, and writes its figures to bench/results.

import { parseArgs } from 'node:util';
import { benchBoot } from './boot.js';
import { benchSeabios } from './seabios.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '3' },
    only: { type: 'string' },
    output: { type: 'string' },
  },
});

const runs = Number(values.runs);
const [what] = positionals;
if (
  (what !== 'boot' && what !== 'seabios') ||
  positionals.length > 1 ||
  !Number.isInteger(runs) ||
  runs < 1 ||
  runs > 100
) {
  console.error('usage: npm run bench -- boot|seabios [--runs N] [--only vmreplay|qemu] [--output FILE]');
  process.exitCode = 2;
} else {
  try {
    const bench = what === 'boot' ? benchBoot : benchSeabios;
    await bench({
      runs,
      ...(values.only && { only: values.only }),
      ...(values.output && { output: values.output }),
    });
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
