import test from 'ava';
import { EMPTY } from '../../../src/trace/events.js';
import { type MeaningInput, Semantics } from '../../../src/trace/semantic/semantics.js';

const event = (fields: Partial<MeaningInput>): MeaningInput => ({
  kind: 'port-write',
  cycle: 0,
  cs: 0,
  rip: 0n,
  address: 0,
  size: 1,
  value: 0,
  valueHigh: 0,
  name: '',
  data: EMPTY,
  ...fields,
});

const out = (address: number, value: number, size = 1) => event({ kind: 'port-write', address, size, value });
const inp = (address: number, value: number, size = 1) => event({ kind: 'port-read', address, size, value });
const ins = (address: number, data: Uint8Array) => event({ kind: 'port-read-string', address, data });

/** Meanings of a sequence. */
function meanings(...events: MeaningInput[]) {
  const semantics = new Semantics();
  return events.map((e) => semantics.next(e));
}
const lastOf = (...events: MeaningInput[]) => meanings(...events).at(-1)!;
const registerOf = (...events: MeaningInput[]) => {
  const { device, register } = lastOf(...events);
  return `${device} ${register}`;
};

/** A file directory with one entry, as the device gives it. */
function directory(name: string, selector: number, size: number): Buffer {
  const bytes = Buffer.alloc(4 + 64);
  bytes.writeUInt32BE(1, 0);
  bytes.writeUInt32BE(size, 4);
  bytes.writeUInt16BE(selector, 8);
  bytes.write(name, 12, 'latin1');
  return bytes;
}

function e820(...entries: [bigint, bigint, number][]): Buffer {
  const bytes = Buffer.alloc(entries.length * 20);
  entries.forEach(([address, length, type], i) => {
    bytes.writeBigUInt64LE(address, i * 20);
    bytes.writeBigUInt64LE(length, i * 20 + 8);
    bytes.writeUInt32LE(type, i * 20 + 16);
  });
  return bytes;
}

test('fw_cfg items are named from the directory that the guest read', (t) => {
  const [, , select, read] = meanings(
    out(0x510, 0x19, 2),
    ins(0x511, directory('etc/boot-fail-wait', 0x22, 4)),
    out(0x510, 0x22, 2),
    inp(0x511, 0xff),
  );
  t.is(select!.text, 'fw_cfg select etc/boot-fail-wait');
  t.is(read!.register, 'etc/boot-fail-wait');
});

test('fw_cfg items with fixed selectors have names without the directory', (t) => {
  t.is(lastOf(out(0x510, 0x08, 2)).text, 'fw_cfg select kernel size');
  t.is(lastOf(out(0x510, 0x77, 2)).text, 'fw_cfg select item 0x77');
});

test('bytes of etc/e820 are named by entry and field, and the entry is said in words', (t) => {
  const map = e820([0n, 0x9fc00n, 1], [0x10_0000n, 0xff0_0000n, 1]);
  const read = lastOf(
    out(0x510, 0x19, 2),
    ins(0x511, directory('etc/e820', 0x21, map.length)),
    out(0x510, 0x21, 2),
    ins(0x511, map),
  );
  t.is(read.fieldAt!(28), 'e820 entry 1 length: [0x100000-0xfffffff] RAM');
  t.is(read.fieldAt!(3), 'e820 entry 0 address: [0x0-0x9fbff] RAM');
});

test('an fw_cfg DMA read is followed through its descriptor', (t) => {
  const descriptor = Buffer.alloc(16);
  descriptor.writeUInt32BE(((0x09 << 16) | 8 | 2) >>> 0, 0);
  descriptor.writeUInt32BE(13, 4);
  descriptor.writeBigUInt64BE(0x2_0000n, 8);
  const [, start, control, data, status] = meanings(
    out(0x514, 0, 4),
    out(0x518, 0x0050_0000, 4),
    event({ kind: 'dma-read', address: 0x5000, value: 16, data: descriptor }),
    event({ kind: 'dma-write', address: 0x2_0000, data: Buffer.from('console=ttyS0') }),
    event({ kind: 'dma-write', address: 0x5000, data: new Uint8Array(4) }),
  );
  t.is(start!.text, 'fw_cfg DMA by descriptor 0x5000');
  t.is(control!.text, 'fw_cfg DMA read kernel command line, 13 bytes at offset 0, guest 0x20000');
  t.is(data!.register, 'kernel command line');
  t.is(status!.text, 'fw_cfg DMA done');
});

