// Values of command-line options: text in, number or object out, or a sentence that says what was expected.
// Nothing here looks at files; the library does that.

import { InvalidArgumentError } from 'commander';

const KIB = 1024;
const UNITS: Record<string, number> = { '': KIB ** 2, b: 1, k: KIB, m: KIB ** 2, g: KIB ** 3, t: KIB ** 4 };

/**
 * A size in bytes from `256M`, `1G`, `65536K`, `1048576B`; a bare number is MiB, as in QEMU's `-m`.
 * @throws InvalidArgumentError for anything else, for nothing, and for a TiB and more
 */
export function parseSize(text: string): number {
  const match = /^(\d{1,15})([bkmgt]?)$/i.exec(text.trim());
  if (!match) throw new InvalidArgumentError('a size is a whole number with K, M or G behind it, such as 256M');
  const bytes = Number(match[1]) * UNITS[match[2]!.toLowerCase()]!;
  if (bytes === 0) throw new InvalidArgumentError('a machine needs some memory; try 128M');
  if (bytes >= KIB ** 4) throw new InvalidArgumentError('that is more memory than a guest can have; try 256M');
  return bytes;
}

/** A cycle or another count: a whole number from 0 to 2^53 - 1; underscores and a hexadecimal form are fine. */
export function parseCount(text: string): number {
  const digits = text.replaceAll('_', '');
  const value = /^(\d+|0x[0-9a-f]+)$/i.test(digits) ? Number(digits) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError('a whole number from 0 to 2^53 - 1 is needed');
  return value;
}

/** The same, but at least 1: a run of no cycles records nothing. */
export function parsePositive(text: string): number {
  const value = parseCount(text);
  if (value === 0) throw new InvalidArgumentError('it must be at least 1');
  return value;
}

/** Text that must not be empty: every boot prints the empty string, so waiting for it means nothing. */
export function parseText(text: string): string {
  if (text === '') throw new InvalidArgumentError('it must not be empty');
  return text;
}

/** Wall clock at cycle 0: an ISO 8601 date and time in whole seconds, UTC when no zone is given. */
export function parseTime(text: string): string {
  const match = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d(?::\d\d)?)(Z|[+-]\d\d:?\d\d)?)?$/.exec(text);
  const iso = match && `${match[1]}T${match[2] ?? '00:00:00'}${match[3] ?? 'Z'}`;
  const time = iso ? Date.parse(iso) : Number.NaN;
  // Date.parse rolls the 30th of February over to March; a date that does not come back the same is refused.
  const day = Date.parse(`${match?.[1]}T00:00:00Z`);
  if (Number.isNaN(time) || Number.isNaN(day) || new Date(day).toISOString().slice(0, 10) !== match?.[1]) {
    throw new InvalidArgumentError('a date and time in ISO 8601 is needed, such as 2020-01-01T00:00:00Z');
  }
  // The machine's clock counts whole seconds, and its form has no fraction.
  return new Date(time).toISOString().replace('.000', '');
}

/** `FILE[,cmdline]`, repeatable. */
export function collectModule(text: string, before: { path: string; cmdline?: string }[] = []) {
  const comma = text.indexOf(',');
  const path = comma < 0 ? text : text.slice(0, comma);
  if (path === '') throw new InvalidArgumentError('FILE or FILE,cmdline is needed');
  return [...before, comma < 0 ? { path } : { path, cmdline: text.slice(comma + 1) }];
}

interface Drive {
  path: string;
  interface?: 'ide' | 'virtio';
}

/** A disk: `FILE`, or `FILE,if=ide` and `FILE,if=virtio` for the controller; repeatable. */
export function collectDrive(text: string, before: Drive[] = []): Drive[] {
  const match = /^(.*?)(?:,if=([^,]*))?$/s.exec(text)!;
  const [, path, where] = match as unknown as [string, string, string | undefined];
  if (path === '') throw new InvalidArgumentError('FILE, FILE,if=ide or FILE,if=virtio is needed');
  if (where === undefined) return [...before, { path }];
  if (where !== 'ide' && where !== 'virtio') throw new InvalidArgumentError('a disk is on if=ide or if=virtio');
  return [...before, { path, interface: where }];
}

/** File names, repeatable. */
export function collectFiles(text: string, before: string[] = []): string[] {
  return [...before, parseText(text)];
}

/** Texts, repeatable. */
export function collectTexts(text: string, before: string[] = []): string[] {
  return [...before, parseText(text)];
}

/**
 * Addresses from 0 to 2^64 - 1, repeatable: underscores and a hexadecimal form are fine.
 * @returns hexadecimal text, which has room for all 64 bits
 */
