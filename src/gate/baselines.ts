// The folder of baselines: a text for each boot, `NAME.txt`, and the traces that they name, by hash, in `traces/` or in
// a store of their own. A trace is never changed; a text is replaced as a whole, after the trace that it names is there.
// So whatever stops a writer, every boot has its old baseline or its new one.
// A trace that no text names any more is removed afterwards, but never from a store, which others may use too.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { UserError } from '../api/user-error.js';
import { systemReason } from '../trace/error.js';
import { clearRemnants, writeWhole } from '../whole-file.js';
import { baselineText, readBaselineText } from './baseline-text.js';
import type { BootFacts } from './facts.js';

const SUFFIX = '.txt';
/** A text of more bytes than this is none of ours. */
const MAX_TEXT = 0x400_0000;

/** A baseline that can be used. */
export interface Baseline {
  /** The reviewable text, and where it is. */
  readonly text: string;
  readonly file: string;
  readonly root: string;
  /** The trace's file. */
  readonly trace: string;
}

/** Why there is none: one sentence. */
export interface NoBaseline {
  readonly problem: 'missing' | 'unreadable';
  readonly why: string;
}

export class Baselines {
  constructor(
    /** Absolute. */
    readonly directory: string,
    private readonly store?: string,
    /** Files are named relative to here. */
    private readonly from = process.cwd(),
  ) {}

  /** Read and verify the baseline of a boot. */
  find(name: string): Baseline | NoBaseline {
    const file = this.#textFile(name);
    const shown = this.#shown(file);
    const unreadable = (why: string): NoBaseline => ({ problem: 'unreadable', why });
    if (!existsSync(file)) return { problem: 'missing', why: `${shown}: there is no baseline yet` };
    try {
      const text = readText(file);
      const { name: said, root, trace } = readBaselineText(text);
      if (said !== name) return unreadable(`${shown}: is the baseline of ${said}`);
      const path = this.#traceFile(trace);
      if (!existsSync(path)) return unreadable(`${shown}: its trace ${this.#shown(path)} is missing`);
      if (sha256(readFileSync(path)) !== trace)
        return unreadable(`${this.#shown(path)}: is not the trace that was accepted`);
      return { text, file: shown, root, trace: path };
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      return unreadable(`${shown}: ${code ? `cannot be read: ${systemReason(error)}` : message}`);
    }
  }

  /** Baselines of boots that there are not, by name. */
  obsolete(names: readonly string[]): { name: string; file: string }[] {
    const known = new Set(names);
    return this.#names()
      .filter((name) => !known.has(name))
      .map((name) => ({ name, file: this.#shown(this.#textFile(name)) }));
  }

  /**
   * Make a boot's trace its baseline.
   * @param trace path of the trace
   * @returns the text's file
   * @throws UserError when it cannot be written; then everything is as it was
   */
  accept(name: string, facts: BootFacts, trace: string): string {
    const bytes = readFileSync(trace);
    const hash = sha256(bytes);
    const [file, stored] = [this.#textFile(name), this.#traceFile(hash)];
    this.#writing(file, () => {
      mkdirSync(dirname(file), { recursive: true });
      mkdirSync(dirname(stored), { recursive: true });
      if (!existsSync(stored) || sha256(readFileSync(stored)) !== hash) writeWhole(stored, bytes);
      writeWhole(file, baselineText(name, facts, hash));
    });
    return this.#shown(file);
  }

  /** Remove the baselines of boots that there are not. @throws UserError */
  remove(names: readonly string[]): void {
    for (const name of names) this.#writing(this.#textFile(name), () => rmSync(this.#textFile(name), { force: true }));
  }

  /** Remove traces that no text names, and what killed writers left. Nothing is removed while a text cannot be read. */
  clean(): void {
    if (!existsSync(this.directory)) return;
    const folder = this.store ?? join(this.directory, 'traces');
    for (const directory of [this.directory, folder]) if (existsSync(directory)) clearRemnants(directory);
    if (this.store !== undefined || !existsSync(folder)) return;
    const named = new Set<string>();
    try {
      for (const name of this.#names()) named.add(readBaselineText(readText(this.#textFile(name))).trace);
    } catch {
      return;
    }
    for (const entry of readdirSync(folder)) {
      const hash = /^([0-9a-f]{64})\.vmr$/.exec(entry)?.[1];
      if (hash && !named.has(hash)) this.#writing(join(folder, entry), () => rmSync(join(folder, entry)));
    }
  }

  #names(): string[] {
    if (!existsSync(this.directory)) return [];
    const entries = readdirSync(this.directory, { recursive: true, encoding: 'utf8' });
    return entries
      .filter((entry) => entry.endsWith(SUFFIX))
      .map((entry) => entry.slice(0, -SUFFIX.length).replaceAll('\\', '/'))
      .sort();
  }

  #textFile(name: string): string {
    return join(this.directory, `${name}${SUFFIX}`);
  }

  #traceFile(hash: string): string {
    return join(this.store ?? join(this.directory, 'traces'), `${hash}.vmr`);
  }

  #shown(path: string): string {
    return relative(this.from, path) || path;
  }

  #writing(path: string, body: () => void): void {
    try {
      body();
    } catch (error) {
      if (!(error as NodeJS.ErrnoException).code) throw error;
      const mend = 'make room or let it be written; the baselines are as they were';
      throw new UserError(`${this.#shown(path)}: cannot be written: ${systemReason(error)}; ${mend}`);
    }
  }
}

function readText(file: string): string {
  const { size } = statSync(file);
  if (size > MAX_TEXT) throw new Error(`is no baseline: it has ${size} bytes`);
  return readFileSync(file, 'utf8');
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
