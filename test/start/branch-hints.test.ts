// Branch hints: V8's flags are as ever before and after, and what is compiled with hints computes the same.

import { cachedDataVersionTag } from 'node:v8';
import test from 'ava';
import { I32, i32 } from '../../src/cpu/wasm/expr.js';
import { ModuleBuilder } from '../../src/cpu/wasm/module.js';
import { heedingHints } from '../../src/start/branch-hints.js';

/** (n) → 1 + 2 + … + n, with every branch hinted as told; the body's beginning is emitted last. */
function sum(likely: boolean): Uint8Array<ArrayBuffer> {
  const m = new ModuleBuilder();
  const handle = m.declare([I32], I32);
  m.define(handle, (f) => {
    const total = f.local(I32);
    f.block((end) => {
      f.loop((again) => {
        f.brIf(end, i32.eqz(f.param(0)), likely);
        f.set(total, i32.add(total, f.param(0)));
        f.set(f.param(0), i32.sub(f.param(0), 1));
        f.br(again);
      });
    });
    total.write(f.body);
    f.prepend(() => f.if(i32.ltS(f.param(0), 0), () => f.return(i32.const(-1)), undefined, likely));
  });
  m.export('sum', handle);
  return m.encode(1);
}

test.serial('flags are as before once a module has been compiled', (t) => {
  const before = cachedDataVersionTag();
  t.is(
    heedingHints(() => 5),
    5,
  );
  t.throws(() =>
    heedingHints(() => {
      throw new Error('no module');
    }),
  );
  t.is(cachedDataVersionTag(), before);
});

for (const likely of [false, true])
  test.serial(
    `a module with its branches hinted as ${likely ? 'taken' : 'not taken'} is valid and computes the same`,
    (t) => {
      const bytes = sum(likely);
      const memory = new WebAssembly.Memory({ initial: 1 });
      for (const compile of [(make: () => WebAssembly.Module) => make(), heedingHints]) {
        const module = compile(() => new WebAssembly.Module(bytes));
        const { sum } = new WebAssembly.Instance(module, { env: { memory } }).exports as Record<
          string,
          (n: number) => number
        >;
        t.deepEqual(
          [0, 1, 4, 100, -7].map((n) => sum!(n)),
          [0, 1, 10, 5050, -1],
        );
      }
    },
  );
