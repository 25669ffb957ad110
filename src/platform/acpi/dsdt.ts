// The pc machine's DSDT, byte for byte that of QEMU 7.2 for the same devices: root bridge with its windows and interrupt
// routing, links LNKA–LNKD and LNKS over the PIIX3's route registers, ISA devices, HPET, sleep states, and hotplug of
// processors and PCI functions (dsdt-hotplug.ts). test/platform/acpi/tables.test.ts has hashes of QEMU's tables.

import * as aml from './aml.js';
import {
  cpuHotplug,
  cpuHotplugEvent,
  gpeResources,
  pciHotplugEvent,
  pciHotplugMethods,
  pciHotplugResources,
  pciSlots,
} from './dsdt-hotplug.js';
import { prebuilt } from './prebuilt-dsdt.js';

export interface DsdtOptions {
  /** First address of the PCI memory window: the end of RAM below 4 GiB. */
  lowMemoryEnd: number;
  /** End of RAM above 4 GiB, which a second PCI window of 2 GiB follows. Default 4 GiB: no such RAM. */
  highMemoryEnd?: number;
  /** COM1 exists. Default true. */
  serial?: boolean;
  /** A VGA is in slot 2. Default false. */
  vga?: boolean;
  /** The HPET exists. Default true. */
  hpet?: boolean;
  /** fw_cfg has its DMA interface. Default true. */
  fwCfgDma?: boolean;
}

const PCI_SLOTS = 32;
/** The memory window of the root bridge ends where the I/O APIC begins. */
const LOW_WINDOW_END = 0xfebfffff;
const GIB = 0x40000000;

/** Definition blocks made beforehand, by keyOf(). Plain data. */
export type PackedDsdt = Readonly<Record<string, { readonly body: string; readonly resourcesAt: number }>>;

/** What blocks differ by, but for the windows of the root bridge, which take the same room in all. */
const keyOf = ({ serial, vga, hpet, fwCfgDma }: DsdtOptions): string =>
  [serial !== false, vga === true, hpet !== false, fwCfgDma !== false].map(Number).join('');

/** The blocks of usual machines, for a build to keep. */
export function packDsdt(): PackedDsdt {
  const machines: DsdtOptions[] = [false, true].map((vga) => ({ lowMemoryEnd: 0x800_0000, vga }));
  return Object.fromEntries(
    machines.map((options) => {
      const body = Buffer.from(makeBody(options));
      return [keyOf(options), { body: body.toString('base64'), resourcesAt: body.indexOf(rootResources(options)) }];
    }),
  );
}

/**
 * The table's definition block, without the header.
 * @param kept where blocks are looked for first: making one runs two thousand terms
 */
export function dsdtBody(options: DsdtOptions, kept: PackedDsdt | undefined = prebuilt): aml.Aml {
  const packed = kept?.[keyOf(options)];
  if (packed === undefined) return makeBody(options);
  const body = new Uint8Array(Buffer.from(packed.body, 'base64'));
  body.set(rootResources(options), packed.resourcesAt);
  return body;
}

function makeBody(options: DsdtOptions): aml.Aml {
  const hpet = options.hpet === false ? [] : [aml.scope('_SB', hpetDevice())];
  return aml.terms(
    debugMethod(),
    aml.scope('_SB', rootBridge()),
    aml.scope('_SB.PCI0', ...pciHotplugMethods()),
    aml.scope('_SB', aml.scope('PCI0', routing()), ...interruptLinks()),
    ...hpet,
    aml.scope('_GPE', aml.defineName('_HID', aml.string('ACPI0006'))),
    cpuHotplug(),
    cpuHotplugEvent(),
    aml.scope('\\_SB.PCI0', rootResources(options), gpeResources(), pciHotplugResources()),
    aml.scope('\\', ...sleepStates()),
    aml.scope('\\_SB.PCI0', fwCfgDevice(options)),
    aml.scope('\\_SB', pciSlots(southBridge(options), options.vga === true)),
    aml.scope('_GPE', pciHotplugEvent()),
  );
}

/** \\DBUG: a number to the debug console, in hexadecimal. */
function debugMethod(): aml.Aml {
  const [text, length, at] = [aml.local(0), aml.local(1), aml.local(2)];
  return aml.scope(
    '\\',
    aml.operationRegion('DBG', aml.REGION_IO, 0x402, 1),
    aml.field('DBG', aml.ACCESS_BYTE, [['DBGB', 8]]),
    aml.method('DBUG', 1, [
      aml.toHexString(aml.arg(0), text),
      aml.toBuffer(text, text),
      aml.subtract(aml.sizeOf(text), aml.integer(1), length),
      aml.store(aml.integer(0), at),
      aml.loop(aml.less(at, length), aml.store(aml.derefOf(aml.index(text, at)), aml.name('DBGB')), aml.increment(at)),
      aml.store(aml.integer(0x0a), aml.name('DBGB')),
    ]),
  );
}

