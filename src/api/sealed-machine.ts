// The machine of a sealed replay: a processor and memory made from a trace, and a player in the place of the platform.
// A replay runs it to its end; a comparison runs two of them side by side and looks at both on the way.
// What comes from the file is checked before it is used. Left out: consoles and screens, which watch the bus.

import { HANDOFF_PROTOCOLS, type HandoffPoint, type HandoffProtocol } from '../boot/route.js';
import type { ShadowLines } from '../cpu/bus.js';
import type { Cpu } from '../cpu/cpu.js';
import { loadProcessor, PROCESSOR_STATE_SIZE } from '../cpu/snapshot.js';
import { SMRAM_IN_SMM, SMRAM_OPEN } from '../replay/record.js';
import { PlayerBus } from '../replay/replay.js';
import type { CheckpointState, DecodedCode, SavedPage } from '../trace/checkpoint.js';
import { TraceError } from '../trace/error.js';
import { binary, integer, list, record, unsigned64 } from '../trace/fields.js';
import { type KnownChange, ToldWords, WORD_SIZE } from '../trace/known-words.js';
import type { MemoryRuns } from '../trace/memory-runs.js';
import type { TraceReader } from '../trace/reader.js';
import { restoreMemory } from './checkpoints.js';
import { romSizeOf } from './firmware-guest.js';
import { followMemory, type Hardware, makeHardware, type Tracking } from './guest.js';
import { HandoffWatch } from './handoff.js';
import { CpuSite, MachineHash } from './machine-state.js';
import { type Passed, passedBefore } from './passed-events.js';
import { ToldMemory } from './told-memory.js';
import { UserError } from './user-error.js';

/** Points at which a trace may have a kernel entered. */
const MOST_HANDOFFS = 256;

export interface SealedMachine {
  readonly cpu: Cpu;
  readonly player: PlayerBus;
  readonly handoff: HandoffWatch;
  /** Cycle at which the recording stopped next, for no reason of the guest's: a stop has code decoded. */
  readonly stop?: number | undefined;
}

/** Where a sealed machine begins, if not at cycle 0. */
export interface SealedStart {
  /** Number of the checkpoint. */
  readonly checkpoint: number;
  /** Called with every write to a port before it. */
  readonly port: number;
  readonly onWrite: (value: number) => void;
  /** What the events before it leave, where that is known. */
  readonly passed?: Passed | undefined;
}

/**
 * The machine at cycle 0, or at a checkpoint. The caller puts the player on the bus; at cycle 0 it begins with the
 * milestone `entry`.
 * @param stateHash compares recorded state hashes; without it they are skipped
 * @param runs the initial memory, where it was decoded before
 * @throws TraceError when the trace was cut off, asks for a machine that there is not, or has no such checkpoint
 */
export function sealedMachine(
  reader: TraceReader,
  stateHash?: (cpu: Cpu) => Uint8Array,
  runs: Iterable<MemoryRuns> = reader.memoryRuns(),
  start?: SealedStart,
): SealedMachine {
  const { cpu, memory, shadow } = hardwareOf(reader);
  for (const { address, offsets, lengths, data } of runs) cpu.physical.fill(address, offsets, lengths, data);
  const { processor, tracking, points } = entryOf(reader);
  const told = (start || stateHash) && tracking.words === WORD_SIZE ? toldBy(reader, tracking) : undefined;
  // Accesses are noted for state hashes alone, and a checkpoint says what had been noted.
  if ((start || stateHash) && !told) followMemory(cpu, tracking);
  if (told) MachineHash.of(cpu).known = new ToldWords(cpu.physical.ramSize >>> 12, tracking.loaded, told);
  loadProcessor(cpu, processor);
  const line = shadow && ((name: string, level: number, at: number) => applyLine(reader, shadow, name, level, at));
  const from = start && goTo(reader, cpu, start, told !== undefined, line);
  const world = {
    lines: cpu,
    memory,
    site: new CpuSite(cpu),
    ...(stateHash && { stateHash: () => stateHash(cpu), settleHash: () => MachineHash.of(cpu).late?.settle() }),
    ...(line && { line }),
  };
  const player = new PlayerBus(reader, world, from?.event);
  cpu.listener = { milestone: (name) => player.milestone(name) };
  const handoff = new HandoffWatch(cpu, reader.header.route, from?.points ?? points);
  // What has been decoded has been read, which nobody notes where the trace tells it.
  if (from?.decoded && !told)
    try {
      cpu.loadDecoded(from.decoded);
    } catch (error) {
      throw new BadCheckpoint(reader.path, cpu.now, (error as Error).message);
    }
  handoff.listener = (protocol, data) => player.handoff(protocol, data);
  return { cpu, player, handoff, stop: from?.decoded?.stop };
}

