import { readFileSync } from 'node:fs';
import test from 'ava';
import * as L from '../../../src/cpu/layout.js';
import { DATA, SimdMachine, simdRows } from './simd-machine.js';
import { presetGpr, presetMemory, presetMm, presetXmm, RBX_OFFSET, RDI_OFFSET } from './simd-presets.js';

const ARITHMETIC = 0x8d5;
const TOP = 5;
const TAGS = 0x0f;

interface Vector {
  readonly line: string;
  readonly code: Buffer;
  readonly preset: number;
  readonly mxcsr: number;
  readonly eflags: number;
  readonly seed: number;
  /** Vector and changes as the file has them. */
  readonly outcome: string;
}

const vectors: Vector[] = readFileSync(new URL('./simd-vectors.txt', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => {
    const [code, preset, mxcsr, eflags, seed, ...outcome] = line.split(' ');
    return {
      line,
      code: Buffer.from(code!, 'hex'),
      preset: Number(preset),
      mxcsr: Number.parseInt(mxcsr!, 16),
      eflags: Number.parseInt(eflags!, 16),
      seed: Number(seed),
      outcome: outcome.join(' '),
    };
  });

const gpr = (n: number): bigint =>
  n === 3 ? BigInt(DATA + RBX_OFFSET) : n === 7 ? BigInt(DATA + RDI_OFFSET) : presetGpr(n);

function prepare(m: SimdMachine, v: Vector): void {
  const s = m.state;
  m.reset();
  for (let n = 0; n < 16; n++) {
    s.setReg(n, gpr(n));
    m.setXmm(n, presetXmm(v.preset, n));
  }
  for (let n = 0; n < 8; n++) {
    m.setMm(n, presetMm(v.preset, n));
    s.u16[(L.FPU_REGS + n * 16 + 8) >>> 1] = 0x1234 + n;
  }
  s.set32(L.FPU_TOP, TOP);
  s.set32(L.FPU_TAGS, TAGS);
  s.eflags = v.eflags | 2;
  m.mxcsr = v.mxcsr;
  m.ram.set(presetMemory(v.seed), DATA);
}

/** What changed, in the file's notation. */
function changes(m: SimdMachine, v: Vector): string[] {
  const s = m.state;
  const found: string[] = [];
  const note = (name: string, now: bigint, before: bigint) => {
    if (now !== before) found.push(`${name}=${now.toString(16)}`);
  };
  for (let n = 0; n < 16; n++) note(`r${n}`, s.reg(n), gpr(n));
  note('fl', BigInt(s.eflags & ARITHMETIC), BigInt(v.eflags));
  note('mxcsr', BigInt(m.mxcsr), BigInt(v.mxcsr));
  const top = s.get32(L.FPU_TOP);
  const tags = s.get32(L.FPU_TAGS);
  if (top !== TOP || tags !== TAGS) found.push(`x87=${top}/${tags.toString(16)}`);
  for (let n = 0; n < 8; n++) {
    const exponent = s.u16[(L.FPU_REGS + n * 16 + 8) >>> 1]!;
    if (m.mm(n) !== presetMm(v.preset, n) || exponent !== 0x1234 + n)
      found.push(`mm${n}=${m.mm(n).toString(16)}/${exponent.toString(16)}`);
  }
  for (let n = 0; n < 16; n++) note(`xmm${n}`, m.xmm(n), presetXmm(v.preset, n));
  const before = presetMemory(v.seed);
  const page = m.ram.subarray(DATA, DATA + 4096);
  const first = page.findIndex((byte, i) => byte !== before[i]);
  if (first >= 0) {
    const last = page.findLastIndex((byte, i) => byte !== before[i]);
    found.push(`mem${first.toString(16)}=${Buffer.from(page.subarray(first, last + 1)).toString('hex')}`);
  }
  return found;
}

test('every instruction does what the hardware did', (t) => {
  const m = new SimdMachine();
  for (const v of vectors) {
    prepare(m, v);
    const vector = m.step(v.code);
    t.is([vector ?? '-', ...changes(m, v)].join(' '), v.outcome, v.line);
  }
});

test('every row has a vector, approximations excepted', (t) => {
  const m = new SimdMachine();
  const seen = new Set(vectors.map((v) => m.rowOf(v.code)));
  const missing = simdRows.filter((row) => !seen.has(row)).map((row) => row.mnemonic);
  t.deepEqual(missing, ['RSQRTPS', 'RSQRTSS', 'RCPPS', 'RCPSS']);
});
