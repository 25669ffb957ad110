// The machine of a sealed replay: a processor and memory made from a trace, and a player in the place of the platform.
// A replay runs it to its end; a comparison runs two of them side by side and looks at both on the way.
// What comes from the file is checked before it is used. Left out: consoles and screens, which watch the bus.

import { HANDOFF_PROTOCOLS, type HandoffPoint, type HandoffProtocol } from '../boot/route.js';
import type { ShadowLines } from '../cpu/bus.js';
import type { Cpu } from '../cpu/cpu.js';
import { loadProcessor, PROCESSOR_STATE_SIZE } from '../cpu/snapshot.js';
import { SMRAM_IN_SMM, SMRAM_OPEN } from '../replay/record.js';
import { PlayerBus } from '../replay/replay.js';
import type { DecodedCode, SavedPage } from '../trace/checkpoint.js';
import { TraceError } from '../trace/error.js';
import type { TraceEvent } from '../trace/events.js';
import { binary, integer, list, record } from '../trace/fields.js';
import type { MemoryRuns } from '../trace/memory-runs.js';
import type { TraceReader } from '../trace/reader.js';
import { restoreMemory } from './checkpoints.js';
import { romSizeOf } from './firmware-guest.js';
import { type Hardware, makeHardware } from './guest.js';
import { HandoffWatch } from './handoff.js';
import { CpuSite, MachineHash } from './machine-state.js';
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
  readonly passed?: { readonly port: number; readonly write: (value: number) => void };
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
  const { processor, loaded, points } = entryOf(reader);
  for (const [address, length] of loaded) cpu.physical.track(address, length);
  loadProcessor(cpu, processor);
  const line = shadow && ((name: string, level: number, at: number) => applyLine(reader, shadow, name, level, at));
  const from = start && goTo(reader, cpu, start, line);
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
  if (from?.decoded)
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
  { checkpoint, passed }: SealedStart,
  line: ((name: string, level: number, address: number) => void) | undefined,
): { event: number; points: readonly HandoffPoint[]; decoded: DecodedCode | undefined } {
  const state = reader.checkpoints[checkpoint];
  if (!state) throw new TraceError(reader.path, `has no checkpoint ${checkpoint}`);
  const milestones: string[] = [];
  let last: TraceEvent | undefined;
  for (const block of reader.blocks()) {
    const count = Math.min(block.count, state.event - block.first);
    if (count <= 0) break;
    // Few events leave anything behind, and making all of them takes long.
    const { symbols, symbol } = block.columns;
    const matters = symbols.map(({ layout: { row } }) => ['milestone', 'line', 'port-write'].indexOf(row.kind));
    for (let i = 0; i < count; i++) {
      const kind = matters[symbol[i]!]!;
      if (kind < 0 || (kind === 2 && block.addressOf(i) !== passed?.port)) continue;
      const event = block.at(i);
      if (event.kind === 'port-write') passed?.write(event.value);
      else if (event.kind === 'milestone') milestones.push(event.name);
      else if (event.name === 'a20') cpu.setA20(event.value !== 0);
      else if (event.name !== 'nmi') line?.(event.name, event.value, event.address);
    }
    last = block.at(count - 1);
  }
  try {
    restoreMemory(cpu, state, pagesUpTo(reader, checkpoint));
    cpu.setCycle(state.cycle);
    loadProcessor(cpu, state.processor);
    cpu.passMilestones(milestones);
    const points = state.handoff.map(([address, protocol]) => ({ address, protocol: protocolOf(protocol) }));
    if (last?.kind === 'state-hash' && last.cycle === state.cycle && points.length <= MOST_HANDOFFS) {
      if (Buffer.from(MachineHash.of(cpu).hash()).equals(last.data))
        return { event: state.event, points, decoded: state.decoded };
    }
  } catch (error) {
    if (error instanceof TraceError) throw error;
    throw new BadCheckpoint(reader.path, state.cycle, (error as Error).message);
  }
  throw new BadCheckpoint(reader.path, state.cycle, 'its state is not the one whose hash was recorded');
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

/** Processor state and loaded ranges at cycle 0, bounded by the guest's RAM. @throws TraceError */
export function entryOf({ header, path }: TraceReader): {
  processor: Uint8Array;
  loaded: readonly (readonly [number, number])[];
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
    const processor = binary(entry.processor, 'processor');
    if (processor.length !== PROCESSOR_STATE_SIZE) throw new Error(`processor has ${processor.length} bytes`);
    // A trace from before there were hand-offs has none to watch for.
    const points = list(entry.handoff ?? [], 'handoff').map((item) => {
      const [address, protocol] = list(item, 'handoff');
      return { address: integer(address, Number.MAX_SAFE_INTEGER, 'handoff'), protocol: protocolOf(protocol) };
    });
    if (points.length > MOST_HANDOFFS) throw new Error('there are too many hand-offs');
    return { processor, loaded, points };
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
