// Rows for src/boot: kernel files by every route, what is packed in them, option ROMs, and hand-offs in memory.

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { packageFile } from '../../../bin/package.js';
import { ImageError } from '../../../src/boot/boot-error.js';
import { isLinuxImage, parseLinuxImage, unpackKernel } from '../../../src/boot/bzimage.js';
import { detectRoutes, whyNoKernel } from '../../../src/boot/detect.js';
import { elfNotes, elfSymbols, parseElf } from '../../../src/boot/elf.js';
import { elfExtent, elfMemory } from '../../../src/boot/elf-memory.js';
import { firmwareLoad } from '../../../src/boot/firmware.js';
import { readHandoff } from '../../../src/boot/handoff/handoff.js';
import { segmentSize } from '../../../src/boot/image.js';
import { buildBoot } from '../../../src/boot/loader.js';
import { checkOptionRom } from '../../../src/boot/option-rom.js';
import { pvhEntry, pvhNote } from '../../../src/boot/pvh.js';
import { HANDOFF_PROTOCOLS } from '../../../src/boot/route.js';
import { DamagedData } from '../../../src/boot/unpack/damaged-data.js';
import { unpackLzma } from '../../../src/boot/unpack/lzma.js';
import { unpackPayload } from '../../../src/boot/unpack/unpack.js';
import * as fuzz from '../../../src/fuzz/index.js';
import type { StructureKind } from '../../../src/fuzz/structure.js';
import { firmwareE820 } from '../../../src/platform/e820.js';
import { bzImage, elfFile, pvhKernel } from '../../boot/guest-builder.js';
import { testRom } from '../../boot/test-rom.js';
import { VECTORS } from '../../boot/unpack/vectors.js';
import { damaged } from './damage.js';
import { clause, type Parser, sentence } from './parser.js';

const MIB = 1 << 20;
const memoryMap = firmwareE820(64 * MIB);
const initrd = { name: 'initrd', bytes: new Uint8Array(5000) };
/** What was unpacked is told of as a part of its file. */
const refusal = sentence(ImageError, 'k', 'k (unpacked)', 'initrd');

/** Structures of both strengths, damaged further or not. */
export function structures(kind: unknown, count = 48): Uint8Array[] {
  const any = kind as StructureKind<unknown>;
  return fc.sample(fuzz.either(any), { seed: 20, numRuns: count }).map((one) => one.encode());
}

const packed = Object.fromEntries(
  Object.entries(VECTORS).map(([name, base64]) => [name, Uint8Array.from(Buffer.from(base64, 'base64'))]),
);
const corpus = ['pvh-start-info', 'multiboot', 'multiboot2', 'long-mode'].map((name) =>
  Uint8Array.from(readFileSync(packageFile(`corpus/${name}/${name}.elf`))),
);
export const symbolElf = elfFile({
  loads: [{ physical: 0x10_0000, data: new Uint8Array(64) }],
  symbols: [
    { name: 'start', address: 0x10_0000n, size: 8 },
    { name: 'halt', address: 0x10_0008n },
  ],
});
const kernels = () => [
  ...structures(fuzz.elf(), 24),
  ...structures(fuzz.bzImage(), 24),
  ...structures(fuzz.multibootFile(), 24),
  ...structures(fuzz.multiboot2File(), 24),
  ...Object.values(packed).map((payload) => bzImage({ payload })),
  pvhKernel(),
  symbolElf,
  ...corpus,
];

const ROUTES = ['pvh', 'linux64', 'linux32', 'linux16', 'multiboot', 'multiboot2'] as const;

const byRoute = ROUTES.map(
  (route): Parser => ({
    name: `a kernel by --boot ${route}`,
    covers: ['loader', 'pvh', 'linux', 'linux16', 'multiboot', 'multiboot2', 'multiboot-kernel', 'multiboot-boot']
      .concat('multiboot-header', 'placement', 'image', 'elf-memory', 'real-mode/real-mode', 'video-mode')
      .map((file) => `src/boot/${file}.ts`),
    inputs: () => damaged(kernels()),
    parse: (bytes) => {
      const modules = route === 'pvh' || route.startsWith('multiboot') ? [{ ...initrd, cmdline: 'a' }] : undefined;
      const image = buildBoot({
        route,
        kernel: { name: 'k', bytes },
        ...(modules ? { modules } : { initrd }),
        memoryMap,
        append: 'quiet',
        screen: { address: 0xfd00_0000, size: 16 * MIB },
        rsdpTable: new Uint8Array(36),
      });
      for (const segment of image.segments)
        if (segment.address + segmentSize(segment) > 64 * MIB) throw new Error(`${segment.role} is outside of RAM`);
    },
    refusal,
    most: 256 * MIB,
  }),
);

/** Files of src/boot/unpack by compression; gzip is zlib's. */
const UNPACKERS: Readonly<Record<string, readonly string[]>> = {
  gzip: [],
  xz: ['xz', 'lzma'],
  lzma: ['lzma'],
  bzip2: ['bzip2'],
  lz4: ['lz4'],
  zstd: ['zstd', 'zstd-entropy'],
  lzo: ['lzo'],
};

