// A recorder between the processor and the platform of a guest: for recordings, and for live replays, which record into
// a sink that compares. Nothing here is part of the library's types, which must not lead to the processor's.

import type { Input } from '../platform/inputs.js';
import type { Recorder } from '../replay/record.js';
import type { EventSink } from '../trace/sink.js';
import type { Guest, Seams } from './guest.js';
import { HASH_INTERVAL, MachineHash } from './machine-state.js';

/** What an input carries, as the trace stores it. */
export function inputData(input: Input): [string, Uint8Array] {
  switch (input.kind) {
    case 'serial':
      return ['serial', input.data];
    case 'key':
      return ['key', Uint8Array.from([input.code & 0xff, input.code >>> 8, input.code >>> 16, input.down ? 1 : 0])];
    case 'mouse':
      return ['mouse', new TextEncoder().encode(JSON.stringify(input))];
    default:
      return [input.kind, new Uint8Array(0)];
  }
}

/** The input that the trace stores; undefined for one that no run can be given beforehand. */
export function inputOf(name: string, data: Uint8Array): Input | undefined {
  if (name === 'serial') return { kind: 'serial', data };
  const [low = 0, middle = 0, high = 0, down] = data;
  if (name === 'key' && down !== undefined)
    return { kind: 'key', code: low | (middle << 8) | (high << 16), down: down === 1 };
  return undefined;
}

/** Connect a recorder to everything of the guest that it listens to. */
export function attachRecorder(guest: Guest, recorder: Recorder): void {
  const { cpu, pc } = guest;
  pc.clock.setListener({
    timerArmed: (name, deadline) => recorder.timerArmed(name, deadline),
    timerFired: (name, deadline) => recorder.timerFired(name, deadline),
  });
  pc.inputs.setListener((_cycle, input) => recorder.input(...inputData(input)));
  const hash = MachineHash.of(cpu);
  cpu.bus = recorder.bus(pc, {
    interval: HASH_INTERVAL,
    hash: () => hash.hashLater(),
    halted: () => cpu.isHalted,
  });
  cpu.listener = { milestone: (name) => recorder.milestone(name) };
  guest.handoff.listener = (protocol, data) => recorder.handoff(protocol, data);
  recorder.milestone('entry');
}

/** The recorder needs a sink that needs the guest's site: both ends meet here. */
export class LateSink implements EventSink {
  target: EventSink | undefined;
  event(
    kind: number,
    address: number,
    size: number,
    value: number,
    valueHigh: number,
    name: string,
    data: Uint8Array,
  ): void {
    this.target?.event(kind, address, size, value, valueHigh, name, data);
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
