// A small encoder for ACPI Machine Language (ACPI 6.4, chapter 20) and for resource templates (chapter 6.4): the part
// that the tables here need. Every function returns the encoded term; terms nest by concatenation. Invariant: names are
// four characters a segment (padded with '_'), optionally rooted with '\' and joined with '.'.

/** Encoded AML. */
export type Aml = Uint8Array;

const bytes = (...values: number[]): Aml => new Uint8Array(values);
const encoder = new TextEncoder();

/** Terms one after the other. */
export function terms(...parts: readonly Aml[]): Aml {
  let length = 0;
  for (let i = 0; i < parts.length; i++) length += parts[i]!.length;
  const result = new Uint8Array(length);
  let at = 0;
  for (let i = 0; i < parts.length; i++) {
    result.set(parts[i]!, at);
    at += parts[i]!.length;
  }
  return result;
}

/** `size` bytes, little-endian. */
export function little(value: number, size: number): Aml {
  const result = new Uint8Array(size);
  for (let i = 0, rest = value; i < size; i++, rest = Math.floor(rest / 256)) result[i] = rest;
  return result;
}

/** PkgLength (20.2.4): counts itself. */
function packageLength(content: number): Aml {
  for (let size = 1; size <= 4; size++) {
    const total = content + size;
    if (size === 1 && total < 0x40) return bytes(total);
    if (size > 1 && total < 2 ** (4 + 8 * (size - 1))) {
      return terms(bytes(((size - 1) << 6) | (total & 0xf)), little(total >>> 4, size - 1));
    }
  }
  throw new RangeError('AML package too long');
}

/** An opcode with a package length and its content. */
const packaged = (opcode: readonly number[], ...content: readonly Aml[]): Aml => {
  const body = terms(...content);
  return terms(bytes(...opcode), packageLength(body.length), body);
};

/** Names that were encoded before: a table has few, each often. Nobody writes into an encoded term. */
const names = new Map<string, Aml>();

/**
 * NameString (20.2.2), e.g. `\_SB.PCI0` or `_CRS`.
 * @throws RangeError if a segment is no AML name
 */
export function name(path: string): Aml {
  let encoded = names.get(path);
  if (encoded === undefined) {
    encoded = encodeName(path);
    names.set(path, encoded);
  }
  return encoded;
}

function encodeName(path: string): Aml {
  const rooted = path.startsWith('\\');
  const segments = path.slice(rooted ? 1 : 0).split('.');
  if (rooted && segments[0] === '') return bytes(0x5c, 0x00);
  const encoded = segments.map((segment) => {
    if (!/^[A-Z_][A-Z0-9_]{0,3}$/.test(segment)) throw new RangeError(`not an AML name: ${path}`);
    return encoder.encode(segment.padEnd(4, '_'));
  });
  const prefix = segments.length === 1 ? [] : segments.length === 2 ? [0x2e] : [0x2f, segments.length];
  return terms(bytes(...(rooted ? [0x5c] : []), ...prefix), ...encoded);
}

/** Shortest form of an integer (20.2.3); below 2^53. */
export function integer(value: number): Aml {
  if (value === 0 || value === 1) return bytes(value);
  if (value <= 0xff) return bytes(0x0a, value);
  if (value <= 0xffff) return terms(bytes(0x0b), little(value, 2));
  if (value <= 0xffffffff) return terms(bytes(0x0c), little(value, 4));
  return terms(bytes(0x0e), little(value, 8));
}

export const string = (text: string): Aml => terms(bytes(0x0d), encoder.encode(text), bytes(0));

/** Compressed EISA ID (6.1.5), e.g. PNP0A03: three letters in 5 bits each, four hex digits, big-endian. */
export function eisaId(id: string): Aml {
  if (!/^[A-Z]{3}[0-9A-F]{4}$/.test(id)) throw new RangeError(`not an EISA ID: ${id}`);
  const letters = [...id.slice(0, 3)].reduce((sum, letter) => (sum << 5) | (letter.charCodeAt(0) - 0x40), 0);
  const product = Number.parseInt(id.slice(3), 16);
  return bytes(0x0c, letters >> 8, letters & 0xff, product >> 8, product & 0xff);
}

/** A UUID in the order of bytes that ToUUID has (19.6.142). */
export function uuid(text: string): Aml {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)) throw new RangeError(`not a UUID: ${text}`);
  const [low, mid, high, ...rest] = text.split('-').map((part) => part.match(/../g)!.map((hex) => Number(`0x${hex}`)));
  return buffer(Uint8Array.from([...low!.reverse(), ...mid!.reverse(), ...high!.reverse(), ...rest.flat()]));
}

