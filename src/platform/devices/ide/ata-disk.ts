// A hard disk on an ATA channel (ATA/ATAPI-6, T13/1410D, chapter 8): the commands, sector addresses of 28 and 48 bits or
// by cylinder and head, and transfers by PIO and bus master. Which commands exist and how they end is QEMU 7.2's
// (hw/ide/core.c). The same class is the place where no drive is: QEMU has registers there, and refuses what needs a disk.
// Left out: security, CFA cards, power states (accepted without effect, as in QEMU).

import type { BlockImage } from '../../block/block-image.js';
import type { DiskGeometry } from '../../block/disk-geometry.js';
import type { Plain } from '../../device.js';
import { sectorOf, showSector } from './ata-address.js';
import { COMMANDS } from './ata-commands.js';
import {
  type After,
  type DmaPiece,
  IdeDrive,
  type IdeHost,
  STATUS_BSY,
  STATUS_DRQ,
  STATUS_DSC,
  STATUS_RDY,
} from './ide-drive.js';
import * as identify from './ide-identify.js';
import { Smart } from './ide-smart.js';

/** A disk's medium with what it says of itself. */
export interface DiskMedium {
  readonly image: BlockImage;
  readonly geometry: DiskGeometry;
  /** Up to 20 characters. */
  readonly serial: string;
}

type DmaKind = 'read' | 'write' | 'trim';

const FEATURE_TRIM = 1;

/** A disk, or no drive at all. */
export class AtaDisk extends IdeDrive {
  readonly isCd = false;
  readonly #medium: DiskMedium | undefined;
  /** How addresses by cylinder and head are meant: as the disk is, until the guest says otherwise. */
  #heads = 1;
  #track = 1;
  /** Sectors a DRQ block of READ and WRITE MULTIPLE; 0: not allowed. */
  #multiple = 0;
  /** Sectors a DRQ block of the running command. */
  #blockSectors = 0;
  /** The running command has a 48-bit address. */
  #wide = false;
  /** Sectors that are still to be transferred. */
  #left = 0;
  #dma: DmaKind = 'read';
  /** What the running bus master transfer was planned with. */
  #pieces: DmaPiece[] = [];
  #described = 0;
  #identify: Uint8Array | undefined;
  #writeCache = true;
  readonly #smart = new Smart();

  constructor(host: IdeHost, medium?: DiskMedium) {
    super(host);
    this.#medium = medium;
    this.reset();
  }

  get present(): boolean {
    return this.#medium !== undefined;
  }

  override reset(): void {
    super.reset();
    this.#heads = this.#medium?.geometry.heads ?? 1;
    this.#track = this.#medium?.geometry.sectors ?? 1;
    this.#multiple = identify.MAX_MULTIPLE;
    this.#blockSectors = 0;
    this.#wide = false;
    this.#left = 0;
  }

  execute(command: number): void {
    const row = COMMANDS.get(command);
    if (row === undefined) {
      this.abort();
      this.host.interrupt();
      return;
    }
    this.status = STATUS_RDY | STATUS_BSY;
    this.error = 0;
    if (!row.run(this, command)) return;
    this.status &= ~STATUS_BSY;
    if (row.seek && this.error === 0) this.status |= STATUS_DSC;
    this.host.interrupt();
  }

  // Commands, in the order of the table below.

  nothing(): boolean {
    return true;
  }

  refuse(): boolean {
    this.abort();
    return true;
  }

  trim(): boolean {
    if (!this.present || this.task.feature !== FEATURE_TRIM) return this.refuse();
    // The count is taken as it stands: ranges, in sectors.
    this.#left = this.task.count;
    this.#startDma('trim');
    return false;
  }

