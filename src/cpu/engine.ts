// Tier 0 made ready to run: the interpreter's module is built once for a process (it depends on the rows alone) and
// instantiated for each processor with its memory, its slow paths and its TypeScript operations.

import type { CpuCore } from './core.js';
import { buildInterpreter, type InterpreterModule } from './interp/build.js';
import { VariantTable } from './interp/variants.js';
import { allRows } from './isa/rows.js';
import type { SlowPaths } from './slow-paths.js';

/** All rows of the instruction set as numbered handlers. */
export const variants = new VariantTable(allRows);

let built: (InterpreterModule & { readonly module: WebAssembly.Module }) | undefined;

function interpreter() {
  if (built === undefined) {
    const made = buildInterpreter(variants);
    built = { ...made, module: new WebAssembly.Module(made.bytes) };
  }
  return built;
}

/** The `run` function of a processor: see interp/build.ts. Faults that operations throw become ABORT. */
export function instantiate(memory: WebAssembly.Memory, cpu: CpuCore, slow: SlowPaths): (uop: number) => void {
  const { module, operations, wide } = interpreter();
  const system: Record<string, (...args: (number | bigint)[]) => unknown> = {};
  for (const [name, operation] of operations) {
    const nothing = wide.has(name) ? 0n : 0;
    system[name] = (...args) => {
      try {
        return operation(cpu, ...args);
      } catch (fault) {
        slow.setFault(fault);
        return nothing;
      }
    };
  }
  const instance = new WebAssembly.Instance(module, {
    env: { memory },
    slow: {
      read: (lo: number, hi: number, access: number, uop: number) => slow.read(lo, hi, access, uop),
      write: (lo: number, hi: number, access: number, uop: number) => slow.write(lo, hi, access, uop),
      modify: (lo: number, hi: number, access: number, uop: number) => slow.modify(lo, hi, access, uop),
      commit: () => slow.commit(),
      segmentFault: (uop: number, stack: number) => slow.segmentFault(uop, stack),
    },
    system,
  });
  return instance.exports.run;
}
