// What the pc machine's DSDT says about hotplug, as in QEMU 7.2's own table: the PCI slots with their numbers, labels and
// ejection over the registers at 0xae00 (devices/acpi/pci-hotplug.ts, GPE 1), the processors over those at 0xaf00
// (devices/acpi/cpu-hotplug.ts, GPE 2). Nothing is plugged in while a guest runs here, and there is one processor, but a
// guest may eject what is in a slot.

import * as aml from './aml.js';

const PCI_SLOTS = 32;
const n = aml.integer;
const [zero, one] = [n(0), n(1)];
/** Notifications: look again what is there; please eject. */
const DEVICE_CHECK = 1;
const EJECT_REQUEST = 3;
/** _DSM: PCI firmware specification 3.3, 4.6. */
const LABEL_UUID = 'e5c937d0-3553-4d7a-9117-ea4d19c3434d';
const LABEL_FUNCTION = 7;

const region = (path: string, base: number, length: number, fields: readonly [string, number][]): aml.Aml[] => [
  aml.operationRegion(path, aml.REGION_IO, base, length),
  aml.field(path, aml.ACCESS_DWORD, fields, false, aml.WRITE_AS_ZEROS),
];
const locked = (path: string, ...content: readonly aml.Aml[]): aml.Aml[] => [
  aml.acquire(path),
  ...content,
  aml.release(path),
];
/** A field of resources that no other device may take. */
const resources = (path: string, uid: string, base: number, length: number): aml.Aml =>
  aml.device(
    path,
    aml.defineName('_HID', aml.string('PNP0A06')),
    aml.defineName('_UID', aml.string(uid)),
    aml.defineName('_STA', n(0x0b)),
    aml.defineName('_CRS', aml.resourceTemplate(aml.ioPorts(base, length))),
  );

/** \_SB.PCI0: the registers at 0xae00, ejection (PCEJ), a slot's label (AIDX, PDSM). */
export function pciHotplugMethods(): aml.Aml[] {
  const [bus, slotBit] = [aml.name('BNUM'), aml.shiftLeft(one, aml.arg(1))];
  const none = (value: aml.Aml): [aml.Aml, aml.Aml] => [aml.equal(value, zero), aml.equal(value, n(0xffffffff))];
  const parameter = (at: number) => aml.derefOf(aml.index(aml.arg(4), n(at)));
  const [result, functions, label] = [aml.local(0), aml.local(1), aml.local(2)];
  const readLabel = aml.store(aml.call('AIDX', parameter(0), parameter(1)), label);
  return [
    ...region('PCST', 0xae00, 8, [
      ['PCIU', 32],
      ['PCID', 32],
    ]),
    ...region('SEJ', 0xae08, 4, [['B0EJ', 32]]),
    ...region('BNMR', 0xae10, 8, [
      ['BNUM', 32],
      ['PIDX', 32],
    ]),
    aml.mutex('BLCK'),
    aml.method('PCEJ', 2, [
      ...locked('BLCK', aml.store(aml.arg(0), bus), aml.store(slotBit, aml.name('B0EJ'))),
      aml.returns(zero),
    ]),
    aml.method('AIDX', 2, [
      ...locked(
        'BLCK',
        aml.store(aml.arg(0), bus),
        aml.store(slotBit, aml.name('PIDX')),
        aml.store(aml.name('PIDX'), aml.local(0)),
      ),
      aml.returns(aml.local(0)),
    ]),
    aml.method(
      'PDSM',
      5,
      [
        aml.when(
          aml.equal(aml.arg(2), zero),
          aml.store(aml.buffer(Uint8Array.of(0)), result),
          aml.store(zero, functions),
          aml.when(aml.not(aml.equal(aml.arg(0), aml.uuid(LABEL_UUID))), aml.returns(result)),
          aml.when(aml.less(aml.arg(1), n(2)), aml.returns(result)),
          readLabel,
          aml.when(
            aml.not(aml.or(...none(label))),
            aml.or(functions, one, functions),
            aml.or(functions, aml.shiftLeft(one, n(LABEL_FUNCTION)), functions),
          ),
          aml.store(functions, aml.index(result, zero)),
          aml.returns(result),
        ),
        aml.when(
          aml.equal(aml.arg(2), n(LABEL_FUNCTION)),
          readLabel,
          aml.store(aml.emptyPackage(2), result),
          aml.when(
            aml.not(aml.logicalOr(...none(label))),
            aml.store(label, aml.index(result, zero)),
            aml.store(aml.string(''), aml.index(result, one)),
          ),
          aml.returns(result),
        ),
      ],
      true,
    ),
  ];
}

