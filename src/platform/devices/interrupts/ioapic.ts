// The I/O APIC: Intel 82093AA with 24 pins, presented as version 0x20 (with EOI register) at 0xfec00000, as QEMU 7.2
// does. Invariants: bits 12 (delivery status, always 0) and 14 (remote IRR) of an entry are read-only; an edge entry
// never has remote IRR set. Polarity is ignored: lines are levels, true is asserted. A difference from QEMU on
// purpose: an edge is a change of the line, not each call that repeats its level, so that the number of interrupts
// does not depend on how a device happens to drive its line.

import type { AccessSize } from '../../../cpu/bus.js';
import type { Clock, Device, MmioHandler, Plain, Timer } from '../../device.js';
import { type ApicMessage, DELIVERY_EXTINT } from './lapic.js';

export const IOAPIC_BASE = 0xfec00000;
export const IOAPIC_SIZE = 0x1000;
export const IOAPIC_PINS = 24;

const VERSION = 0x20;
const REDIRECTION_BASE = 0x10;
const REMOTE_IRR = 0x4000;
const READ_ONLY = 0x5000;
const LEVEL = 0x8000;
const MASKED = 0x10000;

/** A level interrupt that is asserted again at once this many times in a row is then held back for 10 ms, as in QEMU. */
const STORM_LIMIT = 10000;
const STORM_PAUSE_NS = 10_000_000;

export interface IoapicWiring {
  clock: Clock;
  /** To the local APIC. */
  deliver: (message: ApicMessage) => void;
  /** Interrupt acknowledge cycle to the PIC, for entries in ExtINT mode. */
  acknowledgePic?: () => number;
}

interface IoapicState {
  id: number;
  select: number;
  /** Low and high halves of the redirection entries. */
  low: number[];
  high: number[];
  /** Interrupt requests and input levels, one bit a pin. */
  irr: number;
  levels: number;
  eoiCount: number[];
  resumeAt: number | null;
}

function initialState(): IoapicState {
  return {
    id: 0,
    select: 0,
    low: new Array(IOAPIC_PINS).fill(MASKED),
    high: new Array(IOAPIC_PINS).fill(0),
    irr: 0,
    levels: 0,
    eoiCount: new Array(IOAPIC_PINS).fill(0),
    resumeAt: null,
  };
}

const clone = (s: IoapicState): IoapicState => ({
  ...s,
  low: [...s.low],
  high: [...s.high],
  eoiCount: [...s.eoiCount],
});

/** The 24-pin I/O APIC. */
export class Ioapic implements Device, MmioHandler {
  private readonly wiring: IoapicWiring;
  private readonly resume: Timer;
  private state = initialState();

  constructor(
    wiring: IoapicWiring,
    readonly name = 'ioapic',
  ) {
    this.wiring = wiring;
    this.resume = wiring.clock.timer(name, () => {
      this.state.resumeAt = null;
      this.service();
    });
  }

  reset(): void {
    this.state = { ...initialState(), levels: this.state.levels };
    this.resume.cancel();
  }

  /** Level of a global system interrupt: pin n, except that ISA IRQ 0 is wired to pin 2. */
  setGsi(gsi: number, level: boolean): void {
    this.setPin(gsi === 0 ? 2 : gsi, level);
  }

  /** Level of an input pin, 0…23; others are not connected. */
  setPin(pin: number, level: boolean): void {
    if (pin < 0 || pin >= IOAPIC_PINS) return;
    const s = this.state;
    const bit = 1 << pin;
    const rising = level && !(s.levels & bit);
    s.levels = level ? s.levels | bit : s.levels & ~bit;
    const entry = s.low[pin]!;
    if (entry & LEVEL) {
      if (!level) s.irr &= ~bit;
      else {
        s.irr |= bit;
        if (!(entry & REMOTE_IRR)) this.service();
      }
    } else if (rising && !(entry & MASKED)) {
      // 82093AA: an edge at a masked pin is lost.
      s.irr |= bit;
      this.service();
    }
  }

