// From the first divergence back to its cause. Both sides are replayed to the instruction at which the processors part;
// what that instruction took in (its own bytes, memory, a device's answer) is compared; where memory differs, the
// instruction or transfer that wrote it is looked for in the same way, until there is a device, an item, a table or an
// image behind it. Each step is a link of the chain.
// Left out: page tables and descriptors as sources, which instructions read without naming them.

import { hex } from '../trace/event-text.js';
import { KINDS } from '../trace/events.js';
import { decodeHandoff, diffHandoff } from '../trace/handoff.js';
import type { FirstPlace } from './align.js';
import { kindOf, subjectOf } from './cause.js';
import type { MeantEvent } from './column-stream.js';
import { dataDetail } from './data-detail.js';
import { disassemble, instructionLength, type MemoryOperand, memoryOperands } from './disassemble.js';
import type { CauseKind, ChainLink } from './explanation.js';
import type { MemoryPlaces } from './memory-places.js';
import {
  atCycles,
  bytesDiffer,
  findLastParting,
  findParting,
  type Parting,
  processorsDiffer,
  type Sides,
} from './parting.js';
import type { Phase } from './phases.js';
import type { OpenProbe, ProbeState } from './probe.js';
import type { ReportSite } from './site.js';

/** Links of a chain at most. */
const MOST_LINKS = 8;
/** Bytes of a repeated instruction that are looked at. */
const MOST_BYTES = 4096;
/** Direction flag of RFLAGS. */
const DF = 0x400;
const GENERAL = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'];

/** What an investigation knows of one side. */
export interface Side {
  readonly open: OpenProbe;
  readonly places: MemoryPlaces;
  /** Events that belong to cycles from … to …, with the phase at the first. */
  eventsAt(from: number, to: number): { events: readonly MeantEvent[]; phase: Phase };
  site(cs: number, rip: bigint, base: bigint, code?: Parting['codes']['a']): ReportSite;
  /** Learn names from a symbol table in the guest's own memory, once. */
  learn(memory: Uint8Array): void;
}

/** Where the chain ends, if it ends at something that has a name. */
export interface Finding {
  readonly kind: CauseKind;
  readonly subject: string;
  readonly text: string;
  readonly phase: Phase | null;
  readonly symbol: string | null;
}

export interface Investigation {
  readonly chain: readonly ChainLink[];
  readonly finding: Finding | undefined;
  /** The first instruction that did something else. */
  readonly parting: { phase: Phase; siteA: ReportSite; siteB: ReportSite } | undefined;
}

/** Bytes of memory that differ. */
interface Concern {
  readonly address: number;
  readonly length: number;
}

/** @param to cycle behind which nothing is looked for */
export async function investigate(sides: Sides<Side>, place: FirstPlace | null, to: number): Promise<Investigation> {
  return new Inquiry(sides).run(place, to);
}

class Inquiry {
  readonly #chain: ChainLink[] = [];
  #finding: Finding | undefined;
  readonly #open: Sides<OpenProbe>;

  constructor(private readonly sides: Sides<Side>) {
    this.#open = { a: sides.a.open, b: sides.b.open };
  }

