// SYSCALL and SYSRET as emitted code against the same in TypeScript: one instruction in a random state of 64-bit code, by
// two processors, of which one is kept from the plain case.

import test from 'ava';
import fc from 'fast-check';
import type { Bus } from '../../../src/cpu/bus.js';
import { Cpu } from '../../../src/cpu/cpu.js';
import { QEMU64_V1, X86_64_V2 } from '../../../src/cpu/cpuid.js';
import * as L from '../../../src/cpu/layout.js';
import { saveProcessor } from '../../../src/cpu/snapshot.js';
import { AC, CR0_AM, CR4_PAE, CR4_SMAP, EFER_LMA, IF, RF, TF } from '../../../src/cpu/state.js';

const CODE = 0x1000;
const PML4 = 0x3000;

function makeCpu(intel: boolean): Cpu {
  const model = intel ? X86_64_V2 : QEMU64_V1;
  const cpu = new Cpu({ model, timing: { name: 'test', nsPerCycle: 4 }, ramSize: 1 << 20, romSize: 0 });
  cpu.bus = { nextEvent: () => Number.POSITIVE_INFINITY, advance: () => {} } as unknown as Bus;
  // The lowest 2 MiB, for both rings.
  for (const [at, entry] of [
    [PML4, 0x4007],
    [0x4000, 0x5007],
    [0x5000, 0x87],
  ] as const)
    cpu.physical.write(at, Uint8Array.of(entry & 0xff, entry >> 8, 0, 0, 0, 0, 0, 0));
  return cpu;
}

interface Case {
  readonly sysret: boolean;
  readonly user: boolean;
  readonly enabled: boolean;
  readonly smap: boolean;
  readonly am: boolean;
  readonly intr: boolean;
  readonly reached: boolean;
  readonly flags: number;
  readonly rest: readonly bigint[];
}

/** Execute one instruction; how often the mode was derived, and what came of it. */
function execute(cpu: Cpu, c: Case, plain: boolean): { derived: number; end: Buffer } {
  const { state: s } = cpu;
  const [rcx, r11, star, mask, result] = c.rest as [bigint, bigint, bigint, bigint, bigint];
  cpu.reset();
  cpu.setCycle(1000);
  s.set32(L.CR0, 0x8000_0011 | (c.am ? CR0_AM : 0));
  s.set32(L.CR4, CR4_PAE | (c.smap ? CR4_SMAP : 0));
  s.set64(L.CR3, BigInt(PML4));
  s.set32(L.EFER, EFER_LMA | 0x100 | (c.enabled ? 1 : 0));
  const cpl = c.user ? 3 : 0;
  s.setSegment(L.CS, 0x08 | cpl, 0n, 0xffff_ffff, 0xa09b | (cpl << 5));
  // Any stack segment: 64-bit code does not look.
  s.setSegment(L.SS, 0x10 | cpl, 0n, 0xffff, 0x93 | (cpl << 5));
  s.set32(L.CPL, cpl);
  s.set64(L.MSR_STAR, star);
  s.set64(L.MSR_LSTAR, 0xffff_ffff_8100_0000n);
  s.set64(L.MSR_SFMASK, mask);
  s.setReg(1, rcx);
  s.setReg(11, r11);
  s.eflags = c.flags;
  s.set64(L.FLAG_RESULT, result);
  s.rip = BigInt(CODE);
  cpu.physical.write(CODE, Uint8Array.from(c.sysret ? [0x48, 0x0f, 0x07] : [0x0f, 0x05]));
  s.set32(L.INTR, c.intr ? 1 : 0);
  s.set32(L.NMI_PENDING, 0);
  s.set32(L.USER_REACHED, c.reached ? 1 : 0);
  cpu.modeChanged();
  s.set32(L.EXIT_REQUEST, 0);
  // An SMI that waits keeps it from the plain case, and is taken by the loop alone, which does not run here.
  s.set32(L.SMI_PENDING, plain ? 0 : 1);
  let derived = 0;
  const modeChanged = cpu.modeChanged.bind(cpu);
  cpu.modeChanged = () => {
    derived++;
    modeChanged();
  };
  const going = cpu.step();
  cpu.modeChanged = modeChanged;
  const waits = s.get32(L.SMI_PENDING);
  s.set32(L.SMI_PENDING, 0);
  const fields = [L.MODE, L.DATA_TLB, L.CODE_KEY, L.STACK_CHECKED, L.STACK_MASK + 4, L.IP_MASK + 4, L.ADDRESS_MASK + 4];
  const known = Buffer.from(Uint32Array.from([...fields.map((at) => s.get32(at)), cpu.now, +going]).buffer);
  if (waits !== (plain ? 0 : 1)) throw new Error('the SMI was taken');
  return { derived, end: Buffer.concat([saveProcessor(cpu), known]) };
}

const half = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const mostly = fc.integer({ min: 0, max: 7 }).map((n) => n > 0);
const rarely = fc.integer({ min: 0, max: 7 }).map((n) => n === 0);
const cases: fc.Arbitrary<Case> = fc.record({
  sysret: fc.boolean(),
  user: fc.boolean(),
  enabled: mostly,
  smap: fc.boolean(),
  am: rarely,
  intr: rarely,
  reached: mostly,
  flags: fc.tuple(fc.integer({ min: 0, max: 0x3f_ffff }), rarely, rarely, rarely).map(([flags, tf, rf, ac]) => {
    const without = flags & 0x3f_7fd7 & ~(TF | RF | AC | (1 << 17));
    return without | (tf ? TF : 0) | (rf ? RF : 0) | (ac ? AC : 0);
  }),
  rest: fc
    .tuple(half, rarely, half, rarely, half, half, fc.constantFrom(0n, 1n, 1n << 63n))
    .map(([rcx, wild, r11, tf, star, mask, result]) => [
      wild ? rcx : BigInt.asUintN(64, BigInt.asIntN(47, rcx)),
      tf ? r11 : r11 & ~BigInt(TF | AC),
      star,
      mask,
      result,
    ]),
});

for (const intel of [false, true])
  test(`SYSCALL and SYSRET end alike by emitted code and by TypeScript, ${intel ? 'Intel' : 'AMD'}`, (t) => {
    const cpus = [makeCpu(intel), makeCpu(intel)] as const;
    let emitted = 0;
    fc.assert(
      fc.property(cases, (c) => {
        const a = execute(cpus[0], c, true);
        const b = execute(cpus[1], c, false);
        if (a.derived === 0 && b.derived > 0) emitted++;
        return a.end.equals(b.end);
      }),
      { numRuns: 2000, seed: 1 },
    );
    t.true(emitted > 500);
  });

test('an interrupt that waits is taken at once behind a SYSRET that lets it', (t) => {
  const cpu = makeCpu(false);
  const c: Case = {
    ...{ sysret: true, user: false, enabled: true, smap: false, am: false, intr: true, reached: true, flags: 2 },
    rest: [0x1000n, BigInt(IF), 0n, 0n, 1n],
  };
  execute(cpu, c, true);
  t.is(cpu.state.get32(L.EXIT_REQUEST), 1);
});
