import test from 'ava';
import { GIB, MIB } from '../../src/platform/e820.js';
import { buildSmbios, placeSmbios } from '../../src/platform/smbios.js';

/** QEMU's qemu64 processor. */
const CPU = { cpuSignature: 0x60fb1, cpuFeatures: 0x78bfbfd };
const hex = (data: Uint8Array) => Buffer.from(data).toString('hex');

/** etc/smbios/smbios-tables of QEMU 7.2.22, -M pc, up to the structures that depend on RAM. */
const QEMU_HEAD =
  '011b0001010203000000000000000000000000000000000006000051454d55005374616e6461726420504320286934343046' +
  '58202b20504949582c2031393936290070632d6934343066782d372e32000003160003010102000003030302000000000000' +
  '00000051454d550070632d6934343066782d372e320000042a000401030102b10f0600fdfb8b0703000000d007d0074101ff' +
  'ffffffffff0000000101010200010043505520300051454d550070632d6934343066782d372e320000';
const QEMU_TAIL = '200b00200000000000000000007f04007f0000';

test('tables and anchor of 128 MiB are those of QEMU 7.2', (t) => {
  const { tables, anchor } = buildSmbios({ ramSize: 128 * MIB, ...CPU });
  t.is(
    hex(tables),
    QEMU_HEAD +
      '1017001001030600000200feff010000000000000000000000112800110010feffffffffff80000900010007020000000200' +
      '00000000000000000000000000000044494d4d20300051454d550000131f001300000000ffff010000100100000000000000' +
      '0000000000000000000000' +
      QEMU_TAIL,
  );
  t.is(hex(anchor), '5f534d5f001f020851000000000000005f444d495f00410100000000080028');
});

test('tables of 20 GiB have two memory devices and two ranges, as in QEMU 7.2', (t) => {
  const { tables, anchor } = buildSmbios({ ramSize: 20 * GIB, ...CPU });
  t.is(
    hex(tables),
    QEMU_HEAD +
      '1017001001030600004001feff020000000000000000000000112800110010feffffffffff00400900010007020000000200' +
      '00000000000000000000000000000044494d4d20300051454d550000112801110010feffffffffff00100900010007020000' +
      '00020000000000000000000000000000000044494d4d20310051454d550000131f001300000000ffff2f0000100100000000' +
      '0000000000000000000000000000131f011300004000ffff4f01001001000000000000000000000000000000000000' +
      QEMU_TAIL,
  );
  t.is(hex(anchor), '5f534d5f001f020851000000000000005f444d495f009701000000000a0028');
});

test('sizes beyond the standard fields go into the extended ones', (t) => {
  const { tables } = buildSmbios({ ramSize: 4096 * GIB, ...CPU });
  const data = Buffer.from(tables);
  const array = data.indexOf('10170010', 0, 'hex');
  t.is(data.readUInt32LE(array + 7), 0x80000000);
  t.is(data.readBigUInt64LE(array + 15), 4096n << 30n);
  const high = data.indexOf('131f0113', 0, 'hex');
  t.is(data.readUInt32LE(high + 4), 0xffffffff);
  t.is(data.readBigUInt64LE(high + 15), 4n << 30n);
});

test('a placed anchor has both checksums right and points to the tables', (t) => {
  const anchor = placeSmbios(buildSmbios({ ramSize: 128 * MIB, ...CPU }), 0xf0c00);
  const sum = (data: Uint8Array) => data.reduce((total, byte) => (total + byte) & 0xff, 0);
  t.is(sum(anchor), 0);
  t.is(sum(anchor.subarray(16)), 0);
  t.is(Buffer.from(anchor).readUInt32LE(24), 0xf0c00);
});

test('the structure of the firmware itself is as SeaBIOS makes it', (t) => {
  const bios = { vendor: 'SeaBIOS', version: '1.16.2', date: '04/01/2014' };
  const { tables } = buildSmbios({ ramSize: 128 * MIB, ...CPU, bios });
  t.true(
    hex(tables).startsWith(
      '00180000010200e8030008000000000000000004' +
        `0000ffff${Buffer.from('SeaBIOS\x001.16.2\x0004/01/2014\0\0').toString('hex')}${QEMU_HEAD}`,
    ),
  );
});
