// Our machine, led by QEMU's journal: the processor runs as always, but every answer of a device, every interrupt and
// every reading of the TSC is QEMU's, so that time passes for both alike. At each state in the journal ours must be the
// same, every access it makes must be the journal's next, and it must fault where QEMU faults.
//
// Our devices run beside it, for what they do to memory (DMA); their answers are compared and counted, not used.
// What the two may do differently is evened out: arithmetic flags that an instruction leaves undefined become QEMU's,
// and a REP instruction that is through stands on itself once more in QEMU, with a count of zero.

import { Decoder, DecoderOptions, Mnemonic } from 'iced-x86';
import type { Guest } from '../../src/api/guest.js';
import type { AccessSize, Bus, RunEnd } from '../../src/cpu/bus.js';
import * as L from '../../src/cpu/layout.js';
import { peekMemory } from '../../src/cpu/peek.js';
import { MODE_64BIT, MODE_CS32 } from '../../src/cpu/state.js';
import { interrupt } from '../../src/cpu/system/interrupts.js';
import { DeviceDifferences } from './device-differences.js';
import { followTsc, itemAt, setItem } from './led-guest.js';
import type { Disturbance, Parting, TrailStep } from './parting.js';
import { type AccessEntry, type Entry, type EventEntry, isAccess, registersOf, type StateEntry } from './qemu-log.js';
import {
  ARITHMETIC,
  adoptRegisters,
  CR2,
  differing,
  linearOf,
  ourRegisters,
  RAX,
  RCX,
  RDX,
  type Registers,
  RFLAGS,
  RIP,
} from './registers.js';

type Sync = StateEntry | EventEntry;

/** Longest way between two points of the journal, in cycles. */
const MOST_CYCLES = 4e9;
const TRAIL = 16;
const MOST_MENDED = 5000;
const NMI = 2;
/** A breakpoint that served so often stays. */
const KEPT_AFTER = 3;
const KEPT = 512;

export class Follower {
  readonly devices = new DeviceDifferences();
  /** Linear addresses behind TSC-reading instructions that the journal should have had and had not. */
  readonly missedTsc = new Set<bigint>();
  /** A change to make, for testing the search. */
  disturbance: Disturbance | undefined;
  /** Make a difference in general registers or flags QEMU's and go on, when every instruction is compared. */
  goOn = false;
  /** The differences so mended. */
  readonly mended: Parting[] = [];
  /** Points of the journal passed. */
  points = 0;
  /** States where nothing but arithmetic flags differed. */
  flagsOnly = 0;
  private accesses: Entry[] = [];
  private next = 0;
  private sync: Sync | undefined;
  private parting: Parting | undefined;
  private vector = -1;
  /** The last entry of the journal was an interrupt or exception. */
  private delivered = false;
  /** The state at which the last entry of the journal was an exception. */
  private fault: Registers | undefined;
  private readonly trail: TrailStep[] = [];
  private readonly kept = new Map<bigint, number>();
  private ended: RunEnd | undefined;

  /** @param tscPoints linear addresses of the instructions behind TSC readings, when not every instruction is logged */
  constructor(
    private readonly guest: Guest,
    /** The journal has every instruction from here on. */
    public every: boolean,
    private readonly tscPoints: ReadonlySet<bigint> = new Set(),
  ) {
    guest.cpu.bus = this.bus();
    followTsc(guest, () => this.tsc());
  }

  /** The guest's devices ended the run. */
  stop(end: RunEnd): void {
    this.ended = end;
    this.guest.cpu.stop(end);
  }

  get instructions(): number {
    return this.guest.cpu.instructions;
  }

  /** Take one entry of the journal. Returns the parting when there is one. */
  take(entry: Entry): Parting | undefined {
    if (entry.kind === 'mark') return undefined;
    if (isAccess(entry)) {
      this.accesses.push(entry);
      return undefined;
    }
    const sync: Sync = entry;
    if (sync.kind === 'state' && !this.every && this.tscPoints.has(linearOf(registersOf(sync)))) {
      this.accesses.push(sync);
      return undefined;
    }
    // Ours moves a run of items at once; QEMU's states between them have nothing to be compared with.
    if (this.every && sync.kind === 'state' && this.inPortRun(registersOf(sync))) return undefined;
    this.sync = sync;
    this.arrive(sync);
    if (this.parting === undefined && this.next < this.accesses.length) this.part('QEMU had made this access by now');
    this.accesses = [];
    this.next = 0;
    this.sync = undefined;
    this.points++;
    return this.parting;
  }

