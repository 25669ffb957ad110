// A 16550A serial port (National Semiconductor PC16550D data sheet), as QEMU 7.2 presents it: a transmitted byte leaves
// at once, so THRE and TEMT are always set when the guest looks; received bytes wait outside until there is room for
// them, up to the trigger level at a time, so an overrun needs the loopback; the character timeout is 4 character times.
//
// Registers, FIFOs, interrupt identification and its priorities, loopback and modem lines are modelled.
// Left out on purpose: parity, framing and break errors on the line (nothing outside makes them), DMA mode.

import type { AccessSize } from '../../cpu/bus.js';
import type { Clock, Device, Line, Plain, PortHandler, Timer } from '../device.js';

const FIFO_LENGTH = 16;
/** Crystal of 1.8432 MHz divided by 16. */
const BAUD_BASE = 115_200;
const NS_PER_SECOND = 1_000_000_000;

const IER_RECEIVED = 0x01;
const IER_TRANSMIT = 0x02;
const IER_LINE = 0x04;
const IER_MODEM = 0x08;

const IIR_NONE = 0x01;
const IIR_MODEM = 0x00;
const IIR_TRANSMIT = 0x02;
const IIR_RECEIVED = 0x04;
const IIR_LINE = 0x06;
const IIR_TIMEOUT = 0x0c;
const IIR_FIFOS = 0xc0;

const FCR_ENABLE = 0x01;
const FCR_CLEAR_RECEIVE = 0x02;
const FCR_CLEAR_TRANSMIT = 0x04;
const FCR_KEPT = 0xc9;
/** Receive FIFO trigger levels by FCR bits 6–7. */
const TRIGGER_LEVELS = [1, 4, 8, 14] as const;

const LCR_DLAB = 0x80;
const MCR_LOOP = 0x10;
const MCR_OUT2 = 0x08;

const LSR_READY = 0x01;
const LSR_OVERRUN = 0x02;
const LSR_BREAK = 0x10;
const LSR_ERRORS = 0x1e;
const LSR_THRE = 0x20;
const LSR_TEMT = 0x40;

/** Modem status lines as MSR bits 4–7. */
export const MSR_CTS = 0x10;
export const MSR_DSR = 0x20;
export const MSR_RI = 0x40;
export const MSR_DCD = 0x80;
const MSR_DELTAS = 0x0f;
const MSR_TERI = 0x04;

interface UartState {
  divisor: number;
  rbr: number;
  ier: number;
  /** FIFO bits only; the identification is derived. */
  fcr: number;
  lcr: number;
  mcr: number;
  lsr: number;
  msr: number;
  scr: number;
  transmitPending: boolean;
  timeoutPending: boolean;
  fifo: number[];
  /** Bytes that the far end has sent and that have not been let in yet. */
  waiting: number[];
}

const POWER_ON: UartState = {
  divisor: 12,
  rbr: 0,
  ier: 0,
  fcr: 0,
  lcr: 0,
  mcr: MCR_OUT2,
  lsr: LSR_TEMT | LSR_THRE,
  msr: MSR_DCD | MSR_DSR | MSR_CTS,
  scr: 0,
  transmitPending: false,
  timeoutPending: false,
  fifo: [],
  waiting: [],
};

/** What a serial port is connected to. */
export interface UartWiring {
  /** Name of the device and prefix of its timer, such as `com1`. */
  name: string;
  clock: Clock;
  irq: Line;
  /** A byte left the port. */
  output: (byte: number) => void;
}

/** One serial port; eight registers at offsets 0…7. */
export class Uart16550 implements Device, PortHandler {
  readonly name: string;
  readonly #clock: Clock;
  readonly #irq: Line;
  readonly #output: (byte: number) => void;
  readonly #timeout: Timer;
  #state: UartState = structuredClone(POWER_ON);

  constructor(wiring: UartWiring) {
    this.name = wiring.name;
    this.#clock = wiring.clock;
    this.#irq = wiring.irq;
    this.#output = wiring.output;
    this.#timeout = wiring.clock.timer(`${wiring.name}.timeout`, () => this.#timeoutExpired());
  }

  /** Bytes from the far end; they enter as the receiver has room. */
  receive(data: Uint8Array): void {
    this.#state.waiting.push(...data);
    this.#admit();
  }

