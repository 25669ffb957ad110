// The registers that lockstep compares, from our processor and from QEMU's dumps (`-d cpu`, `info registers`).
//
// Both become one array in the order of FIELDS, so that comparing is a walk over it. A dump of a processor outside
// 64-bit mode has only halves of the general registers; what a dump does not tell is undefined and not compared.
// Segment registers that are null or not present count as limit and attributes 0: QEMU keeps other leftovers there than
// silicon does. TR is compared without its busy bit, which QEMU's cached copy lacks.

import type { Cpu } from '../../src/cpu/cpu.js';
import * as L from '../../src/cpu/layout.js';

const GENERAL = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'].concat([
  'r8',
  'r9',
  'r10',
  'r11',
  'r12',
  'r13',
  'r14',
  'r15',
]);
const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldtr', 'tr'];
const REST = ['gdtr.base', 'gdtr.limit', 'idtr.base', 'idtr.limit', 'cr0', 'cr2', 'cr3', 'cr4', 'efer', 'dr6', 'dr7'];

/** Names of the compared registers, in the order of `Registers`. */
export const FIELDS: readonly string[] = [
  ...GENERAL,
  'rip',
  'rflags',
  ...SEGMENTS.flatMap((name) => [name, `${name}.base`, `${name}.limit`, `${name}.attributes`]),
  ...REST,
];

/** One value a field; bigint where the register has 64 bits. */
export type Registers = readonly (bigint | number | undefined)[];

const index = (name: string) => FIELDS.indexOf(name);
export const RAX = 0;
export const RCX = 1;
export const RDX = 2;
export const RIP = index('rip');
export const RFLAGS = index('rflags');
export const CS_BASE = index('cs.base');
export const CR2 = index('cr2');
const SEGMENT = index('es');
const LDTR = index('ldtr');
const TR = index('tr');
const GDTR = index('gdtr.base');
const IDTR = index('idtr.base');
const CR0 = index('cr0');
const CR3 = index('cr3');
const EFER = index('efer');
const DR6 = index('dr6');

const PRESENT = 0x80;
const UNUSABLE = 0x1_0000;
const TSS_BUSY = 2;

/** CF PF AF ZF SF OF. */
export const ARITHMETIC = 0x8d5;
const RF = 0x1_0000;

/** Registers of our processor. */
export function ourRegisters(cpu: Cpu): Registers {
  const { state } = cpu;
  const values: (bigint | number | undefined)[] = [];
  for (let n = 0; n < 16; n++) values.push(state.reg(n));
  values.push(state.rip, state.eflags);
  for (let n = 0; n < 8; n++) {
    const attributes = state.attributes(n);
    const usable = (attributes & UNUSABLE) === 0 && (attributes & PRESENT) !== 0;
    values.push(state.selector(n), state.base(n), usable ? state.limit(n) : 0, usable ? attributes : 0);
  }
  values.push(state.get64(L.GDTR_BASE), state.get32(L.GDTR_LIMIT), state.get64(L.IDTR_BASE), state.get32(L.IDTR_LIMIT));
  values.push(
    state.cr0,
    state.get64(L.CR2),
    state.cr3,
    state.cr4,
    state.efer,
    Number(state.dr(6)),
    Number(state.dr(7)),
  );
  values[TR + 3] = (values[TR + 3] as number) & ~TSS_BUSY;
  return values;
}

/** Outside 64-bit mode the monitor shows half of a segment's base, too, and outside long mode half of a table's. */
const isBase = (field: number): boolean =>
  (field >= SEGMENT && field < GDTR && (field - SEGMENT) % 4 === 1) || field === GDTR || field === IDTR;

/** Field numbers that differ. `ignored` holds flags that do not count. */
export function differing(ours: Registers, theirs: Registers, ignored = 0): number[] {
  const found: number[] = [];
  for (let i = 0; i < theirs.length; i++) {
    const b = theirs[i];
    if (b === undefined) continue;
    const a = ours[i]!;
    if (a === b) continue;
    if (i === RFLAGS && (((a as number) ^ (b as number)) & ~(RF | ignored)) === 0) continue;
    // Half a register: the other half is not known.
    if ((i <= RIP || isBase(i)) && theirs[8] === undefined && BigInt.asUintN(32, a as bigint) === b) continue;
    // Without a selector, LDTR and TR hold what reset left there, which is each machine's own.
    if (i >= LDTR && i < TR + 4 && theirs[i < TR ? LDTR : TR] === 0 && ours[i < TR ? LDTR : TR] === 0) continue;
    found.push(i);
  }
  return found;
}

