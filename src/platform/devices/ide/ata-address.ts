// Sector addresses in the command block registers (ATA/ATAPI-6, T13/1410D, 6.2): 28 bits, 48 bits with the registers'
// previous values as the upper halves, or cylinder, head and sector. QEMU counts in the registers while it transfers, so
// the guest sees how far a command came.

import { SELECT_LBA, type TaskFile } from './ide-drive.js';

/**
 * The address that the registers hold; −1 and below for sector 0 of the first track.
 * @param wide 48 bits
 * @param heads and sectors a track, where the address is by cylinder
 */
export function sectorOf(task: TaskFile, wide: boolean, heads: number, track: number): number {
  const low = (task.cylinderHigh << 16) | (task.cylinderLow << 8) | task.sector;
  if (!(task.select & SELECT_LBA)) {
    const cylinder = (task.cylinderHigh << 8) | task.cylinderLow;
    return (cylinder * heads + (task.select & 0x0f)) * track + task.sector - 1;
  }
  if (!wide) return (task.select & 0x0f) * 2 ** 24 + low;
  const high = task.previousCylinderHigh * 2 ** 16 + (task.previousCylinderLow << 8) + task.previousSector;
  return high * 2 ** 24 + low;
}

/** Put an address into the registers, in the form that they are in. */
export function showSector(task: TaskFile, sector: number, wide: boolean, heads: number, track: number): void {
  if (!(task.select & SELECT_LBA)) {
    // With no sectors a track there is nothing to calculate.
    if (track === 0) return;
    const cylinder = Math.floor(sector / (heads * track));
    const rest = sector % (heads * track);
    task.cylinderHigh = (cylinder >> 8) & 0xff;
    task.cylinderLow = cylinder & 0xff;
    task.select = (task.select & 0xf0) | (Math.floor(rest / track) & 0x0f);
    task.sector = (rest % track) + 1;
    return;
  }
  const high = Math.floor(sector / 2 ** 24);
  task.sector = sector & 0xff;
  task.cylinderLow = (sector >>> 8) & 0xff;
  task.cylinderHigh = (sector >>> 16) & 0xff;
  if (!wide) {
    task.select = (task.select & 0xf0) | (high & 0x0f);
    return;
  }
  task.previousSector = high & 0xff;
  task.previousCylinderLow = (high >>> 8) & 0xff;
  task.previousCylinderHigh = (high >>> 16) & 0xff;
}
