// SMBIOS 2.8 structures (DMTF DSP0134) of the pc machine, as QEMU 7.2 gives them to the firmware in etc/smbios: types
// 1, 3, 4, 16, 17, 19, 32 and 127; type 0 is the firmware's own and is made only on request. Invariant: the anchor's counts and lengths belong to
// the tables it comes with; its address and checksums are left to whoever places it, here placeSmbios().

import { E820_RAM, fwCfgE820, GIB, KIB, MIB } from './e820.js';

export interface SmbiosOptions {
  /** Bytes of RAM. */
  ramSize: number;
  /** CPUID leaf 1, EAX and EDX. */
  cpuSignature: number;
  cpuFeatures: number;
  /** 16 bytes as SMBIOS stores them. Default: not present, all zeros. */
  uuid?: Uint8Array;
  /** Who the firmware says it is (type 0); the date as mm/dd/yyyy. Left to the firmware by default. */
  bios?: { vendor: string; version: string; date: string };
}

export interface SmbiosBlobs {
  tables: Uint8Array;
  anchor: Uint8Array;
}

const MANUFACTURER = 'QEMU';
const PRODUCT = 'Standard PC (i440FX + PIIX, 1996)';
const VERSION = 'pc-i440fx-7.2';

const MAX_DIMM = 16 * GIB;
const ARRAY_HANDLE = 0x1000;
const NOT_PROVIDED = 0xfffe;
const UNKNOWN = 0xffff;
/** Sizes from here on go into the extended fields. */
const MAX_ARRAY_KIB = 0x80000000;
const MAX_DEVICE_MIB = 0x7fff;
const MAX_MAPPED_KIB = 0xffffffff;

type FieldValue = readonly [value: number, size: number];

/** One structure: header, fields, then its strings, each ended by a zero, and a zero. */
function structure(type: number, handle: number, fields: readonly FieldValue[], strings: readonly string[]): number[] {
  const bytes: number[] = [];
  const put = (value: number, size: number) => {
    for (let i = 0; i < size; i++) bytes.push(Math.floor(value / 2 ** (8 * i)) & 0xff);
  };
  const length = 4 + fields.reduce((sum, [, size]) => sum + size, 0);
  put(type, 1);
  put(length, 1);
  put(handle, 2);
  for (const [value, size] of fields) put(value, size);
  for (const text of strings) {
    for (const character of text) put(character.charCodeAt(0), 1);
    put(0, 1);
  }
  put(0, strings.length === 0 ? 2 : 1);
  return bytes;
}

function bios(id: NonNullable<SmbiosOptions['bios']>): number[] {
  const fields: FieldValue[] = [
    [1, 1], // vendor
    [2, 1], // version
    [0xe800, 2], // start segment
    [3, 1], // date
    [0, 1], // size: 64 KiB
    [0x08, 8], // characteristics are not given
    [0x0400, 2], // targeted content distribution
    [0, 2], // release of the BIOS
    [UNKNOWN, 2], // release of the embedded controller
  ];
  return structure(0, 0, fields, [id.vendor, id.version, id.date]);
}

function system(uuid: Uint8Array): number[] {
  const id = Array.from(uuid, (byte): FieldValue => [byte, 1]);
  // Manufacturer, product, version; no serial number; woken by the power switch; no SKU, no family.
  const fields: FieldValue[] = [[1, 1], [2, 1], [3, 1], [0, 1], ...id, [6, 1], [0, 1], [0, 1]];
  return structure(1, 0x100, fields, [MANUFACTURER, PRODUCT, VERSION]);
}

function chassis(): number[] {
  // Type "other", version; no serial, no asset tag; states safe, security unknown.
  const fields: FieldValue[] = [
    ...([1, 1, 2, 0, 0, 3, 3, 3, 2] as const).map((value): FieldValue => [value, 1]),
    [0, 4], // OEM defined
    [0, 4], // height, power cords, contained elements, SKU
    [0, 1],
  ];
  return structure(3, 0x300, fields, [MANUFACTURER, VERSION]);
}

function processor(options: SmbiosOptions): number[] {
  const fields: FieldValue[] = [
    [1, 1], // socket
    [3, 1], // central processor
    [1, 1], // family: other
    [2, 1], // manufacturer
    [options.cpuSignature, 4],
    [options.cpuFeatures, 4],
    [3, 1], // version
    [0, 1], // voltage
    [0, 2], // external clock: unknown
    [2000, 2], // MHz, maximum and current
    [2000, 2],
    [0x41, 1], // socket populated, processor enabled
    [1, 1], // upgrade: other
    [UNKNOWN, 2], // L1, L2, L3
    [UNKNOWN, 2],
    [UNKNOWN, 2],
    [0, 3], // serial number, asset tag, part number
    [1, 1], // cores, enabled cores, threads
    [1, 1],
    [1, 1],
    [2, 2], // characteristics: unknown
    [1, 2], // family 2: other
  ];
  return structure(4, 0x400, fields, ['CPU 0', MANUFACTURER, VERSION]);
}

