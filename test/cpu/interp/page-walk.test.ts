// The emitted page walk against the one in TypeScript: the same accesses through random tables by two processors, of which
// one has its emitted walk give up. Faults, registers, memory, page flags, what was observed, and TLBs are the same.

import test from 'ava';
import fc from 'fast-check';
import { QEMU64_V1 } from '../../../src/cpu/cpuid.js';
import { allRows } from '../../../src/cpu/isa/rows.js';
import * as L from '../../../src/cpu/layout.js';
import { ModeDeriver } from '../../../src/cpu/mode.js';
import { PAGE_CODE } from '../../../src/cpu/physical.js';
import { AC, CR0_AM, CR0_WP, CR4_PAE, CR4_PGE, CR4_PSE, CR4_SMAP, EFER_LMA, EFER_NXE } from '../../../src/cpu/state.js';
import { BareMachine } from '../bare-machine.js';

const RAM = 1 << 20;
const TABLES = 0x1000;
const LOADED = 0x20;
const CODE_PAGE = 0x22;
const ROM_PAGE = 0x101;

class Walker extends BareMachine {
  /** Times that an access came to TypeScript. */
  slowAccesses = 0;

  constructor(private readonly emitted: boolean) {
    super({
      rows: allRows.filter(({ mnemonic }) => mnemonic === 'MOV' || mnemonic === 'ADD'),
      model: QEMU64_V1,
      ram: RAM,
      code: 0x8_0000,
    });
    for (const name of ['read', 'write', 'modify'] as const) {
      const slow = this.slow[name].bind(this.slow) as (...access: [number, number, number, number]) => number;
      (this.slow as unknown as Record<string, typeof slow>)[name] = (...access) => {
        this.slowAccesses++;
        return slow(...access);
      };
    }
    this.physical.mapRom(ROM_PAGE * 4096, 4096);
  }

  begin(c: Case): void {
    const s = this.state;
    this.ram.fill(0x5a, 0, 0x4_0000);
    this.physical.flags.fill(0, 0, 0x100);
    this.forgetObserved();
    this.physical.track(LOADED * 4096, 4096 * 2);
    if (c.tracked) this.physical.track(TABLES, 4096);
    this.physical.flags[CODE_PAGE] = PAGE_CODE;
    const table = new DataView(this.ram.buffer, this.ram.byteOffset);
    if (c.long) for (const level of [0, 1, 2]) table.setBigUint64(TABLES + level * 4096, c.upper[level]!, true);
    else {
      // A page directory, then the page table that is the last of the four.
      table.setUint32(TABLES, Number(BigInt.asUintN(32, c.upper[2]!)), true);
    }
    c.leaves.forEach((leaf, n) => {
      if (c.long) table.setBigUint64(TABLES + 3 * 4096 + n * 8, leaf, true);
      else table.setUint32(TABLES + 3 * 4096 + n * 4, Number(BigInt.asUintN(32, leaf)), true);
    });
    s.set32(L.CR0, (0x8000_0011 | (c.wp ? CR0_WP : 0) | (c.am ? CR0_AM : 0)) >>> 0);
    s.set32(L.CR4, (c.long ? CR4_PAE : 0) | (c.smap ? CR4_SMAP : 0) | (c.pge ? CR4_PGE : 0) | (c.pse ? CR4_PSE : 0));
    s.set32(L.EFER, c.long ? EFER_LMA | 0x100 | (c.nxe ? EFER_NXE : 0) : 0);
    s.set64(L.CR3, BigInt(TABLES));
    const cpl = c.user ? 3 : 0;
    s.setSegment(L.CS, 8 | cpl, 0n, 0xffff_ffff, c.long ? 0xa09b : 0xc09b);
    for (const segment of [L.DS, L.SS, L.ES]) s.setSegment(segment, 16 | cpl, 0n, 0xffff_ffff, 0xc093);
    s.set32(L.CPL, cpl);
    s.set32(L.EFLAGS, c.ac ? AC | 2 : 2);
    new ModeDeriver().derive(s, false);
    this.mmu.flush(false);
    // An address mask that is not all ones, where only the emitted walk looks.
    if (!this.emitted) s.set32(L.A20_MASK, 0);
  }

  /** Nothing is loaded any more. */
  private forgetObserved(): void {
    const observed = this.physical.observed as unknown as {
      readonly partial: Map<number, unknown>;
      readonly masks: Map<number, unknown>;
      readonly room: { readonly buffer: ArrayBuffer; readonly base: number; readonly records: Uint32Array };
      used: number;
    };
    new Uint8Array(observed.room.buffer, observed.room.base, observed.used).fill(0);
    observed.room.records.fill(0, 0, RAM >>> 12);
    observed.partial.clear();
    observed.masks.clear();
    observed.used = 0;
  }

