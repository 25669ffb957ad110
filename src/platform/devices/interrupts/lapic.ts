// The local APIC of the one processor (Intel SDM vol. 3, chapter "Advanced Programmable Interrupt Controller"),
// in the shape QEMU 7.2 gives it: version 0x14 with six LVT entries, timer input of 1 GHz, an ESR that only ever
// gains "illegal register address", no arbitration. All interrupt requests to the processor pass through here: the
// PIC's INTR arrives at LINT0, and `intr` is the processor's INTR pin. Invariant: `intr` is called exactly when the
// value of hasInterrupt() changes. Left out: x2APIC (QEMU's TCG has none), focus processor.

import type { AccessSize } from '../../../cpu/bus.js';
import type { Clock, Device, Line, MmioHandler, Plain } from '../../device.js';
import { LapicTimer, type TscSource } from './lapic-timer.js';

export type { TscSource } from './lapic-timer.js';

/** Physical address after reset; the register page is mirrored over 1 MiB, which is also where MSIs are written. */
export const LAPIC_BASE = 0xfee00000;
export const LAPIC_SIZE = 0x100000;

export const MSR_APIC_BASE = 0x1b;
export const MSR_TSC_DEADLINE = 0x6e0;
export const MSR_X2APIC_TPR = 0x808;

const APIC_BASE_BSP = 0x100;
const APIC_BASE_ENABLE = 0x800;
const SVR_ENABLE = 0x100;
const ESR_ILLEGAL_ADDRESS = 0x80;

const LVT_TIMER = 0;
const LVT_LINT0 = 3;
const LVT_LINT1 = 4;
const LVT_COUNT = 6;
const LVT_MASKED = 0x10000;
const LVT_LEVEL = 0x8000;

/** Delivery modes of ICR, LVT, redirection entries and MSIs. */
export const DELIVERY_FIXED = 0;
export const DELIVERY_LOWEST = 1;
export const DELIVERY_SMI = 2;
export const DELIVERY_NMI = 4;
export const DELIVERY_INIT = 5;
export const DELIVERY_STARTUP = 6;
export const DELIVERY_EXTINT = 7;

export interface LapicWiring {
  clock: Clock;
  tsc: TscSource;
  /** The processor's INTR pin. */
  intr: Line;
  /** Edge on the processor's NMI pin. */
  nmi: () => void;
  /** SMI to the processor. */
  smi?: () => void;
  /** End of a level-triggered interrupt, to be broadcast to the I/O APIC. */
  eoi: (vector: number) => void;
  /** INIT to this processor (an INIT IPI to itself); without it INIT is ignored. */
  init?: () => void;
}

/** An interrupt message on the APIC bus. */
export interface ApicMessage {
  /** Physical ID or logical mask, 8 bits. */
  destination: number;
  logical: boolean;
  /** DELIVERY_*. */
  mode: number;
  vector: number;
  level: boolean;
}

interface LapicState {
  apicBase: bigint;
  id: number;
  tpr: number;
  spurious: number;
  logicalDestination: number;
  destinationMode: number;
  isr: number[];
  tmr: number[];
  irr: number[];
  /** Indexed as the registers; the timer keeps its own entry. */
  lvt: number[];
  esr: number;
  icr: number[];
  lint0: boolean;
  output: boolean;
}

const testBit = (table: number[], bit: number): boolean => ((table[bit >> 5]! >>> (bit & 31)) & 1) === 1;

function setBit(table: number[], bit: number, value: boolean): void {
  const mask = 1 << (bit & 31);
  const word = table[bit >> 5]!;
  table[bit >> 5] = (value ? word | mask : word & ~mask) >>> 0;
}

/** Highest set bit of a 256-bit register, −1 if none. */
function highest(table: number[]): number {
  for (let i = 7; i >= 0; i--) if (table[i] !== 0) return i * 32 + 31 - Math.clz32(table[i]!);
  return -1;
}

function initialState(): LapicState {
  return {
    apicBase: BigInt(LAPIC_BASE + APIC_BASE_BSP + APIC_BASE_ENABLE),
    id: 0,
    tpr: 0,
    spurious: 0xff,
    logicalDestination: 0,
    destinationMode: 0xf,
    isr: new Array(8).fill(0),
    tmr: new Array(8).fill(0),
    irr: new Array(8).fill(0),
    lvt: new Array(LVT_COUNT).fill(LVT_MASKED),
    esr: 0,
    icr: [0, 0],
    lint0: false,
    output: false,
  };
}

