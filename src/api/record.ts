// Recording a boot, and running one without a trace. The trace is FILE.partial until it is whole.
// Invariant: the guest of a recording is that of a plain run: console output and the text that ends a run are watched
// where bytes leave the serial port, behind the seam.

import { statSync } from 'node:fs';
import type { RunEnd } from '../cpu/bus.js';
import type { Input } from '../platform/inputs.js';
import { Recorder } from '../replay/record.js';
import type { EventSink } from '../trace/sink.js';
import { SymbolTable } from '../trace/symbols.js';
import { TraceWriter } from '../trace/writer.js';
import { type Guest, makeGuest, type Seams } from './guest.js';
import { CpuSite, HASH_INTERVAL, MachineHash } from './machine-state.js';
import { type BootOptions, exitCodeOf, type RecordOptions, type RunResult } from './options.js';
import { ConsoleBuffer, type RunControl, runGuest, TextWatch } from './run.js';
import { UserError } from './user-error.js';
import { VERSION } from './version.js';

/** Console output, and the texts that end the run. */
function watchConsoles(guest: Guest, options: BootOptions): { flush(): void } {
  const watch = (
    text: string | undefined,
    reason: 'until-serial' | 'until-debugcon',
    sink: ((data: Uint8Array) => void) | undefined,
  ) => {
    const console = new ConsoleBuffer(sink ?? (() => {}));
    const watch = text === undefined ? undefined : new TextWatch(text, () => guest.stop({ reason }));
    const byte = (value: number): void => {
      console.byte(value);
      watch?.byte(value);
    };
    return { byte, flush: () => console.flush() };
  };
  const serial = watch(options.untilSerial, 'until-serial', options.onConsole);
  const debugcon = watch(options.untilDebugcon, 'until-debugcon', options.onDebugcon);
  guest.pc.onSerial = serial.byte;
  guest.pc.onDebugcon = debugcon.byte;
  return {
    flush: () => {
      serial.flush();
      debugcon.flush();
    },
  };
}

/** How long the guest runs, and what a reset of it is. */
function controlOf(guest: Guest, options: BootOptions): RunControl {
  const { reset } = guest;
  if (!reset || options.noReboot) return options;
  return {
    ...options,
    reset: () => {
      reset();
      return true;
    },
  };
}

/** Run a boot without a trace. @throws UserError, ImageError */
export async function run(options: BootOptions): Promise<RunResult> {
  const guest = makeGuest(options);
  const console = watchConsoles(guest, options);
  const end = await runGuest(guest.cpu, controlOf(guest, options));
  console.flush();
  const state = Buffer.from(new MachineHash(guest.cpu).hash()).toString('hex');
  return {
    end,
    cycles: guest.cpu.now,
    instructions: guest.cpu.instructions,
    events: 0,
    bytes: 0,
    root: '',
    state,
    exitCode: exitCodeOf(end, options.successCode),
  };
}

/** What an input carries, as the trace stores it. */
export function inputData(input: Input): [string, Uint8Array] {
  switch (input.kind) {
    case 'serial':
      return ['serial', input.data];
    case 'key':
      return ['key', Uint8Array.from([input.code & 0xff, input.code >>> 8, input.down ? 1 : 0])];
    case 'mouse':
      return ['mouse', new TextEncoder().encode(JSON.stringify(input))];
    default:
      return [input.kind, new Uint8Array(0)];
  }
}

/** Connect a recorder to everything of the guest that it listens to. */
export function attachRecorder(guest: Guest, recorder: Recorder): void {
  const { cpu, pc } = guest;
  pc.clock.setListener({
    timerArmed: (name, deadline) => recorder.timerArmed(name, deadline),
    timerFired: (name, deadline) => recorder.timerFired(name, deadline),
  });
  pc.inputs.setListener((_cycle, input) => recorder.input(...inputData(input)));
  const hash = new MachineHash(cpu);
  cpu.bus = recorder.bus(pc, {
    interval: HASH_INTERVAL,
    hash: () => hash.hash(),
    halted: () => cpu.isHalted,
  });
  cpu.listener = { milestone: (name) => recorder.milestone(name) };
  recorder.milestone('entry');
}

/** The recorder needs a sink that needs the guest's site: both ends meet here. */
export class LateSink implements EventSink {
  target: EventSink | undefined;
  event(...args: Parameters<EventSink['event']>): void {
    this.target?.event(...args);
  }
  ask(kind: number, address: number, size: number): void {
    this.target?.ask(kind, address, size);
  }
  answer(value: number, valueHigh: number, data: Uint8Array): void {
    this.target?.answer(value, valueHigh, data);
  }
}

export const recorderSeams = (recorder: Recorder): Seams => ({
  lines: (inner) => recorder.lines(inner),
  memory: (inner) => recorder.memory(inner),
  shadow: (inner) => recorder.shadow(inner),
});

/** Record a boot. The trace appears under its name when it is whole. @throws UserError, ImageError, TraceError */
export async function record(options: RecordOptions): Promise<RunResult> {
  const { output } = options;
  if (output === undefined) throw new UserError('a recording needs the name of the trace to write; give --output');
  const late = new LateSink();
  const recorder = new Recorder(late);
  const guest = makeGuest(options, recorderSeams(recorder));
  const { cpu } = guest;
  const notes = { tool: `vmreplay ${VERSION}`, names: guest.imageNames };
  const writer = new TraceWriter(output, guest.header, notes, new CpuSite(cpu));
  let end: RunEnd;
  let root: string;
  let state: Uint8Array;
  try {
    late.target = writer;
    attachRecorder(guest, recorder);
    const console = watchConsoles(guest, options);
    end = await runGuest(cpu, controlOf(guest, options));
    console.flush();
    state = new MachineHash(cpu).hash();
    root = writer.finish({
      reason: end.reason,
      code: end.code,
      cycles: cpu.now,
      instructions: cpu.instructions,
      state,
      memory: guest.initialMemory,
      observed: cpu.physical.observed,
      symbols:
        guest.boot.symbols.length > 0
          ? SymbolTable.of(guest.boot.symbols.map(({ address, name }) => [address, name] as const))
          : undefined,
    });
  } catch (error) {
    writer.abort();
    throw error;
  }
  return {
    end,
    cycles: cpu.now,
    instructions: cpu.instructions,
    events: writer.events,
    bytes: statSync(output).size,
    root,
    state: Buffer.from(state).toString('hex'),
    exitCode: exitCodeOf(end, options.successCode),
  };
}
