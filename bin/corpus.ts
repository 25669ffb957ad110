// The guests that come with the project, as `demo`, the tests and the scripts see them: corpus/<name>/ holds the
// image, expected.json (boot options, how the run must end) and serial.txt (what must come out of COM1).

import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunEnd } from '../src/cpu/bus.js';
import { packageFile } from './package.js';

/** Boot options as expected.json has them; file names are relative to the guest's directory. */
export interface CorpusBoot {
  memory: string;
  /** Boot route; PVH when absent. */
  route?: 'multiboot' | 'multiboot2';
  /** CPU model; the baseline model when absent. */
  cpu?: string;
  append?: string;
  modules?: { path: string; cmdline?: string }[];
  fwCfg?: { name: string; string: string }[];
  serialIn?: string;
  maxCycles?: number;
  noReboot?: boolean;
  successCode?: number;
}

export interface CorpusExpectation {
  /** One line for people. */
  about: string;
  boot: CorpusBoot;
  end: Pick<RunEnd, 'reason' | 'code'>;
  exitCode: number;
  /** Length of the run; absent until the timing model is settled for it. */
  cycles?: number;
  /**
   * How the guest is run in QEMU, the reference; `cpu` is its `-cpu`, `why` tells why it prints something else, and
   * `lockstep` at which instructions the two part, and by which section of the manual.
   */
  qemu?: {
    exitCode?: number;
    cpu?: string;
    initrd?: string;
    endless?: boolean;
    why?: string;
    lockstep?: readonly { instruction: string; why: string }[];
  };
}

export interface CorpusGuest {
  name: string;
  directory: string;
  /** Path of the ELF image. */
  image: string;
  expected: CorpusExpectation;
  /** Expected serial output. */
  serial: string;
  /** Path of the committed trace, when there is one. */
  trace?: string;
}

/** All guests, by name. */
export async function corpusGuests(root: string = packageFile('corpus')): Promise<CorpusGuest[]> {
  const entries = await readdir(root, { withFileTypes: true });
  // Guests with a planted defect are for the fuzzer (corpus/defects), and not to be run for what they print.
  const names = entries
    .filter((entry) => entry.isDirectory() && existsSync(join(root, entry.name, 'expected.json')))
    .map((entry) => entry.name);
  return Promise.all(
    names.sort().map(async (name) => {
      const directory = join(root, name);
      const trace = join(directory, `${name}.trace`);
      return {
        name,
        directory,
        image: join(directory, `${name}.elf`),
        expected: JSON.parse(await readFile(join(directory, 'expected.json'), 'utf8')),
        serial: await readFile(join(directory, 'serial.txt'), 'latin1').catch(() => ''),
        ...(existsSync(trace) && { trace }),
      };
    }),
  );
}
