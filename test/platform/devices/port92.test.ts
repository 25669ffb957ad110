import test from 'ava';
import { Port92 } from '../../../src/platform/devices/port92.js';
import { assertSurvivesSaveAndLoad, Rig } from '../rig.js';

function bench() {
  const rig = new Rig();
  return { rig, port: new Port92(rig.line('a20'), () => rig.output('reset')('')) };
}

test('bit 1 is the A20 gate and what is written reads back', (t) => {
  const { rig, port } = bench();
  t.is(port.portRead(0, 1), 0);
  port.portWrite(0, 1, 0x02);
  t.true(rig.levels.a20);
  t.is(port.portRead(0, 1), 0x02);
  port.portWrite(0, 1, 0x00);
  t.false(rig.levels.a20);
});

test('a rising bit 0 asks for a reset once', (t) => {
  const { rig, port } = bench();
  const resets = (): number => rig.takeLog().filter((entry) => entry.startsWith('reset')).length;
  port.portWrite(0, 1, 0x01);
  t.is(resets(), 1);
  port.portWrite(0, 1, 0x03);
  t.is(resets(), 0);
  port.reset();
  t.is(port.portRead(0, 1), 0x02);
});

test('a saved port 0x92 cannot be told from the original', (t) => {
  const build = () => {
    const { rig, port } = bench();
    return { rig, device: port, ports: [[port, 0]] as const };
  };
  t.notThrows(() => assertSurvivesSaveAndLoad(build, [0, 1, 2, 3]));
});
