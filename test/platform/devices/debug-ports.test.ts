import test from 'ava';
import type { RunEnd } from '../../../src/cpu/bus.js';
import { Debugcon, DebugExit, PostCode } from '../../../src/platform/devices/debug-ports.js';

test('the debug console says that it is there and passes bytes on', (t) => {
  const bytes: number[] = [];
  const debugcon = new Debugcon((byte) => bytes.push(byte));
  t.is(debugcon.portRead(0, 1), 0xe9);
  debugcon.portWrite(0, 1, 0x41);
  debugcon.portWrite(0, 2, 0x4242);
  t.is(debugcon.portRead(0, 2), 0);
  t.deepEqual(bytes, [0x41]);
});

test('the test exit ends the run with an odd code', (t) => {
  const ends: RunEnd[] = [];
  const exit = new DebugExit({ stop: (end) => ends.push(end) });
  t.is(exit.portRead(0, 4), 0);
  exit.portWrite(0, 4, 0x10);
  exit.portWrite(0, 4, 0xffff_ffff);
  t.deepEqual(ends, [
    { reason: 'debug-exit', code: 0x21 },
    { reason: 'debug-exit', code: 0xffff_ffff },
  ]);
});

test('the POST code port reads as an empty bus', (t) => {
  const codes: number[] = [];
  const port = new PostCode((code) => codes.push(code));
  port.portWrite(0, 1, 0x55);
  t.is(port.portRead(0, 1), 0xff);
  t.deepEqual(codes, [0x55]);
});
