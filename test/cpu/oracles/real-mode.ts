// Real-mode cases of early processors against the model: registers, the flags that the opcode row defines, and all bytes
// that either side changed. What differs is excused only by early-processors.ts.

import type { CpuModel } from '../../../src/cpu/cpuid.js';
import type { Row } from '../../../src/cpu/isa/row.js';
import { DIFFERENCES, type EarlyProcessor, type RealCase, type Relaxed } from './early-processors.js';
import type { RealVector } from './moo.js';
import { RowFinder, rowName, undefinedFlags } from './rows.js';
import { type RealRegister, SingleStep } from './single-step.js';

/** Flags that are compared: without the reserved ones and without IOPL and NT. */
const FLAGS = 0xfd5;
const KEPT_FLAGS = 0xfff;
/** Where handlers are put that a case does not know of: the exceptions that an 8086 does not have. */
const HANDLER_SEGMENT = 0xfeed;
const LATER_EXCEPTIONS = [6, 12, 13];
const PREFIXES = [0x26, 0x2e, 0x36, 0x3e, 0xf0, 0xf1, 0xf2, 0xf3];
const LOCK = 0xf0;
const [SS_PREFIX, DS_PREFIX] = [0x36, 0x3e];

export interface Verdict {
  readonly row: Row | undefined;
  /** What differs; empty when nothing does or a named difference explains it. */
  readonly found: readonly string[];
  /** Name of the difference that explains it. */
  readonly reason?: string;
}

export class RealModeOracle {
  private readonly machine: SingleStep;
  private readonly finder: RowFinder;
  private raised: number | undefined;

  constructor(
    model: CpuModel,
    private readonly processor: EarlyProcessor,
  ) {
    this.machine = new SingleStep(model);
    this.finder = new RowFinder(model);
    // An 8086 has 20 address lines.
    this.machine.cpu.setA20(processor !== '8086');
  }

  judge(vector: RealVector): Verdict {
    const row = this.finder.find(vector.bytes, 16);
    const found = this.compare(vector, row);
    if (found.length === 0) return { row, found };
    const prefixes = [
      ...vector.bytes.subarray(
        0,
        vector.bytes.findIndex((byte) => !PREFIXES.includes(byte)),
      ),
    ];
    const opcode = vector.bytes[prefixes.length]!;
    const modrm = vector.bytes[prefixes.length + 1] ?? 0;
    const adjusted = this.adjust(vector);
    const adjustedRow = this.finder.find(adjusted.bytes, 16);
    const real: RealCase = { vector, row: adjustedRow, prefixes, opcode, modrm, raised: this.raised };
    for (const { name, applies, relaxed } of DIFFERENCES[this.processor]) {
      if (!applies(real)) continue;
      if (relaxed === undefined || this.compare(adjusted, adjustedRow, relaxed).length === 0) {
        return { row: adjustedRow, found: [], reason: name };
      }
    }
    return { row, found };
  }

  /** The case as a later processor takes it: without LOCK, and interrupt 12 goes where interrupt 13 goes. */
  private adjust(vector: RealVector): RealVector {
    const { before } = vector;
    const memory = new Map(before.memory);
    if (vector.exception === 13) for (let i = 0; i < 4; i++) memory.set(48 + i, memory.get(52 + i) ?? 0);
    const bytes = this.withoutLock(vector.bytes);
    const at = before.registers.cs * 16;
    bytes.forEach((byte, i) => {
      if (byte !== vector.bytes[i]) memory.set(at + ((before.registers.ip + i) & 0xffff), byte);
    });
    return { ...vector, bytes, before: { registers: before.registers, memory: [...memory] } };
  }

