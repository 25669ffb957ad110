// A step of the build: writes the interpreter's module into dist/chunks, and over dist's empty `prebuilt-module.js` what
// goes with it. Without them every start would emit the module from the opcode rows again, which takes longer than many
// a guest runs. The same for what is smaller: the packer of pages, the DSDT of usual machines.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { contentName } from './compile.mjs';

const dist = new URL('../dist/', import.meta.url);
const { variants } = await import(new URL('src/cpu/engine.js', dist));
const { buildInterpreter } = await import(new URL('src/cpu/interp/build.js', dist));
const { packInterpreter } = await import(new URL('src/cpu/interp/prebuilt.js', dist));

const made = buildInterpreter(variants);
mkdirSync(new URL('chunks/', dist), { recursive: true });
writeFileSync(new URL('chunks/interpreter.wasm', dist), made.bytes);
const content = contentName(made.bytes);
// Whatever a translation depends on is code of the processor.
const cpu = new URL('src/cpu/', dist);
const sources = readdirSync(cpu, { recursive: true }).filter(
  (name) => name.endsWith('.js') && !name.endsWith('prebuilt-module.js'),
);
const build = contentName(
  sources
    .sort()
    .map((name) => `${name}\0${readFileSync(new URL(name, cpu))}`)
    .join('\0'),
);
const { uses, ...packed } = packInterpreter(made);
const literal = (value) => JSON.stringify(JSON.stringify(value));

/** Where operations can be imported from: the first export of a module of the processor that is the function itself. */
async function exportsOf(names) {
  const found = new Map();
  for (const name of names) {
    for (const [key, value] of Object.entries(await import(new URL(name, cpu))))
      if (typeof value === 'function' && !found.has(value)) found.set(value, { name, key });
  }
  return found;
}
const exported = await exportsOf(sources);
const operations = made.operations.imports.map((_, n) => exported.get(made.operations.operation(n)));
const imports = operations.flatMap((from, n) =>
  from ? [`import { ${from.key} as o${n} } from '../${from.name}';`] : [],
);
const list = operations.map((from, n) => (from ? `o${n}` : 'undefined'));
// Joined modules lie in dist/src and dist/chunks (bundle.mjs): from both the name below leads to the file.
writeFileSync(
  new URL('src/cpu/interp/prebuilt-module.js', dist),
  `import { loadModule } from '../../start/kept-module.js';
${imports.join('\n')}
const operations = () => [${list.join()}];
const module = () => loadModule(new URL('../chunks/interpreter.wasm', import.meta.url), '${content}');
const packed = JSON.parse(${literal(packed)});
export const prebuilt = { ...packed, get uses() { return JSON.parse(${literal(uses)}); }, module, operations, build: '${build}' };
`,
);

const { packDsdt } = await import(new URL('src/platform/acpi/dsdt.js', dist));
const { emitPacker } = await import(new URL('src/trace/page-packer.js', dist));
const keep = (file, value) => writeFileSync(new URL(file, dist), `export const prebuilt = ${JSON.stringify(value)};\n`);
keep('src/platform/acpi/prebuilt-dsdt.js', packDsdt());
keep('src/trace/prebuilt-packer.js', Buffer.from(emitPacker()).toString('base64'));
