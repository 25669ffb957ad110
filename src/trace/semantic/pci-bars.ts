// Registers behind base address registers, named by the function that they belong to: the bus master of an IDE controller
// (SFF-8038i), a virtio function's legacy ports and modern structures (Virtio 1.2, 4.1.4, 4.1.5), a VGA's memory. What a
// function is, and where it lies, is what the guest read and wrote in configuration space. Where firmware placed a BAR
// before the trace began, the guest's read of it tells.

import { HEADER_BAR0 } from './pci.js';
import type { RegisterName } from './registers.js';

const VIRTIO = 0x1af4;
const BOCHS_VGA = 0x1111_1234;
const IDE_BUS_MASTER_BAR = 4;
const BARS = 6;

// biome-ignore format: a table
const BUS_MASTER: Readonly<Record<number, string>> = {
  0: 'primary command', 2: 'primary status', 4: 'primary table address',
  8: 'secondary command', 10: 'secondary status', 12: 'secondary table address',
};

// biome-ignore format: a table
const VIRTIO_LEGACY: Readonly<Record<number, string>> = {
  0: 'device features', 4: 'driver features', 8: 'queue address', 12: 'queue size', 14: 'queue select', 16: 'queue notify',
  18: 'device status', 19: 'ISR status',
};
const VIRTIO_LEGACY_CONFIG = 20;

// biome-ignore format: a table
const VIRTIO_COMMON: Readonly<Record<number, string>> = {
  0: 'device feature select', 4: 'device feature', 8: 'driver feature select', 12: 'driver feature', 16: 'MSI-X vector',
  18: 'number of queues', 20: 'device status', 21: 'config generation', 22: 'queue select', 24: 'queue size',
  26: 'queue MSI-X vector', 28: 'queue enable', 30: 'queue notify offset', 32: 'queue descriptors low',
  36: 'queue descriptors high', 40: 'queue driver low', 44: 'queue driver high', 48: 'queue device low', 52: 'queue device high',
};

/** The structures of a modern virtio function of QEMU's, a page each. */
const VIRTIO_STRUCTURES = ['common', 'ISR status', 'config', 'notify'] as const;

interface Bar {
  place: string;
  index: number;
  io: boolean;
  base: number;
  size: number;
}

/** Follows identities and base address registers. */
export class PciBars {
  readonly #identity = new Map<string, number>();
  readonly #isIde = new Map<string, boolean>();
  readonly #bars = new Map<string, Bar>();
  /** Registers that were last written all ones: what is read of them is a size. */
  readonly #sizing = new Set<string>();
  /** Sizes that were found out, as powers of two. */
  readonly #sizes = new Map<string, number>();

  /** A 4-byte access to configuration space. */
  config(place: string, offset: number, value: number, write: boolean): void {
    if (!write && offset === 0) this.#identity.set(place, value >>> 0);
    if (!write && offset === 8) this.#isIde.set(place, value >>> 16 === 0x0101);
    const index = (offset - HEADER_BAR0) / 4;
    if (!Number.isInteger(index) || index < 0 || index >= BARS) return;
    const key = `${place}/${index}`;
    if (write && value >>> 0 === 0xffff_ffff) {
      this.#sizing.add(key);
      return;
    }
    const io = (value & 1) !== 0;
    const base = io ? value & 0xfffc : (value & ~0xf) >>> 0;
    if (!write && this.#sizing.has(key)) {
      if (base !== 0) this.#sizes.set(key, io ? -(base | 0xffff_0000) : -(base | 0));
      return;
    }
    this.#sizing.delete(key);
    if (base !== 0) this.#bars.set(key, { place, index, io, base, size: 0 });
  }

  /** Name a port (`io`) or a physical address. */
  name(address: number, io: boolean): RegisterName | undefined {
    for (const [key, bar] of this.#bars) {
      if (bar.io !== io || address < bar.base) continue;
      const offset = address - bar.base;
      const found = this.#register(bar, offset, this.#sizes.get(key));
      if (found) return found;
    }
    return undefined;
  }

  #register({ place, index, io }: Bar, offset: number, size: number | undefined): RegisterName | undefined {
    const identity = this.#identity.get(place) ?? 0;
    if (this.#isIde.get(place) && io && index === IDE_BUS_MASTER_BAR && offset < 16)
      return { device: `ide bus master ${place}`, register: BUS_MASTER[offset] ?? hex(offset) };
    if (identity === BOCHS_VGA && !io && offset < (size ?? 0))
      return { device: 'vga', register: index === 0 ? 'frame buffer' : `mapped register ${hex(offset)}` };
    if ((identity & 0xffff) !== VIRTIO || offset >= (size ?? (io ? 0x20 : 0x4000))) return undefined;
    const device = `virtio ${place}`;
    if (io) {
      const config = offset - VIRTIO_LEGACY_CONFIG;
      return { device, register: config >= 0 ? `config ${hex(config)}` : (VIRTIO_LEGACY[offset] ?? hex(offset)) };
    }
    const structure = VIRTIO_STRUCTURES[offset >>> 12];
    const within = offset & 0xfff;
    if (index === 1) return { device, register: `MSI-X table ${hex(offset)}` };
    if (structure === undefined) return { device, register: hex(offset) };
    if (structure === 'common') return { device, register: VIRTIO_COMMON[within] ?? `common ${hex(within)}` };
    if (structure === 'notify') return { device, register: `notify queue ${within >>> 2}` };
    return { device, register: within === 0 && structure !== 'config' ? structure : `${structure} ${hex(within)}` };
  }
}

const hex = (value: number): string => `0x${value.toString(16)}`;