  async run(place: FirstPlace | null, to: number): Promise<Investigation> {
    const { x, y } = place ?? {};
    const handoff = x?.event.kind === 'handoff' && y?.event.kind === 'handoff';
    if (handoff) await this.#fromHandoff(x, y);
    let found = await findParting(this.#open, processorsDiffer, to);
    if (found === undefined && x && y && !handoff && x.event.cycle === y.event.cycle) {
      // Up to here the processors agree: the instruction itself took in something else.
      found = await atCycles(this.#open, x.event.cycle, y.event.cycle);
    }
    if (found === undefined || found === 'entry') return this.#result(undefined);
    this.sides.a.learn(found.probes.a.memory());
    this.sides.b.learn(found.probes.b.memory());
    const { a, b } = this.#sites(found);
    const { phase } = this.sides.a.eventsAt(found.cycle, found.cycle);
    const parting = { phase, siteA: a, siteB: b };
    if (!handoff) await this.#classify(found, 'instruction', phase);
    else this.#link('instruction', 'the first that acts on it', found.cycle, found.cycle, a, b);
    return this.#result(parting);
  }

  #result(parting: Investigation['parting']): Investigation {
    return { chain: this.#chain, finding: this.#finding, parting };
  }

  /** The first field that differs, and who wrote it. */
  async #fromHandoff(x: MeantEvent, y: MeantEvent): Promise<void> {
    let fields: readonly { field: string }[];
    try {
      fields = diffHandoff(decodeHandoff(x.event.data, x.event), decodeHandoff(y.event.data, y.event));
    } catch {
      return;
    }
    for (const { field } of fields) {
      const place = this.sides.a.places.addressOf(field);
      if (!place) continue;
      await this.#writer(place, Math.min(x.event.cycle, y.event.cycle), x.phase);
      return;
    }
  }

  /** What an instruction took in that differs. */
  async #classify(parting: Parting, role: 'instruction' | 'writer', phase: Phase): Promise<void> {
    if (this.#chain.length >= MOST_LINKS) return;
    const { cycle, states, codes, probes } = parting;
    const sites = this.#sites(parting);
    const symbol = sites.a.symbol ?? sites.b.symbol ?? null;
    const link = (text: string, as: ChainLink['role'] = role) => this.#link(as, text, cycle, cycle, sites.a, sites.b);
    const length = codes.a && codes.b ? codeLength(codes.a, codes.b, states) : 0;
    if (length > 0 && Buffer.compare(codes.a!.bytes.subarray(0, length), codes.b!.bytes.subarray(0, length)) !== 0) {
      const at = codes.a!.bytes.findIndex((byte, i) => byte !== codes.b!.bytes[i]);
      const [p, q] = [disassemble(codes.a!, states.a.rip).text, disassemble(codes.b!, states.b.rip).text];
      link(`other code: ${p} in A, ${q} in B`, 'code');
      const address = probes.a.translate(linearIp(states.a) + BigInt(at));
      const text = `the code at ${sites.a.symbol ?? sites.a.at} is ${p} in A, ${q} in B`;
      if (address !== undefined) await this.#writer({ address, length: 1 }, cycle, phase);
      const source = this.#finding;
      const subject = source?.subject ?? `code at ${sites.a.symbol ?? sites.a.at}`;
      const where = source ? `; ${source.text}` : '';
      this.#finding = {
        kind: source?.kind === 'fw_cfg' ? 'fw_cfg' : 'code',
        subject,
        text: text + where,
        phase,
        symbol,
      };
      return;
    }
    const event = this.#otherAnswer(cycle, Math.max(cycle, probes.a.cycle - 1));
    if (event) {
      const { x, y } = event;
      const detail = x && y ? dataDetail(x, y) : undefined;
      const subject = subjectOf((x ?? y)!);
      const words = detail ?? `${x?.meaning.text ?? 'nothing'} in A, ${y?.meaning.text ?? 'nothing'} in B`;
      link(`${subject}: ${words}`, role === 'instruction' ? 'event' : 'writer');
      this.#finding = { kind: kindOf((x ?? y)!), subject, text: `${subject}: ${words}`, phase, symbol };
      return;
    }
    const concern = this.#memoryConcern(parting);
    if (concern) {
      const words = `${concern.text} at guest ${hex(concern.address)}: ${concern.a} in A, ${concern.b} in B`;
      link(role === 'instruction' ? `reads other memory, ${words}` : `copies other memory, ${words}`);
      await this.#writer(concern, cycle, phase);
      if (this.#finding === undefined) {
        const subject = `memory at guest ${hex(concern.address)}`;
        this.#finding = {
          kind: 'structure',
          subject,
          text: `${subject} is ${concern.a} in A, ${concern.b} in B`,
          phase,
          symbol,
        };
      }
      return;
    }
    const special = this.#special(parting);
    if (!special && role === 'writer' && states.a.registers.some((value, n) => value !== states.b.registers[n])) {
      // It stores what another instruction has loaded just before.
      link('stores what differs in a register');
      const loaded = await findLastParting(this.#open, processorsDiffer, cycle);
      if (loaded) await this.#classify(loaded, 'writer', phase);
      return;
    }
    link(special ?? 'does something else, and nothing that it names differs');
    if (special) this.#finding = { kind: 'processor', subject: special, text: special, phase, symbol };
  }

