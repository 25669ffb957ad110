// A finding as a folder: structure.txt (decoded, with its breaks), structure.bin, finding.json ({seed, path} and verdict),
// boot.trace, command.txt (the line that has it again) and regression.test.mjs (for ava).
//
// The trace is of a boot whose loader left the structure: until the guest looks at it, it makes no difference whether it
// lay there from cycle 0 on. So the trace needs nothing of this folder, and ends at the verdict's cycle. It is replayed
// before it is called one. Of a disagreement, against.trace is the other boot, and difference.txt the fields.

import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { BootOptions } from '../api/options.js';
import { recordChanged } from '../api/record.js';
import { replay } from '../api/replay.js';
import { writeWhole } from '../whole-file.js';
import { findingFacts } from './finding-facts.js';
import type { Finding, FuzzOptions } from './options.js';
import { placing } from './place.js';
import { placeOf } from './stand.js';
import type { Verdict } from './verdict.js';

/** Verdicts that are ends of the machine's own: the run comes to them by itself. */
const ENDS = new Set(['triple fault', 'debug exit']);

/** Where a finding is written. */
export const folderOf = (directory: string, { target }: FuzzOptions, { cause }: Finding): string =>
  join(directory, `${target}-${cause.replaceAll(/[^a-z0-9]+/gi, '-').toLowerCase()}`.slice(0, 100));

/** Whether it has been, to the end. */
export const isWritten = (directory: string, options: FuzzOptions, finding: Finding): boolean =>
  existsSync(join(folderOf(directory, options, finding), 'boot.trace'));

/** @returns the folder @throws Error when the trace does not come to the verdict */
export async function writeFinding(directory: string, options: FuzzOptions, finding: Finding): Promise<string> {
  const { verdict, structure } = finding;
  const folder = folderOf(directory, options, finding);
  mkdirSync(folder, { recursive: true });
  const put = (name: string, data: string | Uint8Array) => writeWhole(join(folder, name), data);
  const bytes = structure.encode();
  put('structure.txt', `${structure}\n`);
  put('structure.bin', bytes);
  put('finding.json', `${JSON.stringify(findingFacts(options, finding), undefined, 2)}\n`);
  put('command.txt', `${commandOf(options, finding)}\n`);
  put('regression.test.mjs', regressionTest(options, finding));
  const trace = join(folder, 'boot.trace');
  if (verdict.against && options.against) {
    put('difference.txt', differenceText(verdict.against.fields));
    const until = { cycle: verdict.against.cycle, own: false };
    await recordCase(join(folder, 'against.trace'), options.target, options.against.boot, bytes, until);
  }
  await recordCase(trace, options.target, options.boot, bytes, { cycle: verdict.cycle, own: ENDS.has(verdict.oracle) });
  return folder;
}

/** @param until up to where; `own`: to an end of the machine's own */
async function recordCase(
  trace: string,
  target: string,
  options: BootOptions,
  bytes: Uint8Array,
  { cycle, own }: { cycle: number; own: boolean },
): Promise<void> {
  const place = placeOf(target, options);
  const boot = { ...withoutEnds(options), noReboot: true, output: trace };
  const until = own ? { maxCycles: cycle + 1 } : { untilCycle: cycle };
  const recorded = await recordChanged({ ...boot, ...until }, placing(place, bytes));
  const { divergence } = await replay(trace);
  const reached = own ? recorded.end.reason !== 'max-cycles' : recorded.cycles >= cycle;
  if (divergence !== undefined || !reached)
    throw new Error(
      `${trace}: the recorded boot does not come to the verdict (${recorded.end.reason} at ${recorded.cycles})`,
    );
}

function withoutEnds({
  untilSerial,
  untilDebugcon,
  untilCycle,
  maxCycles,
  signal,
  onProgress,
  ...boot
}: BootOptions): BootOptions {
  return boot;
}

/** Fields that differ, a line each for either boot. */
const differenceText = (fields: NonNullable<Verdict['against']>['fields']): string =>
  fields.map(({ field, a, b }) => `${field}\n  boot     ${a}\n  against  ${b}\n`).join('');

/** A word of a command line for a shell. */
const quoted = (word: string): string => (/^[\w./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** The line that runs this one case; boot options in the order of the command line's help. */
export function commandOf(
  { target, boot, panic = [], caseCycles, until, symbols, predicateFile, against }: FuzzOptions,
  { seed, path, tape }: Finding,
): string {
  const words = ['vmreplay', 'fuzz', target, ...bootWords(boot)];
  const option = optionsInto(words);
  option('case-cycles', caseCycles);
  option('until', until);
  option('symbols', symbols);
  for (const text of panic) option('panic', text);
  option('predicate', predicateFile);
  option('against', against && bootWords(against.boot).join(' '));
  for (const field of against?.mayDiffer ?? []) option('may-differ', field);
  option('seed', seed);
  option('tape', tape);
  option('path', path);
  return words.join(' ');
}

const optionsInto = (words: string[]) => (name: string, value: string | number | undefined) => {
  if (value !== undefined) words.push(`--${name}`, quoted(String(value)));
};

/** Boot options as words of a command line. */
function bootWords(boot: BootOptions): string[] {
  const words: string[] = [];
  const option = optionsInto(words);
  option('machine', boot.machine === 'microvm' ? 'microvm' : undefined);
  option('memory', boot.memory === undefined ? undefined : `${boot.memory / 1024}K`);
  option('cpu', boot.cpu);
  option('boot', boot.boot);
  option('bios', boot.bios);
  for (const rom of boot.optionRoms ?? []) option('option-rom', rom);
  option('vga', boot.vga);
  if (boot.fwCfgDma === false) words.push('--no-fw-cfg-dma');
  option('kernel', boot.kernel);
  option('initrd', boot.initrd);
  for (const { path: file, cmdline } of boot.modules ?? []) option('module', cmdline ? `${file},${cmdline}` : file);
  option('append', boot.append);
  for (const { name, file, string } of boot.fwCfg ?? [])
    option('fw-cfg', `name=${name},${file === undefined ? `string=${string}` : `file=${file}`}`);
  for (const { path: file, interface: where } of boot.drives ?? [])
    option('drive', where === undefined ? file : `${file},if=${where}`);
  option('cdrom', boot.cdrom);
  option('until-serial', boot.untilSerial);
  option('until-debugcon', boot.untilDebugcon);
  option('until-cycle', boot.untilCycle);
  option('success-code', boot.successCode);
  option('max-cycles', boot.maxCycles);
  for (const address of boot.handoffAt ?? []) option('handoff-at', `0x${BigInt(address).toString(16)}`);
  return words;
}

function regressionTest(
  { target, boot, panic, caseCycles, until, symbols, predicateFile, against }: FuzzOptions,
  { cause, seed, path, tape }: Finding,
): string {
  const plain = { ...boot, signal: undefined };
  const options = { target, boot: plain, panic, caseCycles, until, symbols, predicateFile, against, seed, tape, path };
  return `// ${cause}: the smallest structure with which it was seen. Passes when it is not seen any more.
import test from 'ava';
import { fuzz } from 'vmreplay/fuzz';

test(${JSON.stringify(`${target}: no ${cause}`)}, async (t) => {
  const { findings } = await fuzz(${JSON.stringify(options, undefined, 2).replaceAll('\n', '\n  ')});
  t.deepEqual(findings.map(({ cause }) => cause), []);
});
`;
}
