import test from 'ava';
import fc from 'fast-check';
import type { GuestMemory } from '../../../src/cpu/bus.js';
import { FW_CFG, FwCfg } from '../../../src/platform/devices/fw-cfg.js';
import { ManualClock } from './manual-clock.js';
import { assertSaveLoad } from './save-load.js';

const RAM_SIZE = 0x40000;
const READ = 2;
const SKIP = 4;
const SELECT = 8;
const WRITE = 16;
const latin1 = (text: string) => Uint8Array.from(Buffer.from(text, 'latin1'));

class Ram implements GuestMemory {
  readonly ramSize = RAM_SIZE;
  readonly bytes = Buffer.alloc(RAM_SIZE, 0xcc);
  written = 0;

  read(address: number, length: number): Uint8Array {
    const result = new Uint8Array(length).fill(0xff);
    result.set(this.bytes.subarray(address, address + length));
    return result;
  }

  write(address: number, data: Uint8Array): void {
    this.written += data.length;
    if (address < this.ramSize) this.bytes.set(data.subarray(0, this.ramSize - address), address);
  }
}

function rig() {
  const ram = new Ram();
  const device = new FwCfg(ram);
  const select = (key: number) => device.control.portWrite(0, 2, key);
  const bytes = (count: number) => Uint8Array.from({ length: count }, () => device.control.portRead(1, 1));
  const item = (key: number, count: number) => {
    select(key);
    return bytes(count);
  };
  const swap = (value: number) => Buffer.from(Uint32Array.of(value).buffer).swap32().readUInt32LE();
  /** Run a DMA through a descriptor at 0x100; returns its status. */
  const dma = (control: number, length: number, address: number) => {
    ram.bytes.writeUInt32BE(control >>> 0, 0x100);
    ram.bytes.writeUInt32BE(length, 0x104);
    ram.bytes.writeBigUInt64BE(BigInt(address), 0x108);
    device.dma.portWrite(0, 4, 0);
    device.dma.portWrite(4, 4, swap(0x100));
    return ram.bytes.readUInt32BE(0x100);
  };
  return { ram, device, select, bytes, item, dma, swap };
}

test('the signature is QEMU and the interface is traditional with DMA', (t) => {
  const { device, item } = rig();
  t.is(Buffer.from(item(FW_CFG.SIGNATURE, 4)).toString(), 'QEMU');
  t.deepEqual([...item(FW_CFG.ID, 4)], [3, 0, 0, 0]);
  t.is(device.dma.portRead(0, 4), 0x554d4551);
  t.is(device.dma.portRead(4, 4), 0x47464320);
  t.is(device.dma.portRead(0, 1), 0x51);
  t.is(device.dma.portRead(6, 2), 0x4746);
});

test('reading past the end gives zeros, and selecting starts over', (t) => {
  const { device, item, bytes } = rig();
  device.addItem(FW_CFG.KERNEL_DATA, latin1('abc'));
  t.is(Buffer.from(item(FW_CFG.KERNEL_DATA, 5)).toString(), 'abc\0\0');
  t.deepEqual([...bytes(2)], [0, 0]);
  t.is(Buffer.from(item(FW_CFG.KERNEL_DATA, 2)).toString(), 'ab');
});

test('a string read takes what single reads would', (t) => {
  const { device, select } = rig();
  device.addItem(FW_CFG.KERNEL_DATA, latin1('abcdef'));
  select(FW_CFG.KERNEL_DATA);
  t.is(Buffer.from(device.control.portReadString!(1, 1, 4)).toString(), 'abcd');
  t.is(Buffer.from(device.control.portReadString!(1, 1, 4)).toString(), 'ef\0\0');
});

test('items without content and keys that do not exist read as zeros', (t) => {
  const { item } = rig();
  for (const key of [FW_CFG.UUID, 0x3f, 0x40, 0x3fff, 0xffff, 0x8030]) t.deepEqual([...item(key, 2)], [0, 0]);
});

test('integers are little-endian and strings end with a zero', (t) => {
  const { device, item } = rig();
  device.addInt16(FW_CFG.NB_CPUS, 0x0102);
  device.addInt32(FW_CFG.KERNEL_SIZE, 0x01020304);
  device.addInt64(FW_CFG.RAM_SIZE, 0x0102030405060708n);
  device.addString(FW_CFG.CMDLINE_DATA, 'quiet');
  t.deepEqual([...item(FW_CFG.NB_CPUS, 2)], [2, 1]);
  t.deepEqual([...item(FW_CFG.KERNEL_SIZE, 4)], [4, 3, 2, 1]);
  t.deepEqual([...item(FW_CFG.RAM_SIZE, 8)], [8, 7, 6, 5, 4, 3, 2, 1]);
  t.is(Buffer.from(device.content(FW_CFG.CMDLINE_DATA)!).toString(), 'quiet\0');
});

