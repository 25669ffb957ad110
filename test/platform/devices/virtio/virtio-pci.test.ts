// The virtio PCI function: a request from a driver's first step to its interrupt, by the legacy registers and by those of
// Virtio 1, with the wire and with messages; masks; and that a saved and loaded function goes on as it was.

import test, { type ExecutionContext } from 'ava';
import { BlockImage } from '../../../../src/platform/block/block-image.js';
import { VirtioBlk } from '../../../../src/platform/devices/virtio/virtio-blk.js';
import { VirtioPci } from '../../../../src/platform/devices/virtio/virtio-pci.js';
import { assertSurvivesSaveAndLoad, Rig } from '../../rig.js';

const RAM = 0x1_0000;
const DESCRIPTORS = 0x1000;
const DRIVER_RING = 0x2000;
const DEVICE_RING = 0x3000;
const HEADER = 0x4000;
const DATA = 0x5000;
const STATUS_BYTE = 0x6000;
const MODERN = { common: 0, isr: 0x1000, notify: 0x3000 };

function bench() {
  const rig = new Rig();
  const ram = new Uint8Array(RAM);
  const view = new DataView(ram.buffer);
  const bytes = Uint8Array.from({ length: 16 * 512 }, (_, i) => (i >> 9) + 1);
  const image = new BlockImage({ size: bytes.length, read: (at, length) => bytes.subarray(at, at + length) });
  const memory = {
    ramSize: RAM,
    read: (at: number, length: number) => ram.slice(at, at + length),
    write: (at: number, data: Uint8Array) => ram.set(data, at),
  };
  const device = new VirtioPci('virtio-blk-pci.0', new VirtioBlk(memory, image), {
    message: (address, data) => rig.log.push(`message ${address.toString(16)} ${data.toString(16)}`),
    map: () => () => {},
  });
  device.intx = (_pin, level) => rig.line('intx')(level);
  device.reset();
  rig.takeLog();
  /** A read of sector 3 in a ring at these places. */
  const makeRequest = (driverRing: number): void => {
    view.setBigUint64(HEADER + 8, 3n, true);
    const parts = [
      [HEADER, 16, 1],
      [DATA, 512, 3],
      [STATUS_BYTE, 1, 2],
    ] as const;
    for (const [n, [address, length, flags]] of parts.entries()) {
      view.setBigUint64(DESCRIPTORS + 16 * n, BigInt(address), true);
      view.setUint32(DESCRIPTORS + 16 * n + 8, length, true);
      view.setUint16(DESCRIPTORS + 16 * n + 12, flags, true);
      view.setUint16(DESCRIPTORS + 16 * n + 14, n + 1, true);
    }
    ram[STATUS_BYTE] = 0xff;
    const index = view.getUint16(driverRing + 2, true);
    view.setUint16(driverRing + 2, index + 1, true);
  };
  return { rig, ram, view, device, makeRequest };
}

function answered(t: ExecutionContext, ram: Uint8Array): void {
  t.is(ram[STATUS_BYTE], 0);
  t.true(ram.slice(DATA, DATA + 512).every((byte) => byte === 4));
}

test('a legacy driver reads a sector and takes the interrupt back by reading the status', (t) => {
  const { rig, ram, device, makeRequest } = bench();
  const { legacy } = device;
  for (const status of [1, 3]) legacy.portWrite(0x12, 1, status);
  legacy.portWrite(0x04, 4, 0);
  t.is(legacy.portRead(0x0c, 2), 256);
  legacy.portWrite(0x08, 4, DESCRIPTORS >> 12);
  legacy.portWrite(0x12, 1, 7);
  makeRequest(DESCRIPTORS + 16 * 256);
  legacy.portWrite(0x10, 2, 0);
  answered(t, ram);
  t.deepEqual(rig.takeLog(), ['intx 1']);
  t.is(legacy.portRead(0x13, 1), 1);
  t.is(legacy.portRead(0x13, 1), 0);
  t.deepEqual(rig.takeLog(), ['intx 0']);
});