const byUnpacking = Object.entries(packed).map(
  ([name, payload]): Parser => ({
    name: `data packed by ${name}`,
    covers: ['unpack', 'output', ...UNPACKERS[name]!].map((file) => `src/boot/unpack/${file}.ts`),
    inputs: () => damaged([payload, payload, payload, ...Object.values(packed)]),
    parse: (bytes) => unpackPayload(bytes, 4 * MIB),
    refusal: clause(DamagedData),
  }),
);

/** Memory with a structure at an address, all ones elsewhere; reading is counted. */
function memoryWith(bytes: Uint8Array, address: number) {
  let asked = 0;
  return (at: number, length: number): Uint8Array => {
    asked += length;
    if (asked > 16 * MIB) throw new Error('reads without end');
    if (!Number.isSafeInteger(at) || at < 0) throw new Error(`reads at ${at}`);
    const out = new Uint8Array(length).fill(0xff);
    const from = Math.max(0, at - address);
    const to = Math.max(0, address - at);
    if (from < bytes.length && to < length) out.set(bytes.subarray(from, from + length - to), to);
    return out;
  };
}

const AT = 0x1_0000;

export const bootRows: readonly Parser[] = [
  {
    name: 'an ELF file',
    covers: ['src/boot/elf.ts', 'src/boot/image-reader.ts', 'src/boot/boot-error.ts', 'src/boot/elf-memory.ts'],
    inputs: () => damaged([...structures(fuzz.elf()), symbolElf, pvhKernel(), ...corpus]),
    parse: (bytes) => {
      const elf = parseElf('k', bytes);
      elfNotes(elf);
      elfSymbols(elf);
      if (pvhNote(elf)) pvhEntry(elf);
      elfExtent(elf);
      elfMemory(elf, 64 * MIB);
    },
    refusal,
    most: 256 * MIB,
    runs: 1000,
  },
  {
    name: 'a bzImage with its packed kernel',
    covers: ['src/boot/bzimage.ts', 'src/boot/unpack/damaged-data.ts'],
    inputs: () => damaged(kernels()),
    parse: (bytes) => {
      isLinuxImage(bytes);
      unpackKernel(parseLinuxImage('k', bytes));
    },
    refusal,
    runs: 1000,
  },
  {
    name: 'what a file offers',
    covers: ['src/boot/detect.ts'],
    inputs: () => damaged(kernels()),
    parse: (bytes) => {
      if (detectRoutes(bytes).length === 0) throw whyNoKernel('k', bytes);
      whyNoKernel('k', bytes);
    },
    refusal,
    runs: 1000,
  },
  ...byRoute,
  {
    name: 'a kernel through firmware',
    covers: ['firmware', 'firmware-items', 'firmware-linux', 'firmware-multiboot', 'firmware-pvh'].map(
      (file) => `src/boot/${file}.ts`,
    ),
    inputs: () => damaged(kernels()),
    parse: (bytes) => firmwareLoad({ kernel: { name: 'k', bytes }, initrd, append: 'a', lowMemoryEnd: 64 * MIB }),
    refusal,
    runs: 1000,
    most: 256 * MIB,
  },
  ...byUnpacking,
  {
    name: 'a bare .lzma file',
    covers: ['src/boot/unpack/lzma.ts', 'src/boot/unpack/lzma-model.ts'],
    inputs: () => damaged([packed.lzma!.subarray(0, -4)]),
    parse: (bytes) => unpackLzma(bytes, 1 * MIB),
    refusal: clause(DamagedData),
  },
  {
    name: 'an option ROM',
    covers: ['src/boot/option-rom.ts'],
    inputs: () => damaged([...structures(fuzz.optionRom()), testRom()]),
    parse: (bytes) => {
      for (const { offset, text } of checkOptionRom(bytes)) {
        if (!(offset >= 0 && offset <= bytes.length)) throw new Error(`offset ${offset} of ${bytes.length}`);
        if (/[\n]|undefined|NaN/.test(text)) throw new Error(`says ${text}`);
      }
    },
    runs: 1000,
  },
  ...HANDOFF_PROTOCOLS.map(
    (protocol): Parser => ({
      name: `a hand-off by ${protocol} in memory`,
      covers: ['handoff', 'structures', 'layouts'].map((file) => `src/boot/handoff/${file}.ts`),
      inputs: () =>
        damaged([
          ...structures(fuzz.startInfo({ address: AT })),
          ...structures(fuzz.bootParams({ address: AT })),
          ...structures(fuzz.multiboot({ address: AT })),
          ...structures(fuzz.multiboot2()),
          ...structures(fuzz.bzImage()),
        ]),
      parse: (bytes) => {
        const { entry } = buildBoot({ route: 'pvh', kernel: { name: 'k', bytes: pvhKernel() }, memoryMap });
        const registers = { ...entry.registers, rbx: BigInt(AT), rsi: BigInt(AT), rax: BigInt(bytes[0] ?? 0) };
        const { structures, memoryMap: map } = readHandoff(
          protocol,
          'pvh',
          { ...entry, registers },
          memoryWith(bytes, AT),
        );
        if (structures.length > 200 || map.length > 128 * 64) throw new Error('more than there can be');
        for (const { name, fields } of structures)
          for (const [field, value] of fields)
            if (value === undefined) throw new Error(`${name} ${field} has no value`);
      },
    }),
  ),
];
