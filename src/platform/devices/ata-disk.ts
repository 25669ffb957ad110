// A hard disk on an ATA channel (ATA/ATAPI-6, T13/1410D, chapter 8): the commands, sector addresses of 28 and 48 bits or
// by cylinder and head, and transfers by PIO and bus master. Which commands exist and how they end is QEMU 7.2's
// (hw/ide/core.c). The same class is the place where no drive is: QEMU has registers there, and refuses what needs a disk.
// Left out: security, CFA cards, power states (accepted without effect, as in QEMU).

import type { BlockImage } from '../block/block-image.js';
import type { DiskGeometry } from '../block/disk-geometry.js';
import type { Plain } from '../device.js';
import {
  type After,
  type DmaPiece,
  IdeDrive,
  type IdeHost,
  SELECT_LBA,
  STATUS_BSY,
  STATUS_DRQ,
  STATUS_DSC,
  STATUS_RDY,
} from './ide-drive.js';
import * as identify from './ide-identify.js';

/** A disk's medium with what it says of itself. */
export interface DiskMedium {
  readonly image: BlockImage;
  readonly geometry: DiskGeometry;
  /** Up to 20 characters. */
  readonly serial: string;
}

type DmaKind = 'read' | 'write' | 'trim';

/** Handlers say whether the command is over, so that its end is like that of every other. */
interface CommandRow {
  run: (disk: AtaDisk, command: number) => boolean;
  /** The end sets "seek complete". */
  seek: boolean;
}

const FEATURE_TRIM = 1;
const SMART_KEY_LOW = 0x4f;
const SMART_KEY_HIGH = 0xc2;
const MAX_SELF_TESTS = 21;

