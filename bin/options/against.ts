// The second boot of `fuzz --against`: boot options in one word. What says how a guest is loaded (--boot, --bios,
// --option-rom, disks, the screen, where a kernel is entered) is as it is given there; what is loaded and on which machine
// (--kernel, --initrd, --module, --append, --memory, --cpu …) is as in the first boot unless given there too.

import { Command } from 'commander';
import { UserError } from '../../src/api/user-error.js';
import type { BootOptions } from '../../src/index.js';
import { addBootOptions, bootOptions } from './boot.js';

/** What the second boot has from the first. */
const SHARED = [
  'machine',
  'memory',
  'cpu',
  'kernel',
  'initrd',
  'modules',
  'append',
  'fwCfg',
  'rtc',
  'maxCycles',
] as const;

/** @throws UserError for what is no boot option */
export function againstOptions(text: string, first: BootOptions): BootOptions {
  const refuse = (why: string) =>
    new UserError(`--against '${text}': ${why}; give boot options, such as --against '--boot pvh'`);
  let said = '';
  const command = addBootOptions(new Command())
    .exitOverride()
    .configureOutput({
      writeErr: (line) => {
        said += line;
      },
    });
  try {
    command.parse(wordsOf(text), { from: 'user' });
  } catch {
    throw refuse(
      said
        .trim()
        .replace(/^error: /, '')
        .split('\n')[0] || 'it cannot be read',
    );
  }
  if (command.args.length > 0) throw refuse(`${command.args[0]} is no option`);
  const { seed, ...own } = bootOptions(command.opts());
  const given = new Set(
    command.options
      .map((option) => option.attributeName())
      .filter((name) => command.getOptionValueSource(name) === 'cli'),
  );
  const shared = SHARED.filter((name) => first[name] !== undefined && !given.has(name === 'modules' ? 'module' : name));
  return { ...own, ...Object.fromEntries(shared.map((name) => [name, first[name]])) };
}

/** Words as a shell cuts them: quotes of both kinds, backslashes outside of single ones. */
function wordsOf(text: string): string[] {
  const words = [...text.matchAll(/(?:[^\s'"\\]|\\[\s\S]|'[^']*'|"(?:[^"\\]|\\[\s\S])*")+/g)];
  return words.map(([word]) =>
    word.replaceAll(
      /'([^']*)'|"((?:[^"\\]|\\[\s\S])*)"|\\([\s\S])/g,
      (_, single, double, escaped) =>
        single ?? (double === undefined ? escaped : double.replaceAll(/\\([\s\S])/g, '$1')),
    ),
  );
}
