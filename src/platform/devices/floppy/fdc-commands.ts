// The command codes of the floppy disk controller (Intel 82078 data sheet 290468, chapter 5) and their parameters, in the
// order in which QEMU 7.2 looks for them: a code may fit several rows. What a command does is Fdc's.

import type { Fdc } from './fdc.js';

interface CommandRow {
  mask: number;
  value: number;
  parameters: number;
  run: (fdc: Fdc) => void;
}

/** Bits of the command byte that count, their value, parameters; the first that fits. */
// biome-ignore format: a table
const COMMANDS: readonly CommandRow[] = ([
  [0x1f, 0x06, 8, (f) => f.transfer()],           // READ DATA
  [0x3f, 0x05, 8, (f) => f.transfer()],           // WRITE DATA
  [0xff, 0x0f, 2, (f) => f.seek()],               // SEEK
  [0xff, 0x08, 0, (f) => f.senseInterrupt()],     // SENSE INTERRUPT STATUS
  [0xff, 0x07, 1, (f) => f.recalibrate()],        // RECALIBRATE
  [0xbf, 0x0d, 5, (f) => f.formatTrack()],        // FORMAT TRACK
  [0xbf, 0x02, 8, (f) => f.transfer()],           // READ TRACK
  [0xff, 0x4e, 17, (f) => f.restore()],           // RESTORE
  [0xff, 0x2e, 0, (f) => f.saveState()],          // SAVE
  [0x1f, 0x0c, 8, (f) => f.transferDeleted()],    // READ DELETED DATA
  [0x1f, 0x11, 8, (f) => f.transfer()],           // SCAN EQUAL
  [0x1f, 0x16, 8, (f) => f.transfer()],           // VERIFY
  [0x1f, 0x19, 8, (f) => f.transfer()],           // SCAN LOW OR EQUAL
  [0x1f, 0x1d, 8, (f) => f.transfer()],           // SCAN HIGH OR EQUAL
  [0x3f, 0x09, 8, (f) => f.transferDeleted()],    // WRITE DELETED DATA
  [0xbf, 0x0a, 1, (f) => f.readId()],             // READ ID
  [0xff, 0x03, 2, (f) => f.specify()],            // SPECIFY
  [0xff, 0x04, 1, (f) => f.senseDrive()],         // SENSE DRIVE STATUS
  [0xff, 0x12, 1, (f) => f.perpendicularMode()],  // PERPENDICULAR MODE
  [0xff, 0x13, 3, (f) => f.configure()],          // CONFIGURE
  [0xff, 0x17, 2, (f) => f.powerDownMode()],      // POWERDOWN MODE
  [0xff, 0x33, 1, (f) => f.option()],             // OPTION
  [0xff, 0x8e, 5, (f) => f.driveSpecification()], // DRIVE SPECIFICATION COMMAND
  [0xff, 0x8f, 2, (f) => f.relativeSeek(false)],  // RELATIVE SEEK OUT
  [0xff, 0xef, 10, (f) => f.invalid()],           // FORMAT AND WRITE
  [0xff, 0xcf, 2, (f) => f.relativeSeek(true)],   // RELATIVE SEEK IN
  [0x7f, 0x14, 0, (f) => f.lockConfiguration()],  // LOCK
  [0xff, 0x0e, 0, (f) => f.dumpRegisters()],      // DUMPREG
  [0xff, 0x10, 0, (f) => f.version()],            // VERSION
  [0xff, 0x18, 0, (f) => f.partId()],             // PART ID
  [0x1f, 0x05, 8, (f) => f.transfer()],           // WRITE DATA, with bits that no data sheet has
  [0x00, 0x00, 0, (f) => f.invalid()],
] satisfies [number, number, number, CommandRow['run']][]).map(([mask, value, parameters, run]) => ({ mask, value, parameters, run }));

/** The command that a byte starts. */
export const commandOf = (byte: number): CommandRow => COMMANDS.find(({ mask, value }) => (byte & mask) === value)!;
