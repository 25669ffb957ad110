// What SeaBIOS reads of bootorder (docs/Runtime_config.md; Open Firmware paths, one a line, the most preferred first,
// `HALT` to end the search), and of names under genroms/, whose files it runs as option ROMs. A valid list has paths of
// nodes `name@unit`, each at most once, and ends with a zero, as QEMU writes it.

import fc from 'fast-check';
import { ByteWriter } from '../byte-writer.js';
import { low8, pick, textOf, word } from '../numbers.js';
import type { StructureKind } from '../structure.js';

export interface BootOrder {
  lines: string[];
  /** Lies. */
  unterminated?: boolean;
  separator?: string;
}

const path = fc.constantFrom(
  '/pci@i0cf8/ide@1,1/drive@0/disk@0',
  '/pci@i0cf8/ide@1,1/drive@1/disk@0',
  '/pci@i0cf8/scsi@3/disk@0,0',
  '/pci@i0cf8/ethernet@4/ethernet-phy@0',
  '/rom@genroms/linuxboot_dma.bin',
  '/rom@genroms/kvmvapic.bin',
);

/** SeaBIOS's `bootorder`, a path a line, with those of ROMs under genroms/ (SeaBIOS, docs/Runtime_config.md). */
export function bootOrder(): StructureKind<BootOrder> {
  const rom = word(20).map((name) => `/rom@genroms/${name}.bin`);
  return {
    name: 'boot-order',
    specification: 'SeaBIOS, docs/Runtime_config.md, bootorder; IEEE 1275, 3.2.1.1',
    valid: fc
      .tuple(fc.uniqueArray(fc.oneof(path, rom), { maxLength: 8 }), fc.boolean())
      .map(([lines, halt]) => ({ lines: halt ? [...lines, 'HALT'] : lines })),
    breaks: {
      'no terminator': (draft) => {
        draft.unterminated = true;
      },
      'empty lines': (draft, at) => {
        draft.lines.splice(at % (draft.lines.length + 1), 0, '', '');
      },
      'line that is too long': (draft, at) =>
        pick(draft.lines, at, (one, i) => {
          draft.lines[i] = `${one}/${'n'.repeat(1024 * (at + 1))}@0`;
        }),
      'same line twice': (draft, at) => pick(draft.lines, at, (one) => draft.lines.push(one)),
      'HALT in front': (draft) => draft.lines.unshift('HALT'),
      'path that is none': (draft, at) =>
        pick(draft.lines, at, (one, i) => {
          draft.lines[i] = one.replaceAll('/', '').replaceAll('@', '@@');
        }),
      'carriage returns': (draft) => {
        draft.separator = '\r\n';
      },
      'zero inside': (draft, at) =>
        pick(draft.lines, at, (one, i) => {
          draft.lines[i] = `${one.slice(0, 8)}\0${one.slice(8)}`;
        }),
      'byte above ASCII': (draft, _at, value) => {
        draft.lines.push(String.fromCharCode(0x80 | low8(value)));
      },
      'very many lines': (draft, at) => {
        for (let i = 0; i < 100 * (at + 1); i++) draft.lines.push(`/rom@genroms/r${i}`);
      },
      'line of any bytes': (draft, at, value) => {
        draft.lines.splice(at % (draft.lines.length + 1), 0, textOf(value));
      },
    },
    encode: ({ lines, unterminated, separator = '\n' }) => {
      const out = new ByteWriter().text(lines.join(separator));
      return (unterminated ? out : out.u8(0)).done();
    },
  };
}
