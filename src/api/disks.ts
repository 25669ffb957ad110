// Disk and CD images of a boot: found as other images are, hashed for the header, and read piece by piece while the guest
// runs, so that a large image is never in memory as a whole. Guests' writes stay with the machine (BlockImage).
// Invariant: a sector has the bytes that were hashed. A file that changes while it is read ends the run with a sentence.

import { createHash } from 'node:crypto';
import { type BigIntStats, closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { BlockSource } from '../platform/block/block-image.js';
import type { IdeMedium } from '../platform/devices/ide/piix3-ide.js';
import { systemReason } from '../trace/error.js';
import type { ImageRecord } from '../trace/header.js';
import { findImage } from './images.js';
import type { BootOptions } from './options.js';
import { UserError } from './user-error.js';

const PIECE = 256 * 1024;
/** Pieces that are kept. */
const KEPT = 64;
const MAX_DISK = 64 * 1024 ** 3;
const IDE_PLACES = 4;
/** Secondary master, as QEMU's -cdrom. */
const CD_PLACE = 2;

/** A disk image, open for reading. */
export interface DiskFile {
  readonly name: string;
  readonly record: ImageRecord;
  readonly source: BlockSource;
}

/** What a boot has of disks. */
export interface Disks {
  /** In the order of the header. */
  readonly files: readonly DiskFile[];
  /** By place on the IDE controller. */
  readonly ide: readonly (IdeMedium | undefined)[];
  readonly virtio: readonly DiskFile[];
}

/** Roles in a trace's header. */
export const DISK_ROLES = { ide: 'drive', virtio: 'virtio-drive', cdrom: 'cdrom' } as const;

/**
 * Disks are on IDE by default, on a microvm, which has no IDE, on virtio.
 * @throws UserError when an image cannot be read, or there is no place for it
 */
export function openDisks({ machine, drives = [], cdrom }: BootOptions): Disks {
  const microvm = machine === 'microvm';
  if (microvm && (cdrom !== undefined || drives.some(({ interface: where }) => where === 'ide')))
    throw new UserError('--machine microvm has no IDE; give disks with --drive FILE, and CDs to a pc');
  const cd = cdrom === undefined ? undefined : openDisk('cdrom', cdrom, DISK_ROLES.cdrom);
  const disks = drives.map(({ path, interface: where = microvm ? 'virtio' : 'ide' }) => ({
    where,
    file: openDisk('drive', path, DISK_ROLES[where]),
  }));
  const ide: (IdeMedium | undefined)[] = new Array(IDE_PLACES).fill(undefined);
  if (cd) ide[CD_PLACE] = { kind: 'cd', source: cd.source };
  const virtio: DiskFile[] = [];
  for (const { where, file } of disks) {
    if (where === 'virtio') {
      virtio.push(file);
      continue;
    }
    const place = ide.indexOf(undefined);
    if (place < 0)
      throw new UserError(
        `--drive ${file.name}: the IDE controller has four places${cd ? ', and the CD takes one' : ''}; give the drive if=virtio`,
      );
    ide[place] = { kind: 'disk', source: file.source };
  }
  return { files: [...disks.map(({ file }) => file), ...(cd ? [cd] : [])], ide, virtio };
}

/** The same disks with other sources, numbered as they are found: IDE places, then virtio. */
export function changeDisks(disks: Disks, change: (source: BlockSource, n: number) => BlockSource): Disks {
  let n = 0;
  const ide = disks.ide.map((medium) => medium && { ...medium, source: change(medium.source, n++) });
  const virtio = disks.virtio.map((file) => ({ ...file, source: change(file.source, n++) }));
  return { ...disks, ide, virtio };
}

function openDisk(option: string, path: string, role: string): DiskFile {
  const source = new FileSource(option, path, findImage(option, path));
  return { name: path, record: { role, sha256: source.hash(), size: source.size }, source };
}

/** Pieces of a file, the most recent ones kept. */
class FileSource implements BlockSource {
  readonly size: number;
  readonly #stat: BigIntStats;
  readonly #pieces = new Map<number, Uint8Array>();

  constructor(
    private readonly option: string,
    private readonly name: string,
    private readonly path: string,
  ) {
    this.#stat = this.#open((file) => fstatSync(file, { bigint: true }));
    if (!this.#stat.isFile()) {
      const what = this.#stat.isDirectory() ? 'a directory' : 'no regular file';
      throw new UserError(`${name}: this is ${what}; give a disk image with --${option}`);
    }
    this.size = Number(this.#stat.size);
    if (this.size === 0) throw new UserError(`${name}: the file is empty; give a disk image with --${option}`);
    if (this.size > MAX_DISK)
      throw new UserError(`${name}: ${this.size} bytes are too many for a disk (most: 64 GiB); check --${option}`);
  }

  hash(): string {
    const hash = createHash('sha256');
    this.#open((file) => {
      const piece = Buffer.alloc(Math.min(4 * PIECE, this.size));
      for (let at = 0; at < this.size; at += piece.length) {
        hash.update(piece.subarray(0, this.#readAt(file, piece, at, Math.min(piece.length, this.size - at))));
      }
    });
    return hash.digest('hex');
  }

  read(offset: number, length: number): Uint8Array {
    const result = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const index = Math.floor((offset + at) / PIECE);
      const within = (offset + at) % PIECE;
      const some = Math.min(PIECE - within, length - at);
      result.set(this.#piece(index).subarray(within, within + some), at);
      at += some;
    }
    return result;
  }

  #piece(index: number): Uint8Array {
    let piece = this.#pieces.get(index);
    if (piece !== undefined) return piece;
    const length = Math.min(PIECE, this.size - index * PIECE);
    piece = Buffer.alloc(length);
    this.#open((file) => {
      this.#checkUnchanged(file);
      this.#readAt(file, piece!, index * PIECE, length);
    });
    if (this.#pieces.size >= KEPT) this.#pieces.delete(this.#pieces.keys().next().value!);
    this.#pieces.set(index, piece);
    return piece;
  }

  #checkUnchanged(file: number): void {
    const { ino, size, mtimeNs } = fstatSync(file, { bigint: true });
    if (ino === this.#stat.ino && size === this.#stat.size && mtimeNs === this.#stat.mtimeNs) return;
    throw this.#changed();
  }

  #readAt(file: number, into: Uint8Array, at: number, length: number): number {
    for (let done = 0; done < length; ) {
      const some = readSync(file, into, done, length - done, at + done);
      if (some === 0) throw this.#changed();
      done += some;
    }
    return length;
  }

  #changed(): UserError {
    return new UserError(
      `${this.name}: the file was changed while the guest ran; run again with a file that stays as it is`,
    );
  }

  #open<T>(use: (file: number) => T): T {
    let file: number | undefined;
    try {
      file = openSync(this.path, 'r');
      return use(file);
    } catch (error) {
      if (error instanceof UserError) throw error;
      throw new UserError(`${this.name}: cannot be read: ${systemReason(error)}; check --${this.option}`);
    } finally {
      if (file !== undefined) closeSync(file);
    }
  }
}