const clone = (s: LapicState): LapicState => ({
  ...s,
  isr: [...s.isr],
  tmr: [...s.tmr],
  irr: [...s.irr],
  lvt: [...s.lvt],
  icr: [...s.icr],
});

/** The local APIC, id 0. */
export class Lapic implements Device, MmioHandler {
  readonly name = 'lapic';
  private readonly wiring: LapicWiring;
  private readonly timer: LapicTimer;
  private state = initialState();

  constructor(wiring: LapicWiring) {
    this.wiring = wiring;
    this.timer = new LapicTimer(wiring.clock, wiring.tsc, () => {
      this.deliverLocal(LVT_TIMER);
      this.update();
    });
  }

  reset(): void {
    const { lint0, output } = this.state;
    this.state = { ...initialState(), lint0, output };
    this.timer.reset();
    this.update();
  }

  /**
   * Put the registers where PC firmware leaves them: APIC software-enabled with spurious vector 0xff, LINT0 as
   * level ExtINT (virtual wire), LINT1 as level NMI. For boots without firmware.
   */
  applyFirmwareSetup(): void {
    this.state.spurious = 0x1ff;
    this.state.lvt[LVT_LINT0] = 0x8700;
    this.state.lvt[LVT_LINT1] = 0x8400;
    this.update();
  }

  /** False after IA32_APIC_BASE disabled it; CPUID.1:EDX bit 9 then reads 0. */
  get enabled(): boolean {
    return (this.state.apicBase & BigInt(APIC_BASE_ENABLE)) !== 0n;
  }

  /** Task priority register, 8 bits; CR8 is its upper half. */
  get tpr(): number {
    return this.state.tpr;
  }

  set tpr(value: number) {
    this.state.tpr = value & 0xff;
    this.update();
  }

  /** Level of the PIC's INTR output. */
  setLint0(level: boolean): void {
    if (level === this.state.lint0) return;
    this.state.lint0 = level;
    const lvt = this.state.lvt[LVT_LINT0]!;
    if (!level) {
      // The input of a level-triggered fixed interrupt going away withdraws the request.
      if (((lvt >> 8) & 7) === DELIVERY_FIXED && lvt & LVT_LEVEL) setBit(this.state.irr, lvt & 0xff, false);
    } else {
      this.deliverLocal(LVT_LINT0);
    }
    this.update();
  }

  /** Edge on LINT1, where the board wires NMI. */
  pulseLint1(): void {
    this.deliverLocal(LVT_LINT1);
    this.update();
  }

  /** True while the INTR pin is up: an own interrupt of sufficient priority, or the PIC's through LINT0. */
  hasInterrupt(): boolean {
    return this.pending() > 0 || this.acceptsPic();
  }

  /**
   * Interrupt acknowledge. Returns the vector, which moves from IRR to ISR, or −1 when the PIC is to be asked:
   * ExtINT has no priority and goes first, as in QEMU.
   */
  acknowledge(): number {
    if (!(this.state.spurious & SVR_ENABLE)) return -1;
    const vector = this.pending();
    if (vector === 0 || this.acceptsPic()) return -1;
    if (vector < 0) return this.state.spurious & 0xff;
    setBit(this.state.irr, vector, false);
    setBit(this.state.isr, vector, true);
    this.update();
    return vector;
  }

  /** A message from the I/O APIC or an MSI. Messages for other processors vanish. */
  deliver(message: ApicMessage): void {
    if (!this.isDestination(message.destination, message.logical)) return;
    this.accept(message.mode, message.vector, message.level);
  }

  /** A 4-byte write of a bus master into the interrupt message range; `address` is physical. */
  deliverMsi(address: number, data: number): void {
    this.deliver({
      destination: (address >>> 12) & 0xff,
      logical: (address & 4) !== 0,
      mode: (data >>> 8) & 7,
      vector: data & 0xff,
      level: (data & LVT_LEVEL) !== 0,
    });
  }

