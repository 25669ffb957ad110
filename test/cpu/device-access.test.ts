// Devices accessed in the middle of blocks and at their ends: a device that raises interrupts, arms timers, writes over
// code, moves A20 and asks for stops as it is accessed sees the same accesses at the same cycles, from the same
// instructions, and the guest ends in the same state, whether instructions that access it go alone, stay in their block,
// or are translated, in one go and cut into slices.

import test from 'ava';
import fc from 'fast-check';
import type { Bus } from '../../src/cpu/bus.js';
import { Cpu } from '../../src/cpu/cpu.js';
import { QEMU64_V1 } from '../../src/cpu/cpuid.js';
import { DeviceAccess } from '../../src/cpu/device-access.js';
import { Translator } from '../../src/cpu/jit/translator.js';
import * as L from '../../src/cpu/layout.js';
import { RunLoop } from '../../src/cpu/run-loop.js';
import { saveProcessor } from '../../src/cpu/snapshot.js';
import { IF } from '../../src/cpu/state.js';

const DEVICE = 0x3_0000;
const SIZE = 0x1_0000;
const CODE = 0x8000;
const HANDLER = 0x9000;
const VECTOR = 0x20;

/** Instructions that access the device at DS:0x40 on, ports, or neither; `imm` is a byte that the device may write over. */
const instructions = {
  store: [0x89, 0x06, 0x40, 0x00],
  storeByte: [0x88, 0x26, 0x43, 0x00],
  storeWide: [0x66, 0x89, 0x1e, 0x42, 0x00],
  storeImm: [0xc7, 0x06, 0x40, 0x00, 0x34, 0x12],
  storeMoffs: [0xa3, 0x44, 0x00],
  load: [0x8b, 0x16, 0x40, 0x00],
  loadMoffs: [0x66, 0xa1, 0x48, 0x00],
  movzx: [0x0f, 0xb6, 0x1e, 0x41, 0x00],
  movsx: [0x66, 0x0f, 0xbf, 0x1e, 0x46, 0x00],
  compare: [0x39, 0x06, 0x40, 0x00],
  testByte: [0xf6, 0x06, 0x42, 0x00, 0x81],
  adc: [0x15, 0x01, 0x00],
  read: [0xec],
  write: [0xee],
  push: [0xff, 0x36, 0x40, 0x00, 0x5d],
  modify: [0x01, 0x06, 0x40, 0x00],
  over: [0x8b, 0x16, 0xfe, 0xff],
  plain: [0x05, 0x11, 0x01],
  shift: [0xd1, 0xc3],
  sti: [0xfb],
  jump: [0xeb, 0x00],
  skip: [0x75, 0x01, 0x43],
} as const;
type Name = keyof typeof instructions;
const behaviours = ['none', 'none', 'none', 'intr', 'soon', 'late', 'code', 'a20', 'nmi', 'exit'] as const;

interface Case {
  readonly names: readonly Name[];
  readonly behaviours: readonly (typeof behaviours)[number][];
  readonly slices: readonly number[];
}
const cases: fc.Arbitrary<Case> = fc.record({
  names: fc.array(fc.constantFrom(...(Object.keys(instructions) as Name[])), { minLength: 1, maxLength: 24 }),
  behaviours: fc.array(fc.constantFrom(...behaviours), { minLength: 1, maxLength: 30 }),
  slices: fc.array(fc.integer({ min: 1, max: 3000 }), { maxLength: 4 }),
});

