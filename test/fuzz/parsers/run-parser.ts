// One row on a thread of its own, whose heap is bounded; buffers are counted as they are asked for, since they lie
// outside of the heap. The bytes that are being read lie in shared memory: whoever watches can say what a thread that
// hangs or dies was at.

import { parentPort, workerData } from 'node:worker_threads';
import fc from 'fast-check';

export interface Shared {
  /** [cases begun, bytes of the case]. */
  readonly control: Int32Array<SharedArrayBuffer>;
  readonly bytes: Uint8Array<SharedArrayBuffer>;
}

const MIB = 1 << 20;
const MOST = 32 * MIB;
const RUNS = 300;

/** Bytes of buffers asked for so far. */
let asked = 0;

/** Put counters in the place of the constructors of buffers. Whoever is loaded from here on asks them. */
function countBuffers(): void {
  const all = globalThis as unknown as Record<string, { new (...args: unknown[]): object; BYTES_PER_ELEMENT?: number }>;
  const names = ['Uint8', 'Int8', 'Uint16', 'Int16', 'Uint32', 'Int32', 'Float32', 'Float64', 'BigUint64', 'BigInt64'];
  for (const name of ['ArrayBuffer', 'SharedArrayBuffer', ...names.map((one) => `${one}Array`)]) {
    const original = all[name]!;
    const width = original.BYTES_PER_ELEMENT ?? 1;
    const counted: typeof original = new Proxy(original, {
      construct: (target, args, newTarget) => {
        if (typeof args[0] === 'number') asked += args[0] * width;
        return Reflect.construct(target, args, newTarget === counted ? target : newTarget);
      },
    });
    all[name] = counted;
  }
  for (const name of ['alloc', 'allocUnsafe', 'allocUnsafeSlow'] as const) {
    const original = Buffer[name] as (size: number, ...rest: unknown[]) => Buffer;
    Buffer[name] = ((size: number, ...rest: unknown[]) => {
      asked += size;
      return original(size, ...rest);
    }) as (typeof Buffer)['alloc'];
  }
}

async function serve(): Promise<void> {
  countBuffers();
  // Loaded behind the counters.
  const { rows } = await import('./rows.js');
  const { control, bytes: shown } = workerData as Shared;
  parentPort!.on('message', async ({ name, seed, runs }: { name: string; seed: number; runs?: number }) => {
    const row = rows.find((one) => one.name === name)!;
    try {
      const inputs = await row.inputs();
      await fc.assert(
        fc.asyncProperty(inputs, async ({ bytes }) => {
          control[1] = bytes.length;
          shown.set(bytes.subarray(0, shown.length));
          control[0]!++;
          asked = 0;
          const before = process.memoryUsage().arrayBuffers;
          try {
            await row.parse(bytes);
          } catch (error) {
            const wrong = row.refusal ? row.refusal(error as Error) : String((error as Error).stack);
            if (wrong !== undefined) throw new Error(wrong);
          }
          const most = (row.most ?? MOST) + 64 * bytes.length;
          const held = process.memoryUsage().arrayBuffers - before;
          if (asked > most) throw new Error(`asks for ${asked} bytes of buffers`);
          if (held > most) throw new Error(`holds ${held} bytes of buffers`);
        }),
        { seed, numRuns: runs ?? row.runs ?? RUNS },
      );
      parentPort!.postMessage({ done: name });
    } catch (error) {
      parentPort!.postMessage({ done: name, failure: `${(error as Error).message}\n${(error as Error).cause}` });
    }
  });
}

await serve();
