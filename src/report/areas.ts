// Names for code without symbols: which image or part of the address space an instruction lies in, and the page of it.
// PC memory map: option ROMs from 0xc0000, the BIOS up to 1 MiB and below 4 GiB; a kernel in the upper half.

import { PHASE_NAMES } from '../diff/phases.js';
import type { TraceHeader } from '../trace/header.js';
import type { RawSample } from './sampling.js';

const PAGE = 0x1000n;

/** The part of the machine's software that a sample belongs to. @param phase the boot's phase, for code that moves */
export function areaOf(sample: RawSample, header: TraceHeader, phase: string): string {
  const { at, bits, user } = sample;
  if (user) return 'user';
  if (at >= 0xffff_8000_0000_0000n || (bits === 32 && at >= 0xc000_0000n && at < 0xf000_0000n)) return 'kernel';
  if (header.rom.length > 0) {
    if (at >= 0xfff0_0000n && at < 0x1_0000_0000n) return 'firmware';
    if (at >= 0xe_0000n && at < 0x10_0000n) return 'firmware';
    if (at >= 0xc_0000n && at < 0xe_0000n) return 'option ROM';
  }
  const image = header.images.find(
    ({ address, size }) => address !== undefined && at >= BigInt(address) && at < BigInt(address + size),
  );
  if (image) return image.role;
  if (phase === PHASE_NAMES.decompression) return bits === 16 ? 'kernel setup' : 'decompressor';
  if (header.rom.length > 0 && (phase === PHASE_NAMES.reset || phase === PHASE_NAMES.post)) return 'firmware';
  if (phase === PHASE_NAMES.loader) return 'loader';
  if (bits === 16) return 'real mode';
  return at < 0x10_0000n ? 'low memory' : 'memory';
}

/** The page of an address that has no symbol. */
export function pageName(at: bigint): string {
  const first = at - (at % PAGE);
  return `0x${first.toString(16)}–${(first + PAGE - 1n).toString(16).slice(-4)}`;
}
