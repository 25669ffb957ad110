// A campaign on disk, as of its last whole generation. campaign.json says what it is and how far it is, and names the
// inputs; inputs/<sha256>.tape has the words of each (little-endian), inputs/<sha256>.edges the edges that it reaches.
//
// Invariant: campaign.json is written last, under another name and renamed, so that a campaign that is killed at any
// moment goes on from a whole generation and does the broken one again. It ends in a sum of itself, and inputs are named
// by their hashes: what was changed or cut off is told from what was written.
// Left out: two campaigns on one folder at a time, which the second is told.

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../../api/user-error.js';
import { systemReason } from '../../trace/error.js';
import { clearRemnants, writeWhole } from '../../whole-file.js';
import type { Comparison } from '../coverage/edges.js';
import { bytesOfWords, hexOfWords, wordsOfBytes, wordsOfHex } from '../coverage/tape-text.js';
import { differenceOf, type Identity } from './identity.js';
import type { CampaignFinding, CorpusInput, Saved } from './state.js';

const FORMAT = 'vmreplay-campaign-1';
const MOST_BYTES = 256 << 20;
const BEGIN_ANEW = 'restore it, or begin anew in another folder';

/** What campaign.json has beside the sum. */
interface Content extends Omit<Saved, 'findings' | 'corpus' | 'dictionary'> {
  readonly format: string;
  readonly identity: Identity;
  /** Tapes as hexadecimal digits, eight a word. */
  readonly findings: readonly (Omit<CampaignFinding, 'tape'> & { readonly tape?: string })[];
  readonly corpus: readonly { readonly tape: string; readonly edges: string }[];
  readonly dictionary: readonly [site: number, width: number, left: string, right: string][];
}

export class CampaignFolder {
  /** Where the campaign is; undefined when it begins. */
  readonly saved: Saved | undefined;
  readonly #file: string;
  readonly #inputs: string;
  readonly #lock: string;
  /** Names of inputs that are on the disk. */
  readonly #there = new Set<string>();

