// The text of INSTRUCTIONS.md: every opcode row with its CPUID bit, its cost, and the cases that cover it.

import { type Feature, featureBit, QEMU64_V1, X86_64_V2 } from '../../src/cpu/cpuid.js';
import type { Row } from '../../src/cpu/isa/row.js';
import { allRows } from '../../src/cpu/isa/rows.js';
import { NOT_COMPARABLE } from '../../test/cpu/oracles/case-generator.js';
import { readEarlyReport } from '../../test/cpu/oracles/report.js';
import { rowName } from '../../test/cpu/oracles/rows.js';
import { type Coverage, readCoverage } from './coverage.js';

export const LIST = new URL('../../INSTRUCTIONS.md', import.meta.url).pathname;

const MODES = { no64: 'not 64', only64: 'only 64' };

const number = (n: number): string => String(n).replace(/\B(?=(\d{3})+$)/g, ',');
const cases = (n: number | undefined): string => (n === undefined ? '' : number(n));
const cell = (text: string): string => text.replaceAll('|', '\\|');

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(heads), line(heads.map(() => '---')), ...rows.map(line)].join('\n');
}

/** CPUID.leaf:REGISTER[bit], with the models that have it. */
function featureText(feature: string): string {
  const place = featureBit(feature as Feature);
  return place === undefined ? feature : `${feature} (${place})`;
}

function modelsOf(row: Row): string {
  const { cpuid } = row.options;
  const has = [QEMU64_V1, X86_64_V2].filter((model) => cpuid === undefined || model.has(cpuid as Feature));
  return has.length === 2 ? '' : has.length === 0 ? 'none' : has[0]!.name;
}

function instruction(row: Row, coverage: Coverage): string[] {
  const name = rowName(row);
  const { cpuid, cost, mode } = row.options;
  const hostReason = NOT_COMPARABLE[row.mnemonic];
  return [
    `\`${row.encoding}\``,
    cell(`${row.mnemonic} ${row.operands.map((o) => o.text).join(', ')}`.trim()),
    mode === undefined ? '' : MODES[mode],
    cpuid === undefined ? '' : featureText(cpuid),
    modelsOf(row),
    String(cost ?? 1),
    hostReason === undefined ? cases(coverage.host.rows[name]) : '-',
    cases(coverage.intel[name]),
    cases(coverage.i80286[name]),
    cases(coverage.i8086[name]),
    cases(coverage.recorded[name]),
  ];
}

export function instructionList(): string {
  const coverage = readCoverage();
  const early = readEarlyReport();
  const { runs, explained } = coverage.host;
  const sum = (of: readonly number[]) => of.reduce((a, b) => a + b, 0);
  const heads = [
    'encoding',
    'instruction',
    'mode',
    'CPUID',
    'model',
    'cycles',
    'host',
    'Intel',
    '80286',
    '8086',
    'recorded',
  ];
  const uncovered = allRows.filter((row) => {
    const name = rowName(row);
    return [coverage.host.rows, coverage.intel, coverage.i80286, coverage.i8086, coverage.recorded].every(
      (counts) => counts[name] === undefined,
    );
  });
  return `# Instructions

Made from the opcode rows (\`src/cpu/isa\`) by \`npm run instructions\`; a test fails when it is stale. Not to be edited.

${number(allRows.length)} rows. Columns: encoding and operands in Intel's notation (the legend is in \`src/cpu/isa/row.ts\`); the modes
that have the instruction, when not all do; its CPUID bit; the CPU model that has it, when not all do; cycles of the timing
model (of an iteration where REP applies); then how many cases of which oracle cover it:

- **host**: generated instructions on the processor of the machine that runs the test (\`npm run oracle\`, and in every
  \`npm test\`); - where a program cannot run the instruction or the result is the host's own;
- **Intel**: 30,000 cases that an Intel Xeon ran (\`test/cpu/oracles/intel.test.ts\`);
- **80286**, **8086**: the SingleStepTests sets (\`npm run vectors\`);
- **recorded**: single instructions whose results on silicon lie in the repository.

Rows of system instructions are held by the guests of the corpus and by tests of their own. Rows that no case covers:
${uncovered.length === 0 ? 'none' : [...new Set(uncovered.map((row) => row.mnemonic))].join(', ')}.

## Runs

${table(
  ['hardware oracle, seed', 'cases', 'differ', 'processor'],
  [
    ...runs.map((run) => [String(run.seed), number(run.cases), number(run.differing), run.host]),
    ['together', number(sum(runs.map((run) => run.cases))), number(sum(runs.map((run) => run.differing))), ''],
  ],
)}

${table(
  ['SingleStepTests', 'commit', 'forms', 'a form', 'cases', 'differ', 'not in the copy at hand'],
  Object.values(early).map((run) => [
    run.set,
    run.commit.slice(0, 12),
    number(run.forms),
    run.perForm,
    number(run.cases),
    number(run.differing),
    run.absent.join(', '),
  ]),
)}

Cases that differ only by what processors are known to do differently, each by its name. They are among the cases above;
what is compared of them all the same stands with each name (\`vendor-differences.ts\`, \`early-processors.ts\`).

${table(
  ['processor', 'difference', 'cases'],
  [
    ...Object.entries(explained).map(([name, n]) => ['host', cell(name), number(n)]),
    ...Object.values(early).flatMap((run) =>
      Object.entries(run.explained).map(([name, n]) => [run.set, cell(name), number(n)]),
    ),
  ],
)}

## Rows

${table(
  heads,
  allRows.map((row) => instruction(row, coverage)),
)}
`;
}
