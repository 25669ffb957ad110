// Names of registers that need no state to be told apart: fixed ports, LAPIC, HPET, virtio-mmio, MSRs.
// Sources: Intel SDM vol. 3 table 11-1 (LAPIC); IA-PC HPET 1.0a, section 2.3; Virtio 1.2, section 4.2.2;
// 82371AB (PIIX4), chapter 7 for the ACPI PM block; the PC/AT's fixed ports.

/** A block of registers: a name for each offset, and for what lies between. */
export interface RegisterBlock {
  readonly device: string;
  readonly base: number;
  readonly size: number;
  readonly registers?: Readonly<Record<number, string>>;
}

// biome-ignore format: a table
export const PORT_BLOCKS: readonly RegisterBlock[] = [
  { device: 'dma',       base: 0x00,   size: 0x10 },
  { device: 'i8042',     base: 0x60,   size: 1, registers: { 0: 'data' } },
  { device: 'speaker',   base: 0x61,   size: 1, registers: { 0: 'port B' } },
  { device: 'i8042',     base: 0x64,   size: 1, registers: { 0: 'command/status' } },
  { device: 'post',      base: 0x80,   size: 1, registers: { 0: 'POST code' } },
  { device: 'dma page',  base: 0x81,   size: 0x0f },
  { device: 'port92',    base: 0x92,   size: 1, registers: { 0: 'A20 and fast reset' } },
  { device: 'apm',       base: 0xb2,   size: 2, registers: { 0: 'command', 1: 'status' } },
  { device: 'dma',       base: 0xc0,   size: 0x20 },
  { device: 'debug-exit', base: 0xf4,  size: 4, registers: { 0: 'exit' } },
  { device: 'ide1',      base: 0x170,  size: 8 },
  { device: 'ide0',      base: 0x1f0,  size: 8 },
  { device: 'ide1',      base: 0x376,  size: 1, registers: { 0: 'device control' } },
  { device: 'ide0',      base: 0x3f6,  size: 1, registers: { 0: 'device control' } },
  { device: 'vga',       base: 0x3b0,  size: 0x30, registers: {
    16: 'attribute index/data', 17: 'attribute data', 18: 'misc output', 20: 'sequencer index', 21: 'sequencer data',
    22: 'DAC mask', 23: 'DAC read index', 24: 'DAC write index', 25: 'DAC data', 28: 'misc output',
    30: 'graphics index', 31: 'graphics data', 36: 'CRTC index', 37: 'CRTC data', 42: 'input status 1' } },
  { device: 'debugcon',  base: 0x402,  size: 1, registers: { 0: 'data' } },
  { device: 'elcr',      base: 0x4d0,  size: 2, registers: { 0: 'master', 1: 'slave' } },
  { device: 'reset',     base: 0xcf9,  size: 1, registers: { 0: 'reset control' } },
  { device: 'acpi pci hotplug', base: 0xae00, size: 0x18, registers: {
    0: 'slots that came', 4: 'slots to go', 8: 'eject', 12: 'removable slots', 16: 'bus', 20: 'label' } },
  { device: 'acpi cpu hotplug', base: 0xaf00, size: 0x20, registers: {
    0: 'selector', 4: 'flags', 5: 'command', 8: 'data' } },
  { device: 'acpi gpe0', base: 0xafe0, size: 4, registers: { 0: 'status', 2: 'enable' } },
];

const IDE = ['data', 'error/features', 'sector count', 'LBA low', 'LBA mid', 'LBA high', 'device', 'status/command'];

/** Offsets in the ACPI PM block, whose base the guest may move. */
export const PM_REGISTERS: Readonly<Record<number, string>> = {
  0: 'PM1_STS',
  2: 'PM1_EN',
  4: 'PM1_CNT',
  8: 'PM_TMR',
};

// biome-ignore format: a table
const LAPIC: Readonly<Record<number, string>> = {
  32: 'ID', 48: 'version', 128: 'TPR', 144: 'APR', 160: 'PPR', 176: 'EOI', 192: 'RRD', 208: 'LDR', 224: 'DFR', 240: 'SVR',
  640: 'ESR', 752: 'LVT CMCI', 768: 'ICR low', 784: 'ICR high', 800: 'LVT timer', 816: 'LVT thermal', 832: 'LVT PMC',
  848: 'LVT LINT0', 864: 'LVT LINT1', 880: 'LVT error', 896: 'timer initial count', 912: 'timer current count',
  992: 'timer divide',
};

// biome-ignore format: a table
const HPET: Readonly<Record<number, string>> = {
  0: 'capabilities', 4: 'period', 16: 'configuration', 32: 'interrupt status', 240: 'main counter low', 244: 'main counter high',
};

