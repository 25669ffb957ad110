// When a replay's event is the recorded one.

import test from 'ava';
import { type ActualEvent, agrees, differingFields } from '../../src/replay/divergence.js';
import { encodeCanonical } from '../../src/trace/codec.js';

const event = (kind: ActualEvent['kind'], data: Uint8Array, more: Partial<ActualEvent> = {}) => ({
  index: 3,
  kind,
  cycle: 5,
  cs: 8,
  rip: 0xffff_ffff_8100_0000n,
  address: 0,
  size: 0,
  value: 0,
  valueHigh: 0,
  name: 'pvh',
  data,
  ...more,
});
const handoff = (address: bigint): Uint8Array =>
  encodeCanonical({ memoryMap: [{ address, length: 1, type: 1 }], route: 'firmware' });

test('a hand-off that was recorded without the upper bits of its memory map is what the replay says with them', (t) => {
  const now = event('handoff', handoff(0x8000_0000_0000_1000n));
  t.true(agrees(now, now));
  t.true(agrees(event('handoff', handoff(0x1000n)), now));
  t.false(agrees(event('handoff', handoff(0x1001n)), now));
  t.false(agrees(event('handoff', handoff(0x1000n), { name: 'multiboot' }), now));
  t.false(agrees(event('handoff', Uint8Array.of(1)), now));
  t.false(agrees(event('input', handoff(0x1000n)), event('input', now.data)));
});

test('between two traces the same is a difference, whatever the data are', (t) => {
  const now = event('handoff', handoff(0x8000_0000_0000_1000n));
  t.deepEqual(differingFields(event('handoff', handoff(0x1000n)), now), ['data']);
  t.deepEqual(differingFields(now, event('handoff', Uint8Array.of(0xc1))), ['data']);
});
