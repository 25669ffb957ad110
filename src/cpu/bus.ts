// The seam between the processor and everything else. The live platform implements it, the recorder wraps it,
// and the sealed player answers it from a trace; the processor cannot tell which. Nothing else crosses:
// no device sees a register, no instruction sees a device.
//
// Time: `cycle` arguments and results are whole cycles since reset as JavaScript numbers (exact below 2^53).
// Every call into the bus happens at an exact instruction boundary: the cycle is that of the instruction's start.

/** Width of a port or MMIO access in bytes. An 8-byte MMIO access is made as two 4-byte ones, low half first. */
export type AccessSize = 1 | 2 | 4;

/** What the processor asks of its surroundings. Values are unsigned. Addresses are guest physical, < 2^52. */
export interface Bus {
  /** Read `size` bytes of an I/O port (IN). */
  portRead(port: number, size: AccessSize): number;
  /** Write `size` bytes to an I/O port (OUT). */
  portWrite(port: number, size: AccessSize, value: number): void;
  /** REP INS: `count` reads of `size` bytes from one port, little-endian into the result (count * size bytes). */
  portReadString(port: number, size: AccessSize, count: number): Uint8Array;
  /** REP OUTS: the reverse. */
  portWriteString(port: number, size: AccessSize, data: Uint8Array): void;
  /** Read at a physical address that is neither RAM nor ROM. */
  mmioRead(address: number, size: AccessSize): number;
  mmioWrite(address: number, size: AccessSize, value: number): void;
  /**
   * Whether `count` accesses at ascending addresses (REP MOVS, REP STOS) can be made as one: to a device whose memory has
   * no effect on anything else.
   */
  mmioString(address: number, size: AccessSize, count: number, write: boolean): boolean;
  /** `count` reads at ascending addresses, little-endian into the result, after mmioString has allowed it. */
  mmioReadString(address: number, size: AccessSize, count: number): Uint8Array;
  mmioWriteString(address: number, size: AccessSize, data: Uint8Array): void;
  /** Registers that devices own: IA32_APIC_BASE (0x1b), IA32_TSC_DEADLINE (0x6e0), the TPR (0x808, as CR8 sees it in bits 4–7). */
  msrRead(index: number): bigint;
  msrWrite(index: number, value: bigint): void;
  /** Interrupt acknowledge: the vector of the interrupt being delivered. Called only while the INTR line is up. */
  acknowledge(): number;
  /** Let everything that is due at or before `cycle` happen (timers fire, lines move, DMA completes). */
  advance(cycle: number): void;
  /** Cycle of the earliest future event, or Infinity. The processor calls advance() at the first instruction boundary at or after it. */
  nextEvent(): number;
}

/** What devices may do to the processor, injected into the platform. */
export interface ProcessorLines {
  /** Level of the INTR line. */
  setIntr(level: boolean): void;
  /** Edge on the NMI line. */
  pulseNmi(): void;
  /** System management interrupt. One that comes in SMM waits until RSM. */
  pulseSmi(): void;
  /** Execute nothing more, whatever interrupts come, until a reset (ACPI S3). */
  suspend(): void;
  /** Ask for a stop at the next instruction boundary. The reason is handed back by Cpu.run(). */
  stop(end: RunEnd): void;
  /** Current cycle: that of the start of the instruction that made the access, or of the event being run. */
  readonly cycle: number;
  /** A20 gate. */
  setA20(enabled: boolean): void;
}

/**
 * What the chipset may do to the memory map: say who answers where RAM and something else have the same address. The
 * change holds from the next instruction on.
 */
export interface ShadowLines {
  /**
   * The attribute of the PAM range that starts at `start`: bit 0, RAM answers reads; bit 1, RAM takes writes. Else ROM
   * answers, and writes are lost.
   */
  pam(start: number, attribute: number): void;
  /** RAM answers in the VGA window at 0xa0000, else the bus: `open` always, `inSmm` while the processor is in SMM. */
  smram(open: boolean, inSmm: boolean): void;
}

/** How a run ended. `code` belongs to debug-exit. */
export interface RunEnd {
  reason:
    | 'poweroff'
    | 'reset'
    | 'debug-exit'
    | 'triple-fault'
    | 'halted'
    | 'until-serial'
    | 'until-debugcon'
    | 'until-cycle'
    | 'max-cycles'
    | 'interrupted'
    | 'breakpoint'
    | 'divergence';
  code?: number;
}

/** Guest physical memory as devices (DMA) and loaders see it: RAM and ROM only, never MMIO. */
export interface GuestMemory {
  /** Bytes of RAM from address 0 (below the 4 GiB hole). */
  readonly ramSize: number;
  /** Copy out; bytes outside RAM and ROM read as 0xff. */
  read(address: number, length: number): Uint8Array;
  /** Copy in, as a bus master: decoded code and write tracking are kept right; bytes outside RAM are dropped. */
  write(address: number, data: Uint8Array): void;
}

/** The named timing model: what a cycle is worth. */
export interface TimingModel {
  readonly name: string;
  /** Nanoseconds a cycle. */
  readonly nsPerCycle: number;
}
