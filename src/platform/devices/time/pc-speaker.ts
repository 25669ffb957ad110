// System control port B, port 0x61 of a PC (IBM AT Technical Reference, "System Timers"): the gate and the output of the
// 8254's channel 2, the speaker's data bit and the refresh toggle.
//
// As in QEMU 7.2 the refresh bit flips at every read instead of every 15 µs, and the parity and channel-check bits
// read as zero. The speaker makes no sound.

import type { AccessSize } from '../../../cpu/bus.js';
import type { Device, Plain, PortHandler } from '../../device.js';
import type { Pit } from './pit.js';

const GATE2 = 0x01;
const SPEAKER_DATA = 0x02;
const REFRESH = 0x10;
const OUTPUT2 = 0x20;

/** Port 0x61. */
export class PcSpeaker implements Device, PortHandler {
  readonly name = 'pc-speaker';
  #data = false;
  #refresh = false;

  constructor(private readonly pit: Pick<Pit, 'gate' | 'setGate' | 'output'>) {}

  portRead(_offset: number, _size: AccessSize): number {
    this.#refresh = !this.#refresh;
    return (
      (this.pit.gate(2) ? GATE2 : 0) |
      (this.#data ? SPEAKER_DATA : 0) |
      (this.#refresh ? REFRESH : 0) |
      (this.pit.output(2) ? OUTPUT2 : 0)
    );
  }

  portWrite(_offset: number, _size: AccessSize, value: number): void {
    this.#data = (value & SPEAKER_DATA) !== 0;
    this.pit.setGate(2, (value & GATE2) !== 0);
  }

  reset(): void {
    this.#data = false;
    this.#refresh = false;
  }

  save(): Plain {
    return { data: this.#data, refresh: this.#refresh };
  }

  load(state: Plain): void {
    const saved = state as { data: boolean; refresh: boolean };
    this.#data = saved.data;
    this.#refresh = saved.refresh;
  }
}
