// The BIOS services of --boot linux16 as a kernel's setup code sees them, and that the committed code is what its source
// gives. Both need nasm; without it they are skipped, and their titles say so.

import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { biosModule } from '../../../scripts/build-bios.js';
import { makeGuest } from '../../../src/api/guest.js';
import { runGuest } from '../../../src/api/run.js';
import { firmwareE820 } from '../../../src/platform/e820.js';
import { scratch } from '../../e2e/vmreplay.js';
import { bzImage } from '../guest-builder.js';

const withNasm = spawnSync('nasm', ['-v']).status === 0 ? test : test.skip;

withNasm('the committed BIOS services are what their source gives (needs nasm)', async (t) => {
  const committed = new URL('../../../src/boot/real-mode/bios-code.ts', import.meta.url);
  t.is(await readFile(committed, 'utf8'), await biosModule());
});

withNasm('setup code gets memory, clock, ticks and refusals from the BIOS services (needs nasm)', async (t) => {
  const file = await scratch(t);
  const source = join(import.meta.dirname, 'services.asm');
  const { status, stderr } = spawnSync('nasm', ['-f', 'bin', '-o', file('code'), source], { encoding: 'utf8' });
  t.is(status, 0, stderr);
  const kernel = bzImage();
  // Where the jump over the setup header leads.
  kernel.set(await readFile(file('code')), 0x26c);
  await writeFile(file('kernel'), kernel);
  const ram = 64 << 20;
  const guest = makeGuest({ boot: 'linux16', kernel: file('kernel'), memory: ram, rtc: '2021-02-03T04:05:06Z' });
  guest.handoff.listener = (protocol) => t.is(protocol, 'linux16');
  const end = await runGuest(guest.cpu, { maxCycles: 200_000_000, breakpoint: () => guest.handoff.reached() });
  t.is(end.reason, 'max-cycles', 'it waits at the end');

  const answer = guest.memory.read(0x5000, 4096);
  const view = new DataView(answer.buffer);
  const words = Array.from({ length: 19 }, (_, i) => view.getUint16(2 * i, true));
  t.is(words[0], 1, 'A20 is on');
  t.is(words[1], 63 * 1024 - 128, 'KiB above 1 MiB by AH=88h');
  t.deepEqual(words.slice(2, 6), [15 * 1024, 48 * 16 - 2, 15 * 1024, 48 * 16 - 2], 'E801');
  t.is(words[6], 639);
  t.is(words[7], 0x226);
  t.is(words[8]! >> 8, 0x0f, 'no screen');
  t.is(words[9], 0x1a00, 'no VGA');
  t.is(words[10]! & 0xff, 0, 'no shift key');
  t.is(words[11]! & 0x40, 0x40, 'no key');
  t.is(words[12]! & 1, 1, 'no disk');
  t.is(words[13]! & 1, 1, 'no INT 15h AX=EC00h');
  t.deepEqual(words.slice(14, 18), [0x0405, 0x0600, 0x2021, 0x0203], 'time and date in BCD');
  t.is(words[18], 3, 'ticks');

  const expected = firmwareE820(ram, { amd: true });
  t.is(view.getUint16(38, true), expected.length);
  const map = expected.map((_, i) => ({
    address: Number(view.getBigUint64(40 + 20 * i, true)),
    length: Number(view.getBigUint64(48 + 20 * i, true)),
    type: view.getUint32(56 + 20 * i, true),
  }));
  t.deepEqual(map, expected);
  t.is(view.getUint16(40 + 20 * expected.length, true) & 1, 1, 'E820 without its signature');
});
