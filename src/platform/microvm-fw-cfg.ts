// What QEMU 7.2's microvm machine puts into fw_cfg whatever it boots: memory size and map, ACPI tables with their loader
// script where there is ACPI, the device tree. Kernels and option ROMs are added by the boot routes.

import { acpiFwCfgFiles } from './acpi/table-loader.js';
import type { AcpiBlobs } from './acpi/tables.js';
import { microvmDeviceTree } from './device-tree.js';
import { FW_CFG, type FwCfg } from './devices/fw-cfg.js';
import { type E820Entry, encodeE820 } from './e820.js';
import type { MicrovmLayout } from './microvm.js';

export interface MicrovmFwCfgOptions {
  ramSize: number;
  e820: readonly E820Entry[];
  layout: MicrovmLayout;
  /** Absent without ACPI. */
  acpi?: AcpiBlobs;
}

/** Fill `fwCfg` with the microvm machine's items. Call once. */
export function addMicrovmItems(fwCfg: FwCfg, { ramSize, e820, layout, acpi }: MicrovmFwCfgOptions): void {
  fwCfg.addItem(FW_CFG.UUID, new Uint8Array(16));
  fwCfg.addInt64(FW_CFG.RAM_SIZE, BigInt(ramSize));
  fwCfg.addInt16(FW_CFG.NOGRAPHIC, 0);
  fwCfg.addInt16(FW_CFG.NB_CPUS, 1);
  fwCfg.addInt16(FW_CFG.MAX_CPUS, 1);
  fwCfg.addInt16(FW_CFG.BOOT_MENU, 0);
  fwCfg.addInt32(FW_CFG.IRQ0_OVERRIDE, 1);
  fwCfg.addFile('bios-geometry', new Uint8Array(0));
  fwCfg.addFile('bootorder', new Uint8Array(0));
  fwCfg.addFile('etc/boot-fail-wait', Uint8Array.of(0xff, 0xff, 0xff, 0xff));
  fwCfg.addFile('etc/e820', encodeE820(e820));
  if (acpi) for (const [name, data] of Object.entries(acpiFwCfgFiles(acpi, false))) fwCfg.addFile(name, data);
  const last = layout.ioapics.at(-1)!;
  const tree = microvmDeviceTree({
    ioapics: layout.ioapics.map(({ base }) => base),
    virtio: layout.virtio.map(({ slot, gsi }) => ({ slot, pin: gsi - last.gsi })),
  });
  fwCfg.addFile('etc/fdt', tree);
}
