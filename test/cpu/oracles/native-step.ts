// The host's own processor as an oracle: builds native-step.c and runs cases on it in batches.
//
// The record layouts are those of native-step.c. A case that kills the program (it has no way to, short of a system
// call or a broken host) is reported as lost, and the batch goes on behind it.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
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

/** The data page of a case before it runs. */
export function patchedPage(patches: readonly Patch[]): Uint8Array {
  const page = Uint8Array.from(BASE_PAGE);
  for (const patch of patches) page.set(patch.bytes, patch.offset);
  return page;
}

/** A host case as the model takes it. */
export const modelCase = (given: HostCase): Case => ({ ...given, memory: patchedPage(given.patches) });

/** Compile the runner; undefined when this is no x86-64 Linux with a C compiler, or its kernel lacks what is needed. */
export function buildHostProcessor(): HostProcessor | undefined {
  if (process.arch !== 'x64' || process.platform !== 'linux') return undefined;
  const program = path.join(mkdtempSync(path.join(tmpdir(), 'native-step-')), 'native-step');
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
  readonly features: ReadonlySet<string>;

  constructor(private readonly program: string) {
    const info = readFileSync('/proc/cpuinfo', 'utf8');
    this.vendor = /vendor_id\s*:\s*(\S+)/.exec(info)?.[1] ?? 'unknown';
    this.features = new Set((/flags\s*:(.*)/.exec(info)?.[1] ?? '').trim().split(/\s+/));
  }

  /** What became of each case; undefined for one that was lost. */
  run(cases: readonly HostCase[]): (Outcome | undefined)[] {
    const results: (Outcome | undefined)[] = [];
    while (results.length < cases.length) {
      const rest = cases.slice(results.length);
      const input = Buffer.alloc(rest.length * GIVEN);
      rest.forEach((given, i) => {
        encode(given, input.subarray(i * GIVEN, (i + 1) * GIVEN));
      });
      const { stdout } = spawnSync(this.program, {
        input,
        maxBuffer: rest.length * (FOUND + PAGE) + 1,
        timeout: 20_000,
      });
      let at = 0;
      let done = 0;
      while (at + FOUND <= stdout.length && done < rest.length) {
        const changed = stdout.readUInt32LE(at + 196);
        if (at + FOUND + changed > stdout.length) break;
        results.push(decode(rest[done]!, stdout.subarray(at, at + FOUND + changed)));
        at += FOUND + changed;
        done++;
      }
      if (done < rest.length) results.push(undefined);
    }
    return results;
  }
}

function encode(given: HostCase, to: Buffer): void {
  const { registers } = given;
  const offset = Number(registers.rip) & (PAGE - 1);
  to.writeUInt32LE(given.bits, 0);
  to.writeUInt32LE(given.code.length, 4);
  to.writeUInt32LE(offset, 8);
  to.writeUInt32LE(registers.eflags | TF_IF, 12);
  to.set(given.code, 16);
  registers.gpr.forEach((value, n) => {
    to.writeBigUInt64LE(value, 32 + n * 8);
  });
  given.selectors.forEach((selector, n) => {
    to.writeUInt16LE(selector, 160 + n * 2);
  });
  to.writeBigUInt64LE(given.fsBase, 176);
  to.writeBigUInt64LE(given.gsBase, 184);
  given.patches.forEach((patch, n) => {
    to.writeUInt16LE(patch.offset, 192 + n * PATCH_SIZE);
    to.writeUInt16LE(patch.bytes.length, 194 + n * PATCH_SIZE);
    to.set(patch.bytes, 196 + n * PATCH_SIZE);
  });
  to.set(registers.fx, 192 + PATCHES * PATCH_SIZE);
}

function decode(given: HostCase, from: Buffer): Outcome {
  const memory = patchedPage(given.patches);
  memory.set(from.subarray(FOUND), from.readUInt32LE(192) === PAGE ? 0 : from.readUInt32LE(192));
  return {
    vector: from.readUInt32LE(0),
    error: from.readUInt32LE(4),
    steps: from.readUInt32LE(8),
    cr2: from.readBigUInt64LE(16),
    registers: {
      gpr: Array.from({ length: 16 }, (_, n) => from.readBigUInt64LE(32 + n * 8)),
      rip: from.readBigUInt64LE(24),
      eflags: from.readUInt32LE(12) & ~0x1_0100,
      fx: Uint8Array.from(from.subarray(200, 712)),
    },
    selectors: [0, 1, 2, 3, 4, 5].map((n) => from.readUInt16LE(160 + n * 2)) as unknown as Selectors,
    fsBase: from.readBigUInt64LE(176),
    gsBase: from.readBigUInt64LE(184),
    memory,
  };
}
