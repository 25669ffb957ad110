// Linux's boot_params (arch/x86/zero-page.rst) with the setup header's loader fields (arch/x86/boot.rst), the e820 table
// and a chain of setup_data behind the page. A valid one has at most 128 entries, a chain that ends, and a command line
// that ends. What the fields here do not cover comes from a template, the page that a loader made for a kernel.

import fc from 'fast-check';
import { ByteWriter } from '../byte-writer.js';
import { low8, low16, low32, pick } from '../numbers.js';
import type { StructureKind } from '../structure.js';
import { commandWords } from './command-line.js';
import { type MapEntry, mapBreaks, mapEntries } from './e820.js';

export interface SetupData {
  type: number;
  data: Uint8Array;
  /** Lies. */
  next?: bigint;
  length?: number;
}

export interface BootParams {
  /** type_of_loader. */
  loader: number;
  loadFlags: number;
  ramdisk: { address: number; size: number };
  memoryMap: MapEntry[];
  setupData: SetupData[];
  commandLine: string;
  /** Lies. */
  mapCount?: number;
  setupDataAt?: bigint;
  commandLineAt?: number;
  unterminated?: boolean;
  version?: number;
  magic?: number;
  sentinel?: number;
}

export interface BootParamsOptions {
  readonly address?: number;
  readonly ramEnd?: number;
  /** The page as a loader made it: 4096 bytes. */
  readonly template?: Uint8Array;
  readonly ramdisk?: { address: number; size: number };
}

const PAGE = 4096;
const MOST_ENTRIES = 128;
const E820_TABLE = 0x2d0;
const LOADED_HIGH = 1;
const CAN_USE_HEAP = 0x80;
/** SETUP_NONE, SETUP_E820_EXT, SETUP_DTB, SETUP_PCI, SETUP_RNG_SEED. */
const SETUP_TYPES = [0, 1, 2, 3, 9];

/**
 * Linux's boot_params with e820 table, setup_data chain and command line (Linux, arch/x86/zero-page.rst, boot.rst).
 * @param options where it lies, in bytes; `template`: the page as a loader made it, 4096 bytes, for all other fields
 */
export function bootParams(options: BootParamsOptions = {}): StructureKind<BootParams> {
  const { address = 0x1_0000, ramEnd = 16 << 20, template, ramdisk = { address: 0, size: 0 } } = options;
  const data = fc.record({ type: fc.constantFrom(...SETUP_TYPES), data: fc.uint8Array({ maxLength: 64 }) });
  return {
    name: 'boot-params',
    specification: 'Linux, Documentation/arch/x86/zero-page.rst and boot.rst, protocol 2.15',
    valid: fc.record({
      loader: fc.constantFrom(0xb0, 0x72, 0xff),
      loadFlags: fc.constantFrom(LOADED_HIGH, LOADED_HIGH | CAN_USE_HEAP),
      ramdisk: fc.constantFrom(ramdisk).map((one) => ({ ...one })),
      memoryMap: mapEntries({ ramEnd, most: 32 }),
      setupData: fc.array(data, { maxLength: 3 }),
      commandLine: commandWords.map((words) => words.join(' ')),
    }),
    breaks: {
      ...mapBreaks<BootParams>((draft) => draft.memoryMap),
      'more entries than there are': (draft, _at, value) => {
        draft.mapCount = draft.memoryMap.length + 1 + low8(value);
      },
      'setup_data loop': (draft, at) =>
        pick(draft.setupData, at, (one, i) => {
          one.next = BigInt(address + dataOffsets(draft)[i]!);
        }),
      'setup_data elsewhere': (draft, _at, value) => {
        draft.setupDataAt = value;
      },
      'setup_data that claims more': (draft, at, value) =>
        pick(draft.setupData, at, (one) => {
          one.length = low32(value);
        }),
      'setup_data of unknown type': (draft, at, value) =>
        pick(draft.setupData, at, (one) => {
          one.type = low32(value) | 0x4000_0000;
        }),
      'initrd elsewhere': (draft, _at, value) => {
        draft.ramdisk.address = low32(value);
      },
      'initrd of any size': (draft, _at, value) => {
        draft.ramdisk.size = low32(value);
      },
      'command line elsewhere': (draft, _at, value) => {
        draft.commandLineAt = low32(value);
      },
      'command line without terminator': (draft) => {
        draft.unterminated = true;
      },
      'unknown protocol version': (draft, _at, value) => {
        draft.version = low16(value);
      },
      'wrong header magic': (draft, _at, value) => {
        draft.magic = low32(value);
      },
      'sentinel in use': (draft, _at, value) => {
        draft.sentinel = low8(value) || 0xff;
      },
      'unknown loader': (draft, _at, value) => {
        draft.loader = low8(value);
      },
    },
    encode: (value) => encode(value, address, template),
  };
}

/** Offsets of the nodes from the page's beginning. */
function dataOffsets({ setupData }: BootParams): number[] {
  let next = PAGE;
  return setupData.map(({ data }) => {
    const at = next;
    next = Math.ceil((at + 16 + data.length) / 8) * 8;
    return at;
  });
}

function encode(value: BootParams, base: number, template: Uint8Array | undefined): Uint8Array {
  const out = new ByteWriter(2 * PAGE);
  if (template) out.bytes(template.subarray(0, PAGE));
  out.zerosTo(PAGE);
  if (!template) out.put16(0x1fe, 0xaa55).put32(0x202, 0x5372_6448).put16(0x206, 0x20f);
  if (value.magic !== undefined) out.put32(0x202, value.magic);
  if (value.version !== undefined) out.put16(0x206, value.version);
  out
    .put8(0x1ef, value.sentinel ?? 0)
    .put8(0x210, value.loader)
    .put8(0x211, value.loadFlags);
  out.put32(0x218, value.ramdisk.address).put32(0x21c, value.ramdisk.size);
  const map = value.memoryMap.slice(0, MOST_ENTRIES);
  out.put8(0x1e8, value.mapCount ?? map.length);
  for (let i = 0; i < MOST_ENTRIES; i++) {
    const { address, length, type } = map[i] ?? { address: 0n, length: 0n, type: 0 };
    const at = E820_TABLE + 20 * i;
    out
      .put64(at, address)
      .put64(at + 8, length)
      .put32(at + 16, type);
  }
  const offsets = dataOffsets(value);
  value.setupData.forEach(({ type, data, next, length }, i) => {
    const following = offsets[i + 1];
    out.zerosTo(offsets[i]!);
    out.u64(next ?? (following === undefined ? 0n : BigInt(base + following)));
    out
      .u32(type)
      .u32(length ?? data.length)
      .bytes(data);
  });
  out.put64(0x250, value.setupDataAt ?? (offsets.length > 0 ? BigInt(base + PAGE) : 0n));
  out.align(8).put32(0x228, value.commandLineAt ?? base + out.length);
  out.text(value.commandLine);
  if (!value.unterminated) return out.u8(0).done();
  while (out.length % 256 !== 0) out.u8(0x41);
  return out.done();
}
