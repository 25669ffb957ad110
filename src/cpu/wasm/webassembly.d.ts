// The part of the WebAssembly JavaScript API that the project uses (the ES libraries of TypeScript do not hold it).
declare namespace WebAssembly {
  class Memory {
    constructor(descriptor: { initial: number; maximum?: number });
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  }
  // biome-ignore lint/suspicious/noExplicitAny: the API's own type
  type Callable = (...args: any[]) => any;
  class Table {
    constructor(descriptor: { element: 'anyfunc'; initial: number; maximum?: number });
    readonly length: number;
    grow(by: number): number;
    get(index: number): Callable | null;
    set(index: number, value: Callable | null): void;
  }
  class Module {
    constructor(bytes: Uint8Array<ArrayBuffer>);
    static imports(
      module: Module,
    ): { module: string; name: string; kind: 'function' | 'memory' | 'table' | 'global' }[];
  }
  class Instance {
    // biome-ignore lint/suspicious/noExplicitAny: the API's own type
    constructor(module: Module, imports: Record<string, Record<string, any>>);
    // biome-ignore lint/suspicious/noExplicitAny: the API's own type
    readonly exports: Record<string, any>;
  }
}
