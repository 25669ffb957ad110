// The corpus in lockstep with QEMU: no difference but those that expected.json lists with the manual's section. The quick
// guests always, all of them with LOCKSTEP=all. And the search itself: a change made to our processor is found at its
// instruction. Skipped by name where QEMU is not installed.

import { join } from 'node:path';
import test from 'ava';
import { corpusGuests } from '../../bin/corpus.js';
import { lockstepGuest } from '../../scripts/lockstep/corpus.js';
import { hasQemu } from '../../scripts/lockstep/qemu.js';
import { lockstep } from '../../scripts/lockstep/search.js';

const QUICK = ['debug-exit', 'e820', 'high-tables', 'irq-pit', 'long-mode', 'reset-cf9', 'smc'];
const NEEDS = '(needs qemu-system-x86)';
const withQemu = hasQemu() ? test : test.skip;
const guests = await corpusGuests();

for (const guest of guests) {
  if (process.env.LOCKSTEP !== 'all' && !QUICK.includes(guest.name)) continue;
  withQemu(`${guest.name} does in lockstep what QEMU does, or what is listed ${NEEDS}`, async (t) => {
    t.timeout(900_000);
    const { line, asExpected } = await lockstepGuest(guest);
    t.log(line);
    t.true(asExpected, line);
  });
}

withQemu(`a register that is changed behind the back is found at the next comparison ${NEEDS}`, async (t) => {
  t.timeout(300_000);
  const result = await lockstep({
    boot: 'pvh',
    kernel: join(import.meta.dirname, '..', '..', 'corpus', 'e820', 'e820.elf'),
    memory: 64 << 20,
    blocks: true,
    disturbance: {
      after: 2000,
      change(cpu) {
        cpu.state.setReg(6, 0x1234_5678n);
      },
    },
  });
  t.truthy(result.parting);
  t.true(
    result.parting!.instructions >= 2000 && result.parting!.instructions < 2300,
    `${result.parting!.instructions}`,
  );
});

test('what is listed is a difference from QEMU with its section', (t) => {
  for (const { name, expected } of guests) {
    for (const { instruction, why } of expected.qemu?.lockstep ?? [])
      t.regex(why, /\bSDM (1|2|3A|3B|4), /, `${name}: ${instruction}`);
  }
});
