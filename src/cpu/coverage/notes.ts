// Coverage as tier 0 and tier 1 note it: functions of the interpreter's module that the bodies of branches and comparisons
// call, where the module was built with coverage. Without it nothing is emitted, anywhere.
//
// An edge is a branch that was executed and the address it went to, taken or not: a matter of instructions, so that it is
// the same in every tier, however code is cut into blocks and wherever a run stops. Interrupts, exceptions and the return
// from them make none: they come where the clock says. Tables and lists are in linear memory (layout.ts), bounded; what
// finds no room is not noted, by a rule that looks at nothing from before begin().

import type { CpuCore } from '../core.js';
import * as L from '../layout.js';
import { type Expr, I32, I64, i32, i64, type LocalGet } from '../wasm/expr.js';
import type { FunctionBuilder } from '../wasm/function.js';
import type { FunctionHandle, ModuleBuilder } from '../wasm/module.js';

export type CoverageFunction = 'edge' | 'comparison';
/** `edge` (from i64, to i64); `comparison` (site i64, bytes i32, left i64, right i64). All addresses are linear. */
export type CoverageFunctions = Readonly<Record<CoverageFunction, FunctionHandle>>;

/** Odd numbers to mix with. */
const MIX = [0x9e37_79b9_7f4a_7c15n, 0xc2b2_ae3d_27d4_eb4fn] as const;

/** i64 from several; its upper bits are the good ones. */
function mixed(...values: readonly Expr[]): Expr {
  const [first, ...others] = values;
  return others.reduce((hash, value) => i64.mul(i64.add(hash, value), MIX[1]), i64.mul(first!, MIX[0]));
}

export function defineCoverage(m: ModuleBuilder): CoverageFunctions {
  const edge = m.declare([I64, I64]);
  m.define(edge, emitEdge);
  const comparison = m.declare([I64, I32, I64, I64]);
  m.define(comparison, emitComparison);
  return { edge, comparison };
}

/** Go through the slots of a hash table from `slot` on until `look` returns from the function. */
function probe(
  f: FunctionBuilder,
  slot: LocalGet,
  base: number,
  size: number,
  slots: number,
  look: (at: Expr) => void,
) {
  f.loop((again) => {
    look(f.let(i32.add(i32.mul(slot, size), base)));
    f.set(slot, i32.and(i32.add(slot, 1), slots - 1));
    f.br(again);
  });
}

function emitEdge(f: FunctionBuilder): void {
  const [from, to] = [f.param(0), f.param(1)];
  const hash = f.let(mixed(from, to));
  const slot = f.local(I32);
  f.set(slot, i32.wrap(i64.shrU(hash, 47n)));
  probe(f, slot, L.EDGES, L.EDGE_SIZE, L.EDGE_SLOTS, (at) => {
    const id = f.let(i32.load(at, L.EDGE_ID));
    const same = i32.and(i64.eq(i64.load(at, L.EDGE_FROM), from), i64.eq(i64.load(at, L.EDGE_TO), to));
    f.if(i32.or(i32.eqz(id), same), () => {
      const count = f.let(i32.load(at, L.EDGE_COUNT));
      f.if(i32.eqz(count), () => {
        const taken = f.let(i32.load(L.EDGES_TAKEN));
        f.if(i32.geU(taken, L.EDGES_TAKEN_LIMIT), () => f.return());
        f.store32(i32.shl(taken, 2), at, L.EDGES_TAKEN_LIST);
        f.store32(L.EDGES_TAKEN, i32.add(taken, 1));
        f.if(i32.eqz(id), () => {
          f.store64(at, from, L.EDGE_FROM);
          f.store64(at, to, L.EDGE_TO);
          f.store32(at, i32.or(i32.and(i32.wrap(i64.shrU(hash, 32n)), ~7), 1), L.EDGE_ID);
        });
      });
      f.store32(at, i32.add(count, 1), L.EDGE_COUNT);
      f.return();
    });
  });
}

function emitComparison(f: FunctionBuilder): void {
  const [site, bytes, left, right] = [f.param(0), f.param(1), f.param(2), f.param(3)];
  f.if(i32.or(i32.eqz(i32.load(L.COMPARING)), i64.eq(left, right)), () => f.return());
  const hash = f.let(mixed(site, left, right));
  const slot = f.local(I32);
  f.set(slot, i32.and(i32.wrap(i64.shrU(hash, 40n)), L.COMPARED_SLOTS - 1));
  probe(f, slot, L.COMPARISONS, L.COMPARED_SIZE, L.COMPARED_SLOTS, (at) => {
    f.if(i32.eqz(i32.load(at, L.COMPARED_WIDTH)), () => {
      const made = f.let(i32.load(L.COMPARED));
      f.if(i32.geU(made, L.COMPARED_LIMIT), () => f.return());
      const here = f.let(i32.and(i32.wrap(i64.shrU(mixed(site), 40n)), L.COMPARED_SITES - 1));
      const atSite = f.let(i32.load8U(here, L.COMPARED_BY_SITE));
      f.if(i32.geU(atSite, L.COMPARED_AT_SITE), () => f.return());
      f.store8(here, i32.add(atSite, 1), L.COMPARED_BY_SITE);
      f.store32(i32.shl(made, 2), at, L.COMPARED_LIST);
      f.store32(L.COMPARED, i32.add(made, 1));
      f.store64(at, site, L.COMPARED_SITE);
      f.store64(at, left, L.COMPARED_LEFT);
      f.store64(at, right, L.COMPARED_RIGHT);
      f.store32(at, bytes, L.COMPARED_WIDTH);
      f.return();
    });
    const operands = i32.and(
      i64.eq(i64.load(at, L.COMPARED_LEFT), left),
      i64.eq(i64.load(at, L.COMPARED_RIGHT), right),
    );
    f.if(i32.and(i64.eq(i64.load(at, L.COMPARED_SITE), site), operands), () => f.return());
  });
}

/** Bytes of two strings that are looked at in advance: one at a time says little of what a string should be. */
const STRING = 32;

/** A string comparison begins, or goes on; only while comparisons are noted. */
export function compareStrings(cpu: CpuCore, left: bigint, right: bigint, bytes: number, items: bigint): void {
  const count = BigInt.asUintN(64, items);
  const length = count < BigInt(STRING / bytes) ? bytes * Number(count) : STRING;
  cpu.coverage?.noteStrings(cpu.instructionIp, BigInt.asUintN(64, left), BigInt.asUintN(64, right), length);
}
