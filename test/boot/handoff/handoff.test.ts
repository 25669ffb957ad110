// The hand-off record of every direct route, read back from the memory that the route lays out, and of memory that holds
// anything at all.

import test from 'ava';
import fc from 'fast-check';
import { isEntry, readHandoff } from '../../../src/boot/handoff/handoff.js';
import type { BootImage } from '../../../src/boot/image.js';
import { type BootRequest, buildBoot } from '../../../src/boot/loader.js';
import type { HandoffProtocol } from '../../../src/boot/route.js';
import { firmwareE820 } from '../../../src/platform/e820.js';
import { bzImage, pvhKernel } from '../guest-builder.js';
import { elfWith, header1, header2 } from '../multiboot-builder.js';

const memoryMap = firmwareE820(64 << 20);
const told = memoryMap.map(({ address, length, type }) => ({ address: BigInt(address), length: BigInt(length), type }));
const initrd = { name: 'initrd', bytes: new Uint8Array(5000) };
const modules = [{ name: 'm', bytes: Uint8Array.of(1), cmdline: 'words' }];

/** Memory as an image leaves it. */
const memoryOf = (image: BootImage) => (address: number, length: number) =>
  Uint8Array.from({ length }, (_, i) => {
    const segment = image.segments.find((s) => address + i >= s.address && address + i < s.address + s.data.length);
    return segment ? segment.data[address + i - segment.address]! : 0;
  });

function handoff(request: Omit<BootRequest, 'memoryMap'>, protocol: HandoffProtocol = 'any') {
  const image = buildBoot({ ...request, memoryMap });
  const record = readHandoff(protocol, 'direct', image.entry, memoryOf(image));
  const structure = (name: string) => {
    const found = record.structures.find((one) => one.name === name);
    return { address: found?.address, length: found?.length, ...Object.fromEntries(found?.fields ?? []) };
  };
  return { image, record, structure };
}

const kernel = (bytes: Uint8Array) => ({ name: 'k', bytes });

test('a PVH hand-off tells of start info, command line, modules and map', (t) => {
  const { record, structure } = handoff({
    route: 'pvh',
    kernel: kernel(pvhKernel()),
    initrd,
    modules,
    append: 'a b',
    rsdp: 5,
  });
  t.is(record.protocol, 'pvh');
  t.like(structure('hvm_start_info'), { address: 0x1_0000, length: 56, version: 1, nr_modules: 2, rsdp_paddr: 5n });
  t.like(structure('cmdline'), { address: 0x2_0000, length: 4, text: 'a b' });
  t.like(structure('module 0'), { size: 5000n });
  t.like(structure('module 1 cmdline'), { text: 'words' });
  t.deepEqual(record.memoryMap, told);
});

for (const route of ['linux64', 'linux32'] as const) {
  test(`a ${route} hand-off tells of boot_params, setup header and map`, (t) => {
    const { record, structure } = handoff({ route, kernel: kernel(bzImage()), initrd, append: 'console', rsdp: 5 });
    t.is(record.protocol, route);
    t.like(structure('boot_params'), { address: 0x1_0000, acpi_rsdp_addr: 5n, e820_entries: memoryMap.length });
    t.like(structure('setup_header'), { address: 0x1_01f1, type_of_loader: 0xb0, ramdisk_size: 5000, version: 0x20f });
    t.is(structure('setup_header').length, 0x26c - 0x1f1);
    t.like(structure('cmdline'), { text: 'console' });
    t.deepEqual(record.memoryMap, told);
  });
}

test('a Multiboot hand-off tells of information, command line, modules, name and map', (t) => {
  const bytes = elfWith(header1(3));
  const { record, structure } = handoff({ route: 'multiboot', kernel: kernel(bytes), initrd, modules, append: 'a' });
  t.is(record.protocol, 'multiboot');
  t.like(structure('multiboot_info'), { flags: 0x26d, mem_lower: 639, mods_count: 2, syms_num: 4 });
  t.like(structure('cmdline'), { text: 'k a' });
  t.like(structure('module 1 cmdline'), { text: 'm words' });
  t.like(structure('boot_loader_name text'), { text: 'vmreplay' });
  t.deepEqual(record.memoryMap, told);
});

