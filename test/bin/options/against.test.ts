import test from 'ava';
import { againstOptions } from '../../../bin/options/against.js';
import type { BootOptions } from '../../../src/index.js';

const first: BootOptions = {
  machine: 'pc',
  memory: 64 << 20,
  kernel: 'k',
  append: 'a b',
  bios: 'bios.bin',
  optionRoms: ['x.bin'],
  boot: 'firmware',
  fwCfg: [{ name: 'opt/x', string: 'y' }],
};

test('what is loaded is that of the first boot, how it is loaded is as given', (t) => {
  const second = againstOptions('--boot pvh', first);
  t.like(second, { memory: 64 << 20, kernel: 'k', append: 'a b', boot: 'pvh', fwCfg: first.fwCfg! });
  t.is(second.bios, undefined);
  t.is(second.optionRoms, undefined);
});

test('what is given is taken, with quotes as a shell has them', (t) => {
  const second = againstOptions(`--kernel "my kernel" --append 'c "d"' --bios other\\ bios.bin --memory 32M`, first);
  t.like(second, { kernel: 'my kernel', append: 'c "d"', bios: 'other bios.bin', memory: 32 << 20 });
});

test('what is no boot option is refused with a sentence', (t) => {
  t.throws(() => againstOptions('--nonsense', first), {
    message: /^--against '--nonsense': unknown option '--nonsense'; give/,
  });
  t.throws(() => againstOptions('stray', first), { message: /; give boot options, such as --against '--boot pvh'$/ });
  t.throws(() => againstOptions('--memory x', first), { message: /a size is a whole number/ });
});
