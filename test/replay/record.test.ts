import test from 'ava';
import type { ProcessorLines, RunEnd } from '../../src/cpu/bus.js';
import { checkOf, Recorder } from '../../src/replay/record.js';
import { KIND_BY_ID, MAX_EVENT_DATA, TIMER_CANCELLED } from '../../src/trace/events.js';
import type { EventSink } from '../../src/trace/sink.js';

/** Notes what it is given as [kind, address, value, name, length of the data]. */
class ListSink implements EventSink {
  readonly events: [string, number, number, string, number][] = [];

  event(kind: number, address: number, _: number, value: number, __: number, name: string, data: Uint8Array): void {
    this.events.push([KIND_BY_ID[kind]!.kind, address, value, name, data.length]);
  }

  ask(): void {}
  answer(): void {}
}

test('a DMA longer than an event may be is recorded in pieces, and done at once', (t) => {
  const sink = new ListSink();
  const writes: number[] = [];
  const inner = {
    ramSize: 1 << 20,
    read: (_: number, length: number) => new Uint8Array(length),
    write: (_: number, data: Uint8Array) => void writes.push(data.length),
  };
  const memory = new Recorder(sink).memory(inner);
  memory.write(0x1000, new Uint8Array(MAX_EVENT_DATA * 2 + 1));
  t.deepEqual(writes, [MAX_EVENT_DATA * 2 + 1]);
  t.deepEqual(
    sink.events.map(([, address, , , length]) => [address, length]),
    [
      [0x1000, MAX_EVENT_DATA],
      [0x1000 + MAX_EVENT_DATA, MAX_EVENT_DATA],
      [0x1000 + 2 * MAX_EVENT_DATA, 1],
    ],
  );
});

test('what a device reads is kept whole up to 64 bytes, as a hash past that', (t) => {
  t.is(checkOf(new Uint8Array(64)).length, 64);
  t.is(checkOf(new Uint8Array(65)).length, 32);
});

test('lines into the processor are recorded and passed on; INTR is not an event', (t) => {
  const sink = new ListSink();
  const calls: unknown[] = [];
  const inner: ProcessorLines = {
    cycle: 5,
    setIntr: (level) => void calls.push(['intr', level]),
    pulseNmi: () => void calls.push('nmi'),
    pulseSmi: () => void calls.push('smi'),
    suspend: () => void calls.push('suspend'),
    setA20: (enabled) => void calls.push(['a20', enabled]),
    stop: (end: RunEnd) => void calls.push(end),
  };
  const lines = new Recorder(sink).lines(inner);
  lines.setIntr(true);
  lines.pulseNmi();
  lines.setA20(true);
  lines.stop({ reason: 'debug-exit', code: 0 });
  t.is(lines.cycle, 5);
  t.deepEqual(calls, [['intr', true], 'nmi', ['a20', true], { reason: 'debug-exit', code: 0 }]);
  t.deepEqual(sink.events, [
    ['line', 0, 1, 'nmi', 0],
    ['line', 0, 1, 'a20', 0],
    ['stop', 0, 1, 'debug-exit', 0],
  ]);
});

test('a cancelled timer is recorded as armed for never', (t) => {
  const sink = new ListSink();
  const recorder = new Recorder(sink);
  recorder.timerArmed('pit', Number.POSITIVE_INFINITY);
  recorder.timerFired('pit', 1000.5);
  t.deepEqual(sink.events, [
    ['timer-armed', 0, TIMER_CANCELLED, 'pit', 0],
    ['timer-fired', 0, 1001, 'pit', 0],
  ]);
});
