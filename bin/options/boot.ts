// The options that choose and end a boot, shared by `record` and `run`: declaration for commander, and the step from
// parsed values to the library's RecordOptions. Names follow QEMU where QEMU has one.

import { type Command, InvalidArgumentError, Option } from 'commander';
import type { RecordOptions } from '../../src/index.js';
import {
  collectAddresses,
  collectDevices,
  collectDrive,
  collectFiles,
  collectFwCfg,
  collectModule,
  collectScreenshots,
  collectTyping,
  parseCount,
  parseMachine,
  parsePositive,
  parseSize,
  parseText,
  parseTime,
} from './values.js';

const ROUTES = ['pvh', 'linux64', 'linux32', 'linux16', 'multiboot', 'multiboot2', 'firmware'];

/** What commander makes of the boot options. */
type BootValues = Omit<
  RecordOptions,
  | 'machine'
  | 'modules'
  | 'devices'
  | 'optionRoms'
  | 'screenshots'
  | 'drives'
  | 'noReboot'
  | 'output'
  | 'onConsole'
  | 'onProgress'
  | 'signal'
> & {
  machine: Pick<RecordOptions, 'machine' | 'acpi' | 'legacyVirtio'>;
  module?: RecordOptions['modules'];
  device?: RecordOptions['devices'];
  optionRom?: RecordOptions['optionRoms'];
  drive?: RecordOptions['drives'];
  screenshot?: RecordOptions['screenshots'];
  /** Commander's reading of `--no-reboot`: true unless it is given. */
  reboot: boolean;
};

/** Declare the boot options on a verb. */
export function addBootOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--machine <name>', 'pc, or microvm[,acpi=off][,force-legacy=off]')
        .argParser(parseMachine)
        .default({ machine: 'pc' }, 'pc'),
    )
    .addOption(
      new Option('--memory <size>', 'guest RAM: 256M, 1G; a bare number is MiB')
        .argParser(parseSize)
        .default(128 * 1024 ** 2, '128M'),
    )
    .option('--cpu <name>', 'CPU model (default: the baseline model)', parseText)
    .addOption(
      new Option(
        '--boot <route>',
        'how the guest is loaded (default: firmware with --bios or without --kernel, else what the file offers)',
      ).choices(ROUTES),
    )
    .option('--bios <file>', "the firmware (default: QEMU's bios-256k.bin)", parseText)
    .option('--option-rom <file>', 'an option ROM for the firmware to run; repeatable', collectFiles)
    .addOption(
      new Option('--vga <device>', 'the screen (default: std in a boot through firmware, else none)').choices([
        'std',
        'none',
      ]),
    )
    .option('--kernel <file>', 'ELF or bzImage; a name without a slash is also looked up in the cache', parseText)
    .option('--initrd <file>', 'initial RAM disk', parseText)
    .option('--module <file[,cmdline]>', 'a module for the guest; repeatable', collectModule)
    .option('--append <text>', 'kernel command line')
    .option('--fw-cfg <item>', 'name=opt/x,file=F or name=opt/x,string=S; repeatable', collectFwCfg)
    .option('--boot-menu', 'the firmware offers its boot menu')
    .option('--no-fw-cfg-dma', 'fw_cfg has no DMA interface')
    .option('--drive <file[,if=ide|virtio]>', 'a disk, raw; writes end with the run; repeatable', collectDrive)
    .option('--cdrom <file>', 'a CD', parseText)
    .option('--device <name>', 'virtio-rng or virtio-console, for a microvm; repeatable', collectDevices)
    .option('--serial-in <file>', 'input for the serial console, part of the trace', parseText)
    .option('--type <text@cycle>', 'text that is typed from a cycle on, part of the trace; repeatable', collectTyping)
    .addOption(
      new Option(
        '--type-to <device>',
        'where it is typed (default: keyboard where there is a screen, else serial)',
      ).choices(['keyboard', 'serial']),
    )
    .addOption(
      new Option('--rtc <time>', 'wall clock at cycle 0, ISO 8601')
        .argParser(parseTime)
        .default('2020-01-01T00:00:00Z'),
    )
    .addOption(new Option('--seed <n>', 'entropy').argParser(parseCount).default(0))
    .option('--until-serial <text>', 'end with success when this has been printed', parseText)
    .option('--until-debugcon <text>', 'the same for the debug console at port 0x402', parseText)
    .option('--until-cycle <n>', 'end with success at this cycle', parsePositive)
    .option('--max-cycles <n>', 'end with failure at this cycle', parsePositive)
    .option('--screenshot <file@cycle>', 'write the screen as a PNG file; repeatable', collectScreenshots)
    .option('--no-reboot', 'a reset of the machine ends the run')
    .option('--success-code <n>', 'the debug-exit code that means success', parseExitCode)
    .option('--handoff-at <address>', 'a kernel is entered at this linear address, too; repeatable', collectAddresses)
    .addOption(
      new Option('--engine <tier>', 'execution tier; never changes a trace')
        .choices(['auto', 'interp', 'jit'])
        .default('auto'),
    );
}

/** The library's options for what was given on the command line. */
export function bootOptions(values: BootValues): RecordOptions {
  const { machine, module, device, optionRom, screenshot, drive, reboot, ...same } = values;
  const known: RecordOptions = { ...same, ...machine, noReboot: !reboot };
  if (device) known.devices = device;
  if (module) known.modules = module;
  if (screenshot) known.screenshots = screenshot;
  if (optionRom) known.optionRoms = optionRom;
  if (drive) known.drives = drive;
  return known;
}

function parseExitCode(text: string): number {
  const code = parseCount(text);
  if (code > 0xffff_ffff) throw new InvalidArgumentError('it must fit in 32 bits');
  return code;
}