export const local = (n: number): Aml => bytes(0x60 + n);
export const arg = (n: number): Aml => bytes(0x68 + n);
export const nothing: Aml = bytes(0x00);

export const defineName = (path: string, value: Aml): Aml => terms(bytes(0x08), name(path), value);
export const scope = (path: string, ...content: readonly Aml[]): Aml => packaged([0x10], name(path), ...content);
/** A processor object without a P_BLK; deprecated since ACPI 6.0. */
export const processor = (path: string, id: number, ...content: readonly Aml[]): Aml =>
  packaged([0x5b, 0x83], name(path), bytes(id), little(0, 4), bytes(0), ...content);
export const device = (path: string, ...content: readonly Aml[]): Aml => packaged([0x5b, 0x82], name(path), ...content);
export const packageOf = (...elements: readonly Aml[]): Aml => packaged([0x12], bytes(elements.length), ...elements);
/** A package of `count` (0…255) elements that are not initialised. */
export const emptyPackage = (count: number): Aml => packaged([0x12], bytes(count));
export const buffer = (data: Aml): Aml => packaged([0x11], integer(data.length), data);

export function method(path: string, args: number, content: readonly Aml[], serialized = false): Aml {
  return packaged([0x14], name(path), bytes(args | (serialized ? 8 : 0)), ...content);
}

export const REGION_MEMORY = 0;
export const REGION_IO = 1;
export const REGION_PCI_CONFIG = 2;

export const operationRegion = (path: string, space: number, offset: number, length: number): Aml =>
  terms(bytes(0x5b, 0x80), name(path), bytes(space), integer(offset), integer(length));

/** Field access widths (19.6.48). */
export const ACCESS_BYTE = 1;
export const ACCESS_DWORD = 3;

/** Update rules of what is not written of an access unit; the third, ones, is not used here. */
export const PRESERVE = 0;
export const WRITE_AS_ZEROS = 2;

/** Named fields of a region, in bits, one after the other; those without a name are skipped. */
export function field(
  region: string,
  access: number,
  fields: readonly [string | undefined, number][],
  lock = false,
  update = PRESERVE,
): Aml {
  const units = fields.map(([path, bits]) =>
    terms(path === undefined ? bytes(0) : name(path), packageLengthOfBits(bits)),
  );
  return packaged([0x5b, 0x81], name(region), bytes(access | (lock ? 0x10 : 0) | (update << 5)), ...units);
}

/** A field's width has PkgLength's form but counts bits only. */
function packageLengthOfBits(bits: number): Aml {
  return bits < 0x40 ? bytes(bits) : terms(bytes(0x40 | (bits & 0xf)), little(bits >>> 4, 1));
}

export const createDWordField = (source: Aml, offset: number, path: string): Aml =>
  terms(bytes(0x8a), source, integer(offset), name(path));

export const store = (value: Aml, target: Aml): Aml => terms(bytes(0x70), value, target);
export const and = (a: Aml, b: Aml, target = nothing): Aml => terms(bytes(0x7b), a, b, target);
export const or = (a: Aml, b: Aml, target = nothing): Aml => terms(bytes(0x7d), a, b, target);
export const not = (a: Aml): Aml => terms(bytes(0x92), a);
export const add = (a: Aml, b: Aml, target = nothing): Aml => terms(bytes(0x72), a, b, target);
export const subtract = (a: Aml, b: Aml, target = nothing): Aml => terms(bytes(0x74), a, b, target);
export const increment = (target: Aml): Aml => terms(bytes(0x75), target);
export const shiftLeft = (a: Aml, count: Aml, target = nothing): Aml => terms(bytes(0x79), a, count, target);
export const shiftRight = (a: Aml, count: Aml, target = nothing): Aml => terms(bytes(0x7a), a, count, target);
export const logicalAnd = (a: Aml, b: Aml): Aml => terms(bytes(0x90), a, b);
export const logicalOr = (a: Aml, b: Aml): Aml => terms(bytes(0x91), a, b);
export const equal = (a: Aml, b: Aml): Aml => terms(bytes(0x93), a, b);
export const greater = (a: Aml, b: Aml): Aml => terms(bytes(0x94), a, b);
export const less = (a: Aml, b: Aml): Aml => terms(bytes(0x95), a, b);
export const when = (condition: Aml, ...content: readonly Aml[]): Aml => packaged([0xa0], condition, ...content);
export const otherwise = (...content: readonly Aml[]): Aml => packaged([0xa1], ...content);
export const loop = (condition: Aml, ...content: readonly Aml[]): Aml => packaged([0xa2], condition, ...content);
export const leaveLoop: Aml = bytes(0xa5);
export const index = (source: Aml, at: Aml): Aml => terms(bytes(0x88), source, at, nothing);
export const derefOf = (reference: Aml): Aml => terms(bytes(0x83), reference);
export const sizeOf = (source: Aml): Aml => terms(bytes(0x87), source);
export const toBuffer = (source: Aml, target: Aml): Aml => terms(bytes(0x96), source, target);
export const toHexString = (source: Aml, target: Aml): Aml => terms(bytes(0x98), source, target);
export const debugObject: Aml = bytes(0x5b, 0x31);
export const mutex = (path: string): Aml => terms(bytes(0x5b, 0x01), name(path), bytes(0));
/** Wait for a mutex without a time limit. */
export const acquire = (path: string): Aml => terms(bytes(0x5b, 0x23), name(path), little(0xffff, 2));
export const release = (path: string): Aml => terms(bytes(0x5b, 0x27), name(path));
export const notify = (target: Aml, value: Aml): Aml => terms(bytes(0x86), target, value);
export const returns = (value: Aml): Aml => terms(bytes(0xa4), value);
export const call = (path: string, ...args: readonly Aml[]): Aml => terms(name(path), ...args);

