// The command codes of a disk (ATA/ATAPI-6, T13/1410D, annex D; ACS-2, table B.2): which there are, and how they end. They
// are those that QEMU 7.2 gives a hard disk; every other code is refused. What a command does is AtaDisk's.

import type { AtaDisk } from './ata-disk.js';

/** Handlers say whether the command is over, so that its end is like that of every other. */
export interface CommandRow {
  run: (disk: AtaDisk, command: number) => boolean;
  /** The end sets "seek complete". */
  seek: boolean;
}

const ends = (run: CommandRow['run']): CommandRow => ({ run, seek: false });
const seeks = (run: CommandRow['run']): CommandRow => ({ run, seek: true });

/** Command codes. Several of old have a second one. */
// biome-ignore format: a table
export const COMMANDS: ReadonlyMap<number, CommandRow> = new Map([
  [0x06, ends((d) => d.trim())],                    // DATA SET MANAGEMENT
  [0x10, seeks((d) => d.nothing())],                // RECALIBRATE
  [0x20, ends((d) => d.readSectors(false))],        // READ SECTOR(S)
  [0x21, ends((d) => d.readSectors(false))],
  [0x24, ends((d) => d.readSectors(true))],         // READ SECTOR(S) EXT
  [0x25, ends((d) => d.readDma(true))],             // READ DMA EXT
  [0x27, seeks((d) => d.readNativeMax(true))],      // READ NATIVE MAX ADDRESS EXT
  [0x29, ends((d) => d.readSectors(true, true))],   // READ MULTIPLE EXT
  [0x30, ends((d) => d.writeSectors(false))],       // WRITE SECTOR(S)
  [0x31, ends((d) => d.writeSectors(false))],
  [0x34, ends((d) => d.writeSectors(true))],        // WRITE SECTOR(S) EXT
  [0x35, ends((d) => d.writeDma(true))],            // WRITE DMA EXT
  [0x39, ends((d) => d.writeSectors(true, true))],  // WRITE MULTIPLE EXT
  [0x3c, ends((d) => d.writeSectors(false))],       // WRITE VERIFY
  [0x40, seeks((d) => d.verify(false))],            // READ VERIFY SECTOR(S)
  [0x41, seeks((d) => d.verify(false))],
  [0x42, seeks((d) => d.verify(true))],             // READ VERIFY SECTOR(S) EXT
  [0x70, seeks((d) => d.nothing())],                // SEEK
  [0x90, ends((d) => d.runDiagnostic())],           // EXECUTE DEVICE DIAGNOSTIC
  [0x91, seeks((d) => d.setParameters())],               // INITIALIZE DEVICE PARAMETERS
  [0x94, ends((d) => d.nothing())],                 // STANDBY IMMEDIATE
  [0x95, ends((d) => d.nothing())],                 // IDLE IMMEDIATE
  [0x96, ends((d) => d.nothing())],                 // STANDBY
  [0x97, ends((d) => d.nothing())],                 // IDLE
  [0x98, seeks((d) => d.checkPower())],             // CHECK POWER MODE
  [0x99, ends((d) => d.nothing())],                 // SLEEP
  [0xb0, seeks((d) => d.smart())],                  // SMART
  [0xc4, ends((d) => d.readSectors(false, true))],  // READ MULTIPLE
  [0xc5, ends((d) => d.writeSectors(false, true))], // WRITE MULTIPLE
  [0xc6, seeks((d) => d.setMultiple())],            // SET MULTIPLE MODE
  [0xc8, ends((d) => d.readDma(false))],            // READ DMA
  [0xc9, ends((d) => d.readDma(false))],
  [0xca, ends((d) => d.writeDma(false))],           // WRITE DMA
  [0xcb, ends((d) => d.writeDma(false))],
  [0xe0, ends((d) => d.nothing())],                 // STANDBY IMMEDIATE
  [0xe1, ends((d) => d.nothing())],                 // IDLE IMMEDIATE
  [0xe2, ends((d) => d.nothing())],                 // STANDBY
  [0xe3, ends((d) => d.nothing())],                 // IDLE
  [0xe5, seeks((d) => d.checkPower())],             // CHECK POWER MODE
  [0xe6, ends((d) => d.nothing())],                 // SLEEP
  [0xe7, ends((d) => d.flush())],                   // FLUSH CACHE
  [0xea, ends((d) => d.flush())],                   // FLUSH CACHE EXT
  [0xec, ends((d) => d.identify())],                // IDENTIFY DEVICE
  [0xef, seeks((d) => d.setFeatures())],            // SET FEATURES
  [0xf5, seeks((d) => d.freezeLock())],             // SECURITY FREEZE LOCK
  [0xf8, seeks((d) => d.readNativeMax(false))],     // READ NATIVE MAX ADDRESS
]);
