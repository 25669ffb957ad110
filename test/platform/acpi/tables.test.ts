import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { acpiFwCfgFiles } from '../../../src/platform/acpi/table-loader.js';
import { type AcpiOptions, buildAcpiTables, placeAcpiTables } from '../../../src/platform/acpi/tables.js';

const BASE = 0x7fe0000;
const OPTIONS: AcpiOptions = { lowMemoryEnd: 0x8000000 };
const haveIasl = spawnSync('iasl', ['-v']).status === 0;
const haveAcpiexec = spawnSync('acpiexec', ['-v']).status === 0;

function placed(options: AcpiOptions = OPTIONS) {
  const blobs = buildAcpiTables(options);
  const { tables, rsdp } = placeAcpiTables(blobs, BASE);
  const memory = Buffer.from(tables);
  const table = (signature: string) => {
    const start = blobs.offsets[signature]!;
    return memory.subarray(start, start + memory.readUInt32LE(start + 4));
  };
  return { blobs, memory, rsdp: Buffer.from(rsdp), table };
}

const sum = (data: Uint8Array) => data.reduce((total, byte) => (total + byte) & 0xff, 0);

/** Header of revision 1 with QEMU's OEM fields, given length and checksum. */
const header = (signature: string, length: string, checksum: string) =>
  `${Buffer.from(signature).toString('hex')}${length}000000` +
  `01${checksum}424f43485320425850432020202001000000425850430100000000`.slice(0, -2);

test('MADT, HPET and WAET are byte for byte those of QEMU 7.2', (t) => {
  const { table } = placed();
  t.is(
    table('APIC').toString('hex'),
    `${header('APIC', '78', '8a')}0000e0fe01000000` +
      '0008000001000000' +
      '010c00000000c0fe00000000' +
      '020a0000020000000000' +
      '020a0005050000000d00' +
      '020a0009090000000d00' +
      '020a000a0a0000000d00' +
      '020a000b0b0000000d00' +
      '0406ff000001',
  );
  t.is(table('HPET').toString('hex'), `${header('HPET', '38', 'b4')}01a28680000000000000d0fe0000000000000000`);
  t.is(table('WAET').toString('hex'), `${header('WAET', '28', '39')}02000000`);
});

test('the FADT is that of QEMU 7.2, with the SMI command only if there is SMM', (t) => {
  const fields = (smi: string) =>
    `0000fe074000fe0701000900${smi}0000` +
    '00060000000000000406000000000000' +
    '0000000008060000e0af000000000000' +
    '0402000404000000ff0fff0f00000000' +
    '0000000032000000a5800000';
  t.is(placed().table('FACP').subarray(36).toString('hex'), fields('000000000000'));
  const smm = placed({ ...OPTIONS, smm: true }).table('FACP');
  t.is(smm.toString('hex'), header('FACP', '74', 'f1') + fields('b2000000f1f0'));
});

for (const rsdpRevision of [0, 2] as const) {
  test(`placed tables of an RSDP of revision ${rsdpRevision} lead to each other and have right checksums`, (t) => {
    const { blobs, memory, rsdp } = placed({ ...OPTIONS, rsdpRevision });
    t.is(sum(rsdp.subarray(0, 20)), 0);
    t.is(sum(rsdp), 0);
    t.is(rsdp.length, rsdpRevision === 2 ? 36 : 20);
    const at = (address: number) => {
      const start = address - BASE;
      return memory.subarray(start, start + memory.readUInt32LE(start + 4));
    };
    const rsdt = at(rsdp.readUInt32LE(16));
    t.is(rsdt.toString('latin1', 0, 4), 'RSDT');
    t.is(sum(rsdt), 0);
    const listed = Array.from({ length: (rsdt.length - 36) / 4 }, (_, i) => rsdt.readUInt32LE(36 + 4 * i));
    for (const address of listed) t.is(sum(at(address)), 0);
    t.deepEqual(
      listed.map((address) => at(address).toString('latin1', 0, 4)),
      ['FACP', 'APIC', 'HPET', 'WAET'],
    );
    const fadt = at(listed[0]!);
    t.is(at(fadt.readUInt32LE(36)).toString('latin1', 0, 4), 'FACS');
    const dsdt = at(fadt.readUInt32LE(40));
    t.is(dsdt.toString('latin1', 0, 4), 'DSDT');
    t.is(sum(dsdt), 0);
    if (rsdpRevision === 2) {
      const xsdt = at(Number(rsdp.readBigUInt64LE(24)));
      t.is(sum(xsdt), 0);
      t.is(Number(xsdt.readBigUInt64LE(36)), listed[0]);
    }
    t.is(blobs.offsets.FACS, 0);
  });
}

