// Assembles the BIOS services of --boot linux16: src/boot/real-mode/bios.asm → bios-code.ts beside it, with nasm alone.
// With --check nothing is written, and the committed code must be what the source gives.
// Usage: npx tsx scripts/build-bios.ts [--check]

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';

const directory = join(import.meta.dirname, '..', 'src', 'boot', 'real-mode');
const target = join(directory, 'bios-code.ts');

/** The module that holds the code of bios.asm. */
export async function biosModule(): Promise<string> {
  const scratch = await mkdtemp(join(tmpdir(), 'vmreplay-bios-'));
  try {
    const output = join(scratch, 'bios.bin');
    await execa('nasm', ['-Wall', '-Werror', '-f', 'bin', '-o', output, join(directory, 'bios.asm')]);
    const text = (await readFile(output)).toString('base64');
    const lines = text.match(/.{1,100}/g)!.map((line) => `  '${line}',`);
    return [
      '// bios.asm, assembled by scripts/build-bios.ts: base64, in lines.',
      '// Made by a program: a change here is lost with the next one of the source.',
      '',
      '// biome-ignore format: a line of the table is a line of text',
      'export const BIOS_CODE: readonly string[] = [',
      ...lines,
      '];',
      '',
    ].join('\n');
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

if (process.argv[1] === import.meta.filename) {
  const made = await biosModule();
  if (!process.argv.includes('--check')) await writeFile(target, made);
  else if ((await readFile(target, 'utf8')) !== made) {
    console.error('bios-code.ts is not what bios.asm gives; run npx tsx scripts/build-bios.ts');
    process.exitCode = 1;
  }
}
