// The keyboard controller of a PC (Intel 8042 with IBM's AT firmware; IBM PS/2 Hardware Interface Technical Reference,
// "Keyboard and Auxiliary Device Controller") with a keyboard and a mouse plugged in.
//
// As in QEMU 7.2: the output buffer is filled at the read, so a device's queue and not a latch decides what is read;
// controller answers come before the keyboard's bytes and those before the mouse's; a disabled interface holds its
// device's bytes back; sending a byte to a device enables its interface; IBF is never seen set.

import type { AccessSize } from '../../../cpu/bus.js';
import type { Device, Line, Plain, PortHandler } from '../../device.js';
import { Ps2Keyboard } from './ps2-keyboard.js';
import { Ps2Mouse } from './ps2-mouse.js';

const STATUS_OBF = 0x01;
const STATUS_SELF_TEST = 0x04;
const STATUS_COMMAND = 0x08;
const STATUS_UNLOCKED = 0x10;
const STATUS_MOUSE_OBF = 0x20;

const MODE_KEYBOARD_IRQ = 0x01;
const MODE_MOUSE_IRQ = 0x02;
const MODE_KEYBOARD_OFF = 0x10;
const MODE_MOUSE_OFF = 0x20;
const MODE_TRANSLATE = 0x40;

const OUT_RESET = 0x01;
const OUT_A20 = 0x02;
const OUT_OBF = 0x10;
const OUT_MOUSE_OBF = 0x20;
const OUT_PULLED_UP = 0xcc;

const READ_MODE = 0x20;
const WRITE_MODE = 0x60;
const MOUSE_DISABLE = 0xa7;
const MOUSE_ENABLE = 0xa8;
const MOUSE_TEST = 0xa9;
const SELF_TEST = 0xaa;
const KEYBOARD_TEST = 0xab;
const KEYBOARD_DISABLE = 0xad;
const KEYBOARD_ENABLE = 0xae;
const READ_INPUT_PORT = 0xc0;
const READ_OUTPUT_PORT = 0xd0;
const WRITE_OUTPUT_PORT = 0xd1;
const WRITE_KEYBOARD_BUFFER = 0xd2;
const WRITE_MOUSE_BUFFER = 0xd3;
const WRITE_MOUSE = 0xd4;
const DISABLE_A20 = 0xdd;
const ENABLE_A20 = 0xdf;
const PULSE = 0xf0;

/** Sources with a byte to deliver. The two devices have the bits that switch them off in the mode byte. */
const PENDING_CONTROLLER = 0x04;
const PENDING_CONTROLLER_AS_MOUSE = 0x08;
const PENDING_KEYBOARD = MODE_KEYBOARD_OFF;
const PENDING_MOUSE = MODE_MOUSE_OFF;

interface ControllerState {
  status: number;
  mode: number;
  outputPort: number;
  /** Command whose parameter comes next at port 0x60, or 0. */
  command: number;
  pending: number;
  /** Who filled the output buffer, as a PENDING_* bit; meaningful while OBF is set. */
  source: number;
  /** The controller's own answer. */
  answer: number;
  /** What port 0x60 gave last. */
  lastRead: number;
}

const POWER_ON: ControllerState = {
  status: STATUS_COMMAND | STATUS_UNLOCKED,
  mode: MODE_KEYBOARD_IRQ | MODE_MOUSE_IRQ,
  outputPort: OUT_RESET | OUT_A20 | OUT_PULLED_UP,
  command: 0,
  pending: 0,
  source: 0,
  answer: 0,
  lastRead: 0,
};

/** The controller's wires. */
export interface I8042Wiring {
  keyboardIrq: Line;
  mouseIrq: Line;
  setA20: (enabled: boolean) => void;
  requestReset: () => void;
}

