// Running a guest to its end in slices, so that signals, progress and console output get their turn. Slices never
// change what the guest does: a slice ends at an exact instruction boundary and the run simply goes on.

import type { RunEnd } from '../cpu/bus.js';
import type { Cpu } from '../cpu/cpu.js';
import type { TraceHeader } from '../trace/header.js';
import type { StopSignal } from './options.js';
import type { Pause } from './screenshots.js';
import { type EngineChoice, type Keeping, type ReadyTranslations, Tier } from './tier.js';

/** Cycles between two looks at the outside world. */
const SLICE = 20_000_000;

export interface RunControl {
  engine?: EngineChoice | undefined;
  /** What is booted: its translations are kept, and used again. */
  header?: TraceHeader | undefined;
  /** What becomes of these; `adds` where nothing is said. */
  keeping?: Keeping | undefined;
  /** Its translations, where they have been read already. */
  translations?: ReadyTranslations | undefined;
  /** Where the first slice ends, if it began before the run did. */
  firstStop?: number | undefined;
  untilCycle?: number | undefined;
  maxCycles?: number | undefined;
  /** Starts the machine anew where a reset or triple fault would end the run; says false when it is to end all the same. */
  reset?: ((end: RunEnd) => boolean) | undefined;
  /** The run stopped at a breakpoint; gives the end of the run, if it is over. */
  breakpoint?: (() => RunEnd | undefined) | undefined;
  /** A stop with the reason `until-cycle` was the end of the run, not that of a slice. */
  over?: (() => boolean) | undefined;
  /** Things to do on the way, by ascending cycle. */
  pauses?: readonly Pause[] | undefined;
  onProgress?: ((cycle: number) => void) | undefined;
  signal?: StopSignal | undefined;
}

export async function runGuest(cpu: Cpu, control: RunControl): Promise<RunEnd> {
  const tier = new Tier(cpu, control.engine ?? 'auto', control.header, control.keeping, control.translations);
  await tier.begin();
  const end = await runSlices(cpu, control, tier);
  tier.end();
  return end;
}

async function runSlices(cpu: Cpu, control: RunControl, tier: Tier): Promise<RunEnd> {
  const until = control.untilCycle ?? Number.POSITIVE_INFINITY;
  const most = control.maxCycles ?? Number.POSITIVE_INFINITY;
  const limit = Math.min(until, most);
  const pauses = [...(control.pauses ?? [])];
  let stop = control.firstStop;
  for (;;) {
    let end = cpu.runUntil(Math.min(limit, stop ?? cpu.now + SLICE, pauses[0]?.cycle ?? limit));
    stop = undefined;
    while (pauses.length > 0 && pauses[0]!.cycle <= cpu.now) pauses.shift()!.reached();
    if (end.reason === 'breakpoint' && control.breakpoint) {
      const passed = control.breakpoint();
      if (passed === undefined) continue;
      end = passed;
    }
    if ((end.reason === 'reset' || end.reason === 'triple-fault') && control.reset?.(end)) continue;
    if (end.reason !== 'until-cycle' || control.over?.()) return end;
    if (cpu.now >= limit) return { reason: until <= most ? 'until-cycle' : 'max-cycles' };
    // A run that is longer than a slice gains from translated code.
    await tier.afterSlice();
    await new Promise((resolve) => setImmediate(resolve));
    if (control.signal?.aborted) return { reason: 'interrupted' };
    control.onProgress?.(cpu.now);
  }
}

/** Watches output for a text. */
export class TextWatch {
  private readonly wanted: Uint8Array;
  /** The last bytes, round and round, and how many there were. */
  private readonly seen: Uint8Array;
  private count = 0;

  constructor(
    text: string,
    private readonly found: () => void,
  ) {
    this.wanted = new TextEncoder().encode(text);
    this.seen = new Uint8Array(this.wanted.length);
  }

  byte(value: number): void {
    const { wanted, seen } = this;
    const { length } = wanted;
    if (length > 0) seen[this.count % length] = value;
    this.count++;
    if ((length > 0 && value !== wanted[length - 1]) || this.count < length) return;
    for (let i = 0; i < length; i++) if (seen[(this.count + i) % length] !== wanted[i]) return;
    this.found();
  }
}

/** Collects console bytes into larger pieces. */
export class ConsoleBuffer {
  private bytes: number[] = [];

  constructor(private readonly sink: (data: Uint8Array) => void) {}

  byte(value: number): void {
    this.bytes.push(value);
    if (value === 10 || this.bytes.length >= 256) this.flush();
  }
  flush(): void {
    if (this.bytes.length === 0) return;
    this.sink(Uint8Array.from(this.bytes));
    this.bytes = [];
  }
}
