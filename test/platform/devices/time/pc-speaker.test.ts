import test from 'ava';
import type { Device, Plain } from '../../../../src/platform/device.js';
import { PcSpeaker } from '../../../../src/platform/devices/time/pc-speaker.js';
import { Pit } from '../../../../src/platform/devices/time/pit.js';
import { timeOfTick } from '../../../../src/platform/time-scale.js';
import { assertSurvivesSaveAndLoad, Rig } from '../../rig.js';

function bench() {
  const rig = new Rig();
  const pit = new Pit(rig.clock, rig.line('irq0'));
  return { rig, pit, speaker: new PcSpeaker(pit) };
}

test('the refresh bit flips at every read', (t) => {
  const { speaker } = bench();
  const bits = Array.from({ length: 4 }, () => speaker.portRead(0, 1) & 0x10);
  t.deepEqual(bits, [0x10, 0, 0x10, 0]);
});

test('the gate starts channel 2 and its output can be read', (t) => {
  const { rig, pit, speaker } = bench();
  speaker.portWrite(0, 1, 0x01);
  pit.portWrite(3, 1, 0xb0);
  pit.portWrite(2, 1, 100);
  pit.portWrite(2, 1, 0);
  t.is(speaker.portRead(0, 1) & 0x21, 0x01);
  rig.advance(timeOfTick(100, 1_193_182));
  t.is(speaker.portRead(0, 1) & 0x21, 0x21);
});

test('gate and speaker bits read back, the others cannot be written', (t) => {
  const { pit, speaker } = bench();
  speaker.portWrite(0, 1, 0xff);
  t.is(speaker.portRead(0, 1) & 0xcf, 0x03);
  t.true(pit.gate(2));
  speaker.portWrite(0, 1, 0x00);
  t.is(speaker.portRead(0, 1) & 0x0f, 0x00);
});

test('a saved port 0x61 cannot be told from the original, together with its timer', (t) => {
  const build = () => {
    const { rig, pit, speaker } = bench();
    const device: Device = {
      name: 'both',
      reset: () => speaker.reset(),
      save: () => ({ pit: pit.save(), speaker: speaker.save() }),
      load: (state) => {
        const both = state as { pit: Plain; speaker: Plain };
        pit.load(both.pit);
        speaker.load(both.speaker);
      },
    };
    const ports = [
      [speaker, 0],
      [pit, 2],
      [pit, 3],
    ] as const;
    return { rig, device, ports };
  };
  t.notThrows(() => assertSurvivesSaveAndLoad(build, [0x01, 0x03, 0xb0, 0xb2, 0xb6]));
});
