import test from 'ava';
import type { PortHandler } from '../../src/platform/device.js';
import { PortSpace } from '../../src/platform/port-space.js';

/** Reads give the offset in every byte; writes are logged. */
function recorder(): PortHandler & { log: string[] } {
  const log: string[] = [];
  return {
    log,
    portRead: (offset, size) => {
      log.push(`read ${offset} ${size}`);
      return [0, 0x01, 0x0101, 0, 0x01010101][size]! * offset;
    },
    portWrite: (offset, size, value) => {
      log.push(`write ${offset} ${size} ${value.toString(16)}`);
    },
  };
}

test('a port without a device reads as all ones and drops writes', (t) => {
  const ports = new PortSpace();
  ports.write(0x300, 4, 0);
  t.deepEqual([ports.read(0x300, 1), ports.read(0x300, 2), ports.read(0x300, 4)], [0xff, 0xffff, 0xffffffff]);
  t.deepEqual([ports.read(0x301, 1), ports.read(0x301, 2), ports.read(0x302, 4)], [0xff, 0, 0]);
});

test('a wide access to byte registers becomes byte accesses, lowest first', (t) => {
  const ports = new PortSpace();
  const device = recorder();
  ports.map('d', 0x70, 4, device);
  t.is(ports.read(0x70, 4), 0x03020100);
  ports.write(0x70, 2, 0xbeef);
  t.deepEqual(device.log, ['read 0 1', 'read 1 1', 'read 2 1', 'read 3 1', 'write 0 1 ef', 'write 1 1 be']);
});

test('a wide access goes on with the same device past the end of its range', (t) => {
  const ports = new PortSpace();
  const device = recorder();
  const neighbour = recorder();
  ports.map('d', 0x60, 1, device);
  ports.map('n', 0x61, 1, neighbour);
  ports.read(0x60, 2);
  t.deepEqual(device.log, ['read 0 1', 'read 1 1']);
  t.deepEqual(neighbour.log, []);
});

test('an access that a device implements is forwarded whole', (t) => {
  const ports = new PortSpace();
  const device = recorder();
  ports.map('d', 0xcfc, 4, device, { width: 4 });
  t.is(ports.read(0xcfc, 4), 0);
  ports.write(0xcfe, 2, 0x1234);
  t.deepEqual(device.log, ['read 0 4', 'write 2 2 1234']);
});

test('an unaligned access reads as zero and is not written unless the range takes it', (t) => {
  const ports = new PortSpace();
  const strict = recorder();
  const lax = recorder();
  ports.map('strict', 0x20, 2, strict);
  ports.map('lax', 0x81, 3, lax, { offset: 1, unaligned: true });
  t.is(ports.read(0x21, 2), 0);
  ports.write(0x21, 2, 0xffff);
  t.deepEqual(strict.log, []);
  t.is(ports.read(0x81, 2), 0x0201);
});

test('a narrow access to a device with wide registers is cut out of a wide one', (t) => {
  const ports = new PortSpace();
  const device = recorder();
  ports.map('d', 0x100, 8, device, { width: 4, minWidth: 4 });
  t.is(ports.read(0x104, 1), 4);
  ports.write(0x104, 1, 0xab);
  t.deepEqual(device.log, ['read 4 4', 'write 4 4 ab']);
});

test('an overlap in the wiring is an error that names both ranges', (t) => {
  const ports = new PortSpace();
  ports.map('first', 0x40, 4, recorder());
  t.throws(() => ports.map('second', 0x43, 1, recorder()), { message: /second overlaps first/ });
});

test('a range outside of port space is an error', (t) => {
  t.throws(() => new PortSpace().map('d', 0xffff, 2, recorder()), { instanceOf: RangeError });
});

test('a range that the guest places covers others until it is taken away', (t) => {
  const ports = new PortSpace();
  ports.map('board', 0x600, 8, recorder());
  const bar = ports.map('bar', 0x604, 8, recorder(), { overlay: true });
  t.deepEqual(
    [0x603, 0x604, 0x60b, 0x60c].map((port) => ports.nameAt(port)),
    ['board', 'bar', 'bar', undefined],
  );
  bar.unmap();
  t.deepEqual(
    [0x603, 0x604, 0x60b].map((port) => ports.nameAt(port)),
    ['board', 'board', undefined],
  );
});

test('string accesses are little-endian and repeat one port', (t) => {
  const ports = new PortSpace();
  const device = recorder();
  ports.map('d', 0x10, 4, device, { width: 2 });
  t.deepEqual([...ports.readString(0x12, 2, 2)], [2, 2, 2, 2]);
  ports.writeString(0x12, 2, Uint8Array.of(1, 2, 3, 4));
  t.deepEqual(device.log, ['read 2 2', 'read 2 2', 'write 2 2 201', 'write 2 2 403']);
});

test('string accesses use the fast form of a device when they reach it whole', (t) => {
  const ports = new PortSpace();
  const device = {
    ...recorder(),
    portReadString: (offset: number, size: number, count: number) => new Uint8Array(size * count).fill(offset),
    portWriteString: (offset: number, size: number, data: Uint8Array) =>
      device.log.push(`fast ${offset} ${size} ${data}`),
  };
  ports.map('d', 0x10, 4, device);
  t.deepEqual([...ports.readString(0x12, 1, 3)], [2, 2, 2]);
  ports.writeString(0x12, 1, Uint8Array.of(8, 9));
  ports.writeString(0x12, 2, Uint8Array.of(8, 9));
  t.deepEqual(device.log, ['fast 2 1 8,9', 'write 2 1 8', 'write 3 1 9']);
});

test('a range may be placed anew any number of times', (t) => {
  const ports = new PortSpace();
  const device = recorder();
  ports.map('wired', 0x2f0, 0x20, recorder());
  for (let n = 0; n < 0x1_0100; n++) {
    const mapping = ports.map('placed', n % 2 === 0 ? 0x300 : 0x400, 4, device, { overlay: true });
    if (n < 0x1_00ff) mapping.unmap();
  }
  t.is(ports.nameAt(0x300), 'wired');
  t.is(ports.nameAt(0x400), 'placed');
});
