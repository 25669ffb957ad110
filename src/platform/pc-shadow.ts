// From the registers of the i440FX to the memory map: what changed in PAM and SMRAM is told on, range by range, in
// ascending order, and nothing is told that did not change. The map itself lies with the memory, behind ShadowLines.

import type { ShadowLines } from '../cpu/bus.js';
import type { I440fx } from './devices/pci/pci-host.js';

/** Follows one bridge; starts in the state after reset, in which no RAM is seen above 0xa0000. */
export class PcShadow {
  private readonly attributes = new Map<number, number>();
  private open = false;
  private inSmm = false;

  constructor(private readonly lines: ShadowLines) {}

  /** The bridge's registers may have changed. */
  update(bridge: I440fx): void {
    for (const { start, read, write } of bridge.pamRegions()) {
      const attribute = (read ? 1 : 0) | (write ? 2 : 0);
      if ((this.attributes.get(start) ?? 0) === attribute) continue;
      this.attributes.set(start, attribute);
      this.lines.pam(start, attribute);
    }
    if (bridge.smramOpen === this.open && bridge.smramInSmm === this.inSmm) return;
    this.open = bridge.smramOpen;
    this.inSmm = bridge.smramInSmm;
    this.lines.smram(this.open, this.inSmm);
  }
}
