// What firmware and QEMU's option ROMs do here is what they do in QEMU: every fw_cfg selection, read and DMA transfer in
// order, with addresses and bytes, SeaBIOS's log line by line, the ACPI tables in memory, the hand-off record. The kernels are a few bytes
// that say "here" on the debug console. Needs QEMU and the images that `vmreplay fetch` brings, else skipped by name.

import { writeFile } from 'node:fs/promises';
import test from 'ava';
import { hasQemu } from '../../scripts/lockstep/qemu.js';
import { compareSides } from '../../scripts/peer/compare.js';
import { ourSide, type Side } from '../../scripts/peer/ours.js';
import { qemuSide } from '../../scripts/peer/qemu.js';
import type { RecordOptions } from '../../src/api/options.js';
import { cachedImage } from '../../src/fetch/cache.js';
import { flatMultiboot, linuxImage, pattern } from '../boot/firmware-cases.js';
import { elfFile, pvhEntryNote } from '../boot/guest-builder.js';
import { scratch } from './vmreplay.js';

const HERE = 'here';
/** Says so at port 0x402, then halts. */
function program(bits: 16 | 32): Uint8Array {
  const port = bits === 16 ? [0xba, 0x02, 0x04] : [0xba, 0x02, 0x04, 0x00, 0x00];
  const letters = [...HERE].flatMap((letter) => [0xb0, letter.charCodeAt(0), 0xee]);
  return Uint8Array.from([...port, ...letters, 0xfa, 0xf4, 0xeb, 0xfd]);
}

function linux(): Uint8Array {
  const image = linuxImage({ version: 0x20c, size: 20_000 });
  // The setup code begins with a jump over the header.
  image.set([0xeb, 0x66], 0x200);
  image.set(program(16), 0x268);
  return image;
}

function pvh(): Uint8Array {
  const code = pattern(5000, 3);
  code.set(program(32));
  return elfFile({ loads: [{ physical: 0x10_0000, data: code }], notes: [pvhEntryNote(0x10_0000)] });
}

function multiboot(): Uint8Array {
  const image = flatMultiboot({ at: 64, load: 0x10_0000, size: 6000 });
  image.set(program(32), 64 + 48);
  return image;
}

/** A disk with a boot sector that says so. */
function disk(): Uint8Array {
  const image = new Uint8Array(1 << 20);
  image.set(program(16));
  image.set([0x55, 0xaa], 510);
  return image;
}

interface Case {
  kernel?: () => Uint8Array;
  disk?: () => Uint8Array;
  options?: RecordOptions;
  /** Images besides the firmware. */
  needs?: string[];
  /** QEMU is not stopped at transfers: these are compared by item and descriptor only. */
  undisturbed?: boolean;
  /** Items that must be asked for. */
  ends: string[];
}
const LINUX = ['setup_data', 'initrd_addr', 'initrd_size', 'initrd_data', 'kernel_addr', 'kernel_size', 'kernel_data'];
const COMMAND_LINE = ['cmdline_addr', 'cmdline_size', 'cmdline_data'];
const QBOOT: RecordOptions = { machine: 'microvm', bios: 'qboot.rom' };
const CASES: Record<string, Case> = {
  'linuxboot_dma.bin': { kernel: linux, needs: ['linuxboot_dma.bin'], ends: [...LINUX, ...COMMAND_LINE] },
  'linuxboot.bin': {
    kernel: linux,
    options: { fwCfgDma: false },
    needs: ['linuxboot.bin'],
    ends: [...LINUX, ...COMMAND_LINE],
  },
  'pvh.bin': { kernel: pvh, needs: ['pvh.bin'], ends: ['kernel_entry'] },
  'multiboot_dma.bin': { kernel: multiboot, needs: ['multiboot_dma.bin'], ends: ['initrd_data'] },
  'qboot with a bzImage': { kernel: linux, options: QBOOT, ends: ['kernel_data', 'cmdline_data', 'initrd_data'] },
  // QEMU gives out a part of its own stack as setup data, which changes when it is talked to.
  'qboot with a PVH kernel': { kernel: pvh, options: QBOOT, undisturbed: true, ends: ['setup_data', 'kernel_entry'] },
  'qboot without ACPI': { kernel: linux, options: { ...QBOOT, acpi: false }, ends: ['initrd_data'] },
  'SeaBIOS for microvm': {
    kernel: linux,
    options: { machine: 'microvm', devices: ['virtio-rng'] },
    needs: ['bios-microvm.bin', 'linuxboot_dma.bin'],
    ends: COMMAND_LINE,
  },
  'SeaBIOS for microvm with a virtio disk': { disk, options: { machine: 'microvm' }, ends: ['etc/acpi/tables'] },
  'SeaBIOS with nothing to boot': { options: { untilDebugcon: 'No bootable device' }, ends: ['boot_menu'] },
};

