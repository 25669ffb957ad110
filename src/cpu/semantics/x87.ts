// Bodies of the x87 rows: availability checks, memory operands, instruction and operand pointers; the arithmetic is
// TypeScript over the soft floats (system/x87-*.ts).
//
// SDM vol. 3A 2.5 and 13.1 (EM, TS, MP, NE), vol. 1 8.1.8 (pointers), 8.1.9.1 (opcode register), 8.6 (waiting). Order
// of events: #NM, pending #MF, faults of the memory operand, then everything that changes state.
// With CR0.NE = 0 a pending exception does not stop the next instruction: nothing drives FERR#, so IRQ 13 never comes.

import * as L from '../layout.js';
import { CR0_EM, CR0_MP, CR0_NE, CR0_TS, MF, NM } from '../state.js';
import { fldenv, fninit as fninitState, fnsave, fnstenv, frstor } from '../system/fpu-state.js';
import { fldcw as loadControlWord } from '../system/x87-control.js';
import { ES } from '../system/x87-stack.js';
import { fcmov, fldConstant, STORE_DELIVERS, STORE_HIGH, STORE_STATUS } from '../system/x87-transfer.js';
import { type Expr, I32, I64, i32, i64 } from '../wasm/expr.js';
import { ACCESS_READ, ACCESS_WRITE, type Body, type BodyContext, type SystemOperation } from './context.js';

/** IA32_MISC_ENABLE: keep the opcode of every instruction, not only of those with an unmasked exception. */
const FOPCODE_COMPATIBILITY = 4;
const C1 = 0x200;
const CONDITIONS = 0x4700;

/** An i64 operand as TypeScript addresses memory. */
const linear64 = (linear: bigint): bigint => BigInt.asUintN(64, linear);

// --- availability and pointers --------------------------------------------------------------------------------

function requireAvailable(c: BodyContext): void {
  c.raiseIf(i32.and(i32.load(L.CR0), CR0_EM | CR0_TS), NM);
}

function raisePending(c: BodyContext): void {
  c.if(i32.and(i32.load(L.FPU_STATUS), ES), () => c.raiseIf(i32.and(i32.load(L.CR0), CR0_NE), MF));
}

/** FPU_IP, FPU_CS and, with a memory operand, FPU_DP and FPU_DS. Comes last: the opcode depends on the outcome. */
function recordPointers(c: BodyContext): void {
  const { f } = c;
  f.store64(L.FPU_IP, c.ip());
  f.store32(L.FPU_CS, i32.load(L.SEGMENTS + L.SEGMENT_SIZE * L.CS + L.SEG_SELECTOR));
  const keepsOpcode = i32.or(
    i32.and(i32.load(L.FPU_STATUS), ES),
    i32.and(i32.load(L.MSR_MISC_ENABLE), FOPCODE_COMPATIBILITY),
  );
  f.if(keepsOpcode, () => f.store32(L.FPU_OPCODE, c.imm()));
  if (!c.variant.mem) return;
  f.store64(L.FPU_DP, c.effectiveOffset());
  const segment = i32.and(i32.shrU(i32.load8U(c.uop(), L.UOP_ADDRESS), 2), 7);
  f.store32(L.FPU_DS, i32.load(i32.mul(segment, L.SEGMENT_SIZE), L.SEGMENTS + L.SEG_SELECTOR));
}

/** A waiting instruction that leaves its pointers. */
function computing(emit: Body): Body {
  return (c) => {
    requireAvailable(c);
    raisePending(c);
    emit(c);
    recordPointers(c);
  };
}

/** i of ST(i), from the opcode's low three bits. */
const stackIndex = (c: BodyContext): Expr => i32.and(c.imm(), 7);

// --- operands -------------------------------------------------------------------------------------------------

/** An operation without operand. */
export const implied = (operation: SystemOperation): Body => computing((c) => c.js(operation, []));
/** An operation with ST(i). */
export const onRegister = (operation: SystemOperation): Body => computing((c) => c.js(operation, [stackIndex(c)]));
/** FLD1…FLDZ. @param index as in softfloat/x87-constants.ts. */
export const loadConstant = (index: number): Body => computing((c) => c.js(fldConstant, [i32.const(index)]));
/** An operation with a memory operand of up to 64 bits. */
export const fromMemory = (operation: SystemOperation): Body => computing((c) => c.js(operation, [c.read(0)]));

const secondHalf = (linear: Expr): Expr => i64.and(i64.add(linear, 8n), i64.load(L.LINEAR_MASK));

/** An operation with an 80-bit memory operand, passed as 64 and 16 bits. */
export const fromExtended = (operation: SystemOperation): Body =>
  computing((c) => {
    const linear = c.address(10, ACCESS_READ);
    const low = c.load(linear, 8);
    c.js(operation, [low, c.load(secondHalf(linear), 2)]);
  });

/** A store: the value computed, then memory written, then the new state taken over. */
function storing(prepare: SystemOperation, bytes: number, pops: boolean): Body {
  return computing((c) => {
    const { f } = c;
    const value = c.jsResult(prepare, bytes >= 8 ? I64 : I32, []);
    const status = c.let(i32.load(STORE_STATUS));
    const high = c.let(i32.load(STORE_HIGH));
    const linear = c.address(bytes, ACCESS_WRITE);
    c.if(
      i32.load(STORE_DELIVERS),
      () => {
        if (bytes === 10) storeExtended(c, linear, value, high);
        else c.store(linear, bytes, value);
        if (pops) pop(c);
      },
      // A destination that cannot be written faults all the same.
      () => c.js(probeStore, [linear, i32.const(bytes)]),
    );
    f.store32(L.FPU_STATUS, status);
  });
}

