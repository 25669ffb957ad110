// Joins the modules of dist into few files: loading 300 small ones takes longer than a short boot. Two ways:
//   the command line   chunks/main.cjs, one script, whose compiled form is kept (compile.mjs), chunks/boots.cjs, the
//                      same with few verbs, and bin/vmreplay.js, which starts one; commander and msgpackr are in them
//   parts of a replay  chunks/part.cjs, the program of their threads, and chunks/part-launcher.cjs, which starts it
//   the library        src/index.js, src/fuzz/index.js, the modules of workers, and what they share in chunks
// Types stay as tsc wrote them. What few runs need (iced-x86, jiti) is left outside.

import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { contentName, keepInterpreter, keepPrograms } from './compile.mjs';

const dist = join(import.meta.dirname, '..', 'dist');
// tsc's output is ESM.
rmSync(join(dist, 'bin', 'package.json'), { force: true });
const cache = await import('../dist/bin/compile-cache.js');
const { builtPath } = await import('../dist/src/start/kept-file.js');
const modules = () => readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'));
const common = {
  absWorkingDir: dist,
  allowOverwrite: true,
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  keepNames: false,
  minifyWhitespace: true,
  legalComments: 'none',
  charset: 'ascii',
  logLevel: 'warning',
};

/**
 * Imports that wait for their use, made into imports of the start: esbuild wraps each module that is imported late, and all
 * that it needs, into a function of its own, and V8 then makes a few hundred of them ready one by one.
 */
const importAtOnce = {
  name: 'import-at-once',
  setup({ onLoad }) {
    onLoad({ filter: /\.js$/ }, ({ path }) => {
      if (path.includes('node_modules')) return undefined;
      const heads = [];
      const contents = readFileSync(path, 'utf8').replaceAll(/\bawait import\(('\.[^']*')\)/g, (_, from) => {
        heads.push(`import * as late${heads.length} from ${from};\n`);
        return `late${heads.length - 1}`;
      });
      return { contents: heads.join('') + contents, loader: 'js' };
    });
  },
};

/** A program's script and what names its content. */
async function joinProgram(entry, file, plugins = []) {
  // The launcher calls the program as a function, with what is named here.
  const { outputFiles } = await build({
    ...common,
    entryPoints: [entry],
    plugins,
    format: 'cjs',
    minify: true,
    external: ['iced-x86', 'jiti', 'esbuild'],
    define: { 'import.meta.url': '__url', 'import.meta.dirname': '__dirname', 'import.meta.resolve': 'undefined' },
    banner: { js: '(function(require,__dirname,__url,__import){var module={exports:{}};' },
    footer: { js: 'return module.exports})' },
    // For profiles (bench/profile.ts); not in the package.
    sourcemap: 'external',
    sourcesContent: false,
    outfile: `chunks/${file}`,
    write: false,
  });
  const text = (ending) => outputFiles.find(({ path }) => path.endsWith(ending)).text;
  // Own modules are no longer imported; what is left (a user's module, a package) the launcher imports: a script that
  // imports by itself would need the loader of modules at every start.
  const contents = text('.cjs').replaceAll(/(?<![.\w$])import\(/g, '__import(');
  return { file: join(dist, 'chunks', file), contents, map: text('.map'), content: contentName(contents) };
}

const boots = await joinProgram('bin/boots.js', 'boots.cjs', [importAtOnce]);
const main = await joinProgram('bin/vmreplay.js', 'main.cjs');
const part = await joinProgram('src/api/part-worker.js', 'part.cjs', [importAtOnce]);
const names = { MAIN: main.content, BOOTS: boots.content, PART: part.content };
const define = Object.fromEntries(Object.entries(names).map(([name, content]) => [name, JSON.stringify(content)]));
const joinLauncher = async (entry) =>
  (await build({ ...common, entryPoints: [entry], format: 'cjs', define, write: false })).outputFiles[0].contents;
const launcher = await joinLauncher('bin/launcher.js');
const partLauncher = await joinLauncher('bin/part-launcher.js');
const library = await build({
  ...common,
  entryPoints: [
    'src/index.js',
    'src/gate/ava.js',
    'src/gate/vitest.js',
    'src/fuzz/index.js',
    ...modules().filter((name) => name.endsWith('-worker.js')),
  ],
  outdir: '.',
  outbase: '.',
  splitting: true,
  format: 'esm',
  packages: 'external',
  chunkNames: 'chunks/[name]-[hash]',
  metafile: true,
});
for (const file of readdirSync(join(dist, 'chunks'))) if (file.endsWith('.cache')) rmSync(join(dist, 'chunks', file));
keepInterpreter(join(dist, 'src', 'start', 'kept-module.js'), join(dist, 'chunks', 'interpreter.wasm'));
const written = new Set(Object.keys(library.metafile.outputs));
for (const name of modules()) {
  rmSync(join(dist, `${name}.map`), { force: true });
  if (!written.has(name)) rmSync(join(dist, name));
}
for (const { file, contents, map } of [boots, main, part]) {
  writeFileSync(file, contents);
  writeFileSync(`${file}.map`, map);
}
writeFileSync(join(dist, 'bin', 'vmreplay.js'), launcher, { mode: 0o755 });
writeFileSync(join(dist, 'chunks', 'part-launcher.cjs'), partLauncher);
writeFileSync(join(dist, 'bin', 'package.json'), '{ "type": "commonjs" }\n');
await keepPrograms({ boots, main, part }, cache, builtPath);
