import test from 'ava';
import { Dma8237 } from '../../../src/platform/devices/dma8237.js';
import { assertSurvivesSaveAndLoad, Rig } from '../rig.js';

test('addresses and counts go through the byte flip-flop', (t) => {
  const dma = new Dma8237();
  const channels = dma.channels(0);
  dma.control(0).portWrite(4, 1, 0);
  for (const [offset, low, high] of [
    [4, 0x34, 0x12],
    [5, 0xff, 0x01],
  ] as const) {
    channels.portWrite(offset, 1, low);
    channels.portWrite(offset, 1, high);
  }
  t.deepEqual(
    [4, 4, 5, 5].map((offset) => channels.portRead(offset, 1)),
    [0x34, 0x12, 0xff, 0x01],
  );
});

test('the second controller’s registers are two ports apart', (t) => {
  const dma = new Dma8237();
  const channels = dma.channels(1);
  channels.portWrite(4, 1, 0x78);
  channels.portWrite(4, 1, 0x56);
  t.deepEqual([channels.portRead(4, 1), channels.portRead(4, 1)], [0x78, 0x56]);
  dma.control(1).portWrite(14, 1, 0x0c);
  t.is(dma.control(1).portRead(2, 1), 0x0c);
});

test('clearing the flip-flop makes the next byte the low one', (t) => {
  const dma = new Dma8237();
  const channels = dma.channels(0);
  channels.portWrite(0, 1, 0xaa);
  dma.control(0).portWrite(4, 1, 0);
  channels.portWrite(0, 1, 0x11);
  channels.portWrite(0, 1, 0x22);
  t.deepEqual([channels.portRead(0, 1), channels.portRead(0, 1)], [0x11, 0x22]);
});

test('masks are set one by one and together', (t) => {
  const control = new Dma8237().control(0);
  t.is(control.portRead(1, 1), 0xff);
  control.portWrite(6, 1, 0);
  control.portWrite(2, 1, 0x06);
  t.is(control.portRead(1, 1), 0x04);
  control.portWrite(2, 1, 0x02);
  t.is(control.portRead(1, 1), 0x00);
  control.portWrite(7, 1, 0x09);
  t.is(control.portRead(1, 1), 0x09);
});

test('software requests show in the status', (t) => {
  const control = new Dma8237().control(0);
  control.portWrite(1, 1, 0x06);
  t.is(control.portRead(0, 1), 0x40);
  control.portWrite(1, 1, 0x02);
  t.is(control.portRead(0, 1), 0x00);
});

test('master clear masks all channels', (t) => {
  const control = new Dma8237().control(1);
  control.portWrite(12, 1, 0);
  control.portWrite(10, 1, 0);
  t.is(control.portRead(2, 1), 0xff);
});

test('page registers belong to channels 2, 3, 1 and 0 in port order', (t) => {
  const dma = new Dma8237();
  const pages = dma.pages(0);
  for (const port of [1, 2, 3, 7]) pages.portWrite(port, 1, 0x10 + port);
  t.deepEqual(
    [1, 2, 3, 7].map((port) => pages.portRead(port, 1)),
    [0x11, 0x12, 0x13, 0x17],
  );
  t.deepEqual((dma.save() as unknown as { pages: number[] }[])[0]!.pages, [0x17, 0x13, 0x11, 0x12]);
});

test('saved DMA controllers cannot be told from the originals', (t) => {
  const build = () => {
    const device = new Dma8237();
    return {
      rig: new Rig(),
      device,
      ports: [
        ...[0, 1, 2, 7].map((offset) => [device.channels(0), offset] as const),
        ...[0, 1, 2, 3, 4, 5].map((offset) => [device.control(0), offset] as const),
        ...[0, 2, 14].map((offset) => [device.channels(1), offset] as const),
        ...[0, 2].map((offset) => [device.control(1), offset] as const),
        [device.pages(1), 3] as const,
      ],
    };
  };
  t.notThrows(() => assertSurvivesSaveAndLoad(build));
});
