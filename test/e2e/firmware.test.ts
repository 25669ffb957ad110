// Boots through SeaBIOS: POST from the reset vector, QEMU's option ROMs, resets. Needs the firmware that `vmreplay
// fetch` brings; without it the tests are skipped and their titles say what to fetch.

import { writeFile } from 'node:fs/promises';
import test from 'ava';
import { makeGuest } from '../../src/api/guest.js';
import type { BootOptions } from '../../src/api/options.js';
import { record } from '../../src/api/record.js';
import { replay } from '../../src/api/replay.js';
import { runGuest } from '../../src/api/run.js';
import { cachedImage } from '../../src/fetch/cache.js';
import { TraceReader } from '../../src/trace/reader.js';
import { scratch } from './vmreplay.js';

const have = (...names: string[]) => names.every((name) => cachedImage(name) !== undefined);
const withFirmware = have('bios-256k.bin', 'bios.bin', 'kvmvapic.bin') ? test : test.skip;
const withKernel = have('bios-256k.bin', 'linuxboot_dma.bin', 'vmlinuz-cloud-amd64', 'initrd-busybox.cpio')
  ? test
  : test.skip;

const NOTHING = 'No bootable device.';
const kernel: BootOptions = {
  boot: 'firmware',
  kernel: 'vmlinuz-cloud-amd64',
  initrd: 'initrd-busybox.cpio',
  append: 'console=ttyS0 panic=-1',
};

/** What a boot writes to a console, as text. */
function listener() {
  const chunks: Uint8Array[] = [];
  return { onData: (data: Uint8Array) => chunks.push(data.slice()), text: () => Buffer.concat(chunks).toString() };
}

for (const bios of ['bios-256k.bin', 'bios.bin']) {
  withFirmware(`SeaBIOS (${bios}) with nothing to boot says so, and replays (needs: vmreplay fetch)`, async (t) => {
    t.timeout(300_000);
    const file = await scratch(t);
    const log = listener();
    const options = { bios, untilDebugcon: NOTHING, maxCycles: 100_000_000 };
    const first = await record({ ...options, output: file('a.trace'), onDebugcon: log.onData });
    t.is(first.end.reason, 'until-debugcon');
    t.regex(log.text(), /^SeaBIOS \(version/m);
    t.regex(log.text(), /^Running on QEMU \(i440fx\)/m);
    t.regex(log.text(), /^Running option rom at c000:0003/m);
    t.regex(log.text(), /0: 0{16} - 000000000009fc00 = 1 RAM/);
    for (const live of [false, true]) {
      const again = await replay(file('a.trace'), { live });
      t.is(again.divergence, undefined, `live: ${live}`);
      t.is(again.state, first.state);
    }
    const second = await record({ ...options, output: file('b.trace') });
    t.is(second.root, first.root);
  });
}

/** Keys and lengths of linuxboot_dma.bin's transfers as QEMU 7.2 logs them, behind SeaBIOS's own; 0: the file's size. */
const LINUXBOOT_DMA = [
  [0x16, 4],
  [0x17, 4],
  [0x18, 0],
  [0x0a, 4],
  [0x0b, 4],
  [0x12, 0],
  [0x07, 4],
  [0x08, 4],
  [0x11, 0],
  [0x13, 4],
  [0x14, 4],
  [0x15, 23],
] as const;

withKernel('linuxboot_dma.bin asks for what it asks QEMU for (needs: vmreplay fetch cloud busybox)', async (t) => {
  t.timeout(300_000);
  const guest = makeGuest(kernel);
  const seen: [number, number][] = [];
  guest.pc.fwCfg.observer = {
    onDma: ({ key, length }) => {
      seen.push([key, length]);
      if (key === 0x15) guest.stop({ reason: 'until-cycle' });
    },
  };
  await runGuest(guest.cpu, { maxCycles: 100_000_000 });
  const sizes: Record<number, number> = {};
  for (const key of [0x18, 0x12, 0x11]) sizes[key] = guest.pc.fwCfg.content(key)!.length;
  const expected = LINUXBOOT_DMA.map(([key, length]) => [key, length || sizes[key]]);
  t.deepEqual(seen.slice(-LINUXBOOT_DMA.length), expected);
  // SeaBIOS's own, in QEMU's order; runs of the same key are one.
  const before = seen.slice(0, -LINUXBOOT_DMA.length).map(([key]) => key);
  t.deepEqual(
    before.filter((key, i) => key !== before[i - 1]).map((key) => key.toString(16)),
    '19 25 d f 8000 8001 19 4 24 21 f 5 8002 26 27 29 22 23 2c 2b e'.split(' '),
  );
});

/** An option ROM that resets the machine through port 0xcf9 unless a byte of CMOS says that it has. */
function resettingRom(): Uint8Array {
  const rom = new Uint8Array(512);
  const code = 'b060e670e47184c07510b060e670b001e671baf90cb006eeebfecb';
  rom.set([0x55, 0xaa, 1]);
  rom.set(Buffer.from(code, 'hex'), 3);
  rom[511] = -rom.reduce((sum, byte) => sum + byte, 0) & 0xff;
  return rom;
}

withFirmware(
  'a reset starts the firmware anew, in replays too, and ends with --no-reboot (needs: vmreplay fetch)',
  async (t) => {
    t.timeout(300_000);
    const file = await scratch(t);
    await writeFile(file('reset.rom'), resettingRom());
    const log = listener();
    const options = { optionRoms: [file('reset.rom')], untilDebugcon: NOTHING, maxCycles: 100_000_000 };
    const first = await record({ ...options, output: file('a.trace'), onDebugcon: log.onData });
    t.is(first.end.reason, 'until-debugcon');
    // Each POST prints the version twice: on the debug console, and when the screen is set up.
    t.is(log.text().match(/^SeaBIOS \(version/gm)?.length, 4);
    for (const live of [false, true]) {
      const again = await replay(file('a.trace'), { live });
      t.is(again.divergence, undefined, `live: ${live}`);
      t.is(again.state, first.state);
    }
    const once = await record({ ...options, noReboot: true, output: file('b.trace') });
    t.is(once.end.reason, 'reset');
    t.is((await replay(file('b.trace'))).divergence, undefined);
  },
);

const withPvh = have('bios-256k.bin', 'kvmvapic.bin', 'pvh.bin') ? test : test.skip;

withPvh('a reset puts back only what the guest changed of its kernel (needs: vmreplay fetch)', async (t) => {
  t.timeout(300_000);
  const file = await scratch(t);
  await writeFile(file('reset.rom'), resettingRom());
  const kernel = 'corpus/pvh-start-info/pvh-start-info.elf';
  const options = { boot: 'firmware' as const, kernel, optionRoms: [file('reset.rom')], maxCycles: 200_000_000 };
  const first = await record({ ...options, noReboot: false, untilSerial: 'version 1', output: file('a.trace') });
  t.is(first.end.reason, 'until-serial');
  t.is((await replay(file('a.trace'))).divergence, undefined);
  const size = makeGuest(options).boot.segments.reduce((sum, { data }) => sum + data.length, 0);
  const reader = TraceReader.open(file('a.trace'));
  let put = 0;
  for (const { kind, address, data } of reader.events())
    if (kind === 'dma-write' && address >= 0x10_0000 && address < 0x10_0000 + size) put += data.length;
  reader.close();
  // The reset came before the kernel ran.
  t.is(put, 0);
});
