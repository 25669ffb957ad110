// The two cascaded 8259A interrupt controllers of a PC (Intel 8259A data sheet, order number 231468), with the edge/level
// registers that the PIIX adds at 0x4d0 and 0x4d1 (82371SB data sheet, section 4.6).
//
// Edge and level inputs, automatic end of interrupt, both rotations, special mask, special fully nested and poll mode.
// As in QEMU 7.2: ICW1 keeps requests of level inputs, LTIM (ICW1 bit 3) is ignored in favour of the ELCR, and an edge
// that was latched stays latched when the line falls before the acknowledge.
// Left out on purpose: the 8080 mode of ICW4, and slaves on inputs other than 2.

import type { AccessSize } from '../../../cpu/bus.js';
import type { Device, Line, Plain, PortHandler } from '../../device.js';

/** Interrupt 7 of a controller is delivered when the request that caused INT has gone away. */
const SPURIOUS = 7;
const CASCADE = 2;

/** Fields of one controller; plain data. */
interface ChipState {
  /** Request, service and mask registers. */
  irr: number;
  isr: number;
  imr: number;
  /** Line levels as last seen, for edges. */
  lines: number;
  /** Inputs that are level-triggered. */
  elcr: number;
  /** Input that has the highest priority now. */
  highest: number;
  vectorBase: number;
  readIsr: boolean;
  poll: boolean;
  specialMask: boolean;
  specialFullyNested: boolean;
  autoEoi: boolean;
  rotateOnAutoEoi: boolean;
  /** Initialisation word expected next: 2…4, or 0 in operation. */
  expects: number;
  needsIcw4: boolean;
  single: boolean;
}

const CLEARED = {
  imr: 0,
  isr: 0,
  lines: 0,
  highest: 0,
  vectorBase: 0,
  readIsr: false,
  poll: false,
  specialMask: false,
  specialFullyNested: false,
  autoEoi: false,
  rotateOnAutoEoi: false,
  expects: 0,
  needsIcw4: false,
  single: false,
} satisfies Omit<ChipState, 'irr' | 'elcr'>;

/** One 8259A. `master` only matters for special fully nested mode, where the cascade input must not block itself. */
class Chip implements PortHandler {
  state: ChipState = { irr: 0, elcr: 0, ...CLEARED };

  constructor(
    private readonly master: boolean,
    /** Inputs whose ELCR bit can be set: not the timer, keyboard and cascade, not the RTC and FPU. */
    private readonly elcrMask: number,
    private readonly output: Line,
  ) {}

  reset(): void {
    this.state = { irr: 0, elcr: 0, ...CLEARED };
    this.update();
  }

  setLine(input: number, level: boolean): void {
    const { state } = this;
    const bit = 1 << input;
    if (!level) {
      state.lines &= ~bit;
      if (state.elcr & bit) state.irr &= ~bit;
    } else {
      if (state.elcr & bit || !(state.lines & bit)) state.irr |= bit;
      state.lines |= bit;
    }
    this.update();
  }

  /** The input that would be acknowledged now, or -1. */
  pending(): number {
    const { state } = this;
    const request = this.rank(state.irr & ~state.imr);
    if (request === 8) return -1;
    let service = state.isr;
    if (state.specialMask) service &= ~state.imr;
    if (state.specialFullyNested && this.master) service &= ~(1 << CASCADE);
    return request < this.rank(service) ? (request + state.highest) & 7 : -1;
  }

  acknowledge(input: number): void {
    const { state } = this;
    const bit = 1 << input;
    if (!state.autoEoi) state.isr |= bit;
    else if (state.rotateOnAutoEoi) state.highest = (input + 1) & 7;
    if (!(state.elcr & bit)) state.irr &= ~bit;
    this.update();
  }

  portRead(offset: number, _size: AccessSize): number {
    const { state } = this;
    if (state.poll) {
      state.poll = false;
      const input = this.pending();
      if (input < 0) return 0;
      this.acknowledge(input);
      return 0x80 | input;
    }
    if (offset & 1) return state.imr;
    return state.readIsr ? state.isr : state.irr;
  }

  portWrite(offset: number, _size: AccessSize, value: number): void {
    if (offset & 1) this.writeData(value);
    else if (value & 0x10) this.startInitialisation(value);
    else if (value & 0x08) this.writeOcw3(value);
    else this.writeOcw2(value);
  }

  get elcr(): number {
    return this.state.elcr;
  }

  set elcr(value: number) {
    this.state.elcr = value & this.elcrMask;
  }

  /**
   * Work the output out anew. Called exactly where QEMU does, because a slave that repeats its level to a master whose
   * edge detectors were just cleared by ICW1 makes a new request.
   */
  update(): void {
    this.output(this.pending() >= 0);
  }

