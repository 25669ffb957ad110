// An enhanced (102-key) PS/2 keyboard (IBM PS/2 Hardware Interface Technical Reference, "Keyboard"): command set, three
// scan code sets, LEDs. The 8042's translation is done here, as in QEMU 7.2, because it needs to see key boundaries.
//
// Left out on purpose: typematic repeat (keys are pressed and released from outside at given cycles) and the per-key
// modes of set 3, whose commands are acknowledged.

import type { Plain } from '../../device.js';
import { Ps2Queue, type Ps2QueueState } from './ps2-queue.js';
import { scancodes, translateToSet1 } from './ps2-scancodes.js';

const SET_LEDS = 0xed;
const ECHO = 0xee;
const SCANCODE_SET = 0xf0;
const IDENTIFY = 0xf2;
const SET_RATE = 0xf3;
const ENABLE = 0xf4;
const DISABLE = 0xf5;
const SET_DEFAULTS = 0xf6;
const SET_ALL_TYPEMATIC_MAKE_BREAK = 0xfa;
const SET_KEY_MAKE_BREAK = 0xfc;
const RESET = 0xff;

const ACK = 0xfa;
const RESEND = 0xfe;
const SELF_TEST_PASSED = 0xaa;

const BREAK = 0xf0;

/** The keyboard. */
export class Ps2Keyboard {
  readonly queue: Ps2Queue;
  /** Set by the controller: convert to set 1 on the way out. */
  translate = false;
  #scanning = true;
  #set = 2;
  #leds = 0;
  /** Command whose parameter comes next, or 0. */
  #command = 0;
  /** A break prefix was swallowed by the translation; the next byte gets bit 7. */
  #released = false;

  constructor(line: (ready: boolean) => void) {
    this.queue = new Ps2Queue(line);
  }

  /** LEDs as the guest set them: scroll, num, caps lock in bits 0…2. */
  get leds(): number {
    return this.#leds;
  }

  /** Press or release a key, named by its set 2 make code (see ps2-scancodes.ts). Ignored while scanning is off. */
  key(code: number, down: boolean): void {
    if (!this.#scanning) return;
    for (const byte of scancodes(this.#set, code, down)) this.#emit(byte);
  }

  /** A byte from the controller. */
  write(value: number): void {
    this.queue.dropReplies();
    const command = this.#command;
    this.#command = 0;
    switch (command) {
      case 0:
        this.#execute(value);
        break;
      case SCANCODE_SET:
        this.#selectSet(value);
        break;
      case SET_LEDS:
        this.#leds = value;
        this.queue.reply(ACK);
        break;
      default:
        this.queue.reply(ACK); // typematic rate, key of a set 3 mode
    }
  }

  reset(): void {
    this.#command = 0;
    this.queue.clear();
    this.#scanning = true;
    this.translate = false;
    this.#set = 2;
    this.#leds = 0;
    this.#released = false;
  }

  save(): Plain {
    return {
      queue: { ...this.queue.save() },
      translate: this.translate,
      scanning: this.#scanning,
      set: this.#set,
      leds: this.#leds,
      command: this.#command,
      released: this.#released,
    };
  }

  load(state: Plain): void {
    const saved = state as unknown as {
      queue: Ps2QueueState;
      translate: boolean;
      scanning: boolean;
      set: number;
      leds: number;
      command: number;
      released: boolean;
    };
    this.queue.load(saved.queue);
    this.translate = saved.translate;
    this.#scanning = saved.scanning;
    this.#set = saved.set;
    this.#leds = saved.leds;
    this.#command = saved.command;
    this.#released = saved.released;
  }

  #execute(value: number): void {
    switch (value) {
      case 0x00:
      case SET_ALL_TYPEMATIC_MAKE_BREAK:
        this.queue.reply(ACK);
        break;
      case IDENTIFY:
        // The controller translates the identifier, too.
        this.queue.reply(ACK, 0xab, this.translate ? 0x41 : 0x83);
        break;
      case ECHO:
        this.queue.reply(ECHO);
        break;
      case ENABLE:
        this.#scanning = true;
        this.queue.reply(ACK);
        break;
      case SCANCODE_SET:
      case SET_LEDS:
      case SET_RATE:
      case SET_KEY_MAKE_BREAK:
        this.#command = value;
        this.queue.reply(ACK);
        break;
      case DISABLE:
      case SET_DEFAULTS:
        this.#setDefaults();
        this.#scanning = value === SET_DEFAULTS;
        this.queue.reply(ACK);
        break;
      case RESET:
        this.#setDefaults();
        this.queue.reply(ACK, SELF_TEST_PASSED);
        break;
      default:
        this.queue.reply(RESEND);
    }
  }

  #selectSet(value: number): void {
    if (value === 0) {
      this.queue.reply(ACK, this.translate ? translateToSet1(this.#set) : this.#set);
    } else if (value <= 3) {
      this.#set = value;
      this.queue.reply(ACK);
    } else {
      this.queue.reply(RESEND);
    }
  }

  #setDefaults(): void {
    this.#scanning = true;
    this.#set = 2;
    this.#leds = 0;
    this.queue.clear();
  }

  #emit(byte: number): void {
    if (!this.translate) {
      this.queue.send(byte);
    } else if (byte === BREAK) {
      this.#released = true;
    } else {
      this.queue.send(translateToSet1(byte) | (this.#released ? 0x80 : 0));
      this.#released = false;
    }
  }
}