/** Port 0x60 is `data`, port 0x64 is `command`. */
export class I8042 implements Device {
  readonly name = 'i8042';
  readonly keyboard: Ps2Keyboard;
  readonly mouse: Ps2Mouse;
  readonly #wiring: I8042Wiring;
  #state: ControllerState = { ...POWER_ON };

  constructor(wiring: I8042Wiring) {
    this.#wiring = wiring;
    this.keyboard = new Ps2Keyboard((ready) => this.#deviceReady(PENDING_KEYBOARD, ready));
    this.mouse = new Ps2Mouse((ready) => this.#deviceReady(PENDING_MOUSE, ready));
  }

  readonly data: PortHandler = {
    portRead: () => this.#readData(),
    portWrite: (_offset: number, _size: AccessSize, value: number) => this.#writeData(value),
  };

  readonly command: PortHandler = {
    portRead: () => this.#state.status,
    portWrite: (_offset: number, _size: AccessSize, value: number) => this.#writeCommand(value),
  };

  reset(): void {
    this.#state = { ...POWER_ON };
    this.keyboard.reset();
    this.mouse.reset();
    this.#driveLines();
  }

  save(): Plain {
    return { controller: { ...this.#state }, keyboard: this.keyboard.save(), mouse: this.mouse.save() };
  }

  /** Interrupt lines and A20 are not driven: what they are connected to saves its own state. */
  load(state: Plain): void {
    const saved = state as unknown as { controller: ControllerState; keyboard: Plain; mouse: Plain };
    this.#state = { ...saved.controller };
    this.keyboard.load(saved.keyboard);
    this.mouse.load(saved.mouse);
  }

  #readData(): number {
    const state = this.#state;
    if (!(state.status & STATUS_OBF)) return state.lastRead;
    this.#emptyBuffer();
    this.#driveLines();
    if (state.source === PENDING_KEYBOARD) state.lastRead = this.keyboard.queue.read();
    else if (state.source === PENDING_MOUSE) state.lastRead = this.mouse.queue.read();
    else state.lastRead = this.#takeAnswer();
    return state.lastRead;
  }

  #takeAnswer(): number {
    this.#state.pending &= ~(PENDING_CONTROLLER | PENDING_CONTROLLER_AS_MOUSE);
    if (this.#deliverable()) this.#fillBuffer();
    return this.#state.answer;
  }

  #writeData(value: number): void {
    const state = this.#state;
    const { command } = state;
    state.command = 0;
    switch (command) {
      case 0:
        this.keyboard.write(value);
        state.mode &= ~MODE_KEYBOARD_OFF;
        this.#settle();
        break;
      case WRITE_MODE:
        state.mode = value;
        this.keyboard.translate = (value & MODE_TRANSLATE) !== 0;
        this.#driveLines();
        this.#settle();
        break;
      case WRITE_KEYBOARD_BUFFER:
        this.#answer(value);
        break;
      case WRITE_MOUSE_BUFFER:
        this.#answer(value, PENDING_CONTROLLER_AS_MOUSE);
        break;
      case WRITE_OUTPUT_PORT:
        state.outputPort = value;
        this.#wiring.setA20((value & OUT_A20) !== 0);
        if (!(value & OUT_RESET)) this.#wiring.requestReset();
        break;
      case WRITE_MOUSE:
        this.mouse.write(value);
        state.mode &= ~MODE_MOUSE_OFF;
        this.#settle();
        break;
      default:
        break;
    }
  }

  #writeCommand(value: number): void {
    const state = this.#state;
    // Pulse output port bits: a zero pulls the bit low, and bit 0 is the reset line.
    if ((value & PULSE) === PULSE) {
      if (!(value & 1)) this.#wiring.requestReset();
      return;
    }
    switch (value) {
      case READ_MODE:
        this.#answer(state.mode);
        break;
      case WRITE_MODE:
      case WRITE_KEYBOARD_BUFFER:
      case WRITE_MOUSE_BUFFER:
      case WRITE_MOUSE:
      case WRITE_OUTPUT_PORT:
        state.command = value;
        break;
      case MOUSE_DISABLE:
        state.mode |= MODE_MOUSE_OFF;
        break;
      case MOUSE_ENABLE:
        state.mode &= ~MODE_MOUSE_OFF;
        this.#settle();
        break;
      case SELF_TEST:
        state.status |= STATUS_SELF_TEST;
        this.#answer(0x55);
        break;
      case MOUSE_TEST:
      case KEYBOARD_TEST:
        this.#answer(0x00);
        break;
      case KEYBOARD_DISABLE:
        state.mode |= MODE_KEYBOARD_OFF;
        break;
      case KEYBOARD_ENABLE:
        state.mode &= ~MODE_KEYBOARD_OFF;
        this.#settle();
        break;
      case READ_INPUT_PORT:
        this.#answer(0x80); // the keyboard lock is open
        break;
      case READ_OUTPUT_PORT:
        this.#answer(state.outputPort);
        break;
      case DISABLE_A20:
        state.outputPort &= ~OUT_A20;
        this.#wiring.setA20(false);
        break;
      case ENABLE_A20:
        state.outputPort |= OUT_A20;
        this.#wiring.setA20(true);
        break;
      default:
        break; // commands of other firmwares are ignored, as QEMU does
    }
  }

  #answer(byte: number, as = PENDING_CONTROLLER): void {
    const state = this.#state;
    state.answer = byte;
    state.pending &= ~(PENDING_CONTROLLER | PENDING_CONTROLLER_AS_MOUSE);
    state.pending |= as;
    this.#settle();
  }

