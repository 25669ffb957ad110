// QEMU's firmware configuration device (docs/specs/fw_cfg of QEMU 7.2): selector at 0x510, data at 0x511, DMA
// descriptor address at 0x514 (big-endian). What an item is called is learnt as the guest learns it: from the fixed
// selectors, and from the file directory that the guest reads.

import { itemField } from './fw-cfg-items.js';

/** Bytes of an item that are kept, so that a decoded field can be shown whole. */
const MAX_KEPT = 0x1_0000;
const DIRECTORY = 0x19;
const DIRECTORY_ENTRY = 64;

// biome-ignore format: a table
const FIXED: Readonly<Record<number, string>> = {
  0: 'signature', 1: 'interface id', 2: 'uuid', 3: 'ram size', 4: 'nographic', 5: 'cpu count', 6: 'machine id',
  7: 'kernel address', 8: 'kernel size', 9: 'kernel command line', 10: 'initrd address', 11: 'initrd size',
  12: 'boot device', 13: 'numa', 14: 'boot menu', 15: 'max cpus', 16: 'kernel entry', 17: 'kernel data',
  18: 'initrd data', 19: 'command line address', 20: 'command line size', 21: 'command line data', 22: 'setup address',
  23: 'setup size', 24: 'setup data', 25: 'file directory', 32768: 'acpi tables', 32769: 'smbios', 32770: 'irq0 override',
  32771: 'e820 table', 32772: 'hpet',
};

/** A transfer of bytes of an item. */
export interface FwCfgTransfer {
  readonly item: string;
  readonly offset: number;
  /** The structure field that bytes of the transfer lie in, where the item's layout is known. */
  readonly fieldOf: (at: number, length: number) => string | undefined;
}

/** Control bits of a DMA descriptor. */
const DMA_READ = 2;
const DMA_SKIP = 4;
const DMA_SELECT = 8;
const DMA_WRITE = 16;

export class FwCfg {
  #selected = 0;
  #offset = 0;
  #dmaHigh = 0;
  #descriptor = -1;
  #dma: { address: number; length: number; offset: number } | undefined;
  readonly #files = new Map<number, string>();
  readonly #kept = new Map<number, Uint8Array>();

  /** Name of the item that a selector stands for. */
  name(selector: number): string {
    return this.#files.get(selector) ?? FIXED[selector] ?? `item 0x${selector.toString(16)}`;
  }

  /** What the guest has read of an item. */
  item(name: string): Uint8Array | undefined {
    for (const [selector, bytes] of this.#kept) if (this.name(selector) === name) return bytes;
    return undefined;
  }

  /** Items that the guest has read, by name, with their bytes as far as it did; the first 64 KiB of each are kept. */
  *items(): Generator<readonly [name: string, bytes: Uint8Array]> {
    for (const [selector, bytes] of this.#kept) yield [this.name(selector), bytes];
  }

  /** The guest chose an item. */
  select(selector: number): string {
    this.#selected = selector;
    this.#offset = 0;
    return this.name(selector);
  }

  /** Bytes of the selected item came through the data port, or went out through it. */
  transfer(data: Uint8Array, keep = true): FwCfgTransfer {
    const offset = this.#offset;
    if (keep) this.#keep(data, offset);
    this.#offset += data.length;
    return this.#describe(offset);
  }

  /** High half of the descriptor's address (written to 0x514). */
  dmaHigh(value: number): void {
    this.#dmaHigh = swap32(value);
  }

  /** Low half (written to 0x518): the transfer starts. */
  dmaStart(value: number): bigint {
    const descriptor = (BigInt(this.#dmaHigh) << 32n) | BigInt(swap32(value));
    this.#descriptor = Number(descriptor);
    this.#dmaHigh = 0;
    this.#dma = undefined;
    return descriptor;
  }

  /** The device read guest memory: its descriptor, if the address is the one. */
  dmaRead(address: number, data: Uint8Array): string | undefined {
    if (address !== this.#descriptor || data.length < 16) return undefined;
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    const control = view.getUint32(0);
    const length = view.getUint32(4);
    const target = view.getBigUint64(8);
    if ((control & DMA_SELECT) !== 0) this.select(control >>> 16);
    const item = this.name(this.#selected);
    const offset = this.#offset;
    if ((control & DMA_READ) !== 0) this.#dma = { address: Number(target), length, offset };
    if ((control & (DMA_READ | DMA_SKIP | DMA_WRITE)) !== 0) this.#offset += length;
    const verb =
      (control & DMA_READ) !== 0
        ? 'read'
        : (control & DMA_WRITE) !== 0
          ? 'write'
          : (control & DMA_SKIP) !== 0
            ? 'skip'
            : 'select';
    return `DMA ${verb} ${item}, ${length} bytes at offset ${offset}, guest 0x${target.toString(16)}`;
  }

  /** The device wrote guest memory: part of an item, or the descriptor's status. */
  dmaWrite(address: number, data: Uint8Array): FwCfgTransfer | 'status' | undefined {
    if (this.#descriptor >= 0 && address === this.#descriptor && data.length === 4) {
      this.#descriptor = -1;
      return 'status';
    }
    const dma = this.#dma;
    if (!dma || address < dma.address || address >= dma.address + dma.length) return undefined;
    const offset = dma.offset + (address - dma.address);
    this.#keep(data, offset);
    return this.#describe(offset);
  }

  #describe(offset: number): FwCfgTransfer {
    const selected = this.#selected;
    const item = this.name(selected);
    const fieldOf = (at: number, length: number) => itemField(item, offset + at, length, this.#kept.get(selected));
    return { item, offset, fieldOf };
  }

  #keep(data: Uint8Array, offset: number): void {
    const end = Math.min(offset + data.length, MAX_KEPT);
    if (offset >= end) return;
    let kept = this.#kept.get(this.#selected) ?? new Uint8Array(0);
    if (kept.length < end) {
      const larger = new Uint8Array(end);
      larger.set(kept);
      kept = larger;
      this.#kept.set(this.#selected, kept);
    }
    kept.set(data.subarray(0, end - offset), offset);
    if (this.#selected === DIRECTORY) this.#readDirectory(kept);
  }

  /** FWCfgFiles: a big-endian count, then size, selector, reserved and a 56-byte name for each file. */
  #readDirectory(bytes: Uint8Array): void {
    if (bytes.length < 4) return;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const count = view.getUint32(0);
    for (let i = 0, at = 4; i < count && at + DIRECTORY_ENTRY <= bytes.length; i++, at += DIRECTORY_ENTRY) {
      const name = Buffer.from(bytes.buffer, bytes.byteOffset + at + 8, 56).toString('latin1');
      this.#files.set(view.getUint16(at + 4), name.split('\0', 1)[0]!);
    }
  }
}

function swap32(value: number): number {
  return (((value & 0xff) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | ((value >>> 24) & 0xff)) >>> 0;
}