/** A buffer of resource descriptors with its end tag; the checksum 0 means "not used" (6.4.2.9). */
export const resourceTemplate = (...descriptors: readonly Aml[]): Aml =>
  buffer(terms(...descriptors, bytes(0x79, 0x00)));

/** I/O ports, 16-bit decode (6.4.2.5). */
export const ioPorts = (minimum: number, length: number, alignment = 1, maximum = minimum): Aml =>
  terms(bytes(0x47, 0x01), little(minimum, 2), little(maximum, 2), bytes(alignment, length));

/** ISA DMA channel: compatibility mode, 8 bits, no bus master (6.4.2.3). */
export const isaDma = (channel: number): Aml => bytes(0x2a, 1 << channel, 0);

/** ISA interrupt, edge and active high (6.4.2.1). */
export const irqNoFlags = (irq: number): Aml => terms(bytes(0x22), little(1 << irq, 2));

/** Memory of fixed place (6.4.3.4). */
export const memory32Fixed = (address: number, length: number, writable: boolean): Aml =>
  terms(bytes(0x86, 9, 0, writable ? 1 : 0), little(address, 4), little(length, 4));

/** Interrupts, level and active high, shared, for a consumer (6.4.3.6). */
export const interrupts = (...numbers: readonly number[]): Aml =>
  terms(
    bytes(0x89),
    little(2 + 4 * numbers.length, 2),
    bytes(0x09, numbers.length),
    ...numbers.map((number) => little(number, 4)),
  );

/** One interrupt of its own for a consumer, active high (6.4.3.6). */
export const ownInterrupt = (number: number, edge: boolean): Aml =>
  terms(bytes(0x89, 6, 0, edge ? 0x03 : 0x01, 1), little(number, 4));

const ADDRESS_SPACE = { 2: 0x88, 4: 0x87, 8: 0x8a } as const;
const RESOURCE_MEMORY = 0;
const RESOURCE_IO = 1;
const RESOURCE_BUS = 2;

/** A produced window of fixed limits (6.4.3.5); `width` is that of its address fields in bytes. */
function addressSpace(width: 2 | 4 | 8, type: number, flags: number, first: number, last: number): Aml {
  const fields = [0, first, last, 0, last - first + 1].map((value) => little(value, width));
  const general = 0x0c; // minimum and maximum fixed, positive decode, producer
  return terms(bytes(ADDRESS_SPACE[width]), little(3 + 5 * width, 2), bytes(type, general, flags), ...fields);
}

export const busNumbers = (first: number, last: number): Aml => addressSpace(2, RESOURCE_BUS, 0, first, last);
/** Type-specific flags 3: both ISA and non-ISA ranges. */
export const ioWindow = (first: number, last: number): Aml => addressSpace(2, RESOURCE_IO, 3, first, last);
/** Read-write memory window, cacheable or not. */
export const memoryWindow = (first: number, last: number, cacheable: boolean): Aml =>
  addressSpace(last > 0xffffffff ? 8 : 4, RESOURCE_MEMORY, cacheable ? 3 : 1, first, last);
