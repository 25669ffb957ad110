// What a boot is asked for, in the words of the command line, and what a run tells. Plain data: everything here can be
// written down and handed over. Defaults that the guest can see (RTC, seed, memory, CPU model) go into the header.
// `exitCodeOf` is the only place where the end of a run becomes an exit status.

import type { RunEnd } from '../cpu/bus.js';
import type { Divergence } from '../replay/divergence.js';

export type Route = 'pvh' | 'linux64' | 'linux32' | 'linux16' | 'multiboot' | 'multiboot2' | 'firmware';

/** A boot. File names without a slash are also looked up in the cache that `fetch` fills. */
export interface BootOptions {
  machine?: 'pc' | 'microvm';
  /** A microvm has ACPI, 24 virtio slots and a second I/O APIC. Default true. */
  acpi?: boolean;
  /** A microvm's virtio slots have the interface from before Virtio 1, as QEMU's. Default true. */
  legacyVirtio?: boolean;
  /** Further devices of a microvm, in the order of their slots. */
  devices?: readonly ('virtio-rng' | 'virtio-console')[];
  /** Guest RAM in bytes. Default 128 MiB. */
  memory?: number;
  /** CPU model; the baseline model when absent. */
  cpu?: string;
  /** How the guest is loaded. Default: by firmware with `bios` or without `kernel`, else what the file offers first. */
  boot?: Route;
  /** BIOS image; QEMU's for the machine when absent and the boot goes through firmware. */
  bios?: string;
  /** Option ROMs for the firmware to run. */
  optionRoms?: readonly string[];
  /** Firmware offers its boot menu, as with QEMU's `-boot menu=on`. Default false. */
  bootMenu?: boolean;
  /** fw_cfg has its DMA interface. Default true. */
  fwCfgDma?: boolean;
  /** The screen: QEMU's standard VGA, or none. Default: `std` in a boot through firmware, else `none`. */
  vga?: 'std' | 'none';
  kernel?: string;
  initrd?: string;
  modules?: readonly { path: string; cmdline?: string }[];
  /** Kernel command line. */
  append?: string;
  fwCfg?: readonly { name: string; file?: string; string?: string }[];
  /** Disks: raw images. On IDE by default, in order of their places; the guest's writes end with the run. */
  drives?: readonly { path: string; interface?: 'ide' | 'virtio' }[];
  /** A CD, on the secondary IDE channel. */
  cdrom?: string;
  /** File whose bytes arrive at the serial console from cycle 0 on. */
  serialIn?: string;
  /** Text that is typed from a cycle on. */
  type?: readonly { text: string; cycle: number }[];
  /** Where: on the keyboard, by default where there is a screen, or at the other end of the serial line. */
  typeTo?: 'keyboard' | 'serial';
  /** Wall clock at cycle 0, ISO 8601. Default 2020-01-01T00:00:00Z. */
  rtc?: string;
  /** Entropy. Default 0. */
  seed?: number;
  untilSerial?: string;
  /** The same for the debug console, where firmware writes its log. */
  untilDebugcon?: string;
  untilCycle?: number;
  maxCycles?: number;
  /** A reset of the machine ends the run (a machine without firmware ends there in any case). */
  noReboot?: boolean;
  /** The debug-exit code that means success; none when absent. */
  successCode?: number;
  /**
   * Linear addresses at which a kernel is entered, beside those that follow from the images: numbers below 2^53, or
   * hexadecimal text of up to 64 bits (`0xffffffff81000000`).
   */
  handoffAt?: readonly (number | string)[];
  /** Execution tier; never changes a trace. */
  engine?: 'auto' | 'interp' | 'jit';
  /** Bytes that the guest writes to its first serial port. */
  onConsole?: (data: Uint8Array) => void;
  /** Bytes that the guest writes to the debug console at port 0x402. */
  onDebugcon?: (data: Uint8Array) => void;
  /** Pictures of the screen to write; the machine must have one. */
  screenshots?: readonly Screenshot[];
  /** Something that is wrong with an image or an option and does not keep the guest from running: one sentence. */
  onWarning?: (text: string) => void;
  onProgress?: (cycle: number) => void;
  /** Ends the run as if interrupted, once it is aborted; an AbortSignal as a rule. */
  signal?: StopSignal;
}

/** A picture of the screen, as a PNG file. */
export interface Screenshot {
  file: string;
  /** The first instruction boundary at or after this cycle. Default: the end of the run. */
  cycle?: number;
}

/** What of an AbortSignal is looked at: named here, so that the types need neither the DOM's nor Node's. */
export interface StopSignal {
  readonly aborted: boolean;
}

export interface RecordOptions extends BootOptions {
  /** The trace to write. */
  output?: string;
  /**
   * Cycles from one checkpoint to the next, so that parts of the trace can be replayed at the same time. They stand at
   * state hashes, every 2^27 cycles, and take a few MB each. Default: none.
   */
  checkpointEvery?: number | undefined;
  /**
   * Leave out of the trace what lies in the boot's images, but for disks: it is much shorter, has the same root, and needs
   * the images wherever it is read. Default: false.
   */
  unsealed?: boolean | undefined;
}

export interface RunOptions extends BootOptions {
  /**
   * Hash the machine's final state. A hash that is equal to a recording's takes noting what the guest sees of its initial
   * memory, so a run without it is quicker; the guest is the same. Default: true.
   */
  hashState?: boolean | undefined;
}

/** How a run went. */
export interface RunResult {
  end: RunEnd;
  cycles: number;
  instructions: number;
  /** Events recorded, 0 for a run without a trace. */
  events: number;
  /** Size of the trace. */
  bytes: number;
  /** Hash of the trace's content, '' without a trace. */
  root: string;
  /** Hash of the final machine state; '' where `hashState` is false. */
  state: string;
  /** Exit status by the command-line contract. */
  exitCode: number;
}

export interface ReplayOptions {
  /**
   * Threads that replay parts of the trace between its checkpoints, at most: there are fewer where that is quicker.
   * Default: 1. What comes of it is the same; live replays and those with pictures go on one thread.
   */
  jobs?: number | undefined;
  /** Devices run too, and every answer of theirs is compared. */
  live?: boolean;
  /** Pictures of the screen to write. */
  screenshots?: readonly Screenshot[];
  onWarning?: (text: string) => void;
  onConsole?: (data: Uint8Array) => void;
  onProgress?: (cycle: number) => void;
  signal?: StopSignal;
}

export interface ReplayResult extends RunResult {
  divergence?: Divergence;
}

/** Exit status of an end, by the command-line contract. */
export function exitCodeOf(end: RunEnd, successCode?: number): number {
  switch (end.reason) {
    case 'poweroff':
    case 'reset':
    case 'until-serial':
    case 'until-debugcon':
    case 'until-cycle':
      return 0;
    case 'debug-exit':
      return end.code === successCode ? 0 : 3;
    case 'interrupted':
      return 130;
    case 'divergence':
      return 1;
    default:
      return 3;
  }
}
