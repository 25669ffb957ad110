// What a configuration must look like. The one description: values are checked with it, the JSON schema that the
// package publishes is made from it (schemas/, `npm run gate:schema`), and the compiler proves that it describes the
// types of config.ts, no more and no less.

import * as z from 'zod';
import { HEXADECIMAL } from '../api/check-options.js';
import type { GateConfig } from './config.js';

export const ROUTES = ['pvh', 'linux64', 'linux32', 'linux16', 'multiboot', 'multiboot2', 'firmware'] as const;

const UNITS: Record<string, number> = { '': 2 ** 20, B: 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };
const SIZE = /^(\d{1,15})([BKMGbkmg]?)$/;

/** Bytes of a size that the schema accepts. */
export function sizeInBytes(size: number | string): number {
  if (typeof size === 'number') return size;
  const [, digits, unit] = SIZE.exec(size)!;
  return Number(digits) * UNITS[unit!.toUpperCase()]!;
}

const words = { error: 'text is needed' };
const text = z.string(words).min(1, 'the text must not be empty');
const texts = z.array(text, { error: 'a list of texts is needed' });
const flag = z.boolean({ error: 'true or false is needed' });
const WHOLE = 'a whole number from 0 to 2^53 - 1 is needed';
const count = z.int({ error: WHOLE }).min(0, WHOLE);
const positive = z.int({ error: WHOLE }).min(1, 'it must be at least 1');
const choice = <const T extends readonly string[]>(names: T) => z.enum(names, { error: `one of ${names.join(', ')}` });
/** An object without other keys than these. */
const fields = <T extends z.ZodRawShape>(shape: T) =>
  z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? undefined : 'an object, { … }, is needed'),
  });

const AN_ADDRESS = 'a number below 2^53, or text such as "0xffffffff81000000", is needed';
const address = z.union([count, z.string().regex(HEXADECIMAL, AN_ADDRESS)], { error: AN_ADDRESS });

const A_SIZE = 'a size such as "256M", or a number of bytes, is needed';
const size = z.union([positive, z.string().regex(SIZE, A_SIZE)], { error: A_SIZE });
const build = z.union([text, fields({ command: text, cwd: text.optional() })], {
  error: 'a command such as "make", or { command, cwd }',
});
const patterns = z.array(text.refine(isPattern, { error: 'this is no regular expression' }), {
  error: 'a list of regular expressions is needed',
});

function isPattern(source: string): boolean {
  try {
    new RegExp(source);
    return true;
  } catch {
    return false;
  }
}

/** `true`, or an object that says more: the error is the object's, so that it leads to the key. */
const orObject = <T extends z.ZodRawShape>(shape: T) => z.union([flag, fields(shape)]);

const selection = { only: texts.optional(), ignore: texts.optional() };

const hold = fields({
  events: orObject(selection).optional(),
  handoff: orObject({ ignore: texts.optional() }).optional(),
  serial: orObject({ ignore: patterns.optional() }).optional(),
  budgets: fields({
    cycles: z.record(z.string(), count, { error: 'an object of milestones and cycles is needed' }).optional(),
    instructions: count.optional(),
    events: count.optional(),
    portAccesses: count.optional(),
    dmaBytes: count.optional(),
    traceBytes: count.optional(),
  }).optional(),
});

const NAME = 'a name is 1 to 80 letters, digits, dots, dashes and underscores, and begins with a letter or digit';

const boot = fields({
  name: z.string({ error: NAME }).regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$/, NAME),
  routes: z.array(choice(ROUTES), { error: 'a list of routes is needed' }).min(1, 'there must be one route').optional(),
  build: build.optional(),
  hold: hold.optional(),
  end: text.optional(),
  symbols: texts.optional(),
  machine: choice(['pc', 'microvm']).optional(),
  acpi: flag.optional(),
  legacyVirtio: flag.optional(),
  devices: z.array(choice(['virtio-rng', 'virtio-console'])).optional(),
  memory: size.optional(),
  cpu: text.optional(),
  boot: choice(ROUTES).optional(),
  bios: text.optional(),
  optionRoms: texts.optional(),
  bootMenu: flag.optional(),
  fwCfgDma: flag.optional(),
  vga: choice(['std', 'none']).optional(),
  kernel: text.optional(),
  initrd: text.optional(),
  modules: z.array(fields({ path: text, cmdline: z.string(words).optional() })).optional(),
  append: z.string(words).optional(),
  fwCfg: z
    .array(
      fields({
        name: z
          .string(words)
          .regex(/^[\x21-\x7e]{1,55}$/, 'the name must be 1 to 55 printable ASCII characters, such as opt/NAME'),
        file: text.optional(),
        string: z.string(words).optional(),
      }),
    )
    .optional(),
  drives: z.array(fields({ path: text, interface: choice(['ide', 'virtio']).optional() })).optional(),
  cdrom: text.optional(),
  serialIn: text.optional(),
  type: z.array(fields({ text, cycle: count })).optional(),
  typeTo: choice(['keyboard', 'serial']).optional(),
  rtc: text.optional(),
  seed: count.optional(),
  untilSerial: text.optional(),
  untilDebugcon: text.optional(),
  untilCycle: positive.optional(),
  maxCycles: positive.optional(),
  noReboot: flag.optional(),
  successCode: count.optional(),
  handoffAt: z.array(address).optional(),
  engine: choice(['auto', 'interp', 'jit']).optional(),
});

export const configSchema = fields({
  $schema: z.string(words).optional(),
  baselines: text.optional(),
  store: text.optional(),
  artifacts: text.optional(),
  jobs: positive.optional(),
  build: build.optional(),
  hold: hold.optional(),
  boots: z.array(boot, { error: 'a list of boots is needed' }).min(1, 'there must be at least one boot'),
});

/** Every key that a configuration may have, for saying which one was meant. */
export const KEYS: readonly string[] = [
  ...[configSchema, boot, hold, hold.shape.budgets.unwrap()].flatMap((part) => Object.keys(part.shape)),
  ...Object.keys(selection),
];

/** The JSON schema (2020-12) of a configuration. */
export function jsonSchema(): Record<string, unknown> {
  const { $schema, ...schema } = z.toJSONSchema(configSchema, { io: 'input', target: 'draft-2020-12' });
  return { $schema, title: 'vmreplay.config.json', description: 'Boots and what they are held to', ...schema };
}

type Mutable<T> = T extends object ? { -readonly [K in keyof T]: Mutable<T[K]> } : T;
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : never;
type Flat<T> = T extends object ? { [K in keyof T]: Flat<T[K]> } : T;
/** Does not compile when types and schema part. */
export const TYPES_AGREE: Same<Flat<Mutable<GateConfig>>, Flat<z.input<typeof configSchema>>> = true;
