// User-mode instructions against an Intel processor: 6,000 cases each of 64-, 32- and 16-bit integer, SSE and x87 code.
//
// The vectors hold what changed; the states before come from the generator that lies beside them, so Python is needed.
// No flag is masked: where the manual leaves one undefined, the processor here gives what Intel's gives.

import { execFileSync } from 'node:child_process';
import test from 'ava';
import { QEMU64_V1 } from '../../../src/cpu/cpuid.js';
import { differences, REGISTER_NAMES } from './compare.js';
import { pageContents } from './native-step.js';
import { RowFinder, rowName } from './rows.js';
import { type Bits, type Case, everyFeature, type Outcome, SingleStep } from './single-step.js';
import { readVectors, vectorFile } from './vectors.js';

interface Vector {
  readonly i: number;
  /** Mode, code, vector, error code, CR2. */
  readonly m: Bits;
  readonly c: string;
  readonly v: number;
  readonly e?: number;
  readonly cr2?: string;
  /** Registers, RIP and flags after; runs of changed bytes of the FXSAVE image and of the data page. */
  readonly r: Record<string, string>;
  readonly ip: string;
  readonly fl: string;
  readonly fx?: [number, string][];
  readonly mem?: [number, string][];
}

const RECORD = 688;
const CASES = 6000;
const SEED = 3;

const generator = vectorFile('native/gen.py');

function python(): boolean {
  try {
    execFileSync('python3', ['-c', '']);
    return true;
  } catch {
    return false;
  }
}

function parseCase(record: Buffer): Case {
  const view = new DataView(record.buffer, record.byteOffset, RECORD);
  return {
    bits: view.getUint32(4, true) as Bits,
    code: Uint8Array.from(record.subarray(16, 16 + view.getUint32(8, true))),
    registers: {
      gpr: REGISTER_NAMES.map((_, n) => view.getBigUint64(32 + 8 * n, true)),
      rip: view.getBigUint64(160, true),
      eflags: view.getUint32(168, true),
      fx: Uint8Array.from(record.subarray(176, RECORD)),
    },
    memory: pageContents(view.getUint32(12, true)),
  };
}

function expectedOutcome(given: Case, vector: Vector): Outcome {
  const patched = (bytes: Uint8Array, runs: [number, string][] = []) => {
    const result = Uint8Array.from(bytes);
    for (const [at, hex] of runs) result.set(Buffer.from(hex, 'hex'), at);
    return result;
  };
  return {
    vector: vector.v,
    error: vector.e ?? 0,
    cr2: BigInt(`0x${vector.cr2 ?? '0'}`),
    registers: {
      gpr: given.registers.gpr.map((before, n) => {
        const after = vector.r[REGISTER_NAMES[n]!];
        return after === undefined ? before : BigInt(`0x${after}`);
      }),
      rip: BigInt(`0x${vector.ip}`),
      eflags: Number.parseInt(vector.fl, 16),
      fx: patched(given.registers.fx, vector.fx),
    },
    memory: patched(given.memory, vector.mem),
    steps: 0,
    selectors: [0, 0, 0, 0, 0, 0],
    fsBase: 0n,
    gsBase: 0n,
  };
}

let machine: SingleStep | undefined;
const model = everyFeature(QEMU64_V1);

for (const kind of ['i64', 'i32', 'i16', 'sse', 'x87']) {
  const file = vectorFile(`native/native-seed3-${kind}.jsonl.gz`);
  const runnable = file !== undefined && generator !== undefined && python();
  (runnable ? test : test.skip)(`${kind} instructions do what an Intel processor does`, (t) => {
    machine ??= new SingleStep(model);
    const finder = new RowFinder(model);
    const options = { maxBuffer: CASES * RECORD + 1 };
    const records = execFileSync('python3', [generator!, String(CASES), String(SEED), kind], options);
    const wrong: string[] = [];
    const vectors = readVectors<Vector>(file!);
    for (const vector of vectors) {
      const given = parseCase(records.subarray(vector.i * RECORD, (vector.i + 1) * RECORD));
      if (Buffer.from(given.code).toString('hex') !== vector.c) throw new Error('the generator gives other cases');
      const row = finder.find(given.code, given.bits);
      const got = machine.run(given);
      const registerBits = given.bits === 64 ? 64 : 32;
      const found = differences(row, got, expectedOutcome(given, vector), { undefinedFlags: 0, registerBits });
      if (found.length > 0) wrong.push(`${vector.i} ${vector.c} ${row ? rowName(row) : ''}: ${found.join(', ')}`);
    }
    t.log(`${vectors.length} cases`);
    t.is(vectors.length, CASES);
    t.is(wrong.length, 0, wrong.slice(0, 10).join('\n'));
  });
}
