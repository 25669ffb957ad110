// vmreplay fuzz: structures of a kind in the place of the one that a boot hands over, until the guest does what it must not.
// Exit status 1 when something was found.

import { readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { UserError } from '../../src/api/user-error.js';
import { grouped } from '../../src/figures.js';
import { hexOfWords, wordsOfBytes } from '../../src/fuzz/coverage/tape-text.js';
import type { Finding, FuzzOptions, FuzzProgress, FuzzResult } from '../../src/fuzz/index.js';
import { systemReason } from '../../src/trace/error.js';
import { againstOptions } from '../options/against.js';
import { addBootOptions, bootOptions } from '../options/boot.js';
import { collectTexts, parsePositive, parseText } from '../options/values.js';
import { complain, type OutputOptions, Progress, print } from '../print/output.js';
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
    corpus?: string;
    coverage?: string;
    out: string;
    panic?: string[];
    caseCycles?: number;
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
      'start-info, boot-params, multiboot, multiboot2, cmdline, initrd, elf, e820, table-loader, acpi-tables, smbios, fw-cfg-directory, boot-order, option-rom, kernel-items, setup-header or partition-table',
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
    .option('--status <s>', 'a line of progress on stderr every so many seconds, terminal or not', parsePositive)
    .option('--panic <text>', 'a text on a console that is a finding; repeatable', collectTexts)
    .option('--case-cycles <n>', 'a case that takes longer hangs (default: from the boot as it is)', parsePositive)
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
  const { runs, seconds, jobs, status, path, tape, guided, corpus, out, panic, caseCycles, predicate, ...others } =
    values;
  const { until, symbols, against, mayDiffer, coverage, queue, quiet, ...rest } = others;
  if (coverage !== undefined && !/\.(json|info)$/.test(coverage))
    throw new UserError(`--coverage ${coverage}: name a file that ends in .json, or in .info for lcov`);
  const { seed, ...boot } = bootOptions(rest);
  const second = against === undefined ? undefined : againstOptions(against, boot);
  const { fuzz, isWritten, writeFinding } = await import('../../src/fuzz/index.js');
  const only = path !== undefined || tape !== undefined;
  const progress = new Progress({ quiet: quiet === true });
  const say = (text: string) => {
    progress.clear();
    print({ quiet: quiet === true }, text);
  };
  const report = reporter(progress, status);
  const options: FuzzOptions = {
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
    ...(until !== undefined && { until }),
    ...(symbols !== undefined && { symbols }),
    ...(second && { against: { boot: second, ...(mayDiffer && { mayDiffer }) } }),
    ...(predicate !== undefined && { predicateFile: predicate }),
    onProgress: (now) => report(progressText(now)),
    onWarning: (text) => {
      progress.clear();
      complain(text);
    },
    onFinding: async (finding, known) => {
      if (known && (await isWritten(out, options, finding))) return;
      say(findingText(finding, await written(out, options, finding)));
    },
  };
  /** Its folder; one finding that cannot be written does not end a campaign of hours, a full disk does. */
  const written = async (...which: Parameters<typeof writeFinding>) => {
    try {
      return await writeFinding(...which);
    } catch (error) {
      if (!(error instanceof Error) || 'code' in error) throw error;
      progress.clear();
      complain(`a finding is not written: ${error.message}`);
      return undefined;
    }
  };
  const { result, interrupted } = await interruptible(async (signal) => {
    const result = await fuzz({ ...options, signal });
    return { result, interrupted: signal.aborted };
  });
  if (only) for (const finding of result.findings) say(findingText(finding));
  if (coverage !== undefined) {
    const { writeCoverage } = await import('../../src/fuzz/coverage/files.js');
    say(writeCoverage(coverage, result.branches ?? [], boot, symbols));
  }
  say(summary(result));
  if (interrupted) return INTERRUPTED;
  return result.findings.length > 0 ? 1 : 0;
}

/** A finding in a line, and its folder, or what it is when it has none. */
function findingText({ cause, verdict, structure }: Finding, folder?: string): string {
  const broken = structure.breaks.map(({ name }) => name).join(', ') || 'a valid structure';
  return `${cause}: ${verdict.detail} (${broken})\n${folder === undefined ? structure : `  ${folder}`}`;
}

function summary({ cases, findings, start, guided }: FuzzResult): string {
  const text = `${grouped(cases)} cases from cycle ${grouped(start)}, ${findings.length} findings`;
  return guided ? `${text}, ${grouped(guided.edges)} edges by ${grouped(guided.corpus)} inputs` : text;
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

function progressText({ cases, casesPerSecond, findings, verdicts, guided }: FuzzProgress): string {
  const words = [`${grouped(cases)} cases`, `${grouped(casesPerSecond)} a second`, `${findings} findings`];
  if (guided !== undefined) {
    words.push(`${grouped(guided.edges)} edges, the last ${guided.secondsSinceEdge} s ago`);
    words.push(`${grouped(guided.corpus)} inputs`);
  }
  const faults = Object.entries(verdicts).sort(([, a], [, b]) => b - a);
  for (const [oracle, count] of faults) words.push(`${grouped(count)} ${oracle}`);
  return words.join(', ');
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
