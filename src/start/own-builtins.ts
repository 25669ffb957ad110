// What a short boot uses of Node's modules, without the modules: setting a flag of V8's, a check sum, SHA-256 and brotli
// are functions of Node's own code, and behind `node:v8`, `node:crypto` and `node:zlib` come forty more modules (streams,
// keys, certificates), most of which Node compiles anew in each process.
//
// Node promises nothing about these functions. So the build tries them (`tried`), and the launcher takes them with exactly
// the Node that built (kept-file.ts does the same with compiled code); any other Node has the modules.
//
// Invariant: what they give is what the modules give. What they cannot do is left to the modules.

import type { BrotliOptions } from 'node:zlib';

type Bytes = Uint8Array | string;

/** As far as they are used. */
interface Bindings {
  v8: { setFlagsFromString(flag: string): void };
  zlib: {
    crc32(data: Uint8Array, before: number): number;
    BrotliEncoder: new (mode: number) => BrotliHandle;
  };
  constants: { zlib: Record<string, number> };
  crypto: {
    Hash: new (of: string | HashHandle, length: undefined, id: number, aliases?: object) => HashHandle;
    getCachedAliases(): Record<string, number>;
  };
}
interface BrotliHandle {
  onerror: () => void;
  init(parameters: Uint32Array, state: Uint32Array, done: () => void): unknown;
  // biome-ignore format: one line
  writeSync(flush: number, from: Uint8Array, fromAt: number, length: number, to: Uint8Array, toAt: number, room: number): void;
  close(): void;
}
interface HashHandle {
  update(data: Bytes, encoding?: string): boolean;
  digest(encoding?: string): Buffer | string;
}

/** The functions, by the names that the modules have for them. */
export interface OwnBuiltins {
  setFlagsFromString(flag: string): void;
  crc32(data: Uint8Array, before?: number): number;
  createHash(algorithm: string): OwnHash;
  readonly constants: Record<string, number>;
  /** Undefined where the module has to do it. */
  brotliCompressSync(data: Uint8Array, options: BrotliOptions): Buffer | undefined;
}

const SLOT = Symbol.for('vmreplay.own-builtins');
const slot = globalThis as { [SLOT]?: OwnBuiltins | undefined };

/** The functions, if the launcher took them. Launcher and program are two scripts: the slot is the process'. */
export const ownBuiltins = (): OwnBuiltins | undefined => slot[SLOT];

/** Have them used in this process, if there are such. */
export function takeOwnBuiltins(): void {
  try {
    slot[SLOT] = find();
  } catch {
    // The modules will do.
  }
}

/** What the build asks for in a process of its own: whether they do as the modules do. */
export function tried(): boolean {
  const own = find();
  const { createHash } = process.getBuiltinModule('node:crypto');
  const { brotliCompressSync, constants, crc32 } = process.getBuiltinModule('node:zlib');
  const text = 'a text that says a thing more than once, a thing more than once';
  const data = Buffer.from(text);
  own.setFlagsFromString('--flush-bytecode');
  const hash = own.createHash('sha256').update(text);
  const known = createHash('sha256').update(text);
  return (
    own.crc32(data, 7) === crc32(data, 7) &&
    hash.copy().digest('hex') === known.copy().digest('hex') &&
    hash.update(data).digest().equals(known.update(data).digest()) &&
    own.constants.BROTLI_PARAM_LGWIN === constants.BROTLI_PARAM_LGWIN &&
    [1, 4, 9].every((quality) => {
      const options = { params: { 1: quality, 2: 16, 5: data.length } };
      return own.brotliCompressSync(data, options)?.equals(brotliCompressSync(data, options)) === true;
    })
  );
}

/** Node warns of what only the public modules are for; that is not for a user's eyes. */
function binding<N extends keyof Bindings>(name: N): Bindings[N] {
  const flags = process as { noDeprecation?: boolean; binding?(name: string): unknown };
  const before = flags.noDeprecation;
  flags.noDeprecation = true;
  try {
    return flags.binding!(name) as Bindings[N];
  } finally {
    if (before === undefined) delete flags.noDeprecation;
    else flags.noDeprecation = before;
  }
}

/** Ones that brotli's parameters are as they are unless they are given. */
const PARAMETERS = 9;
const ENCODE = 9;
const FINISH = 2;
/** Larger payloads pay for the module. */
const MOST = 0x1_0000;

function find(): OwnBuiltins {
  const { setFlagsFromString } = binding('v8');
  const { crc32, BrotliEncoder } = binding('zlib');
  const { Hash, getCachedAliases } = binding('crypto');
  for (const part of [setFlagsFromString, crc32, BrotliEncoder, Hash, getCachedAliases])
    if (typeof part !== 'function') throw new TypeError('this Node has no such function');
  let aliases: Record<string, number> | undefined;
  const createHash = (algorithm: string): OwnHash => {
    aliases ??= getCachedAliases();
    return new OwnHash(
      new Hash(algorithm, undefined, aliases[algorithm] ?? -1, aliases),
      (from) => new Hash(from, undefined, -1),
    );
  };
  return {
    setFlagsFromString,
    crc32: (data, before = 0) => crc32(data, before),
    createHash,
    constants: binding('constants').zlib,
    brotliCompressSync(data, { params = {} }) {
      if (data.length === 0 || data.length > MOST) return undefined;
      const parameters = new Uint32Array(PARAMETERS).fill(0xffff_ffff);
      for (const [key, value] of Object.entries(params)) parameters[Number(key)] = Number(value);
      const state = new Uint32Array(2);
      const handle = new BrotliEncoder(ENCODE);
      let failed = false;
      handle.onerror = () => {
        failed = true;
      };
      if (handle.init(parameters, state, () => {}) === false) return undefined;
      // More than brotli makes of what it cannot compress.
      const room = Buffer.allocUnsafe(data.length + 1024);
      handle.writeSync(FINISH, data, 0, data.length, room, 0, room.length);
      handle.close();
      const [left, unread] = state as unknown as [number, number];
      return failed || left === 0 || unread !== 0 ? undefined : Buffer.from(room.subarray(0, room.length - left));
    },
  };
}

/** A hash as `node:crypto` has it. */
export class OwnHash {
  constructor(
    private readonly handle: HashHandle,
    private readonly again: (of: HashHandle) => HashHandle,
  ) {}

  update(data: Bytes): this {
    if (!this.handle.update(data, typeof data === 'string' ? 'utf8' : undefined)) throw new Error('no hash of that');
    return this;
  }
  digest(): Buffer;
  digest(encoding: string | undefined): Buffer | string;
  digest(encoding?: string): Buffer | string {
    return this.handle.digest(encoding === 'buffer' ? undefined : encoding);
  }
  copy(): OwnHash {
    return new OwnHash(this.again(this.handle), this.again);
  }
}
