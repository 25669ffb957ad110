// Function 0 of the PIIX3 south bridge (Intel 290550): the ISA bridge 8086:7000 at 00:01.0, which routes the four PCI
// interrupt wires to ISA interrupts, and the reset control register at port 0xcf9. Several wires may share an
// interrupt; its level is their OR. The edge/level control registers belong to the PIC, ISA DMA to its own device.

import type { Plain, PortHandler } from '../../device.js';
import { PciFunction } from './pci-function.js';

export const RESET_CONTROL_PORT = 0xcf9;

const PIRQ_ROUTE = 0x60;
const WIRES = 4;
const ISA_IRQS = 16;

export interface Piix3IsaWiring {
  /** Drive an ISA interrupt with the OR of the PCI wires routed to it. */
  irq: (irq: number, level: boolean) => void;
  /** The guest asked for a reset through port 0xcf9. */
  reset: () => void;
}

/** 00:01.0. Connect PciHost.pirq to `setPirq`. */
export class Piix3Isa extends PciFunction {
  private readonly wiring: Piix3IsaWiring;
  private readonly wires = [false, false, false, false];
  /** Level driven on each ISA interrupt. */
  private driven = 0;
  private resetControl = 0;

  constructor(wiring: Piix3IsaWiring) {
    super('piix3-isa', { vendor: 0x8086, device: 0x7000, classCode: 0x060100, multifunction: true });
    this.wiring = wiring;
    this.setInitial(0x07, [0x02]);
    this.setInitial(0x4c, [0x4d, 0, 0x03, 0]);
    this.setInitial(PIRQ_ROUTE, [0x80, 0x80, 0x80, 0x80]);
    this.setInitial(0x69, [0x02]);
    this.setInitial(0x70, [0x80]);
    this.setInitial(0x76, [0x0c, 0x0c, 0x02]);
    this.setInitial(0xa0, [0x08]);
    this.setInitial(0xa8, [0x0f]);
  }

  override reset(): void {
    super.reset();
    this.resetControl = 0;
    this.route();
  }

  /** Level of PIRQA…PIRQD (0…3). */
  setPirq(wire: number, level: boolean): void {
    this.wires[wire] = level;
    this.route();
  }

  /** The ISA interrupt that a wire goes to, or undefined while routing is off. */
  pirqRoute(wire: number): number | undefined {
    const route = this.config[PIRQ_ROUTE + wire]!;
    return route < ISA_IRQS ? route : undefined;
  }

  /** Port 0xcf9: bit 2 resets the machine, bit 1 is remembered. */
  readonly resetPort: PortHandler = {
    portRead: () => this.resetControl,
    portWrite: (_offset, _size, value) => {
      if (value & 4) this.wiring.reset();
      else this.resetControl = value & 2;
    },
  };

  protected override configWritten(offset: number, size: number): void {
    if (offset < PIRQ_ROUTE + WIRES && offset + size > PIRQ_ROUTE) this.route();
  }

  protected override saveInner(): Plain {
    return { wires: [...this.wires], driven: this.driven, resetControl: this.resetControl };
  }

  protected override loadInner(state: Plain): void {
    const s = state as unknown as { wires: boolean[]; driven: number; resetControl: number };
    s.wires.forEach((level, wire) => {
      this.wires[wire] = level;
    });
    this.driven = s.driven;
    this.resetControl = s.resetControl;
  }

  private route(): void {
    let levels = 0;
    for (let wire = 0; wire < WIRES; wire++) {
      const irq = this.pirqRoute(wire);
      if (irq !== undefined && this.wires[wire]) levels |= 1 << irq;
    }
    const changed = levels ^ this.driven;
    this.driven = levels;
    for (let irq = 0; irq < ISA_IRQS; irq++)
      if (changed & (1 << irq)) this.wiring.irq(irq, (levels & (1 << irq)) !== 0);
  }
}
