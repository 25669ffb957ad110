import { join } from 'node:path';
import test from 'ava';
import { makeGuest, makeHardware } from '../../src/api/guest.js';
import { loadProcessor, saveProcessor } from '../../src/cpu/snapshot.js';

const kernel = join(import.meta.dirname, '..', '..', 'corpus', 'long-mode', 'long-mode.elf');

test('a processor that is saved and loaded is the same, in the middle of a run in any mode', (t) => {
  const { cpu } = makeGuest({ boot: 'pvh', kernel, memory: 64 << 20 });
  for (const cycle of [0, 1000, 5000, 100_000, 300_000]) {
    cpu.runUntil(cycle);
    const saved = saveProcessor(cpu);
    const other = makeHardware(64 << 20, undefined).cpu;
    other.setCycle(cpu.now);
    loadProcessor(other, saved);
    t.deepEqual(saveProcessor(other), saved);
    t.is(other.state.mode, cpu.state.mode);
    t.is(other.state.eflags, cpu.state.eflags);
  }
});

test('a state of the wrong size is refused', (t) => {
  const { cpu } = makeHardware(64 << 20, undefined);
  t.throws(() => loadProcessor(cpu, new Uint8Array(10)), { message: /not 10/ });
});
