import test from 'ava';
import { buildAcpiTables } from '../../src/platform/acpi/tables.js';
import { E820_RAM, firmwareE820, MIB } from '../../src/platform/e820.js';
import { placeFirmwareTables } from '../../src/platform/firmware-tables.js';
import { buildSmbios } from '../../src/platform/smbios.js';

const RAM_SIZE = 16 * MIB;

for (const rsdpRevision of [0, 2] as const) {
  test(`tables with an RSDP of revision ${rsdpRevision} are found by scanning and lie in reserved memory`, (t) => {
    const ram = Buffer.alloc(RAM_SIZE);
    const written: [number, number][] = [];
    const memory = {
      ramSize: RAM_SIZE,
      read: (address: number, length: number) => ram.subarray(address, address + length),
      write: (address: number, data: Uint8Array) => {
        for (const [start, end] of written) t.true(address >= end || address + data.length <= start, 'no overlap');
        written.push([address, address + data.length]);
        ram.set(data, address);
      },
    };
    const rsdp = placeFirmwareTables(memory, {
      ramSize: RAM_SIZE,
      acpi: buildAcpiTables({ lowMemoryEnd: RAM_SIZE, rsdpRevision }),
      smbios: buildSmbios({ ramSize: RAM_SIZE, cpuSignature: 0, cpuFeatures: 0 }),
    });
    t.is(ram.toString('latin1', rsdp, rsdp + 8), 'RSD PTR ');
    t.is(rsdp % 16, 0);
    const rsdt = ram.readUInt32LE(rsdp + 16);
    t.is(ram.toString('latin1', rsdt, rsdt + 4), 'RSDT');
    const anchor = ram.indexOf('_SM_', 0xf0000);
    t.is(anchor % 16, 0);
    t.is(ram[ram.readUInt32LE(anchor + 24)], 1, 'the first structure is that of the system');
    const usable = firmwareE820(RAM_SIZE).filter(({ type }) => type === E820_RAM);
    for (const [start, end] of written) {
      t.false(usable.some(({ address, length }) => start < address + length && end > address));
    }
  });
}
