// Thirty and more regressions: each changes one thing of a boot, and the comparison of the two recordings must find it
// and name its true cause on the first screen. The table is the list; the outcomes are the test.
// Sources of the corpus are changed and assembled here; what needs nasm, or firmware from the cache, is skipped by name
// where that is missing.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import test from 'ava';
import { corpusGuests } from '../../bin/corpus.js';
import { corpusRecordOptions } from '../../bin/corpus-check.js';
import { packageFile } from '../../bin/package.js';
import type { Guest } from '../../src/api/guest.js';
import type { BootOptions } from '../../src/api/options.js';
import { cachedImage } from '../../src/fetch/cache.js';
import { type Explanation, explainDivergence, formatExplanation } from '../../src/index.js';
import { testRom } from '../boot/test-rom.js';
import {
  acpiTable,
  assembleCorpus,
  assembleText,
  type Edits,
  haveNasm,
  peek,
  poke,
  recordChanged,
} from './changed-boot.js';
import { program, readClock, readItem, readProcessor, readSector, readSmbios } from './reading-guests.js';

const SCREEN = 30;
// Fields may be added to what is published; here each of them must be in the schema.
const isExplanation = new Ajv2020({ allowUnionTypes: true }).compile(
  JSON.parse(readFileSync(packageFile('schemas/diff-1.json'), 'utf8'), (_, value) =>
    value?.type === 'object' && value.properties ? { ...value, additionalProperties: false } : value,
  ),
);
const nasm = await haveNasm();
const guests = new Map((await corpusGuests()).map((guest) => [guest.name, guest]));
const directory = mkdtempSync(join(tmpdir(), 'vmreplay-regressions-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

/** One boot: options, what is changed of the machine, and where its symbols are. */
interface Boot {
  options: BootOptions;
  change?: (guest: Guest) => void;
  symbols?: string;
}

interface Regression {
  name: string;
  needs: 'nothing' | 'nasm' | 'firmware';
  boots: () => Promise<readonly [Boot, Boot]>;
  /** What the first screen must say, each of them. */
  expected: readonly RegExp[];
}

const corpus = (name: string): BootOptions => corpusRecordOptions(guests.get(name)!);

/** Another option. */
const option = (name: string, base: string, other: BootOptions, ...expected: RegExp[]): Regression => ({
  name,
  needs: 'nothing',
  boots: async () => [{ options: corpus(base) }, { options: { ...corpus(base), ...other } }],
  expected,
});

/** Another machine. */
const machine = (name: string, base: string, change: (guest: Guest) => void, ...expected: RegExp[]): Regression => ({
  name,
  needs: 'nothing',
  boots: async () => [{ options: corpus(base) }, { options: corpus(base), change }],
  expected,
});

/** Another program: both are assembled, so that both have symbols. */
const source = (name: string, base: string, edits: Edits, expected: readonly RegExp[], file?: string): Regression => ({
  name,
  needs: 'nasm',
  boots: async () => {
    const place = join(directory, name.replace(/\W+/g, '-'));
    const was = await assembleCorpus(base, `${place}-a`, []);
    const is = await assembleCorpus(base, `${place}-b`, edits, file);
    return [
      { options: { ...corpus(base), kernel: was.image }, symbols: was.symbols },
      { options: { ...corpus(base), kernel: is.image } },
    ];
  },
  expected,
});

/** A guest of the test's own, on machines that differ. */
const guest = (
  name: string,
  text: string,
  a: Partial<BootOptions>,
  b: Partial<BootOptions>,
  change: Boot['change'],
  ...expected: RegExp[]
): Regression => ({
  name,
  needs: 'nasm',
  boots: async () => {
    const id = name.replace(/\W+/g, '-');
    const { image, symbols } = await assembleText(id, join(directory, id), program(id, text));
    const options: BootOptions = { boot: 'pvh', kernel: image, memory: 64 << 20 };
    return [
      { options: { ...options, ...a }, symbols },
      { options: { ...options, ...b }, ...(change && { change }) },
    ];
  },
  expected,
});

/** SeaBIOS, as far as it looks for something to boot. */
const firmware = (name: string, a: Boot, b: Boot, ...expected: RegExp[]): Regression => {
  const base: BootOptions = { boot: 'firmware', memory: 64 << 20, vga: 'none', untilDebugcon: 'No bootable device.' };
  const boot = ({ options, ...rest }: Boot): Boot => ({ ...rest, options: { ...base, ...options } });
  return { name, needs: 'firmware', boots: async () => [boot(a), boot(b)], expected };
};

const file = (name: string, bytes: Uint8Array | string): string => {
  const path = join(directory, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
  return path;
};

const flipped = (path: string, offset: (bytes: Buffer) => number, bit = 1): Buffer => {
  const bytes = readFileSync(path);
  bytes[offset(bytes)]! ^= bit;
  return bytes;
};

const disk = (text: string): Buffer => {
  const bytes = Buffer.alloc(64 * 512);
  bytes.write(text, 512 * 3);
  return bytes;
};

const rom = (code: string): Uint8Array => testRom((bytes) => bytes.set(Buffer.from(code, 'hex'), 0x42));
const startInfo = ({ cpu }: Guest): number => Number(cpu.state.reg(3));
const long = (guest: Guest, address: number): number =>
  peek(guest, address) |
  (peek(guest, address + 1) << 8) |
  (peek(guest, address + 2) << 16) |
  (peek(guest, address + 3) << 24);
const multibootModules = guests.get('multiboot')!;

const REGRESSIONS: readonly Regression[] = [
  // What is given on the command line.
  option(
    'another command line',
    'pvh-start-info',
    { append: 'console=ttyS1' },
    /Cause: command line is .*ttyS0.* in A, console=ttyS1 in B/,
    /phase kernel/,
  ),
  option('a MiB of memory more', 'e820', { memory: 65 << 20 }, /Cause: memory is 64 MiB in A, 65 MiB in B/),
  option('other serial input', 'uart-echo', { serialIn: file('input.txt', 'other words\n') }, /Cause: .*serial input/),
  option('another processor', 'long-mode', { cpu: 'x86-64-v2' }, /Cause: cpu is qemu64-v1 in A, x86-64-v2 in B/),
  option('another seed', 'pvh-start-info', { seed: 7 }, /Cause: option seed is 0 in A, 7 in B/),
  option(
    'a module less',
    'multiboot',
    { modules: corpus('multiboot').modules!.slice(0, 1) },
    /Cause: .*(module|nr_modules|mods_count)/,
  ),
  option(
    'modules in another order',
    'multiboot',
    { modules: corpus('multiboot').modules!.toReversed() },
    /Cause: .*modules/,
  ),
  option(
    'another byte of a module',
    'multiboot',
    {
      modules: corpus('multiboot').modules!.map((m, i) =>
        i === 0
          ? {
              ...m,
              path: file(
                'module.txt',
                flipped(join(multibootModules.directory, 'module.txt'), () => 5),
              ),
            }
          : m,
      ),
    },
    /Cause: .*image module at offset 5/,
  ),
  option(
    'another text in an fw_cfg item',
    'fwcfg-dma',
    { fwCfg: [{ name: 'opt/vmreplay/greeting', string: 'hello-w0rld.1234' }] },
    /Cause: .*fwCfg/,
    /opt\/vmreplay\/greeting/,
  ),
  option(
    'an fw_cfg item that is missing',
    'fwcfg-dma',
    { fwCfg: [] },
    /Cause: .*fwCfg/,
    /opt\/vmreplay\/greeting|file directory/,
  ),
  option(
    'a flipped bit in a kernel',
    'irq-pit',
    {
      kernel: file(
        'flipped.elf',
        flipped(guests.get('irq-pit')!.image, (bytes) => bytes.indexOf('ticks ')),
      ),
    },
    /Cause: image kernel/,
    /reads other memory|offset/,
  ),
  // What the machine's builder gives.
  machine(
    'a changed e820 entry',
    'e820',
    ({ pc }) => pc.fwCfg.setFile('etc/e820', changedE820(pc.fwCfg)),
    /Cause: fw_cfg item etc\/e820.*e820 entry 1 length/,
  ),
  machine(
    'a machine item that is missing',
    'e820',
    ({ pc }) => dropFile(pc.fwCfg, 'etc/boot-fail-wait'),
    /Cause: fw_cfg item file directory/,
  ),
  machine(
    'another size of RAM in fw_cfg',
    'fwcfg-ports',
    ({ pc }) => pc.fwCfg.addInt64(3, 0x300_0000n),
    /Cause: fw_cfg item ram size/,
  ),
  machine(
    'a wrong checksum in the FADT',
    'acpi-poweroff',
    (g) => poke(g, acpiTable(g, 'FACP') + 9, peek(g, acpiTable(g, 'FACP') + 9) ^ 1),
    /Cause: .*ACPI table FACP checksum/,
  ),
  machine(
    'another PM1a port in the FADT',
    'acpi-poweroff',
    (g) => poke(g, acpiTable(g, 'FACP') + 64, 0x08),
    /Cause: .*ACPI table FACP PM1a_CNT_BLK/,
  ),
  machine(
    'tables in another order in the RSDT',
    'acpi-poweroff',
    (g) => swapRoot(g),
    /Cause: .*ACPI table RSDT entry 0/,
  ),
  machine(
    'another flag in the start info',
    'pvh-start-info',
    (g) => poke(g, startInfo(g) + 8, 1),
    /Cause: .*hvm_start_info flags/,
  ),
  machine(
    "another type in the start info's memory map",
    'pvh-start-info',
    (g) => poke(g, long(g, startInfo(g) + 40) + 16, 7),
    /Cause: .*memory map (entry )?0[ .]type/,
  ),
  machine(
    'another base memory in CMOS',
    'e820',
    ({ pc }) => changeCmos(pc, 0x34),
    /Cause: rtc memory above 16 MiB low/,
  ),
  // What the guest's own program does.
  source(
    'another divisor for the PIT',
    'irq-pit',
    [['DIVISOR equ 1193 ', 'DIVISOR equ 1194 ']],
    [/Cause: image kernel.*mov al, 0xa9 in A, mov al, 0xaa in B/, /symbol main/],
  ),
  source(
    'an instruction more in a loop',
    'irq-pit',
    [['.moves:\n', '.moves:\n    nop\n']],
    [/Cause: image kernel/, /symbol (main|latch|say)/],
  ),
  source(
    'another divisor for the UART',
    'uart-echo',
    [['outp COM1 + 0, 1 ', 'outp COM1 + 0, 2 ']],
    [/Cause: image kernel.*mov al, 1 in A, mov al, 2 in B/, /uart0 DLL/, /symbol entry/],
    'frame.inc',
  ),
  source(
    'another interrupt unmasked',
    'irq-pit',
    [['outp 0x21, 0xfe ', 'outp 0x21, 0xfc ']],
    [/Cause: image kernel.*mov al, 0xfe in A, mov al, 0xfc in B/, /pic master IMR/, /symbol main/],
  ),
  source(
    'another value for the reset register',
    'reset-cf9',
    [['mov al, 6', 'mov al, 4']],
    [/Cause: image kernel.*mov al, 6 in A, mov al, 4 in B/, /symbol main/],
  ),
  source(
    'another constant in a program',
    'long-mode',
    [["say 'OK ', GUEST, 10", "say 'ok ', GUEST, 10"]],
    [/Cause: image kernel/, /4f.*6f|0x4f.*0x6f/],
    'frame.inc',
  ),
  // Guests of the test's own.
  guest(
    'another sector on a disk',
    readSector,
    { drives: [{ path: file('a.img', disk('first')) }] },
    { drives: [{ path: file('b.img', disk('fifth')) }] },
    undefined,
    /Cause: .*drive/,
    /ide0 data|byte 2/,
  ),
  guest(
    'another date',
    readClock,
    { rtc: '2020-01-01T00:00:00Z' },
    { rtc: '2020-01-02T00:00:00Z' },
    undefined,
    /Cause: option rtc is .*2020-01-01.* in A, .*2020-01-02.* in B/,
    /rtc day/,
  ),
  guest(
    'other features of the processor',
    readProcessor,
    {},
    { cpu: 'x86-64-v2' },
    undefined,
    /Cause: cpu is/,
    /CPUID leaf 0x1|features|cpu/,
  ),
  guest(
    'another string in SMBIOS',
    readSmbios,
    {},
    {},
    (g) => changeSmbios(g),
    /Cause: .*SMBIOS type 1 \(system information\) string/,
  ),
  guest(
    'another boot order',
    readItem('bootorder'),
    {},
    {},
    ({ pc }) => pc.fwCfg.setFile('bootorder', Buffer.from('/rom@genroms/x.rom\0')),
    /Cause: fw_cfg item file directory.*bootorder, 19 bytes/,
  ),
  guest(
    'other states of sleep',
    readItem('etc/system-states'),
    {},
    {},
    ({ pc }) => pc.fwCfg.setFile('etc/system-states', Uint8Array.of(0x81, 0, 0, 1, 2, 0x80)),
    /Cause: fw_cfg item etc\/system-states.*0x80.*0x81/,
  ),
  // Firmware.
  firmware(
    'another instruction in an option ROM',
    { options: { optionRoms: [file('a/x.rom', rom('ba0204b07eeecb'))] } },
    { options: { optionRoms: [file('b/x.rom', rom('ba0204b07deecb'))] } },
    /Cause: image option-rom/,
    /genroms\/x.rom: the code at offset 0x45 is mov al, 0x7e in A, mov al, 0x7d in B/,
  ),
  firmware(
    'an option ROM by another compiler',
    { options: { optionRoms: [file('c/x.rom', rom('ba0204b07eeecb'))] } },
    { options: { optionRoms: [file('d/x.rom', rom('66ba02040000b07eeecb'))] } },
    /Cause: image option-rom/,
    /mov/,
  ),
  firmware('a boot menu', { options: {} }, { options: { bootMenu: true } }, /Cause: option bootMenu/),
  firmware(
    'another machine map for the firmware',
    { options: {} },
    { options: {}, change: ({ pc }) => pc.fwCfg.setFile('etc/e820', changedE820(pc.fwCfg)) },
    /Cause: fw_cfg item etc\/e820.*e820 entry/,
    /phase POST/,
  ),
  firmware(
    'an ACPI table with another byte',
    { options: {} },
    { options: {}, change: ({ pc }) => changeAcpi(pc.fwCfg) },
    /Cause: fw_cfg item etc\/acpi\/tables.*ACPI table/,
    /phase POST/,
  ),
];

type FwCfg = Guest['pc']['fwCfg'];

function fileOf(fwCfg: FwCfg, name: string): Uint8Array {
  return fwCfg.content(fwCfg.list().find((one) => one.name === name)!.key)!.slice();
}

function changedE820(fwCfg: FwCfg): Uint8Array {
  const map = fileOf(fwCfg, 'etc/e820');
  map[20 + 9]! ^= 0x10;
  return map;
}

/** The machine as if nobody had added the file. */
function dropFile(fwCfg: FwCfg, name: string): void {
  const inside = fwCfg as unknown as { files: Map<string, unknown>; number(): void };
  inside.files.delete(name);
  inside.number();
}

function changeAcpi(fwCfg: FwCfg): void {
  const tables = fileOf(fwCfg, 'etc/acpi/tables');
  tables[Buffer.from(tables).indexOf('FACP') + 46]! ^= 2;
  fwCfg.setFile('etc/acpi/tables', tables);
}

function swapRoot(guest: Guest): void {
  const entries = acpiTable(guest, 'RSDT') + 36;
  const bytes = Array.from({ length: 8 }, (_, i) => peek(guest, entries + i));
  poke(guest, entries, ...bytes.slice(4), ...bytes.slice(0, 4));
}

function changeSmbios(guest: Guest): void {
  for (const { address, data } of guest.initialMemory) {
    const at = Buffer.from(data.buffer, data.byteOffset, data.length).indexOf('Standard PC');
    if (at < 0) continue;
    poke(guest, address + at, 0x73);
    return;
  }
  throw new Error('there is no product name');
}

function changeCmos(pc: Guest['pc'], index: number): void {
  pc.portWrite(0x70, 1, index);
  const value = pc.portRead(0x71, 1);
  pc.portWrite(0x70, 1, index);
  pc.portWrite(0x71, 1, value ^ 0x10);
}

const reports: { name: string; named: boolean }[] = [];
const haveFirmware = ['bios-256k.bin', 'kvmvapic.bin'].every((name) => cachedImage(name) !== undefined);
const able = { nothing: true, nasm, firmware: haveFirmware };
const why = { nothing: '', nasm: ' (needs nasm)', firmware: ' (needs: vmreplay fetch)' };

test('there are thirty regressions and more', (t) => {
  t.true(REGRESSIONS.length >= 30);
  t.is(new Set(REGRESSIONS.map(({ name }) => name)).size, REGRESSIONS.length);
});

REGRESSIONS.forEach(({ name, needs, boots, expected }, i) => {
  (able[needs] ? test.serial : test.serial.skip)(`${name}: found, and its cause named${why[needs]}`, async (t) => {
    t.timeout(300_000);
    const [a, b] = await boots();
    const [left, right] = [join(directory, `${i}.a`), join(directory, `${i}.b`)];
    await recordChanged(a.options, left, a.change);
    await recordChanged(b.options, right, b.change);
    const found: Explanation = await explainDivergence(left, right, a.symbols ? { symbols: [a.symbols] } : {});
    t.false(found.same);
    t.true(['diverged', 'retimed'].includes(found.verdict));
    t.true(isExplanation(JSON.parse(JSON.stringify(found))), JSON.stringify(isExplanation.errors));
    const screen = formatExplanation(found, { lines: SCREEN });
    const missing = expected.filter((words) => !words.test(screen));
    reports.push({ name, named: missing.length === 0 });
    t.deepEqual(missing, [], screen);
  });
});

test.after('the first screen names the true cause of nine in ten at least', (t) => {
  t.log(`${reports.filter(({ named }) => named).length} of ${reports.length} named`);
  t.true(reports.filter(({ named }) => named).length >= 0.9 * reports.length);
});
