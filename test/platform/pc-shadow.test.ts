import test from 'ava';
import { I440fx } from '../../src/platform/devices/pci/pci-host.js';
import { PcShadow } from '../../src/platform/pc-shadow.js';

function rig() {
  const told: string[] = [];
  const shadow = new PcShadow({
    pam: (start, attribute) => told.push(`pam ${start.toString(16)} ${attribute}`),
    smram: (open, inSmm) => told.push(`smram ${open} ${inSmm}`),
  });
  const bridge = new I440fx(128 << 20, (changed) => shadow.update(changed));
  return { told, bridge, take: () => told.splice(0) };
}

test('each PAM register switches its own ranges, low nibble first', (t) => {
  const { bridge, take } = rig();
  bridge.configWrite(0x59, 1, 0x30);
  t.deepEqual(take(), ['pam f0000 3']);
  bridge.configWrite(0x5a, 1, 0x21);
  t.deepEqual(take(), ['pam c0000 1', 'pam c4000 2']);
  bridge.configWrite(0x5f, 1, 0x13);
  t.deepEqual(take(), ['pam e8000 3', 'pam ec000 1']);
});

test('what did not change is not told', (t) => {
  const { bridge, take } = rig();
  bridge.configWrite(0x5a, 1, 0x33);
  take();
  bridge.configWrite(0x5a, 1, 0x33);
  // The reserved bits of each nibble mean nothing.
  bridge.configWrite(0x5a, 1, 0xff);
  t.deepEqual(take(), []);
});

test('a reset hides all RAM again, and closes SMRAM', (t) => {
  const { bridge, take } = rig();
  bridge.configWrite(0x59, 4, 0x3333_3330);
  bridge.configWrite(0x72, 1, 0x4a);
  t.is(take().length, 8);
  bridge.reset();
  const told = take();
  t.is(told.length, 8);
  t.true(told.slice(0, 7).every((line) => line.endsWith(' 0')));
  t.is(told.at(-1), 'smram false false');
});
