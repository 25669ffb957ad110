// The microvm machine against QEMU 7.2: every fw_cfg file by hash (microvm-vectors.json: -M microvm with the devices that
// the title names, read through its test port), who answers where (info mtree), power and reset registers.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import test from 'ava';
import type { RunEnd } from '../../src/cpu/bus.js';
import { buildMicrovmAcpiTables } from '../../src/platform/acpi/microvm-tables.js';
import { FW_CFG } from '../../src/platform/devices/fw-cfg.js';
import { fwCfgE820, GIB, MIB } from '../../src/platform/e820.js';
import { Microvm, microvmLayout, type VirtioPlug, virtioHints } from '../../src/platform/microvm.js';
import { addMicrovmItems } from '../../src/platform/microvm-fw-cfg.js';

const disk: VirtioPlug = {
  kind: 'blk',
  store: { sectors: 2048, read: (_sector, count) => new Uint8Array(512 * count), write: () => {} },
};

interface Plan {
  acpi?: boolean;
  ramSize?: number;
  virtio?: readonly VirtioPlug[];
}

function bench({ acpi = true, ramSize = 128 * MIB, virtio = [] }: Plan = {}) {
  const ends: RunEnd[] = [];
  const levels: boolean[] = [];
  const lines = {
    cycle: 0,
    setIntr: (level: boolean) => levels.push(level),
    pulseNmi: () => {},
    pulseSmi: () => {},
    suspend: () => {},
    stop: (end: RunEnd) => ends.push(end),
    setA20: () => {},
  };
  const memory = { ramSize, read: (_address: number, length: number) => new Uint8Array(length), write: () => {} };
  const layout = microvmLayout(acpi, virtio.length);
  const machine = new Microvm({
    lines,
    memory,
    timing: { name: 'test', nsPerCycle: 1 },
    ramSize,
    acpi,
    virtio,
    fwCfg: (fwCfg) =>
      addMicrovmItems(fwCfg, {
        ramSize,
        e820: fwCfgE820(ramSize),
        layout,
        ...(acpi && { acpi: buildMicrovmAcpiTables(layout) }),
      }),
  });
  return { machine, ends, levels, lines };
}

const CASES: Record<string, Plan> = {
  ACPI: {},
  'ACPI, 3 GiB': { ramSize: 3 * GIB },
  'ACPI, disk, entropy, console': { virtio: [disk, { kind: 'rng' }, { kind: 'console' }] },
  'no ACPI': { acpi: false },
  'no ACPI, disk, entropy': { acpi: false, virtio: [disk, { kind: 'rng' }] },
};
const vectors = JSON.parse(readFileSync(new URL('microvm-vectors.json', import.meta.url), 'utf8')) as Record<
  string,
  Record<string, string>
>;
for (const [name, plan] of Object.entries(CASES)) {
  test(`microvm with ${name}: every fw_cfg file is that of QEMU 7.2`, (t) => {
    const { fwCfg } = bench(plan).machine;
    const hash = (key: number) => createHash('sha256').update(fwCfg.content(key)!).digest('hex');
    const files = Object.fromEntries(fwCfg.list().map(({ name: file, key }) => [file, hash(key)]));
    t.deepEqual(files, vectors[name]);
  });
}

test('numbered items are those of QEMU: no HPET, no NUMA, one processor', (t) => {
  const { fwCfg } = bench().machine;
  t.is(Buffer.from(fwCfg.content(FW_CFG.RAM_SIZE)!).readBigUInt64LE(), 128n << 20n);
  t.is(Buffer.from(fwCfg.content(FW_CFG.NB_CPUS)!).readUInt16LE(), 1);
  t.is(Buffer.from(fwCfg.content(FW_CFG.IRQ0_OVERRIDE)!).readUInt32LE(), 1);
  t.is(fwCfg.content(FW_CFG.HPET), undefined);
  t.is(fwCfg.content(FW_CFG.NUMA), undefined);
});

test('the command line names the slots that hold a device, where ACPI does not', (t) => {
  t.is(virtioHints(microvmLayout(true, 2)), '');
  t.is(
    virtioHints(microvmLayout(false, 2)),
    ' virtio_mmio.device=512@0xfeb00e00:12 virtio_mmio.device=512@0xfeb00c00:11',
  );
  t.throws(() => microvmLayout(false, 9), { instanceOf: RangeError });
});

