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
  t.deepEqual(record.memoryMap, memoryMap);
});

for (const route of ['linux64', 'linux32'] as const) {
  test(`a ${route} hand-off tells of boot_params, setup header and map`, (t) => {
    const { record, structure } = handoff({ route, kernel: kernel(bzImage()), initrd, append: 'console', rsdp: 5 });
    t.is(record.protocol, route);
    t.like(structure('boot_params'), { address: 0x1_0000, acpi_rsdp_addr: 5n, e820_entries: memoryMap.length });
    t.like(structure('setup_header'), { address: 0x1_01f1, type_of_loader: 0xb0, ramdisk_size: 5000, version: 0x20f });
    t.is(structure('setup_header').length, 0x26c - 0x1f1);
    t.like(structure('cmdline'), { text: 'console' });
    t.deepEqual(record.memoryMap, memoryMap);
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
  t.deepEqual(record.memoryMap, memoryMap);
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
  t.deepEqual(record.memoryMap, memoryMap);
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
