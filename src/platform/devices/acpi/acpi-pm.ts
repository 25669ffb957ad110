// Power management, function 3 of the PIIX4 (Intel 290562; 8086:7113 at 00:01.3) as QEMU 7.2 gives it to the pc
// machine: PM1a event and control block, 24-bit PM timer of 3.579545 MHz (ACPI 6.4, 4.8.3), GPE0 at 0xafe0, APM ports
// 0xb2 and 0xb3. Invariant: the timer's value is floor(ns * 3579545 / 10^9), computed exactly. With \`smm\`
// an APM command is an SMI, unless it switches ACPI mode. Without it, as with QEMU's smm=off, SCI_EN is fixed to 1, the
// firmware is told that SMM is set up already, and the FADT has no SMI command. S3 suspends until an alarm of the RTC, the PM timer or somebody at keyboard
// or mouse resets the machine, with the cause in PM1 status; S4 is a power-off. Left out: SMBus transfers.

import type { AccessSize } from '../../../cpu/bus.js';
import type { Clock, Line, Plain, PortHandler, Timer } from '../../device.js';
import { PciFunction } from '../pci/pci-function.js';

/** Where firmware puts the PM block; a boot without firmware calls setPmBase(). */
export const PM_BASE = 0x600;
export const PM_SIZE = 64;
export const GPE0_BASE = 0xafe0;
export const GPE0_SIZE = 4;
export const APM_PORT = 0xb2;
export const SCI_IRQ = 9;
export const PM_TIMER_HZ = 3579545;
export const ACPI_ENABLE = 0xf1;
export const ACPI_DISABLE = 0xf0;

const PM_IO_BASE = 0x40;
const PM_IO_ENABLE = 0x80;
/** Byte 3 of DEVACTB: writes to the APM command port make SMIs. */
const DEVICE_ACTIVITY_B = 0x5b;
const APMC_ENABLE = 0x02;

/** PM1 status and enable bits (ACPI 6.4, tables 4.11 and 4.12). */
const TIMER_STATUS = 0x0001;
const RTC_STATUS = 0x0400;
const WAKE_STATUS = 0x8000;
const POWER_BUTTON = 0x0100;
const PM1_SCI_SOURCES = 0x0521;
const SCI_ENABLE = 0x0001;
const SLEEP_ENABLE = 0x2000;

/** What may end a suspension, by its status bit; who touches keyboard or mouse is taken for the power button. */
const WAKE_CAUSES = { rtc: RTC_STATUS, timer: TIMER_STATUS, user: POWER_BUTTON };
/** SLP_TYP, as the DSDT names them. */
const S5 = 0;
const S3 = 1;
const S4 = 2;

const NS = 1_000_000_000n;
const HZ = BigInt(PM_TIMER_HZ);
/** The timer status bit is set whenever bit 23 of the counter changes. */
const OVERFLOW = 0x800000n;

export interface AcpiPmWiring {
  clock: Clock;
  /** System control interrupt, ISA IRQ 9. */
  sci: Line;
  /** The guest entered S5 or S4. */
  poweroff: () => void;
  /** The guest entered S3: nothing is to execute any more. */
  suspend: () => void;
  /** A command was written to the APM port, and those make SMIs. Default: nothing happens. */
  smi?: () => void;
  /** The suspension is over: reset the machine. */
  wake: () => void;
  /** The PM block of PM_SIZE ports is decoded at `base`, or nowhere. */
  mapPm: (base: number | undefined) => void;
  /** COM1 and COM2 exist (shown in the device activity registers). */
  serialPorts?: number;
  /** The machine has SMM. Default false. */
  smm?: boolean;
}

interface PmState {
  status: number;
  enable: number;
  control: number;
  gpeStatus: number;
  gpeEnable: number;
  /** PM timer ticks at which TIMER_STATUS is set next. */
  overflow: bigint;
  apmControl: number;
  apmStatus: number;
  sci: boolean;
  /** Armed deadline in ns, or null. */
  expiry: number | null;
  suspended: boolean;
  /** Status bits that the next reset leaves: why the machine woke up. */
  woken: number;
  /** An alarm of the RTC ends a suspension: until PM1 enable is written, whatever its bit says. */
  rtcWakes: boolean;
}

/** 00:01.3. */
export class AcpiPm extends PciFunction {
  private readonly wiring: AcpiPmWiring;
  private readonly timer: Timer;
  private readonly acpiOnly: boolean;
  private mapped: number | undefined;
  private state: PmState;

