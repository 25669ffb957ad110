// vmreplay fuzz: structures of a kind in the place of the one that a boot hands over, until the guest does what it must not.
// Exit status 1 when something was found.

import { readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { UserError } from '../../src/api/user-error.js';
import { grouped } from '../../src/figures.js';
import { hexOfWords, wordsOfBytes } from '../../src/fuzz/coverage/tape-text.js';
import type { Finding, FuzzOptions } from '../../src/fuzz/index.js';
import { systemReason } from '../../src/trace/error.js';
import { againstOptions } from '../options/against.js';
import { addBootOptions, bootOptions } from '../options/boot.js';
import { collectTexts, parsePositive, parseText } from '../options/values.js';
import { findingText, progressText, summaryText } from '../print/fuzz.js';
import { complain, json, type OutputOptions, Progress, print } from '../print/output.js';
import { interruptible } from '../terminal.js';

type Values = Parameters<typeof bootOptions>[0] &
  OutputOptions & {
    runs?: number;
    seconds?: number;
    jobs: number;
    queue?: string;
    worker?: string;
    status?: number;
    path?: string;
    tape?: string;
    guided?: boolean;
    json?: boolean;
    corpus?: string;
    coverage?: string;
    out: string;
    panic?: string[];
    caseCycles?: number;
    skip: boolean;
    predicate?: string;
    until?: string;
    symbols?: string;
    against?: string;
    mayDiffer?: string[];
  };

const INTERRUPTED = 130;

export function addFuzz(program: Command): void {
  const verb = addBootOptions(program.command('fuzz'))
    .description('throw boot structures at a guest, valid and hostile ones; exit status 1 when one is taken wrongly')
    .argument(
      '[target]',
      'start-info, boot-params, multiboot, multiboot2, cmdline, initrd, elf, e820, table-loader, acpi-tables, smbios, fw-cfg-directory, fw-cfg-dma, boot-order, option-rom, kernel-items, setup-header or partition-table',
    )
    .option('--runs <n>', 'cases (default: 10000, or as many as fit with --seconds)', parsePositive)
    .option('--seconds <s>', 'stop drawing cases after so long', parsePositive)
    .addOption(new Option('--jobs <n>', 'threads, each with a machine of its own').argParser(parsePositive).default(1))
    .option('--queue <url>', 'workers run the cases: redis://HOST:PORT/NAME, with BullMQ', parseText)
    .option('--worker <url>', 'be such a worker; no target and no boot is given', parseText)
    .option('--path <path>', 'only the case of a finding, with its --seed', parseText)
    .option('--tape <words>', 'with --path: what the case of a finding was made from, or a file of a corpus', parseText)
    .option('--guided', "keep cases that reach new code of the guest's, and change those (default with --corpus)")
    .option('--corpus <folder>', 'keep the campaign there; one that ended or was killed goes on', parseText)
    .option('--coverage <file>', 'what a guided campaign reached, by function: .json, or .info for lcov', parseText)
    .option('--out <folder>', 'where findings are written', parseText, 'fuzz-findings')
    .option('--json', 'the result as JSON; findings are written all the same')
    .option('--status <s>', 'a line of progress on stderr every so many seconds, terminal or not', parsePositive)
    .option('--panic <text>', 'a text on a console that is a finding; repeatable', collectTexts)
    .option('--case-cycles <n>', 'a case that takes longer hangs (default: from the boot as it is)', parsePositive)
    .option('--no-skip', 'execute every case in full, even what it has in common with others')
    .option('--until <place>', 'a symbol, an address or hand-off: where a case ends well', parseText)
    .option('--symbols <file>', 'names for addresses: ELF, System.map or a kernel (default: --kernel)', parseText)
    .option(
      '--against <options>',
      'a second boot that must hand the same over: its boot options in one word',
      parseText,
    )
    .option(
      '--may-differ <field>',
      'a field of the hand-off that need not agree, * for any text; repeatable',
      collectTexts,
    )
    .option('--predicate <file>', 'a module whose default export says what is wrong with a case', parseText);
  const seed = verb.options.find(({ long }) => long === '--seed')!;
  seed.description = 'of the cases';
  seed.defaultValue = 1;
  verb.setOptionValue('seed', 1);
  verb.action(async (target: string | undefined, _options, command: Command) => {
    const values = command.optsWithGlobals<Values>();
    if (values.worker !== undefined) await workerVerb(values.worker, target, values);
    else if (target === undefined) command.error("error: missing required argument 'target'");
    else process.exitCode = await fuzzVerb(target, values);
  });
}

async function workerVerb(queue: string, target: string | undefined, values: Values): Promise<never> {
  if (target !== undefined)
    throw new UserError(`--worker gets its campaigns from the queue; leave ${target} out, or give --queue`);
  const { serveQueue } = await import('../../src/fuzz/index.js');
  const { jobs, status } = values;
  const progress = new Progress({ quiet: values.quiet === true });
  const report = reporter(progress, status);
  const onWarning = (text: string) => {
    progress.clear();
    complain(text);
  };
  await interruptible(async (signal) => {
    const onProgress = (batches: number, cases: number) =>
      report(`${grouped(batches)} batches, ${grouped(cases)} cases`);
    await serveQueue({ queue, jobs, signal, onWarning, onProgress });
  });
  progress.clear();
  // BullMQ goes on looking for a server that is gone.
  process.exit(INTERRUPTED);
}

async function fuzzVerb(target: string, values: Values): Promise<number> {
  const { out, status, symbols, coverage, quiet, json: asJson } = values;
  if (coverage !== undefined && !/\.(json|info)$/.test(coverage))
    throw new UserError(`--coverage ${coverage}: name a file that ends in .json, or in .info for lcov`);
  const { fuzz, fuzzReport, isWritten, writeFinding } = await import('../../src/fuzz/index.js');
  const progress = new Progress({ quiet: quiet === true });
  const warn = (text: string) => {
    progress.clear();
    complain(text);
  };
  const say = (text: string) => {
    progress.clear();
    print({ quiet: quiet === true || asJson === true }, text);
  };
  const report = reporter(progress, status);
  const options: FuzzOptions = {
    ...campaignOf(target, values),
    onProgress: (now) => report(progressText(now)),
    onWarning: warn,
    onFinding: async (finding, known) => {
      if (known && (await isWritten(out, options, finding))) return;
      say(findingText(finding, await written(finding)));
    },
  };
  /** Its folder; one finding that cannot be written does not end a campaign of hours, a full disk does. */
  const written = async (finding: Finding) => {
    try {
      return await writeFinding(out, options, finding);
    } catch (error) {
      if (!(error instanceof Error) || 'code' in error) throw error;
      warn(`a finding is not written: ${error.message}`);
      return undefined;
    }
  };
  const began = performance.now();
  const { result, interrupted } = await interruptible(async (signal) => {
    const result = await fuzz({ ...options, signal });
    return { result, interrupted: signal.aborted };
  });
  const only = isOneCase(values);
  if (only) for (const finding of result.findings) say(findingText(finding));
  if (coverage !== undefined) {
    const { writeCoverage } = await import('../../src/fuzz/coverage/files.js');
    say(writeCoverage(coverage, result.branches ?? [], options.boot, symbols));
  }
  say(summaryText(result));
  if (asJson) {
    progress.clear();
    const { user, system } = process.cpuUsage();
    const host = { seconds: (performance.now() - began) / 1000, processorSeconds: (user + system) / 1e6 };
    const run = { interrupted, host, ...(!only && { directory: out }) };
    print({ quiet: quiet === true }, json(await fuzzReport(options, result, run), 2));
  }
  if (interrupted) return INTERRUPTED;
  return result.findings.length > 0 ? 1 : 0;
}

/** Only the case of a finding is asked for. */
const isOneCase = ({ path, tape }: Values): boolean => path !== undefined || tape !== undefined;

/** What the command line asks for; no finding of one case is written, and no other is run. */
function campaignOf(target: string, values: Values): FuzzOptions {
  const { runs, seconds, jobs, status, path, tape, guided, corpus, out, panic, caseCycles, predicate, ...others } =
    values;
  const { until, symbols, against, mayDiffer, coverage, queue, quiet, json, skip, ...rest } = others;
  const only = isOneCase(values);
  const { seed, ...boot } = bootOptions(rest);
  const second = against === undefined ? undefined : againstOptions(against, boot);
  return {
    target,
    boot,
    seed: seed ?? 1,
    // With threads, this one has time for signals and progress.
    ...(!only && { jobs, guided: guided ?? ((corpus ?? coverage) !== undefined && against === undefined) }),
    ...(!only && queue !== undefined && { queue }),
    ...(coverage !== undefined && { coverage: true }),
    ...(runs !== undefined && { runs }),
    ...(seconds !== undefined && { seconds }),
    ...(path !== undefined && { path }),
    ...(tape !== undefined && { tape: tapeText(tape) }),
    ...(corpus !== undefined && { corpus }),
    ...(panic && { panic }),
    ...(caseCycles !== undefined && { caseCycles }),
    ...(!skip && { skip }),
    ...(until !== undefined && { until }),
    ...(symbols !== undefined && { symbols }),
    ...(second && { against: { boot: second, ...(mayDiffer && { mayDiffer }) } }),
    ...(predicate !== undefined && { predicateFile: predicate }),
  };
}

/** The line that follows a campaign; with `status` one every so many seconds. */
function reporter(progress: Progress, status: number | undefined): (text: string) => void {
  let last = Date.now();
  return (text) => {
    progress.show(text);
    if (status === undefined || Date.now() - last < status * 1000) return;
    last = Date.now();
    progress.clear();
    process.stderr.write(`${text}\n`);
  };
}

/** A tape as digits. @throws UserError when it is neither digits nor a file */
function tapeText(given: string): string {
  if (/^[0-9a-f]+$/i.test(given)) return given;
  try {
    return hexOfWords(wordsOfBytes(readFileSync(given)));
  } catch (error) {
    throw new UserError(`--tape ${given}: cannot be read: ${systemReason(error)}; give a file, or digits of a finding`);
  }
}
