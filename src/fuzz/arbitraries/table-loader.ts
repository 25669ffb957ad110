// Scripts for the ACPI linker/loader (QEMU, hw/acpi/bios-linker-loader.c, the comments of BiosLinkerLoaderEntry):
// commands of 128 bytes that allocate files, add pointers between them, and sum bytes. Valid: every file is allocated
// before it is named, pointers and sums lie in their files. Where the files are is for the guest to find in fw_cfg.

import fc from 'fast-check';
import { ByteWriter } from '../byte-writer.js';
import { low8, low32, pick } from '../numbers.js';
import type { StructureKind } from '../structure.js';

export type LoaderCommand =
  | { command: 'allocate'; file: string; align: number; zone: number }
  | { command: 'add pointer'; file: string; source: string; offset: number; size: number }
  | { command: 'add checksum'; file: string; offset: number; start: number; length: number }
  | { command: 'unknown'; number: number };

export interface LoaderScript {
  commands: LoaderCommand[];
}

export interface TableLoaderOptions {
  /** Files that there are, with their sizes. */
  readonly files?: readonly { name: string; size: number }[];
}

const NUMBERS = { allocate: 1, 'add pointer': 2, 'add checksum': 3 } as const;
const NAME_SIZE = 56;
const COMMAND_SIZE = 128;
const [HIGH, FSEG] = [1, 2];

/**
 * Scripts of the ACPI linker, 128 bytes a command (QEMU, hw/acpi/bios-linker-loader.c).
 * @param options `files`: those that there are, with their sizes in bytes
 */
export function tableLoader(options: TableLoaderOptions = {}): StructureKind<LoaderScript> {
  const {
    files = [
      { name: 'etc/acpi/tables', size: 0x1000 },
      { name: 'etc/acpi/rsdp', size: 20 },
    ],
  } = options;
  const pointer = fc
    .record({
      file: fc.constantFrom(...files),
      source: fc.constantFrom(...files),
      at: fc.nat(0xffff),
      wide: fc.boolean(),
    })
    .map(({ file, source, at, wide }): LoaderCommand => {
      const size = wide && file.size >= 8 ? 8 : 4;
      return {
        command: 'add pointer',
        file: file.name,
        source: source.name,
        offset: at % (file.size - size + 1),
        size,
      };
    });
  const sum = fc.record({ file: fc.constantFrom(...files), a: fc.nat(0xffff), b: fc.nat(0xffff) }).map(
    ({ file, a, b }): LoaderCommand => ({
      command: 'add checksum',
      file: file.name,
      offset: a % file.size,
      start: 0,
      length: 1 + (b % file.size),
    }),
  );
  const allocations = files.map(
    ({ name, size }): LoaderCommand => ({ command: 'allocate', file: name, align: 64, zone: size < 64 ? FSEG : HIGH }),
  );
  return {
    name: 'table-loader',
    specification: 'QEMU, hw/acpi/bios-linker-loader.c, BiosLinkerLoaderEntry',
    valid: fc
      .array(fc.oneof(pointer, sum), { maxLength: 12 })
      .map((rest) => ({ commands: [...allocations.map((one) => ({ ...one })), ...rest] })),
    breaks: {
      'file that is not there': (draft, at) =>
        pick(draft.commands, at, (one) => {
          if ('file' in one) one.file = 'etc/none';
        }),
      'name without terminator': (draft, at) =>
        pick(draft.commands, at, (one) => {
          if ('file' in one) one.file = one.file.padEnd(NAME_SIZE, 'n');
        }),
      'offset outside of the file': (draft, at, value) =>
        pick(draft.commands, at, (one) => {
          if ('offset' in one) one.offset = low32(value);
        }),
      'range outside of the file': (draft, at, value) =>
        pick(draft.commands, at, (one) => {
          if ('length' in one) one.length = low32(value);
        }),
      'start outside of the file': (draft, at, value) =>
        pick(draft.commands, at, (one) => {
          if ('start' in one) one.start = low32(value);
        }),
      'pointer of odd size': (draft, at, value) =>
        pick(draft.commands, at, (one) => {
          if ('size' in one) one.size = low8(value);
        }),
      'alignment that is no power of two': (draft, at, value) =>
        pick(draft.commands, at, (one) => {
          if ('align' in one) one.align = low32(value) | 3;
        }),
      'unknown zone': (draft, at, value) =>
        pick(draft.commands, at, (one) => {
          if ('zone' in one) one.zone = low8(value);
        }),
      'unknown command': (draft, at, value) => {
        draft.commands.splice(at % (draft.commands.length + 1), 0, { command: 'unknown', number: low32(value) });
      },
      'file allocated twice': (draft, at) => pick(draft.commands, at, (one) => draft.commands.unshift({ ...one })),
      'file used before it is allocated': (draft) => draft.commands.reverse(),
    },
    encode: ({ commands }) => {
      const out = new ByteWriter(COMMAND_SIZE * commands.length);
      commands.forEach((one, i) => {
        out.u32(one.command === 'unknown' ? one.number : NUMBERS[one.command]);
        if (one.command !== 'unknown') out.field(one.file, NAME_SIZE);
        if (one.command === 'allocate') out.u32(one.align).u8(one.zone);
        if (one.command === 'add pointer') out.field(one.source, NAME_SIZE).u32(one.offset).u8(one.size);
        if (one.command === 'add checksum') out.u32(one.offset).u32(one.start).u32(one.length);
        out.zerosTo(COMMAND_SIZE * (i + 1));
      });
      return out.done();
    },
  };
}
