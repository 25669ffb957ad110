import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { checkOptionRom } from '../../src/boot/option-rom.js';
import { cachedImage } from '../../src/fetch/cache.js';
import { BROKEN, ROM_SIZE, testRom } from './test-rom.js';

const said = (rom: Uint8Array): string[] =>
  checkOptionRom(rom).map(({ offset, text }) => `offset 0x${offset.toString(16)}: ${text}`);

test('a ROM that is right gives nothing to say', (t) => {
  t.deepEqual(said(testRom()), []);
});

for (const { name, rom, said: expected } of BROKEN) {
  test(`what is broken is found: ${name}`, (t) => {
    t.regex(said(rom).join('\n'), expected);
  });
}

test('PnP headers: a ring, vectors outside, a wrong sum, a wrong size', (t) => {
  t.regex(said(testRom((rom) => rom.set([0x1c], 0x22)))[0]!, /offset 0x22: the chain .* comes back to 0x1c/);
  t.regex(said(testRom((rom) => rom.set([0x00, 0x08], 0x36)))[0]!, /offset 0x36: the bootstrap entry vector is 0x800/);
  t.regex(said(testRom((rom) => rom.set([0x77], 0x25)))[0]!, /offset 0x25: .* wrong check sum/);
  t.regex(said(testRom((rom) => rom.set([0xff], 0x21)))[0]!, /offset 0x21: .* is 4080 bytes long/);
  t.regex(said(testRom((rom) => rom.set([0, 0], 0x1a)))[0]!, /offset 0x1a: no PnP header/);
});

test('PCI data structures: missing, too large, for another machine', (t) => {
  const pci = (size: number, type: number) => (rom: Uint8Array) => {
    rom.set([0x80, 0], 0x18);
    rom.set(Buffer.from('PCIR'), 0x80);
    rom.set([size, 0, 0, 0, type, 0x80], 0x90);
  };
  t.deepEqual(said(testRom(pci(ROM_SIZE / 512, 0))), []);
  t.regex(said(testRom(pci(9, 0)))[0]!, /offset 0x90: .* 4608 bytes, and there are 1024/);
  t.regex(said(testRom(pci(2, 3)))[0]!, /offset 0x94: .* code type 3/);
  t.regex(said(testRom((rom) => rom.set([0xff, 0x7f], 0x18)))[0]!, /offset 0x18: no PCI data structure .* at 0x7fff/);
});

test('any bytes give a finite list whose offsets lie in the ROM', (t) => {
  const random = fc.uint8Array({ maxLength: 600 });
  const changed = fc.array(fc.tuple(fc.nat(ROM_SIZE - 1), fc.nat(255)), { maxLength: 12 }).map((changes) =>
    testRom((rom) => {
      for (const [at, byte] of changes) rom[at] = byte;
    }),
  );
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.oneof(random, changed), (rom) => {
        for (const { offset, text } of checkOptionRom(rom)) {
          if (offset < 0 || offset > Math.max(rom.length, 0x20) || text === '') throw new Error(`${offset}: ${text}`);
        }
      }),
      { numRuns: 2000 },
    ),
  );
});

test('a single changed byte is always found', (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.nat(ROM_SIZE - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const rom = testRom();
        rom[at]! ^= change;
        if (checkOptionRom(rom).length === 0) throw new Error('nothing was found');
      }),
    ),
  );
});

for (const name of [
  'linuxboot_dma.bin',
  'linuxboot.bin',
  'multiboot_dma.bin',
  'multiboot.bin',
  'pvh.bin',
  'vgabios-stdvga.bin',
]) {
  const file = cachedImage(name);
  (file ? test : test.skip)(`QEMU's own ${name} has a right sum and length (needs: vmreplay fetch)`, (t) => {
    // The VGA BIOS has no PnP header; the others have no PCI data structure.
    const rest = said(readFileSync(file!)).filter((text) => !/no PnP header/.test(text));
    t.deepEqual(rest, []);
  });
}