  /** The journal is over: ours must end, too. `reason` says how it did. */
  finish(): { parting: Parting | undefined; end: RunEnd | undefined } {
    const { cpu } = this.guest;
    if (this.ended === undefined && this.parting === undefined) {
      const end = cpu.runUntil(cpu.now + MOST_CYCLES);
      if (end.reason === 'triple-fault') this.ended = end;
      if (this.ended === undefined && end.reason !== 'divergence')
        this.part(`QEMU ended here, ours has not (${end.reason})`);
    }
    if (this.parting === undefined && this.next < this.accesses.length) this.part('ours ended before this access');
    return { parting: this.parting, end: this.ended };
  }

  // --- getting to a point ---------------------------------------------------------------------------------------

  private arrive(sync: Sync): void {
    const { cpu } = this.guest;
    const theirs = registersOf(sync);
    const single = sync.kind === 'exception' && sync.vector === 1;
    // CR2 of a page fault is already set in its dump.
    const want = sync.kind === 'exception' && sync.vector === 14 ? theirs.with(CR2, undefined) : theirs;
    // A fault at delivering a fault: ours has done both in one step.
    const nested = sync.kind === 'exception' && this.fault !== undefined && differing(this.fault, want).length === 0;
    this.fault = nested ? this.fault : undefined;
    if (nested) return;
    if (single) {
      // The trap belongs to the instruction before, with which ours delivers it.
      if (!cpu.delivered) this.step();
      return;
    }
    const arrived = this.every ? this.arriveByStep(want) : this.arriveByRunning(want);
    this.delivered = sync.kind !== 'state';
    if (!arrived || sync.kind === 'state') return;
    if (sync.kind === 'interrupt') this.deliver(sync.vector);
    else if (sync.vector === NMI && !sync.software) {
      cpu.state.set32(L.HALTED, 0);
      interrupt(cpu, NMI, 'nmi');
    } else {
      this.fault = theirs;
      this.step();
      if (this.parting) return;
      if (!cpu.delivered) this.part(`QEMU takes exception ${sync.vector} here, ours does not`);
      else if (sync.vector === 14 && cpu.state.get64(L.CR2) !== theirs[CR2])
        this.part('the page fault has another CR2', theirs);
    }
  }

  private arriveByStep(theirs: Registers): boolean {
    if (this.isAt(theirs)) return true;
    const before = this.guest.cpu.state.rip;
    // Behind a delivery, this is its handler's first instruction.
    if (!this.delivered) this.step();
    // A run ends with the page.
    while (!this.parting && this.next < this.accesses.length && this.inPortRun(ourRegisters(this.guest.cpu)))
      this.step();
    if (this.parting) return false;
    // In the middle of a repeated comparison ours still has the flags from before.
    const repeating = !this.delivered && theirs[RIP] === before;
    if (this.isAt(theirs, repeating ? ARITHMETIC : this.undefinedFlags())) return true;
    const parting = this.describeParting('the states differ', theirs);
    if (this.goOn && this.mended.length < MOST_MENDED && adoptRegisters(this.guest.cpu, theirs, parting.fields)) {
      this.mended.push(parting);
      return true;
    }
    this.part('the states differ', theirs);
    return false;
  }

  private arriveByRunning(theirs: Registers): boolean {
    const { cpu } = this.guest;
    const limit = cpu.now + MOST_CYCLES;
    const at = linearOf(theirs);
    const repeated = this.repeatedAt(theirs);
    const through = repeated !== undefined && repeated.left === 0n ? at + BigInt(repeated.length) : at;
    this.breakAt(through);
    try {
      for (;;) {
        if (this.next === this.accesses.length && this.isAt(theirs, ARITHMETIC)) return true;
        if (cpu.now >= limit) return this.lost('ours does not come to this state', theirs);
        if (linearOf(ourRegisters(cpu)) === through) {
          const iterations = repeated === undefined ? 0n : cpu.state.reg(RCX) - repeated.left;
          if (through === at && iterations > 0n && iterations < 2n ** 32n) cpu.runUntil(cpu.now + Number(iterations));
          else this.step();
          if (this.parting) return false;
          continue;
        }
        const end = this.run(limit);
        if (this.parting) return false;
        if (end.reason === 'until-cycle') continue;
        if (end.reason === 'breakpoint') {
          // Somebody else's: a place that was kept, or where a kernel may be entered.
          if (linearOf(ourRegisters(cpu)) !== through) this.step();
          if (this.parting) return false;
          continue;
        }
        if (end.reason === 'halted' && this.next === this.accesses.length && this.isAt(theirs, ARITHMETIC)) return true;
        return this.lost(`ours does not come to this state (${end.reason})`, theirs);
      }
    } finally {
      this.unbreak(through);
    }
  }