  readSectors(wide: boolean, multiple = false): boolean {
    if (!this.present || (multiple && this.#multiple === 0)) return this.refuse();
    this.#take(wide);
    this.#blockSectors = multiple ? this.#multiple : 1;
    this.#readBlock();
    return false;
  }

  writeSectors(wide: boolean, multiple = false): boolean {
    if (!this.present || (multiple && this.#multiple === 0)) return this.refuse();
    this.#take(wide);
    this.#blockSectors = multiple ? this.#multiple : 1;
    this.status = STATUS_RDY | STATUS_DSC;
    this.startTransfer(0, 512 * Math.min(this.#left, this.#blockSectors), 'write');
    return false;
  }

  readDma(wide: boolean): boolean {
    return this.#transferDma(wide, 'read');
  }

  writeDma(wide: boolean): boolean {
    return this.#transferDma(wide, 'write');
  }

  verify(wide: boolean): boolean {
    this.#take(wide);
    this.#showLeft();
    return true;
  }

  readNativeMax(wide: boolean): boolean {
    if (!this.#medium) return this.refuse();
    this.#take(wide);
    this.#showLeft();
    this.#setSector(this.#medium.image.sectors - 1);
    return true;
  }

  setParameters(): boolean {
    if (!this.present) return this.refuse();
    this.#heads = (this.task.select & 0x0f) + 1;
    this.#track = this.task.count;
    return true;
  }

  runDiagnostic(): boolean {
    this.diagnose();
    return false;
  }

  checkPower(): boolean {
    // Active or idle.
    this.task.count = 0xff;
    return true;
  }

  flush(): boolean {
    if (!this.present) this.#flushed();
    else {
      this.status |= STATUS_BSY;
      this.host.begin('flush', 0);
    }
    return false;
  }

  setMultiple(): boolean {
    const { count } = this.task;
    if (count > identify.MAX_MULTIPLE || (count & (count - 1)) !== 0) this.abort();
    else this.#multiple = count;
    return true;
  }

  identify(): boolean {
    if (!this.present) return this.refuse();
    return this.#reply(this.#identifyData());
  }

  setFeatures(): boolean {
    if (!this.present) return this.refuse();
    switch (this.task.feature) {
      case 0x02:
        this.#setWriteCache(true);
        return true;
      case 0x82:
        this.#setWriteCache(false);
        return this.flush();
      case 0x03:
        return this.#setTransferMode();
      default:
        return IGNORED_FEATURES.has(this.task.feature) || this.refuse();
    }
  }

  smart(): boolean {
    const answer = this.#smart.execute(this.task);
    return answer === 'refused' ? this.refuse() : answer === 'done' || this.#reply(answer);
  }

  freezeLock(): boolean {
    this.task.count = 0;
    return true;
  }

  // The course of transfers.

  protected transferred(after: After): void {
    if (after === 'read') this.#readBlock();
    else if (after === 'write') this.#writeBlock();
    else this.stopTransfer();
  }

  workDone(work: string): void {
    switch (work) {
      case 'pio-read':
        this.#blockRead();
        break;
      case 'pio-write':
        this.#blockWritten();
        break;
      case 'flush':
        this.#flushed();
        break;
      default:
        this.#dmaDone();
    }
  }

  /** The bus master runs, and the command is there: plan, and take the time it takes. */
  dmaStarted(): void {
    const bytes = this.#left * 512;
    if (bytes === 0) {
      this.#flushed();
      this.host.busMaster.finish(false);
      return;
    }
    const { pieces, described } = this.host.busMaster.gather(bytes);
    const total = pieces.reduce((sum, { length }) => sum + length, 0);
    if (total < bytes) {
      // The table is too short: the bus master stops, and no interrupt says so.
      this.status = STATUS_RDY | STATUS_DSC;
      this.host.busMaster.finish(false);
      return;
    }
    if (this.#dma !== 'trim' && !this.#medium!.image.has(this.#sector(), this.#left)) {
      this.#dmaFailed();
      return;
    }
    this.#pieces = pieces;
    this.#described = described;
    this.host.begin('dma', bytes);
  }

  protected saveOwn(): Plain {
    return {
      heads: this.#heads,
      track: this.#track,
      multiple: this.#multiple,
      blockSectors: this.#blockSectors,
      wide: this.#wide,
      left: this.#left,
      dma: this.#dma,
      pieces: this.#pieces.map((piece) => ({ ...piece })),
      described: this.#described,
      identify: this.#identify?.slice() ?? null,
      writeCache: this.#writeCache,
      smart: this.#smart.save(),
      medium: this.#medium?.image.save() ?? null,
    };
  }

  protected loadOwn(state: Plain): void {
    const s = state as unknown as {
      heads: number;
      track: number;
      multiple: number;
      blockSectors: number;
      wide: boolean;
      left: number;
      dma: DmaKind;
      pieces: DmaPiece[];
      described: number;
      identify: Uint8Array | null;
      writeCache: boolean;
      smart: Plain;
      medium: Plain;
    };
    this.#heads = s.heads;
    this.#track = s.track;
    this.#multiple = s.multiple;
    this.#blockSectors = s.blockSectors;
    this.#wide = s.wide;
    this.#left = s.left;
    this.#dma = s.dma;
    this.#pieces = s.pieces.map((piece) => ({ ...piece }));
    this.#described = s.described;
    this.#identify = s.identify?.slice();
    this.#writeCache = s.writeCache;
    this.#smart.load(s.smart);
    if (this.#medium && s.medium !== null) this.#medium.image.load(s.medium);
  }

  #readBlock(): void {
    this.status = STATUS_RDY | STATUS_DSC;
    this.error = 0;
    const count = Math.min(this.#left, this.#blockSectors);
    if (count === 0) {
      this.stopTransfer();
      return;
    }
    this.status |= STATUS_BSY;
    if (this.#medium!.image.has(this.#sector(), count)) this.host.begin('pio-read', count * 512);
    else this.#failed();
  }

  #blockRead(): void {
    this.status &= ~STATUS_BSY;
    const count = Math.min(this.#left, this.#blockSectors);
    this.buffer.set(this.#medium!.image.read(this.#sector(), count));
    this.#moved(count);
    this.startTransfer(0, count * 512, 'read');
    this.host.interrupt();
  }

  #writeBlock(): void {
    this.status = STATUS_RDY | STATUS_DSC | STATUS_BSY;
    const count = Math.min(this.#left, this.#blockSectors);
    if (this.#medium!.image.has(this.#sector(), count)) this.host.begin('pio-write', count * 512);
    else this.#failed();
  }

  #blockWritten(): void {
    this.status &= ~STATUS_BSY;
    const count = Math.min(this.#left, this.#blockSectors);
    this.#medium!.image.write(this.#sector(), this.buffer.subarray(0, count * 512));
    this.#moved(count);
    if (this.#left === 0) this.stopTransfer();
    else this.startTransfer(0, 512 * Math.min(this.#left, this.#blockSectors), 'write');
    this.host.interrupt();
  }

  #transferDma(wide: boolean, kind: DmaKind): boolean {
    if (!this.present) return this.refuse();
    this.#take(wide);
    this.#startDma(kind);
    return false;
  }

  #startDma(kind: DmaKind): void {
    this.status = STATUS_RDY | STATUS_DSC | STATUS_DRQ;
    this.#dma = kind;
    this.host.busMaster.request();
  }

  #dmaDone(): void {
    const { image } = this.#medium!;
    const { busMaster } = this.host;
    const bytes = this.#left * 512;
    if (this.#dma === 'read') busMaster.write(this.#pieces, image.read(this.#sector(), this.#left));
    else {
      const data = busMaster.read(this.#pieces);
      if (this.#dma === 'write') image.write(this.#sector(), data);
      else if (!this.#trimmable(data)) {
        this.#dmaFailed();
        return;
      }
    }
    this.#moved(this.#left);
    this.status = STATUS_RDY | STATUS_DSC;
    this.host.interrupt();
    this.#pieces = [];
    busMaster.finish(this.#described > bytes);
  }

  /** Every range exists. Nothing is done to them. */
  #trimmable(ranges: Uint8Array): boolean {
    const view = new DataView(ranges.buffer, ranges.byteOffset, ranges.length);
    for (let at = 0; at < ranges.length; at += 8) {
      const sector = view.getUint32(at, true) + view.getUint16(at + 4, true) * 2 ** 32;
      const count = view.getUint16(at + 6, true);
      if (count > 0 && !this.#medium!.image.has(sector, count)) return false;
    }
    return true;
  }

  #dmaFailed(): void {
    this.abort();
    this.#pieces = [];
    this.host.busMaster.finish(false);
    this.host.interrupt();
  }

  #failed(): void {
    this.abort();
    this.host.interrupt();
  }

  #flushed(): void {
    this.status = STATUS_RDY | STATUS_DSC;
    this.host.interrupt();
  }

  /** Have the guest read a page. */
  #reply(page: Uint8Array): boolean {
    this.buffer.set(page);
    this.status = STATUS_RDY | STATUS_DSC;
    this.startTransfer(0, page.length, 'stop');
    this.host.interrupt();
    return false;
  }

  /** Made once; afterwards only SET FEATURES changes it. */
  #identifyData(): Uint8Array {
    const { image, geometry, serial } = this.#medium!;
    if (this.#identify === undefined) {
      const current = { cylinders: geometry.cylinders, heads: this.#heads, sectors: this.#track };
      this.#identify = identify.identifyDisk(image.sectors, current, serial, this.#multiple);
      this.#setIdentifyWord(identify.IDENTIFY_FEATURES_ENABLED, this.#featuresEnabled());
    }
    return this.#identify;
  }

  #featuresEnabled(): number {
    return identify.FEATURES_WITHOUT_CACHE | (this.#writeCache ? identify.WRITE_CACHE : 0);
  }

  #setIdentifyWord(word: number, value: number): void {
    this.#identify?.set([value & 0xff, value >> 8], 2 * word);
  }

  #setWriteCache(on: boolean): void {
    this.#writeCache = on;
    this.#setIdentifyWord(identify.IDENTIFY_FEATURES_ENABLED, this.#featuresEnabled());
  }

  #setTransferMode(): boolean {
    const mode = 0x100 << (this.task.count & 7);
    const kind = this.task.count >> 3;
    if (kind !== 0 && kind !== 1 && kind !== 2 && kind !== 4 && kind !== 8) return this.refuse();
    this.#setIdentifyWord(identify.IDENTIFY_SINGLE_DMA, 0x07 | (kind === 2 ? mode : 0));
    this.#setIdentifyWord(identify.IDENTIFY_MULTI_DMA, 0x07 | (kind === 4 ? mode : 0));
    this.#setIdentifyWord(identify.IDENTIFY_ULTRA_DMA, 0x3f | (kind === 8 ? mode : 0));
    return true;
  }

  /** The count of a command that transfers: 0 is the most. */
  #take(wide: boolean): void {
    const { task } = this;
    this.#wide = wide;
    this.#left = wide ? (task.previousCount << 8) | task.count || 65536 : task.count || 256;
  }

  #moved(count: number): void {
    this.#setSector(this.#sector() + count);
    this.#left -= count;
    this.#showLeft();
  }

  /** QEMU counts in the register itself, of which the guest sees eight bits. */
  #showLeft(): void {
    this.task.count = this.#left & 0xff;
  }

  #sector(): number {
    return sectorOf(this.task, this.#wide, this.#heads, this.#track);
  }

  #setSector(sector: number): void {
    showSector(this.task, sector, this.#wide, this.#heads, this.#track);
  }
}

/** Features that are accepted without effect: defaults, look-ahead, power and acoustic management. */
const IGNORED_FEATURES = new Set([0xcc, 0x66, 0xaa, 0x55, 0x05, 0x85, 0x69, 0x67, 0x96, 0x9a, 0x42, 0xc2]);