  constructor(wiring: AcpiPmWiring) {
    super('acpi-pm', { vendor: 0x8086, device: 0x7113, revision: 3, classCode: 0x068000, interruptPin: 1 });
    this.wiring = wiring;
    this.acpiOnly = !wiring.smm;
    this.timer = wiring.clock.timer('acpi-pm', () => {
      this.state.expiry = null;
      this.wake('timer');
      this.updateSci();
    });
    this.state = this.initialState();
    const serial = wiring.serialPorts ?? 1;
    this.setInitial(0x06, [0x80, 0x02]);
    this.setInitial(PM_IO_BASE, [0x01]);
    if (this.acpiOnly) this.setInitial(DEVICE_ACTIVITY_B, [APMC_ENABLE]);
    this.setInitial(0x5f, [0x10]);
    this.setInitial(0x63, [0x60]);
    this.setInitial(0x67, [(serial > 0 ? 0x08 : 0) | (serial > 1 ? 0x90 : 0)]);
    this.setInitial(0x90, [0x01, 0xb1]);
    this.setInitial(0xd2, [0x09]);
  }

  override reset(): void {
    super.reset();
    this.timer.cancel();
    const { sci, woken, rtcWakes } = this.state;
    this.state = { ...this.initialState(), sci, rtcWakes, status: woken };
    this.updateSci();
    this.updatePmMapping();
  }

  /** Do what firmware does: decode the PM block at `base` (a multiple of 64) and route the SCI to IRQ 9. */
  setPmBase(base = PM_BASE): void {
    this.configWrite(PM_IO_BASE, 4, base | 1);
    this.configWrite(PM_IO_ENABLE, 1, 1);
    this.configWrite(0x3c, 1, SCI_IRQ);
  }

  /** Press and release the power button. */
  powerButton(): void {
    if (!(this.state.enable & POWER_BUTTON)) return;
    this.state.status |= POWER_BUTTON;
    this.updateSci();
  }

  /** Something happened that ends a suspension. */
  wake(cause: keyof typeof WAKE_CAUSES): void {
    const s = this.state;
    if (!s.suspended || (cause === 'rtc' && !s.rtcWakes)) return;
    s.suspended = false;
    s.woken = WAKE_STATUS | WAKE_CAUSES[cause];
    this.wiring.wake();
  }

  /** The PM block, to be mapped where mapPm() says. Widths that QEMU refuses read 0 and do nothing. */
  readonly pm: PortHandler = {
    portRead: (offset, size) => this.pmRead(offset, size),
    portWrite: (offset, size, value) => this.pmWrite(offset, size, value),
  };

  /** GPE0 status (2 bytes) and enable (2 bytes). */
  readonly gpe: PortHandler = {
    portRead: (offset, size) => {
      const block = this.state.gpeStatus | (this.state.gpeEnable << 16);
      return truncate(block >>> (8 * offset), size);
    },
    portWrite: (offset, size, value) => {
      const s = this.state;
      for (let i = 0; i < size; i++) {
        const at = offset + i;
        const byte = (value >>> (8 * i)) & 0xff;
        const shift = 8 * (at & 1);
        if (at < 2) s.gpeStatus &= ~(byte << shift);
        else if (at < 4) s.gpeEnable = (s.gpeEnable & ~(0xff << shift)) | (byte << shift);
      }
      this.updateSci();
    },
  };

  /** APM control (0xb2) and status (0xb3). */
  readonly apm: PortHandler = {
    portRead: (offset, size) => truncate((this.state.apmControl | (this.state.apmStatus << 8)) >> (8 * offset), size),
    portWrite: (offset, size, value) => {
      for (let i = 0; i < size && offset + i < 2; i++) this.apmWrite(offset + i, (value >>> (8 * i)) & 0xff);
    },
  };

  protected override configWritten(offset: number, size: number): void {
    const touches = (first: number, count: number) => offset < first + count && offset + size > first;
    if (touches(PM_IO_BASE, 4) || touches(PM_IO_ENABLE, 1)) this.updatePmMapping();
  }

  protected override saveInner(): Plain {
    return { ...this.state };
  }

  protected override loadInner(state: Plain): void {
    this.state = { ...(state as unknown as PmState) };
    if (this.state.expiry === null) this.timer.cancel();
    else this.timer.set(this.state.expiry);
    this.updatePmMapping();
  }

