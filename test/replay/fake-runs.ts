// Recording and replaying the fake machine: the wiring that a real machine has, in the small.

import { createHash } from 'node:crypto';
import type { RunEnd } from '../../src/cpu/bus.js';
import type { Divergence } from '../../src/replay/divergence.js';
import { ComparingSink } from '../../src/replay/live.js';
import { Recorder } from '../../src/replay/record.js';
import { PlayerBus } from '../../src/replay/replay.js';
import type { TraceHeader } from '../../src/trace/header.js';
import { TraceReader } from '../../src/trace/reader.js';
import type { EventSink, Site } from '../../src/trace/sink.js';
import { TraceWriter } from '../../src/trace/writer.js';
import { sampleHeader } from '../trace/sample-trace.js';
import { FakeCpu, FakeMemory, FakePlatform, type Op } from './fake-machine.js';

export const initialBytes = Uint8Array.from({ length: 256 }, (_, i) => (i * 7) & 0xff);
const INITIAL_AT = 0x3000;

const hashOf = (cpu: FakeCpu): Uint8Array => createHash('sha256').update(cpu.state()).update(cpu.memory.bytes).digest();

interface Live {
  cpu: FakeCpu;
  end: RunEnd;
}

function runLive(program: readonly Op[], seed: number, makeSink: (site: Site, cpu: FakeCpu) => EventSink): Live {
  const memory = new FakeMemory();
  memory.write(INITIAL_AT, initialBytes);
  const cpu = new FakeCpu(program, memory);
  const recorder = new Recorder(makeSink(cpu, cpu));
  const platform = new FakePlatform(recorder.lines(cpu), recorder.memory(memory), seed);
  platform.onTimer = (what, ns) =>
    what === 'armed' ? recorder.timerArmed('timer', ns) : recorder.timerFired('timer', ns);
  cpu.bus = recorder.bus(platform, { interval: 100, hash: () => hashOf(cpu), halted: () => cpu.halted });
  cpu.onMilestone = (name) => recorder.milestone(name);
  return { cpu, end: cpu.run() };
}

/** Record a program. @returns the processor as it ended, and the trace's root. */
export function recordFake(
  path: string,
  program: readonly Op[],
  seed = 1,
  header: Partial<TraceHeader> = {},
): Live & { root: string } {
  let writer!: TraceWriter;
  const live = runLive(program, seed, (site) => {
    writer = new TraceWriter(path, { ...sampleHeader, ...header }, { tool: 'test', names: [] }, site);
    return writer;
  });
  const root = writer.finish({
    ...live.end,
    cycles: live.cpu.cycle,
    instructions: live.cpu.pc,
    state: hashOf(live.cpu),
    memory: [{ address: INITIAL_AT, data: initialBytes }],
  });
  return { ...live, root };
}

/** Hashes that are on their way until they are settled. */
function lateHashes(cpu: FakeCpu) {
  let late: { readonly hash: Uint8Array; readonly result: Uint8Array } | undefined;
  const settleHash = () => {
    late?.result.set(late.hash);
    late = undefined;
  };
  const stateHash = (): Uint8Array => {
    settleHash();
    late = { hash: hashOf(cpu), result: new Uint8Array(new SharedArrayBuffer(32)) };
    return late.result;
  };
  return { stateHash, settleHash };
}

/**
 * Sealed replay: only the program (the guest's code) is given besides the file.
 * @param late state hashes come late
 */
export function replayFake(
  path: string,
  program: readonly Op[],
  late = false,
): Live & { divergence: Divergence | undefined } {
  const reader = TraceReader.open(path);
  const memory = new FakeMemory();
  for (const { address, data } of reader.memory()) memory.write(address, data);
  const cpu = new FakeCpu(program, memory);
  const player = new PlayerBus(reader, {
    lines: cpu,
    memory,
    site: cpu,
    ...(late ? lateHashes(cpu) : { stateHash: () => hashOf(cpu) }),
  });
  cpu.bus = player;
  cpu.onMilestone = (name) => player.milestone(name);
  const end = cpu.run();
  const divergence = player.finish(end);
  reader.close();
  return { cpu, end, divergence };
}

/** Live replay: devices run, with a seed that may be another one. */
export function replayFakeLive(path: string, program: readonly Op[], seed = 1): Divergence | undefined {
  const reader = TraceReader.open(path);
  let sink!: ComparingSink;
  const { end } = runLive(program, seed, (site, cpu) => {
    sink = new ComparingSink(reader, site, () => cpu.stop({ reason: 'divergence' }));
    return sink;
  });
  const divergence = sink.finish(end);
  reader.close();
  return divergence;
}
