// Ports that exist for people: the firmware's debug console, the test exit, and the POST code port.
//
// debugcon: writes are output, reads give 0xe9, by which firmware knows that somebody listens (QEMU isa-debugcon, which
// takes single bytes only).
// debug-exit: a write of v ends the run with exit code (v << 1) | 1; reads give 0 (QEMU isa-debug-exit).
// post-code: port 0x80, where firmware writes progress codes and everybody writes for a delay; reads float high.
// None of them keeps anything that a guest can see, so there is no state to save.

import type { AccessSize, ProcessorLines } from '../../cpu/bus.js';
import type { PortHandler } from '../device.js';

const DEBUGCON_PRESENT = 0xe9;

/** The debug console; `output` gets every byte. */
export class Debugcon implements PortHandler {
  constructor(private readonly output: (byte: number) => void) {}

  portRead(_offset: number, size: AccessSize): number {
    return size === 1 ? DEBUGCON_PRESENT : 0;
  }

  portWrite(_offset: number, size: AccessSize, value: number): void {
    if (size === 1) this.output(value);
  }
}

/** The test exit: the guest's own verdict. */
export class DebugExit implements PortHandler {
  constructor(private readonly lines: Pick<ProcessorLines, 'stop'>) {}

  portRead(_offset: number, _size: AccessSize): number {
    return 0;
  }

  portWrite(_offset: number, _size: AccessSize, value: number): void {
    // An exit status has 32 bits here; what a host's process can report of it is not the guest's business.
    this.lines.stop({ reason: 'debug-exit', code: ((value << 1) | 1) >>> 0 });
  }
}

/** Port 0x80; `output` gets every progress code. */
export class PostCode implements PortHandler {
  constructor(private readonly output: (code: number) => void) {}

  portRead(_offset: number, _size: AccessSize): number {
    return 0xff;
  }

  portWrite(_offset: number, _size: AccessSize, value: number): void {
    this.output(value);
  }
}
