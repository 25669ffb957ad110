// A PS/2 mouse (IBM PS/2 Hardware Interface Technical Reference, "Auxiliary Device"), with the wheel (IntelliMouse) and
// five-button (Explorer) protocols that drivers unlock by setting three sample rates in turn. As QEMU 7.2 has it:
// movements are reported as they come, whatever the sample rate, and scaling 2:1 is stored without effect.

import type { Plain } from '../../device.js';
import { Ps2Queue, type Ps2QueueState } from './ps2-queue.js';

const SET_SCALE_1_1 = 0xe6;
const SET_SCALE_2_1 = 0xe7;
const SET_RESOLUTION = 0xe8;
const GET_STATUS = 0xe9;
const SET_STREAM = 0xea;
const POLL = 0xeb;
const RESET_WRAP = 0xec;
const SET_WRAP = 0xee;
const SET_REMOTE = 0xf0;
const GET_TYPE = 0xf2;
const SET_SAMPLE_RATE = 0xf3;
const ENABLE = 0xf4;
const DISABLE = 0xf5;
const SET_DEFAULTS = 0xf6;
const RESET = 0xff;

const ACK = 0xfa;
const SELF_TEST_PASSED = 0xaa;

const STATUS_REMOTE = 0x40;
const STATUS_ENABLED = 0x20;
const STATUS_SCALE_2_1 = 0x10;

const TYPE_PS2 = 0;
const TYPE_WHEEL = 3;
const TYPE_FIVE_BUTTONS = 4;

/** A change of the mouse: relative movement (y up is positive), wheel steps and buttons (left, right, middle, 4, 5 in bits 0…4). */
export interface MouseMotion {
  dx: number;
  dy: number;
  wheel: number;
  buttons: number;
}

interface MouseState {
  status: number;
  resolution: number;
  sampleRate: number;
  wrap: boolean;
  type: number;
  /** How much of an unlocking sequence of sample rates was seen: 1 = 200, 2 = 200 100, 3 = 200 200. */
  detect: number;
  dx: number;
  dy: number;
  wheel: number;
  buttons: number;
  /** Command whose parameter comes next, or 0. */
  command: number;
}

const POWER_ON: MouseState = {
  status: 0,
  resolution: 0,
  sampleRate: 0,
  wrap: false,
  type: TYPE_PS2,
  detect: 0,
  dx: 0,
  dy: 0,
  wheel: 0,
  buttons: 0,
  command: 0,
};

/** The mouse. */
export class Ps2Mouse {
  readonly queue: Ps2Queue;
  #state: MouseState = { ...POWER_ON };

  constructor(line: (ready: boolean) => void) {
    this.queue = new Ps2Queue(line);
  }