  private startInitialisation(value: number): void {
    const { irr, elcr } = this.state;
    this.state = {
      ...CLEARED,
      irr: irr & elcr,
      elcr,
      expects: 2,
      needsIcw4: (value & 1) !== 0,
      single: (value & 2) !== 0,
    };
    this.update();
  }

  private writeData(value: number): void {
    const { state } = this;
    const afterCascade = state.needsIcw4 ? 4 : 0;
    if (state.expects === 2) {
      state.vectorBase = value & 0xf8;
      state.expects = state.single ? afterCascade : 3;
    } else if (state.expects === 3) {
      state.expects = afterCascade;
    } else if (state.expects === 4) {
      state.specialFullyNested = (value & 0x10) !== 0;
      state.autoEoi = (value & 0x02) !== 0;
      state.expects = 0;
    } else {
      state.imr = value;
      this.update();
    }
  }

  private writeOcw3(value: number): void {
    const { state } = this;
    if (value & 0x04) state.poll = true;
    if (value & 0x02) state.readIsr = (value & 1) !== 0;
    if (value & 0x40) state.specialMask = (value & 0x20) !== 0;
  }

  private writeOcw2(value: number): void {
    const { state } = this;
    const rotate = (value & 0x80) !== 0;
    const specific = (value & 0x40) !== 0;
    if (value & 0x20) {
      const rank = this.rank(state.isr);
      if (!specific && rank === 8) return;
      const input = specific ? value & 7 : (rank + state.highest) & 7;
      state.isr &= ~(1 << input);
      if (rotate) state.highest = (input + 1) & 7;
      this.update();
    } else if (!specific) {
      state.rotateOnAutoEoi = rotate;
    } else if (rotate) {
      state.highest = (value + 1) & 7;
      this.update();
    }
  }

  /** Priority of the best input in `mask`: 0 is the highest, 8 is none. */
  private rank(mask: number): number {
    if (mask === 0) return 8;
    let rank = 0;
    while (!(mask & (1 << ((rank + this.state.highest) & 7)))) rank++;
    return rank;
  }
}

/** Both controllers as one device: 16 input lines, one output, one vector on acknowledge. */
export class Pic implements Device {
  readonly name = 'pic';
  /** Ports 0x20, 0x21. */
  readonly master: PortHandler;
  /** Ports 0xa0, 0xa1. */
  readonly slave: PortHandler;
  readonly #master: Chip;
  readonly #slave: Chip;
  #intr = false;

  /** @param intr the INT output of the master; called whenever the output is worked out anew, changed or not */
  constructor(intr: Line) {
    this.#master = new Chip(true, 0xf8, (level) => {
      this.#intr = level;
      intr(level);
    });
    this.#slave = new Chip(false, 0xde, (level) => this.#master.setLine(CASCADE, level));
    this.master = this.#master;
    this.slave = this.#slave;
  }

  /** Level of the INT output. */
  get output(): boolean {
    return this.#intr;
  }

  /** Drive one of the 16 ISA interrupt lines; input 2 is the cascade and is ignored. */
  setLine(irq: number, level: boolean): void {
    if (irq === CASCADE) return;
    if (irq < 8) this.#master.setLine(irq, level);
    else this.#slave.setLine(irq - 8, level);
  }

  /** Interrupt acknowledge cycle: the vector; that of input 7 when the request has gone away. */
  acknowledge(): number {
    const input = this.#master.pending();
    if (input < 0) return this.#master.state.vectorBase + SPURIOUS;
    let vector = this.#master.state.vectorBase + input;
    if (input === CASCADE) {
      const slaveInput = this.#slave.pending();
      if (slaveInput >= 0) this.#slave.acknowledge(slaveInput);
      vector = this.#slave.state.vectorBase + (slaveInput >= 0 ? slaveInput : SPURIOUS);
    }
    this.#master.acknowledge(input);
    return vector;
  }

  /** The edge/level control registers: 0x4d0 at `chip` 0, 0x4d1 at 1. */
  elcr(chip: 0 | 1): PortHandler {
    const target = chip === 0 ? this.#master : this.#slave;
    return {
      portRead: () => target.elcr,
      portWrite: (_offset, _size, value) => {
        target.elcr = value;
      },
    };
  }

  reset(): void {
    this.#slave.reset();
    this.#master.reset();
  }

  save(): Plain {
    return { master: { ...this.#master.state }, slave: { ...this.#slave.state }, intr: this.#intr };
  }

  /** The output is not driven: what it is connected to saves its own inputs. */
  load(state: Plain): void {
    const saved = state as unknown as { master: ChipState; slave: ChipState; intr: boolean };
    this.#master.state = { ...saved.master };
    this.#slave.state = { ...saved.slave };
    this.#intr = saved.intr;
  }
}
