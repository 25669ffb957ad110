// What the architecture promises and no type can say: layers, and no host time or randomness below the seam.

import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import test, { type ExecutionContext } from 'ava';

const src = join(import.meta.dirname, '..', 'src');

interface SourceFile {
  /** Path below src. */
  path: string;
  /** Source without comments, so that prose may say Date. */
  code: string;
  /** What it imports: paths below src, or package names. */
  imports: string[];
}

function sources(folder: string): SourceFile[] {
  const directory = join(src, folder);
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  return names.map((name) => {
    const file = join(directory, name);
    const code = withoutComments(readFileSync(file, 'utf8'));
    const imports = [...code.matchAll(/(?:\bfrom|\bimport\(|^import)\s*'([^']+)'/gm)].map(([, target]) =>
      target!.startsWith('.') ? relative(src, resolve(file, '..', target!)) : target!,
    );
    return { path: relative(src, file), code, imports };
  });
}

/** Line numbers stay; a double slash behind a quote or a colon is taken for text. */
function withoutComments(code: string): string {
  return code.replaceAll(/\/\*[\s\S]*?\*\/|(?<![:'"`])\/\/.*$/gm, (comment) => comment.replaceAll(/[^\n]/g, ''));
}

function noneMatches(t: ExecutionContext, folders: string[], forbidden: RegExp) {
  const files = folders.flatMap(sources);
  t.true(files.length >= folders.length, 'the folders have sources');
  const found = files.flatMap(({ path, code }) => {
    const line = code.split('\n').findIndex((text) => forbidden.test(text));
    return line < 0 ? [] : [`${path}:${line + 1}`];
  });
  t.deepEqual(found, []);
}

function importsOnly(t: ExecutionContext, folder: string, allowed: RegExp) {
  const found = sources(folder).flatMap(({ path, imports }) =>
    imports.filter((target) => !allowed.test(target)).map((target) => `${path} imports ${target}`),
  );
  t.deepEqual(found, []);
}

test('nothing under cpu, platform or boot looks at the host', (t) => {
  noneMatches(t, ['cpu', 'platform', 'boot'], /\bDate\b|\bperformance\b|Math\.random|\bprocess\.|\bcrypto\.getRandom/);
});

test('nothing under cpu, platform or boot depends on the locale', (t) => {
  noneMatches(t, ['cpu', 'platform', 'boot'], /\btoLocale|\blocaleCompare\b|\bIntl\b/);
});

test('cpu imports nothing outside itself', (t) => {
  importsOnly(t, 'cpu', /^cpu\//);
});

test('platform stands on cpu alone', (t) => {
  importsOnly(t, 'platform', /^(cpu|platform)\//);
});

test('boot knows no traces', (t) => {
  noneMatches(t, ['platform', 'boot'], /from '[^']*\/(trace|replay)\//);
});

test('comments are left out of the check, text in quotes is not', (t) => {
  t.is(withoutComments('a; // Date\nb; /* Date\n Date */ c;'), 'a; \nb; \n c;');
  t.is(withoutComments("'https://x.org/Date'"), "'https://x.org/Date'");
});
