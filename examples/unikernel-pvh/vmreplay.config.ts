import { defineConfig } from 'vmreplay';

export default defineConfig({
  build: 'make --silent',
  boots: [
    {
      name: 'unikernel',
      kernel: 'kernel.elf',
      append: 'one two',
      routes: ['pvh'],
      hold: { events: true, serial: true, budgets: { instructions: 100_000, traceBytes: 100_000 } },
    },
    // With less memory: only what the loader leaves is held, and not in which registers.
    { name: 'small', kernel: 'kernel.elf', memory: '16M', hold: { handoff: { ignore: ['registers'] } } },
  ],
});
