// Bodies of system instructions: they fetch operands and hand the work to TypeScript (system/*.ts, msr.ts).
// Rows end their blocks where an operation may change the mode or the flow, or reach a device. CLI, STI, RDTSC and
// SWAPGS are done here in the plain case, as kernels execute them all the time.

import * as L from '../layout.js';
import { CR0_EM, CR0_TS, CR4_TSD, IF, MODE_64BIT, MODE_PROTECTED, MODE_V86 } from '../state.js';
import * as control from '../system/control.js';
import * as fast from '../system/fast-calls.js';
import * as flags from '../system/flags-system.js';
import * as fpu from '../system/fpu-state.js';
import { portRead, portWrite } from '../system/ports.js';
import * as segments from '../system/segments.js';
import { type Expr, f64, I32, I64, i32, i64 } from '../wasm/expr.js';
import { ACCESS_READ, ACCESS_WRITE, type Body, type BodyContext, type SystemOperation } from './context.js';
import { loadFarPointer } from './control-flow.js';
import { loadSegmentRegister } from './moves.js';
import { width } from './width.js';

/** An operation without operands. */
export const operation =
  (op: SystemOperation): Body =>
  (c) =>
    c.js(op, []);
/** One that takes the operand size. */
export const sizedOperation =
  (op: SystemOperation): Body =>
  (c) =>
    c.js(op, [i32.const(c.osize)]);

/** #UD outside protected mode and in V86 mode (LLDT, LTR, LAR, VERR…). */
function requireProtected(c: BodyContext): void {
  c.raiseIf(i32.ne(i32.and(i32.load(L.MODE), MODE_PROTECTED | MODE_V86), MODE_PROTECTED), 6);
}

// --- ports ------------------------------------------------------------------------------------------------

const portBits = (c: BodyContext, byte: boolean) => (byte ? 8 : c.osize === 16 ? 16 : 32);
export const inPort =
  (byte: boolean, immediate: boolean): Body =>
  (c) => {
    const bits = portBits(c, byte);
    const port = immediate ? i32.and(c.imm(), 0xff) : c.gpr(2, 16);
    c.setGpr(0, bits, c.jsResult(portRead, I32, [port, i32.const(bits / 8)]));
  };
export const outPort =
  (byte: boolean, immediate: boolean): Body =>
  (c) => {
    const bits = portBits(c, byte);
    const port = immediate ? i32.and(c.imm(), 0xff) : c.gpr(2, 16);
    c.js(portWrite, [port, i32.const(bits / 8), c.gpr(0, bits)]);
  };

// --- interrupts and flags ---------------------------------------------------------------------------------

export const intN: Body = (c) => c.js(flags.intN, [i32.and(c.imm(), 0xff)]);
export const into: Body = (c) => c.if(c.flags.of(), () => c.js(flags.into, []));
export const bound: Body = (c) => {
  const w = c.width(0);
  const linear = c.address(w.bytes * 2, ACCESS_READ);
  const lower = c.load(linear, w.bytes);
  const upper = c.load(c.let(i64.add(linear, BigInt(w.bytes))), w.bytes);
  c.js(flags.bound, [w.sext(c.read(0)), w.sext(lower), w.sext(upper)]);
};

/** f64: the cycle that is reached; exact behind an instruction that ends its block. */
const now = (c: BodyContext): Expr => f64.sub(f64.load(L.DEADLINE), f64.convertI32S(c.budget()));

/** CLI and STI when CPL ≤ IOPL outside V86 mode are done here; the rest (VME, PVI, faults) in TypeScript. */
const interruptFlag =
  (set: boolean): Body =>
  (c) => {
    const eflags = c.let(i32.load(L.EFLAGS));
    const iopl = i32.and(i32.shrU(eflags, 12), 3);
    const plain = i32.and(i32.eqz(i32.and(i32.load(L.MODE), MODE_V86)), i32.leU(i32.load(L.CPL), iopl));
    if (set) {
      // Setting a set flag casts no shadow.
      c.if(i32.or(i32.eqz(plain), i32.eqz(i32.and(eflags, IF))), () =>
        c.if(
          i32.and(plain, i32.eqz(i32.load(L.INTR))),
          () => {
            c.f.store32(L.EFLAGS, i32.or(eflags, IF));
            c.f.store32(L.SHADOW, i32.const(1));
            c.f.store64(L.SHADOW_CYCLE, i64.reinterpretF64(now(c)));
          },
          () => c.js(flags.sti, []),
        ),
      );
    } else
      c.if(
        plain,
        () => c.f.store32(L.EFLAGS, i32.and(eflags, ~IF)),
        () => c.js(flags.cli, []),
      );
  };