  private lost(what: string, theirs: Registers): false {
    this.part(what, theirs);
    return false;
  }

  /** True when ours is in this state; what may differ is made QEMU's. */
  private isAt(theirs: Registers, flags = 0): boolean {
    const { cpu } = this.guest;
    const { state } = cpu;
    // A page fault's CR2 stays in the dump of what follows; the exception itself has compared it.
    if (state.rip !== theirs[RIP]) {
      // A REP instruction that is through.
      const repeated = this.repeatedAt(theirs);
      if (repeated?.left !== 0n || state.rip !== (theirs[RIP] as bigint) + BigInt(repeated.length)) return false;
      if (differing(ourRegisters(cpu), theirs.with(RIP, state.rip), flags).length > 0) return false;
      state.rip = theirs[RIP] as bigint;
      return true;
    }
    const ours = ourRegisters(cpu);
    if (differing(ours, theirs, flags).length > 0) return false;
    const theirFlags = theirs[RFLAGS] as number;
    if (((state.eflags ^ theirFlags) & ARITHMETIC) !== 0) {
      this.flagsOnly++;
      state.arithmeticFlags = theirFlags;
    }
    return true;
  }

  /** A state at the REP INS or OUTS at which ours stands, with items to go. */
  private inPortRun(registers: Registers): boolean {
    if (this.accesses.length === 0 || registers[RIP] !== this.guest.cpu.state.rip) return false;
    const repeated = this.repeatedAt(registers);
    return repeated !== undefined && repeated.opcode < 0x70 && repeated.left > 0n;
  }

  /** The string instruction with REP at a state: its length, and the count left. */
  private repeatedAt(theirs: Registers): { opcode: number; length: number; left: bigint } | undefined {
    const { cpu } = this.guest;
    const code = peekMemory(cpu.state, cpu.physical, linearOf(theirs), 15);
    let at = 0;
    let repeated = false;
    let narrow = false;
    const is64 = (cpu.state.mode & MODE_64BIT) !== 0;
    for (; at < code.length; at++) {
      const byte = code[at]!;
      if (byte === 0xf2 || byte === 0xf3) repeated = true;
      else if (byte === 0x67) narrow = true;
      else if (![0x66, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65].includes(byte) && !(is64 && byte >> 4 === 4)) break;
    }
    const opcode = code[at];
    if (!repeated || opcode === undefined) return undefined;
    if (
      !((opcode >= 0xa4 && opcode <= 0xa7) || (opcode >= 0xaa && opcode <= 0xaf) || (opcode >= 0x6c && opcode <= 0x6f))
    )
      return undefined;
    const bits = is64 ? (narrow ? 32 : 64) : ((cpu.state.mode & MODE_CS32) !== 0) !== narrow ? 32 : 16;
    return { opcode, length: at + 1, left: BigInt.asUintN(bits, theirs[RCX] as bigint) };
  }

  /** Run up to a breakpoint or the cycle, or to where the machine is to be disturbed. */
  private run(limit: number): RunEnd {
    const { cpu } = this.guest;
    const left = this.disturbance === undefined ? Number.POSITIVE_INFINITY : this.disturbance.after - cpu.instructions;
    const end = cpu.runUntil(Math.min(limit, cpu.now + left));
    this.disturb();
    return end;
  }

  private disturb(): void {
    const { cpu } = this.guest;
    if (this.disturbance === undefined || cpu.instructions < this.disturbance.after) return;
    this.disturbance.change(cpu);
    this.disturbance = undefined;
  }

