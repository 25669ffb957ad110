// The comparison with early processors itself: what is noticed, what a named difference excuses, and files that are read.

import test from 'ava';
import { QEMU64_V1 } from '../../../src/cpu/cpuid.js';
import { countMoo, type RealVector, readMoo } from './moo.js';
import { RealModeOracle } from './real-mode.js';

const registers = {
  ax: 0x1234,
  bx: 0,
  cx: 0,
  dx: 0,
  cs: 0x1000,
  ss: 0x2000,
  ds: 0x3000,
  es: 0,
  sp: 0x100,
  bp: 0,
  si: 0,
  di: 0,
  ip: 0,
  flags: 2,
};

/** A case at 1000:0000 with HLT behind it. */
function made(code: string, after: RealVector['after']['registers'], more: Partial<RealVector> = {}): RealVector {
  const bytes = Uint8Array.from(Buffer.from(`${code}f4`, 'hex'));
  const memory = [...bytes].map((byte, i): [number, number] => [0x1_0000 + i, byte]);
  return { name: code, bytes, before: { registers, memory }, after: { registers: after, memory: [] }, ...more };
}

const oracle = new RealModeOracle(QEMU64_V1, '80286');

test('what is right passes, a wrong register, flag or byte does not', (t) => {
  t.deepEqual(oracle.judge(made('40', { ax: 0x1235, ip: 2, flags: 6 })).found, []);
  t.deepEqual(oracle.judge(made('40', { ax: 0x1236, ip: 2, flags: 6 })).found, ['ax 1235 for 1236']);
  t.deepEqual(oracle.judge(made('40', { ax: 0x1235, ip: 2, flags: 2 })).found, ['flags 6 for 2']);
  const { name, bytes, before, after } = made('a20000', { ip: 4 });
  const stored = (byte: number) => ({ ...after, memory: [[0x3_0000, byte]] as [number, number][] });
  t.deepEqual(oracle.judge({ name, bytes, before, after: stored(0x34) }).found, []);
  t.deepEqual(oracle.judge({ name, bytes, before, after: stored(0x35) }).found, ['[30000] 34 for 35']);
});

test('LOCK where an 80286 allows it is excused, and the instruction compared without it', (t) => {
  const right = oracle.judge(made('f040', { ax: 0x1235, ip: 3, flags: 6 }));
  t.deepEqual(right.found, []);
  t.regex(right.reason ?? '', /^LOCK/);
  t.not(oracle.judge(made('f040', { ax: 0x1236, ip: 3, flags: 6 })).found.length, 0);
});

test('an 8086 pushes the decremented SP, and nothing else of PUSH SP may differ', (t) => {
  const early = new RealModeOracle(QEMU64_V1, '8086');
  const pushed: [number, number][] = [
    [0x2_00fe, 0xfe],
    [0x2_00ff, 0],
  ];
  const vector = made('54', { sp: 0xfe, ip: 1 });
  const verdict = early.judge({ ...vector, after: { ...vector.after, memory: pushed } });
  t.deepEqual(verdict.found, []);
  t.regex(verdict.reason ?? '', /^PUSH SP/);
  const wrong = early.judge({ ...vector, after: { registers: { sp: 0xfc, ip: 1 }, memory: pushed } });
  t.not(wrong.found.length, 0);
});

test('POPA faults on the word of SP, which it discards', (t) => {
  const { name, bytes, before } = made('61', {});
  const handler: [number, number][] = [
    [0x34, 0],
    [0x35, 5],
    [0x36, 0],
    [0x37, 0],
    [0x500, 0xf4],
  ];
  const verdict = oracle.judge({
    name,
    bytes,
    before: { registers: { ...before.registers, sp: 0xfff9 }, memory: [...before.memory, ...handler] },
    after: { registers: { cs: 0, ip: 0x501, sp: 0xfff3 }, memory: [] },
    exception: 13,
  });
  t.deepEqual(verdict.found, []);
});

const u32 = (n: number) => [n & 0xff, (n >> 8) & 0xff, (n >> 16) & 0xff, n >>> 24];
const chunk = (name: string, ...content: number[]): number[] => [
  ...Buffer.from(name),
  ...u32(content.length),
  ...content,
];
const state = (name: string, mask: number, values: number[], memory: number[]) =>
  chunk(
    name,
    ...chunk('REGS', mask & 0xff, mask >> 8, ...values.flatMap((v) => [v & 0xff, v >> 8])),
    ...chunk('RAM ', ...u32(memory.length / 5), ...memory),
  );
const file = Uint8Array.from([
  ...chunk('MOO ', 1, 0, 0, 0, ...u32(1), ...Buffer.from('286 ')),
  ...chunk(
    'TEST',
    ...u32(0),
    ...chunk('NAME', ...u32(6), ...Buffer.from('inc ax')),
    ...chunk('BYTS', ...u32(2), 0x40, 0xf4),
    ...state('INIT', 0x3fff, Object.values(registers), [...u32(0x1_0000), 0x40]),
    ...state('FINA', 0x1001, [0x1235, 2], []),
    ...chunk('EXCP', 13, ...u32(0x2_00fc)),
    ...chunk('HASH', 0xab, 0xcd),
  ),
]);

test('a MOO file gives the state before, what changes, the exception and the name', (t) => {
  t.is(countMoo(file), 1);
  const [vector] = [...readMoo(file)];
  t.is(vector!.name, 'inc ax');
  t.deepEqual([...vector!.bytes], [0x40, 0xf4]);
  t.is(vector!.before.registers.ax, 0x1234);
  t.deepEqual(vector!.before.memory, [[0x1_0000, 0x40]]);
  t.deepEqual(vector!.after, { registers: { ax: 0x1235, ip: 2 }, memory: [] });
  t.is(vector!.exception, 13);
  t.is(vector!.hash, 'abcd');
  t.deepEqual([...readMoo(file, () => false)], []);
});

test('what is no MOO file, or is cut off, is refused', (t) => {
  t.throws(() => [...readMoo(Uint8Array.from(chunk('RIFF')))], { message: 'not a MOO file' });
  t.throws(() => [...readMoo(file.subarray(0, file.length - 4))], { message: /runs over the end/ });
});
