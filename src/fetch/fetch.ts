// Brings real guests into the cache. What is there and intact stays (the newest kernel of yesterday is still the
// guest that recorded traces name), so fetching again costs a few hashes and no network; `refresh` asks for the
// archive's newest. Order: unpack in memory, write the files, then the manifest.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Apt, type PackageSource } from './apt.js';
import {
  type FileRecord,
  type GuestRecord,
  isIntact,
  openCache,
  type PackageRecord,
  readManifest,
  recordGuest,
  sha256,
  writeCached,
} from './cache.js';
import { cacheDirectory } from './cache-directory.js';
import { FetchError } from './fetch-error.js';
import { DEFAULT_GUESTS, GUESTS, type Guest } from './guests.js';
import { buildInitramfs } from './initramfs.js';

export interface FetchOptions {
  /** Default: cacheDirectory(). */
  cacheDir?: string;
  /** Progress, one line each. */
  log?: (line: string) => void;
  /** Ask the archive even when the cache has the guest. */
  refresh?: boolean;
  /** Where packages come from. Default: the host's apt. */
  source?: PackageSource;
}

export interface FetchResult {
  guest: string;
  /** False when the cache already had every file. */
  fetched: boolean;
  packages: PackageRecord[];
  /** Each file of the guest, with its path on this host. */
  files: (FileRecord & { path: string })[];
}

/**
 * Put the named guests into the cache.
 * @param names of GUESTS; none means DEFAULT_GUESTS
 * @throws FetchError with one sentence when a guest is unknown or cannot be had
 */
export async function fetchGuests(names: readonly string[], options: FetchOptions = {}): Promise<FetchResult[]> {
  const cacheDir = options.cacheDir ?? cacheDirectory();
  const log = options.log ?? (() => {});
  const guests = [...new Set(names.length > 0 ? names : DEFAULT_GUESTS)].map(guestByName);
  await openCache(cacheDir);
  const source = options.source ?? new Apt(cacheDir, log);
  const results: FetchResult[] = [];
  for (const guest of guests) {
    const before = options.refresh ? undefined : (await readManifest(cacheDir)).guests[guest.name];
    const kept =
      before !== undefined && (await isIntact(cacheDir, before)) && (await isCurrent(cacheDir, guest, before));
    const record = kept ? before : await bring(guest, source, cacheDir, log);
    log(`${guest.name}: ${record.files.map((file) => file.name).join(', ')}${kept ? ' (already there)' : ''}`);
    const files = record.files.map((file) => ({ ...file, path: join(cacheDir, file.name) }));
    results.push({ guest: guest.name, fetched: !kept, packages: record.packages, files });
  }
  return results;
}

function guestByName(name: string): Guest {
  const guest = GUESTS.find((one) => one.name === name);
  if (guest) return guest;
  throw new FetchError(`there is no guest named ${name}; choose from ${GUESTS.map((one) => one.name).join(', ')}`);
}

/** Whether a cached guest has all that this version of the program would make of it. */
async function isCurrent(cacheDir: string, guest: Guest, record: GuestRecord): Promise<boolean> {
  const has = (name: string) => record.files.find((file) => file.name === name);
  if (!guest.files.every((file) => has(file.as))) return false;
  if (guest.initramfs === undefined) return true;
  const archive = buildInitramfs(await readFile(join(cacheDir, guest.files[0]!.as)));
  return has(guest.initramfs)?.sha256 === sha256(archive);
}

async function bring(
  guest: Guest,
  source: PackageSource,
  cacheDir: string,
  log: (line: string) => void,
): Promise<GuestRecord> {
  let resolved = await source.resolve(guest.package, guest.architecture);
  if (guest.through) {
    const real = resolved.depends.find((name) => guest.through!.test(name));
    if (real === undefined) {
      throw new FetchError(`the package ${guest.package} names no kernel; the archive has changed, tell the project`);
    }
    resolved = await source.resolve(real, guest.architecture);
  }
  const found = new Map<string, { from: string; data: Uint8Array }>();
  const wantedAs = (path: string) => guest.files.find((file) => file.pattern.test(path))?.as;
  await source.unpack(
    resolved,
    (path) => wantedAs(path) !== undefined,
    (path, data) => found.set(wantedAs(path)!, { from: path, data }),
  );
  const missing = guest.files.find((file) => !found.has(file.as));
  if (missing) {
    throw new FetchError(
      `${resolved.package} ${resolved.version} has no file for ${missing.as}; the package has changed, tell the project`,
    );
  }
  if (guest.initramfs !== undefined) {
    const busybox = found.get(guest.files[0]!.as)!;
    found.set(guest.initramfs, { from: `built from ${busybox.from}`, data: buildInitramfs(busybox.data) });
  }
  const files: FileRecord[] = [];
  for (const [name, { from, data }] of found) {
    log(`writing ${name} (${data.length} bytes)`);
    writeCached(cacheDir, name, data);
    files.push({ name, size: data.length, sha256: sha256(data), from });
  }
  files.sort((a, b) => (a.name < b.name ? -1 : 1));
  const { package: name, version, architecture } = resolved;
  const record = { packages: [{ package: name, version, architecture, sha256: resolved.sha256 }], files };
  await recordGuest(cacheDir, guest.name, record);
  return record;
}
