// Statements: a function body under construction. Control structures take callbacks, labels are objects, and
// locals are pooled by type within a scope so that a function with hundreds of cases needs a dozen locals.

import { Bytes } from './bytes.js';
import {
  type Callee,
  type Expr,
  F32,
  F64,
  I32,
  type I32Like,
  I64,
  LocalGet,
  lift32,
  type Type,
  V128,
  writeCall,
} from './expr.js';

/** Branch target. `depth` is the nesting level at which its block was opened. */
export class Label {
  constructor(readonly depth: number) {}
}

export class FunctionBuilder {
  /** Comes before the body. */
  readonly head = new Bytes(64);
  body = new Bytes(1024);
  readonly locals: Type[] = [];
  /** Branches that mostly go one way: where, and whether that is the way of a condition that holds. In order. */
  readonly hints: { readonly in: Bytes; readonly at: number; readonly likely: boolean }[] = [];
  private readonly free = new Map<Type, LocalGet[]>([
    [I32, []],
    [I64, []],
    [F32, []],
    [F64, []],
    [V128, []],
  ]);
  private taken: LocalGet[] = [];
  private depth = 0;

  constructor(
    readonly params: readonly Type[],
    readonly result?: Type,
  ) {}

  /** Nesting level. */
  get level(): number {
    return this.depth;
  }
  /** Emit what comes before all the rest: for what is known only when the body is complete. */
  prepend(emit: () => void): void {
    const { body } = this;
    this.body = this.head;
    emit();
    this.body = body;
  }
  /** Run `emit` in a scope; when it throws, what it emitted is forgotten. */
  attempt(emit: () => void): void {
    const { length, relocations } = this.body;
    const before = relocations.length;
    const { depth } = this;
    const hints = this.hints.length;
    try {
      this.scope(emit);
    } catch (error) {
      this.hints.length = hints;
      this.body.length = length;
      relocations.length = before;
      this.depth = depth;
      throw error;
    }
  }

  param(n: number): LocalGet {
    return new LocalGet(this.params[n]!, n);
  }

  /** A local that is free for reuse when the enclosing scope ends. */
  local(type: Type): LocalGet {
    const pooled = this.free.get(type)!.pop();
    let local = pooled;
    if (local === undefined) {
      local = new LocalGet(type, this.params.length + this.locals.length);
      this.locals.push(type);
    }
    this.taken.push(local);
    return local;
  }

  /** Run `emit`; the locals it took are free afterwards. */
  scope(emit: () => void): void {
    const before = this.taken;
    this.taken = [];
    try {
      emit();
    } finally {
      for (const local of this.taken) this.free.get(local.type)!.push(local);
      this.taken = before;
    }
  }

  set(local: LocalGet, value: Expr): void {
    if (value.type !== local.type) throw new Error(`wasm type mismatch: local ${local.type}, value ${value.type}`);
    value.write(this.body);
    this.body.u8(0x21).uleb(local.index);
  }

  /** Evaluate now, use as often as wanted. Constants stay constants. */
  let(value: Expr): Expr {
    if (value.value !== undefined) return value;
    const local = this.local(value.type);
    this.set(local, value);
    return local;
  }

  drop(value: Expr): void {
    value.write(this.body);
    this.body.u8(0x1a);
  }

  /** Call a function without result. */
  call(callee: Callee, ...args: readonly Expr[]): void {
    writeCall(this.body, callee, args);
  }

  /** Call through a table; the result, if there is one, goes to `result`. */
  callIndirect(result: LocalGet | undefined, typeIndex: number, args: readonly Expr[], slot: Expr, table = 0): void {
    for (const a of args) a.write(this.body);
    slot.write(this.body);
    this.body.u8(0x11).uleb(typeIndex).u8(table);
    if (result !== undefined) this.body.u8(0x21).uleb(result.index);
  }