function run({ names, behaviours }: Case, slices: readonly number[], translated: boolean) {
  const cpu = new Cpu({ model: QEMU64_V1, timing: { name: 'test', nsPerCycle: 4 }, ramSize: 2 << 20, romSize: 0 });
  const log: string[] = [];
  let due = Number.POSITIVE_INFINITY;
  let [accesses, stops] = [0, 0];
  const code = [...names.flatMap((name) => instructions[name]), 0x49, 0x0f, 0x85, 0, 0];
  const access = (what: string, address: number): number => {
    log.push(`${what} ${address.toString(16)} at ${cpu.cycle} from ${cpu.ipLow.toString(16)}`);
    const behaviour = behaviours[accesses++ % behaviours.length]!;
    if (behaviour === 'intr') cpu.setIntr(true);
    else if (behaviour === 'soon') due = cpu.cycle + 3 + (accesses % 7);
    else if (behaviour === 'late') due = cpu.cycle + 5000;
    else if (behaviour === 'nmi') cpu.pulseNmi();
    else if (behaviour === 'a20') cpu.setA20(accesses % 2 === 0);
    else if (behaviour === 'exit') cpu.requestExit();
    else if (behaviour === 'code') {
      // The operand of an instruction, wherever it lies.
      const at = code.findIndex((byte, n) => byte === 0x05 && code[n + 2] === 0x01);
      if (at >= 0) cpu.physical.write(CODE + at + 1, Uint8Array.of(accesses & 0xff));
    }
    return (accesses * 0x1357_9bdf) >>> 0;
  };
  const mask = (size: number) => 2 ** (8 * size) - 1;
  const bus: Bus = {
    portRead: (port, size) => (access('in', port) & mask(size)) >>> 0,
    portWrite: (port, _size, value) => void access(`out ${value}`, port),
    portReadString: (_port, size, count) => new Uint8Array(size * count),
    portWriteString: () => {},
    mmioRead: (address, size) => (access('read', address) & mask(size)) >>> 0,
    mmioWrite: (address, size, value) => void access(`write ${size} ${value}`, address),
    mmioString: () => false,
    mmioReadString: (_address, size, count) => new Uint8Array(size * count),
    mmioWriteString: () => {},
    msrRead: () => 0n,
    msrWrite: () => {},
    acknowledge: () => {
      log.push(`acknowledge at ${cpu.now}`);
      cpu.setIntr(false);
      return VECTOR;
    },
    advance: (cycle) => {
      if (cycle < due) return;
      log.push(`due at ${cycle}`);
      due = Number.POSITIVE_INFINITY;
      cpu.setIntr(true);
    },
    nextEvent: () => due,
  };
  cpu.bus = bus;
  cpu.physical.hide(DEVICE, SIZE);
  const back = -code.length;
  code.splice(-2, 2, back & 0xff, (back >> 8) & 0xff);
  cpu.physical.write(CODE, Uint8Array.from(code));
  // The handler and that of NMI count.
  cpu.physical.write(HANDLER, Uint8Array.of(0x45, 0xcf));
  for (const vector of [2, VECTOR]) cpu.physical.write(4 * vector, Uint8Array.of(0, HANDLER >> 8, 0, 0));
  const s = cpu.state;
  for (const [segment, base] of [
    [L.CS, 0],
    [L.DS, DEVICE],
    [L.ES, 0],
  ] as const) {
    s.set32(L.SEGMENTS + L.SEGMENT_SIZE * segment + L.SEG_SELECTOR, base >> 4);
    s.set64(L.SEGMENTS + L.SEGMENT_SIZE * segment + L.SEG_BASE, BigInt(base));
  }
  s.setReg(1, 40n);
  s.setReg(4, 0x7000n);
  s.set32(L.EFLAGS, 2 | IF);
  s.rip = BigInt(CODE);
  cpu.modeChanged();
  cpu.setBreakpoint(BigInt(CODE + code.length));
  let translator: Translator | undefined;
  if (translated)
    cpu.translateBy((parts) => (translator = new Translator(parts, { threshold: () => 3, batch: 1, patience: 0 })));
  for (;;) {
    const slice = slices.length === 0 ? 1e6 : slices[stops++ % slices.length]!;
    if (cpu.runUntil(cpu.now + slice).reason !== 'until-cycle' || cpu.now > 1e6) break;
  }
  const registers = Array.from({ length: 8 }, (_, n) => s.reg(n).toString(16)).join();
  const end = `${s.rip.toString(16)} at ${cpu.now}, ${cpu.instructions} instructions, ${registers}`;
  return { log, end, saved: saveProcessor(cpu), blocks: translator?.counts.blocks ?? 0 };
}

/** As if no access could be made in its block. */
function alone<T>(body: () => T): T {
  const access = DeviceAccess.prototype;
  const { begin } = access;
  const undisturbed = Object.getOwnPropertyDescriptor(RunLoop.prototype, 'undisturbed')!;
  access.begin = () => false;
  Object.defineProperty(RunLoop.prototype, 'undisturbed', { configurable: true, get: () => false });
  try {
    return body();
  } finally {
    access.begin = begin;
    Object.defineProperty(RunLoop.prototype, 'undisturbed', undisturbed);
  }
}

test.serial('a device sees the same of an instruction alone, in its block, and translated', (t) => {
  let translated = 0;
  fc.assert(
    fc.property(cases, (c) => {
      const { log, end, saved } = alone(() => run(c, [], false));
      const ways = [run(c, [], false), run(c, c.slices, false), run(c, [], true), run(c, c.slices, true)];
      for (const way of ways) {
        t.deepEqual(way.log, log);
        t.is(way.end, end);
        t.deepEqual(way.saved, saved);
        translated += way.blocks;
      }
    }),
    { numRuns: 60 },
  );
  t.true(translated > 100);
});

test.serial('most accesses leave the processor in its block', (t) => {
  const access = DeviceAccess.prototype;
  const { end } = access;
  let [stayed, left] = [0, 0];
  access.end = function (this: DeviceAccess) {
    const stays = end.call(this);
    if (stays) stayed++;
    else left++;
    return stays;
  };
  try {
    run(
      { names: ['store', 'load', 'compare', 'plain'], behaviours: ['none', 'none', 'none', 'intr'], slices: [] },
      [],
      true,
    );
  } finally {
    access.end = end;
  }
  t.true(stayed > 80, `${stayed} stayed, ${left} left`);
  t.true(left > 20, `${stayed} stayed, ${left} left`);
});
