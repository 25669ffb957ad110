// ACPI and SMBIOS tables in memory for boots without firmware, in the places that SeaBIOS gives them in QEMU 7.2's
// pc: the ACPI tables in the last 128 KiB of RAM below 4 GiB, which the memory map reserves, RSDP and SMBIOS in the BIOS
// segment. Left out: the MP table, which no system that knows ACPI reads.

import type { GuestMemory } from '../cpu/bus.js';
import { type AcpiBlobs, placeAcpiTables } from './acpi/tables.js';
import { FIRMWARE_RESERVED, splitRam } from './e820.js';
import { placeSmbios, type SmbiosBlobs } from './smbios.js';

const RSDP_ADDRESS = 0xf59d0;
const SMBIOS_ANCHOR = 0xf5a00;
const SMBIOS_TABLES = 0xf5a20;
const SMBIOS_END = 0x100000;

/**
 * Write the tables. Returns the physical address of the RSDP, which boot protocols can hand over.
 * @throws RangeError if a table does not fit into its place
 */
export function placeFirmwareTables(
  memory: GuestMemory,
  tables: { ramSize: number; acpi: AcpiBlobs; smbios: SmbiosBlobs },
): number {
  const { acpi, smbios } = tables;
  if (acpi.tables.length > FIRMWARE_RESERVED || smbios.tables.length > SMBIOS_END - SMBIOS_TABLES) {
    throw new RangeError('firmware tables do not fit');
  }
  const placed = placeAcpiTables(acpi, splitRam(tables.ramSize).below - FIRMWARE_RESERVED);
  memory.write(placed.tablesAddress, placed.tables);
  memory.write(RSDP_ADDRESS, placed.rsdp);
  memory.write(SMBIOS_ANCHOR, placeSmbios(smbios, SMBIOS_TABLES));
  memory.write(SMBIOS_TABLES, smbios.tables);
  return RSDP_ADDRESS;
}