test('addresses of fw_cfg DMA are said to the last of their 64 bits', (t) => {
  const descriptor = Buffer.alloc(16);
  descriptor.writeUInt32BE(((0x09 << 16) | 8 | 2) >>> 0, 0);
  descriptor.writeUInt32BE(13, 4);
  descriptor.writeBigUInt64BE(0xffff_8880_0000_0001n, 8);
  const swapped = (value: number) => Buffer.from(Uint32Array.of(value).buffer).swap32().readUInt32LE();
  const high = meanings(out(0x514, swapped(0xffff_8880), 4), out(0x518, swapped(1), 4));
  t.is(high.at(-1)!.text, 'fw_cfg DMA by descriptor 0xffff888000000001');
  const control = lastOf(
    out(0x518, 0x0050_0000, 4),
    event({ kind: 'dma-read', address: 0x5000, value: 16, data: descriptor }),
  );
  t.regex(control.text, /guest 0xffff888000000001$/);
});

test('table-loader commands are said in words', (t) => {
  const command = Buffer.alloc(128);
  command.writeUInt32LE(1, 0);
  command.write('etc/acpi/rsdp', 4, 'latin1');
  command.writeUInt32LE(16, 60);
  command[64] = 2;
  const read = lastOf(
    out(0x510, 0x19, 2),
    ins(0x511, directory('etc/table-loader', 0x23, 128)),
    out(0x510, 0x23, 2),
    ins(0x511, command),
  );
  t.is(read.fieldAt!(0), 'loader command 0: allocate etc/acpi/rsdp, align 16, zone 2');
});

test('PCI configuration accesses are named by function and register', (t) => {
  t.is(registerOf(out(0xcf8, 0x8000_0900, 4), inp(0xcfc, 0x7010_8086, 4)), 'pci 00:01.1 vendor ID');
  t.is(registerOf(out(0xcf8, 0x8000_0004, 4), inp(0xcfe, 0, 2)), 'pci 00:00.0 status');
  t.is(registerOf(out(0xcf8, 0x8000_0058, 4), out(0xcfd, 0x30)), 'pci 00:00.0 PAM');
  t.is(registerOf(out(0xcf8, 0x8000_1024, 4), inp(0xcfd, 0)), 'pci 00:02.0 BAR5+1');
});

test('the ACPI PM block is found where the guest put it', (t) => {
  t.is(registerOf(inp(0x608, 0, 4)), 'acpi pm PM_TMR');
  t.is(registerOf(out(0xcf8, 0x8000_0b40, 4), out(0xcfc, 0xb001, 4), inp(0xb008, 0, 4)), 'acpi pm PM_TMR');
});

test('the PIC is followed through its initialisation', (t) => {
  const sequence = [out(0x20, 0x11), out(0x21, 0x30), out(0x21, 4), out(0x21, 1), out(0x21, 0xff)];
  t.deepEqual(
    meanings(...sequence).map(({ register }) => register),
    ['ICW1', 'ICW2', 'ICW3', 'ICW4', 'IMR'],
  );
  t.is(registerOf(out(0xa0, 0x20)), 'pic slave OCW2 (EOI)');
});

test('UART registers depend on the divisor latch and the direction', (t) => {
  t.is(registerOf(out(0x3f8, 0x41)), 'uart0 THR');
  t.is(registerOf(inp(0x3f8, 0x41)), 'uart0 RBR');
  t.is(registerOf(out(0x3fb, 0x83), out(0x3f8, 1)), 'uart0 DLL');
  t.is(registerOf(out(0x2fb, 0x83), out(0x3f9, 1)), 'uart0 IER');
  t.is(registerOf(inp(0x3fd, 0x60)), 'uart0 LSR');
  t.true(lastOf(out(0x3f8, 0x41)).text.endsWith('"A"'));
});

test('indexed registers are named by their index', (t) => {
  t.is(registerOf(out(0x70, 0x8f), out(0x71, 0)), 'rtc shutdown status');
  const index = event({ kind: 'mmio-write', address: 0xfec0_0000, size: 4, value: 0x15 });
  const window = event({ kind: 'mmio-write', address: 0xfec0_0010, size: 4, value: 0 });
  t.is(registerOf(index, window), 'ioapic redirection 2 high');
  t.is(registerOf(out(0x43, 0xb6)), 'pit control: channel 2, low and high byte, mode 3');
});

