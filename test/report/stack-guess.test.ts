// Call chains out of stacks that also hold what is left of earlier calls.

import test from 'ava';
import { callTarget } from '../../src/report/return-addresses.js';
import { chooseInterval } from '../../src/report/sampling.js';
import { guessStack } from '../../src/report/stack-guess.js';

/** Functions of 0x100 bytes each from 0x1000. */
const NAMES = ['start', 'init', 'probe', 'read', 'stale', '__x86_indirect_thunk_rax'];
const start = (name: string): bigint => 0x1000n + 0x100n * BigInt(NAMES.indexOf(name));
const functionAt = (at: bigint) => {
  const name = NAMES[Number((at - 0x1000n) / 0x100n)];
  return name === undefined || at < 0x1000n ? undefined : { name, start: start(name) };
};
const guess = (at: bigint, stack: [bigint, bigint][]): string[] =>
  guessStack(
    at,
    stack.map(([address, target]) => ({ address, target })),
    functionAt,
  ).map(({ name }) => name);

test('a caller is where a CALL of the function ends; left-over words are passed over', (t) => {
  const stack: [bigint, bigint][] = [
    [start('stale') + 9n, start('init')],
    [start('probe') + 20n, start('read')],
    [start('stale') + 40n, start('read')],
    [start('init') + 7n, start('probe')],
    [start('start') + 30n, start('init')],
  ];
  t.deepEqual(guess(start('read') + 3n, stack), ['read', 'probe', 'init', 'start']);
});

test('a function that was called through a register has the nearest such caller', (t) => {
  const stack: [bigint, bigint][] = [
    [start('stale') + 9n, start('init')],
    [start('init') + 7n, 0n],
    [start('start') + 30n, start('init')],
  ];
  t.deepEqual(guess(start('read') + 3n, stack), ['read', 'init', 'start']);
  stack[1] = [start('init') + 7n, start('__x86_indirect_thunk_rax')];
  t.deepEqual(guess(start('read') + 3n, stack), ['read', 'init', 'start']);
});

test('what an interrupt pushed is the end of the handler, and the chain goes on behind it', (t) => {
  const stack: [bigint, bigint][] = [
    [start('probe') + 50n, -1n],
    [start('init') + 7n, start('probe')],
  ];
  t.deepEqual(guess(start('read') + 3n, stack), ['read', 'probe', 'init']);
});

test('an instruction without a symbol has no chain', (t) => {
  t.deepEqual(guess(0x10n, [[start('init') + 7n, 0n]]), []);
});

test('calls are told by the bytes before the address that they return to', (t) => {
  const at = 0xffff_ffff_8100_1000n;
  const code = (...bytes: number[]) => Uint8Array.from([...new Array(7 - bytes.length).fill(0x90), ...bytes]);
  t.is(callTarget(code(0xe8, 0x10, 0, 0, 0), at), at + 0x10n);
  t.is(callTarget(code(0xe8, 0xf0, 0xff, 0xff, 0xff), at), at - 0x10n);
  t.is(callTarget(code(0xff, 0xd0), at), 0n, 'call rax');
  t.is(callTarget(code(0x41, 0xff, 0xd3), at), 0n, 'call r11');
  t.is(callTarget(code(0xff, 0x50, 0x18), at), 0n, 'call [rax+0x18]');
  t.is(callTarget(code(0xff, 0x15, 1, 2, 3, 4), at), 0n, 'call [rip+…]');
  t.is(callTarget(code(0xff, 0x94, 0x24, 1, 2, 3, 4), at), 0n, 'call [rsp+…]');
  t.is(callTarget(code(0xff, 0xe0), at), undefined, 'jmp rax');
  t.is(callTarget(code(0x0f, 0x1f, 0x40, 0x00), at), undefined, 'nop');
});

test('the distance of samples is round', (t) => {
  t.is(chooseInterval(100), 1);
  t.is(chooseInterval(1_843_170_920), 200_000);
  t.is(chooseInterval(8_192_000), 1_000);
});
