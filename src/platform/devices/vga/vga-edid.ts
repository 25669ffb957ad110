// The EDID of the monitor at QEMU's VGA (VESA E-EDID 1.4, CTA-861): 1280 × 800 preferred, "QEMU Monitor". Bytes as QEMU
// 7.2 answers them; guests choose modes by it.

// biome-ignore format: a field a line
const FIELDS = [
  '00ffffffffffff00',                       // header
  '4914 3412 00000000 2a18 0104',           // RHT, product 0x1234, no serial number, week 42 of 2014, EDID 1.4
  'a5 20 14 78 06',                         // digital, 8 bits a colour; 32 × 20 cm; gamma 2.2; features
  'ee91a3544c99260f5054',                   // chromaticity
  '210800',                                 // established timings I, II
  'e1c0 d1c0 d100 a940 b300 9500 8180 8140', // standard timings
  'ea29 00c051 201c30 40264440 45cb10 000018', // detailed timing: 1280 × 800
  '000000f7000a 004082002820 000000000000', // established timings III
  '000000fd00 327d1ea0ff 01 0a202020202020', // range limits
  '000000fc00 51454d55204d6f6e69746f720a',  // name
  '01 3a',                                  // one extension; checksum
  '02 03 0b 00 46 7d6560591f61',            // CTA-861 extension: video data block
];
const LENGTH = 384;
const EXTENSION_CHECKSUM = 0x2f;

/** Three blocks of 128 bytes, the last one empty. */
export function edid(): Uint8Array {
  const bytes = new Uint8Array(LENGTH);
  bytes.set(Buffer.from(FIELDS.join('').replaceAll(' ', ''), 'hex'));
  // The extension's detailed timings are dummies.
  for (let at = 128 + 0x0b; at + 18 <= 255; at += 18) bytes[at + 3] = 0x10;
  bytes[255] = EXTENSION_CHECKSUM;
  return bytes;
}
