// The cache of real guests: one flat directory of images and a manifest that says where each came from.
//
// Invariant: a file under its final name is complete. Every write goes to a temporary name in the same directory
// and is renamed, so an interrupted fetch leaves the old file or none. The manifest is written last, so what it
// lists exists. Two fetches at once may do the same work twice; neither can spoil the other's files.

import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemReason } from '../trace/error.js';
import { writeWhole } from '../whole-file.js';
import { cacheDirectory } from './cache-directory.js';
import { FetchError } from './fetch-error.js';

/** A distribution package that images were taken from. */
export interface PackageRecord {
  package: string;
  version: string;
  architecture: string;
  /** SHA-256 of the .deb, as the archive's signed index gives it and as it was found to be. */
  sha256: string;
}

/** One image in the cache. */
export interface FileRecord {
  name: string;
  /** Bytes. */
  size: number;
  sha256: string;
  /** Path inside the package, or a word on how the file was made. */
  from: string;
}

export interface GuestRecord {
  packages: PackageRecord[];
  files: FileRecord[];
}

export interface Manifest {
  version: 1;
  guests: { [name: string]: GuestRecord };
}

const MANIFEST = 'manifest.json';

/**
 * Path of an image that `fetch` brought, or undefined when the cache has no such file.
 * @param name file name without a slash, e.g. `vmlinuz-cloud-amd64` or `bios.bin`
 */
export function cachedImage(name: string, cacheDir: string = cacheDirectory()): string | undefined {
  if (name === '' || name === MANIFEST || name.startsWith('.') || /[/\\\0]/.test(name)) return undefined;
  const path = join(cacheDir, name);
  return existsSync(path) && statSync(path).isFile() ? path : undefined;
}

export function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** Write a file of the cache, or leave everything as it is. @throws FetchError */
export function writeCached(cacheDir: string, name: string, data: Uint8Array | string): void {
  try {
    writeWhole(join(cacheDir, name), data);
  } catch (error) {
    throw new FetchError(
      `${join(cacheDir, name)}: cannot be written: ${systemReason(error)}; set VMREPLAY_CACHE to another place`,
    );
  }
}

/** Make the directory; a sentence instead of a stack when that cannot be. */
export async function openCache(cacheDir: string): Promise<void> {
  try {
    await mkdir(cacheDir, { recursive: true });
  } catch (error) {
    throw new FetchError(
      `${cacheDir}: the cache cannot be made there: ${systemReason(error)}; set VMREPLAY_CACHE to a writable place`,
    );
  }
}

/** Read the manifest; a missing or unreadable one counts as empty, since everything in it can be fetched again. */
export async function readManifest(cacheDir: string): Promise<Manifest> {
  try {
    const manifest = JSON.parse(await readFile(join(cacheDir, MANIFEST), 'utf8'));
    if (manifest?.version === 1 && typeof manifest.guests === 'object' && manifest.guests !== null) return manifest;
  } catch {
    // Falls through: fetched files are verified by hash before they are believed.
  }
  return { version: 1, guests: {} };
}

/** Put one guest's record into the manifest, keeping what another process may have added meanwhile. */
export async function recordGuest(cacheDir: string, name: string, record: GuestRecord): Promise<void> {
  const { guests } = await readManifest(cacheDir);
  guests[name] = record;
  const sorted = Object.fromEntries(Object.entries(guests).sort(([a], [b]) => (a < b ? -1 : 1)));
  writeCached(cacheDir, MANIFEST, `${JSON.stringify({ version: 1, guests: sorted } satisfies Manifest, null, 2)}\n`);
}

/** Whether every file of a record is there with the recorded bytes. */
export async function isIntact(cacheDir: string, record: GuestRecord): Promise<boolean> {
  if (!Array.isArray(record.files) || record.files.length === 0) return false;
  for (const file of record.files) {
    const path = cachedImage(file.name, cacheDir);
    if (path === undefined || sha256(await readFile(path)) !== file.sha256) return false;
  }
  return true;
}