export const pciHotplugResources = (): aml.Aml => resources('PHPR', 'PCI Hotplug resources', 0xae00, 0x18);
export const gpeResources = (): aml.Aml => resources('GPE0', 'GPE0 resources', 0xafe0, 4);

const slotName = (slot: number): string => `S${(slot * 8).toString(16).toUpperCase().padStart(2, '0')}`;

/**
 * \_SB.PCI0 with a device for each slot, and what to do when slots change (PCNT).
 * @param southBridge content of slot 1
 * @param vga there is a display in slot 2
 */
export function pciSlots(southBridge: readonly aml.Aml[], vga: boolean): aml.Aml {
  const slots: aml.Aml[] = [];
  const notifications: aml.Aml[] = [];
  const label = aml.method(
    '_DSM',
    4,
    [
      aml.store(aml.packageOf(aml.name('BSEL'), aml.name('ASUN')), aml.local(0)),
      aml.returns(aml.call('PDSM', aml.arg(0), aml.arg(1), aml.arg(2), aml.arg(3), aml.local(0))),
    ],
    true,
  );
  const eject = aml.method('_EJ0', 1, [aml.call('PCEJ', aml.name('BSEL'), aml.name('_SUN'))]);
  for (let slot = 0; slot < PCI_SLOTS; slot++) {
    const fixed = slot < 2 || (slot === 2 && vga);
    const own = !fixed
      ? [aml.defineName('_SUN', n(slot)), eject]
      : slot === 1
        ? southBridge
        : slot === 2
          ? displayStates()
          : [];
    slots.push(
      aml.device(
        slotName(slot),
        aml.defineName('_ADR', n(slot * 0x10000)),
        aml.defineName('ASUN', n(slot)),
        label,
        ...own,
      ),
    );
    const changed = aml.and(aml.arg(0), n(2 ** slot));
    if (!fixed) notifications.push(aml.when(changed, aml.notify(aml.name(slotName(slot)), aml.arg(1))));
  }
  return aml.scope(
    'PCI0',
    aml.defineName('BSEL', zero),
    ...slots,
    aml.method('DVNT', 2, notifications),
    aml.method('PCNT', 0, [
      aml.store(zero, aml.name('BNUM')),
      aml.call('DVNT', aml.name('PCIU'), n(DEVICE_CHECK)),
      aml.call('DVNT', aml.name('PCID'), n(EJECT_REQUEST)),
    ]),
  );
}

/** A display stays on in S1 to S3. */
const displayStates = (): aml.Aml[] => ['_S1D', '_S2D', '_S3D'].map((path) => aml.method(path, 0, [aml.returns(zero)]));

/** \_GPE: a slot has changed. */
export const pciHotplugEvent = (): aml.Aml =>
  aml.method('_E01', 0, locked('\\_SB.PCI0.BLCK', aml.call('\\_SB.PCI0.PCNT')));

const PRES = '\\_SB.PCI0.PRES';
const LOCK = `${PRES}.CPLK`;
const pres = (path: string): aml.Aml => aml.name(`${PRES}.${path}`);
/** Most processors that are told of at once. */
const BATCH = 0xff;

/** \_SB: the registers at 0xaf00 and the processors, of which there is one. */
export const cpuHotplug = (): aml.Aml => aml.scope('_SB', cpuRegisters(), cpuContainer());

/** \_GPE._E02: a processor has come or is to go. */
export const cpuHotplugEvent = (): aml.Aml => aml.method('\\_GPE._E02', 0, [aml.call('\\_SB.CPUS.CSCN')]);

function cpuRegisters(): aml.Aml {
  return aml.device(
    PRES,
    aml.defineName('_HID', aml.eisaId('PNP0A06')),
    aml.defineName('_UID', aml.string('CPU Hotplug resources')),
    aml.mutex('CPLK'),
    aml.defineName('_CRS', aml.resourceTemplate(aml.ioPorts(0xaf00, 0x0c))),
    aml.operationRegion('PRST', aml.REGION_IO, 0xaf00, 0x0c),
    aml.field(
      'PRST',
      aml.ACCESS_BYTE,
      [
        [undefined, 32],
        ['CPEN', 1],
        ['CINS', 1],
        ['CRMV', 1],
        ['CEJ0', 1],
        ['CEJF', 1],
        [undefined, 3],
        ['CCMD', 8],
      ],
      false,
      aml.WRITE_AS_ZEROS,
    ),
    aml.field('PRST', aml.ACCESS_DWORD, [
      ['CSEL', 32],
      [undefined, 32],
      ['CDAT', 32],
    ]),
    // The first write of 0 leaves the bitmap of older machines.
    aml.method('_INI', 0, [aml.store(zero, aml.name('CSEL'))], true),
  );
}

