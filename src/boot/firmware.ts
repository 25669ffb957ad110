// -kernel with firmware: nothing is loaded here but what QEMU itself puts into memory. The kernel is cut up and offered
// through fw_cfg, and an option ROM, which the firmware runs as a boot device, fetches it, builds what the kernel's
// protocol asks for, and enters it. Which ROM, and which items with which bytes, is QEMU 7.2's choice
// (hw/i386/x86.c, hw/i386/multiboot.c; docs/specs/fw_cfg.rst for the keys).
//
// Invariant: items depend on the files' bytes and base names, the command line and the machine alone.
// Left out: kernels without any header, which QEMU takes for Linux 1.x; device trees; SEV.

import { ImageError } from './boot-error.js';
import { isElf } from './elf.js';
import type { FirmwareLoad, FirmwareRequest } from './firmware-items.js';
import { linuxItems } from './firmware-linux.js';
import { multibootItems } from './firmware-multiboot.js';
import { pvhItems } from './firmware-pvh.js';
import { findMultibootHeader } from './multiboot-header.js';

/** QEMU's acpi_data_size: room below the end of low RAM that no initrd may take. */
const TABLES_RESERVED = 0x2_8000;
/** QEMU looks for the header in the first 8 KiB, where its 48 bytes have to fit. */
const MULTIBOOT_LAST = 8192 - 48;

/**
 * What a kernel is turned into.
 * @throws ImageError when the file is no kernel that QEMU's option ROMs boot, is damaged, or does not fit the machine
 */
export function firmwareLoad(request: FirmwareRequest): FirmwareLoad {
  const { kernel } = request;
  const { bytes } = kernel;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const suffix = request.dma === false ? '' : '_dma';
  const initrdEnd = request.lowMemoryEnd - (request.tablesReserved ?? TABLES_RESERVED) - 1;
  if (bytes.length >= 0x206 && view.getUint32(0x202, true) === 0x5372_6448) {
    refuseModules(request);
    return { rom: `linuxboot${suffix}.bin`, ...linuxItems(request, initrdEnd) };
  }
  const multiboot = findMultibootHeader(bytes);
  if (multiboot !== undefined && multiboot < MULTIBOOT_LAST)
    return { rom: `multiboot${suffix}.bin`, ...multibootItems(request, multiboot) };
  if (isElf(bytes)) {
    refuseModules(request);
    return { rom: 'pvh.bin', ...pvhItems(request, initrdEnd) };
  }
  throw new ImageError(
    `${kernel.name}: the file has no Linux setup header, multiboot header or ELF magic; give a kernel that QEMU's option ROMs boot`,
  );
}

function refuseModules({ modules, kernel }: FirmwareRequest): void {
  if (modules && modules.length > 0)
    throw new ImageError(`${kernel.name}: through firmware only multiboot kernels take --module; use --initrd`);
}