function memoryArray(ramSize: number, devices: number): number[] {
  const kib = Math.ceil(ramSize / KIB);
  const extended = kib >= MAX_ARRAY_KIB;
  const fields: FieldValue[] = [
    [1, 1], // location: other
    [3, 1], // system memory
    [6, 1], // multi-bit ECC
    [extended ? MAX_ARRAY_KIB : kib, 4],
    [NOT_PROVIDED, 2],
    [devices, 2],
    [extended ? ramSize : 0, 8],
  ];
  return structure(16, ARRAY_HANDLE, fields, []);
}

function memoryDevice(instance: number, size: number): number[] {
  const mib = Math.ceil(size / MIB);
  const extended = mib >= MAX_DEVICE_MIB;
  const fields: FieldValue[] = [
    [ARRAY_HANDLE, 2],
    [NOT_PROVIDED, 2],
    [UNKNOWN, 2], // total and data width
    [UNKNOWN, 2],
    [extended ? MAX_DEVICE_MIB : mib, 2],
    [9, 1], // DIMM
    [0, 1], // no set
    [1, 1], // locator
    [0, 1], // bank
    [7, 1], // RAM
    [2, 2], // other
    [0, 2], // speed
    [2, 1], // manufacturer
    [0, 4], // serial number, asset tag, part number, attributes
    [extended ? mib : 0, 4],
    [0, 8], // configured speed, voltages
  ];
  return structure(17, 0x1100 + instance, fields, [`DIMM ${instance}`, MANUFACTURER]);
}

function mappedRange(instance: number, start: number, length: number): number[] {
  const end = start + length - 1;
  const [startKib, endKib] = [Math.floor(start / KIB), Math.floor(end / KIB)];
  const extended = endKib >= MAX_MAPPED_KIB;
  const fields: FieldValue[] = [
    [extended ? MAX_MAPPED_KIB : startKib, 4],
    [extended ? MAX_MAPPED_KIB : endKib, 4],
    [ARRAY_HANDLE, 2],
    [1, 1], // one device a row
    [extended ? start : 0, 8],
    [extended ? end : 0, 8],
  ];
  return structure(19, 0x1300 + instance, fields, []);
}

/** Tables and anchor, unplaced. */
export function buildSmbios(options: SmbiosOptions): SmbiosBlobs {
  const { ramSize } = options;
  const devices = Math.ceil(ramSize / MAX_DIMM);
  const deviceSize = (i: number) => (i < devices - 1 ? MAX_DIMM : ((ramSize - 1) % MAX_DIMM) + 1);
  const ranges = fwCfgE820(ramSize).filter(({ type }) => type === E820_RAM);
  const structures = [
    ...(options.bios ? [bios(options.bios)] : []),
    system(options.uuid ?? new Uint8Array(16)),
    chassis(),
    processor(options),
    memoryArray(ramSize, devices),
    ...Array.from({ length: devices }, (_, i) => memoryDevice(i, deviceSize(i))),
    ...ranges.map(({ address, length }, i) => mappedRange(i, address, length)),
    structure(32, 0x2000, [[0, 7]], []), // no errors at boot
    structure(127, 0x7f00, [], []),
  ];
  const tables = Uint8Array.from(structures.flat());
  const anchor = new Uint8Array(31);
  const view = new DataView(anchor.buffer);
  anchor.set([...'_SM_'].map((character) => character.charCodeAt(0)));
  anchor.set(
    [...'_DMI_'].map((character) => character.charCodeAt(0)),
    16,
  );
  anchor[5] = anchor.length;
  anchor[6] = 2;
  anchor[7] = 8;
  view.setUint16(8, Math.max(...structures.map((bytes) => bytes.length)), true);
  view.setUint16(22, tables.length, true);
  view.setUint16(28, structures.length, true);
  anchor[30] = 0x28;
  return { tables, anchor };
}

/** The anchor for tables at `tablesAddress`: address and both checksums filled in. */
export function placeSmbios(blobs: SmbiosBlobs, tablesAddress: number): Uint8Array {
  const anchor = blobs.anchor.slice();
  new DataView(anchor.buffer).setUint32(24, tablesAddress, true);
  anchor[21] = 0;
  anchor[4] = 0;
  const missing = (data: Uint8Array) => -data.reduce((sum, byte) => sum + byte, 0) & 0xff;
  anchor[21] = missing(anchor.subarray(16));
  anchor[4] = missing(anchor);
  return anchor;
}
