// The floppy disk controller without drives: what time and lines have to do with it. Its answers are compared with QEMU's
// in qemu-registers.test.ts.

import test from 'ava';
import { Fdc } from '../../../../src/platform/devices/floppy/fdc.js';
import { assertSurvivesSaveAndLoad, Rig } from '../../rig.js';

const bench = () => {
  const rig = new Rig();
  const fdc = new Fdc(rig.clock, rig.line('irq6'));
  rig.takeLog();
  const out = (offset: number, ...values: number[]) => {
    for (const value of values) fdc.portWrite(offset, 1, value);
  };
  const result = (count: number) => Array.from({ length: count }, () => fdc.portRead(5, 1));
  return { rig, fdc, out, result };
};

test('a reset interrupts, and owes one answer for each drive that there could be', (t) => {
  const { rig, out, result } = bench();
  out(2, 0x08);
  t.deepEqual(rig.takeLog(), []);
  out(2, 0x0c);
  t.deepEqual(rig.takeLog(), ['irq6 1']);
  for (const drive of [0, 1, 2, 3]) {
    out(5, 0x08);
    t.deepEqual(result(2), [0xc0 + drive, 0]);
  }
  t.deepEqual(rig.takeLog(), ['irq6 0']);
  out(5, 0x08);
  t.deepEqual(result(1), [0x80]);
});

test('reading a sector ends abnormally at once, with an interrupt that the result takes back', (t) => {
  const { rig, out, result } = bench();
  out(5, 0x46, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
  t.deepEqual(rig.takeLog(), ['irq6 1']);
  t.is(result(7)[0]! & 0xc0, 0x40);
  t.deepEqual(rig.takeLog(), ['irq6 0']);
});

test('looking for an address on a track takes a turn of the disk that is not there', (t) => {
  const { rig, fdc, out } = bench();
  out(5, 0x4a, 0);
  t.is(fdc.portRead(4, 1) & 0x80, 0);
  rig.advance(19_999_999);
  t.deepEqual(rig.takeLog(), []);
  rig.advance(1);
  t.deepEqual(rig.takeLog(), ['irq6 1']);
  t.is(fdc.portRead(4, 1) & 0xc0, 0xc0);
});

test('a saved and loaded controller cannot be told from the original', (t) => {
  const commands = [0x03, 0x04, 0x07, 0x08, 0x0a, 0x0e, 0x0f, 0x13, 0x46, 0x4d, 0x0c, 0x2e, 0x80];
  assertSurvivesSaveAndLoad(() => {
    const { rig, fdc } = bench();
    return { rig, device: fdc, ports: [1, 2, 3, 4, 5, 5, 5, 7].map((offset) => [fdc, offset] as const) };
  }, commands);
  t.pass();
});