  private initialState(): PmState {
    return {
      status: 0,
      enable: 0,
      control: this.acpiOnly ? SCI_ENABLE : 0,
      gpeStatus: 0,
      gpeEnable: 0,
      overflow: 0n,
      apmControl: 0,
      apmStatus: 0,
      sci: false,
      expiry: null,
      suspended: false,
      woken: 0,
      rtcWakes: true,
    };
  }

  private updatePmMapping(): void {
    const base = this.configRead(PM_IO_BASE, 4) & 0xffc0;
    const mapped = this.config[PM_IO_ENABLE]! & 1 ? base : undefined;
    if (mapped === this.mapped) return;
    this.mapped = mapped;
    this.wiring.mapPm(mapped);
  }

  private ticks(): bigint {
    return (BigInt(this.wiring.clock.now()) * HZ) / NS;
  }

  private overflowTime(): number {
    return Number((this.state.overflow * NS) / HZ);
  }

  /** PM1 status with the timer bit brought up to date. */
  private pm1Status(): number {
    if (this.wiring.clock.now() >= this.overflowTime()) this.state.status |= TIMER_STATUS;
    return this.state.status;
  }

  // QEMU registers the event block as 16-bit, the control block as 16-bit and the timer as 32-bit, and does not align
  // narrower accesses: the value read or written is the one at the very offset, or the whole block.
  private pmRead(offset: number, size: AccessSize): number {
    if (offset & (size - 1)) return 0;
    if (offset < 0x04) {
      if (size === 4) return 0;
      return offset === 0 ? truncate(this.pm1Status(), size) : offset === 2 ? truncate(this.state.enable, size) : 0;
    }
    if (offset < 0x06) return size === 4 ? 0 : truncate(this.state.control, size);
    if (offset >= 0x08 && offset < 0x0c) return truncate(Number(this.ticks() & 0xffffffn), size);
    return truncate(0xffffffff, size);
  }

  private pmWrite(offset: number, size: AccessSize, value: number): void {
    if (offset & (size - 1) || size === 4) return;
    const s = this.state;
    if (offset === 0) {
      // Clearing the timer bit starts the next half period of bit 23.
      if (this.pm1Status() & value & TIMER_STATUS) s.overflow = (this.ticks() + OVERFLOW) & ~(OVERFLOW - 1n);
      s.status &= ~value;
      this.updateSci();
    } else if (offset === 2) {
      s.enable = value & 0xffff;
      s.rtcWakes = (value & RTC_STATUS) !== 0;
      this.updateSci();
    } else if (offset === 4 || offset === 5) {
      s.control = value & 0xffff & ~SLEEP_ENABLE;
      if (value & SLEEP_ENABLE) this.sleep((value >> 10) & 7);
    }
  }

  private sleep(type: number): void {
    if (type === S5 || type === S4) this.wiring.poweroff();
    if (type !== S3) return;
    this.state.suspended = true;
    this.wiring.suspend();
  }

  private apmWrite(offset: number, value: number): void {
    if (offset === 1) {
      this.state.apmStatus = value;
      return;
    }
    this.state.apmControl = value;
    if (value === ACPI_ENABLE || value === ACPI_DISABLE) {
      if (this.acpiOnly) return;
      if (value === ACPI_ENABLE) this.state.control |= SCI_ENABLE;
      else this.state.control &= ~SCI_ENABLE;
    } else if (this.config[DEVICE_ACTIVITY_B]! & APMC_ENABLE) this.wiring.smi?.();
  }

  private updateSci(): void {
    const s = this.state;
    const status = this.pm1Status();
    const level = (status & s.enable & PM1_SCI_SOURCES) !== 0 || (s.gpeStatus & s.gpeEnable & 0xff) !== 0;
    const wantsTimer = (s.enable & TIMER_STATUS) !== 0 && (status & TIMER_STATUS) === 0;
    s.expiry = wantsTimer ? this.overflowTime() : null;
    if (s.expiry === null) this.timer.cancel();
    else this.timer.set(s.expiry);
    if (level === s.sci) return;
    s.sci = level;
    this.wiring.sci(level);
  }
}

function truncate(value: number, size: AccessSize): number {
  return size === 4 ? value >>> 0 : value & (size === 2 ? 0xffff : 0xff);
}
