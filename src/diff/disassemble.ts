// Instructions in reports, through iced-x86 (a wasm disassembler). It is a few megabytes, so it is loaded when the
// first report needs it and never on the way of a recording or replay.

import { createRequire } from 'node:module';
import type { SiteCode } from '../trace/sink.js';

type Iced = typeof import('iced-x86');

let iced: Iced | undefined;

export interface Disassembly {
  /** Intel syntax; '(bad)' when the bytes are no instruction. */
  readonly text: string;
  /** The instruction's own bytes, as hexadecimal text. */
  readonly bytes: string;
}

/** Disassemble the one instruction at `rip`. */
export function disassemble(code: SiteCode, rip: bigint): Disassembly {
  iced ??= createRequire(import.meta.url)('iced-x86') as Iced;
  const decoder = new iced.Decoder(code.bits, code.bytes, iced.DecoderOptions.None);
  const formatter = new iced.Formatter(iced.FormatterSyntax.Intel);
  try {
    decoder.ip = rip;
    const instruction = decoder.decode();
    try {
      if (instruction.isInvalid) return { text: '(bad)', bytes: Buffer.from(code.bytes).toString('hex') };
      formatter.spaceAfterOperandSeparator = true;
      formatter.hexPrefix = '0x';
      formatter.hexSuffix = '';
      formatter.uppercaseHex = false;
      const bytes = Buffer.from(code.bytes.subarray(0, instruction.length)).toString('hex');
      return { text: formatter.format(instruction), bytes };
    } finally {
      instruction.free();
    }
  } finally {
    decoder.free();
    formatter.free();
  }
}
