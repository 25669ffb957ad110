// The ACPI tables of the microvm machine as QEMU 7.2 makes them: hardware-reduced ACPI (ACPI 6.4, 4.1) with a DSDT of
// fw_cfg, serial port, RTC, Generic Event Device, power button and the virtio-mmio slots that hold a device; FADT revision
// 5 without a FACS, MADT with two I/O APICs, XSDT, RSDP revision 2. In the form of tables.ts.

import {
  GED_BASE,
  GED_IRQ,
  GED_POWER_BUTTON,
  GED_REGS_BASE,
  GED_RESET,
  GED_RESET_VALUE,
  GED_SIZE,
  GED_SLEEP_CONTROL,
  GED_SLEEP_STATUS,
  GED_SLEEP_TYPE_S5,
} from '../devices/acpi/acpi-ged.js';
import { VIRTIO_MMIO_BASE, VIRTIO_MMIO_SIZE } from '../devices/virtio/virtio-mmio.js';
import * as aml from './aml.js';
import { type AcpiBlobs, OEM_ID, TableBlob, table, Writer } from './tables.js';

export interface MicrovmAcpiOptions {
  /** Address and first interrupt of each I/O APIC. */
  ioapics: readonly { base: number; gsi: number }[];
  /** virtio-mmio slots that hold a device, in the order in which they were filled. */
  virtio: readonly { slot: number; gsi: number }[];
  /** fw_cfg has its DMA interface. Default true. */
  fwCfgDma?: boolean;
}

const FADT_SIZE = 268 - 36;
/** Hardware-reduced ACPI; the reset register exists. */
const FADT_FLAGS = 0x10_0400;
/** Offsets within the FADT's body, behind the header of 36 bytes. */
const F = { FLAGS: 76, RESET_REG: 80, RESET_VALUE: 92, SLEEP_CONTROL: 208, SLEEP_STATUS: 220 } as const;
/** The two pointers to the DSDT within the FADT. */
const DSDT_POINTERS: readonly [number, 4 | 8][] = [
  [40, 4],
  [140, 8],
];

const resources = (...descriptors: readonly aml.Aml[]): aml.Aml =>
  aml.defineName('_CRS', aml.resourceTemplate(...descriptors));
const hid = (id: aml.Aml): aml.Aml => aml.defineName('_HID', id);
const uid = (id: aml.Aml): aml.Aml => aml.defineName('_UID', id);
const status = (value: number): aml.Aml => aml.defineName('_STA', aml.integer(value));

function gedDevice(): aml.Aml {
  const pressed = aml.integer(GED_POWER_BUTTON);
  return aml.device(
    'GED',
    hid(aml.string('ACPI0013')),
    uid(aml.string('GED')),
    resources(aml.ownInterrupt(GED_IRQ, true)),
    aml.operationRegion('EREG', aml.REGION_MEMORY, GED_BASE, GED_SIZE),
    aml.field('EREG', aml.ACCESS_DWORD, [['ESEL', 32]], false, aml.WRITE_AS_ZEROS),
    aml.method(
      '_EVT',
      1,
      [
        aml.store(aml.name('ESEL'), aml.local(0)),
        aml.when(aml.equal(aml.and(aml.local(0), pressed), pressed), aml.notify(aml.name('PWRB'), aml.integer(0x80))),
      ],
      true,
    ),
  );
}

function virtioDevice({ slot, gsi }: { slot: number; gsi: number }): aml.Aml {
  const base = VIRTIO_MMIO_BASE + slot * VIRTIO_MMIO_SIZE;
  return aml.device(
    `VR${String(slot).padStart(2, '0')}`,
    hid(aml.string('LNRO0005')),
    uid(aml.integer(slot)),
    aml.defineName('_CCA', aml.integer(1)),
    resources(aml.memory32Fixed(base, VIRTIO_MMIO_SIZE, true), aml.ownInterrupt(gsi, false)),
  );
}

function dsdt(options: MicrovmAcpiOptions): aml.Aml {
  const ports = options.fwCfgDma === false ? 2 : 12;
  const off = [GED_SLEEP_TYPE_S5, 0, 0, 0].map((value) => aml.integer(value));
  return aml.terms(
    aml.scope(
      '_SB',
      aml.device('FWCF', hid(aml.string('QEMU0002')), status(0x0b), resources(aml.ioPorts(0x510, ports))),
      aml.device(
        'COM1',
        hid(aml.eisaId('PNP0501')),
        uid(aml.integer(1)),
        status(0x0f),
        resources(aml.ioPorts(0x3f8, 8, 0), aml.irqNoFlags(4)),
      ),
      aml.device('RTC', hid(aml.eisaId('PNP0B00')), resources(aml.ioPorts(0x70, 8), aml.irqNoFlags(8))),
      gedDevice(),
      aml.device('PWRB', hid(aml.string('PNP0C0C')), uid(aml.integer(0))),
      ...options.virtio.map(virtioDevice),
    ),
    aml.scope('\\', aml.defineName('_S5', aml.packageOf(...off))),
  );
}

function fadt(): Uint8Array {
  const body = new Uint8Array(FADT_SIZE);
  const view = new DataView(body.buffer);
  /** A byte-wide register in memory (5.2.3.2). */
  const register = (at: number, offset: number): void => {
    body[at + 1] = 8;
    view.setBigUint64(at + 4, BigInt(GED_REGS_BASE + offset), true);
  };
  view.setUint32(F.FLAGS, FADT_FLAGS, true);
  register(F.RESET_REG, GED_RESET);
  body[F.RESET_VALUE] = GED_RESET_VALUE;
  register(F.SLEEP_CONTROL, GED_SLEEP_CONTROL);
  register(F.SLEEP_STATUS, GED_SLEEP_STATUS);
  return table('FACP', 5, body);
}

/** One processor, the I/O APICs, NMI at LINT1. */
function madt({ ioapics }: MicrovmAcpiOptions): Uint8Array {
  const body = new Writer().number(0xfee0_0000, 4).number(1, 4);
  body.bytes(Uint8Array.of(0, 8, 0, 0)).number(1, 4);
  ioapics.forEach(({ base, gsi }, id) => {
    body
      .bytes(Uint8Array.of(1, 12, id, 0))
      .number(base, 4)
      .number(gsi, 4);
  });
  body.bytes(Uint8Array.of(4, 6, 0xff, 0, 0, 1));
  return table('APIC', 1, body.toBytes());
}

/** Build everything, unplaced. */
export function buildMicrovmAcpiTables(options: MicrovmAcpiOptions): AcpiBlobs {
  const blob = new TableBlob();
  const { fixups } = blob;
  blob.add(table('DSDT', 2, dsdt(options)));
  const described = [blob.add(fadt(), DSDT_POINTERS), blob.add(madt(options))];
  const xsdt = blob.addPointers('XSDT', 8, described);
  const rsdp = new Writer().text('RSD PTR ').number(0, 1).text(OEM_ID).number(2, 1).number(0, 4).number(36, 4);
  rsdp.number(xsdt, 8).number(0, 4);
  fixups.push({ checksum: { blob: 'rsdp', offset: 8, start: 0, length: 20 } });
  fixups.push({ pointer: { blob: 'rsdp', offset: 24, size: 8 } });
  fixups.push({ checksum: { blob: 'rsdp', offset: 32, start: 0, length: 36 } });
  return { tables: blob.out.toBytes(), rsdp: rsdp.toBytes(), fixups, offsets: blob.offsets };
}
