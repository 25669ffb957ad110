// A msgpack decoder written from the specification, not from our writer: it knows no extension, and refuses every
// form that is not the shortest, maps whose keys are not strings in ascending UTF-8 order, and bytes left over.

export function decodeMsgpack(bytes: Uint8Array): unknown {
  const decoder = new Decoder(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
  const value = decoder.value();
  if (decoder.at !== bytes.length) throw new Error('bytes are left over');
  return value;
}

class Decoder {
  at = 0;
  constructor(readonly bytes: Buffer) {}

  value(): unknown {
    const tag = this.bytes.readUInt8(this.at++);
    if (tag < 0x80) return BigInt(tag);
    if (tag >= 0xe0) return BigInt(tag - 0x100);
    if (tag < 0x90) return this.map(tag & 15);
    if (tag < 0xa0) return this.array(tag & 15);
    if (tag < 0xc0) return this.string(tag & 31);
    switch (tag) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return this.binary(this.unsigned(1, 0n));
      case 0xc5:
        return this.binary(this.unsigned(2, 0x100n));
      case 0xc6:
        return this.binary(this.unsigned(4, 0x1_0000n));
      case 0xcb:
        this.at += 8;
        return this.bytes.readDoubleBE(this.at - 8);
      case 0xcc:
        return this.unsigned(1, 0x80n);
      case 0xcd:
        return this.unsigned(2, 0x100n);
      case 0xce:
        return this.unsigned(4, 0x1_0000n);
      case 0xcf:
        return this.unsigned(8, 1n << 63n);
      case 0xd0:
        return this.negative(1, -33n);
      case 0xd1:
        return this.negative(2, -129n);
      case 0xd2:
        return this.negative(4, -0x8001n);
      case 0xd3:
        return this.long();
      case 0xd9:
        return this.string(Number(this.unsigned(1, 32n)));
      case 0xda:
        return this.string(Number(this.unsigned(2, 0x100n)));
      case 0xdb:
        return this.string(Number(this.unsigned(4, 0x1_0000n)));
      case 0xdc:
        return this.array(Number(this.unsigned(2, 16n)));
      case 0xde:
        return this.map(Number(this.unsigned(2, 16n)));
      default:
        throw new Error(`tag 0x${tag.toString(16)} is not allowed`);
    }
  }

  unsigned(size: number, least: bigint): bigint {
    let value = 0n;
    for (let i = 0; i < size; i++) value = (value << 8n) | BigInt(this.bytes.readUInt8(this.at++));
    if (value < least) throw new Error(`${value} has a shorter form`);
    return value;
  }

  negative(size: number, most: bigint): bigint {
    const value = BigInt.asIntN(size * 8, this.unsigned(size, 0n));
    if (value > most) throw new Error(`${value} has a shorter form`);
    return value;
  }

  /** int 64: numbers past 32 bits on either side. */
  long(): bigint {
    const value = BigInt.asIntN(64, this.unsigned(8, 0n));
    if (value >= -0x8000_0000n && value <= 0xffff_ffffn) throw new Error(`${value} has a shorter form`);
    return value;
  }

  binary(length: bigint): Uint8Array {
    this.at += Number(length);
    return Uint8Array.from(this.bytes.subarray(this.at - Number(length), this.at));
  }

  string(length: number): string {
    this.at += length;
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      this.bytes.subarray(this.at - length, this.at),
    );
  }

  array(length: number): unknown[] {
    return Array.from({ length }, () => this.value());
  }

  map(length: number): Record<string, unknown> {
    const entries: [string, unknown][] = [];
    let last: Buffer | undefined;
    for (let i = 0; i < length; i++) {
      const name = this.value();
      if (typeof name !== 'string') throw new Error('a key is not a string');
      const key = Buffer.from(name);
      if (last && Buffer.compare(last, key) >= 0) throw new Error('keys are not in order');
      last = key;
      entries.push([name, this.value()]);
    }
    return Object.fromEntries(entries);
  }
}
