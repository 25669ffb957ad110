// QEMU's log as a journal of what the processor went through: register states, interrupts, exceptions, and every access
// to a device with its value, in the order in which they happened.
//
// The log is what `-d cpu,int` and `-trace memory_region_ops_*` write. A dump stands for the instruction that is about
// to run. Accesses that no instruction makes are left out: the monitor's (processor −1), and the messages by which
// interrupts travel. A dump that repeats the one before it is left out, too: QEMU enters a block again after it was
// kept from running it.

import { parseDump, type Registers } from './registers.js';

export interface StateEntry {
  readonly kind: 'state';
  readonly lines: readonly string[];
  /** QEMU's instruction count, when it was stopped for this state. */
  readonly count?: number;
}
export interface EventEntry {
  readonly kind: 'interrupt' | 'exception';
  readonly vector: number;
  /** INT n, INT3, INTO: not a fault. */
  readonly software: boolean;
  readonly lines: readonly string[];
}
export interface AccessEntry {
  readonly kind: 'read' | 'write';
  readonly address: number;
  readonly size: number;
  readonly value: bigint;
  /** QEMU's name of the region. */
  readonly region: string;
}
/** A port read by the monitor, to mark a place in the log. */
export interface MarkEntry {
  readonly kind: 'mark';
}
export type Entry = StateEntry | EventEntry | AccessEntry | MarkEntry;

export const isAccess = (entry: Entry): entry is AccessEntry => entry.kind === 'read' || entry.kind === 'write';

/** The port that the monitor reads for a mark; nothing is there. */
export const MARK_PORT = 0xeeee;

const parsed = new WeakMap<readonly string[], Registers>();

/** The registers of an entry that has a dump. */
export function registersOf(entry: StateEntry | EventEntry): Registers {
  let registers = parsed.get(entry.lines);
  if (registers === undefined) {
    registers = parseDump(entry.lines);
    parsed.set(entry.lines, registers);
  }
  return registers;
}

const ACCESS =
  /^memory_region_ops_(read|write) cpu (-?\d+) mr 0x[0-9a-f]+ addr 0x([0-9a-f]+) value 0x([0-9a-f]+) size (\d) name '(.*)'$/;
const EVENT = /^ *\d+: v=([0-9a-f]{2}) e=[0-9a-f]{4} i=(\d)/;
const SERVICING = /^Servicing hardware INT=0x([0-9a-f]{2})/;

/** Turns text into entries as it comes. */
export class LogParser {
  private rest = '';
  private dump: string[] | undefined;
  private event: { kind: 'interrupt' | 'exception'; vector: number; software: boolean } | undefined;
  private serviced: number | undefined;
  private last = '';
  /** Lines that are no part of the journal; the last of them say why QEMU ended. */
  readonly others: string[] = [];

  feed(text: string): Entry[] {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop()!;
    const entries: Entry[] = [];
    for (const line of lines) {
      const entry = this.line(line);
      if (entry) entries.push(entry);
    }
    return entries;
  }

  private line(line: string): Entry | undefined {
    if (this.dump !== undefined) {
      this.dump.push(line);
      return line.startsWith('EFER=') ? this.endDump() : undefined;
    }
    if (line.startsWith('RAX=') || line.startsWith('EAX=')) {
      this.dump = [line];
      return undefined;
    }
    const access = ACCESS.exec(line);
    if (access) return this.access(access);
    const serviced = SERVICING.exec(line);
    const event = serviced ? null : EVENT.exec(line);
    if (serviced) this.serviced = Number.parseInt(serviced[1]!, 16);
    else if (event) {
      const vector = Number.parseInt(event[1]!, 16);
      const kind = this.serviced === vector ? 'interrupt' : 'exception';
      this.event = { kind, vector, software: event[2] === '1' };
      this.serviced = undefined;
    } else if (line !== '') {
      this.others.push(line);
      if (this.others.length > 20) this.others.shift();
    }
    return undefined;
  }

  private endDump(): Entry | undefined {
    const lines = this.dump!;
    this.dump = undefined;
    const { event } = this;
    this.event = undefined;
    if (event) {
      this.last = '';
      return { ...event, lines };
    }
    const text = lines.join();
    if (text === this.last) return undefined;
    this.last = text;
    return { kind: 'state', lines };
  }

  private access(match: RegExpExecArray): Entry | undefined {
    const address = Number.parseInt(match[3]!, 16);
    if (match[2] === '-1') return address === MARK_PORT ? { kind: 'mark' } : undefined;
    const region = match[6]!;
    // Below its first register and past its page, the local APIC's region takes messages.
    if (region === 'apic-msi' && (address < 0xfee0_0020 || address > 0xfee0_0fff)) return undefined;
    this.last = '';
    const kind = match[1] as 'read' | 'write';
    const size = Number(match[5]);
    // The log has a big-endian region's values as the device has them.
    const value = BigInt(`0x${region === 'fwcfg.dma' ? swapped(match[4]!, size) : match[4]}`);
    return { kind, address, size, value, region };
  }
}

function swapped(digits: string, size: number): string {
  return (digits.padStart(2 * size, '0').match(/../g) ?? []).slice(-size).reverse().join('');
}
