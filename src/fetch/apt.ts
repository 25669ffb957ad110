// Packages from the host distribution's own archive, by the host's own apt, without root: apt resolves the mirror
// and checks the archive's signature, dpkg-deb decompresses. Whatever is downloaded is hashed again here.
//
// The host's package lists are used where they know the package. Otherwise (no lists yet, or another
// architecture) the same sources are read into private lists under the cache, so nothing of the host changes.

import { execFile, spawn } from 'node:child_process';
import { access, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type PackageRecord, sha256 } from './cache.js';
import { FetchError } from './fetch-error.js';
import { TarPicker } from './tar.js';

const run = promisify(execFile);

/** Where packages come from; tests put their own in. */
export interface PackageSource {
  /** Newest version of a package, with the packages it depends on (names only, first alternative). */
  resolve(name: string, architecture: string): Promise<ResolvedPackage>;
  /** The package's .deb, verified against the resolved hash; hands wanted members to `onMember`. */
  unpack(
    resolved: ResolvedPackage,
    wants: (path: string) => boolean,
    onMember: (path: string, data: Uint8Array) => void,
  ): Promise<void>;
}

export interface ResolvedPackage extends PackageRecord {
  depends: string[];
}

/** Parse the first stanza of `apt-cache show`. Returns undefined when it has no package, version or hash. */
export function parseStanza(text: string): ResolvedPackage | undefined {
  const fields = new Map<string, string>();
  for (const line of text.split('\n\n')[0]!.split('\n')) {
    const match = /^([A-Za-z0-9-]+):\s*(.*)$/.exec(line);
    if (match) fields.set(match[1]!, match[2]!);
  }
  const [name, version, hash] = [fields.get('Package'), fields.get('Version'), fields.get('SHA256')];
  if (!name || !version || !hash) return undefined;
  const depends = (fields.get('Depends') ?? '')
    .split(',')
    .map((one) => one.trim().split(/[\s(:|]/)[0]!)
    .filter((one) => one !== '');
  return { package: name, version, architecture: fields.get('Architecture') ?? '', sha256: hash, depends };
}

export class Apt implements PackageSource {
  /** apt options that select our own lists for an architecture, once the host's were found wanting. */
  #lists = new Map<string, string[]>();
  /** The options that found a package, which its download needs again. */
  #foundBy = new WeakMap<ResolvedPackage, string[]>();

  /**
   * @param cacheDir private package lists go below it
   * @param log progress, one line each
   */
  constructor(
    private readonly cacheDir: string,
    private readonly log: (line: string) => void,
  ) {}

  async resolve(name: string, architecture: string): Promise<ResolvedPackage> {
    const known = this.#lists.get(architecture) ?? [];
    let resolved = await this.#show(name, known, architecture);
    if (!resolved && known.length === 0) {
      const { options, failure } = await this.#privateLists(architecture);
      resolved = await this.#show(name, options, architecture);
      if (!resolved && failure !== undefined) throw failure;
    }
    if (resolved) return resolved;
    throw new FetchError(
      `the package ${name} (${architecture}) is in none of this host's apt sources; guests are fetched from a Debian archive`,
    );
  }

  async unpack(
    resolved: ResolvedPackage,
    wants: (path: string) => boolean,
    onMember: (path: string, data: Uint8Array) => void,
  ): Promise<void> {
    const directory = await mkdtemp(join(tmpdir(), 'vmreplay-fetch-'));
    try {
      this.log(`downloading ${resolved.package} ${resolved.version}`);
      const lists = this.#foundBy.get(resolved) ?? [];
      await apt('apt-get', [...lists, '-q', 'download', `${resolved.package}=${resolved.version}`], directory);
      const deb = (await readdir(directory)).find((file) => file.endsWith('.deb'));
      if (!deb) throw new FetchError(`apt-get downloaded nothing for ${resolved.package}; run apt-get update first`);
      const found = sha256(await readFile(join(directory, deb)));
      if (found !== resolved.sha256) {
        throw new FetchError(
          `${deb} has SHA-256 ${found}, the archive says ${resolved.sha256}; fetch it again or report the mirror`,
        );
      }
      await pickFromDeb(join(directory, deb), wants, onMember);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  async #show(name: string, options: string[], architecture: string): Promise<ResolvedPackage | undefined> {
    try {
      const { stdout } = await apt('apt-cache', [...options, 'show', '--no-all-versions', `${name}:${architecture}`]);
      const resolved = parseStanza(stdout);
      if (resolved?.package !== name) return undefined;
      this.#foundBy.set(resolved, options);
      return resolved;
    } catch (error) {
      if (error instanceof MissingProgram) throw error;
      return undefined;
    }
  }

  /** Read the host's sources into lists of our own for one architecture; returns the apt options that use them. */
  async #privateLists(architecture: string): Promise<{ options: string[]; failure: unknown }> {
    const root = join(this.cacheDir, '.apt', architecture);
    await mkdir(join(root, 'lists', 'partial'), { recursive: true });
    await mkdir(join(root, 'cache', 'archives', 'partial'), { recursive: true });
    const options = [
      `APT::Architecture=${architecture}`,
      `APT::Architectures=${architecture}`,
      `Dir::State::Lists=${join(root, 'lists')}`,
      `Dir::State::Status=/dev/null`,
      `Dir::Cache=${join(root, 'cache')}`,
    ].flatMap((option) => ['-o', option]);
    this.log(`reading the archive's package lists for ${architecture}`);
    // One source of several may be out of reach or between two states; the others may do.
    let failure: unknown;
    await apt('apt-get', [...options, '-q', 'update']).catch((error) => {
      failure = error;
    });
    this.#lists.set(architecture, options);
    return { options, failure };
  }
}

/** Hand the wanted members of a .deb to `onMember`. */
export async function pickFromDeb(
  deb: string,
  wants: (path: string) => boolean,
  onMember: (path: string, data: Uint8Array) => void,
): Promise<void> {
  await access(deb).catch(() => {
    throw new FetchError(`${deb} does not exist; fetch it again`);
  });
  const child = spawn('dpkg-deb', ['--fsys-tarfile', deb], { stdio: ['ignore', 'pipe', 'pipe'] });
  let complaint = '';
  child.stderr.on('data', (data) => {
    complaint += data;
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', () => reject(new MissingProgram('dpkg-deb')));
    child.once('close', resolve);
  });
  ended.catch(() => {});
  const picker = new TarPicker(wants, onMember);
  for await (const chunk of child.stdout) picker.push(chunk);
  if ((await ended) !== 0) {
    throw new FetchError(`dpkg-deb cannot unpack ${deb}: ${complaint.trim().split('\n').at(-1) ?? ''}; fetch it again`);
  }
}

class MissingProgram extends FetchError {
  constructor(program: string) {
    super(
      `${program} is not installed here; guests are fetched with apt and dpkg, or give your own files by path (--kernel ./vmlinuz)`,
    );
  }
}

async function apt(program: string, args: string[], cwd?: string): Promise<{ stdout: string }> {
  try {
    // As root, apt would warn that its unprivileged user cannot write to our directory.
    return await run(program, ['-o', 'APT::Sandbox::User=', ...args], {
      ...(cwd === undefined ? {} : { cwd }),
      env: { ...process.env, LC_ALL: 'C' },
      maxBuffer: 64 * 1024 * 1024,
    });
  } catch (error) {
    const failure = error as NodeJS.ErrnoException & { stderr?: string };
    if (failure.code === 'ENOENT') throw new MissingProgram(program);
    const reason = /^E: (.*)$/m.exec(failure.stderr ?? '')?.[1] ?? 'no reason given';
    throw new FetchError(
      `${program} ${args.slice(args.indexOf('-q') + 1).join(' ')} failed: ${reason}; check the network and retry`,
    );
  }
}
