// The pc machine's DSDT: root bridge with its windows and interrupt routing, links LNKA–LNKD and LNKS over the PIIX3's
// route registers, ISA devices, HPET, soft-off. Names, IDs, resources and methods are those of QEMU 7.2's own table;
// its parts for CPU, memory and PCI hotplug and for the floppy are left out with that hardware, and so are the sleep
// states _S3 and _S4. The routing package, which QEMU computes in a method, is written out.

import * as aml from './aml.js';

export interface DsdtOptions {
  /** First address of the PCI memory window: the end of RAM below 4 GiB. */
  lowMemoryEnd: number;
  /** End of RAM above 4 GiB, which a second PCI window of 2 GiB follows. Default 4 GiB: no such RAM. */
  highMemoryEnd?: number;
  /** COM1 exists. Default true. */
  serial?: boolean;
  /** The HPET exists. Default true. */
  hpet?: boolean;
  /** fw_cfg has its DMA interface. Default true. */
  fwCfgDma?: boolean;
}

const PCI_SLOTS = 32;
/** The memory window of the root bridge ends where the I/O APIC begins. */
const LOW_WINDOW_END = 0xfebfffff;
const GIB = 0x40000000;

/** The table's definition block, without the header. */
export function dsdtBody(options: DsdtOptions): aml.Aml {
  const hpet = options.hpet === false ? [] : [aml.scope('_SB', hpetDevice())];
  return aml.terms(
    aml.scope('_SB', rootBridge(options)),
    aml.scope('_SB', isaBridge(options)),
    aml.scope('_SB', ...interruptLinks()),
    ...hpet,
    // After the links: old interpreters resolve names in packages at once.
    aml.scope('\\_SB.PCI0', aml.defineName('_PRT', routingTable()), gpeResources(), fwCfgDevice(options)),
    aml.scope('\\', aml.defineName('_S5', aml.packageOf(aml.nothing, aml.nothing, aml.nothing, aml.nothing))),
  );
}

function rootBridge(options: DsdtOptions): aml.Aml {
  const highWindow = Math.ceil((options.highMemoryEnd ?? 4 * GIB) / GIB) * GIB;
  return aml.device(
    'PCI0',
    aml.defineName('_HID', aml.eisaId('PNP0A03')),
    aml.defineName('_ADR', aml.integer(0)),
    aml.defineName('_UID', aml.integer(0)),
    aml.defineName(
      '_CRS',
      aml.resourceTemplate(
        aml.busNumbers(0, 255),
        aml.ioPorts(0xcf8, 8),
        aml.ioWindow(0x0000, 0x0cf7),
        aml.ioWindow(0x0d00, 0xffff),
        aml.memoryWindow(0xa0000, 0xbffff, true),
        aml.memoryWindow(options.lowMemoryEnd, LOW_WINDOW_END, false),
        aml.memoryWindow(highWindow, highWindow + 2 * GIB - 1, true),
      ),
    ),
  );
}

/** Pin p of slot s goes to link (s + p − 1) mod 4; slot 1, the south bridge, has its SCI on LNKS. */
function routingTable(): aml.Aml {
  const links = ['LNKD', 'LNKA', 'LNKB', 'LNKC'];
  const entries: aml.Aml[] = [];
  for (let slot = 0; slot < PCI_SLOTS; slot++) {
    for (let pin = 0; pin < 4; pin++) {
      const link = slot === 1 && pin === 0 ? 'LNKS' : links[(slot + pin) & 3]!;
      const address = aml.integer(slot * 0x10000 + 0xffff);
      entries.push(aml.packageOf(address, aml.integer(pin), aml.name(link), aml.integer(0)));
    }
  }
  return aml.packageOf(...entries);
}

function interruptLinks(): aml.Aml[] {
  const enabled = aml.method('IQST', 1, [
    aml.when(aml.and(aml.integer(0x80), aml.arg(0)), aml.returns(aml.integer(0x09))),
    aml.returns(aml.integer(0x0b)),
  ]);
  const current = aml.method(
    'IQCR',
    1,
    [
      aml.defineName('PRR0', aml.resourceTemplate(aml.interrupts(0))),
      aml.createDWordField(aml.name('PRR0'), 5, 'PRRI'),
      aml.when(aml.less(aml.arg(0), aml.integer(0x80)), aml.store(aml.arg(0), aml.name('PRRI'))),
      aml.returns(aml.name('PRR0')),
    ],
    true,
  );
  const links = ['LNKA', 'LNKB', 'LNKC', 'LNKD'].map((link, n) => interruptLink(link, n));
  return [enabled, current, ...links, sciLink()];
}

function interruptLink(link: string, n: number): aml.Aml {
  const route = aml.name(`PRQ${n}`);
  return aml.device(
    link,
    aml.defineName('_HID', aml.eisaId('PNP0C0F')),
    aml.defineName('_UID', aml.integer(n)),
    aml.defineName('_PRS', aml.resourceTemplate(aml.interrupts(5, 10, 11))),
    aml.method('_STA', 0, [aml.returns(aml.call('IQST', route))]),
    aml.method('_DIS', 0, [aml.or(route, aml.integer(0x80), route)]),
    aml.method('_CRS', 0, [aml.returns(aml.call('IQCR', route))]),
    aml.method('_SRS', 1, [aml.createDWordField(aml.arg(0), 5, 'PRRI'), aml.store(aml.name('PRRI'), route)]),
  );
}

