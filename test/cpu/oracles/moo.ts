// Files of the SingleStepTests sets: MOO, a format of nested chunks (four letters, u32 length, content).
//
// Read is what the comparison needs: text and bytes of the instruction, the state before, what is different after, and
// the exception taken. Bus cycles are left out. Everything is bounded by the chunk that it lies in.

import type { RealRegister } from './single-step.js';

export interface RealState {
  readonly registers: Readonly<Partial<Record<RealRegister, number>>>;
  /** Address, byte. */
  readonly memory: readonly (readonly [number, number])[];
}

export interface RealVector {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** All registers. */
  readonly before: RealState & { readonly registers: Readonly<Record<RealRegister, number>> };
  /** Registers and bytes that may have changed. */
  readonly after: RealState;
  /** Vector of the exception taken. */
  readonly exception?: number;
  /** What the set calls this case. */
  readonly hash?: string;
}

/** Registers as the bits of a mask name them. */
const REGISTERS: readonly RealRegister[] = 'ax bx cx dx cs ss ds es sp bp si di ip flags'.split(' ') as RealRegister[];

interface Chunk {
  readonly name: string;
  readonly content: DataView;
}

function* chunks(view: DataView, from = 0): Generator<Chunk> {
  for (let at = from; at + 8 <= view.byteLength; ) {
    const length = view.getUint32(at + 4, true);
    if (at + 8 + length > view.byteLength) throw new Error(`a chunk at ${at} runs over the end of what it lies in`);
    const name = String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(at + i)));
    yield { name, content: new DataView(view.buffer, view.byteOffset + at + 8, length) };
    at += 8 + length;
  }
}

const bytesOf = (view: DataView) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

function registersOf(view: DataView): RealState['registers'] {
  const mask = view.getUint16(0, true);
  const registers: Partial<Record<RealRegister, number>> = {};
  let at = 2;
  REGISTERS.forEach((name, n) => {
    if ((mask & (1 << n)) === 0) return;
    registers[name] = view.getUint16(at, true);
    at += 2;
  });
  return registers;
}

function stateOf(view: DataView): RealState {
  let registers: RealState['registers'] = {};
  const memory: [number, number][] = [];
  for (const { name, content } of chunks(view)) {
    if (name === 'REGS') registers = registersOf(content);
    if (name !== 'RAM ') continue;
    const count = content.getUint32(0, true);
    for (let i = 0; i < count; i++) memory.push([content.getUint32(4 + 5 * i, true), content.getUint8(8 + 5 * i)]);
  }
  return { registers, memory };
}

function vectorOf(view: DataView): RealVector {
  const parts = new Map([...chunks(view, 4)].map((chunk) => [chunk.name, chunk.content]));
  const part = (name: string): DataView => {
    const content = parts.get(name);
    if (content === undefined) throw new Error(`a test without ${name}`);
    return content;
  };
  const exception = parts.get('EXCP');
  const hash = parts.get('HASH');
  return {
    name: new TextDecoder().decode(bytesOf(part('NAME')).subarray(4)),
    bytes: bytesOf(part('BYTS')).slice(4),
    before: stateOf(part('INIT')) as RealVector['before'],
    after: stateOf(part('FINA')),
    ...(exception === undefined ? {} : { exception: exception.getUint8(0) }),
    ...(hash === undefined ? {} : { hash: Buffer.from(bytesOf(hash)).toString('hex') }),
  };
}

/** The tests of a file, those that `take` wants by their place in it. @throws Error when it is no MOO file */
export function* readMoo(file: Uint8Array, take: (index: number) => boolean = () => true): Generator<RealVector> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  let index = 0;
  let first = true;
  for (const { name, content } of chunks(view)) {
    if (first && name !== 'MOO ') throw new Error('not a MOO file');
    first = false;
    if (name === 'TEST' && take(index++)) yield vectorOf(content);
  }
}

/** How many tests a file has. */
export function countMoo(file: Uint8Array): number {
  let count = 0;
  for (const { name } of chunks(new DataView(file.buffer, file.byteOffset, file.byteLength)))
    if (name === 'TEST') count++;
  return count;
}
