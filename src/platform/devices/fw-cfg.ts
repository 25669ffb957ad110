// The firmware configuration device of QEMU (docs/specs/fw_cfg.rst): selector and data at ports 0x510 and 0x511, DMA
// address at 0x514, numbered items and a directory of named files. Invariants: files are sorted by name and have
// consecutive keys from 0x20, so the same set of files gives the same keys; every DMA ends at once and touches no more
// guest memory than there is, whatever length the guest asks for. Left out: the data port's old write support.

import type { GuestMemory } from '../../cpu/bus.js';
import type { Device, Plain, PortHandler } from '../device.js';

export const FW_CFG_PORT = 0x510;
export const FW_CFG_PORTS = 2;
export const FW_CFG_DMA_PORT = 0x514;
export const FW_CFG_DMA_PORTS = 8;

/** Keys of numbered items, with QEMU's names. */
export const FW_CFG = {
  SIGNATURE: 0x00,
  ID: 0x01,
  UUID: 0x02,
  RAM_SIZE: 0x03,
  NOGRAPHIC: 0x04,
  NB_CPUS: 0x05,
  MACHINE_ID: 0x06,
  KERNEL_ADDR: 0x07,
  KERNEL_SIZE: 0x08,
  KERNEL_CMDLINE: 0x09,
  INITRD_ADDR: 0x0a,
  INITRD_SIZE: 0x0b,
  BOOT_DEVICE: 0x0c,
  NUMA: 0x0d,
  BOOT_MENU: 0x0e,
  MAX_CPUS: 0x0f,
  KERNEL_ENTRY: 0x10,
  KERNEL_DATA: 0x11,
  INITRD_DATA: 0x12,
  CMDLINE_ADDR: 0x13,
  CMDLINE_SIZE: 0x14,
  CMDLINE_DATA: 0x15,
  SETUP_ADDR: 0x16,
  SETUP_SIZE: 0x17,
  SETUP_DATA: 0x18,
  FILE_DIR: 0x19,
  FILE_FIRST: 0x20,
  ACPI_TABLES: 0x8000,
  SMBIOS_ENTRIES: 0x8001,
  IRQ0_OVERRIDE: 0x8002,
  HPET: 0x8004,
} as const;

/** Bits of the DMA control field. */
export const FW_CFG_DMA_ERROR = 0x01;
export const FW_CFG_DMA_READ = 0x02;
export const FW_CFG_DMA_SKIP = 0x04;
export const FW_CFG_DMA_SELECT = 0x08;
export const FW_CFG_DMA_WRITE = 0x10;

const FILE_SLOTS = 0x20;
const KEY_LIMIT = FW_CFG.FILE_FIRST + FILE_SLOTS;
const ENTRY_MASK = 0x3fff;
const ARCH_LOCAL = 0x8000;
const INVALID = 0xffff;
const MAX_NAME = 55;
/** "QEMU CFG", read at the DMA port. */
const DMA_SIGNATURE = Uint8Array.from([0x51, 0x45, 0x4d, 0x55, 0x20, 0x43, 0x46, 0x47]);
const ZEROES = new Uint8Array(0x10000);

/** One DMA request as the guest wrote it. */
export interface FwCfgDma {
  /** Item that the request works on, after its own selection; 0xffff if there is none. */
  key: number;
  control: number;
  length: number;
  address: bigint;
}

/** Listener for a recorder; must not change anything. */
export interface FwCfgObserver {
  onSelect?(key: number): void;
  onDma?(request: FwCfgDma): void;
}

/** How a transfer is answered that is not answered as it should be. */
export interface FwCfgAnswer {
  /** Bytes that are transferred, if the guest asks for as many. */
  readonly bytes: number;
  /** Zeros that are written behind what the guest asks for. */
  readonly extra: number;
  /** What the control word is afterwards; undefined: as the guest left it. */
  readonly control: number | undefined;
  /** What the descriptor's address is afterwards; undefined: as the guest left it. */
  readonly address: bigint | undefined;
}