/** What a driver of Virtio 1 does up to DRIVER_OK. */
function startModern({ device }: ReturnType<typeof bench>): void {
  const write = (offset: number, value: number, size: 1 | 2 | 4 = 4) => device.modern.mmioWrite(offset, size, value);
  for (const status of [1, 3]) write(0x14, status, 1);
  write(0x08, 1);
  write(0x0c, 1);
  write(0x14, 0x0b, 1);
  write(0x18, 64, 2);
  write(0x1a, 1, 2);
  for (const [n, address] of [DESCRIPTORS, DRIVER_RING, DEVICE_RING].entries()) write(0x20 + 8 * n, address);
  write(0x1c, 1, 2);
  write(0x14, 0x0f, 1);
}

test('a driver of Virtio 1 gets a message for the vector of its queue', (t) => {
  const made = bench();
  const { rig, ram, device, makeRequest } = made;
  device.configWrite(0x9a, 2, 0x8000);
  device.msix.mmioWrite(16, 4, 0xfee0_0000);
  device.msix.mmioWrite(24, 4, 0x41);
  device.msix.mmioWrite(28, 4, 0);
  startModern(made);
  makeRequest(DRIVER_RING);
  device.modern.mmioWrite(MODERN.notify, 2, 0);
  answered(t, ram);
  t.deepEqual(rig.takeLog(), ['message fee00000 41']);
});

test('a message that meets a mask is pending, and comes once when the mask goes', (t) => {
  const made = bench();
  const { rig, device, makeRequest } = made;
  device.configWrite(0x9a, 2, 0xc000);
  device.msix.mmioWrite(28, 4, 0);
  startModern(made);
  makeRequest(DRIVER_RING);
  device.modern.mmioWrite(MODERN.notify, 2, 0);
  t.deepEqual(rig.takeLog(), []);
  t.is(device.msix.mmioRead(0x800, 4), 2);
  device.configWrite(0x9a, 2, 0x8000);
  device.configWrite(0x9a, 2, 0x8000);
  t.deepEqual(rig.takeLog(), ['message 0 0']);
  t.is(device.msix.mmioRead(0x800, 4), 0);
});

test('a reset of the device by its driver interrupts nobody and forgets queues and vectors', (t) => {
  const made = bench();
  const { rig, device } = made;
  device.configWrite(0x9a, 2, 0x8000);
  startModern(made);
  device.modern.mmioWrite(0x14, 1, 0);
  t.is(device.modern.mmioRead(0x1c, 2), 0);
  t.is(device.modern.mmioRead(0x1a, 2), 0xffff);
  t.deepEqual(rig.takeLog(), []);
});

test('a saved and loaded function cannot be told from the original', (t) => {
  assertSurvivesSaveAndLoad(() => {
    const made = bench();
    const { rig, ram, view, device, makeRequest } = made;
    const modern = (size: 1 | 2 | 4) => ({
      portRead: (offset: number) => device.modern.mmioRead(offset, size),
      portWrite: (offset: number, _size: number, value: number) => device.modern.mmioWrite(offset, size, value),
    });
    return {
      rig,
      device,
      ports: [
        ...[0x04, 0x0e, 0x12, 0x13, 0x14, 0x16].map((offset) => [device.legacy, offset] as const),
        ...[0x00, 0x08, 0x0c, 0x18, 0x1c, 0x20].map((offset) => [modern(4), offset] as const),
        [modern(1), 0x14],
        [modern(1), MODERN.isr],
        [
          { portRead: () => device.msix.mmioRead(0x800, 4), portWrite: (_o, _s, v) => device.msix.mmioWrite(28, 4, v) },
          0,
        ],
      ],
      other: (what, value) => {
        if (what & 1) device.configWrite(0x9a, 2, value << 8);
        else if (what & 2) startModern(made);
        else {
          // Memory is no part of the state: it is made anew for each request.
          ram.fill(0);
          view.setUint16(DRIVER_RING + 2, value & 3, true);
          makeRequest(DRIVER_RING);
          device.modern.mmioWrite(MODERN.notify, 2, 0);
        }
      },
    };
  });
  t.pass();
});
