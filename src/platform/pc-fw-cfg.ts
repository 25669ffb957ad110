// What QEMU 7.2's pc machine puts into fw_cfg whatever it boots: machine facts, memory map, ACPI tables with their
// loader script, SMBIOS. Kernels, option ROMs and boot order are added by the boot routes.

import { acpiFwCfgFiles } from './acpi/table-loader.js';
import type { AcpiBlobs } from './acpi/tables.js';
import { FW_CFG, type FwCfg } from './devices/fw-cfg.js';
import { HPET_BASE, HPET_CAPABILITIES } from './devices/time/hpet.js';
import { type E820Entry, encodeE820 } from './e820.js';
import type { SmbiosBlobs } from './smbios.js';

export interface PcFwCfgOptions {
  ramSize: number;
  e820: readonly E820Entry[];
  acpi: AcpiBlobs;
  smbios: SmbiosBlobs;
  /** The HPET exists. Default true. */
  hpet?: boolean;
  /** Firmware shall use the serial console. Default false. */
  noGraphic?: boolean;
  /** Firmware offers its boot menu. Default false. */
  bootMenu?: boolean;
}

const HPET_SLOTS = 8;
const HPET_ENTRY = 15;

/** `hpet_fw_config`: a count (0xff: none), then eight packed entries: block ID, address, minimum tick, protection. */
function hpetItem(present: boolean): Uint8Array {
  const data = new Uint8Array(1 + HPET_SLOTS * HPET_ENTRY);
  data[0] = present ? 1 : 0xff;
  if (present) {
    const view = new DataView(data.buffer);
    view.setUint32(1, HPET_CAPABILITIES, true);
    view.setBigUint64(5, BigInt(HPET_BASE), true);
  }
  return data;
}

/** Fill `fwCfg` with the pc machine's items. Call once. */
export function addPcItems(fwCfg: FwCfg, options: PcFwCfgOptions): void {
  fwCfg.addItem(FW_CFG.UUID, new Uint8Array(16));
  fwCfg.addInt64(FW_CFG.RAM_SIZE, BigInt(options.ramSize));
  fwCfg.addInt16(FW_CFG.NOGRAPHIC, options.noGraphic ? 1 : 0);
  fwCfg.addInt16(FW_CFG.NB_CPUS, 1);
  fwCfg.addInt16(FW_CFG.MAX_CPUS, 1);
  fwCfg.addInt16(FW_CFG.BOOT_MENU, options.bootMenu ? 1 : 0);
  // No NUMA nodes, and node 0 for the one processor.
  fwCfg.addItem(FW_CFG.NUMA, new Uint8Array(16));
  fwCfg.addInt32(FW_CFG.IRQ0_OVERRIDE, 1);
  fwCfg.addItem(FW_CFG.HPET, hpetItem(options.hpet !== false));
  fwCfg.addFile('bios-geometry', new Uint8Array(0));
  fwCfg.addFile('bootorder', new Uint8Array(0));
  fwCfg.addFile('etc/boot-fail-wait', Uint8Array.from([0xff, 0xff, 0xff, 0xff]));
  fwCfg.addFile('etc/e820', encodeE820(options.e820));
  // Bit 7: supported. S0, S1, S2, S3 (type 1), S4 (type 2), S5.
  fwCfg.addFile('etc/system-states', Uint8Array.from([0x80, 0, 0, 0x81, 0x82, 0x80]));
  for (const [name, data] of Object.entries(acpiFwCfgFiles(options.acpi))) fwCfg.addFile(name, data);
  // Present without a TPM, too, and empty.
  fwCfg.addFile('etc/tpm/log', new Uint8Array(0));
  fwCfg.addFile('etc/smbios/smbios-anchor', options.smbios.anchor);
  fwCfg.addFile('etc/smbios/smbios-tables', options.smbios.tables);
}