  access({ linear, instruction, flush }: Access, long: boolean): string {
    const s = this.state;
    if (flush === 'local') this.mmu.flush(true);
    else if (flush === 'page') this.mmu.flushPage(Number(linear & 0xffff_ffffn), Number(linear >> 32n));
    s.setReg(0, 0x0123_4567_89ab_cdefn);
    s.setReg(3, long ? linear : linear & 0xffff_ffffn);
    s.set32(L.ABORT, 0);
    const vector = this.execute(instruction, long ? 64 : 32);
    return `${instruction} ${linear.toString(16)} ${vector} ${s.reg(0).toString(16)}`;
  }

  /** All that an access may change. */
  get end(): string {
    const { state: s, physical } = this;
    const tlbs = s.u8.subarray(L.DATA_TLB_USER, L.DATA_TLB_NONE);
    const flags = physical.flags.subarray(0, 0x200);
    const parts = [this.ram.subarray(0, 0x4_0000), flags, tlbs, physical.observed.save()];
    return parts.map((part) => Buffer.from(part).toString('latin1')).join('|');
  }
}

interface Access {
  readonly linear: bigint;
  readonly instruction: readonly number[];
  readonly flush: 'none' | 'local' | 'page';
}
interface Case {
  readonly long: boolean;
  readonly user: boolean;
  readonly wp: boolean;
  readonly am: boolean;
  readonly ac: boolean;
  readonly smap: boolean;
  readonly pge: boolean;
  readonly pse: boolean;
  readonly nxe: boolean;
  /** The tables' reads are counted. */
  readonly tracked: boolean;
  readonly upper: readonly bigint[];
  readonly leaves: readonly bigint[];
  readonly accesses: readonly Access[];
}

/** Present, writable, user, accessed and dirty; now and then with some bit different, of those that may matter. */
const BITS = [0, 1, 1, 2, 2, 5, 5, 6, 6, 6, 7, 8, 8, 13, 21, 32, 40, 51, 52, 58, 63, 63];
const rights = fc
  .array(fc.constantFrom(...BITS), { maxLength: 2 })
  .chain((bits) =>
    fc.boolean().map((plain) => (plain ? 0x67n : bits.reduce((v, bit) => v ^ (1n << BigInt(bit)), 0x67n))),
  );
const upper = fc.tuple(rights, rights, rights, fc.integer({ min: 0, max: 3 })).map(([a, b, c, large]) => [
  (a & ~0x80n) ^ 0x2000n,
  (b & ~0x80n) ^ 0x3000n,
  // A page table, or a large page over the lowest memory.
  large === 0 ? c | 0x80n : (c & ~0x80n) ^ 0x4000n,
]);
const frames = [0x10, 0x11, 0x12, LOADED, LOADED + 1, CODE_PAGE, 0x4, ROM_PAGE, 0x180, 0x10_0005];
const leaf = fc.tuple(rights, fc.constantFrom(...frames)).map(([bits, frame]) => bits ^ (BigInt(frame) << 12n));
const REX = 0x48;
const instructions = [
  [0x8a, 0x03],
  [0x8b, 0x03],
  [0x66, 0x8b, 0x03],
  [0x88, 0x03],
  [0x89, 0x03],
  [0x01, 0x03],
  [0x03, 0x03],
];
const access = (long: boolean) =>
  fc
    .record({
      page: fc.nat(5),
      offset: fc.oneof(fc.nat(4095), fc.integer({ min: 4088, max: 4095 }), fc.nat(16)),
      far: fc.integer({ min: 0, max: 31 }).map((n) => n === 0),
      instruction: fc.constantFrom(...instructions),
      wide: fc.boolean(),
      flush: fc.constantFrom('none', 'none', 'none', 'local', 'page'),
    })
    .map(({ page, offset, far, instruction, wide, flush }): Access => {
      const linear = BigInt(page * 4096 + offset) | (far ? 1n << 47n : 0n);
      const whole = long && wide && instruction[0] !== 0x66 ? [REX, ...instruction] : instruction;
      return { linear, instruction: whole, flush: flush as Access['flush'] };
    });
const flag = fc.boolean();
const rarely = fc.nat(7).map((n) => n === 0);
const cases = flag.chain((long) =>
  fc.record({
    ...{ long: fc.constant(long), user: flag, wp: flag, am: rarely, ac: rarely, smap: flag, pge: flag, pse: flag },
    ...{ nxe: flag, tracked: rarely, upper, leaves: fc.array(leaf, { minLength: 6, maxLength: 6 }) },
    accesses: fc.array(access(long), { minLength: 1, maxLength: 12 }),
  }),
);

test('the emitted walk leaves all as the one in TypeScript does', (t) => {
  const emitted = new Walker(true);
  const plain = new Walker(false);
  fc.assert(
    fc.property(cases, (c) => {
      emitted.begin(c);
      plain.begin(c);
      for (const one of c.accesses) t.is(emitted.access(one, c.long), plain.access(one, c.long));
      t.true(emitted.end === plain.end, 'memory, flags, TLBs, what was observed');
    }),
    { numRuns: 3000, seed: 7 },
  );
  t.true(plain.slowAccesses - emitted.slowAccesses > 1500, `${emitted.slowAccesses} of ${plain.slowAccesses}`);
});
