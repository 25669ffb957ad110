// The host's own processor as an oracle: builds native-step.c and runs cases on it in batches.
//
// The record layouts are those of native-step.c. A case that kills the program (it has no way to, short of a system
// call or a broken host) is reported as lost, and the batch goes on behind it.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PAGE } from './descriptor-tables.js';
import type { Case, Outcome, Selectors } from './single-step.js';

/** Bytes to put into the data page before a case; at most PATCHES of up to 28 bytes. */
export interface Patch {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** A case for both sides: the data page is the fixed one with patches. */
export interface HostCase extends Omit<Case, 'memory' | 'selectors' | 'fsBase' | 'gsBase'> {
  readonly patches: readonly Patch[];
  readonly selectors: Selectors;
  readonly fsBase: bigint;
  readonly gsBase: bigint;
}

export const PATCHES = 6;
const PATCH_SIZE = 32;
const GIVEN = 16 + 16 + 128 + 16 + 16 + PATCHES * PATCH_SIZE + 512;
const FOUND = 712;
const TF_IF = 0x302;
/** Milliseconds that a batch may take: a broken host, not a slow one. */
const TIMEOUT = 120_000;
const FLAGS =
  '-O2 -std=gnu17 -ffreestanding -fno-builtin -fno-stack-protector -fcf-protection=none -fPIE -mno-red-zone ' +
  '-mgeneral-regs-only -mfsgsbase -nostdlib -static -no-pie -Wl,-Ttext-segment=0x600000000000 -Wl,--build-id=none';

/** The fixed contents of the data page: a linear congruential sequence from `seed`. */
export function pageContents(seed: number): Uint8Array {
  const bytes = new Uint8Array(PAGE);
  let x = seed;
  for (let i = 0; i < PAGE; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    bytes[i] = x >>> 24;
  }
  return bytes;
}
const BASE_PAGE = pageContents(1);

/** The data page of a case before it runs, in `page`. */
export function patchedPage(patches: readonly Patch[], page: Uint8Array = new Uint8Array(PAGE)): Uint8Array {
  page.set(BASE_PAGE);
  for (const patch of patches) page.set(patch.bytes, patch.offset);
  return page;
}

/** A host case as the model takes it, with its data page in `page`. */
export const modelCase = (given: HostCase, page?: Uint8Array): Case => ({
  bits: given.bits,
  code: given.code,
  registers: given.registers,
  selectors: given.selectors,
  fsBase: given.fsBase,
  gsBase: given.gsBase,
  memory: patchedPage(given.patches, page),
});

/** Compile the runner; undefined when this is no x86-64 Linux with a C compiler, or its kernel lacks what is needed. */
export function buildHostProcessor(): HostProcessor | undefined {
  if (process.arch !== 'x64' || process.platform !== 'linux') return undefined;
  const folder = mkdtempSync(path.join(tmpdir(), 'native-step-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const program = path.join(folder, 'native-step');
  try {
    const source = new URL('native-step.c', import.meta.url).pathname;
    execFileSync('cc', [...FLAGS.split(' '), '-o', program, source], { stdio: 'pipe' });
    execFileSync(program, { input: new Uint8Array(0), stdio: 'pipe' });
  } catch {
    return undefined;
  }
  return new HostProcessor(program);
}

export class HostProcessor {
  readonly vendor: string;
  /** Vendor and model. */
  readonly name: string;
  readonly features: ReadonlySet<string>;
  private runner: Runner | undefined;
  private last: Promise<unknown> = Promise.resolve();

  constructor(private readonly program: string) {
    const info = readFileSync('/proc/cpuinfo', 'utf8');
    this.vendor = /vendor_id\s*:\s*(\S+)/.exec(info)?.[1] ?? 'unknown';
    this.name = `${this.vendor}, ${/model name\s*:\s*(.+)/.exec(info)?.[1]?.trim() ?? 'unknown'}`;
    this.features = new Set((/flags\s*:(.*)/.exec(info)?.[1] ?? '').trim().split(/\s+/));
  }

  /** What becomes of each case, in a process beside this one. Batches run one after another. */
  run(cases: readonly HostCase[]): Promise<HostOutcomes> {
    const outcomes = this.last.then(() => this.runNow(cases));
    this.last = outcomes.catch(() => {});
    return outcomes;
  }

  private async runNow(cases: readonly HostCase[]): Promise<HostOutcomes> {
    const outcomes = new HostOutcomes(cases);
    while (outcomes.length < cases.length) {
      this.runner ??= new Runner(this.program);
      outcomes.append(await this.runner.run(cases.slice(outcomes.length)));
      if (outcomes.length < cases.length) {
        outcomes.appendLost();
        this.runner.close();
        this.runner = undefined;
      }
    }
    return outcomes;
  }
}

/** The program, running. Cases and outcomes go through files, so that neither side waits while the other works. */
class Runner {
  private readonly input: number;
  private readonly output: number;
  private readonly child: ChildProcess;
  private exited = false;

  constructor(program: string) {
    const folder = path.dirname(program);
    this.input = openSync(path.join(folder, 'cases'), 'w+');
    this.output = openSync(path.join(folder, 'outcomes'), 'w+');
    this.child = spawn(program, { stdio: ['pipe', 'pipe', 'ignore', this.input, this.output] });
    this.child.once('close', () => {
      this.exited = true;
    });
    this.child.stdin!.on('error', () => {});
    // It ends when its input does: with this process.
    this.child.unref();
    (this.child.stdin as Socket).unref();
    (this.child.stdout as Socket).unref();
  }

  /** The records of outcomes; fewer than cases when the program died. */
  async run(cases: readonly HostCase[]): Promise<Buffer> {
    const records = Buffer.alloc(cases.length * GIVEN);
    cases.forEach((given, i) => {
      encode(given, records, i * GIVEN);
    });
    writeSync(this.input, records, 0, records.length, 0);
    ftruncateSync(this.output);
    const count = Buffer.alloc(4);
    count.writeUInt32LE(cases.length);
    const stdout = this.child.stdout as Socket;
    stdout.ref();
    const timer = setTimeout(() => this.child.kill('SIGKILL'), TIMEOUT);
    if (!this.exited) {
      await new Promise<void>((resolve) => {
        const done = () => {
          stdout.off('data', done);
          this.child.off('close', done);
          resolve();
        };
        stdout.on('data', done);
        this.child.on('close', done);
        this.child.stdin!.write(count);
      });
    }
    clearTimeout(timer);
    stdout.unref();
    const outcomes = Buffer.alloc(fstatSync(this.output).size);
    readSync(this.output, outcomes, 0, outcomes.length, 0);
    return outcomes;
  }

  close(): void {
    this.child.kill('SIGKILL');
    closeSync(this.input);
    closeSync(this.output);
  }
}

/** Outcomes of cases, in the form in which the program writes them until one is asked for. */
export class HostOutcomes {
  private readonly places: (readonly [output: Buffer, at: number] | undefined)[] = [];

  constructor(private readonly cases: readonly HostCase[]) {}

  get length(): number {
    return this.places.length;
  }

  /** The outcome of a case, its memory in `page`; undefined for one that was lost. */
  get(i: number, page?: Uint8Array): Outcome | undefined {
    const place = this.places[i];
    return place === undefined ? undefined : decode(this.cases[i]!, ...place, page);
  }

  append(output: Buffer): void {
    for (let at = 0; at + FOUND <= output.length && this.length < this.cases.length; ) {
      const end = at + FOUND + output.readUInt32LE(at + 196);
      if (end > output.length) return;
      this.places.push([output, at]);
      at = end;
    }
  }

  appendLost(): void {
    this.places.push(undefined);
  }
}

function encode(given: HostCase, buffer: Buffer, at: number): void {
  const { registers } = given;
  const to = new DataView(buffer.buffer, buffer.byteOffset + at, GIVEN);
  to.setUint32(0, given.bits, true);
  to.setUint32(4, given.code.length, true);
  to.setUint32(8, Number(registers.rip) & (PAGE - 1), true);
  to.setUint32(12, registers.eflags | TF_IF, true);
  buffer.set(given.code, at + 16);
  for (let n = 0; n < 16; n++) to.setBigUint64(32 + n * 8, registers.gpr[n]!, true);
  for (let n = 0; n < 6; n++) to.setUint16(160 + n * 2, given.selectors[n]!, true);
  to.setBigUint64(176, given.fsBase, true);
  to.setBigUint64(184, given.gsBase, true);
  given.patches.forEach((patch, n) => {
    to.setUint16(192 + n * PATCH_SIZE, patch.offset, true);
    to.setUint16(194 + n * PATCH_SIZE, patch.bytes.length, true);
    buffer.set(patch.bytes, at + 196 + n * PATCH_SIZE);
  });
  buffer.set(registers.fx, at + 192 + PATCHES * PATCH_SIZE);
}

function decode(given: HostCase, buffer: Buffer, at: number, page?: Uint8Array): Outcome {
  const from = new DataView(buffer.buffer, buffer.byteOffset + at, FOUND);
  const memory = patchedPage(given.patches, page);
  const [changedAt, changed] = [from.getUint32(192, true), from.getUint32(196, true)];
  if (changed > 0) memory.set(buffer.subarray(at + FOUND, at + FOUND + changed), changedAt);
  const gpr: bigint[] = [];
  for (let n = 0; n < 16; n++) gpr.push(from.getBigUint64(32 + n * 8, true));
  const selector = (n: number) => from.getUint16(160 + n * 2, true);
  return {
    vector: from.getUint32(0, true),
    error: from.getUint32(4, true),
    steps: from.getUint32(8, true),
    cr2: from.getBigUint64(16, true),
    registers: {
      gpr,
      rip: from.getBigUint64(24, true),
      eflags: from.getUint32(12, true) & ~0x1_0100,
      fx: Uint8Array.from(buffer.subarray(at + 200, at + FOUND)),
    },
    selectors: [selector(0), selector(1), selector(2), selector(3), selector(4), selector(5)],
    fsBase: from.getBigUint64(176, true),
    gsBase: from.getBigUint64(184, true),
    memory,
  };
}