  /** LOCK replaced by a prefix that changes nothing: the one in force, or the default segment's. */
  private withoutLock(bytes: Uint8Array): Uint8Array {
    const others = bytes.findIndex((byte) => !PREFIXES.includes(byte));
    const prefixes = [...bytes.subarray(0, others)];
    const segment = prefixes.findLast((prefix) => prefix !== LOCK && (prefix & 0xe7) === 0x26);
    const plain = bytes.map((byte, i) => (i < others && byte === LOCK ? (segment ?? DS_PREFIX) : byte));
    const row = this.finder.find(plain, 16);
    const modrm = bytes[others + 1] ?? 0;
    const [mod, rm] = [modrm >> 6, modrm & 7];
    const onStack = row?.hasModrm === true && mod !== 3 && (rm === 2 || rm === 3 || (rm === 6 && mod !== 0));
    if (segment !== undefined || !onStack) return plain;
    return bytes.map((byte, i) => (i < others && byte === LOCK ? SS_PREFIX : byte));
  }

  private compare({ before, after, exception }: RealVector, row: Row | undefined, relaxed: Relaxed = {}): string[] {
    const undefinedBits = undefinedFlags(row);
    const given = { ...before.registers, flags: before.registers.flags & KEPT_FLAGS };
    const expected = { ...given, ...after.registers };
    const memory = new Map([...before.memory, ...after.memory]);
    const early = this.processor === '8086';
    const found: string[] = [];
    const differ = (name: string, got: number, want: number, mask: number) => {
      if (((got ^ want) & mask) !== 0) found.push(`${name} ${got.toString(16)} for ${want.toString(16)}`);
    };
    const handlers = early ? LATER_EXCEPTIONS.flatMap((n) => handler(n)) : [];
    this.raised = undefined;
    try {
      const outcome = this.machine.runReal(given, [...handlers, ...before.memory], early ? 'next' : 'halt');
      if (outcome.registers.cs === HANDLER_SEGMENT) this.raised = outcome.registers.ip;
      for (const [name, value] of Object.entries(expected) as [RealRegister, number][]) {
        const mask = name === 'flags' ? FLAGS & ~undefinedBits : 0xffff;
        differ(name, outcome.registers[name], value, mask & (relaxed.registers?.[name] ?? 0xffff));
      }
      const onStack = (offset: number) => (expected.ss * 16 + ((expected.sp + offset) & 0xffff)) & this.addresses;
      const pushed = exception !== undefined || (early && expected.sp === ((given.sp - 6) & 0xffff));
      const image = row?.mnemonic === 'PUSHF' ? 0 : pushed ? 4 : undefined;
      const [flagsLow, flagsHigh] = image === undefined ? [] : [onStack(image), onStack(image + 1)];
      const ignored = relaxed.memory === 'return-address' ? [onStack(0), onStack(1)] : [];
      for (const [address, value] of memory) {
        if (relaxed.memory === 'all' || ignored.includes(address)) continue;
        let mask = 0xff;
        if (address === flagsLow) mask &= ~undefinedBits;
        if (address === flagsHigh) mask &= (KEPT_FLAGS & ~undefinedBits) >> 8;
        differ(`[${address.toString(16)}]`, outcome.byte(address), value, mask);
      }
    } catch (error) {
      found.push(String(error));
    }
    this.machine.clearReal([...memory.keys(), ...handlers.map(([address]) => address)]);
    return found;
  }

  private get addresses(): number {
    return this.processor === '8086' ? 0xf_ffff : 0xff_ffff;
  }
}

/** An interrupt vector that names itself. */
const handler = (n: number): [number, number][] => [
  [n * 4, n],
  [n * 4 + 1, 0],
  [n * 4 + 2, HANDLER_SEGMENT & 0xff],
  [n * 4 + 3, HANDLER_SEGMENT >> 8],
];

/** A case in words, for reports. */
export function describe(vector: RealVector, verdict: Verdict): string {
  const { registers, memory } = vector.before;
  const name = verdict.row === undefined ? '#UD' : rowName(verdict.row);
  const bytes = Buffer.from(vector.bytes).toString('hex');
  const state = JSON.stringify({ registers, exception: vector.exception, memory, hash: vector.hash });
  return `${vector.name} (${bytes}, ${name}): ${verdict.found.join(', ')}, with ${state}`;
}
