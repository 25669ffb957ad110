// Which opcode row some code is, and which flags its manual page leaves undefined.

import type { CpuModel } from '../../../src/cpu/cpuid.js';
import { DECODE_OK, Decoder } from '../../../src/cpu/decode.js';
import { VariantTable } from '../../../src/cpu/interp/variants.js';
import type { Row } from '../../../src/cpu/isa/row.js';
import { allRows } from '../../../src/cpu/isa/rows.js';
import { OpcodeTable } from '../../../src/cpu/isa/table.js';
import type { Bits } from './single-step.js';

const FLAG_BITS: Readonly<Record<string, number>> = { O: 0x800, S: 0x80, Z: 0x40, A: 0x10, P: 4, C: 1 };

/** EFLAGS bits that an instruction of this row leaves undefined. */
export function undefinedFlags(row: Row | undefined): number {
  let mask = 0;
  for (const letter of row?.options.undefined ?? '') mask |= FLAG_BITS[letter]!;
  return mask;
}

const names = new Map<Row, string>();

/** Name of a row in reports. */
export function rowName(row: Row): string {
  let name = names.get(row);
  if (name === undefined) {
    const operands = row.operands.map((o) => o.text).join(',');
    name = `${row.encoding} ${row.mnemonic}${operands === '' ? '' : ` ${operands}`}`;
    names.set(row, name);
  }
  return name;
}

export class RowFinder {
  private readonly decoder: Decoder;

  constructor(model: CpuModel) {
    const table = new OpcodeTable(allRows, (feature) => model.has(feature as never));
    this.decoder = new Decoder(table, new VariantTable(allRows));
  }

  /** The row that the code decodes to; undefined when that is #UD. */
  find(code: Uint8Array, bits: Bits): Row | undefined {
    const padded = new Uint8Array(32);
    padded.set(code);
    const status = this.decoder.decode(padded, 0, 32, { bits, flat: 0 }, 0, false);
    return status === DECODE_OK ? this.decoder.out.row : undefined;
  }
}