/** Give our processor these fields of theirs; false, and nothing done, unless they are general, flags, segments or DRs. */
export function adoptRegisters(cpu: Cpu, theirs: Registers, fields: readonly number[]): boolean {
  const isSegment = (field: number) => field >= SEGMENT && field < LDTR && field !== CS_BASE;
  const isFree = (field: number) => field < RIP || field === RFLAGS || field === CR2 || field >= DR6;
  if (fields.length === 0 || !fields.every((field) => isFree(field) || isSegment(field))) return false;
  const { state } = cpu;
  for (const field of fields) {
    if (field < RIP) state.setReg(field, theirs[field] as bigint);
    else if (field === RFLAGS) state.eflags = theirs[field] as number;
    else if (field === CR2) state.set64(L.CR2, theirs[field] as bigint);
    else if (field >= DR6) state.setDr(6 + field - DR6, BigInt(theirs[field] as number));
    else {
      const n = Math.floor((field - SEGMENT) / 4);
      const [selector, base, limit, attributes] = theirs.slice(SEGMENT + 4 * n) as [number, bigint, number, number];
      state.setSegment(n, selector, base, limit, attributes === 0 ? UNUSABLE : attributes);
    }
  }
  cpu.modeChanged();
  return true;
}

/** Linear address of the next instruction. */
export function linearOf(registers: Registers): bigint {
  const rip = registers[RIP] as bigint;
  const base = registers[CS_BASE] as bigint;
  return base === 0n ? rip : BigInt.asUintN(32, rip + base);
}

/** Registers from the lines of a dump, first to last ("RAX=" or "EAX=" to "EFER="). */
export function parseDump(lines: readonly string[]): Registers {
  const values: (bigint | number | undefined)[] = new Array(FIELDS.length).fill(undefined);
  const wide = (line: string, from: number, digits: number) => BigInt(`0x${line.slice(from, from + digits)}`);
  const word = (line: string, from: number, digits = 8) => Number.parseInt(line.slice(from, from + digits), 16);
  for (const line of lines) {
    const key = line.slice(0, 3);
    switch (key) {
      // Four a line, in the order of the names.
      case 'RAX':
      case 'RSI':
      case 'R8 ':
      case 'R12':
        for (let i = 0; i < 4; i++) values[GENERAL_AT[key]![i]!] = wide(line, 4 + 21 * i, 16);
        break;
      case 'EAX':
      case 'ESI':
        for (let i = 0; i < 4; i++) values[GENERAL_AT[key]![i]!] = wide(line, 4 + 13 * i, 8);
        break;
      case 'RIP':
        values[RIP] = wide(line, 4, 16);
        values[RFLAGS] = word(line, 25);
        break;
      case 'EIP':
        values[RIP] = wide(line, 4, 8);
        values[RFLAGS] = word(line, 17);
        break;
      case 'GDT':
      case 'IDT': {
        const digits = line.length > 30 ? 16 : 8;
        const at = key === 'GDT' ? GDTR : IDTR;
        values[at] = wide(line, 9, digits);
        values[at + 1] = word(line, 10 + digits);
        break;
      }
      case 'CR0': {
        const digits = line.length > 60 ? 16 : 8;
        values[CR0] = word(line, 4);
        values[CR2] = wide(line, 17, digits);
        values[CR3] = wide(line, 22 + digits, digits);
        values[CR3 + 1] = word(line, 27 + 2 * digits);
        break;
      }
      case 'DR6':
      case 'EFE': {
        const equals = line.indexOf('=');
        const second = line.indexOf('=', equals + 1);
        const first = Number(`0x${line.slice(equals + 1, second < 0 ? undefined : line.indexOf(' ', equals))}`);
        if (key === 'EFE') values[EFER] = first;
        else {
          values[DR6] = first;
          values[DR6 + 1] = Number(`0x${line.slice(second + 1).trim()}`);
        }
        break;
      }
      default: {
        const segment = SEGMENT_KEYS[key];
        if (segment === undefined) break;
        const at = SEGMENT + 4 * segment;
        // "ES =0000 base limit flags": the flags are bits 8–23 of a descriptor's upper half, in place.
        const digits = line.charCodeAt(17) === 0x20 ? 8 : 16;
        const flags = word(line, 19 + digits);
        const present = (flags & 0x8000) !== 0;
        const attributes = (flags >>> 8) & 0xf0ff;
        values[at] = word(line, 4, 4);
        values[at + 1] = wide(line, 9, digits);
        values[at + 2] = present ? word(line, 10 + digits) : 0;
        values[at + 3] = present ? (at === TR ? attributes & ~TSS_BUSY : attributes) : 0;
      }
    }
  }
  return values;
}

const GENERAL_AT: Readonly<Record<string, readonly number[]>> = {
  RAX: [0, 3, 1, 2],
  EAX: [0, 3, 1, 2],
  RSI: [6, 7, 5, 4],
  ESI: [6, 7, 5, 4],
  'R8 ': [8, 9, 10, 11],
  R12: [12, 13, 14, 15],
};
const SEGMENT_KEYS: Readonly<Record<string, number>> = {
  'ES ': 0,
  'CS ': 1,
  'SS ': 2,
  'DS ': 3,
  'FS ': 4,
  'GS ': 5,
  LDT: 6,
  'TR ': 7,
};

/** A value for people, at the register's width. */
export function show(field: number, value: bigint | number | undefined): string {
  if (value === undefined) return '?';
  const digits = typeof value === 'bigint' ? (value >> 32n ? 16 : 8) : 8;
  const short = field >= SEGMENT && field < GDTR && (field - SEGMENT) % 4 !== 2 ? 4 : digits;
  return value.toString(16).padStart(typeof value === 'bigint' ? digits : short, '0');
}