/** SHA-256 of QEMU's table (-M pc -nodefaults, 128 MiB), in guest memory after SeaBIOS. */
const DSDTS: readonly [what: string, options: Partial<AcpiOptions>, sha256: string][] = [
  ['a VGA', { vga: true }, 'b724fe10c4316b8e8a65d5c15ea4c23c8ee2b2e5601f0b25945ef3d3cee99797'],
  ['no VGA', {}, 'f4d4b778231abfc5d5067b41d67d16386669e9c18ddf4ada399c8b96091c5530'],
  ['no serial port', { vga: true, serial: false }, 'f55627cd9cc698e0dd557e2dbc3f59b2e3b930e9ba2241489d75199f17212a2d'],
  ['no HPET', { vga: true, hpet: false }, 'c36fb4d47a58804675a6875bfe60efafd761eb702daa6d614249c1f5a6ef6d07'],
  [
    'no DMA of fw_cfg',
    { vga: true, fwCfgDma: false },
    'e33285e1a1befdd63bee4eb2e8b9f27b81cb57c1cd455266a74c3362db0fd30b',
  ],
  [
    '3000 MiB',
    { vga: true, lowMemoryEnd: 0xbb80_0000 },
    'f0158d65d3f6a9bfcefc06c43c54ad9dc356b908a8e853273218d27b9aa59cb7',
  ],
  [
    '3584 MiB',
    { vga: true, lowMemoryEnd: 0xc000_0000, highMemoryEnd: 0x1_2000_0000 },
    'f1dc5bd0d481834c7906c4932ec05592381dfbb46932288fd8f94c43133ef31a',
  ],
];

for (const [what, options, sha256] of DSDTS) {
  test(`the DSDT is byte for byte that of QEMU 7.2: ${what}`, (t) => {
    const dsdt = placed({ ...OPTIONS, ...options }).table('DSDT');
    t.is(createHash('sha256').update(dsdt).digest('hex'), sha256);
  });
}

test("the root bridge's resources are byte for byte those of QEMU 7.2", (t) => {
  const resources =
    '880d00020c0000000000ff0000000001' +
    '4701f80cf80c0108880d00010c030000' +
    '0000f70c0000f80c880d00010c030000' +
    '000dffff000000f3871700000c030000' +
    '000000000a00ffff0b00000000000000' +
    '0200871700000c010000000000000008' +
    'ffffbffe000000000000c0f68a2b0000' +
    '0c030000000000000000000000000100' +
    '0000ffffff7f01000000000000000000' +
    '000000000080000000007900';
  t.true(placed().table('DSDT').toString('hex').includes(resources));
});

test('the high PCI window follows RAM above 4 GiB', (t) => {
  const dsdt = placed({ lowMemoryEnd: 0xc0000000, highMemoryEnd: 0x1_4000_0001 }).table('DSDT');
  const window = dsdt.indexOf('8a2b00000c03', 0, 'hex');
  t.is(dsdt.readBigUInt64LE(window + 14), 0x1_8000_0000n);
  t.is(dsdt.readBigUInt64LE(window + 22), 0x1_ffff_ffffn);
});

test('a place that is not aligned or beyond 4 GiB is refused', (t) => {
  const blobs = buildAcpiTables(OPTIONS);
  t.throws(() => placeAcpiTables(blobs, BASE + 16), { instanceOf: RangeError });
  t.throws(() => placeAcpiTables(blobs, 0xffffffc0), { instanceOf: RangeError });
});

