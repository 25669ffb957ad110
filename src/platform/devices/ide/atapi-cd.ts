// A CD drive on an ATA channel: the commands of a packet device (ATA/ATAPI-6, T13/1410D, 9.8 and 8.23), and the protocol
// by which replies and sectors reach the guest, by PIO in pieces of its byte count limit or through the bus master.
// What packets mean is in atapi-packets.ts. The course of a transfer is QEMU 7.2's (hw/ide/atapi.c).

import type { BlockImage } from '../../block/block-image.js';
import type { Plain } from '../../device.js';
import { BLOCK_SIZE, type CdUnit, PACKETS, SENSE } from './atapi-packets.js';
import {
  type After,
  ERROR_ABRT,
  IdeDrive,
  type IdeHost,
  STATUS_BSY,
  STATUS_DRQ,
  STATUS_DSC,
  STATUS_ERR,
  STATUS_RDY,
} from './ide-drive.js';
import { identifyPacketDevice } from './ide-identify.js';

const PACKET_SIZE = 12;
/** Sectors of the disc that go through the buffer at once. */
const DMA_BLOCKS = 64;
const RAW_SIZE = 2352;
/** Interrupt reason, in the sector count register: direction to the host, command. */
const REASON_IO = 2;
const REASON_CD = 1;
const FEATURE_DMA = 1;
const FEATURE_OVERLAP = 2;

/** A CD drive with a disc in it. */
export class AtapiCd extends IdeDrive implements CdUnit {
  readonly isCd = true;
  readonly present = true;
  readonly serial: string;
  readonly packet: Uint8Array;
  readonly #disc: BlockImage;
  trayOpen = false;
  trayLocked = false;
  senseKey = 0;
  senseCode = 0;
  #useDma = false;
  /** Next block to be read; −1 when a reply is sent and no blocks are read. */
  #block = -1;
  /** 2048, or 2352 with headers. */
  #blockSize = 0;
  /** Bytes of the whole transfer, and of the piece that the guest was told of, that are still to come. */
  #packetLeft = 0;
  #pieceLeft = 0;
  /** Bytes of the buffer that have been handed out. */
  #index = 0;
  /** Bytes in the buffer that the bus master is to move. */
  #buffered = 0;

  constructor(host: IdeHost, disc: BlockImage, serial: string) {
    super(host);
    this.#disc = disc;
    this.serial = serial;
    this.packet = this.buffer;
    this.reset();
  }

  /** Blocks of 2048 bytes on the disc, whether it can be read now or not. */
  get blocks(): number {
    return this.#disc.sectors >>> 2;
  }

  get ready(): boolean {
    return !this.trayOpen && this.#disc.sectors > 0;
  }

  override reset(): void {
    super.reset();
    this.senseKey = 0;
    this.senseCode = 0;
    this.trayOpen = false;
    this.trayLocked = false;
    this.#useDma = false;
    this.#blockSize = 0;
    this.#packetLeft = 0;
    this.#pieceLeft = 0;
    this.#index = 0;
    this.#buffered = 0;
  }

  execute(command: number): void {
    this.status = STATUS_RDY | STATUS_BSY;
    this.error = 0;
    switch (command) {
      case 0x08: // DEVICE RESET
        this.reset();
        this.status = 0;
        break;
      case 0x90: // EXECUTE DEVICE DIAGNOSTIC
        this.diagnose();
        break;
      case 0xa0: // PACKET
        if (this.task.feature & FEATURE_OVERLAP) {
          this.#refuse();
          break;
        }
        this.status = STATUS_RDY | STATUS_DSC;
        this.#useDma = (this.task.feature & FEATURE_DMA) !== 0;
        this.task.count = REASON_CD;
        this.startTransfer(0, PACKET_SIZE, 'packet');
        break;
      case 0xa1: // IDENTIFY PACKET DEVICE
        this.buffer.set(identifyPacketDevice(this.serial));
        this.status = STATUS_RDY | STATUS_DSC;
        this.startTransfer(0, 512, 'stop');
        this.host.interrupt();
        break;
      case 0x20: // READ SECTOR(S) and IDENTIFY DEVICE end with the signature of a packet device (9.12).
      case 0xec:
        this.setSignature();
        this.#refuse();
        break;
      case 0xe7: // FLUSH CACHE
        this.host.begin('flush', 0);
        break;
      case 0xef: // SET FEATURES
        this.#setFeatures();
        break;
      default:
        this.#refuse();
    }
  }

  protected transferred(after: After): void {
    if (after === 'packet') this.#executePacket();
    else if (after === 'reply') this.#sendPieces();
    else this.stopTransfer();
  }

