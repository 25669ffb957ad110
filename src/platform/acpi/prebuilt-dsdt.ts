// What `npm run build` writes over in its output (scripts/prebuild.mjs): definition blocks of usual machines, made
// beforehand. A source tree has none and makes one for each machine.

import type { PackedDsdt } from './dsdt.js';

export const prebuilt: PackedDsdt | undefined = undefined as PackedDsdt | undefined;
