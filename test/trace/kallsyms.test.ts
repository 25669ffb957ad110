// A kernel's own symbols in guest memory: tables as Linux lays them out before and after 6.4, made here, and memory that
// only looks like them.

import test from 'ava';
import fc from 'fast-check';
import { kallsymsIn } from '../../src/trace/kallsyms.js';

const BASE = 0xffff_ffff_8100_0000n;

interface Layout {
  /** Tables of addresses behind the tokens, as from 6.4. */
  readonly late: boolean;
  readonly width: 4 | 8;
  readonly base: bigint;
}

const LAYOUTS: Readonly<Record<string, Layout>> = {
  '6.1': { late: false, width: 8, base: BASE },
  '6.6': { late: true, width: 8, base: BASE },
  '6.1 of 32 bits': { late: false, width: 4, base: 0xc100_0000n },
};

/** The tables of a kernel, somewhere in memory. */
function kernel(symbols: readonly (readonly [offset: number, name: string])[], { late, width, base }: Layout): Buffer {
  const pad = (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc((width - (bytes.length % width)) % width)]);
  const number = (value: bigint, size: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value);
    return bytes.subarray(0, size);
  };
  // Tokens are single characters, but for one pair; a few places have none.
  const texts = Array.from({ length: 256 }, (_, n) =>
    n === 1 ? 'sys_' : n >= 0x20 && n < 0x7f ? String.fromCharCode(n) : '',
  );
  const packed = symbols.map(([, name]) => {
    const bytes = Buffer.from(`T${name}`.replaceAll('sys_', '\x01'), 'latin1');
    const length = bytes.length < 0x80 ? [bytes.length] : [(bytes.length & 0x7f) | 0x80, bytes.length >> 7];
    return Buffer.concat([Buffer.from(length), bytes]);
  });
  const markers: Buffer[] = [];
  let at = 0;
  packed.forEach((bytes, n) => {
    if (n % 256 === 0) markers.push(number(BigInt(at), 4));
    at += bytes.length;
  });
  const index: Buffer[] = [];
  let text = 0;
  for (const token of texts) {
    index.push(number(BigInt(text), 2));
    text += token.length + 1;
  }
  const offsets = Buffer.alloc(4 * symbols.length);
  symbols.forEach(([offset], n) => {
    offsets.writeInt32LE(-1 - offset, 4 * n);
  });
  const addresses = [pad(offsets), pad(number(base, width))];
  const names = [pad(number(BigInt(symbols.length), 4)), pad(Buffer.concat(packed)), pad(Buffer.concat(markers))];
  const tokens = [pad(Buffer.from(texts.map((token) => `${token}\0`).join(''), 'latin1')), pad(Buffer.concat(index))];
  const order = late ? [...names, ...tokens, ...addresses] : [...addresses, ...names, ...tokens];
  return Buffer.concat([Buffer.alloc(4096, 0xcc), ...order, Buffer.alloc(4096, 0x90)]);
}

const functions = (count: number) =>
  Array.from({ length: count }, (_, n) => [n * 64, `${n % 7 === 0 ? 'sys_' : 'do_'}work_${n}`] as const);

for (const [version, layout] of Object.entries(LAYOUTS)) {
  test(`the functions of a kernel laid out as Linux ${version} does are found`, (t) => {
    const symbols = functions(3000);
    const table = kallsymsIn(kernel(symbols, layout))!;
    t.is(table.size, 3000);
    for (const [offset, name] of [symbols[0]!, symbols[257]!, symbols[2999]!]) {
      t.deepEqual(table.lookup(layout.base + BigInt(offset) + 5n), { name, offset: 5 });
    }
  });
}

test('memory without a kernel, or with a part of one, has no table', (t) => {
  t.is(kallsymsIn(Buffer.alloc(1 << 20)), undefined);
  const whole = kernel(functions(3000), LAYOUTS['6.1']!);
  t.is(kallsymsIn(whole.subarray(20_000)), undefined);
  t.is(kallsymsIn(whole.subarray(0, whole.length - 5000)), undefined);
});

test('damaged tables are no table, or one of the same size; never a crash', (t) => {
  const whole = kernel(functions(600), LAYOUTS['6.1']!);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }), (bytes) => {
      const damaged = Buffer.from(whole);
      for (const [at, value] of bytes) damaged[at] = value;
      t.true((kallsymsIn(damaged)?.size ?? 0) <= 600);
    }),
    { numRuns: 300 },
  );
});
