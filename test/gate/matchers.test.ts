// What the helpers for other runners say. The runners themselves are in the examples' tests.

import test from 'ava';
import { handoffMismatches } from '../../src/gate/handoff-pattern.js';
import { bootMatchers } from '../../src/gate/vitest.js';
import type { HandoffView } from '../../src/trace/handoff.js';

const handoff: HandoffView = {
  cycle: 0,
  cs: '0x8',
  rip: '0x100000',
  protocol: 'pvh',
  route: 'pvh',
  registers: { rip: '0x100000', rbx: '0x10000' },
  segments: { cs: { selector: '0x8', base: '0x0', limit: '0xffffffff', attributes: '0xc09b' } },
  control: { cr0: '0x11', 'gdtr.base': '0x18000' },
  memoryMap: [{ address: '0x0', length: '0x9fc00', type: '0x1' }],
  structures: [
    { name: 'hvm_start_info', address: '0x10000', length: '0x38', fields: { magic: '0x336ec578' } },
    { name: 'cmdline', address: '0x20000', length: '0x4', fields: { text: '"one"' } },
  ],
};

test('numbers and texts of a hand-off match however they are written', (t) => {
  const pattern = {
    protocol: 'pvh',
    registers: { rip: 0x10_0000, rbx: '0x10000' },
    control: { cr0: 0x11n, 'gdtr.base': 0x1_8000 },
    segments: { cs: { base: 0, limit: 0xffff_ffff } },
    memoryMap: [{ address: 0, length: 0x9_fc00, type: 1 }],
    structures: { hvm_start_info: { address: 0x1_0000, magic: 0x336e_c578 }, cmdline: { text: 'one' } },
  };
  t.deepEqual(handoffMismatches(handoff, pattern), []);
  t.deepEqual(handoffMismatches(handoff, {}), []);
});

test('every field that is not as expected is named with both values', (t) => {
  const pattern = {
    protocol: 'multiboot',
    registers: { rip: 0, rzx: 1 },
    segments: { xs: { base: 0 } },
    memoryMap: [],
    structures: { cmdline: { text: 'two' }, boot_params: { address: 0 } },
  };
  t.deepEqual(
    handoffMismatches(handoff, pattern).map(({ field, expected, actual }) => `${field}: ${expected}, ${actual}`),
    [
      'protocol: multiboot, pvh',
      'registers.rip: 0x0, 0x100000',
      'registers.rzx: 0x1, (none)',
      'xs.base: 0x0, (none)',
      'memory map 0: (none), {"address":"0x0","length":"0x9fc00","type":"0x1"}',
      'cmdline.text: two, "one"',
      'boot_params.address: 0x0, (none)',
    ],
  );
});

test('the matcher takes an observation or a hand-off, and has words for either outcome', (t) => {
  const counts = { cycles: {}, instructions: 0, events: 0, portAccesses: 0, dmaBytes: 0, traceBytes: 0 };
  const seen = {
    end: { reason: 'poweroff', code: null },
    exitCode: 0,
    serial: '',
    handoffs: [handoff],
    counts,
    root: '',
  };
  t.true(bootMatchers.toMatchHandoff(seen, { protocol: 'pvh' }).pass);
  t.regex(bootMatchers.toMatchHandoff(handoff, { protocol: 'pvh' }).message(), /and should not/);
  const wrong = bootMatchers.toMatchHandoff(handoff, { control: { cr0: 0 } });
  t.false(wrong.pass);
  t.is(wrong.message(), 'the hand-off by pvh differs:\n  control.cr0: expected 0x0, got 0x11');
  const none = bootMatchers.toMatchHandoff({ ...seen, handoffs: [] }, {});
  t.false(none.pass);
  t.regex(none.message(), /no loader entered a kernel/);
});
