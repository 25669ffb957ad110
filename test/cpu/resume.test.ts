// What runs behind a return that sets RF: the instruction that faulted and what follows it as blocks, or alone as RF
// asks for where somebody could tell. Guests that fault end in the same state at the same cycle either way.

import { join } from 'node:path';
import test from 'ava';
import { makeGuest } from '../../src/api/guest.js';
import { MachineHash } from '../../src/api/machine-state.js';
import { RunLoop } from '../../src/cpu/run-loop.js';

const corpus = join(import.meta.dirname, '..', '..', 'corpus');

/** Let every instruction under RF go alone, or not. */
function resumeAlone(alone: boolean): () => void {
  const loop = RunLoop.prototype as unknown as { mayResumeInBlock(): boolean };
  const { mayResumeInBlock } = loop;
  if (alone) loop.mayResumeInBlock = () => false;
  return () => {
    loop.mayResumeInBlock = mayResumeInBlock;
  };
}

/** How a guest ends, run in slices. */
function run(name: string, slice: number): string {
  const guest = makeGuest({ boot: 'pvh', kernel: join(corpus, name, `${name}.elf`), memory: 64 << 20 });
  const { cpu } = guest;
  for (;;) {
    let end = cpu.runUntil(Math.min(3e7, cpu.now + slice));
    if (end.reason === 'breakpoint') end = guest.handoff.reached() ?? { reason: 'until-cycle' };
    if (end.reason !== 'until-cycle' || cpu.now >= 3e7) {
      const hash = Buffer.from(MachineHash.of(cpu).hash()).toString('hex');
      return `${end.reason} at ${cpu.now}, ${cpu.instructions} instructions, ${hash}`;
    }
  }
}

for (const name of ['page-fault', 'sys-exceptions-32', 'sys-exceptions-64', 'sys-v86-vme', 'sys-debug'])
  test.serial(`${name} ends the same whether instructions under RF go alone or not`, (t) => {
    const restore = resumeAlone(true);
    const alone = run(name, 1e6);
    restore();
    t.is(run(name, 1e6), alone);
    t.is(run(name, 997), alone);
  });
