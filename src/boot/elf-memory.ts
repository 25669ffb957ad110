// An ELF kernel as it lies in memory: its extent, and its segments for a loader that puts them there.

import { hex } from './boot-error.js';
import { type ElfFile, loadSegments } from './elf.js';
import type { Segment } from './image.js';

/** First address and the one behind the last, zero-filled memory included. @throws ImageError without any segment */
export function elfExtent(elf: ElfFile): { low: number; high: number } {
  const segments = loadSegments(elf);
  if (segments.length === 0) throw elf.reader.error('there is no segment to load');
  return {
    low: Math.min(...segments.map((one) => one.physicalAddress)),
    high: Math.max(...segments.map((one) => one.physicalAddress + one.memorySize)),
  };
}

/**
 * The segments' bytes.
 * @param end of RAM
 * @throws ImageError when one lies past it
 */
export function elfMemory(elf: ElfFile, end: number): Segment[] {
  return loadSegments(elf).map(({ physicalAddress, offset, fileSize, memorySize }) => {
    if (physicalAddress + memorySize > end)
      throw elf.reader.error(
        `a segment needs memory up to ${hex(physicalAddress + memorySize)}, RAM ends at ${hex(end)}`,
        'give the guest more memory with --memory',
      );
    return {
      address: physicalAddress,
      data: elf.reader.bytes.subarray(offset, offset + fileSize),
      zeros: memorySize - fileSize,
      role: 'kernel',
      source: { image: 'kernel', offset },
    };
  });
}
