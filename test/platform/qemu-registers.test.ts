// Random register scripts (qemu-registers/scripts.ts) and what QEMU 7.2 answered to them (answers.txt, by record.ts).
// Every answer of our devices must be the same.

import { readFileSync } from 'node:fs';
import test from 'ava';
import { Pc } from '../../src/platform/pc.js';
import { type Step, script } from './qemu-registers/scripts.js';

/**
 * Instructions of the recording interpreter, a nanosecond each: before the first entry, and from the start of an entry
 * up to its access (included), after a read, after a write.
 */
const START = 12;
const TO_ACCESS = 7;
const TO_OUT = 8;
const AFTER_READ = 16;
const AFTER_WRITE = 1;

function answers(steps: readonly Step[]): string[] {
  const processor = { cycle: 0, setIntr: () => {}, pulseNmi: () => {}, stop: () => {}, setA20: () => {} };
  const memory = { ramSize: 0, read: (_address: number, length: number) => new Uint8Array(length), write: () => {} };
  const timing = { name: 'instructions', nsPerCycle: 1 };
  const pc = new Pc({ lines: processor, memory, timing, ramSize: 128 * 1024 * 1024, rtc: '2020-01-01T00:00:00Z' });
  const advance = (cycles: number): void => {
    const end = processor.cycle + cycles;
    while (pc.nextEvent() <= end) {
      processor.cycle = Math.max(processor.cycle, pc.nextEvent());
      pc.advance(processor.cycle);
    }
    processor.cycle = end;
  };
  advance(START);
  const read: string[] = [];
  for (const step of steps) {
    advance(step.op === 'out' ? TO_OUT : TO_ACCESS);
    switch (step.op) {
      case 'in':
        read.push(pc.portRead(step.address, step.size).toString(16));
        advance(AFTER_READ);
        break;
      case 'read':
        read.push(pc.mmioRead(step.address, step.size).toString(16));
        advance(AFTER_READ);
        break;
      case 'out': {
        const ones = 2 ** (8 * step.size) - 1;
        pc.portWrite(step.address, step.size, (step.value & ones) >>> 0);
        advance(AFTER_WRITE);
        break;
      }
      case 'write':
        pc.mmioWrite(step.address, step.size, step.value);
        advance(AFTER_WRITE);
        break;
      case 'delay':
        advance(2 * step.rounds);
        break;
    }
  }
  return read;
}

const recorded = readFileSync(new URL('qemu-registers/answers.txt', import.meta.url), 'utf8')
  .trim()
  .split('\n');
for (const line of recorded) {
  const [title, expected] = line.split(': ') as [string, string];
  const [kind, seed] = title.split(' ') as [string, string];
  test(`${kind} registers answer as in QEMU 7.2, seed ${seed}`, (t) => {
    const steps = script(kind, Number(seed));
    const qemu = expected.split(' ');
    const ours = answers(steps);
    t.is(ours.length, qemu.length);
    const at = ours.findIndex((answer, index) => answer !== qemu[index]);
    const reads = steps.flatMap((step, index) => (step.op === 'in' || step.op === 'read' ? [index] : []));
    t.is(ours[at], qemu[at], `step ${reads[at]}: ${JSON.stringify(steps[reads[at]!])}`);
  });
}