test('ports and addresses are answered by whom they are in QEMU', (t) => {
  const { ports, mmio } = bench().machine;
  const spans = new Map<string, [first: number, length: number]>();
  for (let port = 0; port < 0x10000; port++) {
    const name = ports.nameAt(port);
    if (name !== undefined) spans.set(name, [spans.get(name)?.[0] ?? port, (spans.get(name)?.[1] ?? 0) + 1]);
  }
  t.deepEqual(Object.fromEntries(spans), {
    pic0: [0x20, 2],
    pit: [0x40, 4],
    rtc: [0x70, 2],
    pic1: [0xa0, 2],
    com1: [0x3f8, 8],
    debugcon: [0x402, 1],
    elcr0: [0x4d0, 1],
    elcr1: [0x4d1, 1],
    'debug-exit': [0x501, 4],
    'fw-cfg': [0x510, 2],
    'fw-cfg-dma': [0x514, 8],
  });
  const at = (address: number) => mmio.nameAt(address);
  t.is(at(0xfea0_0003), 'acpi-ged');
  t.is(at(0xfea0_0202), 'acpi-ged-regs');
  t.is(at(0xfeb0_0000), 'virtio-mmio.0');
  t.is(at(0xfeb0_2fff), 'virtio-mmio.23');
  t.is(at(0xfeb0_3000), undefined);
  t.is(at(0xfec0_0fff), 'ioapic');
  t.is(at(0xfec1_0000), 'ioapic2');
  t.is(at(0xfee0_0000), 'lapic');
  t.is(bench({ acpi: false }).machine.mmio.nameAt(0xfec1_0000), undefined);
  t.is(bench({ acpi: false }).machine.mmio.nameAt(0xfeb0_1000), undefined);
});

test('sleep control switches off, the reset register resets, and nothing else does', (t) => {
  const { machine, ends } = bench();
  const write = (offset: number, size: 1 | 2 | 4, value: number) =>
    machine.mmioWrite(0xfea0_0200 + offset, size, value);
  for (const value of [0, 0x14, 0x30, 0x42]) write(0, 1, value);
  for (const value of [0, 1, 0x41]) write(2, 1, value);
  write(0, 2, 0x34);
  write(1, 1, 0x34);
  t.deepEqual(ends, []);
  write(2, 1, 0x42);
  write(0, 1, 0x34);
  t.deepEqual(ends, [{ reason: 'reset' }, { reason: 'poweroff' }]);
});

test('the power button is an event, read once, and an edge at interrupt 9', (t) => {
  const { machine } = bench();
  // Local APIC on, pin 9: edge, vector 0x31.
  machine.mmioWrite(0xfee0_00f0, 4, 0x1ff);
  machine.mmioWrite(0xfec0_0000, 4, 0x10 + 2 * 9);
  machine.mmioWrite(0xfec0_0010, 4, 0x31);
  machine.inputs.push({ kind: 'power-button' });
  t.is(machine.acknowledge(), 0x31);
  t.is(machine.mmioRead(0xfea0_0000, 1), 0);
  t.is(machine.mmioRead(0xfea0_0000, 4), 2);
  t.is(machine.mmioRead(0xfea0_0000, 4), 0);
});

test('slots interrupt at the second I/O APIC', (t) => {
  const { machine } = bench({ virtio: [disk] });
  machine.mmioWrite(0xfee0_00f0, 4, 0x1ff);
  machine.mmioWrite(0xfec1_0000, 4, 0x10 + 2 * 23);
  machine.mmioWrite(0xfec1_0010, 4, 0x8041);
  machine.setGsi(47, true);
  t.is(machine.acknowledge(), 0x41);
  machine.setGsi(47, false);
  machine.mmioWrite(0xfee0_00b0, 4, 0);
  machine.setGsi(23, true);
  t.false(machine.lapic.hasInterrupt());
});

test('a saved machine loads into another', (t) => {
  const plan: Plan = { virtio: [disk, { kind: 'rng' }, { kind: 'console' }] };
  const { machine } = bench(plan);
  machine.mmioWrite(0xfeb0_2e70, 4, 3);
  machine.portWrite(0x43, 1, 0x34);
  machine.inputs.push({ kind: 'power-button' });
  const state = structuredClone(machine.save());
  const copy = bench(plan).machine;
  copy.load(state);
  t.deepEqual(copy.save(), state);
  t.is(copy.mmioRead(0xfeb0_2e70, 4), 3);
  t.is(copy.mmioRead(0xfea0_0000, 4), 2);
  copy.reset();
  t.is(copy.mmioRead(0xfeb0_2e70, 4), 0);
});
