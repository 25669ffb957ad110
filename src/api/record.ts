// Recording a boot, and running one without a trace. The trace is FILE.partial until it is whole.
// Invariant: the guest of a recording is that of a plain run: console output and the text that ends a run are watched
// where bytes leave the serial port, behind the seam.

import { statSync } from 'node:fs';
import type { GuestMemory, RunEnd } from '../cpu/bus.js';
import { Recorder } from '../replay/record.js';
import type { LentImages } from '../trace/borrowed.js';
import { FollowedWords } from '../trace/known-words.js';
import { SymbolTable } from '../trace/symbols.js';
import { TraceWriter } from '../trace/writer.js';
import { CheckpointTaker } from './checkpoints.js';
import { type Guest, makeGuest, NO_SEAMS } from './guest.js';
import { CpuSite, MachineHash } from './machine-state.js';
import { romOfEnd } from './option-roms.js';
import { type BootOptions, exitCodeOf, type RecordOptions, type RunOptions, type RunResult } from './options.js';
import { attachRecorder, LateSink, recorderSeams } from './recorder.js';
import { ConsoleBuffer, type RunControl, runGuest, TextWatch } from './run.js';
import { Screenshots } from './screenshots.js';
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
  const breakpoint = () => guest.handoff.reached();
  if (!reset || options.noReboot) return { ...options, header: guest.header, breakpoint };
  return {
    ...options,
    header: guest.header,
    breakpoint,
    reset: () => {
      reset();
      return true;
    },
  };
}

/** What a trace may leave out. */
const lentBy = ({ header, imageBytes }: Guest): LentImages => ({
  images: imageBytes,
  unpacked: header.route === 'pvh' ? header.images.findIndex(({ role }) => role === 'kernel') : undefined,
  name: header.images.map(({ sha256 }) => sha256).join(' '),
});

/** A machine that hangs in an option ROM does not say so itself. */
function warnOfRom({ cpu, optionRoms }: Guest, end: RunEnd, { onWarning }: BootOptions): void {
  const text = romOfEnd(cpu, end, optionRoms);
  if (text !== undefined) onWarning?.(text);
}

/** Run a boot without a trace. @throws UserError, ImageError */
export async function run(options: RunOptions): Promise<RunResult> {
  const { hashState = true } = options;
  const guest = makeGuest(options, { ...NO_SEAMS, unobserved: !hashState });
  const screenshots = new Screenshots(options.screenshots, guest.vga, options.onWarning);
  const console = watchConsoles(guest, options);
  const end = await runGuest(guest.cpu, { ...controlOf(guest, options), pauses: screenshots.pauses() });
  console.flush();
  screenshots.finish(guest.cpu.now);
  warnOfRom(guest, end, options);
  const state = hashState ? Buffer.from(MachineHash.of(guest.cpu).hash()).toString('hex') : '';
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

/** Record a boot. The trace appears under its name when it is whole. @throws UserError, ImageError, TraceError */
export async function record(options: RecordOptions): Promise<RunResult> {
  return recordChanged(options, {});
}

/**
 * The same of a boot that is changed before cycle 0.
 * @param changes `placed`, `configured` and `disk` of Seams, and `injected`, bytes that a device writes to memory at a
 * cycle; without their types, which would lead the library's to the processor's
 */
export async function recordChanged(options: RecordOptions, changes: object): Promise<RunResult> {
  const { output } = options;
  if (output === undefined) throw new UserError('a recording needs the name of the trace to write; give --output');
  const late = new LateSink();
  const recorder = new Recorder(late);
  const { injected, ...seams } = changes as { injected?: { cycle: number; address: number; data: Uint8Array } };
  const recording = recorderSeams(recorder);
  let memory: GuestMemory | undefined;
  const guest = makeGuest(options, {
    ...recording,
    memory: (inner) => {
      memory = recording.memory(inner);
      return memory;
    },
    ...seams,
  });
  const { cpu } = guest;
  const writes = injected
    ? [{ cycle: injected.cycle, reached: () => memory!.write(injected.address, injected.data) }]
    : [];
  const screenshots = new Screenshots(options.screenshots, guest.vga, options.onWarning);
  const notes = { tool: `vmreplay ${VERSION}`, names: guest.imageNames };
  const writer = new TraceWriter(output, guest.header, notes, new CpuSite(cpu));
  let end: RunEnd;
  let root: string;
  let state: Uint8Array;
  try {
    if (options.unsealed) writer.borrowFrom(lentBy(guest));
    late.target = writer;
    attachRecorder(guest, recorder);
    const hash = MachineHash.of(cpu);
    hash.late = writer.lateHasher();
    if (hash.known instanceof FollowedWords) hash.known.log = writer.knownLog();
    writer.streamMemory(guest.tracedMemory, cpu.physical.observed, cpu.state.memory);
    if (options.checkpointEvery !== undefined) {
      const taker = new CheckpointTaker(guest, options.checkpointEvery);
      writer.takeCheckpoints((event) => taker.take(event));
    }
    const console = watchConsoles(guest, options);
    const pauses = [...writes, ...screenshots.pauses()].sort((a, b) => a.cycle - b.cycle);
    end = await runGuest(cpu, { ...controlOf(guest, options), pauses });
    console.flush();
    screenshots.finish(cpu.now);
    warnOfRom(guest, end, options);
    state = hash.hash();
    root = writer.finish({
      reason: end.reason,
      code: end.code,
      cycles: cpu.now,
      instructions: cpu.instructions,
      state,
      memory: guest.tracedMemory,
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