  workDone(work: string): void {
    switch (work) {
      case 'cd-sector':
        this.status &= ~STATUS_BSY;
        this.#readBlock();
        this.#sendPieces();
        break;
      case 'cd-dma':
        this.#fillBuffer();
        this.#moveByDma();
        break;
      default:
        this.status = STATUS_RDY | STATUS_DSC;
        this.host.interrupt();
    }
  }

  dmaStarted(): void {
    this.#moveByDma();
  }

  /** Send a reply that lies in the buffer; the host takes `most` bytes. */
  reply(length: number, most: number): void {
    const size = Math.min(length, most);
    this.#block = -1;
    this.#packetLeft = size;
    this.#buffered = size;
    this.#pieceLeft = 0;
    this.#index = 0;
    if (this.#useDma) {
      this.status = STATUS_RDY | STATUS_DSC | STATUS_DRQ;
      this.host.busMaster.request();
    } else {
      this.status = STATUS_RDY | STATUS_DSC;
      this.#sendPieces();
    }
  }

  /** Send blocks of the disc, `raw` with headers around their data. */
  readBlocks(block: number, count: number, raw: boolean): void {
    this.#block = block;
    this.#blockSize = raw ? RAW_SIZE : BLOCK_SIZE;
    this.#packetLeft = count * this.#blockSize;
    this.#pieceLeft = 0;
    if (this.#useDma) {
      this.#index = 0;
      this.#buffered = 0;
      this.status = STATUS_RDY | STATUS_DSC | STATUS_DRQ | STATUS_BSY;
      this.host.busMaster.request();
    } else {
      this.#index = this.#blockSize;
      this.status = STATUS_RDY | STATUS_DSC;
      this.#sendPieces();
    }
  }

  /** The packet is done. */
  succeed(): void {
    this.error = 0;
    this.status = STATUS_RDY | STATUS_DSC;
    this.#reason(REASON_IO | REASON_CD);
    this.stopTransfer();
    this.host.interrupt();
  }

  /** The packet failed; REQUEST SENSE tells why. */
  fail(key: number, code: number): void {
    this.error = key << 4;
    this.status = STATUS_RDY | STATUS_ERR;
    this.#reason(REASON_IO | REASON_CD);
    this.senseKey = key;
    this.senseCode = code;
    this.stopTransfer();
    this.host.interrupt();
  }

  protected override get bufferUse(): number {
    return Math.max(this.#buffered, this.#blockSize);
  }

  protected saveOwn(): Plain {
    return {
      trayOpen: this.trayOpen,
      trayLocked: this.trayLocked,
      senseKey: this.senseKey,
      senseCode: this.senseCode,
      useDma: this.#useDma,
      block: this.#block,
      blockSize: this.#blockSize,
      packetLeft: this.#packetLeft,
      pieceLeft: this.#pieceLeft,
      index: this.#index,
      buffered: this.#buffered,
    };
  }

  protected loadOwn(state: Plain): void {
    const s = state as unknown as {
      trayOpen: boolean;
      trayLocked: boolean;
      senseKey: number;
      senseCode: number;
      useDma: boolean;
      block: number;
      blockSize: number;
      packetLeft: number;
      pieceLeft: number;
      index: number;
      buffered: number;
    };
    this.trayOpen = s.trayOpen;
    this.trayLocked = s.trayLocked;
    this.senseKey = s.senseKey;
    this.senseCode = s.senseCode;
    this.#useDma = s.useDma;
    this.#block = s.block;
    this.#blockSize = s.blockSize;
    this.#packetLeft = s.packetLeft;
    this.#pieceLeft = s.pieceLeft;
    this.#index = s.index;
    this.#buffered = s.buffered;
  }

  #refuse(): void {
    this.abort();
    this.host.interrupt();
  }

