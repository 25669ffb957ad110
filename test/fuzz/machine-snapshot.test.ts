// Back to a snapshot: over the guests of the corpus, at any cycle, however long the guest then ran.

import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { corpusGuests } from '../../bin/corpus.js';
import { makeGuest } from '../../src/api/guest.js';
import * as L from '../../src/cpu/layout.js';
import { MachineSnapshot } from '../../src/fuzz/machine-snapshot.js';

const guests = (await corpusGuests()).filter(({ expected }) => (expected.cycles ?? 0) > 0);
const MIB = 1 << 20;

const boot = ({ image, directory, expected }: (typeof guests)[number]) => {
  const { append, modules, cpu, route, fwCfg } = expected.boot;
  const made = makeGuest({
    kernel: image,
    memory: 8 * MIB,
    ...(route && { boot: route }),
    ...(cpu && { cpu }),
    ...(append !== undefined && { append }),
    ...(fwCfg && { fwCfg }),
    ...(modules && { modules: modules.map((m) => ({ ...m, path: join(directory, m.path) })) }),
  });
  made.handoff.forget();
  return made;
};

test('a restored machine hashes as the snapshot and runs on as it did, at any cycle of the corpus', (t) => {
  t.true(guests.length > 20);
  fc.assert(
    fc.property(
      fc.constantFrom(...guests),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.array(fc.integer({ min: 1, max: 60_000 }), { minLength: 2, maxLength: 4 }),
      (guest, share, runs) => {
        const { cpu, pc } = boot(guest);
        const output: number[] = [];
        pc.onSerial = (byte) => output.push(byte);
        const run = (cycle: number) => cpu.runUntil(cycle);
        run(Math.floor(share * Math.min(guest.expected.cycles!, 400_000)));
        const snapshot = new MachineSnapshot(cpu, pc);
        const before = snapshot.hash();
        const longest = Math.max(...runs);
        const ends = new Set<string>();
        for (const length of [longest, ...runs, longest]) {
          output.length = 0;
          run(snapshot.cycle + length);
          if (length === longest) ends.add(`${snapshot.hash()} ${output.join(' ')}`);
          snapshot.restore();
          t.is(snapshot.hash(), before);
        }
        t.is(ends.size, 1);
      },
    ),
    { numRuns: 25, seed: 11, endOnFailure: true },
  );
});

test('A20 is as it was, whichever way the guest left it', (t) => {
  for (const open of [true, false]) {
    const { cpu, pc } = boot(guests[0]!);
    cpu.runUntil(100);
    cpu.setA20(open);
    const snapshot = new MachineSnapshot(cpu, pc);
    const before = snapshot.hash();
    cpu.setA20(!open);
    snapshot.restore();
    t.is(snapshot.hash(), before);
    // What looks at the line anew comes to the same.
    cpu.smmChanged();
    t.is(snapshot.hash(), before);
  }
});

test('a run from a snapshot ends as the run that never stopped', async (t) => {
  for (const guest of guests.filter(({ name }) => ['smc', 'irq-pit', 'long-mode', 'page-fault'].includes(name))) {
    const plain = boot(guest);
    const text: number[] = [];
    plain.pc.onSerial = (byte) => text.push(byte);
    plain.cpu.run();
    const { cpu, pc } = boot(guest);
    const again: number[] = [];
    pc.onSerial = (byte) => again.push(byte);
    cpu.runUntil(50_000);
    const snapshot = new MachineSnapshot(cpu, pc);
    const said = again.length;
    for (let i = 0; i < 3; i++) {
      snapshot.restore();
      again.length = said;
      cpu.run();
      t.is(cpu.now, plain.cpu.now);
      t.deepEqual(again, text);
      const ram = (of: typeof cpu) => Buffer.from(of.state.u8.buffer, L.GUEST, 8 * MIB);
      t.true(ram(cpu).equals(ram(plain.cpu)));
    }
  }
});

test('only pages that were written are dirty', (t) => {
  const { cpu, pc } = boot(guests.find(({ name }) => name === 'e820')!);
  cpu.runUntil(20_000);
  const snapshot = new MachineSnapshot(cpu, pc);
  t.deepEqual(snapshot.dirtyPages(), []);
  cpu.physical.write(0x5_0ffe, Uint8Array.of(1, 2, 3, 4));
  t.deepEqual(snapshot.dirtyPages(), [0x50, 0x51]);
  cpu.runUntil(40_000);
  t.true(snapshot.dirtyPages().length < 20);
  snapshot.restore();
  t.deepEqual(snapshot.dirtyPages(), []);
  t.deepEqual([...cpu.physical.read(0x5_0ffe, 4)], [0, 0, 0, 0]);
});
