// A microvm as the options ask for it: which virtio devices there are, what tables and hints come of them, and what a boot
// without firmware finds, which is what qboot leaves: ACPI tables below 0xf0000, and registers as after a reset.

import type { GuestMemory } from '../cpu/bus.js';
import { buildMicrovmAcpiTables } from '../platform/acpi/microvm-tables.js';
import { ACPI_TABLES_ALIGN, type AcpiBlobs, placeAcpiTables } from '../platform/acpi/tables.js';
import { BlockImage } from '../platform/block/block-image.js';
import type { BoardOptions } from '../platform/board.js';
import type { Plain } from '../platform/device.js';
import type { FwCfg } from '../platform/devices/fw-cfg.js';
import { fwCfgE820 } from '../platform/e820.js';
import { Microvm, type MicrovmLayout, microvmLayout, type VirtioPlug, virtioHints } from '../platform/microvm.js';
import { addMicrovmItems } from '../platform/microvm-fw-cfg.js';
import type { DiskFile } from './disks.js';
import type { BootOptions } from './options.js';
import { UserError } from './user-error.js';

/** Where qboot puts its tables: the RSDP here, the others below the BIOS. */
const RSDP_ADDRESS = 0xf_34d0;
const TABLES_END = 0xf_0000;

export class MicrovmPlan {
  readonly layout: MicrovmLayout;
  /** To be added to the kernel's command line. */
  readonly hints: string;
  readonly #plugs: readonly VirtioPlug[];
  readonly #acpi: AcpiBlobs | undefined;

  /**
   * @param disks one virtio block device each
   * @throws UserError
   */
  constructor(
    private readonly options: BootOptions,
    disks: readonly DiskFile[],
  ) {
    const others = (options.devices ?? []).map(
      (name): VirtioPlug => ({ kind: name === 'virtio-rng' ? 'rng' : 'console' }),
    );
    this.#plugs = [
      ...disks.map(({ source }): VirtioPlug => ({ kind: 'blk', store: new BlockImage(source) })),
      ...others,
    ];
    const acpi = options.acpi !== false;
    try {
      this.layout = microvmLayout(acpi, this.#plugs.length);
    } catch (error) {
      throw new UserError(`--machine microvm: ${(error as Error).message}; give fewer of --drive and --device`);
    }
    this.hints = virtioHints(this.layout);
    if (acpi) this.#acpi = buildMicrovmAcpiTables({ ...this.layout, fwCfgDma: options.fwCfgDma !== false });
  }

  /** Tables for a boot without firmware; returns the RSDP's address, if there is one. */
  placeTables(memory: GuestMemory): number | undefined {
    if (!this.#acpi) return undefined;
    const below = TABLES_END - this.#acpi.tables.length;
    const placed = placeAcpiTables(this.#acpi, below - (below % ACPI_TABLES_ALIGN));
    memory.write(placed.tablesAddress, placed.tables);
    memory.write(RSDP_ADDRESS, placed.rsdp);
    return RSDP_ADDRESS;
  }

  build(board: BoardOptions, fill: (fwCfg: FwCfg) => void): Microvm {
    const { ramSize } = board;
    return new Microvm({
      ...board,
      acpi: this.layout.acpi,
      legacyVirtio: this.options.legacyVirtio !== false,
      virtio: this.#plugs,
      fwCfg: (fwCfg) => {
        const acpi = this.#acpi && { acpi: this.#acpi };
        addMicrovmItems(fwCfg, { ramSize, e820: fwCfgE820(ramSize), layout: this.layout, ...acpi });
        fill(fwCfg);
      },
    });
  }

  /** What of it is not the default, for the trace's header. */
  get headerOptions(): Record<string, Plain> {
    const { acpi, legacyVirtio, devices = [] } = this.options;
    return {
      ...(acpi === false && { acpi }),
      ...(legacyVirtio === false && { legacyVirtio }),
      ...(devices.length > 0 && { devices: [...devices] }),
    };
  }
}