test('files are sorted by name, whatever the order they were added in', (t) => {
  const { device, item } = rig();
  device.addFile('etc/table-loader', latin1('loader'));
  device.addFile('bootorder', latin1('/'));
  device.addFile('etc/Z', latin1('capital'));
  const directory = Buffer.from(item(FW_CFG.FILE_DIR, 4 + 64 * 32));
  t.is(directory.readUInt32BE(0), 3);
  const entries = [0, 1, 2].map((i) => {
    const entry = directory.subarray(4 + 64 * i, 68 + 64 * i);
    return [entry.readUInt32BE(0), entry.readUInt16BE(4), entry.subarray(8).toString().replaceAll('\0', '')];
  });
  t.deepEqual(entries, [
    [1, 0x20, 'bootorder'],
    [7, 0x21, 'etc/Z'],
    [6, 0x22, 'etc/table-loader'],
  ]);
  t.true(directory.subarray(4 + 64 * 3).every((byte) => byte === 0));
  t.is(Buffer.from(item(0x22, 6)).toString(), 'loader');
});

test('files that cannot be are refused', (t) => {
  const { device } = rig();
  device.addFile('a', latin1(''));
  t.throws(() => device.addFile('a', latin1('')), { message: /exists/ });
  t.throws(() => device.addFile('x'.repeat(56), latin1('')), { message: /name/ });
  for (let i = 1; i < 32; i++) device.addFile(`b${i}`, latin1(''));
  t.throws(() => device.addFile('c', latin1('')), { message: /room/ });
  t.throws(() => device.addItem(0x20, latin1('')), { message: /does not exist/ });
  t.throws(() => device.addItem(0x4001, latin1('')), { message: /does not exist/ });
});

test('a DMA selects, reads into memory and reports success', (t) => {
  const { ram, device, dma, bytes } = rig();
  device.addItem(FW_CFG.KERNEL_DATA, latin1('0123456789'));
  t.is(dma((FW_CFG.KERNEL_DATA << 16) | SELECT | READ, 4, 0x2000), 0);
  t.is(ram.bytes.toString('latin1', 0x2000, 0x2004), '0123');
  t.is(ram.bytes[0x2004], 0xcc);
  t.is(dma(SKIP, 2, 0), 0);
  t.is(Buffer.from(bytes(1)).toString(), '6');
  t.is(dma(READ, 5, 0x3000), 0);
  t.is(ram.bytes.toString('latin1', 0x3000, 0x3005), '789\0\0');
});

test('the high half of the DMA address is used once', (t) => {
  const { ram, device, swap } = rig();
  ram.bytes.writeUInt32BE(SELECT | READ, 0x100);
  device.dma.portWrite(0, 4, swap(1));
  device.dma.portWrite(4, 4, swap(0x100));
  t.is(ram.bytes.readUInt32BE(0x100), SELECT | READ, 'the descriptor at 4 GiB + 0x100 does not exist');
  ram.bytes.writeUInt32BE(0, 0x104);
  device.dma.portWrite(4, 4, swap(0x100));
  t.is(ram.bytes.readUInt32BE(0x100), 0);
});

test('a read of 4 GiB fills memory with zeros to its end, fails, and writes no byte more', (t) => {
  const { ram, device, dma } = rig();
  device.addItem(FW_CFG.KERNEL_DATA, latin1('abc'));
  t.is(dma((FW_CFG.KERNEL_DATA << 16) | SELECT | READ, 0xffffffff, 0x1000), 1);
  t.is(ram.bytes.toString('latin1', 0x1000, 0x1004), 'abc\0');
  t.is(ram.bytes.at(-1), 0);
  t.true(ram.written <= RAM_SIZE);
  t.is(dma(READ, 0xffffffff, 0xffff_ffff_0000), 1);
  t.is(dma(SKIP, 0xffffffff, 0), 0);
});

test('only writable items can be written, and only within their length', (t) => {
  const { ram, device, dma } = rig();
  const written: unknown[] = [];
  const content = new Uint8Array(8);
  device.addItem(FW_CFG.KERNEL_DATA, latin1('readonly'));
  device.addFile('etc/vmgenid', content, { writable: true, onWrite: (...args) => written.push(args) });
  ram.bytes.write('12345678', 0x2000);
  const selectWrite = (key: number) => (key << 16) | SELECT | WRITE;
  t.is(dma(selectWrite(FW_CFG.KERNEL_DATA), 4, 0x2000), 1);
  t.is(dma(selectWrite(0x20), 9, 0x2000), 1);
  t.is(dma(selectWrite(0x20), 4, RAM_SIZE - 2), 1);
  t.is(dma(selectWrite(0x20), 4, 0x2000), 0);
  t.is(dma(WRITE, 4, 0x2002), 0);
  t.is(Buffer.from(content).toString(), '12343456');
  t.deepEqual(written, [
    [0, 4],
    [4, 4],
  ]);
});

