// The same gate as a test of ava's: `npm test` holds, `VMREPLAY_ACCEPT=1 npm test` accepts.

import test from 'ava';
import { boots, observe } from 'vmreplay/ava';

const boot = { boot: 'firmware', optionRoms: ['hello.rom'], untilDebugcon: 'No bootable device' };

test('hello does what it did', boots, { ...boot, hold: { events: { only: ['option-rom'], ignore: ['timing'] } } });

test('hello says hello once', async (t) => {
  const { serial } = await observe(boot);
  t.is(serial.match(/hello from the option ROM\r\n/g)?.length, 1);
});
