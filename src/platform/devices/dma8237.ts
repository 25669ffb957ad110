// The two 8237A DMA controllers of a PC (Intel 8237A data sheet, order number 231466) and their page registers.
//
// Registers only: addresses, counts, modes, masks, the byte flip-flop and the request bits of software. No device of
// this machine asks for ISA DMA (no floppy, no sound), so no transfer ever happens and counters stay where they are.
// As in QEMU 7.2: commands with features that a PC cannot use are refused, and reading back a count after a write
// shows the base value.

import type { AccessSize } from '../../cpu/bus.js';
import type { Device, Plain, PortHandler } from '../device.js';

/** Channel that a page port's low three bits belong to; -1 = no page register. */
const PAGE_CHANNEL = [-1, 2, 3, 1, -1, -1, -1, 0] as const;

/** Memory-to-memory, fixed address, compressed timing, rotation, extended write, low DREQ and DACK. */
const UNSUPPORTED_COMMANDS = 0xfb;

interface ControllerState {
  command: number;
  status: number;
  mask: number;
  flipFlop: boolean;
  /** Four base addresses and counts, 16 bits each, in units of the controller's width. */
  addresses: number[];
  /** Current addresses: the base, from when the high byte of address or count is written. */
  current: number[];
  counts: number[];
  modes: number[];
  pages: number[];
}

function powerOn(): ControllerState {
  const four = (): number[] => [0, 0, 0, 0];
  return {
    command: 0,
    status: 0,
    mask: 0xff,
    flipFlop: false,
    addresses: four(),
    current: four(),
    counts: four(),
    modes: four(),
    pages: four(),
  };
}

/** One controller. The second one's registers are two ports apart. */
class Controller {
  state = powerOn();

  constructor(private readonly shift: 0 | 1) {}

  /** Address and count registers. */
  readonly channels: PortHandler = {
    portRead: (offset: number) => {
      const { counts, channel } = this.register(offset);
      const value = (counts ? this.state.counts : this.state.current)[channel]!;
      return (this.flip() ? value >>> 8 : value) & 0xff;
    },
    portWrite: (offset: number, _size: AccessSize, value: number) => {
      const { counts, channel } = this.register(offset);
      const array = counts ? this.state.counts : this.state.addresses;
      if (!this.flip()) {
        array[channel] = (array[channel]! & 0xff00) | value;
      } else {
        array[channel] = (array[channel]! & 0x00ff) | (value << 8);
        this.state.current[channel] = this.state.addresses[channel]!;
      }
    },
  };

  /** Command, status, mask and mode registers. */
  readonly control: PortHandler = {
    portRead: (offset: number) => {
      const { state } = this;
      const register = offset >>> this.shift;
      if (register === 1) return state.mask;
      if (register !== 0) return 0;
      const value = state.status;
      state.status &= 0xf0; // terminal counts are cleared by reading them
      return value;
    },
    portWrite: (offset: number, _size: AccessSize, value: number) => this.writeControl(offset >>> this.shift, value),
  };

  masterClear(): void {
    Object.assign(this.state, { flipFlop: false, mask: 0xff, status: 0, command: 0 });
  }

  private writeControl(register: number, value: number): void {
    const { state } = this;
    const bit = 1 << (value & 3);
    switch (register) {
      case 0:
        if (!(value & UNSUPPORTED_COMMANDS)) state.command = value;
        break;
      case 1:
        state.status &= ~(bit | (bit << 4));
        if (value & 4) state.status |= bit << 4;
        break;
      case 2:
        state.mask = value & 4 ? state.mask | bit : state.mask & ~bit;
        break;
      case 3:
        state.modes[value & 3] = value;
        break;
      case 4:
        state.flipFlop = false;
        break;
      case 5:
        this.masterClear();
        break;
      case 6:
        state.mask = 0;
        break;
      default:
        state.mask = value;
    }
  }

  private register(offset: number): { counts: boolean; channel: number } {
    const register = (offset >>> this.shift) & 7;
    return { counts: (register & 1) !== 0, channel: register >>> 1 };
  }

  /** The byte flip-flop before it changes: false = low byte. */
  private flip(): boolean {
    this.state.flipFlop = !this.state.flipFlop;
    return !this.state.flipFlop;
  }
}

/** Both controllers. */
export class Dma8237 implements Device {
  readonly name = 'dma';
  readonly #controllers = [new Controller(0), new Controller(1)] as const;

  /** Ports 0x00…0x07 of controller 0; 0xc0…0xcf of controller 1. */
  channels(controller: 0 | 1): PortHandler {
    return this.#controllers[controller].channels;
  }

  /** Ports 0x08…0x0f of controller 0; 0xd0…0xdf of controller 1. */
  control(controller: 0 | 1): PortHandler {
    return this.#controllers[controller].control;
  }

  /**
   * Page registers: ports 0x80…0x87 of controller 0, 0x88…0x8f of controller 1, at offsets 0…7; only 1…3 and 7 exist.
   * To be mapped with all widths: QEMU makes two byte accesses of two bytes, as far as there are ports, and none of four.
   */
  pages(controller: 0 | 1): PortHandler {
    const target = this.#controllers[controller];
    const at = (offset: number): number => PAGE_CHANNEL[offset & 7]!;
    return {
      portRead: (offset, size) => {
        if (size === 4) return 0xffff_ffff;
        const { pages } = target.state;
        const low = pages[at(offset)]!;
        if (size === 1) return low;
        return low | ((at(offset + 1) < 0 ? 0xff : pages[at(offset + 1)]!) << 8);
      },
      portWrite: (offset, size, value) => {
        if (size === 4) return;
        const { pages } = target.state;
        pages[at(offset)] = value & 0xff;
        if (size === 2 && at(offset + 1) >= 0) pages[at(offset + 1)] = value >>> 8;
      },
    };
  }

  /** RESET clears what the data sheet's master clear does; addresses, counts, modes and pages survive. */
  reset(): void {
    for (const controller of this.#controllers) controller.masterClear();
  }

  save(): Plain {
    return this.#controllers.map((controller) => structuredClone(controller.state)) as unknown as Plain;
  }

  load(state: Plain): void {
    const saved = structuredClone(state) as unknown as ControllerState[];
    this.#controllers.forEach((controller, index) => {
      controller.state = saved[index]!;
    });
  }
}
