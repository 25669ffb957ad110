// The command packets of a CD drive (MMC-3, T10/1363D; SPC-3): what each asks for and what a drive with one data track
// answers. Replies are made in the buffer that holds the packet, as QEMU 7.2 (hw/ide/atapi.c) makes them: what a reply
// does not set keeps the packet's bytes. Commands, order of checks and bytes are QEMU's; qemu-registers.test.ts compares.
// Left out: audio, writing, changers, DVD structures beyond those that a read-only disc has.

import { FIRMWARE_VERSION } from './ide-identify.js';

export const BLOCK_SIZE = 2048;
/** Sense keys. */
export const SENSE = { none: 0, notReady: 2, illegalRequest: 5, unitAttention: 6 } as const;
/** Additional sense codes. */
const INVALID_FIELD = 0x24;
const OUT_OF_RANGE = 0x21;
const INCOMPATIBLE_FORMAT = 0x30;
const SAVING_NOT_SUPPORTED = 0x39;
const DATA_PHASE_ERROR = 0x4b;
const REMOVAL_PREVENTED = 0x53;
const PROFILE_CD = 0x0008;
const PROFILE_DVD = 0x0010;
/** The largest CD has 80 minutes. */
const MAX_CD_BLOCKS = (80 * 60 * 75 * 2048) / BLOCK_SIZE;
const MAX_CONFIGURATION = 512;
const LEAD_OUT = 0xaa;

/** The drive, as its packets see it. */
export interface CdUnit {
  readonly serial: string;
  /** Blocks of the disc. */
  readonly blocks: number;
  /** There is a disc, and the tray is closed. */
  readonly ready: boolean;
  trayOpen: boolean;
  trayLocked: boolean;
  senseKey: number;
  readonly senseCode: number;
  reply(length: number, most: number): void;
  readBlocks(block: number, count: number, raw: boolean): void;
  succeed(): void;
  fail(key: number, code: number): void;
}

export interface PacketRow {
  run: (unit: CdUnit, packet: Uint8Array) => void;
  /** Only with a disc that can be read. */
  needsDisc: boolean;
  /** Also before the change of a disc was reported. */
  underAttention: boolean;
  /** Data is always transferred. */
  hasData: boolean;
}

const get16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;
const get32 = (bytes: Uint8Array, at: number): number => get16(bytes, at) * 65536 + get16(bytes, at + 2);
const bytes16 = (value: number): number[] => [(value >> 8) & 0xff, value & 0xff];
const bytes32 = (value: number): number[] => [...bytes16(Math.floor(value / 65536)), ...bytes16(value & 0xffff)];

function put(reply: Uint8Array, at: number, ...values: readonly number[]): void {
  reply.set(values, at);
}

function putText(reply: Uint8Array, at: number, length: number, text: string): void {
  for (let i = 0; i < length; i++) reply[at + i] = text.charCodeAt(i) || 0x20;
}

function requestSense(unit: CdUnit, packet: Uint8Array): void {
  const most = packet[4]!;
  packet.fill(0, 0, 18);
  packet[0] = 0xf0;
  packet[2] = unit.senseKey;
  packet[7] = 10;
  packet[12] = unit.senseCode;
  if (unit.senseKey === SENSE.unitAttention) unit.senseKey = SENSE.none;
  unit.reply(18, most);
}

function inquiry(unit: CdUnit, packet: Uint8Array): void {
  const most = packet[4]!;
  if (packet[1]! & 1) {
    inquireProductData(unit, packet, most);
    return;
  }
  put(packet, 0, 0x05, 0x80, 0x00, 0x21, 31, 0, 0, 0);
  putText(packet, 8, 8, 'QEMU');
  putText(packet, 16, 16, 'QEMU DVD-ROM');
  putText(packet, 32, 4, FIRMWARE_VERSION);
  unit.reply(36, most);
}