const probeStore: SystemOperation = (cpu, linear: bigint, bytes: number) =>
  cpu.memory.probe(linear64(linear), bytes, true, 'current', Math.min(bytes, 8));

/** Both parts lie in one page, where the second store cannot fault when the first did not, or TypeScript checks both pages. */
function storeExtended(c: BodyContext, linear: Expr, low: Expr, high: Expr): void {
  c.if(
    i32.gtU(i32.and(i32.wrap(linear), 0xfff), 0xff6),
    () => c.js(writeExtended, [linear, low, high]),
    () => {
      c.store(linear, 8, low);
      c.store(i64.add(linear, 8n), 2, high);
    },
  );
}

const writeExtended: SystemOperation = (cpu, linear: bigint, low: bigint, high: number) => {
  const bytes = new Uint8Array(10);
  const view = new DataView(bytes.buffer);
  view.setBigInt64(0, low, true);
  view.setUint16(8, high, true);
  cpu.memory.writeBytes(linear64(linear), bytes, 'current', 8);
};

export const store = (prepare: SystemOperation, bytes: number): Body => storing(prepare, bytes, false);
export const storeAndPop = (prepare: SystemOperation, bytes: number): Body => storing(prepare, bytes, true);

// --- stack management -----------------------------------------------------------------------------------------

const top = (): Expr => i32.load(L.FPU_TOP);

function moveTop(c: BodyContext, by: number): void {
  c.f.store32(L.FPU_TOP, i32.and(i32.add(top(), by), 7));
}

function tagEmpty(c: BodyContext, physical: Expr): void {
  c.f.store32(L.FPU_TAGS, i32.and(i32.load(L.FPU_TAGS), i32.xor(i32.shl(1, physical), -1)));
}

function pop(c: BodyContext): void {
  tagEmpty(c, top());
  moveTop(c, 1);
}

function clearC1(c: BodyContext): void {
  c.f.store32(L.FPU_STATUS, i32.and(i32.load(L.FPU_STATUS), ~C1));
}

export const fnop = computing(() => {});
export const fincstp = computing((c) => {
  moveTop(c, 1);
  clearC1(c);
});
export const fdecstp = computing((c) => {
  moveTop(c, -1);
  clearC1(c);
});
/** FFREE. The condition codes are undefined; processors clear C1. */
export const ffree = computing((c) => {
  tagEmpty(c, i32.and(i32.add(top(), stackIndex(c)), 7));
  clearC1(c);
});
/** FFREEP, undocumented: FFREE ST(i), then pop. */
export const ffreep = computing((c) => {
  tagEmpty(c, i32.and(i32.add(top(), stackIndex(c)), 7));
  clearC1(c);
  pop(c);
});

/** FCMOVcc. @param cc condition as in Jcc. */
export const fcmovcc = (cc: number): Body =>
  computing((c) => {
    const condition = c.let(c.flags.condition(cc));
    c.js(fcmov, [condition, stackIndex(c)]);
  });

// --- control --------------------------------------------------------------------------------------------------

/** WAIT: #NM only when MP and TS are both set. */
export const wait: Body = (c) => {
  const both = CR0_MP | CR0_TS;
  c.raiseIf(i32.eq(i32.and(i32.load(L.CR0), both), both), NM);
  raisePending(c);
};

/** A control instruction: no pointers are left; those named FN… do not wait either. */
function control(emit: Body, waits: boolean): Body {
  return (c) => {
    requireAvailable(c);
    if (waits) raisePending(c);
    emit(c);
  };
}

export const fninit = control((c) => c.js(fninitState, []), false);
export const fnclex = control((c) => {
  c.f.store32(L.FPU_STATUS, i32.and(i32.load(L.FPU_STATUS), CONDITIONS));
}, false);
/** FENI, FDISI, FSETPM of the 8087 and 287: no operation since the 387. */
export const obsolete = control(() => {}, false);
export const fldcw = control((c) => c.js(loadControlWord, [c.read(0)]), true);
export const fnstcw = control((c) => c.write(0, i32.load(L.FPU_CONTROL)), false);
export const fnstsw = control((c) => c.write(0, i32.or(i32.load(L.FPU_STATUS), i32.shl(top(), 11))), false);

/** Environment (14 or 28 bytes), or with `registers` the whole state (94 or 108), in the layout of the operand size. */
function image(operation: SystemOperation, access: number, registers: boolean, waits: boolean): Body {
  return control((c) => {
    const bytes = (c.osize === 16 ? 14 : 28) + (registers ? 80 : 0);
    c.js(operation, [i32.const(c.osize === 16 ? 16 : 32), c.address(bytes, access)]);
  }, waits);
}

export const fldenvImage = image((cpu, size, linear) => fldenv(cpu, size, linear64(linear)), ACCESS_READ, false, true);
export const fnstenvImage = image(
  (cpu, size, linear) => fnstenv(cpu, size, linear64(linear)),
  ACCESS_WRITE,
  false,
  false,
);
export const frstorImage = image((cpu, size, linear) => frstor(cpu, size, linear64(linear)), ACCESS_READ, true, true);
export const fnsaveImage = image((cpu, size, linear) => fnsave(cpu, size, linear64(linear)), ACCESS_WRITE, true, false);