  /** Move, turn, press: reported at once in stream mode. Ignored while reporting is disabled. */
  move(motion: MouseMotion): void {
    const state = this.#state;
    if (!(state.status & STATUS_ENABLED)) return;
    state.dx += motion.dx;
    state.dy += motion.dy;
    state.wheel += motion.wheel;
    state.buttons = motion.buttons & 0x1f;
    if (state.status & STATUS_REMOTE) return;
    while (this.#sendPacket() && (state.dx !== 0 || state.dy !== 0 || state.wheel !== 0));
  }

  /** A byte from the controller. */
  write(value: number): void {
    const state = this.#state;
    const { command } = state;
    state.command = 0;
    if (command === SET_SAMPLE_RATE) {
      state.sampleRate = value;
      this.#detectType(value);
      this.queue.send(ACK);
    } else if (command === SET_RESOLUTION) {
      state.resolution = value;
      this.queue.send(ACK);
    } else if (state.wrap && value !== RESET && value !== RESET_WRAP) {
      this.queue.send(value);
    } else {
      this.#execute(value);
    }
  }

  reset(): void {
    this.#state = { ...POWER_ON };
    this.queue.clear();
  }

  save(): Plain {
    return { queue: { ...this.queue.save() }, ...this.#state };
  }

  load(state: Plain): void {
    const { queue, ...registers } = state as unknown as { queue: Ps2QueueState } & MouseState;
    this.queue.load(queue);
    this.#state = { ...registers };
  }

  #execute(value: number): void {
    const state = this.#state;
    switch (value) {
      case SET_SCALE_1_1:
        this.#setStatus(STATUS_SCALE_2_1, false);
        break;
      case SET_SCALE_2_1:
        this.#setStatus(STATUS_SCALE_2_1, true);
        break;
      case SET_STREAM:
        this.#setStatus(STATUS_REMOTE, false);
        break;
      case SET_REMOTE:
        this.#setStatus(STATUS_REMOTE, true);
        break;
      case ENABLE:
        this.#setStatus(STATUS_ENABLED, true);
        break;
      case DISABLE:
        this.#setStatus(STATUS_ENABLED, false);
        break;
      case RESET_WRAP:
        // Outside wrap mode the command does not exist, and QEMU's mouse keeps silent at those.
        if (!state.wrap) break;
        state.wrap = false;
        this.queue.send(ACK);
        break;
      case SET_WRAP:
        state.wrap = true;
        this.queue.send(ACK);
        break;
      case GET_TYPE:
        this.queue.send(ACK, state.type);
        break;
      case SET_RESOLUTION:
      case SET_SAMPLE_RATE:
        state.command = value;
        this.queue.send(ACK);
        break;
      case GET_STATUS:
        this.queue.send(ACK, state.status, state.resolution, state.sampleRate);
        break;
      case POLL:
        this.queue.send(ACK);
        this.#sendPacket();
        break;
      case SET_DEFAULTS:
        this.#setDefaults();
        this.queue.send(ACK);
        break;
      case RESET:
        this.#setDefaults();
        state.type = TYPE_PS2;
        this.queue.clear();
        this.queue.send(ACK, SELF_TEST_PASSED, state.type);
        break;
      default:
        break;
    }
  }

  #setStatus(bit: number, set: boolean): void {
    if (set) this.#state.status |= bit;
    else this.#state.status &= ~bit;
    this.queue.send(ACK);
  }

  #setDefaults(): void {
    this.#state.sampleRate = 100;
    this.#state.resolution = 2;
    this.#state.status = 0;
  }

  #detectType(rate: number): void {
    const state = this.#state;
    if (state.detect === 1) {
      state.detect = rate === 100 ? 2 : rate === 200 ? 3 : 0;
      return;
    }
    if (state.detect >= 2 && rate === 80) state.type = state.detect === 2 ? TYPE_WHEEL : TYPE_FIVE_BUTTONS;
    state.detect = state.detect === 0 && rate === 200 ? 1 : 0;
  }

  /** Report what has accumulated, as far as a packet can carry it. False when the queue has no room. */
  #sendPacket(): boolean {
    const state = this.#state;
    if (!this.queue.fits(state.type === TYPE_PS2 ? 3 : 4)) return false;
    const dx = clamp(state.dx, 127);
    const dy = clamp(state.dy, 127);
    const flags = 0x08 | (dx < 0 ? 0x10 : 0) | (dy < 0 ? 0x20 : 0) | (state.buttons & 0x07);
    const packet = [flags, dx & 0xff, dy & 0xff];
    state.dx -= dx;
    state.dy -= dy;
    const wheel = clamp(state.wheel, state.type === TYPE_FIVE_BUTTONS ? 7 : 127);
    if (state.type === TYPE_WHEEL) packet.push(wheel & 0xff);
    else if (state.type === TYPE_FIVE_BUTTONS) packet.push((wheel & 0x0f) | ((state.buttons & 0x18) << 1));
    // A mouse without a wheel drops the turns.
    state.wheel = state.type === TYPE_PS2 ? 0 : state.wheel - wheel;
    this.queue.send(...packet);
    return true;
  }
}

function clamp(value: number, limit: number): number {
  return Math.max(-limit, Math.min(limit, value));
}