  /** Who wrote bytes that differ, before a cycle. */
  async #writer(concern: Concern, before: number, phase: Phase): Promise<void> {
    const { address, length } = concern;
    const found = await findParting(this.#open, bytesDiffer(address, length), before);
    const name = this.sides.a.places.at(address) ?? this.sides.b.places.at(address);
    if (found === 'entry') {
      const [p, q] = [await this.#open.a(), await this.#open.b()];
      const [left, right] = [p.bytes(address, length), q.bytes(address, length)];
      const first = left.findIndex((byte, i) => byte !== right[i]);
      const last = left.findLastIndex((byte, i) => byte !== right[i]) + 1;
      const place = this.sides.a.places.at(address + first) ?? name ?? `memory at guest ${hex(address + first)}`;
      const [was, is] = [left, right].map((bytes) => bytesText(bytes.subarray(first, last)));
      const text = `${place} is ${was} in A, ${is} in B`;
      this.#link('source', `${text}, from before the first instruction`, null, null, null, null);
      const kind = place.startsWith('image ') ? 'image' : 'structure';
      this.#finding = { kind, subject: place, text, phase, symbol: null };
      return;
    }
    if (found === undefined) return;
    const dma = this.#transfer(address, length, found.cycle, found.probes.a.cycle);
    if (dma) {
      const { x, y } = dma;
      const detail = x && y ? dataDetail(x, y) : undefined;
      const one = (x ?? y)!;
      const subject = subjectOf(one);
      const text = `${subject}: ${detail ?? one.meaning.text}`;
      this.#link('writer', `a transfer of ${text}`, found.cycle, found.cycle, null, null);
      this.#finding = { kind: kindOf(one), subject, text, phase: one.phase, symbol: null };
      return;
    }
    const { phase: at } = this.sides.a.eventsAt(found.cycle, found.cycle);
    await this.#classify(found, 'writer', at);
    if (name !== undefined && this.#finding && !this.#finding.text.includes(name)) {
      this.#finding = { ...this.#finding, text: `${this.#finding.text} (it becomes ${name})` };
    }
  }

  /** The first answer, interrupt or transfer in a stretch of cycles that the two sides do not have alike. */
  #otherAnswer(from: number, to: number): { x: MeantEvent | undefined; y: MeantEvent | undefined } | undefined {
    const own = (side: Side) => side.eventsAt(from, to).events.filter(({ event }) => isAnswer(event.kind));
    const [left, right] = [own(this.sides.a), own(this.sides.b)];
    for (let i = 0; i < Math.max(left.length, right.length); i++) {
      const [x, y] = [left[i], right[i]];
      if (!x || !y || x.event.kind !== y.event.kind || x.event.value !== y.event.value) return { x, y };
      if (x.event.valueHigh !== y.event.valueHigh || Buffer.compare(x.event.data, y.event.data) !== 0) return { x, y };
      if (x.event.address !== y.event.address) return { x, y };
    }
    return undefined;
  }

