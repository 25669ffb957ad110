// Options are numbers and texts that anybody may give: what the machine cannot be made of is refused by name, before a
// file is read. The command line checks the form of what is typed; this is for both, and for programs.

import { parseIsoTime } from '../platform/calendar.js';
import type { BootOptions } from './options.js';
import { UserError } from './user-error.js';

/** Hexadecimal text of up to 64 bits. */
export const HEXADECIMAL = /^0x[0-9A-Fa-f]{1,16}$/;

/** @throws UserError */
export function checkOptions(options: BootOptions): void {
  const counts = { seed: options.seed, 'until-cycle': options.untilCycle, 'max-cycles': options.maxCycles };
  for (const [name, value] of Object.entries(counts)) checkCount(`--${name}`, value);
  for (const { cycle } of options.type ?? []) checkCount('--type', cycle);
  for (const address of options.handoffAt ?? []) checkAddress('--handoff-at', address);
  if (options.machine !== 'microvm') {
    const devices = (options.devices ?? []).length > 0;
    if (devices) throw new UserError('--device is for --machine microvm; leave it out, or choose that machine');
    if (options.acpi === false || options.legacyVirtio === false)
      throw new UserError('acpi=off and force-legacy=off are for --machine microvm; leave them out');
  }
  if (options.rtc === undefined) return;
  try {
    parseIsoTime(options.rtc);
  } catch {
    throw new UserError(`--rtc ${options.rtc}: that is no time in ISO 8601; give one such as 2020-01-01T00:00:00Z`);
  }
}

/** A number, or hexadecimal text of up to 64 bits. */
function checkAddress(option: string, value: number | string): void {
  if (typeof value === 'number') checkCount(option, value);
  else if (!HEXADECIMAL.test(value))
    throw new UserError(`${option} ${value}: an address of 64 bits such as 0xffffffff81000000 is needed`);
}

function checkCount(option: string, value: number | undefined): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= 0)) return;
  throw new UserError(`${option} ${value}: a whole number from 0 to 2^53 - 1 is needed`);
}
