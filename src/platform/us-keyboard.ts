// From text to key strokes on a US keyboard, named by their set 2 make codes (devices/ps2/ps2-scancodes.ts): printable ASCII,
// control characters, and the keys without a character by the sequences that terminals send for them, such as ESC [ A
// for the up arrow. Left out: other layouts, and keys that are held while others are pressed, but for Shift and Ctrl.

const SHIFT = 0x12;
const CONTROL = 0x14;

/** One key, and what is held down meanwhile. */
export interface KeyStroke {
  readonly code: number;
  /** The modifier key held, or undefined. */
  readonly with: number | undefined;
}

/** Characters from left to right as the codes that follow. */
const ROWS: readonly (readonly [plain: string, shifted: string, codes: readonly number[]])[] = [
  ['`1234567890-=', '~!@#$%^&*()_+', [0x0e, 0x16, 0x1e, 0x26, 0x25, 0x2e, 0x36, 0x3d, 0x3e, 0x46, 0x45, 0x4e, 0x55]],
  ['qwertyuiop[]\\', 'QWERTYUIOP{}|', [0x15, 0x1d, 0x24, 0x2d, 0x2c, 0x35, 0x3c, 0x43, 0x44, 0x4d, 0x54, 0x5b, 0x5d]],
  ["asdfghjkl;'", 'ASDFGHJKL:"', [0x1c, 0x1b, 0x23, 0x2b, 0x34, 0x33, 0x3b, 0x42, 0x4b, 0x4c, 0x52]],
  ['zxcvbnm,./', 'ZXCVBNM<>?', [0x1a, 0x22, 0x21, 0x2a, 0x32, 0x31, 0x3a, 0x41, 0x49, 0x4a]],
];
const CHARACTERS = new Map<string, KeyStroke>([
  [' ', { code: 0x29, with: undefined }],
  ['\n', { code: 0x5a, with: undefined }],
  ['\r', { code: 0x5a, with: undefined }],
  ['\t', { code: 0x0d, with: undefined }],
  ['\b', { code: 0x66, with: undefined }],
  ['\x7f', { code: 0x66, with: undefined }],
  ['\x1b', { code: 0x76, with: undefined }],
]);
for (const [plain, shifted, codes] of ROWS) {
  codes.forEach((code, i) => {
    CHARACTERS.set(plain[i]!, { code, with: undefined });
    CHARACTERS.set(shifted[i]!, { code, with: SHIFT });
  });
}
for (let letter = 1; letter <= 26; letter++) {
  const character = String.fromCharCode(letter);
  const { code } = CHARACTERS.get(String.fromCharCode(0x60 + letter))!;
  if (!CHARACTERS.has(character)) CHARACTERS.set(character, { code, with: CONTROL });
}

/** What terminals send (xterm, VT220) for keys without a character. */
// biome-ignore format: by groups of keys
const SEQUENCES: ReadonlyMap<string, number> = new Map([
  ['\x1b[A', 0xe075], ['\x1b[B', 0xe072], ['\x1b[C', 0xe074], ['\x1b[D', 0xe06b], // up, down, right, left
  ['\x1b[H', 0xe06c], ['\x1b[F', 0xe069], // home, end
  ['\x1b[2~', 0xe070], ['\x1b[3~', 0xe071], ['\x1b[5~', 0xe07d], ['\x1b[6~', 0xe07a], // insert, delete, page up, down
  ['\x1bOP', 0x05], ['\x1bOQ', 0x06], ['\x1bOR', 0x04], ['\x1bOS', 0x0c], // F1 to F4
  ['\x1b[15~', 0x03], ['\x1b[17~', 0x0b], ['\x1b[18~', 0x83], ['\x1b[19~', 0x0a], // F5 to F8
  ['\x1b[20~', 0x01], ['\x1b[21~', 0x09], ['\x1b[23~', 0x78], ['\x1b[24~', 0x07], // F9 to F12
]);
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
const PIECES = /\x1b(?:\[[0-9]*[A-Z~]|O[P-S])|./gsu;

/**
 * The strokes that type a text.
 * @throws RangeError for a character or sequence that has no key
 */
export function keyStrokes(text: string): KeyStroke[] {
  return [...text.matchAll(PIECES)].map(([piece]) => {
    const code = SEQUENCES.get(piece);
    const stroke = code === undefined ? CHARACTERS.get(piece) : { code, with: undefined };
    if (stroke === undefined) throw new RangeError(`no key of a US keyboard types ${JSON.stringify(piece)}`);
    return stroke;
  });
}