  /** A device that wrote the bytes. */
  #transfer(address: number, length: number, from: number, to: number) {
    const own = (side: Side) =>
      side
        .eventsAt(from, to)
        .events.filter(({ event }) => event.kind === 'dma-write' && event.address < address + length)
        .filter(({ event }) => event.address + event.data.length > address)
        .filter(({ event }) => event.data.length > 0);
    const [left, right] = [own(this.sides.a), own(this.sides.b)];
    const differs = (x: MeantEvent, y: MeantEvent | undefined) =>
      !y || x.event.address !== y.event.address || Buffer.compare(x.event.data, y.event.data) !== 0;
    const at = left.findIndex((x, i) => differs(x, right[i]));
    if (at >= 0) return { x: left[at], y: right[at] };
    return right.length > left.length ? { x: undefined, y: right[left.length] } : undefined;
  }

  /** The first bytes that the instruction reads and that differ. */
  #memoryConcern({ states, codes, probes }: Parting): (Concern & { text: string; a: string; b: string }) | undefined {
    if (!codes.a) return undefined;
    for (const operand of memoryOperands(codes.a, states.a.rip)) {
      if (!operand.reads || operand.size === 0) continue;
      const count = operand.repeats ? Number(states.a.registers[1]! & 0xffffn) : 1;
      const length = Math.min(Math.max(count, 1) * operand.size, MOST_BYTES);
      // With the direction flag set, a string goes down from where it begins.
      const down = operand.repeats && (states.a.rflags & DF) !== 0 ? BigInt(length - operand.size) : 0n;
      const address = probes.a.translate(linearAddress(operand, states.a) - down);
      if (address === undefined) continue;
      const [left, right] = [probes.a.bytes(address, length), probes.b.bytes(address, length)];
      const first = left.findIndex((byte, i) => byte !== right[i]);
      if (first < 0) continue;
      const whole = operand.repeats ? 1 : operand.size;
      const start = operand.repeats ? first : 0;
      const show = (bytes: Uint8Array) => bytesText(bytes.subarray(start, start + whole));
      return {
        address: address + first,
        length: operand.repeats ? 1 : length - first,
        text: `${whole} ${whole === 1 ? 'byte' : 'bytes'}`,
        a: show(left),
        b: show(right),
      };
    }
    return undefined;
  }

  /** Instructions whose answer comes from the processor itself. */
  #special({ states, codes, probes }: Parting): string | undefined {
    if (!codes.a) return undefined;
    const { text } = disassemble(codes.a, states.a.rip);
    const [name] = text.split(' ');
    const [after, other] = [probes.a.state(), probes.b.state()];
    const changed = GENERAL.flatMap((register, n) =>
      after.registers[n] === other.registers[n]
        ? []
        : [`${register} ${hex(after.registers[n]!)} in A, ${hex(other.registers[n]!)} in B`],
    );
    const words = changed.slice(0, 2).join('; ');
    if (name === 'cpuid') {
      const leaf = Number(states.a.registers[0]! & 0xffff_ffffn);
      return `CPUID leaf ${hex(leaf)} gives ${words}`;
    }
    if (name === 'rdtsc' || name === 'rdtscp') return `the time-stamp counter gives ${words}`;
    if (name === 'rdmsr') return `MSR ${hex(Number(states.a.registers[1]! & 0xffff_ffffn))} gives ${words}`;
    if (name === 'rdrand' || name === 'rdseed') return `${name} gives ${words}`;
    return undefined;
  }

  #sites({ states, codes }: Parting): Sides<ReportSite> {
    const { a, b } = this.sides;
    return {
      a: a.site(states.a.cs, states.a.rip, states.a.bases[1]!, codes.a),
      b: b.site(states.b.cs, states.b.rip, states.b.bases[1]!, codes.b),
    };
  }

  #link(
    role: ChainLink['role'],
    text: string,
    cycleA: number | null,
    cycleB: number | null,
    siteA: ReportSite | null,
    siteB: ReportSite | null,
  ): void {
    if (this.#chain.length < MOST_LINKS) this.#chain.push({ role, text, cycleA, cycleB, siteA, siteB });
  }
}

/** Events in which something comes to the guest. */
function isAnswer(kind: keyof typeof KINDS): boolean {
  const { role } = KINDS[kind];
  return role === 'async' || kind === 'dma-write' || kind === 'line' || (/-read/.test(kind) && kind !== 'dma-read');
}

const codeLength = (a: NonNullable<Parting['codes']['a']>, b: typeof a, states: Parting['states']): number =>
  states.a.rip === states.b.rip
    ? Math.max(instructionLength(a, states.a.rip), instructionLength(b, states.b.rip), 1)
    : 0;

const linearIp = ({ rip, bases, bits }: ProbeState): bigint =>
  bits === 64 ? rip : BigInt.asUintN(32, rip + bases[1]!);

function linearAddress(operand: MemoryOperand, { registers, bases, bits }: ProbeState): bigint {
  const { base, index, scale, displacement, addressBits, segment } = operand;
  let offset = displacement;
  if (base !== undefined) offset += registers[base]!;
  if (index !== undefined) offset += registers[index]! * BigInt(scale);
  offset = BigInt.asUintN(addressBits, offset);
  // In 64-bit mode only FS and GS have bases.
  if (bits === 64) return BigInt.asUintN(64, offset + (segment >= 4 ? bases[segment]! : 0n));
  return BigInt.asUintN(32, offset + bases[segment]!);
}

function bytesText(bytes: Uint8Array): string {
  const shown = bytes.subarray(0, 8);
  const text = Buffer.from(shown).toString('hex').replace(/../g, '$& ').trimEnd();
  return bytes.length > shown.length ? `${text} …` : text;
}
