// Symbol tables as Linux lays them out in memory before and after 6.4, made here.

const BASE = 0xffff_ffff_8100_0000n;

export interface Layout {
  /** Tables of addresses behind the tokens, as from 6.4. */
  readonly late: boolean;
  readonly width: 4 | 8;
  readonly base: bigint;
}

export const LAYOUTS: Readonly<Record<string, Layout>> = {
  '6.1': { late: false, width: 8, base: BASE },
  '6.6': { late: true, width: 8, base: BASE },
  '6.1 of 32 bits': { late: false, width: 4, base: 0xc100_0000n },
};

/** The tables of a kernel, somewhere in memory. */
export function kernelTables(
  symbols: readonly (readonly [offset: number, name: string])[],
  { late, width, base }: Layout,
): Buffer {
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

export const functions = (count: number) =>
  Array.from({ length: count }, (_, n) => [n * 64, `${n % 7 === 0 ? 'sys_' : 'do_'}work_${n}`] as const);
