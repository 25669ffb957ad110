// Broken option ROMs under SeaBIOS: each is named before the guest runs or when it hangs, and the boot goes on or fails
// as the firmware has it. Needs the firmware that `vmreplay fetch` brings; without it the tests are skipped.

import { writeFile } from 'node:fs/promises';
import test from 'ava';
import { run } from '../../src/api/record.js';
import { cachedImage } from '../../src/fetch/cache.js';
import { BROKEN, testRom } from '../boot/test-rom.js';
import { scratch } from './vmreplay.js';

const have = ['bios-256k.bin', 'kvmvapic.bin'].every((name) => cachedImage(name) !== undefined);
const withFirmware = have ? test : test.skip;
const NOTHING = 'No bootable device.';

/** A boot with one option ROM: how it ended, what was said of it, and the firmware's log. */
async function boot(file: string, rom: Uint8Array) {
  await writeFile(file, rom);
  const warnings: string[] = [];
  let log = '';
  const { end } = await run({
    vga: 'none',
    boot: 'firmware',
    optionRoms: [file],
    untilDebugcon: NOTHING,
    maxCycles: 40_000_000,
    onWarning: (text) => warnings.push(text),
    onDebugcon: (data) => {
      log += Buffer.from(data).toString('latin1');
    },
  });
  return { reason: end.reason, said: warnings.join('\n'), log };
}

/** Whether the ROM printed what it prints; the firmware never does. */
const ran = (log: string): boolean => log.includes('~');

withFirmware('a ROM that is right is run, and nothing is said (needs: vmreplay fetch)', async (t) => {
  t.timeout(300_000);
  const file = await scratch(t);
  const { reason, said, log } = await boot(file('good.rom'), testRom());
  t.is(reason, 'until-debugcon');
  t.is(said, '');
  t.true(ran(log));
});

/** Those that SeaBIOS does not run; it hangs in the last two. */
const SKIPPED = ['signature', 'checksum', 'length-0'];
const HANGS = ['outside', 'itself'];

for (const { name, rom, said: expected } of BROKEN) {
  withFirmware(`a broken ROM is named: ${name} (needs: vmreplay fetch)`, async (t) => {
    t.timeout(300_000);
    const file = await scratch(t);
    const { reason, said, log } = await boot(file(`${name}.rom`), rom);
    t.regex(said, expected);
    t.true(said.includes(`${name}.rom: option ROM`), said);
    t.is(reason, HANGS.includes(name) ? 'max-cycles' : 'until-debugcon');
    // What is executed outside of a ROM may lead back into it.
    if (name !== 'outside') t.is(ran(log), !SKIPPED.includes(name) && !HANGS.includes(name), log);
  });
}

withFirmware('a ROM that never returns is named when the run is given up (needs: vmreplay fetch)', async (t) => {
  t.timeout(300_000);
  const file = await scratch(t);
  const { reason, said } = await boot(
    file('loop.rom'),
    testRom((rom) => rom.set([0xeb, 0xfe], 0x42)),
  );
  t.is(reason, 'max-cycles');
  t.regex(said, /^the run ended inside option ROM .*loop\.rom, at its offset 0x42$/);
});