for (const [name, { kernel, disk: drive, options = {}, needs = [], undisturbed, ends }] of Object.entries(CASES)) {
  const images = [...needs, options.bios ?? (options.machine === 'microvm' ? 'bios-microvm.bin' : 'bios-256k.bin')];
  const ready = hasQemu() && images.every((image) => cachedImage(image) !== undefined);
  // One after the other: QEMU takes a processor.
  const peer = ready ? test.serial : test.skip;
  peer(`${name}: as in QEMU (needs: qemu-system-x86, vmreplay fetch)`, async (t) => {
    t.timeout(300_000);
    const file = await scratch(t);
    const plan: RecordOptions = {
      boot: 'firmware',
      untilDebugcon: HERE,
      maxCycles: 200_000_000,
      append: 'a command line',
      ...options,
    };
    if (kernel) {
      await writeFile(file('kernel'), kernel());
      await writeFile(file('initrd'), pattern(70_001, 9));
      Object.assign(plan, { kernel: file('kernel'), initrd: file('initrd') });
    } else delete plan.append;
    if (drive) {
      await writeFile(file('disk'), drive());
      plan.drives = [{ path: file('disk') }];
    }
    const ours = await ourSide(plan, file('a.trace'));
    t.is(ours.reason, 'until-debugcon');
    const qemu = await qemuSide(plan, ours, file('.'), undisturbed);
    t.is(qemu.unknownTransfers, 0);
    const { findings, same } = compareSides(ours, qemu, plan.machine ?? 'pc');
    t.deepEqual(findings, []);
    t.true(same.exchanges > 10);
    // Where the run is not disturbed, QEMU is not stopped at the kernel's entry either.
    if (kernel && !undisturbed) t.true(same.handoffs > 0, 'the kernel is entered in the same way');
    const items = ours.exchanges.map(({ item }) => item);
    for (const item of ends) t.true(items.includes(item), `${item} is asked for`);
    t.log(`${ours.exchanges.length} exchanges, ${same.lines} lines, ${same.tables} tables, ${same.handoffs} hand-offs`);
  });
}

// QEMU chooses multiboot_dma.bin by the machine type, and that ROM waits for ever where DMA is turned off by hand. The last
// type without DMA has multiboot.bin; its tables and file names are an older QEMU's, so only what the ROM asks is compared.
const OLD_TYPE = 'pc-i440fx-2.4';
const present = hasQemu() && ['multiboot.bin', 'bios-256k.bin'].every((image) => cachedImage(image) !== undefined);
(present ? test.serial : test.skip)(
  'multiboot.bin: as in QEMU without DMA (needs: qemu-system-x86, vmreplay fetch)',
  async (t) => {
    t.timeout(300_000);
    const file = await scratch(t);
    await writeFile(file('kernel'), multiboot());
    await writeFile(file('initrd'), pattern(70_001, 9));
    const plan: RecordOptions = {
      boot: 'firmware',
      kernel: file('kernel'),
      initrd: file('initrd'),
      append: 'a command line',
      fwCfgDma: false,
      untilDebugcon: HERE,
      maxCycles: 200_000_000,
    };
    const ours = await ourSide(plan, file('a.trace'));
    t.is(ours.reason, 'until-debugcon');
    const qemu = await qemuSide(plan, ours, file('.'), false, OLD_TYPE);
    const asked = ({ exchanges }: Side) => {
      const kernels = exchanges.filter(({ item }) => /^(kernel|initrd|cmdline)_|^genroms\//.test(item));
      // Gaps between the parts of a block hold what was in QEMU's heap (differences.json).
      return kernels.map((one) => (one.item === 'kernel_data' ? { ...one, sha256: '' } : one));
    };
    t.deepEqual(asked(ours), asked(qemu));
    const items = asked(ours).map(({ item }) => item);
    for (const item of ['genroms/multiboot.bin', 'kernel_data', 'initrd_data']) t.true(items.includes(item), item);
    t.true(
      qemu.debugcon.some((line) => line.includes(HERE)),
      'the kernel is entered there, too',
    );
  },
);