  /** Levels of the modem status lines from the far end, MSR_CTS | MSR_DSR | MSR_RI | MSR_DCD. */
  setModemLines(lines: number): void {
    const old = this.#state.msr;
    const changed = ((lines ^ old) & 0xf0) >>> 4;
    // The ring indicator's delta reports its trailing edge only.
    const deltas = lines & MSR_RI ? changed & ~MSR_TERI : changed;
    this.#state.msr = (lines & 0xf0) | (old & MSR_DELTAS) | deltas;
    this.#updateIrq();
  }

  portRead(offset: number, _size: AccessSize): number {
    const state = this.#state;
    const dlab = (state.lcr & LCR_DLAB) !== 0;
    switch (offset & 7) {
      case 0:
        return dlab ? state.divisor & 0xff : this.#readReceived();
      case 1:
        return dlab ? state.divisor >>> 8 : state.ier;
      case 2: {
        const value = this.#identification();
        if ((value & 0x0f) === IIR_TRANSMIT) {
          state.transmitPending = false;
          this.#updateIrq();
        }
        return value;
      }
      case 3:
        return state.lcr;
      case 4:
        return state.mcr;
      case 5: {
        const value = state.lsr;
        if (value & (LSR_BREAK | LSR_OVERRUN)) {
          state.lsr &= ~(LSR_BREAK | LSR_OVERRUN);
          this.#updateIrq();
        }
        return value;
      }
      case 6:
        return this.#readModemStatus();
      default:
        return state.scr;
    }
  }

  portWrite(offset: number, _size: AccessSize, value: number): void {
    const state = this.#state;
    const dlab = (state.lcr & LCR_DLAB) !== 0;
    switch (offset & 7) {
      case 0:
        if (dlab) state.divisor = (state.divisor & 0xff00) | value;
        else this.#transmit(value);
        break;
      case 1:
        if (dlab) state.divisor = (state.divisor & 0x00ff) | (value << 8);
        else this.#writeInterruptEnable(value);
        break;
      case 2:
        this.#writeFifoControl(value);
        break;
      case 3:
        state.lcr = value;
        break;
      case 4:
        state.mcr = value & 0x1f;
        if (!(value & MCR_LOOP)) this.#admit();
        break;
      case 7:
        state.scr = value;
        break;
      default:
        break; // line and modem status are read-only
    }
  }

  reset(): void {
    // What the far end has sent stays on the wire.
    this.#state = { ...structuredClone(POWER_ON), waiting: this.#state.waiting };
    this.#timeout.cancel();
    this.#irq(false);
    this.#admit();
  }

  save(): Plain {
    const { fifo, waiting, ...registers } = this.#state;
    return { ...registers, fifo: Uint8Array.from(fifo), waiting: Uint8Array.from(waiting) };
  }

  /** The interrupt line is not driven: the interrupt controller saves its own inputs. */
  load(state: Plain): void {
    const saved = state as unknown as UartState;
    this.#state = { ...saved, fifo: [...saved.fifo], waiting: [...saved.waiting] };
  }

