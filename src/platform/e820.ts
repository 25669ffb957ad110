// The e820 memory map (ACPI 6.4, chapter 15) for the pc machine of QEMU 7.2, in its two forms: what the fw_cfg file
// etc/e820 tells the firmware, and what SeaBIOS then tells an operating system. RAM up to 3.5 GiB lies below the PCI
// hole; of more than that 3 GiB do, the rest starts at 4 GiB. Invariant: maps are sorted by address and do not
// overlap, except that etc/e820 has its entries in QEMU's order.

export const E820_RAM = 1;
export const E820_RESERVED = 2;
export const E820_ACPI = 3;
export const E820_NVS = 4;

/** One range; address and length in bytes, exact below 2^53. */
export interface E820Entry {
  address: number;
  length: number;
  type: number;
}

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;

/** End of usable conventional memory: SeaBIOS keeps 1 KiB below 640 KiB for the EBDA. */
export const EBDA_START = 0x9fc00;
/** What the firmware keeps for itself below the end of low RAM, ACPI tables included. */
export const FIRMWARE_RESERVED = 128 * KIB;

const MAX_LOW = 0xe0000000;
const SPLIT_LOW = 0xc0000000;
/** AMD HyperTransport hole below 1 TiB, which QEMU marks for processors that call themselves AMD. */
const HT_HOLE: E820Entry = { address: 0xfd_0000_0000, length: 0x3_0000_0000, type: E820_RESERVED };

/** How much of `ramSize` bytes lies below and above 4 GiB (the pc machine without max-ram-below-4g). */
export function splitRam(ramSize: number): { below: number; above: number } {
  const below = ramSize < MAX_LOW ? ramSize : SPLIT_LOW;
  return { below, above: ramSize - below };
}

export interface E820Options {
  /** The CPUID vendor is AuthenticAMD. Default false. */
  amd?: boolean;
}

/** The entries of etc/e820. */
export function fwCfgE820(ramSize: number, options: E820Options = {}): E820Entry[] {
  const { below, above } = splitRam(ramSize);
  const map: E820Entry[] = options.amd ? [{ ...HT_HOLE }] : [];
  map.push({ address: 0, length: below, type: E820_RAM });
  if (above > 0) map.push({ address: 4 * GIB, length: above, type: E820_RAM });
  return map;
}

/**
 * The map that SeaBIOS's INT 15h E820 (and its PVH loader) gives out.
 * @throws RangeError if there is less than 2 MiB of RAM
 */
export function firmwareE820(ramSize: number, options: E820Options = {}): E820Entry[] {
  if (ramSize < 2 * MIB) throw new RangeError(`${ramSize} bytes of RAM are too few for a PC`);
  const { below, above } = splitRam(ramSize);
  const range = (start: number, end: number, type: number): E820Entry => ({
    address: start,
    length: end - start,
    type,
  });
  const map = [
    range(0, EBDA_START, E820_RAM),
    range(EBDA_START, 0xa0000, E820_RESERVED),
    range(0xf0000, MIB, E820_RESERVED),
    range(MIB, below - FIRMWARE_RESERVED, E820_RAM),
    range(below - FIRMWARE_RESERVED, below, E820_RESERVED),
    // The ROM. (0xfeffc000 is reserved under KVM only.)
    range(0xfffc0000, 4 * GIB, E820_RESERVED),
  ];
  if (above > 0) map.push(range(4 * GIB, 4 * GIB + above, E820_RAM));
  if (options.amd) map.push({ ...HT_HOLE });
  return map;
}

/** The map that qboot hands over on a microvm, where nothing hides RAM but itself. */
export function microvmE820(ramSize: number): E820Entry[] {
  return [
    { address: 0, length: EBDA_START, type: E820_RAM },
    { address: EBDA_START, length: 0xd0000 - EBDA_START, type: E820_RESERVED },
    { address: 0xd0000, length: 0x20000, type: E820_NVS },
    { address: 0xf0000, length: 0x10000, type: E820_RESERVED },
    { address: MIB, length: ramSize - MIB, type: E820_RAM },
  ];
}

/** 20 bytes an entry, little-endian: u64 address, u64 length, u32 type. */
export function encodeE820(map: readonly E820Entry[]): Uint8Array {
  const data = new Uint8Array(20 * map.length);
  const view = new DataView(data.buffer);
  map.forEach(({ address, length, type }, i) => {
    view.setBigUint64(20 * i, BigInt(address), true);
    view.setBigUint64(20 * i + 8, BigInt(length), true);
    view.setUint32(20 * i + 16, type, true);
  });
  return data;
}
