// Devices whose registers can only be named by what was written before: index registers, initialisation sequences,
// the divisor latch. Each follows the guest's writes and names the access at hand.
// Sources: 8259A, 8254, MC146818A, 16550 and 82093AA data sheets.

import type { RegisterName } from './registers.js';

const hex = (value: number): string => `0x${value.toString(16)}`;

/** 8259A pair at 0x20 and 0xa0. */
export class Pic {
  /** Next ICW a write to the data port is, by controller; 0 = none, then it is the mask. */
  readonly #icw = [0, 0];
  readonly #icw4 = [false, false];

  access(port: number, written: number | undefined): RegisterName | undefined {
    const slave = (port & 0xfe) === 0xa0;
    if ((port & 0xfe) !== 0x20 && !slave) return undefined;
    const chip = slave ? 1 : 0;
    const device = slave ? 'pic slave' : 'pic master';
    if (written === undefined) return { device, register: (port & 1) === 0 ? 'IRR/ISR' : 'IMR' };
    if ((port & 1) === 0) return { device, register: this.#command(chip, written) };
    return { device, register: this.#data(chip) };
  }

  #command(chip: number, value: number): string {
    if ((value & 0x10) !== 0) {
      this.#icw[chip] = 2;
      this.#icw4[chip] = (value & 1) !== 0;
      return 'ICW1';
    }
    if ((value & 0x08) !== 0) return 'OCW3';
    return (value & 0x20) !== 0 ? 'OCW2 (EOI)' : 'OCW2';
  }

  #data(chip: number): string {
    const step = this.#icw[chip]!;
    if (step === 0) return 'IMR';
    this.#icw[chip] = step === 2 ? 3 : step === 3 && this.#icw4[chip] ? 4 : 0;
    return `ICW${step}`;
  }
}

/** 8254 at 0x40. */
export class Pit {
  access(port: number, written: number | undefined): RegisterName | undefined {
    if (port < 0x40 || port > 0x43) return undefined;
    if (port !== 0x43) return { device: 'pit', register: `channel ${port - 0x40}` };
    if (written === undefined) return { device: 'pit', register: 'control' };
    const channel = written >> 6;
    if (channel === 3) return { device: 'pit', register: 'control: read back' };
    const access = ['latch', 'low byte', 'high byte', 'low and high byte'][(written >> 4) & 3]!;
    const mode = (written >> 4) & 3 ? `, mode ${Math.min((written >> 1) & 7, 5)}` : '';
    return { device: 'pit', register: `control: channel ${channel}, ${access}${mode}` };
  }
}

// biome-ignore format: a table
const CMOS: Readonly<Record<number, string>> = {
  0: 'seconds', 1: 'seconds alarm', 2: 'minutes', 3: 'minutes alarm', 4: 'hours', 5: 'hours alarm', 6: 'day of week',
  7: 'day', 8: 'month', 9: 'year', 10: 'status A', 11: 'status B', 12: 'status C', 13: 'status D', 15: 'shutdown status',
  16: 'floppy types', 18: 'disk types', 20: 'equipment', 21: 'base memory low', 22: 'base memory high', 23: 'extended memory low',
  24: 'extended memory high', 48: 'extended memory low', 49: 'extended memory high', 50: 'century', 52: 'memory above 16 MiB low',
  53: 'memory above 16 MiB high', 56: 'boot order 3', 61: 'boot order 1 and 2', 91: 'memory above 4 GiB low',
  92: 'memory above 4 GiB middle', 93: 'memory above 4 GiB high', 95: 'cpu count',
};

/** MC146818A with CMOS memory at 0x70. */
export class Rtc {
  #index = 0;

  access(port: number, written: number | undefined): RegisterName | undefined {
    if (port === 0x70) {
      if (written !== undefined) this.#index = written & 0x7f;
      return { device: 'rtc', register: `index ${this.#name()}` };
    }
    return port === 0x71 ? { device: 'rtc', register: this.#name() } : undefined;
  }

  #name(): string {
    return CMOS[this.#index] ?? `CMOS ${hex(this.#index)}`;
  }
}

const UART_BASES = [0x3f8, 0x2f8, 0x3e8, 0x2e8];
const UART_NAMES = ['uart0', 'uart1', 'uart2', 'uart3'];
const UART_READ = ['RBR', 'IER', 'IIR', 'LCR', 'MCR', 'LSR', 'MSR', 'SCR'];
const UART_WRITE = ['THR', 'IER', 'FCR', 'LCR', 'MCR', 'LSR', 'MSR', 'SCR'];

/** Four 16550s at the PC's bases. */
export class Uarts {
  readonly #lcr = [0, 0, 0, 0];

  access(port: number, written: number | undefined): RegisterName | undefined {
    const unit = UART_BASES.indexOf(port & ~7);
    if (unit < 0) return undefined;
    const offset = port & 7;
    const device = UART_NAMES[unit]!;
    if (offset === 3 && written !== undefined) this.#lcr[unit] = written;
    if (offset < 2 && (this.#lcr[unit]! & 0x80) !== 0) return { device, register: offset === 0 ? 'DLL' : 'DLM' };
    return { device, register: (written === undefined ? UART_READ : UART_WRITE)[offset]! };
  }
}

/** IOAPICs: an index register and a window, for each controller that the guest addresses. */
export class IoApics {
  readonly #index = new Map<number, number>();

  access(address: number, written: number | undefined): RegisterName | undefined {
    if (address < 0xfec0_0000 || address >= 0xfec1_0000) return undefined;
    const base = address - (address % 0x100);
    const offset = address - base;
    const device = base === 0xfec0_0000 ? 'ioapic' : `ioapic ${hex(base)}`;
    if (offset === 0) {
      if (written !== undefined) this.#index.set(base, written & 0xff);
      return { device, register: `index ${this.#name(base)}` };
    }
    if (offset === 0x10) return { device, register: this.#name(base) };
    return { device, register: offset === 0x40 ? 'EOI' : hex(offset) };
  }

  #name(base: number): string {
    const index = this.#index.get(base) ?? 0;
    if (index < 3) return ['ID', 'version', 'arbitration'][index]!;
    if (index < 0x10) return hex(index);
    return `redirection ${(index - 0x10) >> 1} ${(index & 1) === 0 ? 'low' : 'high'}`;
  }
}