/**
 * Bring a machine from cycle 0 to a checkpoint.
 * @returns the number of the next event, and the points at which a kernel may still be entered
 * @throws TraceError when the checkpoint does not give the state that was recorded there
 */
function goTo(
  reader: TraceReader,
  cpu: Cpu,
  { checkpoint, port, onWrite, passed }: SealedStart,
  isTold: boolean,
  line: ((name: string, level: number, address: number) => void) | undefined,
): { event: number; points: readonly HandoffPoint[]; decoded: DecodedCode | undefined } {
  const state = stateOf(reader, checkpoint);
  const milestones: string[] = [];
  const { events, last } = passed ?? passedBefore(reader, [state.event], port)[0]!;
  for (const { kind, name, value, address } of events) {
    if (kind === 'port-write') onWrite(value);
    else if (kind === 'milestone') milestones.push(name);
    else if (name === 'a20') cpu.setA20(value !== 0);
    else if (name !== 'nmi') line?.(name, value, address);
  }
  const bad = (reason: string) => new BadCheckpoint(reader.path, state.cycle, reason);
  try {
    if (state.processor.length !== PROCESSOR_STATE_SIZE) throw new RangeError('it is one of another processor');
    const hash = isTold
      ? restoreTold(reader, cpu, checkpoint, state, bad)
      : restoreTracked(reader, cpu, checkpoint, state);
    cpu.setCycle(state.cycle);
    loadProcessor(cpu, state.processor);
    cpu.passMilestones(milestones);
    const points = state.handoff.map(([address, protocol]) => ({ address, protocol: protocolOf(protocol) }));
    if (last?.kind === 'state-hash' && last.cycle === state.cycle && points.length <= MOST_HANDOFFS) {
      if (Buffer.from(hash()).equals(last.data)) return { event: state.event, points, decoded: state.decoded };
    }
  } catch (error) {
    if (error instanceof TraceError) throw error;
    throw bad((error as Error).message);
  }
  throw bad('its state is not the one whose hash was recorded');
}

/** What state hashes count as zeros, where that is known beforehand. */
function toldBy(reader: TraceReader, { loaded }: Tracking): KnownChange[] | undefined {
  return reader.knownWords() ?? (loaded.length === 0 ? [] : undefined);
}

/** Memory at a checkpoint. @returns makes the hash of the state once the processor is there, too */
function restoreTold(
  reader: TraceReader,
  cpu: Cpu,
  checkpoint: number,
  { tracked }: CheckpointState,
  bad: (reason: string) => Error,
): () => Uint8Array {
  const memory = new ToldMemory(cpu, tracked);
  const saved = reader.savedPages(checkpoint);
  if (!saved) {
    memory.fill(pagesUpTo(reader, checkpoint));
    return () => MachineHash.of(cpu).hash();
  }
  const late = memory.late(saved);
  return () => memory.leave(late, saved, bad);
}

/** The same where what the guest sees is noted from there on. */
function restoreTracked(reader: TraceReader, cpu: Cpu, checkpoint: number, state: CheckpointState): () => Uint8Array {
  restoreMemory(cpu, state, pagesUpTo(reader, checkpoint));
  return () => MachineHash.of(cpu).hash();
}

