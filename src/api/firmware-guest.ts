// A boot through firmware as the options ask for it: which ROM files go where, and what the firmware finds in fw_cfg.
// Files that QEMU would pick by itself (its BIOS, the loader's option ROM, kvmvapic.bin) are taken from the directory
// of --bios when that names one, else from the cache.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { firmwareLoad } from '../boot/firmware.js';
import type { FirmwareLoad } from '../boot/firmware-items.js';
import { commandLine } from '../boot/firmware-items.js';
import { cachedImage } from '../fetch/cache.js';
import { FW_CFG, type FwCfg } from '../platform/devices/fw-cfg.js';
import { MIB, splitRam } from '../platform/e820.js';
import { type ImageFile, readImage } from './images.js';
import { romWarnings } from './option-roms.js';
import type { BootOptions } from './options.js';
import { UserError } from './user-error.js';

/** QEMU's choice. */
const defaultBios = ({ machine, acpi }: BootOptions): string => {
  if (machine !== 'microvm') return 'bios-256k.bin';
  return acpi === false ? 'qboot.rom' : 'bios-microvm.bin';
};
/** QEMU gives it to every pc with an APIC; a microvm's is not run. */
const TPR_ROM = 'kvmvapic.bin';
/** In the expansion ROM of the standard VGA. */
const VGA_ROM = 'vgabios-stdvga.bin';
const MAX_VGA_ROM = 0x10_0000;
const ROM_UNIT = 0x1_0000;
const MAX_ROM = 0x100_0000;
/** As much of a BIOS as is seen below 1 MiB. */
const LOW_BIOS = 0x2_0000;
/** Ranges of the empty option ROM space and of the BIOS's end below 1 MiB. */
const LEGACY_ROMS: readonly (readonly [number, number])[] = [
  [0xc_0000, 0x2_0000],
  [0xe_0000, 0x2_0000],
];

export interface FirmwareGuest {
  readonly bios: ImageFile;
  /** Everything that was read, for the trace's header. */
  readonly images: readonly ImageFile[];
  /** Option ROMs among them, the machine's own included. */
  readonly optionRoms: readonly ImageFile[];
  readonly load: FirmwareLoad | undefined;
  /** What lies in RAM after every reset. */
  readonly segments: readonly { address: number; data: Uint8Array }[];
  /** What the expansion ROM of the standard VGA holds, where there is one. */
  readonly vgaRom: ImageFile | undefined;
  /** Put items and files into fw_cfg, behind those of the machine. */
  fill(fwCfg: FwCfg): void;
}

/** ROM ranges at reset, as a trace's header has them. On a microvm the BIOS below 1 MiB lies in RAM. */
export function romRanges(romSize: number, machine: string): (readonly [number, number])[] {
  return [...(machine === 'microvm' ? [] : LEGACY_ROMS), [0x1_0000_0000 - romSize, romSize]];
}

/**
 * Size of the ROM below 4 GiB in ranges from a header; 0 when there is none.
 * @throws RangeError when the ranges are not those of a machine here
 */
export function romSizeOf(ranges: readonly (readonly [number, number])[], machine: string): number {
  if (ranges.length === 0) return 0;
  const size = ranges.at(-1)![1];
  const expected = romRanges(size, machine);
  const same =
    ranges.length === expected.length && expected.every(([at, n], i) => ranges[i]![0] === at && ranges[i]![1] === n);
  if (!same || !isRomSize(size)) throw new RangeError(`the ROM ranges are not those of a ${machine}`);
  return size;
}

const isRomSize = (size: number): boolean => size > 0 && size <= MAX_ROM && size % ROM_UNIT === 0;

/**
 * @param hints what the machine adds to the kernel's command line
 * @throws UserError, ImageError
 */
