// Traces made up for the page's tests: events of a few devices, in any number, some with texts that try to be markup.

import { writeFileSync } from 'node:fs';
import { deflateRawSync } from 'node:zlib';
import { EventPacker } from '../../src/report/event-pack.js';
import { pageHtml } from '../../src/report/html.js';
import { pageSource } from '../../src/report/page-source.js';
import { joinPayload, type TraceHead } from '../../src/report/payload.js';
import { EMPTY, type TraceEvent } from '../../src/trace/events.js';
import { Semantics } from '../../src/trace/semantic/semantics.js';

/** Text that would run, or break out of an element, if any of it became markup. */
export const HOSTILE = '</script><img src=x onerror="document.title=1"><script>document.title=2</script>&lt;';

const base: Omit<TraceEvent, 'index' | 'cycle'> = {
  kind: 'port-write',
  cs: 0x10,
  rip: 0xffff_ffff_8100_0000n,
  address: 0x3f8,
  size: 1,
  value: 0x41,
  valueHigh: 0,
  name: '',
  data: EMPTY,
};

/** Events in turn: console output, timer, interrupt, MMIO read, PCI write, DMA. */
export function* syntheticEvents(count: number): Generator<TraceEvent> {
  let noise = 1;
  for (let index = 0; index < count; index++) {
    noise = (Math.imul(noise, 1_103_515_245) + 12_345) >>> 0;
    const at = { index, cycle: index * 1000 + (noise % 900), rip: base.rip + BigInt(noise % 4096) };
    switch (index % 6) {
      case 0:
        yield { ...base, ...at, value: index % 60 === 0 ? 10 : 0x41 + (noise % 26) };
        break;
      case 1:
        yield { ...base, ...at, kind: 'timer-fired', address: 0, size: 0, name: 'lapic', value: at.cycle * 4 };
        break;
      case 2:
        yield { ...base, ...at, kind: 'interrupt', address: 0x20 + (noise % 16), size: 0, value: 0 };
        break;
      case 3:
        yield { ...base, ...at, kind: 'mmio-read', address: 0xfee0_0020, size: 4, value: noise };
        break;
      case 4:
        yield { ...base, ...at, address: 0xcf8, size: 4, value: (0x8000_0000 | (noise & 0xfffc)) >>> 0 };
        break;
      default:
        yield {
          ...base,
          ...at,
          kind: 'dma-write',
          address: noise & 0xffff000,
          size: 0,
          value: 0,
          data: Uint8Array.of(noise & 255, 1, 2, 3),
        };
    }
  }
}

/** A payload of events with everything else made up. */
export function syntheticPayload(events: Iterable<TraceEvent>, more: Partial<TraceHead> = {}): Uint8Array {
  const packer = new EventPacker();
  const semantics = new Semantics();
  for (const event of events) packer.add(event, semantics.next(event));
  const { columns, ...tables } = packer.finish({ symbol: () => undefined, instruction: () => '' }, () => undefined);
  const head: Omit<TraceHead, 'columns'> = {
    file: 'made-up.trace',
    inspection: {
      format: 'vmreplay-trace 0.0',
      tool: 'a test',
      machine: 'pc',
      cpu: 'none',
      timing: { name: 'test', nsPerCycle: 4 },
      sealed: true,
      root: 'ab'.repeat(32),
      images: [],
      cycles: packer.cycle,
      instructions: 0,
      end: { reason: 'poweroff', code: null },
      state: null,
      events: { total: packer.count, byKind: {} },
      milestones: [],
      bytes: 0,
    },
    memory: 1 << 20,
    route: 'pvh',
    commandLine: '',
    notes: [],
    events: packer.count,
    cycles: Math.max(packer.cycle, 1),
    ...tables,
    phases: [{ name: 'kernel', from: 0, to: Math.max(packer.cycle, 1) }],
    samples: null,
    handoffs: [],
    items: [],
    screens: [],
    ...more,
  };
  return joinPayload(head, columns);
}

/** A page of that, as a file. */
export async function syntheticPage(file: string, payload: Uint8Array, title = 'made up'): Promise<void> {
  const part = { id: 'trace-0', data: deflateRawSync(payload, { level: 1 }) };
  writeFileSync(file, pageHtml(title, await pageSource(), [part]));
}
