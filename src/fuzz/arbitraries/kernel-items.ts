// The numbers of a kernel in fw_cfg (QEMU, docs/specs/fw_cfg.rst, and the option ROMs that read them): where an option
// ROM copies kernel, initrd, command line and setup code to, and how much of each. A valid set is the machine's own; a
// hostile one lies in some of them. Encoded as one little-endian word after the other.

import fc from 'fast-check';
import { ByteWriter } from '../byte-writer.js';
import { low32, pick } from '../numbers.js';
import type { StructureKind } from '../structure.js';

export interface KernelItem {
  readonly key: number;
  readonly name: string;
}

/** The items by their keys, with QEMU's names. */
export const KERNEL_ITEMS: readonly KernelItem[] = [
  { key: 0x07, name: 'KERNEL_ADDR' },
  { key: 0x08, name: 'KERNEL_SIZE' },
  { key: 0x0a, name: 'INITRD_ADDR' },
  { key: 0x0b, name: 'INITRD_SIZE' },
  { key: 0x10, name: 'KERNEL_ENTRY' },
  { key: 0x13, name: 'CMDLINE_ADDR' },
  { key: 0x14, name: 'CMDLINE_SIZE' },
  { key: 0x16, name: 'SETUP_ADDR' },
  { key: 0x17, name: 'SETUP_SIZE' },
];

const ENTRY = 'KERNEL_ENTRY';

export interface KernelItems {
  items: { name: string; value: number }[];
}

export interface KernelItemsOptions {
  readonly items?: readonly KernelItem[];
  /** In the order of the items. */
  readonly values?: readonly number[];
  readonly ramEnd?: number;
}

/** Where an option ROM copies a kernel to, and how much of it (QEMU, docs/specs/fw_cfg.rst). */
export function kernelItems(options: KernelItemsOptions = {}): StructureKind<KernelItems> {
  const { items = KERNEL_ITEMS, values = [], ramEnd = 16 << 20 } = options;
  const sized = (name: string) => name.endsWith('_SIZE');
  // An option ROM can do nothing but believe the entry.
  const change = (draft: KernelItems, size: boolean, at: number, value: number) =>
    pick(
      draft.items.filter(({ name }) => sized(name) === size && name !== ENTRY),
      at,
      (item) => {
        item.value = value >>> 0;
      },
    );
  return {
    name: 'kernel-items',
    specification: 'QEMU, docs/specs/fw_cfg.rst, and pc-bios/optionrom',
    valid: fc.constant(undefined).map(() => ({
      items: items.map(({ name }, i) => ({ name, value: values[i] ?? 0 })),
    })),
    breaks: {
      'size that lies': (draft, at, value) => change(draft, true, at, low32(value)),
      'size of nothing': (draft, at) => change(draft, true, at, 0),
      elsewhere: (draft, at, value) => change(draft, false, at, low32(value)),
      'across the end of RAM': (draft, at) => change(draft, false, at, ramEnd - 16),
      'in the first page': (draft, at, value) => change(draft, false, at, low32(value) & 0xfff),
    },
    encode: ({ items }) => {
      const out = new ByteWriter(4 * items.length);
      for (const { value } of items) out.u32(value);
      return out.done();
    },
  };
}