export interface FwCfgItemOptions {
  /** The guest may change the content by DMA. */
  writable?: boolean;
  /** Called after the guest has written `length` bytes at `offset`. */
  onWrite?: (offset: number, length: number) => void;
  /** Called each time the guest selects the item; may return new content. */
  onSelect?: () => Uint8Array | undefined;
}

interface Item extends FwCfgItemOptions {
  data: Uint8Array;
}

interface FwCfgState {
  key: number;
  offset: number;
  dmaHigh: number;
  /** Absent in what was saved by earlier versions. */
  transfers?: number;
  /** Contents of writable items, by key. */
  written: [number, Uint8Array][];
}

/** The fw_cfg device. Items are configuration, not state: they are put there by whoever builds the machine. */
export class FwCfg implements Device {
  readonly name = 'fw-cfg';
  private readonly memory: GuestMemory;
  private readonly items = new Map<number, Item>();
  private readonly files = new Map<string, Item>();
  private key: number = FW_CFG.SIGNATURE;
  private offset = 0;
  private dmaHigh = 0;
  /** DMA transfers since the machine was made. */
  private transfers = 0;
  observer: FwCfgObserver | undefined;
  /** What is wrong with the answer to a transfer, counted from 0; for whoever tests a guest. Nothing by default. */
  answering: ((transfer: number) => FwCfgAnswer | undefined) | undefined;

  /** @param dma the DMA interface exists; its ports are mapped by the machine */
  constructor(memory: GuestMemory, dma = true) {
    this.memory = memory;
    this.addItem(FW_CFG.SIGNATURE, latin1('QEMU'));
    this.addInt32(FW_CFG.ID, dma ? 3 : 1); // bit 0: traditional interface, bit 1: DMA
    this.items.set(FW_CFG.FILE_DIR, { data: this.directory() });
  }

  reset(): void {
    this.key = FW_CFG.SIGNATURE;
    this.offset = 0;
    this.dmaHigh = 0;
  }

  /**
   * Set a numbered item, replacing an earlier one.
   * @throws RangeError for a key that no guest can select or that belongs to a file
   */
  addItem(key: number, data: Uint8Array, options: FwCfgItemOptions = {}): void {
    const number = key & ENTRY_MASK;
    const isFile = !(key & ARCH_LOCAL) && number >= FW_CFG.FILE_FIRST;
    if ((key & ~(ENTRY_MASK | ARCH_LOCAL)) !== 0 || number >= KEY_LIMIT || isFile) {
      throw new RangeError(`fw_cfg item 0x${key.toString(16)} does not exist`);
    }
    this.items.set(key, { ...options, data });
  }

  addInt16(key: number, value: number): void {
    this.addItem(key, littleEndian(BigInt(value), 2));
  }

  addInt32(key: number, value: number): void {
    this.addItem(key, littleEndian(BigInt(value), 4));
  }

  addInt64(key: number, value: bigint): void {
    this.addItem(key, littleEndian(value, 8));
  }

  /** A zero-terminated string. */
  addString(key: number, text: string): void {
    this.addItem(key, latin1(`${text}\0`));
  }

  /**
   * Add a file. Keys of all files follow the order of names and are final once the machine runs.
   * @throws RangeError if the name is too long or taken, or there are too many files
   */
  addFile(name: string, data: Uint8Array, options: FwCfgItemOptions = {}): void {
    if (name.length === 0 || latin1(name).length > MAX_NAME) throw new RangeError(`fw_cfg file name: ${name}`);
    if (this.files.has(name)) throw new RangeError(`fw_cfg file exists already: ${name}`);
    if (this.files.size === FILE_SLOTS) throw new RangeError(`fw_cfg holds ${FILE_SLOTS} files, no room for ${name}`);
    this.files.set(name, { ...options, data });
    this.number();
  }