  /** EOI message from a local APIC, or a write of the EOI register. */
  eoi(vector: number): void {
    const s = this.state;
    for (let pin = 0; pin < IOAPIC_PINS; pin++) {
      const entry = s.low[pin]!;
      if ((entry & 0xff) !== vector || !(entry & LEVEL) || !(entry & REMOTE_IRR)) continue;
      s.low[pin] = entry & ~REMOTE_IRR;
      if (entry & MASKED || !(s.irr & (1 << pin))) {
        s.eoiCount[pin] = 0;
      } else if (++s.eoiCount[pin]! >= STORM_LIMIT) {
        s.eoiCount[pin] = 0;
        if (s.resumeAt === null) {
          s.resumeAt = this.wiring.clock.now() + STORM_PAUSE_NS;
          this.resume.set(s.resumeAt);
        }
      } else {
        this.service();
      }
    }
  }

  mmioRead(offset: number, size: AccessSize): number {
    const register = offset & 0xff;
    if (offset & (size - 1)) return 0;
    if (register === 0x00) return this.state.select;
    return register === 0x10 && size === 4 ? this.readRegister(this.state.select) : 0;
  }

  mmioWrite(offset: number, size: AccessSize, value: number): void {
    const register = offset & 0xff;
    if (offset & (size - 1)) return;
    if (register === 0x00) this.state.select = value & 0xff;
    else if (size !== 4) return;
    else if (register === 0x10) this.writeRegister(this.state.select, value >>> 0);
    else if (register === 0x40) this.eoi(value >>> 0);
  }

  save(): Plain {
    return { ...clone(this.state) };
  }

  /** Lines are not driven: what they are connected to saves its own inputs. */
  load(state: Plain): void {
    this.state = clone(state as unknown as IoapicState);
    if (this.state.resumeAt === null) this.resume.cancel();
    else this.resume.set(this.state.resumeAt);
  }

  private readRegister(index: number): number {
    const s = this.state;
    if (index === 0 || index === 2) return s.id << 24;
    if (index === 1) return VERSION | ((IOAPIC_PINS - 1) << 16);
    const pin = (index - REDIRECTION_BASE) >> 1;
    if (pin < 0 || pin >= IOAPIC_PINS) return 0;
    return (index & 1 ? s.high[pin]! : s.low[pin]!) >>> 0;
  }

  private writeRegister(index: number, value: number): void {
    const s = this.state;
    if (index === 0) {
      s.id = (value >>> 24) & 0xf;
      return;
    }
    const pin = (index - REDIRECTION_BASE) >> 1;
    if (pin < 0 || pin >= IOAPIC_PINS) return;
    if (index & 1) s.high[pin] = value;
    else {
      const entry = ((value & ~READ_ONLY) | (s.low[pin]! & READ_ONLY)) >>> 0;
      // Linux clears remote IRR by switching an entry to edge and back.
      s.low[pin] = entry & LEVEL ? entry : (entry & ~REMOTE_IRR) >>> 0;
    }
    s.eoiCount[pin] = 0;
    this.service();
  }

  /** Send what is requested and not masked, lowest pin first. */
  private service(): void {
    const s = this.state;
    for (let pin = 0; pin < IOAPIC_PINS; pin++) {
      const bit = 1 << pin;
      const entry = s.low[pin]!;
      if (!(s.irr & bit) || entry & MASKED) continue;
      if (entry & LEVEL) {
        if (entry & REMOTE_IRR) continue;
        s.low[pin] = (entry | REMOTE_IRR) >>> 0;
      } else {
        s.irr &= ~bit;
      }
      const mode = (entry >>> 8) & 7;
      this.wiring.deliver({
        destination: s.high[pin]! >>> 24,
        logical: (entry & 0x800) !== 0,
        mode,
        vector: mode === DELIVERY_EXTINT ? (this.wiring.acknowledgePic?.() ?? entry & 0xff) : entry & 0xff,
        level: (entry & LEVEL) !== 0,
      });
    }
  }
}
