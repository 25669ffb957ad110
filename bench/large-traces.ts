// Traces of millions of events in the proportions of a kernel's boot: polled and written UART, PCI configuration, PIC
// and local APIC, timers, interrupts, DMA. Nothing is booted; the events are made up, the same for the same seed.
// The second trace has a difference early on, and others strewn over all of it, so that a comparison has work to do.
//
// Usage: npx tsx bench/large-traces.ts EVENTS A B   then   vmreplay diff A B --no-replay

import { EMPTY, KINDS } from '../src/trace/events.js';
import { TraceWriter } from '../src/trace/writer.js';

const MOST_DATA = 512;

export interface LargeOptions {
  readonly events: number;
  /** Events between two that differ from the unchanged trace; 0 for none. */
  readonly changeEvery?: number;
}

/** Write one. */
export function writeLargeTrace(path: string, { events, changeEvery = 0 }: LargeOptions): void {
  const site = { cycle: 0, cs: 0x10, ripLow: 0x8100_0000, ripHigh: 0xffff_ffff };
  const header = {
    machine: 'pc',
    memory: 0x1000_0000,
    cpu: 'made-up',
    timing: { name: 'made-up', nsPerCycle: 4 },
    route: 'pvh',
    commandLine: '',
    images: [],
    rom: [],
    options: {},
    entry: null,
  };
  const writer = new TraceWriter(path, header, { tool: 'bench', names: [] }, site);
  let state = 12345;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
  const data = new Uint8Array(MOST_DATA);
  const put = (
    kind: keyof typeof KINDS,
    place: number,
    address: number,
    size: number,
    value: number,
    name = '',
    bytes = EMPTY,
  ) => {
    site.ripLow = 0x8100_0000 + place * 16;
    writer.event(KINDS[kind].id, address, size, value, 0, name, bytes);
  };
  for (let n = 0; n < events; n++) {
    site.cycle += 3 + random(200);
    const what = random(100);
    const other = changeEvery > 0 && n % changeEvery === changeEvery - 1 ? 1 : 0;
    if (what < 35) put('port-read', 1, 0x3fd, 1, 0x60);
    else if (what < 55) put('port-write', 2, 0x3f8, 1, (0x20 + random(64)) ^ other);
    else if (what < 65) put('mmio-write', 3, 0xfee0_00b0, 4, 0);
    else if (what < 72) put('mmio-read', 4, 0xfed0_00f0, 4, n + other);
    else if (what < 78) put('interrupt', random(500), 0xec, 0, 0);
    else if (what < 84) put('timer-armed', 5, 0, 0, site.cycle * 4 + 1000, 'lapic');
    else if (what < 88) put('port-write', 6, 0xcf8, 4, 0x8000_0000 + random(256) * 4);
    else if (what < 92) put('port-read', 7, 0xcfc, 4, random(16) + other);
    else if (what < 96) put('mmio-write', 8 + random(20), 0xfebf_1000 + random(64) * 4, 4, random(1 << 16));
    else if (what < 98) put('port-write', 30, 0x20, 1, 0x20);
    else {
      data.fill(random(256), 0, 64);
      put('dma-write', random(500), 0x10_0000 + random(256) * 4096, 0, 0, '', data.subarray(0, 64));
    }
    // Now and then one side has an event more, and everything comes later.
    if (other && n % (3 * changeEvery) === changeEvery - 1) {
      site.cycle += 17;
      put('port-read', 40, 0x64, 1, 0x1c);
    }
  }
  const end = { reason: 'poweroff' as const, cycles: site.cycle + 1, instructions: events, memory: [] };
  writer.finish({ ...end, state: new Uint8Array(32).fill(changeEvery > 0 ? 1 : 0) });
}

const [count, a, b] = process.argv.slice(2);
if (import.meta.filename === process.argv[1] && count !== undefined && a !== undefined && b !== undefined) {
  writeLargeTrace(a, { events: Number(count) });
  writeLargeTrace(b, { events: Number(count), changeEvery: 5000 });
}
