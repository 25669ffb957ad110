// What a fuzzed guest prints: its serial output for a predicate, and the texts that end a case.

import type { Guest } from '../api/guest.js';
import type { BootOptions } from '../api/options.js';
import { TextWatch } from '../api/run.js';
import type { RunEnd } from '../cpu/bus.js';

const PANIC = 'Kernel panic';

export class Consoles {
  serial: number[] = [];
  /** Which text of a panic was printed. */
  panic: string | undefined;

  /** @param panic texts that are a finding, beside that of Linux */
  constructor({ pc, cpu }: Guest, { untilSerial, untilDebugcon }: BootOptions, panic: readonly string[] = []) {
    const stop = (reason: RunEnd['reason']) => () => cpu.stop({ reason });
    const watches = (text: string | undefined, reason: RunEnd['reason']) =>
      [PANIC, ...panic]
        .map(
          (one) =>
            new TextWatch(one, () => {
              this.panic ??= one;
              cpu.stop({ reason: 'interrupted' });
            }),
        )
        .concat(text === undefined ? [] : [new TextWatch(text, stop(reason))]);
    const serial = watches(untilSerial, 'until-serial');
    const debugcon = watches(untilDebugcon, 'until-debugcon');
    pc.onSerial = (byte) => {
      this.serial.push(byte);
      for (const watch of serial) watch.byte(byte);
    };
    pc.onDebugcon = (byte) => {
      for (const watch of debugcon) watch.byte(byte);
    };
  }

  /** Before a case. */
  begin(): void {
    this.serial.length = 0;
    this.panic = undefined;
  }
}