test('the loader script, carried out as firmware does, gives the tables placed directly', (t) => {
  const blobs = buildAcpiTables(OPTIONS);
  const files = Object.fromEntries(
    Object.entries(acpiFwCfgFiles(blobs)).map(([name, data]) => [name, Buffer.from(data)]),
  );
  const script = files['etc/table-loader']!;
  t.is(script.length, 4096);
  t.is(files['etc/acpi/tables']!.length, 0x20000);
  const text = (at: number) => script.toString('latin1', at, at + 56).replaceAll('\0', '');
  const zones: unknown[] = [];
  for (let at = 0; script.readUInt32LE(at) !== 0; at += 128) {
    const target = files[text(at + 4)]!;
    const operand = (n: number) => script.readUInt32LE(at + 60 + 4 * n);
    switch (script.readUInt32LE(at)) {
      case 1:
        zones.push([text(at + 4), operand(0), script[at + 64]]);
        break;
      case 2: {
        const offset = script.readUInt32LE(at + 116);
        t.is(text(at + 60), 'etc/acpi/tables');
        t.is(script[at + 120], 4);
        target.writeUInt32LE(target.readUInt32LE(offset) + BASE, offset);
        break;
      }
      case 3:
        target[operand(0)] = -sum(target.subarray(operand(1), operand(1) + operand(2)));
        break;
      default:
        t.fail('unknown command');
    }
  }
  t.deepEqual(zones, [
    ['etc/acpi/rsdp', 16, 2],
    ['etc/acpi/tables', 64, 1],
  ]);
  const { memory, rsdp } = placed();
  t.is(files['etc/acpi/rsdp']!.toString('hex'), rsdp.toString('hex'));
  t.is(files['etc/acpi/tables']!.toString('hex', 0, memory.length), memory.toString('hex'));
});

/** Run with the DSDT in a file of a fresh directory. */
function withDsdt<T>(run: (directory: string, file: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'vmreplay-acpi-'));
  try {
    const file = join(directory, 'dsdt.aml');
    writeFileSync(file, placed().table('DSDT'));
    return run(directory, file);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const withIasl = haveIasl ? test : test.skip;
withIasl('iasl disassembles the DSDT and compiles it back without errors', (t) => {
  const [source, messages] = withDsdt((directory, file) => {
    execFileSync('iasl', ['-d', file], { stdio: 'pipe' });
    const dsl = join(directory, 'dsdt.dsl');
    const compiled = spawnSync('iasl', ['-p', join(directory, 'again'), dsl], { encoding: 'utf8' });
    return [readFileSync(dsl, 'utf8'), compiled.stdout] as const;
  });
  t.regex(messages, /0 Errors/);
  for (const name of [
    'Device (PCI0)',
    'Device (LNKD)',
    'Device (HPET)',
    'Device (COM1)',
    'Device (FDC0)',
    'Method (\\_GPE._E02',
  ]) {
    t.true(source.includes(name), name);
  }
});

const withAcpiexec = haveAcpiexec ? test : test.skip;
withAcpiexec('the ACPICA interpreter loads the DSDT and evaluates its objects', (t) => {
  const output = withDsdt((_directory, file) =>
    spawnSync(
      'acpiexec',
      ['-b', 'evaluate \\_SB.LNKB._CRS;evaluate \\_SB.LNKS._CRS;evaluate \\_S5;evaluate \\_SB.CPUS.C000._MAT', file],
      {
        encoding: 'utf8',
      },
    ),
  );
  t.regex(output.stdout, /1 ACPI AML tables successfully acquired and loaded/);
  t.notRegex(output.stdout, /AE_[A-Z]+_[A-Z]+/);
  t.regex(output.stdout, /89 06 00 09 01 09 00 00 00 79/, 'LNKS is interrupt 9');
  t.regex(output.stdout, /Contains 4 Elements/);
  t.regex(output.stdout, /00 08 00 00 01 00 00 00/, 'the processor is that of the MADT');
});
