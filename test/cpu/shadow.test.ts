import test from 'ava';
import { Cpu } from '../../src/cpu/cpu.js';
import { QEMU64_V1 } from '../../src/cpu/cpuid.js';
import * as L from '../../src/cpu/layout.js';
import { ShadowMemory } from '../../src/cpu/shadow.js';

const ROM_SIZE = 0x1_0000;

/** A processor with 2 MiB of RAM and a ROM whose bytes are 0xf4 (HLT). */
function machine(vga = true) {
  const romSize = ROM_SIZE + 4096 * L.EXTRA_ROM_PAGES;
  const cpu = new Cpu({ model: QEMU64_V1, timing: { name: 'test', nsPerCycle: 4 }, ramSize: 2 << 20, romSize });
  cpu.physical.mapRom(0x1_0000_0000 - ROM_SIZE, ROM_SIZE);
  const shadow = new ShadowMemory(cpu.physical, cpu.code, cpu.mmu);
  shadow.install(ROM_SIZE, vga);
  cpu.physical.fillRom(0x1_0000_0000 - ROM_SIZE, new Uint8Array(ROM_SIZE).fill(0xf4));
  const byte = (address: number) => cpu.physical.read(address, 1)[0];
  const write = (address: number, value: number) => cpu.memory.write8(BigInt(address), value);
  return { cpu, shadow, byte, write };
}

test('after reset ROM answers below 1 MiB, the option ROM space is empty, and writes are lost', (t) => {
  const { byte, write } = machine();
  t.is(byte(0xf_0000), 0xf4);
  t.is(byte(0xf_ffff), 0xf4);
  t.is(byte(0xe_0000), 0, 'a ROM of 64 KiB does not reach down to there');
  t.is(byte(0xc_0000), 0);
  write(0xf_0000, 1);
  t.is(byte(0xf_0000), 0xf4);
});

test('read from ROM, write to RAM: the written bytes show once RAM answers', (t) => {
  const { byte, write, shadow } = machine();
  shadow.pam(0xf_0000, 2);
  write(0xf_1234, 0x90);
  t.is(byte(0xf_1234), 0xf4);
  shadow.pam(0xf_0000, 1);
  t.is(byte(0xf_1234), 0x90);
  write(0xf_1234, 0x55);
  t.is(byte(0xf_1234), 0x90, 'read-only RAM');
  shadow.pam(0xf_0000, 3);
  write(0xf_1234, 0x55);
  t.is(byte(0xf_1234), 0x55);
  shadow.pam(0xf_0000, 0);
  t.is(byte(0xf_1234), 0xf4);
});

test('SMRAM is seen in SMM if it may be, and by everybody while it is open', (t) => {
  const { byte, shadow } = machine();
  const seen = () => byte(0xa_8000) !== 0xff;
  t.false(seen());
  shadow.smm(true);
  t.false(seen(), 'not enabled');
  shadow.smram(false, true);
  t.true(seen());
  shadow.smm(false);
  t.false(seen());
  shadow.smram(true, true);
  t.true(seen());
  shadow.smram(false, false);
  t.false(seen());
});

test('without a VGA the RAM of its window is always seen', (t) => {
  const { byte, shadow } = machine(false);
  t.is(byte(0xa_8000), 0);
  shadow.smram(false, true);
  t.is(byte(0xa_8000), 0);
});

test('a device writes where the processor would', (t) => {
  const { cpu, byte, shadow } = machine();
  cpu.physical.write(0xc_3fff, Uint8Array.of(1, 2));
  t.is(byte(0xc_3fff), 0);
  shadow.pam(0xc_0000, 2);
  shadow.pam(0xc_4000, 3);
  cpu.physical.write(0xc_3fff, Uint8Array.of(3, 4));
  t.is(byte(0xc_3fff), 0);
  t.is(byte(0xc_4000), 4);
  shadow.pam(0xc_0000, 3);
  t.is(byte(0xc_3fff), 3);
});

test('the VGA window is memory only while SMRAM is open, and keeps its content', (t) => {
  const { cpu, byte, write, shadow } = machine();
  t.is(cpu.physical.hostOf(0xa_0000), 0);
  shadow.smram(true, false);
  write(0xb_ffff, 7);
  t.is(byte(0xb_ffff), 7);
  shadow.smram(false, false);
  t.is(cpu.physical.hostOf(0xb_ffff), 0);
  shadow.smram(true, false);
  t.is(byte(0xb_ffff), 7);
});

test('where no PAM range starts there is none', (t) => {
  const { shadow } = machine();
  for (const start of [0, 0xa_0000, 0xc_0001, 0xf_4000, 0x10_0000]) t.throws(() => shadow.pam(start, 3));
});