  /** @throws UserError when the folder has another campaign, a damaged one, or one that is under way */
  constructor(
    folder: string,
    private readonly identity: Identity,
  ) {
    this.#file = join(folder, 'campaign.json');
    this.#inputs = join(folder, 'inputs');
    this.#lock = join(folder, 'campaign.lock');
    try {
      mkdirSync(this.#inputs, { recursive: true });
      clearRemnants(folder);
      clearRemnants(this.#inputs);
    } catch (error) {
      throw new UserError(`${folder}: cannot be used: ${systemReason(error)}; check --corpus`);
    }
    this.#takeLock();
    try {
      this.saved = this.#load(folder);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Write down a whole generation. */
  save(saved: Saved): void {
    const corpus = saved.corpus.map(({ tape, edges }) => {
      const words = bytesOfWords(tape);
      const name = hashOf(words);
      const reached = bytesOfWords(edges);
      if (!this.#there.has(name)) {
        writeWhole(join(this.#inputs, `${name}.tape`), words);
        writeWhole(join(this.#inputs, `${name}.edges`), reached);
        this.#there.add(name);
      }
      return { tape: name, edges: hashOf(reached) };
    });
    const content: Content = {
      format: FORMAT,
      identity: this.identity,
      ...saved,
      findings: saved.findings.map(({ tape, ...one }) => ({ ...one, ...(tape && { tape: hexOfWords(tape) }) })),
      corpus,
      dictionary: saved.dictionary.map((one) => [one.site, one.width, hex(one.left), hex(one.right)]),
    };
    writeWhole(this.#file, `${JSON.stringify({ ...content, sum: sumOf(content) }, undefined, 1)}\n`);
    this.#forget(new Set(corpus.map(({ tape }) => tape)));
  }

  close(): void {
    rmSync(this.#lock, { force: true });
  }

  /** Remove inputs that are no part of the campaign any more, and those of a generation that was broken off. */
  #forget(kept: ReadonlySet<string>): void {
    for (const file of readdirSync(this.#inputs)) {
      const name = /^([0-9a-f]{64})\.(?:tape|edges)$/.exec(file)?.[1];
      if (name === undefined || kept.has(name)) continue;
      rmSync(join(this.#inputs, file), { force: true });
      this.#there.delete(name);
    }
  }

  #load(folder: string): Saved | undefined {
    const text = this.#read(this.#file)?.toString();
    if (text === undefined) return undefined;
    let parsed: Content & { sum?: unknown };
    try {
      parsed = JSON.parse(text);
    } catch (error) {
      throw new UserError(`${this.#file}: is no JSON: ${(error as Error).message}; ${BEGIN_ANEW}`);
    }
    const { sum, ...content } = parsed ?? {};
    if (content.format !== FORMAT)
      throw new UserError(`${this.#file}: is no campaign of format ${FORMAT}; choose another --corpus`);
    if (sum !== sumOf(content))
      throw new UserError(`${this.#file}: was changed: its sum is not that of its content; ${BEGIN_ANEW}`);
    const difference = differenceOf(content.identity, this.identity);
    if (difference !== undefined)
      throw new UserError(
        `${folder}: its campaign was begun with ${difference}; go on with that, or choose another --corpus`,
      );
    const corpus = content.corpus.map((names): CorpusInput => {
      this.#there.add(names.tape);
      return {
        tape: this.#words(names.tape, 'tape', names.tape),
        edges: this.#words(names.tape, 'edges', names.edges),
      };
    });
    const { generation, batches, cases, verdicts } = content;
    const findings = content.findings.map(({ tape, ...one }) => ({
      ...one,
      tape: tape ? wordsOfHex(tape) : undefined,
    }));
    const dictionary = content.dictionary.map(
      ([site, width, left, right]): Comparison => ({
        site,
        width: width as Comparison['width'],
        left: BigInt(left),
        right: BigInt(right),
      }),
    );
    return { generation, batches, cases, verdicts, findings, corpus, dictionary };
  }

  /** @returns undefined when there is no such file */
  #read(path: string): Buffer | undefined {
    try {
      const { size } = statSync(path);
      if (size > MOST_BYTES) throw new UserError(`${path}: ${size} bytes are no file of a campaign; ${BEGIN_ANEW}`);
      return readFileSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      if (error instanceof UserError) throw error;
      throw new UserError(`${path}: cannot be read: ${systemReason(error)}; check --corpus`);
    }
  }

  #words(name: string, kind: string, sha256: string): Uint32Array {
    const path = join(this.#inputs, `${name}.${kind}`);
    const bytes = this.#read(path);
    if (bytes === undefined)
      throw new UserError(`${path}: there is no such file, and campaign.json names it; ${BEGIN_ANEW}`);
    if (hashOf(bytes) !== sha256)
      throw new UserError(`${path}: was changed: its SHA-256 is not the one that was written; ${BEGIN_ANEW}`);
    return wordsOfBytes(bytes);
  }

  #takeLock(): void {
    const mine = `${process.pid} ${hostname()}\n`;
    for (let tries = 0; tries < 2; tries++) {
      try {
        writeFileSync(this.#lock, mine, { flag: 'wx' });
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST')
          throw new UserError(`${this.#lock}: cannot be written: ${systemReason(error)}; check --corpus`);
      }
      const [pid, host] = (this.#read(this.#lock)?.toString() ?? '').trim().split(' ');
      if (host !== hostname() || isAlive(Number(pid)))
        throw new UserError(
          `${this.#lock}: process ${pid} on ${host} works on this campaign; let it end, or remove the file if it is gone`,
        );
      rmSync(this.#lock, { force: true });
    }
  }
}

/** Whether there is a process, other than this one. */
function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

const hex = (value: bigint): string => `0x${value.toString(16)}`;
const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const sumOf = (content: object): string => hashOf(Buffer.from(JSON.stringify(content)));