export const cli = interruptFlag(false);
export const sti = interruptFlag(true);

/** SWAPGS. */
export const swapgs: Body = (c) => {
  c.raiseIf(i32.eqz(i32.and(i32.load(L.MODE), MODE_64BIT)), 6);
  c.requireCpl0();
  const at = L.SEGMENTS + L.SEGMENT_SIZE * L.GS + L.SEG_BASE;
  const base = c.let(i64.load(at));
  c.f.store64(at, i64.load(L.MSR_KERNEL_GS_BASE));
  c.f.store64(L.MSR_KERNEL_GS_BASE, base);
};

/** RDTSC where it is allowed, nobody has written the counter, and numbers are exact; the rest in TypeScript. */
export const rdtsc: Body = (c) => {
  const start = f64.sub(now(c), f64.const(c.variant.row.options.cost ?? 1));
  const time = c.let(f64.mul(start, f64.load(L.NS_PER_CYCLE)));
  const allowed = i32.or(i32.eqz(i32.and(i32.load(L.CR4), CR4_TSD)), i32.eqz(i32.load(L.CPL)));
  const exact = f64.le(time, f64.const(Number.MAX_SAFE_INTEGER));
  c.if(
    i32.and(i32.and(allowed, exact), i64.eqz(i64.load(L.TSC_OFFSET))),
    () => {
      const ticks = c.let(i64.truncSatF64S(time));
      c.setGpr(0, 32, i32.wrap(ticks));
      c.setGpr(2, 32, i32.wrap(i64.shrU(ticks, 32n)));
    },
    () => c.js(fast.rdtsc, []),
  );
};

// --- descriptor tables and selectors ----------------------------------------------------------------------

export const selectorOperation =
  (op: SystemOperation, privileged = false): Body =>
  (c) => {
    requireProtected(c);
    if (privileged) c.requireCpl0();
    c.js(op, [c.read(0)]);
  };
export const storeSelector =
  (op: SystemOperation): Body =>
  (c) => {
    requireProtected(c);
    storeWord(c, c.jsResult(op, I32, []));
  };
/** 16 bits to memory, zero-extended to a register. */
function storeWord(c: BodyContext, value: Expr): void {
  if (c.inMemory(0)) c.store(c.address(2, ACCESS_WRITE), 2, value);
  else c.write(0, c.width(0).from32(value));
}
export const smsw: Body = (c) => {
  // A register destination receives more of CR0 than 16 bits where it is wide enough (SDM vol. 2, SMSW).
  const v = c.jsResult(control.smsw, I32, []);
  if (c.inMemory(0)) c.store(c.address(2, ACCESS_WRITE), 2, v);
  else c.write(0, c.width(0).from32(v));
};
export const lmsw: Body = (c) => {
  c.requireCpl0();
  c.js(control.lmsw, [c.read(0)]);
};

/** LAR and LSL: the operation writes the register and ZF. */
export const accessRights =
  (op: SystemOperation): Body =>
  (c) => {
    requireProtected(c);
    const selector = c.inMemory(1)
      ? c.load(c.address(2, ACCESS_READ), 2)
      : i32.and(c.width(1).low32(c.read(1)), 0xffff);
    c.js(op, [i32.const(c.osize), c.registerNumber(), selector]);
  };

const tableBytes = (c: BodyContext) => (c.variant.row.options.mode === 'only64' ? 8 : 4);
export const loadTable =
  (op: SystemOperation): Body =>
  (c) => {
    c.requireCpl0();
    const linear = c.address(tableBytes(c) + 2, ACCESS_READ);
    const limit = c.load(linear, 2);
    const baseAt = c.let(i64.add(linear, 2n));
    const base = tableBytes(c) === 8 ? c.load(baseAt, 8) : i64.extendU(c.load(baseAt, 4));
    c.js(op, [i32.const(c.osize), limit, base]);
  };