  /** Replace the content of a file, or add it. */
  setFile(name: string, data: Uint8Array): void {
    const file = this.files.get(name);
    if (file) {
      file.data = data;
      this.number();
    } else {
      this.addFile(name, data);
    }
  }

  /** Content of an item or undefined; for people who look, not for guests. */
  content(key: number): Uint8Array | undefined {
    return this.items.get(key)?.data;
  }

  /** Names, keys and sizes of the files, in key order. */
  list(): { name: string; key: number; size: number }[] {
    return this.sortedNames().map((name, i) => ({
      name,
      key: FW_CFG.FILE_FIRST + i,
      size: this.files.get(name)!.data.length,
    }));
  }

  /** Ports 0x510 and 0x511: byte reads give data, 2-byte writes at 0x510 select. QEMU refuses the other widths. */
  readonly control: PortHandler = {
    portRead: (_offset, size) => (size === 1 ? this.readByte() : 0),
    portWrite: (offset, size, value) => {
      if (offset === 0 && size === 2) this.select(value);
    },
    portReadString: (_offset, size, count) => {
      const result = new Uint8Array(size * count);
      if (size === 1) result.set(this.take(count));
      return result;
    },
  };

  /** Ports 0x514–0x51b: reads give the signature, a 4-byte write of the low address at 0x518 starts a transfer. */
  readonly dma: PortHandler = {
    portRead: (offset, size) => {
      if (offset & (size - 1)) return 0;
      let value = 0;
      for (let i = size - 1; i >= 0; i--) value = (value << 8) | DMA_SIGNATURE[offset + i]!;
      return value >>> 0;
    },
    portWrite: (offset, size, value) => {
      if (size !== 4) return;
      if (offset === 0) this.dmaHigh = swap32(value);
      else if (offset === 4) {
        const address = (BigInt(this.dmaHigh) << 32n) | BigInt(swap32(value));
        this.dmaHigh = 0;
        this.transfer(address);
      }
    },
  };

  save(): Plain {
    const written = [...this.items].filter(([, item]) => item.writable).map(([key, item]) => [key, item.data.slice()]);
    return { key: this.key, offset: this.offset, dmaHigh: this.dmaHigh, transfers: this.transfers, written };
  }

  load(state: Plain): void {
    const s = state as unknown as FwCfgState;
    this.key = s.key;
    this.offset = s.offset;
    this.dmaHigh = s.dmaHigh;
    this.transfers = s.transfers ?? 0;
    for (const [key, data] of s.written) {
      const item = this.items.get(key);
      if (item) item.data = data.slice();
    }
  }

  private sortedNames(): string[] {
    // By byte value, as strcmp; JavaScript's default order is the same for Latin-1.
    return [...this.files.keys()].sort();
  }

  private number(): void {
    this.sortedNames().forEach((name, i) => {
      this.items.set(FW_CFG.FILE_FIRST + i, this.files.get(name)!);
    });
    this.items.set(FW_CFG.FILE_DIR, { data: this.directory() });
  }

  /** A big-endian count, then 64 bytes a file: size, key, reserved, name. Always as long as for all slots. */
  private directory(): Uint8Array {
    const data = new Uint8Array(4 + 64 * FILE_SLOTS);
    const view = new DataView(data.buffer);
    const files = this.list();
    view.setUint32(0, files.length);
    files.forEach(({ name, key, size }, i) => {
      const at = 4 + 64 * i;
      view.setUint32(at, size);
      view.setUint16(at + 4, key);
      data.set(latin1(name), at + 8);
    });
    return data;
  }

  private select(key: number): void {
    this.offset = 0;
    this.key = (key & ENTRY_MASK) >= KEY_LIMIT ? INVALID : key & 0xffff;
    const item = this.current();
    const fresh = item?.onSelect?.();
    if (item && fresh) item.data = fresh;
    this.observer?.onSelect?.(this.key);
  }

  private current(): Item | undefined {
    // Bit 14 once asked for writing through the data port; QEMU ignores it.
    return this.key === INVALID ? undefined : this.items.get(this.key & (ENTRY_MASK | ARCH_LOCAL));
  }

