// A sealed replay on one thread: the whole trace, or a stretch of it between two checkpoints.
// Console output is taken from the guest's own port writes, since there is no UART.
// Invariant: what a stretch finds is what the whole would have found there, but for the report: who finds a difference
// in a stretch only says so. Not exported by the library, whose types must not lead to the processor's.

import type { AccessSize, Bus } from '../cpu/bus.js';
import type { Cpu } from '../cpu/cpu.js';
import { TraceError } from '../trace/error.js';
import { LateHasher } from '../trace/late-hash.js';
import type { MemoryRuns } from '../trace/memory-runs.js';
import { PressThread } from '../trace/press-thread.js';
import type { TraceReader } from '../trace/reader.js';
import { BusTap } from './bus-tap.js';
import { TIMING } from './guest.js';
import { MachineHash } from './machine-state.js';
import type { ReplayOptions, ReplayResult } from './options.js';
import type { Passed } from './passed-events.js';
import { ConsoleBuffer, runGuest } from './run.js';
import { screenWatch } from './screen-watch.js';
import { type Pause, Screenshots, WatchedBus } from './screenshots.js';
import { sealedMachine } from './sealed-machine.js';
import type { ReadyTranslations } from './tier.js';
import { UserError } from './user-error.js';

const MACHINES = ['pc', 'microvm'];
const COM1_DATA = 0x3f8;
/** Writes to it leave where data is written. */
export const COM1_LCR = 0x3fb;
/** Cycles after the recorded end at which a replay is given up. */
const OVERTIME = 1 << 20;

/** @throws TraceError, UserError when this program has not the machine or the timing model of the trace */
export function checkReplayable({ header, path }: TraceReader): void {
  if (!MACHINES.includes(header.machine))
    throw new TraceError(path, `recorded on the machine ${header.machine}; there are ${MACHINES.join(' and ')}`);
  if (header.timing.name !== TIMING.name || header.timing.nsPerCycle !== TIMING.nsPerCycle)
    throw new UserError(
      `${path}: recorded with timing model ${header.timing.name}, this program has ${TIMING.name}; record the boot again`,
    );
}

/** What a replay comes to, but for what the file says. */
export type Outcome = Omit<ReplayResult, 'bytes' | 'root'>;

/** Where a tool looks at the machine of a sealed replay, by ascending cycle; it changes nothing. */
export type Probe = (cpu: Cpu) => readonly Pause[];

/** A part of a trace. */
export interface Stretch {
  /** Number of the checkpoint to begin at; undefined for the beginning. */
  readonly from?: number | undefined;
  /** Where it ends: a checkpoint's cycle and events before it; undefined for the end. */
  readonly to?: { readonly cycle: number; readonly event: number } | undefined;
}

/** What threads that replay parts of a trace have in common, made once. */
export interface Shared {
  readonly runs?: readonly MemoryRuns[] | undefined;
  /** What the events before the stretch leave. */
  readonly passed?: Passed | undefined;
  /** Asked for when the guest is about to run. */
  readonly translations?: Promise<ReadyTranslations | undefined> | undefined;
}

/** A sealed replay that a tool looks at on the way. @throws TraceError, UserError */
export function replayProbed(reader: TraceReader, probe: Probe, options: ReplayOptions = {}): Promise<Outcome> {
  checkReplayable(reader);
  return replayStretch(reader, options, {}, probe);
}

/**
 * Replay a trace, or a stretch of it. The outcome of one that does not reach the end has the exit code 0 when all of it
 * agreed.
 * @throws TraceError
 */
export async function replayStretch(
  reader: TraceReader,
  options: ReplayOptions,
  { from, to }: Stretch = {},
  probe: Probe = () => [],
  { runs, translations, passed }: Shared = {},
): Promise<Outcome> {
  const hash = (cpu: Cpu) => MachineHash.of(cpu).hash();
  let dlab = false;
  const start = from !== undefined && {
    checkpoint: from,
    port: COM1_LCR,
    onWrite: (value: number) => {
      dlab = isLatchOpen(value);
    },
    passed,
  };
  const hashLater = (cpu: Cpu) => MachineHash.of(cpu).hashLater();
  const { cpu, player, handoff, stop } = sealedMachine(reader, hashLater, runs, start || undefined);
  // Parts are on threads themselves.
  const thread = from === undefined && to === undefined ? new PressThread() : undefined;
  if (thread) MachineHash.of(cpu).late = new LateHasher(thread);
  const console = new ConsoleBuffer(options.onConsole ?? (() => {}));
  const watch = options.screenshots && screenWatch(reader);
  const screenshots = new Screenshots(options.screenshots, watch?.vga, options.onWarning);
  const bus = options.onConsole ? new ConsoleTap(player, console, dlab) : player;
  cpu.bus = watch ? new WatchedBus(bus, watch) : bus;
  if (from === undefined) player.milestone('entry');
  // A reset that is not the end of the trace was one that the machine went on from.
  const reset = (): boolean => {
    if (reader.header.rom.length === 0 || player.atEnd || player.divergence) return false;
    cpu.reset();
    watch?.reset();
    return true;
  };
  // The end event stops an honest replay. A trace that was made up may have it in a thousand years.
  const maxCycles = (reader.summary?.cycles ?? 0) + OVERTIME;
  const end = await runGuest(cpu, {
    ...options,
    header: reader.header,
    // A boot that is recorded or run again looks for more to translate. Who replays it wants it over; and parts of a
    // replay run on threads, and would each write.
    keeping: from === undefined && to === undefined ? 'uses' : 'borrows',
    maxCycles,
    translations: await translations,
    firstStop: stop,
    untilCycle: to?.cycle,
    reset,
    over: () => player.stopped,
    breakpoint: () => {
      player.catchUp(cpu.now);
      return handoff.reached();
    },
    pauses: [...screenshots.pauses(), ...probe(cpu)].sort((a, b) => a.cycle - b.cycle),
  }).finally(() => {
    MachineHash.of(cpu).late?.settle();
    MachineHash.of(cpu).late = undefined;
    thread?.close();
  });
  console.flush();
  screenshots.finish(cpu.now);
  const interrupted = options.signal?.aborted === true;
  const agreed = to && end.reason === 'until-cycle' && player.position >= to.event && !player.divergence;
  const divergence = interrupted || agreed ? undefined : player.finish(end);
  return {
    end,
    cycles: cpu.now,
    instructions: cpu.instructions,
    events: player.position,
    state: to ? '' : Buffer.from(hash(cpu)).toString('hex'),
    exitCode: divergence ? 1 : interrupted ? 130 : 0,
    ...(divergence && { divergence }),
  };
}

const isLatchOpen = (lcr: number): boolean => (lcr & 0x80) !== 0;

/** The guest's serial output, taken from its own port writes: a sealed replay has no UART. */
class ConsoleTap extends BusTap {
  /** @param dlab the divisor latch is where data is written otherwise */
  constructor(
    inner: Bus,
    private readonly console: ConsoleBuffer,
    private dlab: boolean,
  ) {
    super(inner);
  }

  private wrote(port: number, value: number): void {
    if (port === COM1_LCR) this.dlab = isLatchOpen(value);
    else if (port === COM1_DATA && !this.dlab) this.console.byte(value & 0xff);
  }
  override portWrite(port: number, size: AccessSize, value: number): void {
    this.wrote(port, value);
    super.portWrite(port, size, value);
  }
  override portWriteString(port: number, size: AccessSize, data: Uint8Array): void {
    if (size === 1) for (const byte of data) this.wrote(port, byte);
    super.portWriteString(port, size, data);
  }
}