test('an observer hears of every selection and DMA', (t) => {
  const { device, dma, select } = rig();
  const heard: unknown[] = [];
  device.observer = { onSelect: (key) => heard.push(key), onDma: (request) => heard.push(request) };
  select(FW_CFG.ID);
  dma((FW_CFG.RAM_SIZE << 16) | SELECT | READ, 8, 0x2000);
  select(0x1234);
  t.deepEqual(heard, [
    FW_CFG.ID,
    FW_CFG.RAM_SIZE,
    { key: FW_CFG.RAM_SIZE, control: 0x3000a, length: 8, address: 0x2000n },
    0xffff,
  ]);
});

test('refused widths do nothing', (t) => {
  const { device, item } = rig();
  t.deepEqual([...item(FW_CFG.SIGNATURE, 1)], [0x51]);
  device.control.portWrite(0, 4, FW_CFG.ID);
  device.control.portWrite(0, 1, FW_CFG.ID);
  t.is(device.control.portRead(0, 2), 0);
  t.is(device.control.portRead(1, 1), 0x45);
  device.dma.portWrite(4, 2, 0x100);
  t.is(device.control.portRead(1, 1), 0x4d);
});

test('transfers are counted, and whoever tests a guest may answer one otherwise', (t) => {
  const { device, ram, dma } = rig();
  device.addItem(0x11, latin1('numbered item'));
  const asked: number[] = [];
  const wrong = { bytes: 3, extra: 2, control: 0x8000_0021, address: 0x1234_5678_9abc_def0n };
  device.answering = (transfer) => {
    asked.push(transfer);
    return [undefined, wrong, { bytes: 0, extra: 0, control: 1, address: undefined }, { ...wrong, control: undefined }][
      transfer
    ];
  };
  const read = (SELECT | READ | (0x11 << 16)) >>> 0;
  t.is(dma(read, 8, 0x2000), 0);
  t.is(ram.bytes.toString('latin1', 0x2000, 0x2009), 'numbered\xcc');
  t.is(dma(read, 8, 0x3000), 0x8000_0021);
  t.is(ram.bytes.toString('latin1', 0x3000, 0x300b), 'num\xcc\xcc\xcc\xcc\xcc\0\0\xcc');
  t.is(ram.bytes.readBigUInt64BE(0x108), wrong.address);
  t.is(dma(read, 8, 0x4000), 1);
  t.is(ram.bytes.toString('latin1', 0x4000, 0x4002), '\xcc\xcc');
  // It stays as it was written, as if the transfer were not over.
  t.is(dma(read, 8, 0x5000), read);
  // What lies past the end of memory is nobody's.
  t.is(dma(read, 8, RAM_SIZE - 4), 1);
  t.deepEqual(asked, [0, 1, 2, 3, 4]);
});

test('a copy loaded from saved state cannot be told from the original', (t) => {
  const operation = fc.record({
    kind: fc.constantFrom('select', 'read', 'dma', 'dma', 'half'),
    key: fc.constantFrom(0, 1, 0x11, 0x20, 0x21, 0x99),
    control: fc.constantFrom(READ, WRITE, SKIP, SELECT | READ, SELECT | WRITE, SELECT, 0),
    length: fc.nat({ max: 12 }),
    address: fc.constantFrom(0x2000, 0x2004, RAM_SIZE - 4),
  });
  assertSaveLoad((clock = new ManualClock()) => {
    const { device, ram, select, bytes, dma, swap } = rig();
    device.addItem(0x11, latin1('numbered item'));
    device.addFile('fixed', latin1('content'));
    device.addFile('open', latin1('changeable'), { writable: true });
    // Which transfer it is, is part of the state.
    const third = { bytes: 2, extra: 1, control: 1, address: undefined };
    device.answering = (transfer) => (transfer % 3 === 2 ? third : undefined);
    ram.bytes.fill('pattern', 0x2000, 0x3000);
    return {
      device,
      clock,
      log: [],
      apply: ({ kind, key, control, length, address }) => {
        if (kind === 'select') return select(key);
        if (kind === 'read') return [...bytes(length)];
        if (kind === 'half') return device.dma.portWrite(0, 4, swap(length & 1));
        // Each request starts from the same memory, which is not the device's.
        ram.bytes.fill('pattern', 0x2000, 0x3000);
        ram.bytes.fill(0xcc, RAM_SIZE - 16);
        return [dma((key << 16) | control, length, address), ram.bytes.toString('latin1', 0x2000, 0x2010)];
      },
    };
  }, operation);
  t.pass();
});