/** Vital product data: the list of pages, and who the drive is. */
function inquireProductData(unit: CdUnit, packet: Uint8Array, most: number): void {
  const page = packet[2]!;
  if (page !== 0x00 && page !== 0x83) {
    unit.fail(SENSE.illegalRequest, INVALID_FIELD);
    return;
  }
  const entries = page === 0x83;
  put(packet, 0, 0x05, page, 0x00);
  if (!entries) {
    put(packet, 3, 2, 0x00, 0x83);
    unit.reply(6, most);
    return;
  }
  if (28 > most) {
    unit.fail(SENSE.illegalRequest, DATA_PHASE_ERROR);
    return;
  }
  put(packet, 4, 0x02, 0x00, 0x00, 20);
  putText(packet, 8, 20, unit.serial);
  // The model only where there is room for it.
  if (100 > most) {
    packet[3] = 24;
    unit.reply(28, most);
    return;
  }
  put(packet, 28, 0x02, 0x01, 0x00, 68);
  putText(packet, 32, 8, 'ATA');
  putText(packet, 40, 40, 'QEMU DVD-ROM');
  putText(packet, 80, 20, unit.serial);
  packet[3] = 96;
  unit.reply(100, most);
}

function startStop(unit: CdUnit, packet: Uint8Array): void {
  const start = (packet[4]! & 1) !== 0;
  const loadOrEject = (packet[4]! & 2) !== 0;
  const powerCondition = packet[4]! & 0xf0;
  if (loadOrEject && powerCondition === 0) {
    if (!start && !unit.trayOpen && unit.trayLocked) {
      unit.fail(unit.blocks > 0 ? SENSE.notReady : SENSE.illegalRequest, REMOVAL_PREVENTED);
      return;
    }
    unit.trayOpen = !start;
  }
  unit.succeed();
}

function preventRemoval(unit: CdUnit, packet: Uint8Array): void {
  unit.trayLocked = (packet[4]! & 1) !== 0;
  unit.succeed();
}

function readCapacity(unit: CdUnit, packet: Uint8Array): void {
  put(packet, 0, ...bytes32(unit.blocks - 1), ...bytes32(BLOCK_SIZE));
  unit.reply(8, 8);
}

function read(unit: CdUnit, packet: Uint8Array): void {
  const count = packet[0] === 0x28 ? get16(packet, 7) : get32(packet, 6);
  readRange(unit, get32(packet, 2), count, false);
}

function readRange(unit: CdUnit, block: number, count: number, raw: boolean): void {
  if (count === 0) unit.succeed();
  else if (block + count > unit.blocks) unit.fail(SENSE.illegalRequest, OUT_OF_RANGE);
  else unit.readBlocks(block, count, raw);
}

function readCd(unit: CdUnit, packet: Uint8Array): void {
  const count = (packet[6]! << 16) | get16(packet, 7);
  const parts = packet[9]! & 0xf8;
  if (count === 0 || parts === 0) unit.succeed();
  else if (parts === 0x10 || parts === 0xf8) readRange(unit, get32(packet, 2), count, parts === 0xf8);
  else unit.fail(SENSE.illegalRequest, INVALID_FIELD);
}

function seek(unit: CdUnit, packet: Uint8Array): void {
  if (get32(packet, 2) >= unit.blocks) unit.fail(SENSE.illegalRequest, OUT_OF_RANGE);
  else unit.succeed();
}

/** Minute, second and frame of a block. */
function minutes(block: number): number[] {
  const frame = block + 150;
  return [Math.floor(frame / 4500), Math.floor(frame / 75) % 60, frame % 75];
}

