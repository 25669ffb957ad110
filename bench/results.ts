// Where figures are kept: a JSON file each in bench/results, with when, on what and with which versions they were measured.

import { mkdir, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { packageFile } from '../bin/package.js';

/** Of the peer. */
export async function qemuVersion(): Promise<{ qemu: string }> {
  const { stdout } = await execa('qemu-system-x86_64', ['--version']);
  return { qemu: stdout.split('\n')[0]! };
}

/** Write NAME.json into `output`, or into bench/results. `versions` are those of other programs that were measured. */
export async function writeResults(
  name: string,
  output: string | undefined,
  versions: Readonly<Record<string, string>>,
  figures: object,
): Promise<void> {
  const directory = output ?? packageFile('bench/results');
  await mkdir(directory, { recursive: true });
  const host = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version, ...versions };
  const all = { date: new Date().toISOString(), host, ...figures };
  await writeFile(join(directory, `${name}.json`), `${JSON.stringify(all, null, 2)}\n`);
}