test('a Multiboot2 hand-off tells of every tag', (t) => {
  const bytes = elfWith(header2([]));
  const rsdpTable = new Uint8Array(36);
  const { record, structure } = handoff({
    route: 'multiboot2',
    kernel: kernel(bytes),
    modules,
    append: 'a',
    rsdpTable,
  });
  t.is(record.protocol, 'multiboot2');
  t.deepEqual(
    record.structures.map(({ name }) => name),
    [
      'multiboot2_info',
      'command line',
      'boot loader name',
      'module 0',
      'basic memory',
      'memory map',
      'ELF sections',
      'ACPI old RSDP',
    ],
  );
  t.like(structure('command line'), { text: 'k a' });
  t.like(structure('module 0'), { text: 'm words' });
  t.like(structure('basic memory'), { mem_lower: 639 });
  t.like(structure('ACPI old RSDP'), { rsdp: '00'.repeat(20) });
  t.deepEqual(record.memoryMap, told);
});

test('the setup code is entered in real mode, the kernel behind it in protected mode without paging', (t) => {
  const { entry } = handoff({ route: 'linux32', kernel: kernel(bzImage()) }).image;
  t.true(isEntry('linux32', entry));
  t.false(isEntry('linux32', { ...entry, cr0: 0x10 }));
  t.false(isEntry('pvh', { ...entry, cr0: 0x8000_0011 }));
  t.true(isEntry('linux16', { ...entry, cr0: 0x10 }));
  t.false(isEntry('linux16', entry));
  t.true(isEntry('any', entry));
  t.true(isEntry('linux64', handoff({ route: 'linux64', kernel: kernel(bzImage()) }).image.entry));
});

test('a memory map is told as it stands in memory, past any address, too', (t) => {
  const { image, structure } = handoff({ route: 'pvh', kernel: kernel(pvhKernel()) });
  const read = memoryOf(image);
  const [, second] = told;
  const at = Number((structure('hvm_start_info') as { memmap_paddr?: bigint }).memmap_paddr);
  const wild = [0xffff_8880_0000_0001n, 0x8020_0000_0000_0fffn] as const;
  const bytes = Buffer.from(BigUint64Array.of(...wild).buffer);
  const { memoryMap: map } = readHandoff('pvh', 'direct', image.entry, (address, length) =>
    address === at ? Uint8Array.from([...bytes, ...read(address + 16, length - 16)]) : read(address, length),
  );
  t.deepEqual(map.slice(0, 2), [{ address: wild[0], length: wild[1], type: 1 }, second!]);
});

test('boot_params of a 64-bit entry lie where all of RSI says', (t) => {
  const { image, record } = handoff({ route: 'linux64', kernel: kernel(bzImage()) });
  const above = (rsi: bigint) => ({ ...image.entry, registers: { ...image.entry.registers, rsi } });
  const read = memoryOf(image);
  t.is(readHandoff('any', 'direct', above(0x1_0001_0000n), read).protocol, 'unknown');
  const moved = readHandoff('any', 'direct', above(0x1_0001_0000n), (address, length) =>
    read(address - 2 ** 32, length),
  );
  t.is(moved.protocol, 'linux64');
  t.is(moved.structures[0]!.address, 0x1_0001_0000);
  t.deepEqual(moved.structures[0]!.fields, record.structures[0]!.fields);
  t.is(readHandoff('any', 'direct', above(0xffff_8880_0001_0000n), read).protocol, 'unknown');
  // In 32-bit mode the upper half says nothing.
  const narrow = handoff({ route: 'linux32', kernel: kernel(bzImage()) }).image;
  const entry = { ...narrow.entry, registers: { ...narrow.entry.registers, rsi: 0x1_0001_0000n } };
  t.is(readHandoff('any', 'direct', entry, memoryOf(narrow)).protocol, 'linux32');
});

test('where nothing tells, the protocol is unknown and there is no structure', (t) => {
  const { entry } = handoff({ route: 'pvh', kernel: kernel(pvhKernel()) }).image;
  const record = readHandoff('any', 'direct', entry, (_, length) => new Uint8Array(length));
  t.like(record, { protocol: 'unknown', structures: [], memoryMap: [] });
});

test('whatever memory holds, a record of bounded size is read', (t) => {
  const { entry } = handoff({ route: 'pvh', kernel: kernel(pvhKernel()) }).image;
  const protocols = fc.constantFrom<HandoffProtocol>('pvh', 'linux32', 'linux16', 'multiboot', 'multiboot2');
  fc.assert(
    fc.property(protocols, fc.uint8Array({ minLength: 1, maxLength: 300 }), (protocol, pattern) => {
      let bytes = 0;
      const record = readHandoff(protocol, 'direct', entry, (address, length) => {
        t.true(address >= 0 && Number.isSafeInteger(address));
        bytes += length;
        return Uint8Array.from({ length }, (_, i) => pattern[(address + i) % pattern.length]!);
      });
      return bytes < 1 << 18 && record.structures.length < 128 && record.memoryMap.length <= 128;
    }),
    { numRuns: 300 },
  );
});