function rootBridge(): aml.Aml {
  return aml.device(
    'PCI0',
    aml.defineName('_HID', aml.eisaId('PNP0A03')),
    aml.defineName('_ADR', aml.integer(0)),
    aml.defineName('_UID', aml.integer(0)),
  );
}

/** What the root bridge takes and passes on. */
function rootResources(options: DsdtOptions): aml.Aml {
  const highWindow = Math.ceil((options.highMemoryEnd ?? 4 * GIB) / GIB) * GIB;
  return aml.defineName(
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
  );
}

/** SLP_TYP of S3, S4 and S5 for PM1a and PM1b. */
function sleepStates(): aml.Aml[] {
  const state = (path: string, type: number) => {
    const [own, nothing] = [aml.integer(type), aml.integer(0)];
    return aml.defineName(path, aml.packageOf(own, own, nothing, nothing));
  };
  return [state('_S3', 1), state('_S4', 2), state('_S5', 0)];
}

/** Pin p of slot s goes to link (s + p − 1) mod 4; slot 1, the south bridge, has its SCI on LNKS. */
function routing(): aml.Aml {
  const n = aml.integer;
  const [table, row, slot, link, entry] = [0, 1, 2, 3, 4].map(aml.local) as [
    aml.Aml,
    aml.Aml,
    aml.Aml,
    aml.Aml,
    aml.Aml,
  ];
  const goesTo = (name: string) => aml.store(aml.packageOf(n(0), n(0), aml.name(name), n(0)), entry);
  const address = aml.or(aml.shiftLeft(slot, n(16)), n(0xffff));
  return aml.method('_PRT', 0, [
    aml.store(aml.emptyPackage(4 * PCI_SLOTS), table),
    aml.store(n(0), row),
    aml.loop(
      aml.less(row, n(4 * PCI_SLOTS)),
      aml.store(aml.shiftRight(row, n(2)), slot),
      aml.store(aml.and(aml.add(row, slot), n(3)), link),
      aml.when(aml.equal(link, n(0)), goesTo('LNKD')),
      aml.when(aml.equal(link, n(1)), aml.when(aml.equal(row, n(4)), goesTo('LNKS')), aml.otherwise(goesTo('LNKA'))),
      aml.when(aml.equal(link, n(2)), goesTo('LNKB')),
      aml.when(aml.equal(link, n(3)), goesTo('LNKC')),
      aml.store(address, aml.index(entry, n(0))),
      aml.store(aml.and(row, n(3)), aml.index(entry, n(1))),
      aml.store(entry, aml.index(table, row)),
      aml.increment(row),
    ),
    aml.returns(table),
  ]);
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

/** Content of 00:01.0: the route registers and what sits on the ISA bus. */
function southBridge(options: DsdtOptions): aml.Aml[] {
  const serial = aml.device(
    'COM1',
    aml.defineName('_HID', aml.eisaId('PNP0501')),
    aml.defineName('_UID', aml.integer(1)),
    aml.defineName('_STA', aml.integer(0x0f)),
    aml.defineName('_CRS', aml.resourceTemplate(aml.ioPorts(0x3f8, 8, 0), aml.irqNoFlags(4))),
  );
  return [
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
    floppyController(),
    ...(options.serial === false ? [] : [serial]),
    isaDevice('RTC', aml.eisaId('PNP0B00'), undefined, aml.ioPorts(0x70, 8), aml.irqNoFlags(8)),
  ];
}

/** A controller without drives: _FDE has four drives absent, and no tape (9.9.2). */
function floppyController(): aml.Aml {
  const enumeration = new Uint8Array(20);
  enumeration[16] = 2;
  return aml.device(
    'FDC0',
    aml.defineName('_HID', aml.eisaId('PNP0700')),
    aml.defineName(
      '_CRS',
      aml.resourceTemplate(aml.ioPorts(0x3f2, 4, 0), aml.ioPorts(0x3f7, 1, 0), aml.irqNoFlags(6), aml.isaDma(2)),
    ),
    aml.defineName('_FDE', aml.buffer(enumeration)),
  );
}

function fwCfgDevice(options: DsdtOptions): aml.Aml {
  return isaDevice('FWCF', aml.string('QEMU0002'), 0x0b, aml.ioPorts(0x510, options.fwCfgDma === false ? 2 : 12));
}
