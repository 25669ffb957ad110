// What tests of whole campaigns have in common: a small guest with a defect, a guided campaign of it that takes some
// generations, and a way to compare what two campaigns left on disk.

import { readdirSync, readFileSync } from 'node:fs';
import { packageFile } from '../../bin/package.js';

/** A guest with one defect. */
export const kernel = packageFile('corpus/defects/map-type-index.elf');

/** A campaign of so many cases: target, boot, and how long. */
export const campaignOf = (runs: number): string[] =>
  ['start-info', '--memory', '8M', '--kernel', kernel, '--append', 'a b'].concat('--runs', `${runs}`);

/** Every file of a corpus or of findings, by name; not what a process that was killed left unfinished. */
export const filesOf = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .sort()
      .filter((name) => /\/|campaign\.json/.test(name) && !name.includes('.vmreplay-tmp-'))
      .map((name) => [name, readFileSync(`${folder}/${name}`).toString('base64')]),
  );