  #readReceived(): number {
    const state = this.#state;
    let value = state.rbr;
    if (state.fcr & FCR_ENABLE) {
      value = state.fifo.shift() ?? 0;
      if (state.fifo.length === 0) state.lsr &= ~(LSR_READY | LSR_BREAK);
      else this.#armTimeout();
      state.timeoutPending = false;
    } else {
      state.lsr &= ~(LSR_READY | LSR_BREAK);
    }
    this.#updateIrq();
    this.#admit();
    return value;
  }

  #readModemStatus(): number {
    const state = this.#state;
    if (state.mcr & MCR_LOOP) {
      // Loopback: OUT2, OUT1, RTS and DTR come back as DCD, RI, CTS and DSR.
      return ((state.mcr & 0x0c) << 4) | ((state.mcr & 0x02) << 3) | ((state.mcr & 0x01) << 5);
    }
    const value = state.msr;
    if (value & MSR_DELTAS) {
      state.msr &= ~MSR_DELTAS;
      this.#updateIrq();
    }
    return value;
  }

  #transmit(byte: number): void {
    const state = this.#state;
    // The line is idle while the byte is on its way: an interrupt that THRE had raised goes down and comes up again.
    state.transmitPending = false;
    state.lsr &= ~(LSR_THRE | LSR_TEMT);
    this.#updateIrq();
    if (state.mcr & MCR_LOOP) this.#accept(byte);
    else this.#output(byte);
    state.lsr |= LSR_THRE | LSR_TEMT;
    state.transmitPending = true;
    this.#updateIrq();
  }

  #writeInterruptEnable(value: number): void {
    const state = this.#state;
    const changed = (state.ier ^ value) & 0x0f;
    state.ier = value & 0x0f;
    // Enabling the transmit interrupt raises it when THRE is set, even after a read of IIR took it away.
    if (changed & IER_TRANSMIT) {
      state.transmitPending = (state.ier & IER_TRANSMIT) !== 0 && (state.lsr & LSR_THRE) !== 0;
    }
    if (changed) this.#updateIrq();
  }

  #writeFifoControl(value: number): void {
    const state = this.#state;
    let clear = value;
    // Switching the FIFOs on or off empties them.
    if ((value ^ state.fcr) & FCR_ENABLE) clear |= FCR_CLEAR_RECEIVE | FCR_CLEAR_TRANSMIT;
    if (clear & FCR_CLEAR_RECEIVE) {
      state.lsr &= ~(LSR_READY | LSR_BREAK);
      this.#timeout.cancel();
      state.timeoutPending = false;
      state.fifo = [];
    }
    if (clear & FCR_CLEAR_TRANSMIT) {
      state.lsr |= LSR_THRE;
      state.transmitPending = true;
    }
    state.fcr = value & FCR_KEPT;
    this.#updateIrq();
    this.#admit();
  }

  /** Let waiting bytes in: up to the trigger level, one at a time above it, one without FIFOs, none in loopback. */
  #admit(): void {
    const state = this.#state;
    if (state.waiting.length === 0 || state.mcr & MCR_LOOP) return;
    let room = state.lsr & LSR_READY ? 0 : 1;
    if (state.fcr & FCR_ENABLE) {
      const trigger = this.#trigger();
      room = state.fifo.length < trigger ? trigger - state.fifo.length : 0;
      if (room === 0 && state.fifo.length < FIFO_LENGTH) room = 1;
    }
    for (const byte of state.waiting.splice(0, room)) this.#accept(byte);
  }

  /** A byte arrives at the receiver. */
  #accept(byte: number): void {
    const state = this.#state;
    if (state.fcr & FCR_ENABLE) {
      if (state.fifo.length < FIFO_LENGTH) state.fifo.push(byte);
      else state.lsr |= LSR_OVERRUN;
      this.#armTimeout();
    } else {
      if (state.lsr & LSR_READY) state.lsr |= LSR_OVERRUN;
      state.rbr = byte;
    }
    state.lsr |= LSR_READY;
    this.#updateIrq();
  }

  #trigger(): number {
    return TRIGGER_LEVELS[(this.#state.fcr >>> 6) as 0 | 1 | 2 | 3];
  }

  #armTimeout(): void {
    this.#timeout.set(this.#clock.now() + 4 * this.#characterTime());
  }

  #timeoutExpired(): void {
    if (this.#state.fifo.length === 0) return;
    this.#state.timeoutPending = true;
    this.#updateIrq();
  }

  /** Nanoseconds that a character takes: start, data, parity and stop bits at the programmed rate. */
  #characterTime(): number {
    const { lcr, divisor } = this.#state;
    const bits = 1 + ((lcr & 3) + 5) + (lcr & 0x08 ? 1 : 0) + (lcr & 0x04 ? 2 : 1);
    return Math.floor((bits * (divisor || 1) * NS_PER_SECOND) / BAUD_BASE);
  }

  #identification(): number {
    const state = this.#state;
    const fifos = state.fcr & FCR_ENABLE ? IIR_FIFOS : 0;
    if (state.ier & IER_LINE && state.lsr & LSR_ERRORS) return fifos | IIR_LINE;
    if (state.ier & IER_RECEIVED && state.timeoutPending) return fifos | IIR_TIMEOUT;
    const reached = !(state.fcr & FCR_ENABLE) || state.fifo.length >= this.#trigger();
    if (state.ier & IER_RECEIVED && state.lsr & LSR_READY && reached) return fifos | IIR_RECEIVED;
    if (state.ier & IER_TRANSMIT && state.transmitPending) return fifos | IIR_TRANSMIT;
    if (state.ier & IER_MODEM && state.msr & MSR_DELTAS) return fifos | IIR_MODEM;
    return fifos | IIR_NONE;
  }

  #updateIrq(): void {
    this.#irq((this.#identification() & IIR_NONE) === 0);
  }
}
