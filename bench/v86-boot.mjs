// Boots a Linux kernel in v86 until its serial console shows a text: v86-boot.mjs KERNEL INITRD APPEND MIB TEXT BIOS VGABIOS

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { V86 } from 'v86';

const [kernel, initrd, cmdline, mebibytes, text, bios, vgabios] = process.argv.slice(2);
const bytes = (file) => ({ buffer: new Uint8Array(readFileSync(file)).buffer });
const emulator = new V86({
  wasm_path: createRequire(import.meta.url).resolve('v86/build/v86.wasm'),
  bios: bytes(bios),
  vga_bios: bytes(vgabios),
  bzimage: bytes(kernel),
  initrd: bytes(initrd),
  cmdline,
  memory_size: Number(mebibytes) << 20,
  vga_memory_size: 8 << 20,
  disable_keyboard: true,
  disable_mouse: true,
  disable_speaker: true,
  autostart: true,
});
let line = '';
emulator.add_listener('serial0-output-byte', (byte) => {
  const character = String.fromCharCode(byte);
  process.stdout.write(character);
  line = character === '\n' ? '' : line + character;
  if (line.includes(text)) process.stdout.write('\n', () => process.exit(0));
});
