// An option ROM for tests: prints "~" to the debug console at 0x402 and returns. Whoever breaks it says how, and whether
// the check sum is made right afterwards.

export const ROM_SIZE = 1024;
const CODE = 0x42;

/** @param mend changes the ROM before its check sum is set */
export function testRom(mend: (rom: Uint8Array) => void = () => {}, sum = true): Uint8Array {
  const rom = new Uint8Array(ROM_SIZE);
  // A jump over a PnP header of 32 bytes at 0x1c.
  rom.set([0x55, 0xaa, ROM_SIZE / 512, 0xeb, CODE - 5]);
  rom.set([0x1c, 0], 0x1a);
  rom.set(Buffer.from('$PnP\x01\x02', 'latin1'), 0x1c);
  // mov dx, 0x402; mov al, '~'; out dx, al; retf
  rom.set(Buffer.from('ba0204b07eeecb', 'hex'), CODE);
  mend(rom);
  if (sum) rom[ROM_SIZE - 1] = rom[ROM_SIZE - 1]! - rom.reduce((total, byte) => total + byte, 0);
  return rom;
}

/** Ways to break it, with what is said of each. */
export const BROKEN: readonly { name: string; rom: Uint8Array; said: RegExp }[] = [
  { name: 'signature', rom: testRom((rom) => rom.set([0xaa, 0x55])), said: /offset 0x0: .*55 aa is missing/ },
  { name: 'checksum', rom: testRom((rom) => rom.set([1], 900), false), said: /offset 0x3ff: the bytes add up to 0x/ },
  { name: 'length-0', rom: testRom((rom) => rom.set([0], 2)), said: /offset 0x2: the length is 0/ },
  { name: 'too-long', rom: testRom((rom) => rom.set([4], 2)), said: /the length is 2048 bytes and the file has 1024/ },
  {
    name: 'outside',
    rom: testRom((rom) => rom.set([0xe9, 0, 0x10], 3)),
    said: /offset 0x3: the entry jumps to 0x1006/,
  },
  { name: 'no-pnp', rom: testRom((rom) => rom.fill(0, 0x1c, 0x20)), said: /offset 0x1a: no PnP header .* at 0x1c/ },
  { name: 'itself', rom: testRom((rom) => rom.set([0xeb, 0xfe], 3)), said: /offset 0x3: the entry jumps to itself/ },
];