  private storeOp(code: number, address: I32Like, offset: number, value: Expr): void {
    const a = lift32(address);
    if (a.value !== undefined) {
      lift32(0).write(this.body);
      value.write(this.body);
      this.memarg(code, (Number(a.value) + offset) >>> 0);
    } else {
      a.write(this.body);
      value.write(this.body);
      this.memarg(code, offset);
    }
  }
  private memarg(code: number, offset: number): void {
    if (code >= 0x100) this.body.u8(0xfd).uleb(code - 0x100);
    else this.body.u8(code);
    this.body.u8(0).uleb(offset);
  }
  store8(address: I32Like, value: Expr, offset = 0): void {
    this.storeOp(value.type === I64 ? 0x3c : 0x3a, address, offset, value);
  }
  store16(address: I32Like, value: Expr, offset = 0): void {
    this.storeOp(value.type === I64 ? 0x3d : 0x3b, address, offset, value);
  }
  /** Store an i32, or the low half of an i64. */
  store32(address: I32Like, value: Expr, offset = 0): void {
    this.storeOp(value.type === I64 ? 0x3e : value.type === F32 ? 0x38 : 0x36, address, offset, value);
  }
  store64(address: I32Like, value: Expr, offset = 0): void {
    this.storeOp(value.type === F64 ? 0x39 : 0x37, address, offset, value);
  }
  storeV(address: I32Like, value: Expr, offset = 0): void {
    this.storeOp(0x10b, address, offset, value);
  }

  private hint(likely: boolean | undefined): void {
    if (likely !== undefined) this.hints.push({ in: this.body, at: this.body.length, likely });
  }

  /**
   * `if` without a result; a constant condition emits only the side that is taken.
   * @param likely what the condition mostly is: V8 keeps registers out of the way of the other side
   */
  if(condition: I32Like, then: () => void, otherwise?: () => void, likely?: boolean): void {
    const c = lift32(condition);
    if (c.value !== undefined) {
      if (c.value) then();
      else otherwise?.();
      return;
    }
    c.write(this.body);
    this.hint(likely);
    this.body.u8(0x04).u8(0x40);
    this.depth++;
    then();
    if (otherwise !== undefined) {
      this.body.u8(0x05);
      otherwise();
    }
    this.depth--;
    this.body.u8(0x0b);
  }

  block(emit: (end: Label) => void): void {
    this.body.u8(0x02).u8(0x40);
    const label = new Label(this.depth++);
    emit(label);
    this.depth--;
    this.body.u8(0x0b);
  }

  loop(emit: (again: Label) => void): void {
    this.body.u8(0x03).u8(0x40);
    const label = new Label(this.depth++);
    emit(label);
    this.depth--;
    this.body.u8(0x0b);
  }

  br(label: Label): void {
    this.body.u8(0x0c).uleb(this.depth - label.depth - 1);
  }
  brIf(label: Label, condition: I32Like, likely?: boolean): void {
    const c = lift32(condition);
    if (c.value !== undefined) {
      if (c.value) this.br(label);
      return;
    }
    c.write(this.body);
    this.hint(likely);
    this.body.u8(0x0d).uleb(this.depth - label.depth - 1);
  }
  brTable(labels: readonly Label[], fallback: Label, index: Expr): void {
    index.write(this.body);
    this.body.u8(0x0e).uleb(labels.length);
    for (const l of labels) this.body.uleb(this.depth - l.depth - 1);
    this.body.uleb(this.depth - fallback.depth - 1);
  }
  return(value?: Expr): void {
    value?.write(this.body);
    this.body.u8(0x0f);
  }
  unreachable(): void {
    this.body.u8(0x00);
  }
  memoryCopy(to: Expr, from: Expr, length: Expr): void {
    to.write(this.body);
    from.write(this.body);
    length.write(this.body);
    this.body.u8(0xfc).u8(10).u8(0).u8(0);
  }
  memoryFill(at: Expr, value: Expr, length: Expr): void {
    at.write(this.body);
    value.write(this.body);
    length.write(this.body);
    this.body.u8(0xfc).u8(11).u8(0);
  }
}
