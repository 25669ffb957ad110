// A guest is the same whether or not it is noted what it sees of its initial memory: every guest of the corpus ends at the
// same cycle with the same processor and the same memory.

import { createHash } from 'node:crypto';
import test from 'ava';
import { corpusGuests } from '../../bin/corpus.js';
import { makeGuest, NO_SEAMS } from '../../src/api/guest.js';
import type { BootOptions } from '../../src/api/options.js';
import { run } from '../../src/api/record.js';
import * as L from '../../src/cpu/layout.js';
import { PAGE_PARTIAL } from '../../src/cpu/physical.js';
import { saveProcessor } from '../../src/cpu/snapshot.js';
import { bootOf } from './corpus-boot.js';

const MOST_CYCLES = 20_000_000;

function outcome(options: BootOptions, unobserved: boolean): string[] {
  const guest = makeGuest(options, { ...NO_SEAMS, unobserved });
  const { cpu } = guest;
  let serial = '';
  guest.pc.onSerial = (byte) => {
    serial += String.fromCharCode(byte);
  };
  const partial = cpu.physical.flags.some((flags) => (flags & PAGE_PARTIAL) !== 0);
  if (partial === unobserved) throw new Error('pages are tracked where they should not be, or the other way round');
  for (;;) {
    let end = cpu.runUntil(MOST_CYCLES);
    if (end.reason === 'breakpoint') end = guest.handoff.reached() ?? { reason: 'until-cycle' };
    if (end.reason === 'until-cycle' && cpu.now < MOST_CYCLES) continue;
    const sum = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
    const memory = cpu.state.u8.subarray(L.GUEST, L.GUEST + cpu.physical.ramSize);
    return [end.reason, `${cpu.now}`, `${cpu.instructions}`, serial, sum(saveProcessor(cpu)), sum(memory)];
  }
}

for (const guest of await corpusGuests())
  test(`${guest.name} ends the same when nobody notes what it sees`, (t) => {
    t.deepEqual(outcome(bootOf(guest), true), outcome(bootOf(guest), false));
  });

test('a run hashes its final state unless it is told not to', async (t) => {
  const kernel = (await corpusGuests()).find(({ name }) => name === 'e820')!.image;
  const [hashed, bare] = [await run({ kernel }), await run({ kernel, hashState: false })];
  t.regex(hashed.state, /^[0-9a-f]{64}$/);
  t.deepEqual(bare, { ...hashed, state: '' });
});