  #setFeatures(): void {
    // Transfer modes and the rest are accepted without effect; what a drive does not have is refused.
    const { feature, count } = this.task;
    const mode = count >> 3;
    if (feature === 0x03 ? [0, 1, 2, 4, 8].includes(mode) : ACCEPTED_FEATURES.has(feature)) {
      this.status = STATUS_RDY | STATUS_DSC;
      this.host.interrupt();
    } else if (feature === 0x82) this.host.begin('flush', 0);
    else this.#refuse();
  }

  #reason(bits: number): void {
    this.task.count = (this.task.count & ~7) | bits;
  }

  get #byteCountLimit(): number {
    const limit = this.task.cylinderLow | (this.task.cylinderHigh << 8);
    return limit === 0xffff ? 0xfffe : limit;
  }

  #executePacket(): void {
    const row = PACKETS.get(this.packet[0]!);
    if (this.senseKey === SENSE.unitAttention && !row?.underAttention) {
      this.error = 0x08 | (SENSE.unitAttention << 4);
      this.status = STATUS_ERR;
      this.task.count = 0;
      this.host.interrupt();
      return;
    }
    if (row?.needsDisc && !this.ready) {
      this.fail(SENSE.notReady, 0x3a);
      return;
    }
    // Data by PIO needs to know in what pieces: a limit of 0 ends the command before the packet means anything.
    if (row?.hasData && !this.#useDma && this.#byteCountLimit === 0) {
      this.stopTransfer();
      this.status = STATUS_RDY | STATUS_ERR;
      this.error = ERROR_ABRT;
      return;
    }
    if (row === undefined) this.fail(SENSE.illegalRequest, 0x20);
    else row.run(this, this.packet);
  }

  /** Hand out the transfer piece by piece, until the guest has to read or the disc to turn. */
  #sendPieces(): void {
    if (this.#packetLeft <= 0) {
      this.succeed();
      return;
    }
    const blocks = this.#block !== -1;
    if (blocks && this.#index >= this.#blockSize) {
      if (this.#pieceLeft === 0) {
        if (this.#block >= this.blocks) {
          this.fail(SENSE.illegalRequest, 0x21);
          return;
        }
        this.status |= STATUS_BSY;
        this.host.begin('cd-sector', this.#blockSize);
        return;
      }
      this.#readBlock();
    }
    if (this.#pieceLeft === 0) {
      this.#reason(REASON_IO);
      this.host.interrupt();
      const limit = this.#byteCountLimit;
      const size = this.#packetLeft > limit ? limit & ~1 : this.#packetLeft;
      this.task.cylinderLow = size & 0xff;
      this.task.cylinderHigh = (size >> 8) & 0xff;
      this.#pieceLeft = size;
    }
    const size = blocks ? Math.min(this.#pieceLeft, this.#blockSize - this.#index) : this.#pieceLeft;
    const from = this.#index;
    this.#packetLeft -= size;
    this.#pieceLeft -= size;
    this.#index += size;
    this.startTransfer(from, size, 'reply');
  }

  /** One block into the buffer. */
  #readBlock(): void {
    const data = this.#disc.read(this.#block * 4, 4);
    if (this.#blockSize === RAW_SIZE) this.#wrap(data);
    else this.buffer.set(data);
    this.#block += 1;
    this.#index = 0;
  }

  /** Sync bytes, address and mode before the data; error correction behind it is not computed. */
  #wrap(data: Uint8Array): void {
    this.buffer.fill(0, 0, RAW_SIZE);
    this.buffer.fill(0xff, 1, 11);
    const frame = this.#block + 150;
    this.buffer.set([Math.floor(frame / 4500), Math.floor(frame / 75) % 60, frame % 75, 0x01], 12);
    this.buffer.set(data, 16);
  }

  /** Push what is in the buffer, and get more or end. */
  #moveByDma(): void {
    const { busMaster } = this.host;
    if (this.#buffered > 0) {
      this.#packetLeft -= this.#buffered;
      if (!busMaster.push(this.buffer.subarray(0, this.#buffered))) {
        // The table is too short. QEMU leaves the drive as it is, without an interrupt.
        busMaster.finish(false);
        return;
      }
    }
    if (this.#packetLeft <= 0) {
      this.status = STATUS_RDY | STATUS_DSC;
      this.#reason(REASON_IO | REASON_CD);
      this.host.interrupt();
      busMaster.finish(false);
      return;
    }
    const count = this.#blockSize === RAW_SIZE ? 1 : Math.min(this.#packetLeft / BLOCK_SIZE, DMA_BLOCKS);
    this.#buffered = count * this.#blockSize;
    this.host.begin('cd-dma', this.#buffered);
  }

  #fillBuffer(): void {
    if (this.#blockSize === RAW_SIZE) {
      this.#readBlock();
      return;
    }
    const count = this.#buffered / BLOCK_SIZE;
    this.buffer.set(this.#disc.read(this.#block * 4, count * 4));
    this.#block += count;
  }
}

/** Features of SET FEATURES that are accepted without effect. */
const ACCEPTED_FEATURES = new Set([0x02, 0xcc, 0x66, 0xaa, 0x55, 0x05, 0x85, 0x69, 0x67, 0x96, 0x9a, 0x42, 0xc2]);
