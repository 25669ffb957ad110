// Instructions in reports, through iced-x86 (a wasm disassembler). It is a few megabytes, so it is loaded when the
// first report needs it and never on the way of a recording or replay.
// Invariant: wasm objects are freed where they were made.

import { createRequire } from 'node:module';
import type { SiteCode } from '../trace/sink.js';

type Iced = typeof import('iced-x86');
type Instruction = InstanceType<Iced['Instruction']>;

let iced: Iced | undefined;

const load = (): Iced => {
  iced ??= createRequire(import.meta.url)('iced-x86') as Iced;
  return iced;
};

export interface Disassembly {
  /** Intel syntax; '(bad)' when the bytes are no instruction. */
  readonly text: string;
  /** The instruction's own bytes, as hexadecimal text. */
  readonly bytes: string;
}

/** Memory that an instruction reads or writes. Registers by their number in the encoding, undefined for none. */
export interface MemoryOperand {
  /** es, cs, ss, ds, fs, gs: 0 to 5. */
  readonly segment: number;
  readonly base: number | undefined;
  /** The base is the instruction pointer, and the displacement has the address already. */
  readonly ipRelative: boolean;
  readonly index: number | undefined;
  readonly scale: number;
  readonly displacement: bigint;
  /** Bits that count of the sum. */
  readonly addressBits: 16 | 32 | 64;
  /** Bytes; of a repeated instruction those of one iteration. */
  readonly size: number;
  readonly reads: boolean;
  readonly writes: boolean;
  /** Of a string instruction: it goes on from here. */
  readonly repeats: boolean;
}

/** Disassemble the one instruction at `rip`. */
export function disassemble(code: SiteCode, rip: bigint): Disassembly {
  const { FormatterSyntax, Formatter } = load();
  const bad = { text: '(bad)', bytes: Buffer.from(code.bytes).toString('hex') };
  return withInstruction(code, rip, bad, (instruction) => {
    const formatter = new Formatter(FormatterSyntax.Intel);
    try {
      formatter.spaceAfterOperandSeparator = true;
      formatter.hexPrefix = '0x';
      formatter.hexSuffix = '';
      formatter.uppercaseHex = false;
      const bytes = Buffer.from(code.bytes.subarray(0, instruction.length)).toString('hex');
      return { text: formatter.format(instruction), bytes };
    } finally {
      formatter.free();
    }
  });
}

/** Bytes of the instruction; 0 when the bytes are none. */
export const instructionLength = (code: SiteCode, rip: bigint): number =>
  withInstruction(code, rip, 0, ({ length }) => length);

/** How code goes on behind an instruction; length 0 when the bytes are none. */
export function codeStep(code: SiteCode, rip: bigint): { length: number; target: bigint | undefined; goesOn: boolean } {
  const { FlowControl } = load();
  return withInstruction(code, rip, { length: 0, target: undefined, goesOn: false }, (instruction) => {
    const { flowControl, length } = instruction;
    const direct = [FlowControl.UnconditionalBranch, FlowControl.ConditionalBranch, FlowControl.Call];
    const ends = [FlowControl.UnconditionalBranch, FlowControl.IndirectBranch, FlowControl.Return];
    const near = instruction.isJmpShortOrNear || instruction.isJccShortOrNear || instruction.isCallNear;
    return {
      length,
      target: near && direct.includes(flowControl) ? instruction.nearBranchTarget : undefined,
      goesOn: !ends.includes(flowControl),
    };
  });
}

/** The memory that the instruction says it uses, implied operands included. */
export function memoryOperands(code: SiteCode, rip: bigint): MemoryOperand[] {
  const { InstructionInfoFactory, MemorySizeExt, OpAccess, Register, RegisterExt } = load();
  return withInstruction(code, rip, [], (instruction) => {
    const factory = new InstructionInfoFactory();
    const info = factory.info(instruction);
    const used = info.usedMemory();
    try {
      return used.map((memory) => {
        const { access, base, index, segment } = memory;
        const isIp = base === Register.RIP || base === Register.EIP;
        const wide = base !== Register.None && !isIp ? base : index;
        const bits = isIp || wide === Register.None ? code.bits : RegisterExt.size(wide) * 8;
        const number = (register: number) =>
          register === Register.None || isIp ? undefined : RegisterExt.number(register);
        return {
          segment: Math.max(segment - Register.ES, 0),
          base: isIp ? undefined : number(base),
          ipRelative: isIp,
          index: index === Register.None ? undefined : RegisterExt.number(index),
          scale: memory.scale,
          displacement: memory.displacement,
          addressBits: (bits === 16 ? 16 : bits === 32 ? 32 : 64) as 16 | 32 | 64,
          // Of a repeated instruction the whole has no size that is known beforehand.
          size: MemorySizeExt.size(memory.memorySize) || MemorySizeExt.size(instruction.memorySize),
          reads: access !== OpAccess.Write && access !== OpAccess.CondWrite && access !== OpAccess.NoMemAccess,
          writes: access !== OpAccess.Read && access !== OpAccess.CondRead && access !== OpAccess.NoMemAccess,
          repeats: instruction.hasRepPrefix || instruction.hasRepnePrefix,
        };
      });
    } finally {
      for (const memory of used) memory.free();
      info.free();
      factory.free();
    }
  });
}

function withInstruction<T>(code: SiteCode, rip: bigint, bad: T, body: (instruction: Instruction) => T): T {
  const { Decoder, DecoderOptions } = load();
  const decoder = new Decoder(code.bits, code.bytes, DecoderOptions.None);
  try {
    decoder.ip = rip;
    const instruction = decoder.decode();
    try {
      return instruction.isInvalid ? bad : body(instruction);
    } finally {
      instruction.free();
    }
  } finally {
    decoder.free();
  }
}
