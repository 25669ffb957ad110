// Boots on the microvm machine, beside those of boot-matrix.test.ts: SeaBIOS's tables, no ACPI, virtio devices. Needs the images that `vmreplay fetch`
// brings; without them the tests are skipped and their titles say what to fetch.

import { readFileSync, writeFileSync } from 'node:fs';
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

/**
 * A boot sector that writes itself to the next sector through INT 13h (AH = 43h), reads that one to 8000h (AH = 42h), and
 * says at port 0x402 what stands there at offset 2: HELLO, or WRONG when a call fails.
 */
const BOOT_SECTOR = [
  'eb0548454c4c4f', // jmp start; "HELLO"
  '31c08ed88ec08ed0bc007c', // DS = ES = SS = 0, SP = 7c00h
  'b44330c0be437cb280cd137221', // write; jc fail
  'b442be537cb280cd137205', // read; jc fail
  'be0280eb03be3e7c', // SI: 8002h, or at fail "WRONG"
  'ba0204b90500aceee2fcfaf4', // five characters to port 0x402; halt
  '57524f4e47',
  '10000100007c00000100000000000000', // packets: one sector, buffer, sector 1
  '10000100008000000100000000000000',
].join('');

const withSeaBios = cachedImage('bios-microvm.bin') === undefined ? test.skip : test.serial;
for (const legacyVirtio of [true, false]) {
  const name = legacyVirtio ? 'legacy' : 'modern';
  withSeaBios(
    `SeaBIOS boots a microvm from a ${name} virtio disk and writes to it (needs: vmreplay fetch)`,
    async (t) => {
      t.timeout(300_000);
      const file = await scratch(t);
      const image = new Uint8Array(1 << 20);
      image.set(Buffer.from(BOOT_SECTOR, 'hex'));
      image.set([0x55, 0xaa], 510);
      writeFileSync(file('disk'), image);
      const options: RecordOptions = {
        machine: 'microvm',
        boot: 'firmware',
        legacyVirtio,
        drives: [{ path: file('disk') }],
        untilDebugcon: 'HELLO',
        maxCycles: 100_000_000,
      };
      const first = await record({ ...options, output: file('a.trace') });
      t.is(first.end.reason, 'until-debugcon');
      for (const live of [false, true]) {
        const again = await replay(file('a.trace'), { live });
        t.is(again.divergence, undefined, `live: ${live}`);
        t.is(again.state, first.state);
      }
      // What the guest wrote ended with the run.
      t.deepEqual(new Uint8Array(readFileSync(file('disk'))), image);
    },
  );
}