export function collectAddresses(text: string, before: string[] = []): string[] {
  const digits = text.replaceAll('_', '');
  const value = /^(\d+|0x[0-9a-f]+)$/i.test(digits) ? BigInt(digits) : -1n;
  if (value < 0n || value >= 1n << 64n)
    throw new InvalidArgumentError('an address of 64 bits such as 0xffffffff81000000 is needed');
  return [...before, `0x${value.toString(16)}`];
}

/** An fw_cfg item of the user's, by QEMU's `-fw_cfg`: `name=opt/x,file=F` or `name=opt/x,string=S`, repeatable. */
export function collectFwCfg(text: string, before: { name: string; file?: string; string?: string }[] = []) {
  const match = /^(?:name=)?([^,]*),(file|string)=(.*)$/s.exec(text);
  if (!match) throw new InvalidArgumentError('name=opt/NAME,file=FILE or name=opt/NAME,string=TEXT is needed');
  const [, name, kind, value] = match as unknown as [string, string, 'file' | 'string', string];
  // The directory has 56 bytes for a name, the last of them zero.
  if (!/^[\x21-\x7e]{1,55}$/.test(name)) {
    throw new InvalidArgumentError('the name must be 1 to 55 printable ASCII characters');
  }
  if (before.some((item) => item.name === name)) throw new InvalidArgumentError(`the item ${name} is given twice`);
  return [...before, kind === 'file' ? { name, file: value } : { name, string: value }];
}

const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t', e: '\x1b', '0': '\0', '\\': '\\' };

/** `TEXT@CYCLE`, repeatable: TEXT arrives at the console from that cycle on. \n, \r, \t, \e, \0, \\ and \xHH work. */
export function collectTyping(text: string, before: { text: string; cycle: number }[] = []) {
  const at = text.lastIndexOf('@');
  if (at < 1) throw new InvalidArgumentError("'TEXT@CYCLE' is needed, such as 'root\\n@90000000'");
  const typed = text
    .slice(0, at)
    .replace(/\\(?:x([0-9a-f]{2})|(.))/gis, (whole, code, letter) =>
      code ? String.fromCharCode(Number.parseInt(code, 16)) : (ESCAPES[letter] ?? whole),
    );
  return [...before, { text: typed, cycle: parseCount(text.slice(at + 1)) }];
}

/** `FILE.png@CYCLE` or `FILE.png`, repeatable: a picture of the screen then, or at the end. */
export function collectScreenshots(text: string, before: { file: string; cycle?: number }[] = []) {
  const [, file, cycle] = /^(.*?)(?:@([0-9_]+|0x[0-9a-f]+))?$/is.exec(text) as unknown as [string, string, string?];
  if (file === '') throw new InvalidArgumentError("'FILE.png@CYCLE' is needed, or a file name alone for the end");
  return [...before, cycle === undefined ? { file } : { file, cycle: parseCount(cycle) }];
}

/** Names separated by commas, repeatable. */
export function collectNames(text: string, before: string[] = []): string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.includes('')) throw new InvalidArgumentError('one name, or several separated by commas, is needed');
  return [...before, ...names];
}

/** A machine with its properties, in QEMU's words. */
interface MachineChoice {
  machine: 'pc' | 'microvm';
  acpi?: boolean;
  legacyVirtio?: boolean;
}

/** `pc`, or `microvm` with `,acpi=on|off` and `,force-legacy=on|off`. */
export function parseMachine(text: string): MachineChoice {
  const [machine, ...properties] = text.split(',');
  if (machine !== 'pc' && machine !== 'microvm') throw new InvalidArgumentError('Allowed choices are pc, microvm.');
  const choice: MachineChoice = { machine };
  for (const property of properties) {
    const match = /^(acpi|force-legacy)=(on|off)$/.exec(property);
    if (!match || machine === 'pc')
      throw new InvalidArgumentError(`a microvm takes acpi=on|off and force-legacy=on|off, a pc takes nothing`);
    choice[match[1] === 'acpi' ? 'acpi' : 'legacyVirtio'] = match[2] === 'on';
  }
  return choice;
}

const DEVICES = ['virtio-rng', 'virtio-console'] as const;

/** Devices of a microvm, repeatable. */
export function collectDevices(text: string, before: (typeof DEVICES)[number][] = []): (typeof DEVICES)[number][] {
  const device = DEVICES.find((name) => name === text);
  if (device === undefined) throw new InvalidArgumentError(`there is ${DEVICES.join(', ')}`);
  return [...before, device];
}
