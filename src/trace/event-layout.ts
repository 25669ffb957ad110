// Which fields of an event stand in its symbol and which in columns; the one place where writer and reader agree on
// it (FORMAT.md, section "Events"). A symbol is what repeats: kind, access size, cs, and as far as the kind allows
// rip, address and name. Everything else is an operand of the event, in a column of its own for each symbol.

import { KIND_BY_ID, type KindRow, MAX_CHECK_DATA } from './events.js';

/** How a kind is laid out. Operands stand in the order of the flags here. */
export interface KindLayout {
  readonly row: KindRow;
  /** Operand: rip's low half minus that of the event before it. Otherwise the whole rip is in the symbol. */
  readonly ripOperand: boolean;
  /** Where the address is: in the symbol, as an operand, or the page in the symbol and the offset as an operand. */
  readonly address: 'none' | 'symbol' | 'operand' | 'paged';
  readonly value: boolean;
  readonly valueHigh: boolean;
  /** Operand: length of the data. */
  readonly length: boolean;
}

export const PAGE = 4096;

function layoutOf(row: KindRow): KindLayout {
  const physical = row.sited ? 'paged' : 'operand';
  return {
    row,
    ripOperand: !row.sited,
    address: row.address === 'none' ? 'none' : row.address === 'physical' ? physical : 'symbol',
    value: row.value !== 'none',
    valueHigh: row.value === 'u64',
    length: row.data === 'bytes',
  };
}

/** Layouts by kind id. */
export const LAYOUTS: readonly (KindLayout | undefined)[] = KIND_BY_ID.map((row) => row && layoutOf(row));

/** Bytes of data that an event stores, when the length is not an operand. */
export function impliedDataLength(row: KindRow, value: number): number {
  if (row.data === 'sha256') return 32;
  if (row.data === 'check') return value <= MAX_CHECK_DATA ? value : 32;
  return 0;
}
