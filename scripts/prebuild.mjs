// The last step of the build: writes the interpreter's module over dist's empty `prebuilt-module.js`. Without it every
// start would emit the module from the opcode rows again, which takes longer than many a guest runs.

import { writeFileSync } from 'node:fs';

const dist = new URL('../dist/src/cpu/', import.meta.url);
const { variants } = await import(new URL('engine.js', dist));
const { buildInterpreter } = await import(new URL('interp/build.js', dist));
const { packInterpreter } = await import(new URL('interp/prebuilt.js', dist));

const packed = JSON.stringify(packInterpreter(buildInterpreter(variants)));
const file = new URL('interp/prebuilt-module.js', dist);
writeFileSync(file, `export const prebuilt = JSON.parse(${JSON.stringify(packed)});\n`);