for (const [address, name] of [
  [0xfee0_00b0, 'lapic EOI'],
  [0xfee0_0380, 'lapic timer initial count'],
  [0xfee0_0110, 'lapic ISR1'],
  [0xfed0_00f0, 'hpet main counter low'],
  [0xfed0_0108, 'hpet timer 0 comparator'],
  [0xfeb0_0270, 'virtio-mmio 1 Status'],
  [0xb_8000, 'vga memory'],
  [0xc000_0000, 'mmio 0xc0000000'],
] as const) {
  test(`the register at 0x${address.toString(16)} is ${name}`, (t) => {
    t.is(registerOf(event({ kind: 'mmio-read', address, size: 4 })), name);
  });
}

test('ports of no device are called unassigned', (t) => {
  t.is(registerOf(inp(0x1234, 0xff)), 'port 0x1234 unassigned');
});

test('indexed registers of a VGA are named by the index that was written', (t) => {
  t.is(registerOf(out(0x3d4, 0x0c)), 'vga index CRTC start address high');
  t.is(registerOf(out(0x3d4, 0x0e), out(0x3d5, 1)), 'vga CRTC cursor location high');
  t.is(registerOf(out(0x3c4, 0x0f02, 2)), 'vga sequencer map mask');
  t.is(registerOf(out(0x3ce, 8), inp(0x3cf, 0)), 'vga graphics bit mask');
  t.is(registerOf(out(0x3ce, 0x55), inp(0x3cf, 0)), 'vga graphics 0x55');
  t.is(registerOf(out(0x1ce, 4, 2), out(0x1cf, 0x41, 2)), 'vga DISPI enable');
});

test("a VGA's attribute port is index and data in turn, index after a look at the status", (t) => {
  const status = inp(0x3da, 0);
  t.is(registerOf(status, out(0x3c0, 0x10)), 'vga index attribute mode control');
  t.is(registerOf(status, out(0x3c0, 0x30), out(0x3c0, 1)), 'vga attribute mode control');
  t.is(registerOf(status, out(0x3c0, 3), status, out(0x3c0, 4)), 'vga index attribute palette 4');
  t.is(registerOf(status, out(0x3c0, 3), inp(0x3c1, 0)), 'vga attribute palette 3');
});

/** Configuration accesses of the guest. */
const address = (place: number, register: number) => out(0xcf8, 0x8000_0000 + place + register, 4);
const config = (place: number, register: number, value: number) => [
  address(place, register),
  out(0xcfc, value >>> 0, 4),
];
const configRead = (place: number, register: number, value: number) => [
  address(place, register),
  inp(0xcfc, value >>> 0, 4),
];

test('registers behind BARs are named by the function that they belong to', (t) => {
  const ide = [...configRead(0x900, 8, 0x0101_8000), ...config(0x900, 0x20, 0xc001)];
  t.is(registerOf(...ide, out(0xc002, 0)), 'ide bus master 00:01.1 primary status');
  t.is(registerOf(...ide, out(0xc00c, 0, 4)), 'ide bus master 00:01.1 secondary table address');
  t.is(registerOf(...ide, out(0xc010, 0)), 'port 0xc010 unassigned');
  const virtio = [
    ...configRead(0x1000, 0, 0x1001_1af4),
    ...config(0x1000, 0x10, 0xffff_ffff),
    ...configRead(0x1000, 0x10, 0xffff_ff81),
    ...config(0x1000, 0x10, 0xc041),
    ...config(0x1000, 0x20, 0xfebf_000c),
  ];
  t.is(registerOf(...virtio, out(0xc050, 0, 2)), 'virtio 00:02.0 queue notify');
  t.is(registerOf(...virtio, inp(0xc054, 0)), 'virtio 00:02.0 config 0x0');
  const mmio = (at: number) => event({ kind: 'mmio-write', address: 0xfebf_0000 + at, size: 4 });
  t.is(registerOf(...virtio, mmio(0x14)), 'virtio 00:02.0 device status');
  t.is(registerOf(...virtio, mmio(0x3008)), 'virtio 00:02.0 notify queue 2');
});

test('a BAR that firmware placed before the trace is known once the guest reads it, and its size is no place', (t) => {
  const known = [...configRead(0x900, 8, 0x0101_8000), ...configRead(0x900, 0x20, 0xc001)];
  t.is(registerOf(...known, out(0xc000, 1)), 'ide bus master 00:01.1 primary command');
  const sized = [...known, ...config(0x900, 0x20, 0xffff_ffff), ...configRead(0x900, 0x20, 0xffff_fff1)];
  t.is(registerOf(...sized, out(0xc000, 1)), 'ide bus master 00:01.1 primary command');
});
