// What `npm run build` writes over in its output (scripts/prebuild.mjs): the interpreter, built beforehand. A source
// tree has none and builds it in every process.

import type { PrebuiltInterpreter } from './prebuilt.js';

export const prebuilt: PrebuiltInterpreter | undefined = undefined as PrebuiltInterpreter | undefined;
