// The machine of a sealed replay: a processor and memory made from a trace, and a player in the place of the platform.
// A replay runs it to its end; a comparison runs two of them side by side and looks at both on the way.
// What comes from the file is checked before it is used. Left out: consoles and screens, which watch the bus.

import { HANDOFF_PROTOCOLS, type HandoffPoint, type HandoffProtocol } from '../boot/handoff/handoff.js';
import type { ShadowLines } from '../cpu/bus.js';
import type { Cpu } from '../cpu/cpu.js';
import { loadProcessor, PROCESSOR_STATE_SIZE } from '../cpu/snapshot.js';
import { SMRAM_IN_SMM, SMRAM_OPEN } from '../replay/record.js';
import { PlayerBus } from '../replay/replay.js';
import { TraceError } from '../trace/error.js';
import { binary, integer, list, record } from '../trace/fields.js';
import type { MemoryPiece } from '../trace/memory.js';
import type { TraceReader } from '../trace/reader.js';
import { romSizeOf } from './firmware-guest.js';
import { type Hardware, makeHardware } from './guest.js';
import { HandoffWatch } from './handoff.js';
import { CpuSite } from './machine-state.js';
import { UserError } from './user-error.js';

/** Points at which a trace may have a kernel entered. */
const MOST_HANDOFFS = 256;

export interface SealedMachine {
  readonly cpu: Cpu;
  readonly player: PlayerBus;
  readonly handoff: HandoffWatch;
}

/**
 * The machine at cycle 0. The caller puts the player on the bus, and begins with its milestone `entry`.
 * @param stateHash compares recorded state hashes; without it they are skipped
 * @param pieces the initial memory, where it was decoded before
 * @throws TraceError when the trace was cut off or asks for a machine that there is not
 */
export function sealedMachine(
  reader: TraceReader,
  stateHash?: (cpu: Cpu) => Uint8Array,
  pieces: Iterable<MemoryPiece> = reader.memory(),
): SealedMachine {
  const { cpu, memory, shadow } = hardwareOf(reader);
  for (const { address, data } of pieces) {
    memory.write(address, data);
    cpu.physical.fillRom(address, data);
  }
  const { processor, loaded, points } = entryOf(reader);
  for (const [address, length] of loaded) cpu.physical.track(address, length);
  loadProcessor(cpu, processor);
  const player = new PlayerBus(reader, {
    lines: cpu,
    memory,
    site: new CpuSite(cpu),
    ...(stateHash && { stateHash: () => stateHash(cpu) }),
    ...(shadow && { line: (name, level, address) => applyLine(reader, shadow, name, level, address) }),
  });
  cpu.listener = { milestone: (name) => player.milestone(name) };
  const handoff = new HandoffWatch(cpu, reader.header.route, points);
  handoff.listener = (protocol, data) => player.handoff(protocol, data);
  return { cpu, player, handoff };
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
