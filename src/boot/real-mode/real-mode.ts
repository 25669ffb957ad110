// What a kernel's real-mode code finds in a machine without firmware: interrupt vectors, the BIOS data area as SeaBIOS
// leaves it, the first byte of the extended area, and at F000:0000 the services themselves (bios.asm), with the
// machine's memory map behind them. IBM PC AT BIOS; ACPI 6.4, 15.1.
//
// Left out on purpose: a screen, disks, keys. A kernel's setup
// code asks for them and takes no for an answer.

import { E820_RAM, encodeE820 } from '../../platform/e820.js';
import type { MemoryRange, Segment } from '../image.js';
import { usableRam } from '../image.js';
import { BIOS_CODE } from './bios-code.js';

const BIOS_ADDRESS = 0xf_0000;
const BIOS_SEGMENT = 0xf000;
/** ACPI and SMBIOS anchors lie behind. */
const BIOS_LIMIT = 0x5000;
const EBDA_ADDRESS = 0x9_fc00;
const BDA_END = 0x500;
const COM1 = 0x3f8;
const MIB = 1 << 20;
/** Names of the handlers, in the order of the words at the beginning of the code. */
const HANDLERS = [
  ...(['timer', 'keyboard', 'first', 'second', 'equipment', 'memory'] as const),
  ...(['disk', 'system', 'keys', 'clock', 'ignore'] as const),
] as const;

/** Memory for real-mode code: `low` in usable RAM, `reserved` where the memory map says that firmware is. */
export function realModeServices(map: readonly MemoryRange[]): { low: Segment; reserved: Segment[] } {
  const code = decodeBase64(BIOS_CODE.join(''));
  const words = new DataView(code.buffer);
  const dataAt = words.getUint16(2 * HANDLERS.length, true);
  const answers = new Uint8Array(8 + 20 * map.length);
  const view = new DataView(answers.buffer);
  const [extended, to16, blocks] = extendedMemory(map);
  view.setUint16(0, extended, true);
  view.setUint16(2, to16, true);
  view.setUint16(4, blocks, true);
  view.setUint16(6, map.length, true);
  answers.set(encodeE820(map), 8);
  const bios = new Uint8Array(dataAt + answers.length);
  bios.set(code);
  bios.set(answers, dataAt);
  if (bios.length > BIOS_LIMIT) throw new RangeError('the memory map has no room behind the BIOS services');
  return {
    low: { address: 0, data: vectorsAndData(words), role: 'interrupt vectors and BIOS data' },
    reserved: [
      { address: EBDA_ADDRESS, data: Uint8Array.of(1), role: 'extended BIOS data' },
      { address: BIOS_ADDRESS, data: bios, role: 'BIOS services' },
    ],
  };
}

function vectorsAndData(words: DataView): Uint8Array {
  const data = new Uint8Array(BDA_END);
  const view = new DataView(data.buffer);
  const handler = (name: (typeof HANDLERS)[number]) => words.getUint16(2 * HANDLERS.indexOf(name), true);
  const vector = (n: number, name: (typeof HANDLERS)[number]) => {
    view.setUint16(4 * n, handler(name), true);
    view.setUint16(4 * n + 2, BIOS_SEGMENT, true);
  };
  for (let n = 0; n < 256; n++) vector(n, 'ignore');
  vector(0x08, 'timer');
  vector(0x09, 'keyboard');
  for (let n = 0x0a; n <= 0x0f; n++) vector(n, 'first');
  for (let n = 0x70; n <= 0x77; n++) vector(n, 'second');
  vector(0x11, 'equipment');
  vector(0x12, 'memory');
  vector(0x13, 'disk');
  vector(0x15, 'system');
  vector(0x16, 'keys');
  vector(0x1a, 'clock');

  const word = (offset: number, value: number) => view.setUint16(0x400 + offset, value, true);
  word(0x00, COM1);
  word(0x0e, EBDA_ADDRESS >> 4);
  // One serial port, a mathematical coprocessor, a pointing device; 80 columns in colour, were there a screen.
  word(0x10, 0x0226);
  word(0x13, EBDA_ADDRESS / 1024);
  word(0x1a, 0x1e); // keyboard buffer: head, tail, start, end
  word(0x1c, 0x1e);
  word(0x80, 0x1e);
  word(0x82, 0x3e);
  return data;
}

/** KiB above 1 MiB as AH=88h gives it, at most 63 MiB; KiB from 1 to 16 MiB and blocks of 64 KiB above, for E801. */
function extendedMemory(map: readonly MemoryRange[]): [number, number, number] {
  const ram = usableRam(map.filter(({ type }) => type === E820_RAM));
  const end = ram.find((range) => range.start <= MIB && range.end > MIB)?.end ?? MIB;
  const low = Math.min(end, 4096 * MIB);
  return [
    Math.min(low - MIB, 63 * MIB) / 1024,
    (Math.min(low, 16 * MIB) - MIB) / 1024,
    Math.floor(Math.max(0, low - 16 * MIB) / 65536),
  ];
}

function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