  mmioRead(offset: number, size: AccessSize): number {
    if (size !== 4 || offset & 3) return 0;
    const s = this.state;
    const index = (offset >>> 4) & 0xff;
    if (index >= 0x10 && index <= 0x17) return s.isr[index & 7]!;
    if (index >= 0x18 && index <= 0x1f) return s.tmr[index & 7]!;
    if (index >= 0x20 && index <= 0x27) return s.irr[index & 7]!;
    if (index >= 0x32 && index <= 0x37) return this.lvt(index - 0x32);
    switch (index) {
      case 0x02:
        return (s.id << 24) >>> 0;
      case 0x03:
        return 0x14 | ((LVT_COUNT - 1) << 16);
      case 0x08:
        return s.tpr;
      case 0x09: // arbitration priority
      case 0x0b: // EOI
        return 0;
      case 0x0a:
        return this.processorPriority();
      case 0x0d:
        return (s.logicalDestination << 24) >>> 0;
      case 0x0e:
        return ((s.destinationMode << 28) | 0xfffffff) >>> 0;
      case 0x0f:
        return s.spurious;
      case 0x28:
        return s.esr;
      case 0x30:
      case 0x31:
        return s.icr[index & 1]!;
      case 0x38:
        return this.timer.initialCount;
      case 0x39:
        return this.timer.currentCount;
      case 0x3e:
        return this.timer.divide;
      default:
        s.esr |= ESR_ILLEGAL_ADDRESS;
        return 0;
    }
  }

  mmioWrite(offset: number, size: AccessSize, value: number): void {
    if (size !== 4 || offset & 3) return;
    // MSIs share the address range: the register page has nothing at its first 16 bytes, and the rest is all MSI.
    if (offset > 0xfff || offset < 0x10) {
      this.deliverMsi(offset, value);
      return;
    }
    this.writeRegister(offset >>> 4, value >>> 0);
    this.update();
  }

  /** MSR_APIC_BASE, MSR_TSC_DEADLINE or MSR_X2APIC_TPR (the TPR's 8 bits). Throws RangeError on others. */
  msrRead(index: number): bigint {
    switch (index) {
      case MSR_APIC_BASE:
        return this.state.apicBase;
      case MSR_TSC_DEADLINE:
        return this.timer.tscDeadline;
      case MSR_X2APIC_TPR:
        return BigInt(this.state.tpr);
      default:
        throw new RangeError(`MSR 0x${index.toString(16)} is not the local APIC's`);
    }
  }

  msrWrite(index: number, value: bigint): void {
    const s = this.state;
    switch (index) {
      case MSR_APIC_BASE: {
        // Once disabled it stays disabled until reset; BSP is read-only (QEMU, and Intel up to the Pentium III).
        const kept = s.apicBase & BigInt(APIC_BASE_BSP | APIC_BASE_ENABLE);
        s.apicBase = (value & 0xfffff000n) | kept;
        if ((value & BigInt(APIC_BASE_ENABLE)) === 0n) {
          s.apicBase &= ~BigInt(APIC_BASE_ENABLE);
          s.spurious &= ~SVR_ENABLE;
        }
        break;
      }
      case MSR_TSC_DEADLINE:
        this.timer.tscDeadline = value;
        break;
      case MSR_X2APIC_TPR:
        s.tpr = Number(value & 0xffn);
        break;
      default:
        throw new RangeError(`MSR 0x${index.toString(16)} is not the local APIC's`);
    }
    this.update();
  }

  save(): Plain {
    return { ...clone(this.state), timer: this.timer.save() };
  }

  /** Lines are not driven: what they are connected to saves its own inputs. */
  load(state: Plain): void {
    const { timer, ...rest } = state as unknown as LapicState & { timer: Plain };
    this.state = clone(rest);
    this.timer.load(timer);
  }

  private writeRegister(index: number, value: number): void {
    const s = this.state;
    if (index >= 0x10 && index <= 0x28) return;
    if (index >= 0x32 && index <= 0x37) {
      this.writeLvt(index - 0x32, value);
      return;
    }
    switch (index) {
      case 0x02:
        s.id = value >>> 24;
        break;
      case 0x08:
        s.tpr = value & 0xff;
        break;
      case 0x0b:
        this.endOfInterrupt();
        break;
      case 0x0d:
        s.logicalDestination = value >>> 24;
        break;
      case 0x0e:
        s.destinationMode = value >>> 28;
        break;
      case 0x0f:
        s.spurious = value & 0x1ff;
        break;
      case 0x30:
        s.icr[0] = value;
        this.sendIpi();
        break;
      case 0x31:
        s.icr[1] = value;
        break;
      case 0x38:
        this.timer.initialCount = value;
        break;
      case 0x3e:
        this.timer.divide = value;
        break;
      case 0x03:
      case 0x09:
      case 0x0a:
      case 0x39:
        break;
      default:
        s.esr |= ESR_ILLEGAL_ADDRESS;
    }
  }

