// Page walks against tables made by hand (SDM vol. 3A, chapter 4).

import test from 'ava';
import * as L from '../../src/cpu/layout.js';
import { Mmu } from '../../src/cpu/mmu.js';
import { PhysicalMemory } from '../../src/cpu/physical.js';
import { CpuState, Fault } from '../../src/cpu/state.js';

const RAM = 1 << 20;
const P = 1n;
const RW = 2n;
const US = 4n;
const PS = 0x80n;
const G = 0x100n;
const NX = 1n << 63n;
const CR0 = 0x8001_0001;
const PAE = 0x20;

class Rig {
  readonly state = new CpuState(new WebAssembly.Memory({ initial: L.wasmPages(RAM, 0) }));
  readonly physical = new PhysicalMemory(this.state, RAM);
  readonly mmu = new Mmu(this.state, this.physical);

  constructor({ cr4 = PAE, efer = 0xd00, cr0 = CR0 }: { cr4?: number; efer?: number; cr0?: number } = {}) {
    this.state.set32(L.CR0, cr0);
    this.state.set32(L.CR4, cr4);
    this.state.set32(L.EFER, efer);
    this.state.set64(L.CR3, 0x1000n);
  }
  put64(at: number, value: bigint): void {
    const data = new Uint8Array(8);
    new DataView(data.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
    this.physical.write(at, data);
  }
  put32(at: number, value: number): void {
    const data = new Uint8Array(4);
    new DataView(data.buffer).setUint32(0, value, true);
    this.physical.write(at, data);
  }
  get32(at: number): number {
    return this.physical.read32(at);
  }
  /** PML4 1000 → PDPT 2000 → PD 3000 → PT 4000 → `leaf` for linear 0. */
  fourLevels(leaf: bigint, upper = P | RW | US): this {
    this.put64(0x1000, 0x2000n | upper);
    this.put64(0x2000, 0x3000n | upper);
    this.put64(0x3000, 0x4000n | upper);
    this.put64(0x4000, leaf);
    return this;
  }
  /** Error code of the #PF, or the physical address. */
  access(linear: number, how: { write?: boolean; user?: boolean; fetch?: boolean } = {}): number | string {
    try {
      return this.mmu.translate(linear, 0, how.write === true, how.user === true, how.fetch === true);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      return `#${error.vector}(${error.errorCode}) ${error.address?.toString(16)}`;
    }
  }
}

test('without paging an address is itself', (t) => {
  t.is(new Rig({ cr0: 1 }).access(0x12345), 0x12345);
});

test('a 4-level walk sets accessed bits on the way and dirty on a write', (t) => {
  const rig = new Rig().fourLevels(0x9000n | P | RW | US);
  t.is(rig.access(0x123), 0x9123);
  t.deepEqual(
    [0x1000, 0x2000, 0x3000, 0x4000].map((at) => rig.get32(at) & 0x60),
    [0x20, 0x20, 0x20, 0x20],
  );
  rig.access(0x123, { write: true });
  t.is(rig.get32(0x4000) & 0x60, 0x60);
});

test('a walk that faults marks no entry', (t) => {
  const marks = (rig: Rig) => [0x1000, 0x2000, 0x3000, 0x4000].map((at) => rig.get32(at) & 0x60);
  const absent = new Rig().fourLevels(0n);
  t.is(absent.access(0), '#14(0) 0');
  t.deepEqual(marks(absent), [0, 0, 0, 0]);
  const readOnly = new Rig().fourLevels(0x9000n | P | US);
  t.is(readOnly.access(0, { write: true }), '#14(3) 0');
  t.deepEqual(marks(readOnly), [0, 0, 0, 0]);
  t.is(readOnly.access(0), 0x9000, 'what the failed walk had found is not marked later');
  t.deepEqual(marks(readOnly), [0x20, 0x20, 0x20, 0x20]);
});

test('rights are those of all levels together, with the error code of the access', (t) => {
  const rig = new Rig().fourLevels(0x9000n | P);
  t.is(rig.access(0, { user: true }), '#14(5) 0');
  t.is(rig.access(0, { user: true, write: true }), '#14(7) 0');
  t.is(rig.access(0x10, { write: true }), '#14(3) 10', 'CR0.WP protects from the supervisor');
  rig.state.set32(L.CR0, CR0 & ~0x1_0000);
  t.is(rig.access(0x10, { write: true }), 0x9010);
  t.is(new Rig().fourLevels(0x9000n | P | RW | US, P | US).access(0, { write: true, user: true }), '#14(7) 0');
});

test('an absent entry at any level is a fault without P', (t) => {
  t.is(new Rig().access(0x4567, { write: true }), '#14(2) 4567');
  t.is(new Rig().fourLevels(0n).access(0x4567, { user: true }), '#14(4) 4567');
});

test('NX and SMEP and SMAP guard fetches and supervisor accesses', (t) => {
  t.is(new Rig().fourLevels(0x9000n | P | NX).access(0, { fetch: true }), '#14(17) 0');
  t.is(new Rig({ cr4: PAE | 0x10_0000 }).fourLevels(0x9000n | P | US).access(0, { fetch: true }), '#14(17) 0');
  const smap = new Rig({ cr4: PAE | 0x20_0000 }).fourLevels(0x9000n | P | US | RW);
  t.is(smap.access(0), '#14(1) 0');
  smap.state.set32(L.EFLAGS, 0x4_0002);
  t.is(smap.access(0), 0x9000, 'EFLAGS.AC lifts it');
  t.is(smap.access(0, { user: true }), 0x9000);
});

test('reserved bits are a fault with RSVD', (t) => {
  t.is(new Rig().fourLevels(0x9000n | P | (1n << 51n)).access(0), '#14(9) 0');
  t.is(new Rig({ efer: 0x500 }).fourLevels(0x9000n | P | NX).access(0), '#14(9) 0', 'NX without EFER.NXE');
});

test('large pages of 2 MiB and 4 MiB; one of 1 GiB is a reserved bit', (t) => {
  const two = new Rig().fourLevels(0n);
  two.put64(0x3000, 0x20_0000n | P | RW | PS);
  t.is(two.access(0x1_2345), 0x21_2345);
  two.put64(0x3000, 0x20_2000n | P | RW | PS);
  t.is(two.access(0), '#14(9) 0', 'bits below the frame are reserved');
  const one = new Rig().fourLevels(0n);
  one.put64(0x2000, 0x4000_0000n | P | RW | PS);
  t.is(one.access(0x1234_5678), '#14(9) 12345678', 'no model has CPUID.PDPE1GB');
  const four = new Rig({ cr4: 0x10, efer: 0 });
  four.put32(0x1000 + 4, 0x0080_0083);
  t.is(four.access(0x0041_2345), 0x0081_2345);
});

test('32-bit paging in two levels, and PAE from the loaded pointers', (t) => {
  const legacy = new Rig({ cr4: 0, efer: 0 });
  legacy.put32(0x1000 + 4, 0x2007);
  legacy.put32(0x2000 + 4 * 5, 0x7007);
  t.is(legacy.access(0x0040_5678, { user: true, write: true }), 0x7678);
  const pae = new Rig({ efer: 0 });
  pae.state.set64(L.PDPTES + 8, 0x3001n);
  pae.put64(0x3000, 0x4007n);
  pae.put64(0x4000, 0x8007n);
  t.is(pae.access(0x4000_0abc, { user: true }), 0x8abc);
  t.is(pae.access(0x8000_0000), '#14(0) 80000000');
});

test('one INVLPG drops every piece of a large page, and no other page', (t) => {
  const rig = new Rig({ cr4: 0x10, efer: 0 });
  rig.put32(0x1000, 0x0000_0083);
  rig.put32(0x1000 + 4, 0x0000_0083);
  const tag = (linear: number) =>
    rig.state.get32(L.DATA_TLB_OPEN + ((linear >>> 12) % L.TLB_ENTRIES) * L.TLB_ENTRY_SIZE + L.TLB_READ) >>> 0;
  const pages = [0x0003_0000, 0x0040_1000, 0x0048_2000];
  for (const page of pages) {
    rig.access(page);
    rig.mmu.install(page, 0, L.DATA_TLB_OPEN);
  }
  t.deepEqual(pages.map(tag), pages);
  rig.mmu.flushPage(0x007f_f000, 0);
  t.deepEqual(pages.map(tag), [0x0003_0000, 1, 1]);
});

test('global pages survive a flush that keeps them', (t) => {
  const rig = new Rig({ cr4: PAE | 0x80 }).fourLevels(0x9000n | P | RW | G);
  rig.access(0);
  rig.mmu.install(0, 0, L.DATA_TLB_OPEN);
  const tag = () => rig.state.get32(L.DATA_TLB_OPEN + L.TLB_READ);
  t.is(tag(), 0);
  rig.mmu.flush(true);
  t.is(tag(), 0);
  rig.mmu.flush(false);
  t.is(tag() & 0xfff, 1, 'no address has this tag');
});
