// Boots on the microvm machine, beside those of boot-matrix.test.ts: SeaBIOS's tables, no ACPI, virtio devices. Needs the images that `vmreplay fetch`
// brings; without them the tests are skipped and their titles say what to fetch.

import test from 'ava';
import type { RecordOptions } from '../../src/api/options.js';
import { record } from '../../src/api/record.js';
import { replay } from '../../src/api/replay.js';
import { cachedImage } from '../../src/fetch/cache.js';
import { scratch } from './vmreplay.js';

const KERNEL = 'vmlinuz-cloud-amd64';
const have = ['qboot.rom', 'bios-microvm.bin', 'linuxboot_dma.bin', KERNEL, 'initrd-busybox.cpio'].every(
  (name) => cachedImage(name) !== undefined,
);
// One after the other: each takes a processor and a few hundred megabytes.
const withImages = have ? test.serial : test.skip;

const linux: RecordOptions = {
  machine: 'microvm',
  kernel: KERNEL,
  initrd: 'initrd-busybox.cpio',
  append: 'console=ttyS0 panic=-1',
  maxCycles: 20_000_000_000,
};

interface Cell {
  options: RecordOptions;
  /** What the guest must have printed, besides its marker. */
  prints?: RegExp;
}
const CELLS: Record<string, Cell> = {
  'SeaBIOS for microvm, bzImage': { options: { ...linux, boot: 'firmware' }, prints: /DMI: Bochs/ },
  'qboot without ACPI, entropy and console on virtio': {
    // Without ACPI there is nothing to switch it off with.
    options: {
      ...linux,
      bios: 'qboot.rom',
      acpi: false,
      devices: ['virtio-rng', 'virtio-console'],
      untilSerial: 'VMREPLAY-MARKER end',
    },
    prints: /virtio_mmio\.device=512@0xfeb00e00:12 virtio_mmio\.device=512@0xfeb00c00:11/,
  },
};

for (const [name, { options, prints }] of Object.entries(CELLS)) {
  withImages(
    `microvm with ${name}: Debian's kernel boots, ends by itself, and replays (needs: vmreplay fetch)`,
    async (t) => {
      t.timeout(1_200_000);
      const file = await scratch(t);
      const chunks: Uint8Array[] = [];
      const onConsole = (data: Uint8Array) => chunks.push(data.slice());
      const first = await record({ ...options, onConsole, output: file('a.trace') });
      const text = Buffer.concat(chunks).toString();
      t.regex(text, /VMREPLAY-MARKER end/);
      if (prints) t.regex(text, prints);
      t.is(first.exitCode, 0, first.end.reason);
      const again = await replay(file('a.trace'));
      t.is(again.divergence, undefined);
      t.is(again.state, first.state);
      const second = await record({ ...options, output: file('b.trace') });
      t.is(second.root, first.root);
    },
  );
}
