// Sets the last byte of an option ROM so that all bytes add up to 0.

import { readFileSync, writeFileSync } from 'node:fs';

const [file] = process.argv.slice(2);
const rom = readFileSync(file);
rom[rom.length - 1] = 0;
rom[rom.length - 1] = -rom.reduce((sum, byte) => sum + byte, 0);
writeFileSync(file, rom);
