// System control port A at 0x92: A20 gate and fast reset (IBM PS/2 Hardware Interface Technical Reference).
//
// As in QEMU 7.2 it starts as 0 although A20 is open, all bits can be read back, and a reset is that of the machine.
// The keyboard controller has an A20 gate of its own; the last one to be written wins.

import type { AccessSize } from '../../cpu/bus.js';
import type { Device, Plain, PortHandler } from '../device.js';

const FAST_RESET = 0x01;
const A20 = 0x02;

/** Port 0x92. */
export class Port92 implements Device, PortHandler {
  readonly name = 'port92';
  #value = 0;

  constructor(
    private readonly setA20: (enabled: boolean) => void,
    private readonly requestReset: () => void,
  ) {}

  portRead(_offset: number, _size: AccessSize): number {
    return this.#value;
  }

  portWrite(_offset: number, _size: AccessSize, value: number): void {
    const rising = value & ~this.#value & FAST_RESET;
    this.#value = value;
    this.setA20((value & A20) !== 0);
    if (rising) this.requestReset();
  }

  reset(): void {
    this.#value &= ~FAST_RESET;
  }

  save(): Plain {
    return this.#value;
  }

  load(state: Plain): void {
    this.#value = state as number;
  }
}