function readToc(unit: CdUnit, packet: Uint8Array): void {
  const most = get16(packet, 7);
  const format = packet[9]! >> 6;
  const time = (packet[1]! & 2) !== 0;
  const track = packet[6]!;
  const place = (block: number): number[] => (time ? [0, ...minutes(block)] : bytes32(block));
  let reply: number[] | undefined;
  if (format === 0 && (track <= 1 || track === LEAD_OUT)) {
    const first = track <= 1 ? [0, 0x14, 1, 0, ...place(0)] : [];
    reply = [1, 1, ...first, 0, 0x16, LEAD_OUT, 0, ...place(unit.blocks)];
  } else if (format === 1) reply = [1, 1, 0, 0, 0, 0, 0, 0, 0, 0];
  else if (format === 2) {
    const entry = (point: number, ...rest: readonly number[]) => [1, 0x14, 0, point, 0, 0, 0, ...rest];
    reply = [
      ...[1, 1, ...entry(0xa0, 0, 1, 0, 0), ...entry(0xa1, 0, 1, 0, 0)],
      ...[...entry(0xa2, ...place(unit.blocks)), ...entry(1, ...place(0))],
    ];
  }
  if (reply === undefined) {
    unit.fail(SENSE.illegalRequest, INVALID_FIELD);
    return;
  }
  put(packet, 0, ...bytes16(reply.length), ...reply);
  unit.reply(reply.length + 2, most);
}

const isDvd = (unit: CdUnit): boolean => unit.blocks > MAX_CD_BLOCKS;

function getConfiguration(unit: CdUnit, packet: Uint8Array): void {
  if (get16(packet, 2) !== 0) {
    unit.fail(SENSE.illegalRequest, INVALID_FIELD);
    return;
  }
  const most = Math.min(get16(packet, 7), MAX_CONFIGURATION);
  packet.fill(0, 0, Math.max(most, 20));
  const current = !unit.ready ? 0 : isDvd(unit) ? PROFILE_DVD : PROFILE_CD;
  const profile = (number: number): number[] => [...bytes16(number), number === current ? 1 : 0, 0];
  put(packet, 0, ...bytes32(16), 0, 0, ...bytes16(current));
  put(packet, 8, 0, 0, 0x03, 8, ...profile(PROFILE_DVD), ...profile(PROFILE_CD));
  unit.reply(20, most);
}

function getEventStatus(unit: CdUnit, packet: Uint8Array): void {
  const most = get16(packet, 7);
  if (!(packet[1]! & 1)) {
    // Only polling, no notifications by themselves.
    unit.fail(SENSE.illegalRequest, INVALID_FIELD);
    return;
  }
  const media = 0x10;
  if (packet[4]! & media) {
    put(packet, 0, 0, 4, 4, media, 0, unit.trayOpen ? 1 : unit.blocks > 0 ? 2 : 0, 0, 0);
    unit.reply(8, most);
  } else {
    put(packet, 0, 0, 0, 0x80, media);
    unit.reply(4, most);
  }
}

function readDiscInformation(unit: CdUnit, packet: Uint8Array): void {
  const most = get16(packet, 7);
  if (packet[1]! & 7) {
    unit.fail(SENSE.illegalRequest, INVALID_FIELD);
    return;
  }
  packet.fill(0, 0, 34);
  put(packet, 1, 32, 0x0e, 1, 1, 1, 1, 0x20);
  unit.reply(34, most);
}

/** Mode pages by number: the length that the header gives, and the page with its header. */
function modeSense(unit: CdUnit, packet: Uint8Array): void {
  const most = get16(packet, 7);
  const kind = packet[2]! >> 6;
  const page = packet[2]! & 0x3f;
  const header = (length: number): number[] => [...bytes16(length - 2), 0x70, 0, 0, 0, 0, 0];
  if (kind === 3) unit.fail(SENSE.illegalRequest, SAVING_NOT_SUPPORTED);
  else if (kind === 0 && page === 0x01) {
    put(packet, 0, ...header(16), 0x01, 0x06, 0x00, 0x05, 0, 0, 0, 0);
    unit.reply(16, most);
  } else if (kind === 0 && page === 0x0e) {
    put(packet, 0, ...header(24));
    for (const volume of [17, 19, 21, 23]) packet[volume] = 0;
    unit.reply(24, most);
  } else if (kind === 0 && page === 0x2a) {
    const lock = unit.trayLocked ? 2 : 0;
    put(packet, 0, ...header(30), 0x2a, 0x14, 0x3b, 0, 0x71, 3 << 5, 0x29 | lock, 0);
    put(packet, 16, ...bytes16(704), 0, 2, ...bytes16(512), ...bytes16(704), 0, 0, 0, 0, 0, 0);
    unit.reply(30, most);
  } else unit.fail(SENSE.illegalRequest, INVALID_FIELD);
}