  // --- one instruction ------------------------------------------------------------------------------------------

  private step(): void {
    const { cpu } = this.guest;
    if (this.every) {
      const registers = ourRegisters(cpu);
      const { mode } = cpu.state;
      const bits = (mode & MODE_64BIT) !== 0 ? 64 : (mode & MODE_CS32) !== 0 ? 32 : 16;
      this.trail.push({ registers, code: peekMemory(cpu.state, cpu.physical, linearOf(registers), 15), bits });
      if (this.trail.length > TRAIL) this.trail.shift();
    }
    if (cpu.isHalted) return;
    if (this.every) {
      // One iteration of a repeated instruction at a time, as QEMU does.
      cpu.state.f64[L.DEADLINE >>> 3] = cpu.now + 1;
      cpu.state.i32[L.BUDGET >>> 2] = 1;
    }
    cpu.step();
    this.disturb();
  }

  /** Arithmetic flags that the last instruction leaves undefined; after SYSCALL QEMU has cleared them all. */
  private undefinedFlags(): number {
    const last = this.trail.at(-1);
    if (last === undefined) return 0;
    const decoder = new Decoder(last.bits, last.code, DecoderOptions.None);
    const instruction = decoder.decode();
    // RflagsBits of iced: OF 1, SF 2, ZF 4, AF 8, CF 16, PF 32.
    const undefinedBits = instruction.mnemonic === Mnemonic.Syscall ? 0x3f : instruction.rflagsUndefined;
    instruction.free();
    decoder.free();
    return [0x800, 0x80, 0x40, 0x10, 1, 4].reduce(
      (flags, flag, bit) => flags | (undefinedBits & (1 << bit) ? flag : 0),
      0,
    );
  }

  private deliver(vector: number): void {
    const { cpu } = this.guest;
    this.vector = vector;
    cpu.setIntr(true);
    cpu.runUntil(cpu.now + 1);
    cpu.setIntr(false);
    if (this.vector >= 0 && !this.parting) this.part(`QEMU takes interrupt ${vector} here, ours does not`);
    this.vector = -1;
  }

  private breakAt(linear: bigint): void {
    const used = (this.kept.get(linear) ?? 0) + 1;
    if (this.kept.size < KEPT || used > 1) this.kept.set(linear, used);
    this.guest.cpu.setBreakpoint(linear);
  }
  private unbreak(linear: bigint): void {
    if ((this.kept.get(linear) ?? 0) < KEPT_AFTER) this.guest.cpu.clearBreakpoint(linear);
  }

  // --- what comes from QEMU ---------------------------------------------------------------------------------------

  private tsc(): bigint | undefined {
    const entry = this.next < this.accesses.length ? this.accesses[this.next] : this.sync;
    const { cpu } = this.guest;
    const { nextIp } = cpu;
    if (entry?.kind === 'state') {
      const theirs = registersOf(entry);
      if (theirs[RIP] === nextIp) {
        if (entry !== this.sync) {
          this.next++;
          const ours = ourRegisters(cpu).with(RIP, nextIp);
          const fields = differing(ours, theirs, ARITHMETIC).filter((field) => field > RDX);
          if (fields.length > 0) this.part('the states differ', theirs);
        }
        return ((theirs[RDX] as bigint) << 32n) | BigInt.asUintN(32, theirs[RAX] as bigint);
      }
    }
    this.missedTsc.add(linearOf(ourRegisters(cpu).with(RIP, nextIp)));
    this.part('ours reads the TSC, and the journal does not have the value');
    return undefined;
  }

