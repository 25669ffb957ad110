// A WebAssembly module under construction (core specification 1.0, 5.5): imported functions and one imported
// memory, functions, tables of functions for indirect calls, exports.

import { Bytes } from './bytes.js';
import { type Callee, call, type Expr, type Type } from './expr.js';
import { FunctionBuilder } from './function.js';

/** A function that can be called before its body exists. */
export class FunctionHandle implements Callee {
  constructor(
    readonly imported: boolean,
    readonly index: number,
    readonly params: readonly Type[],
    readonly result?: Type,
  ) {}
  /** The call as an expression; for functions with a result. */
  call(...args: Expr[]): Expr {
    return call(this.result!, this, args);
  }
}

export class ModuleBuilder {
  private readonly types: string[] = [];
  private readonly typeBytes: Bytes[] = [];
  private readonly imports: { module: string; name: string; type: number }[] = [];
  private readonly known = new Map<string, FunctionHandle>();
  private readonly functions: { type: number; builder?: FunctionBuilder }[] = [];
  private readonly exports: { name: string; handle: FunctionHandle }[] = [];
  private readonly exportedTables: { name: string; index: number }[] = [];
  private tableFunctions: readonly FunctionHandle[] = [];
  private emptyTables = 0;

  typeIndex(params: readonly Type[], result?: Type): number {
    const key = `${params.join(',')}:${result ?? ''}`;
    const found = this.types.indexOf(key);
    if (found >= 0) return found;
    const b = new Bytes(16).u8(0x60).uleb(params.length).raw(params);
    if (result === undefined) b.u8(0);
    else b.u8(1).u8(result);
    this.types.push(key);
    this.typeBytes.push(b);
    return this.types.length - 1;
  }

  importFunction(module: string, name: string, params: readonly Type[], result?: Type): FunctionHandle {
    this.imports.push({ module, name, type: this.typeIndex(params, result) });
    return new FunctionHandle(true, this.imports.length - 1, params, result);
  }

  /** The same function for the same names. */
  importOnce(module: string, name: string, params: readonly Type[], result?: Type): FunctionHandle {
    const key = `${module}.${name}`;
    let handle = this.known.get(key);
    if (handle === undefined) {
      handle = this.importFunction(module, name, params, result);
      this.known.set(key, handle);
    }
    return handle;
  }

  /** Declare a function; its body follows with `define`. */
  declare(params: readonly Type[], result?: Type): FunctionHandle {
    this.functions.push({ type: this.typeIndex(params, result) });
    return new FunctionHandle(false, this.functions.length - 1, params, result);
  }

  define(handle: FunctionHandle, emit: (f: FunctionBuilder) => void): void {
    const builder = new FunctionBuilder(handle.params, handle.result);
    emit(builder);
    this.functions[handle.index]!.builder = builder;
  }

  export(name: string, handle: FunctionHandle): void {
    this.exports.push({ name, handle });
  }

  /** Functions of the first table, in slot order. */
  table(handles: readonly FunctionHandle[]): void {
    this.tableFunctions = handles;
  }
  /** A further table, without functions yet; it can grow. Returns its index. */
  emptyTable(): number {
    return ++this.emptyTables;
  }
  exportTable(name: string, index: number): void {
    this.exportedTables.push({ name, index });
  }

  /** Encode. The memory is imported as `env.memory` with at least `minPages` pages of 64 KiB. */
  encode(minPages: number): Uint8Array<ArrayBuffer> {
    const out = new Bytes(1 << 16).raw([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    const index = (h: FunctionHandle) => (h.imported ? h.index : this.imports.length + h.index);
    const section = (id: number, fill: (b: Bytes) => void) => {
      const b = new Bytes(1024);
      fill(b);
      out.u8(id).uleb(b.length).append(b);
    };
    section(1, (b) => {
      b.uleb(this.typeBytes.length);
      for (const t of this.typeBytes) b.append(t);
    });
    section(2, (b) => {
      b.uleb(this.imports.length + 1);
      for (const i of this.imports) b.text(i.module).text(i.name).u8(0).uleb(i.type);
      b.text('env').text('memory').u8(2).u8(0).uleb(minPages);
    });
    section(3, (b) => {
      b.uleb(this.functions.length);
      for (const f of this.functions) b.uleb(f.type);
    });
    const size = this.tableFunctions.length;
    const own = size > 0 ? 1 : 0;
    if (own + this.emptyTables > 0)
      section(4, (b) => {
        b.uleb(own + this.emptyTables);
        if (own > 0) b.u8(0x70).u8(0).uleb(size);
        for (let i = 0; i < this.emptyTables; i++) b.u8(0x70).u8(0).uleb(0);
      });
    section(7, (b) => {
      b.uleb(this.exports.length + this.exportedTables.length);
      for (const e of this.exports) b.text(e.name).u8(0).uleb(index(e.handle));
      for (const t of this.exportedTables) b.text(t.name).u8(1).uleb(t.index);
    });
    if (size > 0)
      section(9, (b) => {
        b.uleb(1).u8(0).u8(0x41).sleb32(0).u8(0x0b).uleb(size);
        for (const f of this.tableFunctions) b.uleb(index(f));
      });
    const locals = (f: FunctionBuilder): Bytes => {
      const b = new Bytes(16);
      const runs: [number, Type][] = [];
      for (const l of f.locals) {
        const last = runs.at(-1);
        if (last !== undefined && last[1] === l) last[0]++;
        else runs.push([1, l]);
      }
      b.uleb(runs.length);
      for (const [n, t] of runs) b.uleb(n).u8(t);
      return b;
    };
    const hinted = this.functions.flatMap(({ builder }, n) =>
      builder && builder.hints.length > 0 ? [{ builder, n }] : [],
    );
    if (hinted.length > 0)
      section(0, (b) => {
        // Branch hinting, a proposal; who does not know it passes over the section.
        b.text('metadata.code.branch_hint').uleb(hinted.length);
        for (const { builder, n } of hinted) {
          const { head, hints } = builder;
          const before = locals(builder).length;
          b.uleb(this.imports.length + n).uleb(hints.length);
          const placed = hints.map(({ in: part, at, likely }) => ({
            at: before + at + (part === head ? 0 : head.length),
            likely,
          }));
          for (const { at, likely } of placed.sort((x, y) => x.at - y.at))
            b.uleb(at)
              .u8(1)
              .u8(likely ? 1 : 0);
        }
      });
    section(10, (b) => {
      b.uleb(this.functions.length);
      for (const f of this.functions) {
        if (f.builder === undefined) throw new Error('wasm function declared but not defined');
        const code = new Bytes(f.builder.body.length + 64);
        code.append(locals(f.builder));
        code.append(f.builder.head).append(f.builder.body).u8(0x0b);
        code.relocate(this.imports.length);
        code.relocations.length = 0;
        b.uleb(code.length).append(code);
      }
    });
    return out.take();
  }
}
