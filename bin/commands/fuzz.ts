// vmreplay fuzz: structures of a kind in the place of the one that a boot hands over, until the guest does what it must not.
// Exit status 1 when something was found.

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Command } from 'commander';
import { UserError } from '../../src/api/user-error.js';
import { grouped } from '../../src/figures.js';
import type { FuzzOptions, FuzzResult, Outcome } from '../../src/fuzz/index.js';
import { addBootOptions, bootOptions } from '../options/boot.js';
import { collectTexts, parsePositive, parseText } from '../options/values.js';
import { type OutputOptions, Progress, print } from '../print/output.js';
import { interruptible } from '../terminal.js';

type Values = Parameters<typeof bootOptions>[0] &
  OutputOptions & {
    runs?: number;
    seconds?: number;
    path?: string;
    out: string;
    panic?: string[];
    caseCycles?: number;
    predicate?: string;
  };

const INTERRUPTED = 130;

export function addFuzz(program: Command): void {
  const verb = addBootOptions(program.command('fuzz'))
    .description('throw boot structures at a guest, valid and hostile ones; exit status 1 when one is taken wrongly')
    .argument(
      '<target>',
      'start-info, boot-params, multiboot, multiboot2, cmdline, initrd, e820, table-loader or boot-order',
    )
    .option('--runs <n>', 'cases (default: 10000, or as many as fit with --seconds)', parsePositive)
    .option('--seconds <s>', 'stop drawing cases after so long', parsePositive)
    .option('--path <path>', 'only the case of a finding, with its --seed', parseText)
    .option('--out <folder>', 'where findings are written', parseText, 'fuzz-findings')
    .option('--panic <text>', 'a text on a console that is a finding; repeatable', collectTexts)
    .option('--case-cycles <n>', 'a case that takes longer hangs (default: from the boot as it is)', parsePositive)
    .option('--predicate <file>', 'a module whose default export says what is wrong with a case', parseText);
  const seed = verb.options.find(({ long }) => long === '--seed')!;
  seed.description = 'of the cases';
  seed.defaultValue = 1;
  verb.setOptionValue('seed', 1);
  verb.action(async (target: string, _options, command: Command) => {
    process.exitCode = await fuzzVerb(target, command.optsWithGlobals<Values>());
  });
}

async function fuzzVerb(target: string, values: Values): Promise<number> {
  const { runs, seconds, path, out, panic, caseCycles, predicate, quiet, ...rest } = values;
  const { seed, ...boot } = bootOptions(rest);
  const { fuzz, writeFindings } = await import('../../src/fuzz/index.js');
  const progress = new Progress({ quiet: quiet === true });
  const check = predicate === undefined ? undefined : await loadPredicate(predicate);
  const options: FuzzOptions = {
    target,
    boot,
    seed: seed ?? 1,
    ...(runs !== undefined && { runs }),
    ...(seconds !== undefined && { seconds }),
    ...(path !== undefined && { path }),
    ...(panic && { panic }),
    ...(caseCycles !== undefined && { caseCycles }),
    ...(check && { predicate: check }),
    onProgress: (cases, findings) => progress.show(`${grouped(cases)} cases, ${findings} findings`),
  };
  const { result, interrupted } = await interruptible(async (signal) => {
    const result = await fuzz({ ...options, signal });
    return { result, interrupted: signal.aborted };
  });
  progress.clear();
  const folders = path === undefined ? await writeFindings(out, options, result) : [];
  print({ quiet: quiet === true }, text(result, folders));
  if (interrupted) return INTERRUPTED;
  return result.findings.length > 0 ? 1 : 0;
}

function text({ cases, findings, start }: FuzzResult, folders: readonly string[]): string {
  const lines = findings.map(({ cause, verdict, structure }, i) => {
    const broken = structure.breaks.map(({ name }) => name).join(', ') || 'a valid structure';
    return `${cause}: ${verdict.detail} (${broken})${folders[i] ? `\n  ${folders[i]}` : `\n${structure}`}`;
  });
  lines.push(`${grouped(cases)} cases from cycle ${grouped(start)}, ${findings.length} findings`);
  return lines.join('\n');
}

/** The user's judgement of a case. @throws UserError */
async function loadPredicate(file: string): Promise<(outcome: Outcome) => string | undefined> {
  const path = resolve(file);
  let loaded: unknown;
  try {
    if (/\.[cm]?ts$/.test(path)) {
      const { createJiti } = await import('jiti');
      loaded = await createJiti(path, { fsCache: false }).import(path, { default: true });
    } else loaded = ((await import(pathToFileURL(path).href)) as { default?: unknown }).default;
  } catch (error) {
    throw new UserError(`${file}: cannot be loaded: ${(error as Error).message}; check --predicate`);
  }
  if (typeof loaded !== 'function')
    throw new UserError(`${file}: the default export is no function; write export default (outcome) => undefined`);
  return loaded as (outcome: Outcome) => string | undefined;
}
