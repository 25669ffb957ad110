// Random register scripts (qemu-registers/scripts.ts) and what QEMU 7.2 answered to them (answers.txt, by record.ts).
// Every answer of our devices must be the same.

import { readFileSync } from 'node:fs';
import test from 'ava';
import type { IdeMedium } from '../../src/platform/devices/ide/piix3-ide.js';
import { Pc } from '../../src/platform/pc.js';
import { cdImage, diskImage } from './qemu-registers/ide-scripts.js';
import { type Step, script, WITH_DISKS, WITH_VIRTIO } from './qemu-registers/scripts.js';

/**
 * Instructions of the recording interpreter, a nanosecond each: before the first entry, and from the start of an entry
 * up to its access (included), after a read, after a write.
 */
const START = 12;
const TO_ACCESS = 7;
const TO_OUT = 8;
const AFTER_READ = 16;
const AFTER_WRITE = 1;
/** What the scripts use of it. */
const RAM = 0x2_0000;

const medium = (kind: 'disk' | 'cd', bytes: Uint8Array): IdeMedium => ({
  kind,
  source: { size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) },
});

function answers(kind: string, steps: readonly Step[]): string[] {
  const none = () => {};
  const processor = {
    cycle: 0,
    setIntr: none,
    pulseNmi: none,
    pulseSmi: none,
    suspend: none,
    stop: none,
    setA20: none,
  };
  const ram = new Uint8Array(RAM);
  const view = new DataView(ram.buffer);
  const memory = {
    ramSize: RAM,
    read: (address: number, length: number) => ram.slice(address, address + length),
    write: (address: number, data: Uint8Array) => ram.set(data, address),
  };
  const timing = { name: 'instructions', nsPerCycle: 1 };
  const pc = new Pc({
    lines: processor,
    memory,
    timing,
    ramSize: 128 * 1024 * 1024,
    rtc: '2020-01-01T00:00:00Z',
    ...(WITH_DISKS.includes(kind) && { ide: [medium('disk', diskImage()), undefined, medium('cd', cdImage())] }),
    ...(WITH_VIRTIO.includes(kind) && { virtioDisks: [medium('disk', diskImage()).source] }),
    ...(kind === 'vga' && { vga: {} }),
  });
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
        read.push(
          (step.address < RAM ? view.getUint32(step.address, true) : pc.mmioRead(step.address, 4)).toString(16),
        );
        advance(AFTER_READ);
        break;
      case 'out': {
        const ones = 2 ** (8 * step.size) - 1;
        pc.portWrite(step.address, step.size, (step.value & ones) >>> 0);
        advance(AFTER_WRITE);
        break;
      }
      case 'write':
        if (step.address < RAM) view.setUint32(step.address, step.value, true);
        else pc.mmioWrite(step.address, step.size, step.value);
        advance(AFTER_WRITE);
        break;
      case 'skip':
        pc.portReadString(step.address, step.size, step.value);
        break;
      case 'fill':
        pc.portWriteString(step.address, step.size, new Uint8Array(step.size * step.value));
        break;
      case 'poll':
        while ((pc.portRead(step.address, 1) & step.mask) !== step.value) advance(1000);
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
    const ours = answers(kind, steps);
    t.is(ours.length, qemu.length);
    const at = ours.findIndex((answer, index) => answer !== qemu[index]);
    const reads = steps.flatMap((step, index) => (step.op === 'in' || step.op === 'read' ? [index] : []));
    t.is(ours[at], qemu[at], `step ${reads[at]}: ${JSON.stringify(steps[reads[at]!])}`);
  });
}
