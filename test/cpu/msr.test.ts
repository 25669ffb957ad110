import test from 'ava';
import fc from 'fast-check';
import { X86_64_V2 } from '../../src/cpu/cpuid.js';
import * as L from '../../src/cpu/layout.js';
import { MSRS, msrName, readMsr, SILENT_MSRS, writeMsr } from '../../src/cpu/msr.js';
import { FakeCore, faultOf, longCore, protectedCore } from './system/fake-core.js';

// What QEMU 7.2 TCG answers after reset: [address, value].
const RESET_VALUES: readonly (readonly [number, bigint])[] = [
  [0x1b, 0xfee0_0900n],
  [0x35, 0x1_0001n],
  [0x8b, 0x0100_0065n],
  [0xfe, 0x508n],
  [0x179, 0x0100_010an],
  [0x17a, 0n],
  [0x17b, 0xffff_ffff_ffff_ffffn],
  [0x198, 0x0000_0400_0000_03e8n],
  [0x1a0, 1n],
  [0x277, 0x0007_0406_0007_0406n],
  [0x2ff, 0n],
  [0x400, 0xffff_ffff_ffff_ffffn],
  [0x401, 0n],
  [0x428, 0n],
  [0xc000_0080, 0n],
  [0xc000_0103, 0n],
];
for (const [address, value] of RESET_VALUES) {
  test(`MSR ${address.toString(16)} resets to ${value.toString(16)}`, (t) => {
    t.is(readMsr(new FakeCore(), address), value);
  });
}

test('the microcode revision is the vendor’s', (t) => {
  t.is(readMsr(new FakeCore(X86_64_V2), 0x8b), 0x1_0000_0000n);
});

test('unknown MSRs read 0 and drop writes, as TCG has it', (t) => {
  const core = new FakeCore();
  for (const address of [...SILENT_MSRS.keys(), 0x1234, 0xdead_beef]) {
    writeMsr(core, address, 0x1234n);
    t.is(readMsr(core, address), 0n);
  }
});

test('without an x2APIC its registers are #GP', (t) => {
  const core = new FakeCore(X86_64_V2);
  for (const address of [0x800, 0x80b, 0x8ff]) {
    t.like(
      t.throws(() => readMsr(core, address), { any: true }),
      { vector: 13, errorCode: 0 },
    );
    t.like(
      t.throws(() => writeMsr(core, address, 0n), { any: true }),
      { vector: 13, errorCode: 0 },
    );
  }
  t.is(readMsr(core, 0x7ff), 0n);
  t.is(readMsr(core, 0x900), 0n);
});

test('every address has one row and every row a name', (t) => {
  t.is(new Set(MSRS.map((msr) => msr.address)).size, MSRS.length);
  t.is(msrName(0xc000_0082), 'IA32_LSTAR');
  t.is(msrName(0x427), 'IA32_MC9_MISC');
  t.is(msrName(0xc001_0015), 'AMD_HWCR');
  t.is(msrName(0x1234), undefined);
  t.deepEqual(
    MSRS.filter((msr) => SILENT_MSRS.has(msr.address)),
    [],
  );
});

test('plain registers hold what is written, each in a place of its own', (t) => {
  const plain = [0x174, 0x175, 0x176, 0x17a, 0x1a0, 0x277, 0x2ff, 0xc000_0081, 0xc000_0082, 0xc000_0083, 0xc000_0084];
  plain.push(0xc000_0100, 0xc000_0101, 0xc000_0102, 0xc000_0103, 0x200, 0x20f, 0x250, 0x26f, 0x401, 0x427);
  const core = new FakeCore();
  plain.forEach((address, i) => {
    writeMsr(core, address, BigInt(i % 2));
  });
  t.deepEqual(
    plain.map((address) => readMsr(core, address)),
    plain.map((_, i) => BigInt(i % 2)),
  );
});

test('the time-stamp counter can be set and goes on from there', (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.bigInt(0n, (1n << 64n) - 1n), fc.nat(2 ** 40), (value, later) => {
        const core = new FakeCore();
        writeMsr(core, 0x10, value);
        const exact = readMsr(core, 0x10) === value;
        core.cycle += later;
        return exact && readMsr(core, 0x10) === BigInt.asUintN(64, value + BigInt(later) * 4n);
      }),
    ),
  );
});

test('EFER drops bits the model lacks, keeps LMA, and freezes LME under paging', (t) => {
  const core = protectedCore();
  writeMsr(core, 0xc000_0080, 0xffff_ffffn);
  t.is(readMsr(core, 0xc000_0080), 0x901n);
  t.true(core.log.includes('flush all'), 'NXE changes what entries mean');
  const long = longCore();
  t.is(
    faultOf(() => writeMsr(long, 0xc000_0080, 1n)),
    '13(0)',
  );
  writeMsr(long, 0xc000_0080, 0x900n);
  t.is(readMsr(long, 0xc000_0080), 0xd00n);
});

test('addresses must be canonical', (t) => {
  for (const address of [0x175, 0x176, 0xc000_0082, 0xc000_0083, 0xc000_0100, 0xc000_0101, 0xc000_0102]) {
    const core = new FakeCore();
    t.is(
      faultOf(() => writeMsr(core, address, 1n << 47n)),
      '13(0)',
    );
    writeMsr(core, address, 0xffff_8000_0000_0000n);
    t.is(readMsr(core, address), 0xffff_8000_0000_0000n);
  }
});

test('PAT and the fixed MTRRs refuse reserved memory types', (t) => {
  const core = new FakeCore();
  const write = (address: number, value: bigint) => faultOf(() => writeMsr(core, address, value));
  t.is(write(0x277, 0x0007_0506_0104_0007n), 'none');
  t.is(write(0x277, 0x02n), '13(0)');
  t.is(write(0x277, 0x08_0000n), '13(0)');
  t.is(write(0x250, 0x0606_0504_0100_0606n), 'none');
  t.is(write(0x250, 0x07n), '13(0)');
});

test('machine-check controls take all zeros or all ones', (t) => {
  const core = new FakeCore();
  for (const address of [0x17b, 0x400, 0x424]) {
    writeMsr(core, address, 5n);
    t.is(readMsr(core, address), 0xffff_ffff_ffff_ffffn);
    writeMsr(core, address, 0n);
    t.is(readMsr(core, address), 0n);
  }
});

test('device registers go over the bus, TSC_DEADLINE only where the model has it', (t) => {
  const core = new FakeCore(X86_64_V2);
  writeMsr(core, 0x6e0, 77n);
  t.is(core.msrs.get(0x6e0), 77n);
  const base = new FakeCore();
  writeMsr(base, 0x6e0, 77n);
  t.is(base.msrs.get(0x6e0), undefined);
  t.is(readMsr(base, 0x6e0), 0n);
});

test('SYSENTER_CS keeps 16 bits', (t) => {
  const core = new FakeCore();
  writeMsr(core, 0x174, 0x1234_5678n);
  t.is(core.state.get64(L.MSR_SYSENTER_CS), 0x5678n);
});