  private bus(): Bus {
    const { pc } = this.guest;
    return {
      portRead: (port, size) => this.read(port, size, pc.portRead(port, size)),
      portWrite: (port, size, value) => {
        this.write(port, size, value);
        pc.portWrite(port, size, value);
      },
      // QEMU's journal has them one by one.
      portReadString: (port, size, count) => {
        const items = pc.portReadString(port, size, count);
        const view = new DataView(items.buffer, items.byteOffset, items.byteLength);
        for (let at = 0; at < items.length; at += size)
          setItem(view, at, size, this.read(port, size, itemAt(view, at, size)));
        return items;
      },
      portWriteString: (port, size, data) => {
        const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
        for (let at = 0; at < data.length; at += size) this.write(port, size, itemAt(view, at, size));
        pc.portWriteString(port, size, data);
      },
      mmioRead: (address, size) => this.read(address, size, pc.mmioRead(address, size)),
      mmioWrite: (address, size, value) => {
        this.write(address, size, value);
        pc.mmioWrite(address, size, value);
      },
      mmioString: () => false,
      mmioReadString: () => new Uint8Array(0),
      mmioWriteString: () => {},
      msrRead: (index) => pc.msrRead(index),
      msrWrite: (index, value) => pc.msrWrite(index, value),
      acknowledge: () => {
        const { vector } = this;
        this.vector = -1;
        this.guest.cpu.stop({ reason: 'until-cycle' });
        return vector;
      },
      advance: () => {},
      nextEvent: () => Number.POSITIVE_INFINITY,
    };
  }

  private read(address: number, size: AccessSize, own: number): number {
    const pieces = this.pieces('read', address, size);
    if (pieces === undefined) return own;
    let value = 0n;
    for (const piece of pieces) value |= piece.value << BigInt(8 * (piece.address - address));
    const answer = Number(BigInt.asUintN(8 * size, value));
    this.devices.note(pieces[0]!.region, address, size, answer, own);
    return answer;
  }

  private write(address: number, size: AccessSize, value: number): void {
    const pieces = this.pieces('write', address, size);
    for (const piece of pieces ?? []) {
      const bits = 8 * Math.min(piece.size, size);
      const own = BigInt.asUintN(bits, BigInt(value) >> BigInt(8 * (piece.address - address)));
      if (BigInt.asUintN(bits, piece.value) !== own)
        this.part(`ours writes ${own.toString(16)} where QEMU writes ${piece.value.toString(16)} (${describe(piece)})`);
    }
  }

  /** The journal's entries for one access: QEMU splits it by what the device takes. */
  private pieces(kind: 'read' | 'write', address: number, size: AccessSize): AccessEntry[] | undefined {
    if (this.parting) return undefined;
    const found: AccessEntry[] = [];
    for (let done = 0; done < size; ) {
      const entry = this.accesses[this.next];
      if (entry?.kind !== kind || entry.address !== address + done) {
        // Where QEMU has no device, it logs nothing.
        if (found.length === 0 && !isLogged(address)) return undefined;
        const own = `ours makes a ${kind} of ${size} at ${address.toString(16)}`;
        const theirs =
          entry === undefined ? `QEMU comes to ${this.nextState()} without one` : `QEMU's next is ${describe(entry)}`;
        this.part(`${own}, ${theirs}`);
        return undefined;
      }
      found.push(entry);
      done += entry.size;
      this.next++;
    }
    return found;
  }

  private nextState(): string {
    const { sync } = this;
    if (sync === undefined) return 'its end';
    const event = sync.kind === 'state' ? '' : ` (${sync.kind} ${sync.vector})`;
    return `its next state, at ${linearOf(registersOf(sync)).toString(16)}${event},`;
  }

  private part(what: string, theirs?: Registers): void {
    if (this.parting) return;
    this.parting = this.describeParting(what, theirs);
    this.guest.cpu.stop({ reason: 'divergence' });
  }

  private describeParting(what: string, theirs?: Registers): Parting {
    const { cpu } = this.guest;
    const waiting = this.accesses[this.next];
    const ours = ourRegisters(cpu).with(RIP, cpu.instructionIp);
    return {
      what: theirs === undefined && waiting && what.endsWith('now') ? `${what}: ${describe(waiting)}` : what,
      ours,
      theirs,
      fields: theirs === undefined ? [] : differing(ours, theirs, this.every ? 0 : ARITHMETIC),
      instructions: cpu.instructions,
      trail: [...this.trail],
    };
  }
}

/** Ports, and the interrupt controllers and timers; elsewhere there may be nothing. */
function isLogged(address: number): boolean {
  return address < 0x1_0000 || (address >= 0xfec0_0000 && address < 0xfef0_0000);
}

function describe(entry: Entry): string {
  if (entry.kind !== 'read' && entry.kind !== 'write') return `a ${entry.kind}`;
  const { kind, size, address, value, region } = entry;
  return `${kind} ${value.toString(16)}, ${size} bytes at ${address.toString(16)} (${region})`;
}
