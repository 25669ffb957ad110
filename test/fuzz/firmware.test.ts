// Boots through firmware: snapshots of machines with ROM over RAM, targets in fw_cfg and in what an option ROM made, and
// findings whose traces replay from cycle 0. Needs the ROMs that `vmreplay fetch` brings.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { packageFile } from '../../bin/package.js';
import { makeGuest } from '../../src/api/guest.js';
import type { BootOptions } from '../../src/api/options.js';
import { replay } from '../../src/api/replay.js';
import { cachedImage } from '../../src/fetch/cache.js';
import { CaseRunner } from '../../src/fuzz/case-runner.js';
import { fuzz, writeFindings } from '../../src/fuzz/fuzz.js';
import { MachineSnapshot } from '../../src/fuzz/machine-snapshot.js';
import type { FuzzOptions } from '../../src/fuzz/options.js';

const directory = mkdtempSync(join(tmpdir(), 'vmreplay-firmware-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

const linux = packageFile('corpus/defects/setup-data-loop.bzimage');
const pvh = packageFile('corpus/pvh-start-info/pvh-start-info.elf');
const memory = 32 << 20;
const boots = {
  pc: { bios: 'bios-256k.bin', vga: 'none', memory, kernel: linux, append: 'a b' },
  'a pc with a screen': { bios: 'bios-256k.bin', memory, kernel: linux },
  qboot: { machine: 'microvm', bios: 'qboot.rom', memory, kernel: linux, append: 'a b' },
  'bios-microvm': { machine: 'microvm', bios: 'bios-microvm.bin', memory, kernel: linux },
  'pvh.bin': { bios: 'bios-256k.bin', vga: 'none', memory, kernel: pvh, append: 'a b' },
} satisfies Record<string, BootOptions>;

const needed = ['bios-256k.bin', 'qboot.rom', 'bios-microvm.bin', 'linuxboot_dma.bin', 'pvh.bin', 'kvmvapic.bin'];
const have = needed.every((name) => cachedImage(name) !== undefined);
const withRoms = have ? test : test.skip;
const named = (title: string): string => (have ? title : `${title} (needs: vmreplay fetch)`);

withRoms(named('a machine in firmware goes back to its snapshot, whatever ROM and SMRAM do in between'), (t) => {
  for (const [name, options] of Object.entries(boots)) {
    for (const [cycle, length] of [
      [1000, 400_000],
      [300_000, 900_000],
      [900_000, 3_000_000],
    ] as const) {
      const { cpu, pc, handoff } = makeGuest(options);
      handoff.forget();
      cpu.runUntil(cycle);
      const snapshot = new MachineSnapshot(cpu, pc);
      const hosts = cpu.physical.host.slice(0, 0x100);
      const before = snapshot.hash();
      const ends = new Set<string>();
      for (let i = 0; i < 2; i++) {
        cpu.runUntil(cycle + length);
        ends.add(snapshot.hash());
        snapshot.restore();
        t.is(snapshot.hash(), before, name);
        t.deepEqual(cpu.physical.host.slice(0, 0x100), hosts, name);
      }
      t.is(ends.size, 1, name);
    }
  }
});

/** The campaign's findings, each with a trace that replays to it. */
async function findingsOf(t: import('ava').ExecutionContext, name: string, options: FuzzOptions) {
  const result = await fuzz(options);
  for (const finding of result.findings) {
    const [folder] = await writeFindings(join(directory, name), options, { ...result, findings: [finding] });
    const { divergence, cycles } = await replay(join(folder!, 'boot.trace'));
    t.is(divergence, undefined, finding.cause);
    t.true(cycles >= finding.verdict.cycle, finding.cause);
  }
  return result.findings;
}

withRoms(named('what an option ROM reads from fw_cfg is a target, and the hand-off is judged'), async (t) => {
  t.timeout(120_000);
  const found = await findingsOf(t, 'items', { target: 'kernel-items', boot: boots.pc, runs: 100, most: 3 });
  t.log(found.map(({ cause }) => cause).join(', '));
  t.true(found.length > 0);
  const header = await fuzz({ target: 'setup-header', boot: boots.pc, runs: 60 });
  t.deepEqual(
    header.findings.map(({ cause }) => cause),
    [],
  );
});

withRoms(named('a jump to where no memory is has one cause, not one for each place'), (t) => {
  t.timeout(120_000);
  const runner = new CaseRunner('kernel-items', boots['a pc with a screen']);
  const drawn = fc.sample(runner.target.arbitrary, { numRuns: 50, seed: 1 });
  const usual = drawn.find(({ breaks }) => breaks.length === 0)!;
  const { items } = usual.value as { items: { name: string }[] };
  t.is(runner.run(usual), undefined);
  // The segment that linuxboot_dma.bin enters is the setup's address, cut to 16 bits: here in the memory of a screen.
  const verdicts = [0xb000, 0xb2a4, 0xbb58].map((segment) => {
    const bytes = usual.encode();
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    view.setUint32(4 * items.findIndex(({ name }) => name === 'SETUP_ADDR'), 0x5000_0000 + segment * 16, true);
    return runner.run(Object.create(usual, { encode: { value: () => bytes } }));
  });
  for (const verdict of verdicts) {
    t.is(verdict?.oracle, 'execution outside loaded images');
    t.regex(verdict!.detail, /where no memory is/);
    t.is(verdict!.site, verdicts[0]!.site);
  }
});

withRoms(named("qboot's moving of the initrd by a lying memory map is found"), async (t) => {
  t.timeout(120_000);
  const boot = { ...boots.qboot, initrd: linux };
  const found = await findingsOf(t, 'e820', { target: 'e820', boot, runs: 150, most: 4 });
  t.true(found.some(({ verdict }) => verdict.oracle === 'hand-off'));
});

withRoms(named('what pvh.bin made is replaced at the hand-off, in the trace by a write to memory there'), async (t) => {
  t.timeout(120_000);
  const found = await findingsOf(t, 'pvh', { target: 'start-info', boot: boots['pvh.bin'], runs: 300, most: 1 });
  t.is(found.length, 1);
});

withRoms(named('a boot that never ends is refused with a sentence'), async (t) => {
  const boot = { bios: 'bios-256k.bin', vga: 'none', memory } as const;
  await t.throwsAsync(fuzz({ target: 'e820', boot, runs: 1 }), {
    message: /^e820: this boot does not end by itself; /,
  });
  const { cases } = await fuzz({ target: 'e820', boot: { ...boot, untilCycle: 2_000_000 }, runs: 5 });
  t.is(cases, 5);
});