function sciLink(): aml.Aml {
  return aml.device(
    'LNKS',
    aml.defineName('_HID', aml.eisaId('PNP0C0F')),
    aml.defineName('_UID', aml.integer(4)),
    aml.defineName('_PRS', aml.resourceTemplate(aml.interrupts(9))),
    aml.method('_STA', 0, [aml.returns(aml.integer(0x0b))]),
    aml.method('_DIS', 0, []),
    aml.method('_CRS', 0, [aml.returns(aml.name('_PRS'))]),
    aml.method('_SRS', 1, []),
  );
}

/** \_SB.HPET; absent if its vendor or period registers are not plausible. */
function hpetDevice(): aml.Aml {
  const absent = aml.returns(aml.integer(0));
  const isNot = (value: aml.Aml, limit: aml.Aml) =>
    aml.when(aml.logicalOr(aml.equal(value, aml.integer(0)), limit), absent);
  return aml.device(
    'HPET',
    aml.defineName('_HID', aml.eisaId('PNP0103')),
    aml.defineName('_UID', aml.integer(0)),
    aml.operationRegion('HPTM', aml.REGION_MEMORY, 0xfed00000, 0x400),
    aml.field(
      'HPTM',
      aml.ACCESS_DWORD,
      [
        ['VEND', 32],
        ['PRD', 32],
      ],
      true,
    ),
    aml.method('_STA', 0, [
      aml.store(aml.name('VEND'), aml.local(0)),
      aml.store(aml.name('PRD'), aml.local(1)),
      aml.shiftRight(aml.local(0), aml.integer(16), aml.local(0)),
      isNot(aml.local(0), aml.equal(aml.local(0), aml.integer(0xffff))),
      isNot(aml.local(1), aml.greater(aml.local(1), aml.integer(100_000_000))),
      aml.returns(aml.integer(0x0f)),
    ]),
    aml.defineName('_CRS', aml.resourceTemplate(aml.memory32Fixed(0xfed00000, 0x400, false))),
  );
}

/** A device of fixed resources; `status` becomes _STA. */
function isaDevice(path: string, id: aml.Aml, status: number | undefined, ...resources: aml.Aml[]): aml.Aml {
  return aml.device(
    path,
    aml.defineName('_HID', id),
    ...(status === undefined ? [] : [aml.defineName('_STA', aml.integer(status))]),
    aml.defineName('_CRS', aml.resourceTemplate(...resources)),
  );
}

/** 00:01.0 with the route registers and what sits on the ISA bus. */
function isaBridge(options: DsdtOptions): aml.Aml {
  const serial = aml.device(
    'COM1',
    aml.defineName('_HID', aml.eisaId('PNP0501')),
    aml.defineName('_UID', aml.integer(1)),
    aml.defineName('_STA', aml.integer(0x0f)),
    aml.defineName('_CRS', aml.resourceTemplate(aml.ioPorts(0x3f8, 8, 0), aml.irqNoFlags(4))),
  );
  return aml.scope(
    'PCI0',
    aml.device('S00', aml.defineName('_ADR', aml.integer(0))),
    aml.device(
      'S08',
      aml.defineName('_ADR', aml.integer(0x10000)),
      aml.operationRegion('P40C', aml.REGION_PCI_CONFIG, 0x60, 4),
      aml.scope(
        '\\_SB',
        aml.field('PCI0.S08.P40C', aml.ACCESS_BYTE, [
          ['PRQ0', 8],
          ['PRQ1', 8],
          ['PRQ2', 8],
          ['PRQ3', 8],
        ]),
      ),
      isaDevice('KBD', aml.eisaId('PNP0303'), 0x0f, aml.ioPorts(0x60, 1), aml.ioPorts(0x64, 1), aml.irqNoFlags(1)),
      isaDevice('MOU', aml.eisaId('PNP0F13'), 0x0f, aml.irqNoFlags(12)),
      ...(options.serial === false ? [] : [serial]),
      isaDevice('RTC', aml.eisaId('PNP0B00'), undefined, aml.ioPorts(0x70, 8), aml.irqNoFlags(8)),
    ),
  );
}

function gpeResources(): aml.Aml {
  return aml.device(
    'GPE0',
    aml.defineName('_HID', aml.string('PNP0A06')),
    aml.defineName('_UID', aml.string('GPE0 resources')),
    aml.defineName('_STA', aml.integer(0x0b)),
    aml.defineName('_CRS', aml.resourceTemplate(aml.ioPorts(0xafe0, 4))),
  );
}

function fwCfgDevice(options: DsdtOptions): aml.Aml {
  return isaDevice('FWCF', aml.string('QEMU0002'), 0x0b, aml.ioPorts(0x510, options.fwCfgDma === false ? 2 : 12));
}
