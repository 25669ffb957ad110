// bzImage files: boot sector, setup code with its header (Linux, arch/x86/boot.rst, "The Real-Mode Kernel Header",
// protocols 2.06 to 2.15) and a protected-mode kernel that tells of no payload. Valid headers agree with the file:
// setup_sects, syssize and the jump over the header. The kernel's code is a loop at both entries.

import fc from 'fast-check';
import { ByteWriter } from '../byte-writer.js';
import { low8, low16, low32, word } from '../numbers.js';
import type { StructureKind } from '../structure.js';

export interface BzImage {
  version: number;
  setupSectors: number;
  kernel: Uint8Array;
  kernelVersion: string;
  relocatable: boolean;
  /** Power of two. */
  alignment: number;
  initSize: number;
  commandLineSize: number;
  xloadFlags: number;
  /** Lies. */
  statedSectors?: number;
  sysSize?: number;
  jump?: number;
  magic?: number;
  bootFlag?: number;
  loadFlags?: number;
  payload?: { offset: number; length: number };
  preferred?: bigint;
  versionAt?: number;
  cut?: number;
}

const LOOP = [0xeb, 0xfe];
const LOADED_HIGH = 1;
const HEADER_END = 0x26c;
const XLF_KERNEL_64 = 1;

/** bzImage files with a setup header of protocol 2.06 to 2.15 (Linux, arch/x86/boot.rst). */
export function bzImage(): StructureKind<BzImage> {
  return {
    name: 'bzimage',
    specification: 'Linux, Documentation/arch/x86/boot.rst, protocols 2.10 to 2.15',
    valid: fc.record({
      version: fc.constantFrom(0x20f, 0x20e, 0x20d, 0x20c, 0x20a),
      setupSectors: fc.integer({ min: 1, max: 8 }),
      kernel: fc.integer({ min: 0x210, max: 0x800 }).map((size) => {
        const code = new Uint8Array(size);
        code.set(LOOP);
        code.set(LOOP, 0x200);
        return code;
      }),
      kernelVersion: word(24),
      relocatable: fc.boolean(),
      alignment: fc.integer({ min: 12, max: 22 }).map((shift) => 1 << shift),
      initSize: fc.integer({ min: 0, max: 0x10_0000 }),
      commandLineSize: fc.constantFrom(255, 2047),
      xloadFlags: fc.constantFrom(XLF_KERNEL_64, 0),
    }),
    breaks: {
      'setup size that lies': (draft, _at, value) => {
        draft.statedSectors = low8(value);
      },
      'kernel size that lies': (draft, _at, value) => {
        draft.sysSize = low32(value);
      },
      'header end that lies': (draft, _at, value) => {
        draft.jump = low8(value);
      },
      'wrong magic': (draft, _at, value) => {
        draft.magic = low32(value);
      },
      'wrong boot flag': (draft, _at, value) => {
        draft.bootFlag = low16(value);
      },
      'unknown protocol version': (draft, _at, value) => {
        draft.version = low16(value);
      },
      'loaded low': (draft, _at, value) => {
        draft.loadFlags = low8(value) & ~LOADED_HIGH;
      },
      'payload elsewhere': (draft, at, value) => {
        draft.payload = { offset: low32(value), length: at + 1 };
      },
      'payload of any size': (draft, at, value) => {
        draft.payload = { offset: at, length: low32(value) || 1 };
      },
      'alignment that is no power of two': (draft, _at, value) => {
        draft.alignment = low32(value) | 3;
      },
      'init_size that is too large': (draft, _at, value) => {
        draft.initSize = low32(value) | 0x8000_0000;
      },
      'preferred address anywhere': (draft, _at, value) => {
        draft.preferred = value;
      },
      'version text elsewhere': (draft, _at, value) => {
        draft.versionAt = low16(value);
      },
      'no room for a command line': (draft) => {
        draft.commandLineSize = 0;
      },
      'cut off': (draft, at, value) => {
        draft.cut = (at + 1) * (1 + low8(value));
      },
    },
    encode: (value) => {
      const { kernel, setupSectors } = value;
      const setupSize = (setupSectors + 1) * 512;
      const out = new ByteWriter(setupSize + kernel.length + 16).zerosTo(setupSize);
      out.put8(0x1f1, value.statedSectors ?? setupSectors).put32(0x1f4, value.sysSize ?? Math.ceil(kernel.length / 16));
      out
        .put16(0x1fe, value.bootFlag ?? 0xaa55)
        .put8(0x200, 0xeb)
        .put8(0x201, value.jump ?? HEADER_END - 0x202);
      out.put32(0x202, value.magic ?? 0x5372_6448).put16(0x206, value.version);
      out
        .put8(0x211, value.loadFlags ?? LOADED_HIGH)
        .put32(0x214, 0x10_0000)
        .put32(0x22c, 0x7fff_ffff);
      out.put32(0x230, value.alignment).put8(0x234, value.relocatable ? 1 : 0);
      out.put16(0x236, value.xloadFlags).put32(0x238, value.commandLineSize);
      const { offset, length } = value.payload ?? { offset: 0, length: 0 };
      out
        .put32(0x248, offset)
        .put32(0x24c, length)
        .put64(0x258, value.preferred ?? 0x10_0000n);
      out.put32(0x260, value.initSize);
      const textAt = HEADER_END + 4;
      out.put16(0x20e, value.versionAt ?? textAt - 0x200);
      for (let i = 0; i < value.kernelVersion.length; i++) out.put8(textAt + i, value.kernelVersion.charCodeAt(i));
      const file = out.bytes(kernel).align(16).done();
      return value.cut === undefined ? file : file.subarray(0, Math.max(0, file.length - value.cut));
    },
  };
}
