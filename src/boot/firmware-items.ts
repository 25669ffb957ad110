// What the ways through firmware have in common: what is asked of them, what a kernel becomes, and fw_cfg items: numbers,
// the command line, the initial file system.

import { FW_CFG } from '../platform/devices/fw-cfg.js';
import { ImageError } from './boot-error.js';
import type { ImageSymbol, Segment } from './image.js';
import { type NamedFile, placeHigh } from './placement.js';
import type { HandoffPoint } from './route.js';

export interface FirmwareRequest {
  kernel: NamedFile;
  initrd?: NamedFile;
  append?: string;
  /** Multiboot modules behind the initrd, each with its command line. */
  modules?: readonly (NamedFile & { cmdline?: string })[];
  /** End of RAM below 4 GiB. */
  lowMemoryEnd: number;
  /** fw_cfg has its DMA interface. Default true. */
  dma?: boolean;
  /** Room for tables below the end of low RAM, which no initrd may take. Default: the pc's. */
  tablesReserved?: number;
}

/** What a kernel becomes on its way through firmware. */
export interface FirmwareLoad {
  /** The option ROM that QEMU picks, by file name. */
  rom: string;
  /** Numbered fw_cfg items in the order in which QEMU adds them. */
  items: readonly { key: number; data: Uint8Array }[];
  /** What QEMU writes into RAM at every reset. */
  segments: readonly Segment[];
  symbols: readonly ImageSymbol[];
  /** Where the kernel is entered: by the option ROM, and by its own setup code. */
  handoffs: readonly HandoffPoint[];
}

export interface Item {
  key: number;
  data: Uint8Array;
}

export function item32(key: number, value: number): Item {
  const data = new Uint8Array(4);
  new DataView(data.buffer).setUint32(0, value, true);
  return { key, data };
}

/** A command line with its zero. @throws ImageError when it holds one itself */
export function commandLine(text: string): Uint8Array {
  if (text.includes('\0')) throw new ImageError('--append holds a zero byte, where the kernel would stop; remove it');
  return new TextEncoder().encode(`${text}\0`);
}

/**
 * Address, size and content of the initial file system, placed as high as it may go.
 * @throws ImageError when there is no room for it
 */
export function initrdItems(initrd: NamedFile | undefined, highest: number): { items: Item[]; address: number } {
  if (initrd === undefined) return { items: [], address: 0 };
  const { address } = placeHigh(initrd, 'initrd', highest, 0);
  const items = [
    item32(FW_CFG.INITRD_ADDR, address),
    item32(FW_CFG.INITRD_SIZE, initrd.bytes.length),
    { key: FW_CFG.INITRD_DATA, data: initrd.bytes },
  ];
  return { items, address };
}
