// A hand-off held against the specification of its protocol: the processor's state, where structures lie, and what they
// say of memory. Xen's pvh.pandoc and start_info.h; Linux's Documentation/arch/x86/boot.rst; Multiboot 0.6.96, 3.2 and
// 3.3; Multiboot2 2.0, 3.3 to 3.6. What one of them leaves open is not judged, and what the boot does wrong by itself is
// told apart by its rule, so that the caller can leave it out.

import type { Handoff } from '../boot/handoff/handoff.js';
import { type HandoffStructure, SETUP_MAGIC, START_INFO_MAGIC } from '../boot/handoff/structures.js';

/** Something that breaks the protocol. */
export interface HandoffFault {
  /** Which requirement: the same for the same fault. */
  readonly rule: string;
  readonly detail: string;
}

interface Range {
  readonly what: string;
  readonly address: number;
  readonly length: number;
}

const [TF, IF, VM] = [1 << 8, 1 << 9, 1 << 17];
const CR0_PE = 1;
const CR0_PG = 0x8000_0000;
const EFER_LMA = 0x400;
const FOUR_GIB = 0xffff_ffff;
/** Physical addresses have at most 52 bits. */
const PAST_ANY_ADDRESS = 1n << 52n;
const [MULTIBOOT_MAGIC, MULTIBOOT2_MAGIC] = [0x2bad_b002, 0x36d7_6289];
/** Of a segment's attributes, bits 8 to 23 of a descriptor's upper half: D/B, L. */
const [ATTR_DEFAULT, ATTR_LONG] = [0x4000, 0x2000];
const DATA_SEGMENTS = ['ds', 'es', 'ss'] as const;

const low32 = (value: bigint): number => Number(BigInt.asUintN(32, value));
const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

/** @param ramSize of the machine, in bytes */
export function handoffFaults(handoff: Handoff, ramSize: number): HandoffFault[] {
  const found: HandoffFault[] = [];
  const must = (holds: boolean, rule: string, detail: () => string = () => rule) => {
    if (!holds) found.push({ rule, detail: detail() });
  };
  const { protocol, state } = handoff;
  if (protocol === 'unknown') return [{ rule: 'known protocol', detail: 'the registers speak no known protocol' }];
  machine(handoff, must);
  if (protocol !== 'linux16') {
    must((state.rflags & IF) === 0, 'interrupts are off');
    must((state.rflags & (VM | TF)) === 0, 'VM and TF are clear');
  }
  const info = handoff.structures[0];
  const field = (name: string, of = info): number => {
    const value = of?.fields.find(([one]) => one === name)?.[1];
    return typeof value === 'string' || value === undefined ? 0 : Number(value);
  };
  const ranges: Range[] = [];
  const header = handoff.structures.find(({ name }) => name === 'setup_header');
  switch (protocol) {
    case 'pvh':
      must(field('magic') === START_INFO_MAGIC, 'magic of hvm_start_info', () => `magic ${hex(field('magic'))}`);
      must(field('nr_modules') <= 32, 'count of modules', () => `${field('nr_modules')} modules`);
      must(field('memmap_entries') <= 128, 'count of map entries', () => `${field('memmap_entries')} entries`);
      break;
    case 'multiboot':
      must(low32(state.registers.rax) === MULTIBOOT_MAGIC, 'magic in EAX');
      must(field('mods_count') <= 32, 'count of modules', () => `${field('mods_count')} modules`);
      break;
    case 'multiboot2':
      must(low32(state.registers.rax) === MULTIBOOT2_MAGIC, 'magic in EAX');
      must((info?.address ?? 0) % 8 === 0, 'information on 8 bytes', () => `information at ${hex(info!.address)}`);
      break;
    default:
      linux(header, field, ramSize, ranges, must);
  }
  for (const one of handoff.structures) {
    if (one.name === 'setup_header' || /^(tag|memory map|command line|boot)/.test(one.name)) continue;
    // A Multiboot2 module is told of within the information.
    if (protocol !== 'multiboot2' || one === info)
      ranges.push({ what: one.name, address: one.address, length: one.length });
    if (/^module \d+$/.test(one.name)) ranges.push(moduleOf(one, field));
  }
  for (const { what, address, length } of ranges)
    must(address + length <= ramSize, `${what.replace(/\d+/, 'N')} in RAM`, () => `${what} ${span(address, length)}`);
  apart(ranges, must);
  memoryMap(handoff, must);
  return found;
}

/** Memory that a Linux kernel takes for itself before it looks at any map. */
export function kernelClaims({ structures }: Handoff): { address: number; length: number }[] {
  const header = structures.find(({ name }) => name === 'setup_header');
  if (!header) return [];
  const field = (name: string) => Number(header.fields.find(([one]) => one === name)?.[1] ?? 0);
  const length = field('init_size');
  return [field('code32_start'), field('pref_address')].map((address) => ({ address, length }));
}

type Must = (holds: boolean, rule: string, detail?: () => string) => void;

const span = (address: number, length: number): string => `at ${hex(address)}, ${length} bytes`;