  private lvt(entry: number): number {
    return entry === LVT_TIMER ? this.timer.lvt : this.state.lvt[entry]!;
  }

  private writeLvt(entry: number, value: number): void {
    if (entry === LVT_TIMER) this.timer.lvt = value;
    else this.state.lvt[entry] = value;
    if (entry === LVT_LINT0 && this.state.lint0) this.deliverLocal(LVT_LINT0);
  }

  private isDestination(destination: number, logical: boolean): boolean {
    const s = this.state;
    if (!logical) return destination === 0xff || destination === s.id;
    if (s.destinationMode === 0xf) return (destination & s.logicalDestination) !== 0;
    if (s.destinationMode !== 0) return false;
    return (destination & 0xf0) === (s.logicalDestination & 0xf0) && (destination & s.logicalDestination & 0x0f) !== 0;
  }

  private sendIpi(): void {
    const [low, high] = this.state.icr as [number, number];
    const shorthand = (low >>> 18) & 3;
    const logical = (low & 0x800) !== 0;
    const self = shorthand === 0 ? this.isDestination(high >>> 24, logical) : shorthand !== 3;
    const mode = (low >>> 8) & 7;
    // INIT level de-assert only synchronises arbitration IDs, of which there are none.
    if (!self || (mode === DELIVERY_INIT && (low & 0xc000) === 0x8000)) return;
    this.accept(mode, low & 0xff, (low & LVT_LEVEL) !== 0);
  }

  private accept(mode: number, vector: number, level: boolean): void {
    switch (mode) {
      case DELIVERY_FIXED:
      case DELIVERY_LOWEST:
      case DELIVERY_EXTINT: // the I/O APIC has already asked the PIC for the vector
        this.request(vector, level);
        this.update();
        break;
      case DELIVERY_NMI:
        this.wiring.nmi();
        break;
      case DELIVERY_SMI:
        this.wiring.smi?.();
        break;
      case DELIVERY_INIT:
        this.wiring.init?.();
        break;
      default: // STARTUP: ignored by a processor that does not wait for it
    }
  }

  private deliverLocal(entry: number): void {
    const lvt = this.lvt(entry);
    if (lvt & LVT_MASKED) return;
    const mode = (lvt >> 8) & 7;
    if (mode === DELIVERY_NMI) this.wiring.nmi();
    else if (mode === DELIVERY_SMI) this.wiring.smi?.();
    else if (mode === DELIVERY_FIXED) {
      const pin = entry === LVT_LINT0 || entry === LVT_LINT1;
      this.request(lvt & 0xff, pin && (lvt & LVT_LEVEL) !== 0);
    }
  }

  private request(vector: number, level: boolean): void {
    setBit(this.state.irr, vector, true);
    setBit(this.state.tmr, vector, level);
  }

  private endOfInterrupt(): void {
    const vector = highest(this.state.isr);
    if (vector < 0) return;
    setBit(this.state.isr, vector, false);
    if (testBit(this.state.tmr, vector)) this.wiring.eoi(vector);
  }

  private processorPriority(): number {
    const inService = Math.max(highest(this.state.isr), 0) >> 4;
    return this.state.tpr >> 4 >= inService ? this.state.tpr : inService << 4;
  }

  /** The vector that would be delivered, 0 for none, −1 for one that the processor priority holds back. */
  private pending(): number {
    if (!(this.state.spurious & SVR_ENABLE)) return 0;
    const vector = highest(this.state.irr);
    if (vector < 0) return 0;
    const priority = this.processorPriority();
    return priority !== 0 && (vector & 0xf0) <= (priority & 0xf0) ? -1 : vector;
  }

  /** The PIC's INTR reaches the processor: a disabled APIC is transparent, an enabled one needs LINT0 = ExtINT. */
  private acceptsPic(): boolean {
    if (!this.state.lint0) return false;
    const lvt = this.state.lvt[LVT_LINT0]!;
    return !this.enabled || (!(lvt & LVT_MASKED) && ((lvt >> 8) & 7) === DELIVERY_EXTINT);
  }

  private update(): void {
    const level = this.hasInterrupt();
    if (level === this.state.output) return;
    this.state.output = level;
    this.wiring.intr(level);
  }
}
