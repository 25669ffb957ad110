// The processor before an instruction, for the two sides of a divergence: registers, and the code around as a listing.
// Code before the instruction is read backwards by trying: the start from which decoding meets the instruction.

import { entryState } from '../api/handoff.js';
import type { Cpu } from '../cpu/cpu.js';
import * as L from '../cpu/layout.js';
import { peekMemory } from '../cpu/peek.js';
import { MODE_CS32 } from '../cpu/state.js';
import { disassemble } from '../diff/disassemble.js';
import type { ListedInstruction, MachineView } from './payload.js';

/** Bytes that are looked at before the instruction. */
const BEFORE = 48;
const [LINES_BEFORE, LINES_AFTER] = [6, 8];
const CS = 1;
const hex = (value: number | bigint, digits: number): string => `0x${value.toString(16).padStart(digits, '0')}`;

interface Line {
  at: number;
  length: number;
  text: string;
  bytes: string;
}

export function machineView(cpu: Cpu): MachineView {
  const { state } = cpu;
  const bits = state.is64 ? 64 : (state.mode & MODE_CS32) !== 0 ? 32 : 16;
  const digits = bits === 64 ? 16 : 8;
  const { registers, segments, rip, rflags, cr0, cr3, cr4, efer } = entryState(cpu);
  const general = Object.entries(registers).filter(([name]) => bits === 64 || !/^r\d/.test(name));
  const rows: [string, string][] = [
    ['rip', hex(rip, digits)],
    ...general.map(([name, value]): [string, string] => [name, hex(value, digits)]),
    ['rflags', hex(rflags, 8)],
    ...Object.entries(segments)
      .slice(0, 6)
      .map(([name, { selector, base }]): [string, string] => [name, `${hex(selector, 4)} base ${hex(base, 0)}`]),
    ['cr0', hex(cr0, 8)],
    ['cr2', hex(state.get64(L.CR2), digits)],
    ['cr3', hex(cr3, digits)],
    ['cr4', hex(cr4, 8)],
    ['efer', hex(efer, 8)],
  ];
  return { cycle: cpu.now, registers: rows, listing: listingOf(cpu, bits) };
}

function listingOf(cpu: Cpu, bits: 16 | 32 | 64): ListedInstruction[] {
  const { state, physical } = cpu;
  const here = bits === 64 ? state.rip : BigInt.asUintN(32, state.rip + state.base(CS));
  const start = here >= BigInt(BEFORE) ? here - BigInt(BEFORE) : 0n;
  const offset = Number(here - start);
  const before = peekMemory(state, physical, start, offset);
  // Where the page before is not mapped, there is nothing before.
  const known = before.length === offset ? before : new Uint8Array(0);
  const code = Uint8Array.from([...known, ...peekMemory(state, physical, here, 15 * (LINES_AFTER + 1))]);
  const base = here - BigInt(known.length);
  const decode = (at: number): Line => {
    const { text, bytes } = disassemble({ bits, bytes: code.subarray(at, at + 15) }, base + BigInt(at));
    return { at, length: text === '(bad)' ? 1 : bytes.length / 2, text, bytes };
  };
  const lines = backwards(known.length, decode).slice(-LINES_BEFORE);
  for (let at = known.length, n = 0; n <= LINES_AFTER && at < code.length; n++) {
    const line = decode(at);
    lines.push(line);
    at += line.length;
  }
  return lines.map(({ at, text, bytes }) => {
    const address = base + BigInt(at);
    return { address: hex(address, 0), bytes, text, here: address === here };
  });
}

/** The same with names, which may be known only when the replay is over. */
export function named(view: MachineView, symbol: (address: bigint) => string | undefined): MachineView {
  const listing = view.listing.map((line) => {
    const name = symbol(BigInt(line.address));
    return name === undefined ? line : { ...line, symbol: name };
  });
  return { ...view, listing };
}

/** Instructions up to `end`: of the starts from which decoding arrives there, the earliest that meets nothing bad. */
function backwards(end: number, decode: (at: number) => Line): Line[] {
  for (let start = 0; start < end; start++) {
    const lines: Line[] = [];
    let at = start;
    while (at < end) {
      const line = decode(at);
      if (line.text === '(bad)') break;
      lines.push(line);
      at += line.length;
    }
    if (at === end) return lines;
  }
  return [];
}