/** The state of a checkpoint, if it is the one that the trace says it is. */
function stateOf(reader: TraceReader, checkpoint: number): CheckpointState {
  const place = reader.checkpoints[checkpoint];
  if (!place) throw new TraceError(reader.path, `has no checkpoint ${checkpoint}`);
  let state: CheckpointState;
  try {
    state = reader.checkpointState(place);
  } catch {
    throw new BadCheckpoint(reader.path, place.cycle, 'its state cannot be read');
  }
  if (state.cycle === place.cycle && state.event === place.event) return state;
  throw new BadCheckpoint(reader.path, place.cycle, 'the index says something else of it');
}

/** A checkpoint that cannot be gone on from. Everything else of the trace may be right. */
export class BadCheckpoint extends TraceError {
  /** The message without the file's name. */
  readonly what: string;

  constructor(path: string, cycle: number, reason: string) {
    const what = `the checkpoint at cycle ${cycle} cannot be used (${reason}): replay with --jobs 1, or record again`;
    super(path, what);
    this.what = what;
  }
}

function* pagesUpTo(reader: TraceReader, checkpoint: number): Generator<SavedPage> {
  for (let n = 0; n <= checkpoint; n++) yield* reader.checkpointPages(n);
}

/** Processor and memory of the recorded machine. @throws TraceError when there is no such machine here */
function hardwareOf({ header, path }: TraceReader): Hardware {
  try {
    romSizeOf(header.rom, header.machine);
  } catch {
    throw new TraceError(path, 'the header has ROM where no machine has it: record the boot again');
  }
  try {
    return makeHardware(header.memory, header.cpu, header.rom, header.machine, header.options.vga === 'std');
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new TraceError(path, `the header asks for a machine that there is not here (${error.message})`);
  }
}

/** A recorded line of the memory map. @throws TraceError when there is no such range */
function applyLine(reader: TraceReader, shadow: ShadowLines, name: string, level: number, address: number): void {
  try {
    if (name === 'pam') shadow.pam(address, level);
    else if (name === 'smram') shadow.smram((level & SMRAM_OPEN) !== 0, (level & SMRAM_IN_SMM) !== 0);
  } catch (error) {
    throw new TraceError(reader.path, `has a line event that no machine makes: ${(error as Error).message}`);
  }
}

/** Processor state and tracked ranges at cycle 0, bounded by the guest's RAM. @throws TraceError */
export function entryOf({ header, path }: TraceReader): {
  processor: Uint8Array;
  tracking: Tracking;
  points: readonly HandoffPoint[];
} {
  try {
    const entry = record(header.entry, 'entry');
    let total = 0;
    const loaded = list(entry.loaded, 'loaded').map((item) => {
      const [start, size] = list(item, 'loaded');
      const address = integer(start, header.memory, 'loaded address');
      const length = integer(size, header.memory - address, 'loaded size');
      total += length;
      return [address, length] as const;
    });
    // Loaders fill memory once; what is more would only cost time.
    if (total > 2 * header.memory) throw new Error('loaded ranges are more than the memory');
    // A trace from before there were words goes by bytes.
    const words = integer(entry.words ?? 1, WORD_SIZE, 'size of words');
    if (words !== 1 && words !== WORD_SIZE) throw new Error(`words of ${words} bytes are not known here`);
    const processor = binary(entry.processor, 'processor');
    if (processor.length !== PROCESSOR_STATE_SIZE) throw new Error(`processor has ${processor.length} bytes`);
    // A trace from before there were hand-offs has none to watch for.
    const points = list(entry.handoff ?? [], 'handoff').map((item) => {
      const [address, protocol] = list(item, 'handoff');
      return { address: unsigned64(address, 'handoff'), protocol: protocolOf(protocol) };
    });
    if (points.length > MOST_HANDOFFS) throw new Error('there are too many hand-offs');
    return { processor, tracking: { loaded, words }, points };
  } catch (error) {
    const { message } = error as Error;
    throw new TraceError(path, `the header has no usable state at entry (${message}): record the boot again`);
  }
}

function protocolOf(value: unknown): HandoffProtocol {
  const found = HANDOFF_PROTOCOLS.find((name) => name === value);
  if (found === undefined) throw new Error('handoff has an unknown protocol');
  return found;
}
