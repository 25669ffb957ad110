import test from 'ava';
import { type DsdtOptions, dsdtBody, packDsdt } from '../../../src/platform/acpi/dsdt.js';

const packed = packDsdt();
const made = (options: DsdtOptions) => dsdtBody(options, undefined);

test('a block that was made beforehand is the one made for the machine, whatever its RAM', (t) => {
  for (const vga of [false, true]) {
    for (const [lowMemoryEnd, highMemoryEnd] of [[0x400_0000], [0x800_0000], [0xc000_0000, 0x1_4000_0000]] as const) {
      const options: DsdtOptions = { lowMemoryEnd: lowMemoryEnd!, vga, ...(highMemoryEnd && { highMemoryEnd }) };
      t.deepEqual(dsdtBody(options, packed), made(options));
    }
  }
});

test('a machine without one has its block made', (t) => {
  const options: DsdtOptions = { lowMemoryEnd: 0x800_0000 };
  for (const other of [{ serial: false }, { hpet: false }, { fwCfgDma: false }]) {
    t.deepEqual(dsdtBody({ ...options, ...other }, packed), made({ ...options, ...other }));
    t.notDeepEqual(made({ ...options, ...other }), made(options));
  }
});

test('blocks made beforehand are not shared between machines', (t) => {
  const options: DsdtOptions = { lowMemoryEnd: 0x800_0000 };
  dsdtBody(options, packed).fill(0);
  t.deepEqual(dsdtBody(options, packed), made(options));
});
