// A stretch that is passed over and the same stretch executed: the same machine, over the guests of the corpus, wherever
// it begins, however long it is, and whatever was changed before it.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { corpusGuests } from '../../../bin/corpus.js';
import type { BootOptions } from '../../../src/api/options.js';
import { MachineSnapshot } from '../../../src/fuzz/machine-snapshot.js';
import { passOver, Spoilt } from '../../../src/fuzz/skip/pass-over.js';
import type { Stretch } from '../../../src/fuzz/skip/stretch.js';
import { Heard, StretchRecorder } from '../../../src/fuzz/skip/stretch-recorder.js';
import { makeMachine } from '../../../src/fuzz/stand.js';
import { WatchedBus } from '../../../src/fuzz/watched-machine.js';
import { writeBusyGuest } from './busy-guest.js';

const guests = (await corpusGuests()).filter(({ expected }) => (expected.cycles ?? 0) > 0);
const NEVER = Number.POSITIVE_INFINITY;

function machineOf({ image, directory, expected }: (typeof guests)[number], to: number) {
  const { append, modules, cpu: model, route, fwCfg } = expected.boot;
  const boot: BootOptions = {
    kernel: image,
    memory: 8 << 20,
    ...(route && { boot: route }),
    ...(model && { cpu: model }),
    ...(append !== undefined && { append }),
    ...(fwCfg && { fwCfg }),
    ...(modules && { modules: modules.map((m) => ({ ...m, path: join(directory, m.path) })) }),
  };
  return watched(boot, to);
}

function watched(boot: BootOptions, to: number) {
  const machine = makeMachine(boot, undefined);
  const { cpu, pc } = machine.guest;
  const bus = new WatchedBus(cpu, pc);
  machine.memory.bus = bus;
  cpu.bus = bus;
  cpu.runUntil(to);
  const snapshot = new MachineSnapshot(cpu, pc);
  const recorder = new StretchRecorder(cpu, bus, machine.memory, snapshot, () => 0);
  return { cpu, memory: machine.memory, snapshot, recorder };
}

/** What the machine does between two cycles, if that is a stretch. */
function record({ cpu, snapshot, recorder }: ReturnType<typeof machineOf>, from: number, to: number) {
  const run = (cycle: number) => cpu.runUntil(cycle).reason === 'until-cycle';
  for (const deafening of [true, false]) {
    let stretch: Stretch | undefined;
    recorder.deafening = deafening;
    try {
      if (run(from)) {
        recorder.begin();
        if (recorder.runTo(to, run)) stretch = recorder.end();
      }
    } catch (error) {
      if (!(error instanceof Heard)) throw error;
      continue;
    } finally {
      recorder.stop();
      cpu.cycleLimit = NEVER;
      snapshot.restore();
    }
    return stretch;
  }
  return undefined;
}

/** A change before a stretch: of a register, of memory, or of the time. */
interface Change {
  readonly kind: 'none' | 'register' | 'used memory' | 'memory' | 'time';
  readonly place: number;
  readonly value: number;
}

function make({ cpu }: ReturnType<typeof machineOf>, { kind, place, value }: Change, stretch: Stretch): void {
  if (kind === 'register') cpu.state.setReg(place % 16, cpu.state.reg(place % 16) ^ BigInt(value));
  if (kind === 'time') cpu.setCycle(Math.min(cpu.now + (place % 3000), cpu.platform.nextEvent()));
  const { reads, writes } = stretch.parts;
  const pages = [...reads, ...writes];
  const used = pages[place % Math.max(1, pages.length)];
  const at =
    kind === 'used memory' && used !== undefined ? used.page * 4096 + (place % 4096) : kind === 'memory' ? place : -1;
  if (at >= 0) cpu.physical.write(at, Uint8Array.of(value));
}

test('what is passed over leaves the machine as if it were executed, and is passed over only then', (t) => {
  t.timeout(300_000);
  const counts = { stretches: 0, deaf: 0, passed: 0, changed: 0, events: 0, refused: 0 };
  fc.assert(
    fc.property(
      fc.constantFrom(...guests),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.integer({ min: 1, max: 40_000 }),
      fc.array(
        fc.record<Change>({
          kind: fc.constantFrom('none', 'register', 'used memory', 'memory', 'time'),
          place: fc.nat((8 << 20) - 1),
          value: fc.nat(255),
        }),
        { minLength: 3, maxLength: 5 },
      ),
      (guest, share, length, changes) => {
        const from = Math.floor(share * Math.min(guest.expected.cycles!, 600_000));
        const machine = machineOf(guest, Math.floor(from / 2));
        const { cpu, memory, snapshot } = machine;
        const stretch = record(machine, from, from + length);
        if (stretch === undefined) return;
        counts.stretches++;
        if (stretch.deaf) counts.deaf++;
        for (const change of [{ kind: 'none', place: 0, value: 0 } as const, ...changes]) {
          const begin = () => {
            snapshot.restore();
            cpu.runUntil(from);
            make(machine, change, stretch);
          };
          begin();
          const at = cpu.now;
          const event = cpu.platform.nextEvent();
          let passed: boolean;
          try {
            passed = passOver(cpu, memory, stretch, NEVER);
          } catch (error) {
            if (!(error instanceof Spoilt)) throw error;
            continue;
          }
          if (change.kind === 'none') t.true(passed || event <= at + stretch.cycles, guest.name);
          if (!passed) counts.refused++;
          if (!passed) continue;
          counts.passed++;
          if (change.kind !== 'none') counts.changed++;
          if (event <= at + stretch.cycles) counts.events++;
          const there = snapshot.digest();
          const ends = [cpu.runUntil(cpu.now + 30_000), cpu.now, snapshot.digest()];
          begin();
          // An event at the end is yet to come.
          cpu.runUntil(at + stretch.cycles);
          if (event < at + stretch.cycles || event > cpu.now) t.is(snapshot.digest(), there, guest.name);
          t.deepEqual([cpu.runUntil(at + stretch.cycles + 30_000), cpu.now, snapshot.digest()], ends, guest.name);
        }
      },
    ),
    { numRuns: 250, seed: 5, endOnFailure: true },
  );
  t.log(counts);
  t.true(counts.stretches > 30 && counts.deaf > 20 && counts.changed > 60 && counts.refused > 10);
});

test('the clock of devices ticks within a stretch where it would', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'vmreplay-stretch-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const kernel = join(directory, 'busy.elf');
  writeBusyGuest(kernel, 4_000_000);
  const machine = watched({ kernel, memory: 8 << 20 }, 13_600_000);
  const { cpu, memory, snapshot } = machine;
  const tick = cpu.platform.nextEvent();
  const from = tick - 10_000;
  const stretch = record(machine, from, tick + 10_000)!;
  t.true(stretch.deaf);
  t.true(stretch.boundaryAt(tick - stretch.parts.from.cycle)! >= tick - stretch.parts.from.cycle);
  for (const later of [-900, -1, 0, 1, 2, 3, 700, 9000]) {
    const begin = () => {
      snapshot.restore();
      cpu.runUntil(from);
      cpu.setCycle(cpu.now + later);
    };
    begin();
    const end = cpu.now + stretch.cycles;
    t.true(passOver(cpu, memory, stretch, NEVER));
    const ends = [cpu.now, snapshot.digest()];
    begin();
    cpu.runUntil(end);
    t.deepEqual([cpu.now, snapshot.digest()], ends);
    t.true(cpu.platform.nextEvent() > tick);
  }
});
