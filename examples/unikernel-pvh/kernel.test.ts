import { expect, test } from 'vitest';
import { type BootMatchers, bootMatchers, observe } from 'vmreplay/vitest';

declare module 'vitest' {
  // biome-ignore lint/suspicious/noExplicitAny: vitest's own declaration
  interface Matchers<T = any> extends BootMatchers<T> {}
}

expect.extend(bootMatchers);

const boot = { kernel: 'kernel.elf', append: 'one two', memory: 32 * 2 ** 20 };

test('the loader leaves what the PVH ABI asks for', async () => {
  const seen = await observe(boot);
  expect(seen.end.reason).toBe('poweroff');
  expect(seen).toMatchHandoff({
    protocol: 'pvh',
    control: { cr0: 0x11 },
    segments: { cs: { base: 0, limit: 0xffff_ffff } },
    structures: { hvm_start_info: { magic: 0x336e_c578, version: 1 }, cmdline: { text: '"one two"' } },
  });
  expect(seen).not.toMatchHandoff({ protocol: 'multiboot' });
  expect(seen.serial).toContain('command line: one two');
}, 60_000);

test('the kernel boots as before', async () => {
  await expect({ ...boot, hold: { serial: true, handoff: true } }).toBootAsBefore();
}, 60_000);
