// Where emitted code finds the TLB entry of a linear address (layout.ts): direct-mapped by page number, for data in the
// table that is in force, for code in the one there is.

import * as L from '../layout.js';
import { type Expr, i32 } from '../wasm/expr.js';

/** i32: address of the data TLB's entry. `table` is where that TLB begins. */
export const dataTlbEntry = (linear: Expr, table: Expr): Expr =>
  i32.add(i32.and(i32.shrU(i32.wrap(linear), 12 - 5), (L.TLB_ENTRIES - 1) * L.TLB_ENTRY_SIZE), table);

/** i32: offset of the code TLB's entry from CODE_TLB. */
export const codeTlbOffset = (linear: Expr): Expr =>
  i32.and(i32.shrU(i32.wrap(linear), 12 - 5), (L.CODE_TLB_ENTRIES - 1) * L.CODE_TLB_ENTRY_SIZE);