export function prepareFirmware(
  options: BootOptions,
  files: {
    kernel: ImageFile | undefined;
    initrd: ImageFile | undefined;
    modules: readonly (ImageFile & { cmdline: string })[];
  },
  ram: number,
  hints = '',
): FirmwareGuest {
  const microvm = options.machine === 'microvm';
  const bios = readImage('bios', options.bios ?? defaultBios(options));
  if (!isRomSize(bios.bytes.length))
    throw new UserError(
      `${bios.name}: a BIOS image is a multiple of 64 KiB, at most 16 MiB, not ${bios.bytes.length} bytes; check --bios`,
    );
  const load =
    files.kernel &&
    firmwareLoad({
      kernel: files.kernel,
      ...(files.initrd && { initrd: files.initrd }),
      ...(options.append !== undefined && { append: options.append }),
      modules: files.modules,
      lowMemoryEnd: splitRam(ram).below,
      dma: options.fwCfgDma !== false,
      ...(microvm && { tablesReserved: 0 }),
    });
  if (!files.kernel && (options.initrd !== undefined || options.append !== undefined || files.modules.length > 0))
    throw new UserError('--initrd, --append and --module belong to a kernel; give one with --kernel');
  const beside = options.bios?.includes('/') ? dirname(options.bios) : undefined;
  const find = (name: string): string | undefined => {
    const near = beside === undefined ? undefined : join(beside, name);
    return near !== undefined && existsSync(near) ? near : cachedImage(name) && name;
  };
  const roms = (options.optionRoms ?? []).map((path) => readImage('option-rom', path));
  const loader = load && readImage('loader-rom', find(load.rom) ?? load.rom);
  const tpr = microvm ? undefined : find(TPR_ROM);
  const tprRom = tpr === undefined ? undefined : readImage('machine-rom', tpr);
  const vgaBios = microvm || options.vga === 'none' ? undefined : find(VGA_ROM);
  const vgaRom = vgaBios === undefined ? undefined : readImage('vga-rom', vgaBios);
  if (vgaRom && vgaRom.bytes.length > MAX_VGA_ROM)
    throw new UserError(`${vgaRom.name}: a VGA BIOS of ${vgaRom.bytes.length} bytes; the most is 1 MiB`);
  const all = [...roms, ...(loader ? [loader] : []), ...(tprRom ? [tprRom] : [])];
  const names = new Set<string>();
  for (const { name } of all) {
    if (names.has(fileName(name))) throw new UserError(`${name}: there are two option ROMs of this name; rename one`);
    names.add(fileName(name));
  }
  for (const text of romWarnings(roms)) options.onWarning?.(text);
  const optionRoms = [...all, ...(vgaRom ? [vgaRom] : [])];
  return {
    bios,
    images: [bios, ...optionRoms],
    optionRoms,
    load,
    segments: [...(microvm ? [biosInRam(bios.bytes)] : []), ...(load?.segments ?? [])],
    vgaRom,
    fill: (fwCfg) => {
      for (const { key, data } of load?.items ?? []) fwCfg.addItem(key, data);
      if (load && hints !== '') {
        // QEMU changes the command line after the kernel was placed: nothing else knows of it.
        const data = commandLine((options.append ?? '') + hints);
        fwCfg.addItem(FW_CFG.CMDLINE_DATA, data);
        fwCfg.addInt32(FW_CFG.CMDLINE_SIZE, data.length);
      }
      for (const { name, bytes } of all) fwCfg.addFile(`genroms/${fileName(name)}`, bytes);
      if (load) fwCfg.setFile('bootorder', new TextEncoder().encode(`/rom@genroms/${load.rom}\0`));
    },
  };
}

/** QEMU maps the end of a microvm's BIOS below 1 MiB a second time, to be written to; here it is a copy. */
function biosInRam(bytes: Uint8Array): { address: number; data: Uint8Array } {
  const data = bytes.subarray(-Math.min(bytes.length, LOW_BIOS));
  return { address: MIB - data.length, data };
}

const fileName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
