// Builds the corpus: corpus/<name>/<name>.asm → corpus/<name>/<name>.elf, and corpus/defects/*.asm, with nasm alone. With --check nothing is
// written and the committed images must equal what the sources give, byte for byte.
// Usage: npm run corpus:build -- [--check] [NAME…]

import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';

const corpus = join(import.meta.dirname, '..', 'corpus');

/** Guests with a planted defect lie in one folder, the others in one each. */
const defects = join(corpus, 'defects');
const planted = (await readdir(defects)).filter((file) => file.endsWith('.asm')).map((file) => file.slice(0, -4));
const folderOf = (name: string): string => (planted.includes(name) ? defects : join(corpus, name));

/** A guest of Linux's protocol is a bzImage, all others are ELF files. */
async function fileOf(name: string): Promise<string> {
  const source = await readFile(join(folderOf(name), `${name}.asm`), 'utf8');
  return source.includes('%include "linux.inc"') ? `${name}.bzimage` : `${name}.elf`;
}

async function assemble(name: string, directory: string): Promise<Buffer> {
  const output = join(directory, name);
  const options = ['-Wall', '-Werror', '-f', 'bin', '-I', '../', '-o', output, `${name}.asm`];
  await execa('nasm', options, { cwd: folderOf(name) });
  return readFile(output);
}

const check = process.argv.includes('--check');
const asked = process.argv.slice(2).filter((argument) => !argument.startsWith('-'));
const folders = (await readdir(corpus, { withFileTypes: true })).filter((entry) => entry.isDirectory());
const all = [...folders.map(({ name }) => name).filter((name) => name !== 'defects'), ...planted];
const unknown = asked.find((name) => !all.includes(name));
if (unknown !== undefined) {
  console.error(`there is no guest named ${unknown} in corpus/`);
  process.exit(2);
}
const names = asked.length > 0 ? asked : all.sort();
const scratch = await mkdtemp(join(tmpdir(), 'vmreplay-corpus-'));
let differing = 0;
try {
  for (const name of names) {
    const file = await fileOf(name);
    const image = join(folderOf(name), file);
    const built = await assemble(name, scratch);
    const committed = await readFile(image).catch(() => undefined);
    if (committed?.equals(built)) continue;
    if (check) {
      differing += 1;
      console.error(`${file} ${committed ? 'is not what its source gives' : 'is missing'}`);
    } else {
      await writeFile(image, built);
      console.log(`${file} ${built.length} bytes`);
    }
  }
  console.log(check ? `${names.length} images checked, ${differing} differ` : `${names.length} images are up to date`);
  process.exitCode = differing > 0 ? 1 : 0;
} catch (error) {
  const { code, stderr, message } = error as { code?: string; stderr?: string; message: string };
  console.error(code === 'ENOENT' ? 'nasm is needed to build the corpus; install the package nasm' : stderr || message);
  process.exitCode = 2;
} finally {
  await rm(scratch, { recursive: true, force: true });
}
