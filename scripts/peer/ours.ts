// A boot here, from its trace: the conversation with fw_cfg, where its DMA transfers are started, the debug console's
// output, and guest memory at the end.

import { createHash, type Hash } from 'node:crypto';
import { makeGuest } from '../../src/api/guest.js';
import type { RecordOptions } from '../../src/api/options.js';
import { record } from '../../src/api/record.js';
import { runGuest } from '../../src/api/run.js';
import { type HandoffView, handoffsOf } from '../../src/trace/handoff.js';
import { TraceReader } from '../../src/trace/reader.js';
import { Conversation, type Descriptor, type Exchange, parseDescriptor } from './conversation.js';

export interface Side {
  exchanges: Exchange[];
  /** Lines of the debug console. */
  debugcon: string[];
  /** RAM at the end. */
  memory: Uint8Array;
  /** How kernels were entered. */
  handoffs: HandoffView[];
}

export interface OurSide extends Side {
  /** Linear addresses at which a DMA may have been started: real mode's reading of the site, and the flat one. */
  sites: Set<number>;
  /** Names of the files. */
  names: ReadonlyMap<number, string>;
  /** How the run ended. */
  reason: string;
}

const SELECTOR = 0x510;
const DATA = 0x511;
const DMA_HIGH = 0x514;
const DMA_LOW = 0x518;

/** Record the boot to `trace` and read it. @throws UserError */
export async function ourSide(options: RecordOptions, trace: string): Promise<OurSide> {
  const log: Uint8Array[] = [];
  const { end } = await record({ ...options, output: trace, onDebugcon: (data) => log.push(data.slice()) });
  const reader = TraceReader.open(trace);
  try {
    const { exchanges, sites, names } = readTrace(reader);
    return {
      exchanges,
      sites,
      names,
      handoffs: handoffsOf(reader),
      reason: end.reason,
      debugcon: lines(Buffer.concat(log)),
      memory: await memoryAtEnd(options, reader),
    };
  } finally {
    reader.close();
  }
}

export const lines = (log: Buffer): string[] => log.toString('latin1').split(/\r?\n/);

/** Memory is not in a trace as a whole: the same run once more, up to the same cycle. */
async function memoryAtEnd(options: RecordOptions, reader: TraceReader): Promise<Uint8Array> {
  const guest = makeGuest(options);
  const { reset } = guest;
  const again = (): boolean => {
    if (!reset || options.noReboot) return false;
    reset();
    return true;
  };
  await runGuest(guest.cpu, { untilCycle: reader.summary!.cycles, reset: again });
  return guest.cpu.physical.read(0, guest.header.memory);
}

function swap32(value: number): number {
  return Buffer.from(Uint32Array.of(value).buffer).swap32().readUInt32LE();
}

function readTrace(reader: TraceReader): Pick<OurSide, 'exchanges' | 'sites' | 'names'> {
  const conversation = new Conversation();
  const sites = new Set<number>();
  let high = 0;
  /** A transfer under way. */
  let dma: { at: number; descriptor?: Descriptor; hash: Hash; kept: Uint8Array[] } | undefined;
  for (const event of reader.events()) {
    const { kind, address, value, data } = event;
    if (kind === 'port-write' && address === SELECTOR && event.size === 2) conversation.select(value);
    else if (kind === 'port-read' && address === DATA) conversation.read(Uint8Array.of(value));
    else if (kind === 'port-read-string' && address === DATA) conversation.read(data);
    else if (kind === 'port-write' && address === DMA_HIGH) high = swap32(value);
    else if (kind === 'port-write' && address === DMA_LOW) {
      sites.add(event.cs * 16 + Number(event.rip & 0xffffn)).add(Number(event.rip & 0xffff_ffffn));
      dma = { at: high * 2 ** 32 + swap32(value), hash: createHash('sha256'), kept: [] };
      high = 0;
    } else if (dma && kind === 'dma-read') {
      if (!dma.descriptor) dma.descriptor = parseDescriptor(data);
      else dma.hash.update(data);
    } else if (dma && kind === 'dma-write') {
      if (address !== dma.at || data.length !== 4) {
        dma.hash.update(data);
        dma.kept.push(data.slice());
      } else {
        const bytes = Buffer.concat(dma.kept);
        const { descriptor } = dma;
        const empty = !descriptor || descriptor.length === 0 || (descriptor.control & 0x12) === 0;
        conversation.dma(dma.at, descriptor!, empty ? '' : dma.hash.digest('hex'), bytes);
        dma = undefined;
      }
    }
  }
  return { exchanges: conversation.finish(), sites, names: conversation.names };
}