  #deviceReady(source: number, ready: boolean): void {
    if (ready) this.#state.pending |= source;
    else this.#state.pending &= ~source;
    this.#settle();
  }

  /** Sources that may fill the buffer: those with a byte whose interface is not switched off. */
  #deliverable(): number {
    const { pending, mode } = this.#state;
    return pending & ~(mode & (PENDING_KEYBOARD | PENDING_MOUSE));
  }

  /** Fill the output buffer if it is empty and somebody has a byte. */
  #settle(): void {
    if (!(this.#state.status & STATUS_OBF) && this.#deliverable()) this.#fillBuffer();
  }

  #fillBuffer(): void {
    const state = this.#state;
    const ready = this.#deliverable();
    this.#emptyBuffer();
    state.status |= STATUS_OBF;
    state.outputPort |= OUT_OBF;
    if (ready & PENDING_CONTROLLER) state.source = PENDING_CONTROLLER;
    else if (ready & PENDING_CONTROLLER_AS_MOUSE) state.source = PENDING_CONTROLLER_AS_MOUSE;
    else state.source = ready & PENDING_KEYBOARD ? PENDING_KEYBOARD : PENDING_MOUSE;
    if (state.source === PENDING_CONTROLLER_AS_MOUSE || state.source === PENDING_MOUSE) {
      state.status |= STATUS_MOUSE_OBF;
      state.outputPort |= OUT_MOUSE_OBF;
    }
    this.#driveLines();
  }

  #emptyBuffer(): void {
    this.#state.status &= ~(STATUS_OBF | STATUS_MOUSE_OBF);
    this.#state.outputPort &= ~(OUT_OBF | OUT_MOUSE_OBF);
  }

  #driveLines(): void {
    const { status, mode } = this.#state;
    const full = (status & STATUS_OBF) !== 0;
    const mouse = (status & STATUS_MOUSE_OBF) !== 0;
    const keyboardEnabled = (mode & (MODE_KEYBOARD_IRQ | MODE_KEYBOARD_OFF)) === MODE_KEYBOARD_IRQ;
    this.#wiring.keyboardIrq(full && !mouse && keyboardEnabled);
    this.#wiring.mouseIrq(full && mouse && (mode & MODE_MOUSE_IRQ) !== 0);
  }
}