// biome-ignore format: a table
const VIRTIO_MMIO: Readonly<Record<number, string>> = {
  0: 'MagicValue', 4: 'Version', 8: 'DeviceID', 12: 'VendorID', 16: 'DeviceFeatures', 20: 'DeviceFeaturesSel',
  32: 'DriverFeatures', 36: 'DriverFeaturesSel', 40: 'GuestPageSize', 48: 'QueueSel', 52: 'QueueNumMax', 56: 'QueueNum',
  60: 'QueueAlign', 64: 'QueuePFN', 68: 'QueueReady', 80: 'QueueNotify', 96: 'InterruptStatus', 100: 'InterruptACK',
  112: 'Status', 128: 'QueueDescLow', 132: 'QueueDescHigh', 144: 'QueueDriverLow', 148: 'QueueDriverHigh',
  160: 'QueueDeviceLow', 164: 'QueueDeviceHigh', 252: 'ConfigGeneration',
};

const VIRTIO_MMIO_BASE = 0xfeb0_0000;
const VIRTIO_MMIO_SIZE = 0x200;
const VIRTIO_MMIO_SLOTS = 24;

export interface RegisterName {
  readonly device: string;
  readonly register: string;
}

const hex = (value: number): string => `0x${value.toString(16)}`;

/** Names by port and by MMIO address, as they are asked for; guests touch a few hundred of either. */
const knownPorts = new Map<number, RegisterName | undefined>();
const knownMmio = new Map<number, RegisterName | undefined>();
const MAX_KNOWN = 0x1_0000;

/** A port of a device without state of its own here. */
export function portName(port: number): RegisterName | undefined {
  return remembered(knownPorts, port, namePort);
}

/** A physical address that is neither RAM nor ROM; the IOAPIC is in devices.ts. */
export function mmioName(address: number): RegisterName | undefined {
  return remembered(knownMmio, address, nameMmio);
}

function remembered(
  known: Map<number, RegisterName | undefined>,
  key: number,
  name: (key: number) => RegisterName | undefined,
): RegisterName | undefined {
  const found = known.get(key);
  if (found || known.has(key)) return found;
  const made = name(key);
  if (known.size < MAX_KNOWN) known.set(key, made);
  return made;
}

function namePort(port: number): RegisterName | undefined {
  const block = PORT_BLOCKS.find(({ base, size }) => port >= base && port < base + size);
  if (!block) return undefined;
  const offset = port - block.base;
  if (block.size === 8) return { device: block.device, register: IDE[offset]! };
  return { device: block.device, register: block.registers?.[offset] ?? `register ${hex(offset)}` };
}

function nameMmio(address: number): RegisterName | undefined {
  if (address >= 0xa_0000 && address < 0xc_0000) return { device: 'vga', register: 'memory' };
  if (inBlock(address, 0xfee0_0000, 0x1000)) return { device: 'lapic', register: lapicName(address & 0xfff) };
  if (inBlock(address, 0xfed0_0000, 0x400)) return { device: 'hpet', register: hpetName(address & 0x3ff) };
  if (inBlock(address, VIRTIO_MMIO_BASE, VIRTIO_MMIO_SIZE * VIRTIO_MMIO_SLOTS)) {
    const slot = Math.floor((address - VIRTIO_MMIO_BASE) / VIRTIO_MMIO_SIZE);
    const offset = (address - VIRTIO_MMIO_BASE) % VIRTIO_MMIO_SIZE;
    const register = offset >= 0x100 ? `config ${hex(offset - 0x100)}` : (VIRTIO_MMIO[offset] ?? hex(offset));
    return { device: `virtio-mmio ${slot}`, register };
  }
  return undefined;
}

export function msrName(index: number): RegisterName {
  const names: Readonly<Record<number, string>> = { 27: 'IA32_APIC_BASE', 1760: 'IA32_TSC_DEADLINE', 2056: 'TPR' };
  return { device: 'lapic', register: names[index] ?? `MSR ${hex(index)}` };
}

const inBlock = (address: number, base: number, size: number): boolean => address >= base && address < base + size;

function lapicName(offset: number): string {
  const register = offset & 0xff0;
  for (const [base, name] of [
    [0x100, 'ISR'],
    [0x180, 'TMR'],
    [0x200, 'IRR'],
  ] as const) {
    if (register >= base && register < base + 0x80) return `${name}${(register - base) >> 4}`;
  }
  return LAPIC[register] ?? hex(register);
}

function hpetName(offset: number): string {
  const name = HPET[offset];
  if (name !== undefined || offset < 0x100) return name ?? hex(offset);
  const timer = (offset - 0x100) >> 5;
  const part = ['configuration', 'configuration high', 'comparator', 'comparator high', 'FSB', 'FSB high'];
  return `timer ${timer} ${part[(offset & 0x1f) >> 2] ?? hex(offset & 0x1f)}`;
}