  private readByte(): number {
    const data = this.current()?.data;
    return data && this.offset < data.length ? data[this.offset++]! : 0;
  }

  /** Up to `count` bytes from the current position, which moves. */
  private take(count: number): Uint8Array {
    const data = this.current()?.data;
    if (!data || this.offset >= data.length) return new Uint8Array(0);
    const part = data.subarray(this.offset, this.offset + count);
    this.offset += part.length;
    return part;
  }

  private transfer(descriptor: bigint): void {
    if (!this.inRam(descriptor, 16)) return;
    const at = Number(descriptor);
    const bytes = this.memory.read(at, 16);
    const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
    const control = view.getUint32(0);
    const length = view.getUint32(4);
    const address = view.getBigUint64(8);
    if (control & FW_CFG_DMA_SELECT) this.select(control >>> 16);
    this.observer?.onDma?.({ key: this.key, control, length, address });
    const answer = this.answering?.(this.transfers);
    this.transfers++;
    if (answer) {
      this.answerBy(answer, at, control, length, address);
      return;
    }
    const failed = this.perform(control, length, address);
    this.memory.write(at, Uint8Array.from([0, 0, 0, failed ? FW_CFG_DMA_ERROR : 0]));
  }

  /** What the guest should not have to expect. */
  private answerBy(answer: FwCfgAnswer, at: number, control: number, length: number, address: bigint): void {
    this.perform(control, Math.min(length, answer.bytes), address);
    if (control & FW_CFG_DMA_READ) this.copyOut(address + BigInt(length), new Uint8Array(0), answer.extra);
    const put = (offset: number, size: number, value: bigint) => {
      const bytes = Uint8Array.from({ length: size }, (_, i) => Number((value >> BigInt(8 * (size - 1 - i))) & 0xffn));
      this.memory.write(at + offset, bytes);
    };
    if (answer.address !== undefined) put(8, 8, answer.address);
    if (answer.control !== undefined) put(0, 4, BigInt(answer.control));
  }

  /** Returns true on error. */
  private perform(control: number, length: number, address: bigint): boolean {
    if (control & FW_CFG_DMA_READ) {
      const part = this.take(length);
      const failed = length > 0 && !this.inRam(address, length);
      this.copyOut(address, part, length - part.length);
      return failed;
    }
    if (control & FW_CFG_DMA_WRITE) return this.write(length, address);
    if (control & FW_CFG_DMA_SKIP) this.take(length);
    return false;
  }

  private write(length: number, address: bigint): boolean {
    if (length === 0) return false;
    const item = this.current();
    if (!item?.writable || length > item.data.length - this.offset || !this.inRam(address, length)) return true;
    item.data.set(this.memory.read(Number(address), length), this.offset);
    item.onWrite?.(this.offset, length);
    this.offset += length;
    return false;
  }

  private inRam(address: bigint, length: number): boolean {
    return address + BigInt(length) <= BigInt(this.memory.ramSize);
  }

  /** Write `data` and then `zeroes` zero bytes, as far as there is memory to take them. */
  private copyOut(address: bigint, data: Uint8Array, zeroes: number): void {
    const end = BigInt(this.memory.ramSize);
    if (address >= end) return;
    const start = Number(address);
    const room = this.memory.ramSize - start;
    if (data.length > 0) this.memory.write(start, data.subarray(0, room));
    const stop = Math.min(start + data.length + zeroes, this.memory.ramSize);
    for (let at = start + data.length; at < stop; at += ZEROES.length) {
      this.memory.write(at, ZEROES.subarray(0, Math.min(ZEROES.length, stop - at)));
    }
  }
}

const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff);

function littleEndian(value: bigint, size: 2 | 4 | 8): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}

function swap32(value: number): number {
  return (((value & 0xff) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | ((value >>> 24) & 0xff)) >>> 0;
}