/** A disk, or no drive at all. */
export class AtaDisk extends IdeDrive {
  readonly isCd = false;
  readonly #medium: DiskMedium | undefined;
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
  #smart = { enabled: true, autosave: true, count: 0, tests: new Uint8Array(512) };

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
    const { task } = this;
    const state = this.#smart;
    if (task.cylinderHigh !== SMART_KEY_HIGH || task.cylinderLow !== SMART_KEY_LOW) return this.refuse();
    if (!state.enabled && task.feature !== 0xd8) return this.refuse();
    const last = 2 + (state.count - 1) * 24;
    switch (task.feature) {
      case 0xd0:
        return this.#reply(identify.smartData(state.autosave, state.count === 0 ? 0 : state.tests[last + 1]!));
      case 0xd1:
        return this.#reply(identify.smartThresholds());
      case 0xd2:
        if (task.sector !== 0 && task.sector !== 0xf1) return this.refuse();
        state.autosave = task.sector !== 0;
        return true;
      case 0xd4:
        return this.#selfTest();
      case 0xd5:
        if (task.sector === 0x01) return this.#reply(identify.smartErrorLog());
        if (task.sector === 0x06) return this.#reply(identify.smartTestLog(state.tests, state.count));
        return this.refuse();
      case 0xd8:
      case 0xd9:
        state.enabled = task.feature === 0xd8;
        return true;
      case 0xda:
        // No threshold exceeded: the key stays as it is.
        return true;
      default:
        return this.refuse();
    }
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
      multiple: this.#multiple,
      blockSectors: this.#blockSectors,
      wide: this.#wide,
      left: this.#left,
      dma: this.#dma,
      pieces: this.#pieces.map((piece) => ({ ...piece })),
      described: this.#described,
      identify: this.#identify?.slice() ?? null,
      writeCache: this.#writeCache,
      smart: { ...this.#smart, tests: this.#smart.tests.slice() },
      medium: this.#medium?.image.save() ?? null,
    };
  }

  protected loadOwn(state: Plain): void {
    const s = state as unknown as {
      multiple: number;
      blockSectors: number;
      wide: boolean;
      left: number;
      dma: DmaKind;
      pieces: DmaPiece[];
      described: number;
      identify: Uint8Array | null;
      writeCache: boolean;
      smart: { enabled: boolean; autosave: boolean; count: number; tests: Uint8Array<ArrayBuffer> };
      medium: Plain;
    };
    this.#multiple = s.multiple;
    this.#blockSectors = s.blockSectors;
    this.#wide = s.wide;
    this.#left = s.left;
    this.#dma = s.dma;
    this.#pieces = s.pieces.map((piece) => ({ ...piece }));
    this.#described = s.described;
    this.#identify = s.identify?.slice();
    this.#writeCache = s.writeCache;
    this.#smart = { ...s.smart, tests: s.smart.tests.slice() };
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

  #selfTest(): boolean {
    const { sector } = this.task;
    if (sector > 2) return this.refuse();
    const state = this.#smart;
    state.count = state.count >= MAX_SELF_TESTS ? 1 : state.count + 1;
    // Passed at once, at hour 0x1234.
    state.tests.set([sector, 0x00, 0x34, 0x12], 2 + (state.count - 1) * 24);
    return true;
  }

  /** Made once; afterwards only SET FEATURES changes it. */
  #identifyData(): Uint8Array {
    const { image, geometry, serial } = this.#medium!;
    if (this.#identify === undefined) {
      this.#identify = identify.identifyDisk(image.sectors, geometry, serial, this.#multiple);
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

  /** The address in the registers; −1 and below for sector 0 of the first track. */
  #sector(): number {
    const { task } = this;
    const low = (task.cylinderHigh << 16) | (task.cylinderLow << 8) | task.sector;
    if (task.select & SELECT_LBA) {
      if (!this.#wide) return (task.select & 0x0f) * 2 ** 24 + low;
      const high = task.previousCylinderHigh * 2 ** 16 + (task.previousCylinderLow << 8) + task.previousSector;
      return high * 2 ** 24 + low;
    }
    const { heads, sectors } = this.#geometry;
    const cylinder = (task.cylinderHigh << 8) | task.cylinderLow;
    return (cylinder * heads + (task.select & 0x0f)) * sectors + task.sector - 1;
  }

  #setSector(sector: number): void {
    const { task } = this;
    if (!(task.select & SELECT_LBA)) {
      const { heads, sectors } = this.#geometry;
      const cylinder = Math.floor(sector / (heads * sectors));
      const rest = sector % (heads * sectors);
      task.cylinderHigh = (cylinder >> 8) & 0xff;
      task.cylinderLow = cylinder & 0xff;
      task.select = (task.select & 0xf0) | (Math.floor(rest / sectors) & 0x0f);
      task.sector = (rest % sectors) + 1;
      return;
    }
    const high = Math.floor(sector / 2 ** 24);
    task.sector = sector & 0xff;
    task.cylinderLow = (sector >>> 8) & 0xff;
    task.cylinderHigh = (sector >>> 16) & 0xff;
    if (!this.#wide) {
      task.select = (task.select & 0xf0) | (high & 0x0f);
      return;
    }
    task.previousSector = high & 0xff;
    task.previousCylinderLow = (high >>> 8) & 0xff;
    task.previousCylinderHigh = (high >>> 16) & 0xff;
  }

  get #geometry(): { heads: number; sectors: number } {
    return this.#medium?.geometry ?? { heads: 1, sectors: 1 };
  }
}

/** Features that are accepted without effect: defaults, look-ahead, power and acoustic management. */
const IGNORED_FEATURES = new Set([0xcc, 0x66, 0xaa, 0x55, 0x05, 0x85, 0x69, 0x67, 0x96, 0x9a, 0x42, 0xc2]);

const ends = (run: CommandRow['run']): CommandRow => ({ run, seek: false });
const seeks = (run: CommandRow['run']): CommandRow => ({ run, seek: true });