function cpuContainer(): aml.Aml {
  const [id, argument] = [aml.arg(0), aml.arg(1)];
  const select = (which: aml.Aml) => aml.store(which, pres('CSEL'));
  const serialized = (path: string, args: number, ...content: readonly aml.Aml[]) =>
    aml.method(path, args, content, true);
  return aml.device(
    '\\_SB.CPUS',
    aml.defineName('_HID', aml.string('ACPI0010')),
    aml.defineName('_CID', aml.eisaId('PNP0A05')),
    aml.method('CTFY', 2, [aml.when(aml.equal(id, zero), aml.notify(aml.name('C000'), argument))]),
    serialized(
      'CSTA',
      1,
      ...locked(
        LOCK,
        select(id),
        aml.store(zero, aml.local(0)),
        aml.when(aml.equal(pres('CPEN'), one), aml.store(n(0x0f), aml.local(0))),
      ),
      aml.returns(aml.local(0)),
    ),
    serialized('CEJ0', 1, ...locked(LOCK, select(id), aml.store(one, pres('CEJ0')))),
    serialized('CSCN', 0, ...locked(LOCK, ...scan())),
    serialized(
      'COST',
      4,
      ...locked(
        LOCK,
        select(id),
        aml.store(one, pres('CCMD')),
        aml.store(argument, pres('CDAT')),
        aml.store(n(2), pres('CCMD')),
        aml.store(aml.arg(2), pres('CDAT')),
      ),
    ),
    aml.processor(
      'C000',
      0,
      serialized('_STA', 0, aml.returns(aml.call('CSTA', zero))),
      // Its local APIC, as in the MADT.
      aml.defineName('_MAT', aml.buffer(Uint8Array.of(0, 8, 0, 0, 1, 0, 0, 0))),
      serialized('_OST', 3, aml.call('COST', zero, aml.arg(0), aml.arg(1), aml.arg(2))),
    ),
  );
}

/** Collect processors that have come, up to a batch; tell of those that are to go at once and of the others after it. */
function scan(): aml.Aml[] {
  const [event, count, told, processor, again] = [0, 1, 2, 3, 4].map(aml.local) as [
    aml.Aml,
    aml.Aml,
    aml.Aml,
    aml.Aml,
    aml.Aml,
  ];
  const batch = aml.name('CNEW');
  const found = aml.store(one, event);
  return [
    aml.defineName('CNEW', aml.emptyPackage(BATCH)),
    aml.store(zero, processor),
    aml.store(one, again),
    aml.loop(
      aml.equal(again, one),
      aml.store(zero, again),
      found,
      aml.store(zero, count),
      aml.loop(
        aml.logicalAnd(aml.equal(event, one), aml.less(processor, one)),
        aml.store(zero, event),
        aml.store(processor, pres('CSEL')),
        aml.store(zero, pres('CCMD')),
        aml.when(aml.less(pres('CDAT'), processor), aml.leaveLoop),
        aml.when(aml.equal(count, n(BATCH)), aml.store(one, again), aml.leaveLoop),
        aml.store(pres('CDAT'), processor),
        aml.when(
          aml.equal(pres('CINS'), one),
          aml.store(processor, aml.index(batch, count)),
          aml.increment(count),
          found,
        ),
        aml.otherwise(
          aml.when(
            aml.equal(pres('CRMV'), one),
            aml.call('CTFY', processor, n(EJECT_REQUEST)),
            aml.store(one, pres('CRMV')),
            found,
          ),
        ),
        aml.increment(processor),
      ),
      aml.store(zero, told),
      aml.loop(
        aml.less(told, count),
        aml.store(aml.derefOf(aml.index(batch, told)), processor),
        aml.call('CTFY', processor, n(DEVICE_CHECK)),
        aml.store(processor, aml.debugObject),
        aml.store(processor, pres('CSEL')),
        aml.store(one, pres('CINS')),
        aml.increment(told),
      ),
    ),
  ];
}
