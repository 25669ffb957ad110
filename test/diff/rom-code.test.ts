import test from 'ava';
import { romDifference, romInstruction } from '../../src/diff/rom-code.js';
import { testRom } from '../boot/test-rom.js';

test('the instruction that a byte belongs to is found by walking the code from its entries', (t) => {
  const rom = testRom();
  t.deepEqual(romInstruction(rom, 0x42), { at: 0x42, text: 'mov dx, 0x402' });
  t.deepEqual(romInstruction(rom, 0x44), { at: 0x42, text: 'mov dx, 0x402' });
  t.deepEqual(romInstruction(rom, 0x47), { at: 0x47, text: 'out dx, al' });
  // Behind the return, and before the entry, there is no code.
  t.is(romInstruction(rom, 0x60), undefined);
  t.is(romInstruction(rom, 0), undefined);
});

test('two versions of a ROM differ in an instruction, or in data that nothing is said of', (t) => {
  const other = testRom((rom) => rom.set([0x21], 0x46));
  const words = 'the code at offset 0x45 is mov al, 0x7e in A, mov al, 0x21 in B';
  t.is(romDifference(testRom(), other), words);
  t.is(romDifference(testRom(), testRom()), undefined);
  t.is(
    romDifference(
      testRom(),
      testRom((rom) => rom.set([1], 900)),
    ),
    undefined,
  );
});

test('code that leads anywhere is walked to an end', (t) => {
  t.is(
    romInstruction(
      testRom((rom) => rom.set([0xeb, 0xfe], 3)),
      0x42,
    ),
    undefined,
  );
  t.is(romInstruction(new Uint8Array(0), 0), undefined);
  t.is(
    romInstruction(
      testRom((rom) => rom.set([0xe9, 0xff, 0x7f], 3)),
      0x42,
    ),
    undefined,
  );
});