export const storeTable =
  (op: SystemOperation, limitAt: number): Body =>
  (c) => {
    const bytes = tableBytes(c);
    const base = c.jsResult(op, I64, [i32.const(c.osize)]);
    const linear = c.address(bytes + 2, ACCESS_WRITE);
    c.store(linear, 2, i32.load(limitAt));
    const baseAt = c.let(i64.add(linear, 2n));
    if (bytes === 8) c.store(baseAt, 8, base);
    else c.store(baseAt, 4, c.let(i32.wrap(base)));
  };

/** LDS, LES, LFS, LGS, LSS. */
export const loadPointer =
  (segment: number): Body =>
  (c) => {
    const { offset, selector } = loadFarPointer(c);
    loadSegmentRegister(c, segments.loadSegment, i32.const(segment), c.let(i32.and(selector, 0xffff)));
    c.write(0, width(c.osize).from64(offset));
  };

export const arpl: Body = (c) => {
  requireProtected(c);
  const source = c.read(1);
  // The destination is read first and written only when it changes.
  const a = c.read(0);
  const lower = c.let(i32.ltU(i32.and(a, 3), i32.and(source, 3)));
  c.if(lower, () => c.write(0, i32.or(i32.and(a, 0xfffc), i32.and(source, 3))));
  c.flags.load(c.let(i32.or(i32.and(c.flags.all(), ~0x40), i32.shl(lower, 6))));
};

// --- control and debug registers --------------------------------------------------------------------------

/** Full-width register r/m: 64 bits in 64-bit mode whatever the operand size. */
const fullRead = (c: BodyContext): Expr => {
  const v = c.read(1);
  return v.type === I64 ? v : i64.extendU(v);
};
const fromRegister =
  (op: SystemOperation): Body =>
  (c) => {
    const v = c.jsResult(op, I64, [c.read(1)]);
    c.write(0, c.osize === 64 ? v : i32.wrap(v));
  };
const toRegister =
  (op: SystemOperation): Body =>
  (c) =>
    c.js(op, [c.read(0), fullRead(c)]);
export const movFromCr = fromRegister(control.movFromCr);
export const movToCr = toRegister(control.movToCr);
export const movFromDr = fromRegister(control.movFromDr);
export const movToDr = toRegister(control.movToDr);
export const invlpg: Body = (c) => {
  c.requireCpl0();
  const segment = i32.and(i32.shrU(i32.load8U(c.uop(), L.UOP_ADDRESS), 2), 7);
  c.js(control.invlpg, [segment, c.effectiveOffset()]);
};

export const xgetbv: Body = (c) => {
  const v = c.jsResult(control.xgetbv, I64, [c.gpr(1, 32)]);
  c.setGpr(0, 32, i32.wrap(v));
  c.setGpr(2, 32, i32.wrap(i64.shrU(v, 32n)));
};
const edxEax = (c: BodyContext): Expr => i64.or(i64.shl(i64.extendU(c.gpr(2, 32)), 32n), i64.extendU(c.gpr(0, 32)));
export const xsetbv: Body = (c) => c.js(control.xsetbv, [c.gpr(1, 32), edxEax(c)]);

export const readSegmentBase =
  (segment: number): Body =>
  (c) => {
    const v = c.jsResult(fast.readSegmentBase, I64, [i32.const(segment)]);
    c.write(0, c.osize === 64 ? v : i32.wrap(v));
  };
export const writeSegmentBase =
  (segment: number): Body =>
  (c) => {
    const v = c.read(0);
    c.js(fast.writeSegmentBase, [i32.const(segment), v.type === I64 ? v : i64.extendU(v)]);
  };

// --- x87 and SSE state ------------------------------------------------------------------------------------

const stateImage =
  (op: SystemOperation, masked: boolean): Body =>
  (c) => {
    if (!masked) c.raiseIf(i32.and(i32.load(L.CR0), CR0_EM | CR0_TS), 7);
    const access = op === fpu.fxsave || op === fpu.xsave ? ACCESS_WRITE : ACCESS_READ;
    const linear = c.address(1, access);
    c.addressPlus(i64.const((masked ? 576 : 512) - 1), 1, access);
    const wide = i32.const(c.osize === 64 ? 1 : 0);
    c.js(op, masked ? [linear, edxEax(c), wide] : [linear, wide]);
  };
export const fxsave = stateImage(fpu.fxsave, false);
export const fxrstor = stateImage(fpu.fxrstor, false);
export const xsave = stateImage(fpu.xsave, true);
export const xrstor = stateImage(fpu.xrstor, true);