/** Command codes. Several of old have a second one. */
// biome-ignore format: a table
const COMMANDS: ReadonlyMap<number, CommandRow> = new Map([
  [0x06, ends((d) => d.trim())],                    // DATA SET MANAGEMENT
  [0x10, seeks((d) => d.nothing())],                // RECALIBRATE
  [0x20, ends((d) => d.readSectors(false))],        // READ SECTOR(S)
  [0x21, ends((d) => d.readSectors(false))],
  [0x24, ends((d) => d.readSectors(true))],         // READ SECTOR(S) EXT
  [0x25, ends((d) => d.readDma(true))],             // READ DMA EXT
  [0x27, seeks((d) => d.readNativeMax(true))],      // READ NATIVE MAX ADDRESS EXT
  [0x29, ends((d) => d.readSectors(true, true))],   // READ MULTIPLE EXT
  [0x30, ends((d) => d.writeSectors(false))],       // WRITE SECTOR(S)
  [0x31, ends((d) => d.writeSectors(false))],
  [0x34, ends((d) => d.writeSectors(true))],        // WRITE SECTOR(S) EXT
  [0x35, ends((d) => d.writeDma(true))],            // WRITE DMA EXT
  [0x39, ends((d) => d.writeSectors(true, true))],  // WRITE MULTIPLE EXT
  [0x3c, ends((d) => d.writeSectors(false))],       // WRITE VERIFY
  [0x40, seeks((d) => d.verify(false))],            // READ VERIFY SECTOR(S)
  [0x41, seeks((d) => d.verify(false))],
  [0x42, seeks((d) => d.verify(true))],             // READ VERIFY SECTOR(S) EXT
  [0x70, seeks((d) => d.nothing())],                // SEEK
  [0x90, ends((d) => d.runDiagnostic())],           // EXECUTE DEVICE DIAGNOSTIC
  [0x91, seeks((d) => d.nothing())],                // INITIALIZE DEVICE PARAMETERS
  [0x94, ends((d) => d.nothing())],                 // STANDBY IMMEDIATE
  [0x95, ends((d) => d.nothing())],                 // IDLE IMMEDIATE
  [0x96, ends((d) => d.nothing())],                 // STANDBY
  [0x97, ends((d) => d.nothing())],                 // IDLE
  [0x98, seeks((d) => d.checkPower())],             // CHECK POWER MODE
  [0x99, ends((d) => d.nothing())],                 // SLEEP
  [0xb0, seeks((d) => d.smart())],                  // SMART
  [0xc4, ends((d) => d.readSectors(false, true))],  // READ MULTIPLE
  [0xc5, ends((d) => d.writeSectors(false, true))], // WRITE MULTIPLE
  [0xc6, seeks((d) => d.setMultiple())],            // SET MULTIPLE MODE
  [0xc8, ends((d) => d.readDma(false))],            // READ DMA
  [0xc9, ends((d) => d.readDma(false))],
  [0xca, ends((d) => d.writeDma(false))],           // WRITE DMA
  [0xcb, ends((d) => d.writeDma(false))],
  [0xe0, ends((d) => d.nothing())],                 // STANDBY IMMEDIATE
  [0xe1, ends((d) => d.nothing())],                 // IDLE IMMEDIATE
  [0xe2, ends((d) => d.nothing())],                 // STANDBY
  [0xe3, ends((d) => d.nothing())],                 // IDLE
  [0xe5, seeks((d) => d.checkPower())],             // CHECK POWER MODE
  [0xe6, ends((d) => d.nothing())],                 // SLEEP
  [0xe7, ends((d) => d.flush())],                   // FLUSH CACHE
  [0xea, ends((d) => d.flush())],                   // FLUSH CACHE EXT
  [0xec, ends((d) => d.identify())],                // IDENTIFY DEVICE
  [0xef, seeks((d) => d.setFeatures())],            // SET FEATURES
  [0xf5, seeks((d) => d.freezeLock())],             // SECURITY FREEZE LOCK
  [0xf8, seeks((d) => d.readNativeMax(false))],     // READ NATIVE MAX ADDRESS
]);
