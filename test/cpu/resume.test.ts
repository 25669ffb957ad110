// What runs behind a return that sets RF: the instruction that faulted and what follows it as blocks, or alone as RF
// asks for where somebody could tell. Guests that fault end in the same state at the same cycle either way.

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import test from 'ava';
import { makeGuest } from '../../src/api/guest.js';
import { MachineHash } from '../../src/api/machine-state.js';
import { RunLoop } from '../../src/cpu/run-loop.js';
import { saveProcessor } from '../../src/cpu/snapshot.js';

const corpus = join(import.meta.dirname, '..', '..', 'corpus');

/** How often something ran on in its block, and repeated string instructions in runs. */
let [resumed, repeated] = [0, 0];

/** Let every instruction under RF go alone, or not. */
function resumeAlone(alone: boolean): () => void {
  const loop = RunLoop.prototype as unknown as {
    mayResumeInBlock(): boolean;
    repeats(uop: number, next: number): boolean;
  };
  const { mayResumeInBlock, repeats } = loop;
  loop.repeats = function (this: typeof loop, uop, next) {
    const did = repeats.call(this, uop, next);
    if (did) repeated++;
    return did;
  };
  loop.mayResumeInBlock = function (this: typeof loop) {
    const may = mayResumeInBlock.call(this) && !alone;
    if (may) resumed++;
    return may;
  };
  return () => {
    loop.mayResumeInBlock = mayResumeInBlock;
    loop.repeats = repeats;
  };
}

/** How a guest ends, run in slices, and where it stands between them. */
function run(name: string, slice: number): string {
  const between = createHash('sha256');
  const guest = makeGuest({ boot: 'pvh', kernel: join(corpus, name, `${name}.elf`), memory: 64 << 20 });
  const { cpu } = guest;
  for (;;) {
    let end = cpu.runUntil(Math.min(3e7, cpu.now + slice));
    if (end.reason === 'breakpoint') end = guest.handoff.reached() ?? { reason: 'until-cycle' };
    if (end.reason !== 'until-cycle' || cpu.now >= 3e7) {
      const hash = Buffer.from(MachineHash.of(cpu).hash()).toString('hex');
      return `${end.reason} at ${cpu.now}, ${cpu.instructions} instructions, ${hash}, ${between.digest('hex')}`;
    }
    between.update(saveProcessor(cpu));
  }
}

for (const name of [
  'page-fault',
  'sys-exceptions-32',
  'sys-exceptions-64',
  'sys-v86-vme',
  'sys-debug',
  'sys-strings',
  'irq-pit',
  'irq-lapic',
  'sys-tlb',
  'tasks-v86',
])
  test.serial(`${name} ends the same whether instructions under RF go alone or not`, (t) => {
    let restore = resumeAlone(true);
    const alone = [run(name, 1e6), run(name, 997)];
    restore();
    restore = resumeAlone(false);
    t.deepEqual([run(name, 1e6), run(name, 997)], alone);
    restore();
  });

test.serial('instructions behind a page fault do run on in their blocks', (t) => {
  t.true(resumed > repeated && repeated > 0);
});
