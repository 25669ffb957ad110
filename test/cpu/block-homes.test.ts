// Blocks get their old address back when the same records are decoded at the same place in the same mode, each address
// once; of the versions at one place the last eight are kept.

import test from 'ava';
import { BlockHomes } from '../../src/cpu/block-homes.js';
import { variants } from '../../src/cpu/engine.js';
import { HANDLER_NEXT } from '../../src/cpu/interp/variants.js';
import * as L from '../../src/cpu/layout.js';
import { CpuState } from '../../src/cpu/state.js';

const state = new CpuState(new WebAssembly.Memory({ initial: (L.UOPS >>> 16) + 1 }));
const MODE = { bits: 32, flat: 15 } as const;
const PAGE = 0x123;
const OFFSET = 0x40;
const SIZE = 2 * L.UOP_SIZE;

/** A block of one record, which says where it goes on: one in the place of an instruction. Returns its header. */
function block(n: number, on: number): number {
  const header = L.UOPS + n * SIZE;
  state.u16[(header + L.HEADER_OFFSET) >>> 1] = OFFSET;
  state.u32[(header + L.UOP_SIZE) >>> 2] = HANDLER_NEXT | (on << 16);
  return header;
}

/** Address that a block gets which was decoded at `header`. */
const take = (
  homes: BlockHomes,
  header: number,
  { page = PAGE, mode = MODE as { bits: 16 | 32 | 64; flat: number } } = {},
) => homes.take(header, header + SIZE, page, OFFSET, mode);

test('the last eight versions of a block are found again, each once', (t) => {
  const homes = new BlockHomes(state, variants);
  for (let n = 0; n < 11; n++) homes.offer(block(n, 100 + n), PAGE, MODE);
  for (let n = 0; n < 11; n++) {
    const header = block(20, 100 + n);
    t.is(take(homes, header), n < 3 ? 0 : L.UOPS + n * SIZE);
    t.is(take(homes, header), 0);
  }
});

test('an address that is offered again is given again, and its end may be said beforehand', (t) => {
  const homes = new BlockHomes(state, variants);
  const home = block(0, 7);
  homes.offer(home, PAGE, MODE, home + SIZE);
  const header = block(20, 7);
  t.is(take(homes, header), home);
  homes.offer(home, PAGE, MODE);
  t.is(take(homes, header), home);
});

test('other places, modes and records have no part in it, and nothing has when all is cleared', (t) => {
  const homes = new BlockHomes(state, variants);
  homes.offer(block(0, 7), PAGE, MODE);
  t.is(take(homes, block(20, 7), { page: PAGE + 1 }), 0);
  // One that shares its mark.
  t.is(take(homes, block(20, 7), { page: PAGE ^ 0x2_0001 }), 0);
  t.is(take(homes, block(20, 7), { mode: { bits: 64, flat: 15 } }), 0);
  t.is(take(homes, block(20, 8)), 0);
  homes.clear();
  t.is(take(homes, block(20, 7)), 0);
});