function mechanismStatus(unit: CdUnit, packet: Uint8Array): void {
  const most = get16(packet, 8);
  put(packet, 0, 0, 0, 0, 0, 0, 1, 0, 0);
  unit.reply(8, most);
}

function readDvdStructure(unit: CdUnit, packet: Uint8Array): void {
  const most = get16(packet, 8);
  const [media, layer, format] = [packet[1]!, packet[6]!, packet[7]!];
  if (format < 0xff && !isDvd(unit)) {
    unit.fail(SENSE.illegalRequest, INCOMPATIBLE_FORMAT);
    return;
  }
  packet.fill(0, 0, most);
  const last = bytes32(unit.blocks - 1);
  const replies: Record<number, { length: number; content: readonly number[] } | undefined> = {
    0: layer === 0 ? { length: 2052, content: [1, 0x0f, 1, 0, 0, 0, 0, 0, ...last, ...last] } : undefined,
    1: { length: 8, content: [] },
    4: { length: 2052, content: [] },
    255: {
      length: 20,
      content: [0, 0x40, 0x08, 0x04, 1, 0x40, 0, 8, 3, 0x40, 0, 192, 4, 0x40, 0x08, 0x04],
    },
  };
  const reply = media === 0 ? replies[format] : undefined;
  if (reply === undefined) {
    unit.fail(SENSE.illegalRequest, INVALID_FIELD);
    return;
  }
  put(packet, 0, ...bytes16(reply.length - 2), 0, 0, ...reply.content);
  unit.reply(reply.length, most);
}

const row = (run: PacketRow['run'], flags: string): PacketRow => ({
  run,
  needsDisc: flags.includes('d'),
  underAttention: flags.includes('a'),
  hasData: !flags.includes('n'),
});

/** Operation codes. d: needs a disc; a: also under unit attention; n: (perhaps) no data. */
// biome-ignore format: a table
export const PACKETS: ReadonlyMap<number, PacketRow> = new Map([
  [0x00, row((unit) => unit.succeed(), 'dn')], // TEST UNIT READY
  [0x03, row(requestSense, 'a')],              // REQUEST SENSE
  [0x12, row(inquiry, 'a')],                   // INQUIRY
  [0x1b, row(startStop, 'n')],                 // START STOP UNIT
  [0x1e, row(preventRemoval, 'n')],            // PREVENT ALLOW MEDIUM REMOVAL
  [0x25, row(readCapacity, 'd')],              // READ CAPACITY
  [0x28, row(read, 'd')],                      // READ (10)
  [0x2b, row(seek, 'dn')],                     // SEEK (10)
  [0x43, row(readToc, 'd')],                   // READ TOC/PMA/ATIP
  [0x46, row(getConfiguration, 'a')],          // GET CONFIGURATION
  [0x4a, row(getEventStatus, 'a')],            // GET EVENT STATUS NOTIFICATION
  [0x51, row(readDiscInformation, 'd')],       // READ DISC INFORMATION
  [0x5a, row(modeSense, '')],                  // MODE SENSE (10)
  [0xa8, row(read, 'd')],                      // READ (12)
  [0xad, row(readDvdStructure, 'd')],          // READ DVD STRUCTURE
  [0xbb, row((unit) => unit.succeed(), 'n')],  // SET CD SPEED
  [0xbd, row(mechanismStatus, '')],            // MECHANISM STATUS
  [0xbe, row(readCd, 'dn')],                   // READ CD
]);
