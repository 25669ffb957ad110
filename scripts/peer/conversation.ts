// What a guest and fw_cfg said to each other, in order: selections, bytes read through the data port, DMA transfers. Items
// go by name where they have one, since keys of files depend on what other files there are; bytes go by hash.

import { createHash } from 'node:crypto';

export interface Exchange {
  kind: 'select' | 'read' | 'dma';
  /** Name of the item, or its key. */
  item: string;
  /** Bytes: read through the port, or as the descriptor says. */
  length: number;
  /** SHA-256 of the bytes; '' where none went over. */
  sha256: string;
  /** Of a DMA: `select`, `read`, `write`, `skip`, joined by `+`. */
  verb: string;
  /** Of a DMA: guest addresses of data and descriptor. */
  address: number;
  descriptor: number;
}

const DIRECTORY = 0x19;
const ENTRY = 64;
const READ = 2;
const SKIP = 4;
const SELECT = 8;
const WRITE = 16;

/** Verb of a transfer that was not looked into. */
export const UNSEEN = 'unseen';

/** Names of numbered items, as in QEMU's sources. */
const FIXED: Readonly<Record<number, string>> = {
  0: 'signature',
  1: 'id',
  2: 'uuid',
  3: 'ram_size',
  4: 'nographic',
  5: 'nb_cpus',
  7: 'kernel_addr',
  8: 'kernel_size',
  10: 'initrd_addr',
  11: 'initrd_size',
  13: 'numa',
  14: 'boot_menu',
  15: 'max_cpus',
  16: 'kernel_entry',
  17: 'kernel_data',
  18: 'initrd_data',
  19: 'cmdline_addr',
  20: 'cmdline_size',
  21: 'cmdline_data',
  22: 'setup_addr',
  23: 'setup_size',
  24: 'setup_data',
  25: 'file_dir',
  32768: 'acpi_tables',
  32769: 'smbios_entries',
  32770: 'irq0_override',
  32771: 'e820_table',
  32772: 'hpet',
};

export interface Descriptor {
  control: number;
  length: number;
  address: number;
}

/** A descriptor in guest memory: big-endian control, length, address. */
export function parseDescriptor(bytes: Uint8Array): Descriptor {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  return { control: view.getUint32(0), length: view.getUint32(4), address: Number(view.getBigUint64(8)) };
}

export const reads = ({ control }: Descriptor): boolean => (control & READ) !== 0;
export const writes = ({ control }: Descriptor): boolean => (control & (READ | WRITE)) === WRITE;

/** Collects a conversation; both sides tell it what they saw. */
export class Conversation {
  readonly exchanges: Exchange[] = [];
  #key = 0;
  #offset = 0;
  #reading = createHash('sha256');
  /** Files by key, once finish() has read the directory. */
  get names(): ReadonlyMap<number, string> {
    return this.#names;
  }
  readonly #names = new Map<number, string>();
  readonly #directory: number[] = [];
  /** Items under their keys, to be named when the directory is known. */
  readonly #keys: number[] = [];

  select(key: number): void {
    this.#key = key;
    this.#offset = 0;
    this.#add({ kind: 'select' });
  }

  /** Bytes came through the data port. */
  read(bytes: Uint8Array): void {
    let last = this.exchanges.at(-1);
    if (last?.kind !== 'read') {
      last = this.#add({ kind: 'read' });
      this.#reading = createHash('sha256');
    }
    last.length += bytes.length;
    this.#reading.update(bytes);
    last.sha256 = this.#reading.copy().digest('hex');
    this.#moved(bytes);
  }

  /** @param sha256 of the bytes that went over; @param bytes the bytes themselves, as far as they are at hand */
  dma(descriptor: number, { control, length, address }: Descriptor, sha256: string, bytes: Uint8Array): void {
    if (control & SELECT) {
      this.#key = control >>> 16;
      this.#offset = 0;
    }
    const verbs = [
      [SELECT, 'select'],
      [READ, 'read'],
      [SKIP, 'skip'],
      [WRITE, 'write'],
    ] as const;
    const verb = verbs.flatMap(([bit, name]) => (control & bit ? [name] : [])).join('+');
    this.#add({ kind: 'dma', length, sha256, verb, address, descriptor });
    if (control & READ) this.#moved(bytes);
    else this.#offset += length;
  }

  /** A DMA of which only the descriptor's address is known, */
  unseen(descriptor: number): void {
    this.#add({ kind: 'dma', verb: UNSEEN, descriptor });
  }

  /** … and the item that it selects. */
  unseenKey(key: number): void {
    this.#key = key;
    this.#keys[this.#keys.length - 1] = key;
  }

  /** The whole, with names; of files those of the directory that went over, or, unseen, those of `known`. */
  finish(known: ReadonlyMap<number, string> = new Map()): Exchange[] {
    for (const [key, name] of known) this.#names.set(key, name);
    const bytes = Buffer.from(this.#directory);
    for (let at = 4; at + ENTRY <= bytes.length; at += ENTRY) {
      const name = bytes.toString('latin1', at + 8, at + ENTRY).split('\0', 1)[0]!;
      if (name !== '') this.#names.set(bytes.readUInt16BE(at + 4), name);
    }
    return this.exchanges.map((exchange, i) => {
      const key = this.#keys[i]!;
      return { ...exchange, item: this.#names.get(key) ?? FIXED[key] ?? `0x${key.toString(16)}` };
    });
  }

  #add(part: Pick<Exchange, 'kind'> & Partial<Exchange>): Exchange {
    const exchange = { item: '', length: 0, sha256: '', verb: '', address: 0, descriptor: 0, ...part };
    this.exchanges.push(exchange);
    this.#keys.push(this.#key);
    return exchange;
  }

  #moved(bytes: Uint8Array): void {
    if (this.#key === DIRECTORY) for (const [i, byte] of bytes.entries()) this.#directory[this.#offset + i] = byte;
    this.#offset += bytes.length;
  }
}