/** Mode, paging and segments. */
function machine({ protocol, state }: Handoff, must: Must): void {
  const { cr0, efer, segments } = state;
  const { cs } = segments;
  if (protocol === 'linux16') {
    must((cr0 & CR0_PE) === 0, 'real mode');
    for (const name of DATA_SEGMENTS)
      must(
        segments[name].base === segments.ds.base,
        'DS, ES and SS alike',
        () => `${name} ${hex(segments[name].base)}`,
      );
    must(cs.base === segments.ds.base + 0x200n, 'CS is 0x20 behind DS', () => `CS ${hex(cs.selector)}`);
    return;
  }
  const long = protocol === 'linux64';
  must((cr0 & CR0_PE) !== 0, 'protected mode');
  must(((cr0 & CR0_PG) !== 0) === long, long ? 'paging is on' : 'paging is off');
  must(((efer & EFER_LMA) !== 0) === long, long ? 'long mode' : 'no long mode');
  if (protocol === 'pvh') must(state.cr4 === 0, 'CR4 is clear', () => `CR4 ${hex(state.cr4)}`);
  if (long) must((cs.attributes & ATTR_LONG) !== 0, 'CS is a 64-bit segment');
  else {
    must((cs.attributes & ATTR_DEFAULT) !== 0, 'CS is a 32-bit segment');
    for (const name of ['cs', ...DATA_SEGMENTS] as const)
      must(
        segments[name].base === 0n && segments[name].limit === FOUR_GIB,
        'flat segments',
        () => `${name}: base ${hex(segments[name].base)}, limit ${hex(segments[name].limit)}`,
      );
  }
  if (protocol === 'linux32') {
    must(
      cs.selector === 0x10 && DATA_SEGMENTS.every((name) => segments[name].selector === 0x18),
      '__BOOT_CS and __BOOT_DS',
    );
    const { rbx, rdi, rbp } = state.registers;
    must(low32(rbx | rdi | rbp) === 0, 'EBX, EDI and EBP are 0');
  }
}

/** What the setup header says of kernel, initrd and command line. */
function linux(
  header: HandoffStructure | undefined,
  field: (name: string, of?: HandoffStructure) => number,
  ramSize: number,
  ranges: Range[],
  must: Must,
): void {
  const of = (name: string) => field(name, header);
  must(of('header') === SETUP_MAGIC, 'HdrS', () => `magic ${hex(of('header'))}`);
  must(of('type_of_loader') !== 0, 'type_of_loader');
  const [initrd, size] = [of('ramdisk_image'), of('ramdisk_size')];
  if (initrd !== 0 && size !== 0) {
    ranges.push({ what: 'initrd', address: initrd, length: size });
    const most = of('initrd_addr_max') || 0x37ff_ffff;
    must(initrd + size - 1 <= most, 'initrd below initrd_addr_max', () => `initrd ${span(initrd, size)}`);
  }
  const start = of('code32_start');
  if ((of('loadflags') & 1) !== 0 && start !== 0 && start < ramSize)
    ranges.push({ what: 'kernel', address: start, length: Math.min(of('syssize') * 16, ramSize) });
}

function moduleOf(module: HandoffStructure, field: (name: string, of: HandoffStructure) => number): Range {
  const start = field('paddr', module) || field('mod_start', module);
  const length = field('size', module) || Math.max(field('mod_end', module) - start, 0);
  return { what: `contents of ${module.name}`, address: start, length };
}

/** Nothing lies over anything else; texts that follow their structure at once do not. */
function apart(ranges: readonly Range[], must: Must): void {
  const sorted = ranges.filter(({ length }) => length > 0).sort((a, b) => a.address - b.address);
  sorted.slice(1).forEach((one, i) => {
    const before = sorted[i]!;
    const rule = `${before.what} and ${one.what} apart`.replaceAll(/\d+/g, 'N');
    must(before.address + before.length <= one.address, rule, () => {
      return `${before.what} ${span(before.address, before.length)} and ${one.what} ${span(one.address, one.length)}`;
    });
  });
}

/** No entry wraps, and no RAM lies over anything else. */
function memoryMap({ memoryMap, protocol }: Handoff, must: Must): void {
  if (protocol === 'linux16' || memoryMap.length === 0) return;
  must(
    memoryMap.some(({ type, length }) => type === 1 && length > 0n),
    'RAM in the memory map',
  );
  const sorted = [...memoryMap]
    .filter(({ length }) => length > 0n)
    .sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
  for (const { address, length } of sorted)
    must(
      address + length <= PAST_ANY_ADDRESS,
      'no entry past any address',
      () => `entry ${hex(address)}, length ${hex(length)}`,
    );
  sorted.slice(1).forEach((one, i) => {
    const before = sorted[i]!;
    if (before.type !== 1 && one.type !== 1) return;
    must(
      before.address + before.length <= one.address,
      'RAM apart in the memory map',
      () => `entry ${hex(one.address)} lies in ${hex(before.address)}, length ${hex(before.length)}`,
    );
  });
}
