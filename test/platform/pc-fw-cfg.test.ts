import test from 'ava';
import { buildAcpiTables } from '../../src/platform/acpi/tables.js';
import { FW_CFG, FwCfg } from '../../src/platform/devices/fw-cfg.js';
import { fwCfgE820, MIB } from '../../src/platform/e820.js';
import { addPcItems } from '../../src/platform/pc-fw-cfg.js';
import { buildSmbios } from '../../src/platform/smbios.js';

const RAM_SIZE = 128 * MIB;

function filled(hpet?: boolean) {
  const fwCfg = new FwCfg({ ramSize: RAM_SIZE, read: () => new Uint8Array(0), write: () => {} });
  addPcItems(fwCfg, {
    ramSize: RAM_SIZE,
    e820: fwCfgE820(RAM_SIZE, { amd: true }),
    acpi: buildAcpiTables({ lowMemoryEnd: RAM_SIZE }),
    smbios: buildSmbios({ ramSize: RAM_SIZE, cpuSignature: 0x60fb1, cpuFeatures: 0x78bfbfd }),
    ...(hpet === undefined ? {} : { hpet }),
  });
  return fwCfg;
}

test('files have the names and sizes that QEMU 7.2 gives them', (t) => {
  t.deepEqual(
    filled()
      .list()
      .map(({ name, size }) => [name, size]),
    [
      ['bios-geometry', 0],
      ['bootorder', 0],
      ['etc/acpi/rsdp', 20],
      ['etc/acpi/tables', 131072],
      ['etc/boot-fail-wait', 4],
      ['etc/e820', 40],
      ['etc/smbios/smbios-anchor', 31],
      ['etc/smbios/smbios-tables', 321],
      ['etc/system-states', 6],
      ['etc/table-loader', 4096],
      ['etc/tpm/log', 0],
    ],
  );
});

test('numbered items have the content that QEMU 7.2 gives them', (t) => {
  const fwCfg = filled();
  const item = (key: number) => Buffer.from(fwCfg.content(key)!).toString('hex');
  t.is(item(FW_CFG.RAM_SIZE), '0000000800000000');
  t.is(item(FW_CFG.NB_CPUS), '0100');
  t.is(item(FW_CFG.MAX_CPUS), '0100');
  t.is(item(FW_CFG.IRQ0_OVERRIDE), '01000000');
  t.is(item(FW_CFG.HPET), `0101a286800000d0fe${'00'.repeat(112)}`);
});

test('without an HPET its item says that there is none', (t) => {
  t.is(filled(false).content(FW_CFG.HPET)![0], 0xff);
});
