// Time is exact however the run is cut: the same guest in slices of any length ends in the same state at the same
// cycle. Slices force instructions to be executed alone at random places, so this also holds the block and the
// single-step paths of the interpreter against each other.

import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { makeGuest } from '../../src/api/guest.js';
import { MachineHash } from '../../src/api/machine-state.js';

const corpus = join(import.meta.dirname, '..', '..', 'corpus');

function run(name: string, slices: readonly number[]): string {
  const guest = makeGuest({ boot: 'pvh', kernel: join(corpus, name, `${name}.elf`), memory: 64 << 20 });
  const { cpu } = guest;
  let serial = '';
  guest.pc.onSerial = (byte) => {
    serial += String.fromCharCode(byte);
  };
  let i = 0;
  for (;;) {
    const slice = slices.length === 0 ? 1e9 : slices[i++ % slices.length]!;
    let end = cpu.runUntil(cpu.now + slice);
    if (end.reason === 'breakpoint') end = guest.handoff.reached() ?? { reason: 'until-cycle' };
    if (end.reason !== 'until-cycle') {
      const hash = Buffer.from(MachineHash.of(cpu).hash()).toString('hex');
      return `${end.reason} at ${cpu.now}, ${cpu.instructions} instructions, ${hash}\n${serial}`;
    }
    if (cpu.now > 1e8) return 'the guest did not end';
  }
}

for (const name of ['irq-pit', 'page-fault', 'smc', 'x87-sse', 'tasks-v86'])
  test(`slices of any length do not change ${name}`, (t) => {
    const whole = run(name, []);
    t.regex(whole, /^poweroff at /);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 60_000 }), { minLength: 1, maxLength: 20 }), (slices) => {
        // Ones alone would take minutes; a large slice among them keeps the run short.
        t.is(run(name, [...slices, 60_000]), whole);
      }),
      { numRuns: 3 },
    );
  });
