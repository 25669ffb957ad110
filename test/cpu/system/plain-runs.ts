// Guests of the corpus with and without the plain cases of deliveries and returns: kept from every place that they look
// for, they go the long way.

import { join } from 'node:path';
import { makeGuest } from '../../../src/api/guest.js';
import { MachineHash } from '../../../src/api/machine-state.js';

const corpus = join(import.meta.dirname, '..', '..', '..', 'corpus');

/** How a guest ends, and how many places were found plain. */
export function run(name: string, plain: boolean, slice: number): { end: string; plain: number } {
  const guest = makeGuest({ boot: 'pvh', kernel: join(corpus, name, `${name}.elf`), memory: 64 << 20 });
  const { cpu } = guest;
  const plainAt = cpu.memory.plainAt.bind(cpu.memory);
  let found = 0;
  cpu.memory.plainAt = (...access) => {
    const at = plain ? plainAt(...access) : 0;
    if (at !== 0) found++;
    return at;
  };
  for (;;) {
    let end = cpu.runUntil(Math.min(1e8, cpu.now + slice));
    if (end.reason === 'breakpoint') end = guest.handoff.reached() ?? { reason: 'until-cycle' };
    if (end.reason !== 'until-cycle' || cpu.now >= 1e8) {
      const hash = Buffer.from(MachineHash.of(cpu).hash()).toString('hex');
      return { end: `${end.reason} at ${cpu.now}, ${cpu.instructions} instructions, ${hash}`, plain: found };
    }
  }
}
