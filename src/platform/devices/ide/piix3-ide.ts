// Function 1 of the PIIX3 south bridge (Intel 290550): the IDE controller 8086:7010 at 00:01.1, with two channels at their
// ISA ports and interrupts, and the bus master in BAR 4. Configuration space is QEMU 7.2's: the ports are decoded whatever
// the IDETIM registers say. Without drives the controller is there all the same.

import type { GuestMemory } from '../../../cpu/bus.js';
import { BlockImage, type BlockSource } from '../../block/block-image.js';
import { guessGeometry } from '../../block/disk-geometry.js';
import type { Clock, Plain } from '../../device.js';
import { PciFunction } from '../pci/pci-function.js';
import { AtaDisk, type DiskMedium } from './ata-disk.js';
import { AtapiCd } from './atapi-cd.js';
import { BusMaster } from './ide-bus-master.js';
import { IdeChannel } from './ide-channel.js';
import type { IdeDrive } from './ide-drive.js';

/** Command block, control block and ISA interrupt of the two channels. */
export const IDE_CHANNELS = [
  { name: 'ide0', command: 0x1f0, control: 0x3f6, irq: 14 },
  { name: 'ide1', command: 0x170, control: 0x376, irq: 15 },
] as const;

export const BUS_MASTER_PORTS = 16;

/** What a drive is made of. */
export interface IdeMedium {
  readonly kind: 'disk' | 'cd';
  readonly source: BlockSource;
}

/** Primary master, primary slave, secondary master, secondary slave. */
export type IdeMedia = readonly (IdeMedium | undefined)[];

export interface Piix3IdeWiring {
  clock: Clock;
  memory: GuestMemory;
  /** ISA interrupts 14 and 15. */
  irq: (irq: number, level: boolean) => void;
  /** The bus master registers are to be mapped at `base`, or nowhere. */
  mapBusMaster: (base: number | undefined) => void;
  media?: IdeMedia;
}

/** 00:01.1. Its ports are the wiring's to map. */
export class Piix3Ide extends PciFunction {
  readonly channels: readonly [IdeChannel, IdeChannel];
  readonly busMasters: readonly [BusMaster, BusMaster];
  /** Disks with their geometry by place, for CMOS. */
  readonly disks: readonly (DiskMedium | undefined)[];

  constructor({ clock, memory, irq, mapBusMaster, media = [] }: Piix3IdeWiring) {
    super('piix3-ide', { vendor: 0x8086, device: 0x7010, classCode: 0x010180 });
    this.setInitial(0x06, [0x80, 0x02]);
    this.addBar(4, { space: 'io', size: BUS_MASTER_PORTS }, mapBusMaster);
    const master = () => new BusMaster(memory, () => this.busMaster);
    this.busMasters = [master(), master()];
    const serial = (place: number): string => `QM0000${place + 1}`;
    this.disks = [0, 1, 2, 3].map((place) => {
      const medium = media[place];
      if (medium?.kind !== 'disk') return undefined;
      const image = new BlockImage(medium.source);
      return { image, geometry: guessGeometry(image), serial: serial(place) };
    });
    const channel = (n: 0 | 1): IdeChannel => {
      const row = IDE_CHANNELS[n];
      const made = new IdeChannel(row.name, clock, (level) => irq(row.irq, level), this.busMasters[n]);
      const drive = (unit: 0 | 1): IdeDrive => {
        const place = 2 * n + unit;
        const medium = media[place];
        if (medium?.kind === 'cd') return new AtapiCd(made, new BlockImage(medium.source), serial(place));
        return new AtaDisk(made, this.disks[place]);
      };
      made.connect(drive(0), drive(1));
      return made;
    };
    this.channels = [channel(0), channel(1)];
  }

  override reset(): void {
    super.reset();
    for (const channel of this.channels) channel.reset();
  }

  protected override saveInner(): Plain {
    return this.channels.map((channel) => channel.save());
  }

  protected override loadInner(state: Plain): void {
    this.channels.forEach((channel, n) => {
      channel.load((state as readonly Plain[])[n]!);
    });
  }
}
