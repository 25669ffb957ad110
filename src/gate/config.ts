// The gate's configuration as people write it: types only, with `defineConfig` to have them checked while typing. What
// a value must look like is in config-schema.ts, which is held against these types when it is compiled, and from which
// the published JSON schema is made.

import type { Route } from '../api/options.js';

/** A size in bytes, or text as the command line takes it: `256M`, `1G`, `65536K`; without a unit MiB. */
export type Size = number | string;

/** A command that is run by the shell before the boots. */
export type Build = string | BuildCommand;

export interface BuildCommand {
  /** What the shell runs. */
  readonly command: string;
  /** Where; relative to the configuration. Default: its folder. */
  readonly cwd?: string | undefined;
}

/**
 * Names of events: a kind (`port-read`), a device (`uart0`, `fw_cfg`, `pci`), an fw_cfg item (`etc/e820`), a phase of the
 * boot (`post`, `option-rom`, `loader`, `decompression`, `kernel`, `user`). In `ignore` also `timing`: when things happen.
 */
export interface EventSelection {
  /** Only these; all when absent. */
  readonly only?: readonly string[] | undefined;
  /** Not these. */
  readonly ignore?: readonly string[] | undefined;
}

export interface HandoffHold {
  /** Fields of the record that may differ: `registers.rsp`, or `registers` for all of a group. */
  readonly ignore?: readonly string[] | undefined;
}

export interface SerialHold {
  /** Regular expressions. Lines in which one matches are left out on both sides. */
  readonly ignore?: readonly string[] | undefined;
}

/** Most that a boot may take. Counts are exact: the same boot has the same ones on every host. */
export interface Budgets {
  /** Cycles up to a milestone (`protected-mode`, `long-mode`, `user-mode` …), to the first `handoff`, or to the `end`. */
  readonly cycles?: Readonly<Record<string, number>> | undefined;
  readonly instructions?: number | undefined;
  /** Events in the trace. */
  readonly events?: number | undefined;
  /** IN, OUT and each element of their string forms. */
  readonly portAccesses?: number | undefined;
  /** Bytes that devices read from and wrote to memory. */
  readonly dmaBytes?: number | undefined;
  /** Size of the trace file. */
  readonly traceBytes?: number | undefined;
}

/** What a boot is held to. What is absent is not looked at, except how the boot ends. */
export interface Hold {
  /** The event stream: all of it, with memory and machine state (`true`), or chosen events of it. */
  readonly events?: boolean | EventSelection | undefined;
  /** What loaders leave to kernels. */
  readonly handoff?: boolean | HandoffHold | undefined;
  /** What the guest prints on its first serial port. */
  readonly serial?: boolean | SerialHold | undefined;
  readonly budgets?: Budgets | undefined;
}

/** A boot, or one boot for each of its `routes`. Options are those of the command line; files relative to the configuration. */
export interface GateBoot {
  /** Letters, digits, dot, dash and underscore. With `routes` the boots are `name/route`. */
  readonly name: string;
  /** One boot for each. */
  readonly routes?: readonly Route[] | undefined;
  /** Run first, once for all boots that name the same command. */
  readonly build?: Build | undefined;
  /** Default: the configuration's, else the whole event stream. */
  readonly hold?: Hold | undefined;
  /** How the boot must end, such as `poweroff`, `max-cycles`, `triple-fault`. Default: with success. */
  readonly end?: string | undefined;
  /** Files with symbols of the guest's programs, ELF or System.map, that name the place of a failure. */
  readonly symbols?: readonly string[] | undefined;

  readonly machine?: 'pc' | 'microvm' | undefined;
  readonly acpi?: boolean | undefined;
  readonly legacyVirtio?: boolean | undefined;
  readonly devices?: readonly ('virtio-rng' | 'virtio-console')[] | undefined;
  /** Guest RAM. Default 128 MiB. */
  readonly memory?: Size | undefined;
  readonly cpu?: string | undefined;
  readonly boot?: Route | undefined;
  readonly bios?: string | undefined;
  readonly optionRoms?: readonly string[] | undefined;
  readonly bootMenu?: boolean | undefined;
  readonly fwCfgDma?: boolean | undefined;
  readonly vga?: 'std' | 'none' | undefined;
  readonly kernel?: string | undefined;
  readonly initrd?: string | undefined;
  readonly modules?: readonly { readonly path: string; readonly cmdline?: string | undefined }[] | undefined;
  readonly append?: string | undefined;
  readonly fwCfg?:
    | readonly { readonly name: string; readonly file?: string | undefined; readonly string?: string | undefined }[]
    | undefined;
  readonly drives?: readonly { readonly path: string; readonly interface?: 'ide' | 'virtio' | undefined }[] | undefined;
  readonly cdrom?: string | undefined;
  readonly serialIn?: string | undefined;
  readonly type?: readonly { readonly text: string; readonly cycle: number }[] | undefined;
  readonly typeTo?: 'keyboard' | 'serial' | undefined;
  readonly rtc?: string | undefined;
  readonly seed?: number | undefined;
  readonly untilSerial?: string | undefined;
  readonly untilDebugcon?: string | undefined;
  readonly untilCycle?: number | undefined;
  /** The boot is given up at this cycle. Default 20,000,000,000, so that none hangs a CI job. */
  readonly maxCycles?: number | undefined;
  readonly noReboot?: boolean | undefined;
  readonly successCode?: number | undefined;
  /** Numbers below 2^53, or hexadecimal text of up to 64 bits (`0xffffffff81000000`). */
  readonly handoffAt?: readonly (number | string)[] | undefined;
  readonly engine?: 'auto' | 'interp' | 'jit' | undefined;
}

export interface GateConfig {
  /** Where editors find the JSON schema. */
  readonly $schema?: string | undefined;
  /** Folder of the baselines. Default `boot-baselines`. */
  readonly baselines?: string | undefined;
  /** Folder for the baselines' traces, by hash; several projects may share one. Default: `traces` in the baselines. */
  readonly store?: string | undefined;
  /** Where traces of boots that fail are left. Default `.vmreplay-gate`. */
  readonly artifacts?: string | undefined;
  /** Boots at once. Default: one for each processor. */
  readonly jobs?: number | undefined;
  /** For all boots. */
  readonly build?: Build | undefined;
  /** For boots that say nothing of their own. */
  readonly hold?: Hold | undefined;
  readonly boots: readonly GateBoot[];
}

/** The configuration as it is, with its type checked. */
export const defineConfig = (config: GateConfig): GateConfig => config;
