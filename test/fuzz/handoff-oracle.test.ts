// A hand-off held against its protocol: what our own routes hand over is right, and each requirement is noticed when it
// is broken.

import test from 'ava';
import { packageFile } from '../../bin/package.js';
import { makeGuest } from '../../src/api/guest.js';
import { entryState } from '../../src/api/handoff.js';
import type { BootOptions } from '../../src/api/options.js';
import { type Handoff, readHandoff } from '../../src/boot/handoff/handoff.js';
import { handoffFaults } from '../../src/fuzz/handoff-oracle.js';

const RAM = 32 << 20;
const kernel = (name: string): string => packageFile(`corpus/${name}`);
const modules = [{ path: packageFile('corpus/README.md') }];
const routes: Record<string, BootOptions> = {
  pvh: { kernel: kernel('pvh-start-info/pvh-start-info.elf'), modules },
  multiboot: { kernel: kernel('multiboot/multiboot.elf'), boot: 'multiboot', modules },
  multiboot2: { kernel: kernel('multiboot2/multiboot2.elf'), boot: 'multiboot2', modules },
  linux32: { kernel: kernel('defects/setup-data-loop.bzimage'), boot: 'linux32', initrd: modules[0]!.path },
};

function handoffOf(route: string): Handoff {
  const { cpu, boot } = makeGuest({ ...routes[route]!, memory: RAM, append: 'a b' });
  return readHandoff(boot.route as 'pvh', boot.route, entryState(cpu), (at, length) => cpu.physical.read(at, length));
}

const rules = (handoff: Handoff): string[] => handoffFaults(handoff, RAM).map(({ rule }) => rule);

for (const route of Object.keys(routes))
  test(`${route}: what our loader hands over breaks nothing`, (t) => {
    t.deepEqual(handoffFaults(handoffOf(route), RAM), []);
  });

const broken: Record<string, [route: string, rule: string, change: (handoff: Handoff) => void]> = {
  paging: ['pvh', 'paging is off', ({ state }) => (state.cr0 |= 0x8000_0000)],
  interrupts: ['multiboot', 'interrupts are off', ({ state }) => (state.rflags |= 0x200)],
  'a segment with a base': [
    'pvh',
    'flat segments',
    ({ state }) => (state.segments.ds = { ...state.segments.ds, base: 16n }),
  ],
  'a 16-bit code segment': [
    'multiboot2',
    'CS is a 32-bit segment',
    ({ state }) => (state.segments.cs = { ...state.segments.cs, attributes: 0x809b }),
  ],
  'a magic in EAX': ['multiboot', 'magic in EAX', ({ state }) => (state.registers.rax = 1n)],
  'selectors of Linux': [
    'linux32',
    '__BOOT_CS and __BOOT_DS',
    ({ state }) => (state.segments.cs = { ...state.segments.cs, selector: 8 }),
  ],
  'registers of Linux': ['linux32', 'EBX, EDI and EBP are 0', ({ state }) => (state.registers.rbp = 1n)],
  'information between 8 bytes': [
    'multiboot2',
    'information on 8 bytes',
    ({ structures }) => (structures[0] = { ...structures[0]!, address: structures[0]!.address + 4 }),
  ],
  'an initrd past its bound': [
    'linux32',
    'initrd below initrd_addr_max',
    (handoff) => setField(handoff, 'setup_header', 'ramdisk_image', 0x7fff_fff0),
  ],
  'an initrd over the kernel': [
    'linux32',
    'kernel and initrd apart',
    (handoff) => setField(handoff, 'setup_header', 'ramdisk_image', 0x10_0010),
  ],
  'a module outside of RAM': [
    'multiboot',
    'contents of module N in RAM',
    (handoff) => setField(handoff, 'module 0', 'mod_end', RAM + 1),
  ],
  'too many modules': ['pvh', 'count of modules', (handoff) => setField(handoff, 'hvm_start_info', 'nr_modules', 1000)],
  'RAM over reserved memory': [
    'pvh',
    'RAM apart in the memory map',
    ({ memoryMap }) => memoryMap.push({ address: 0x20_0000n, length: 0x1000n, type: 2 }),
  ],
  'no RAM': [
    'pvh',
    'RAM in the memory map',
    ({ memoryMap }) => {
      for (const entry of memoryMap) entry.type = 2;
    },
  ],
};

function setField({ structures }: Handoff, structure: string, name: string, value: number): void {
  const fields = structures.find((one) => one.name === structure)!.fields;
  fields.splice(
    fields.findIndex(([one]) => one === name),
    1,
    [name, value],
  );
}

for (const [name, [route, rule, change]] of Object.entries(broken))
  test(`${name} is noticed`, (t) => {
    const handoff = structuredClone(handoffOf(route));
    change(handoff);
    t.true(rules(handoff).includes(rule), rules(handoff).join(', '));
  });
