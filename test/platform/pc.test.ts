import test from 'ava';
import fc from 'fast-check';
import type { AccessSize, GuestMemory, RunEnd } from '../../src/cpu/bus.js';
import type { Input } from '../../src/platform/inputs.js';
import { Pc, type PcOptions } from '../../src/platform/pc.js';

const LAPIC = 0xfee0_0000;
const IOAPIC = 0xfec0_0000;

/** A PC with a processor that is only wires and 1 MiB of memory. */
function bench(options: Partial<PcOptions> = {}) {
  const ram = new Uint8Array(1 << 20);
  const memory: GuestMemory = {
    ramSize: ram.length,
    read: (address, length) => {
      const data = new Uint8Array(length).fill(0xff);
      data.set(ram.subarray(address, address + length));
      return data;
    },
    write: (address, data) => {
      if (address < ram.length) ram.set(data.subarray(0, ram.length - address), address);
    },
  };
  const processor = {
    cycle: 0,
    intr: false,
    a20: true,
    nmis: 0,
    ends: [] as RunEnd[],
    intrChanges: 0,
    setIntr(level: boolean) {
      if (level !== this.intr) this.intrChanges++;
      this.intr = level;
    },
    pulseNmi() {
      this.nmis++;
    },
    smis: 0,
    pulseSmi() {
      this.smis++;
    },
    suspended: 0,
    suspend() {
      this.suspended++;
    },
    stop(end: RunEnd) {
      this.ends.push(end);
    },
    setA20(enabled: boolean) {
      this.a20 = enabled;
    },
  };
  const pc = new Pc({
    lines: processor,
    memory,
    timing: { name: 'test', nsPerCycle: 4 },
    ramSize: 128 * 1024 * 1024,
    ...options,
  });
  const serial: number[] = [];
  const debugcon: number[] = [];
  pc.onSerial = (byte) => serial.push(byte);
  pc.onDebugcon = (byte) => debugcon.push(byte);
  const out = (port: number, ...bytes: number[]): void => {
    for (const byte of bytes) pc.portWrite(port, 1, byte);
  };
  const read = (port: number, size: AccessSize = 1): number => pc.portRead(port, size);
  /** Run time as the processor does: from event to event. */
  const advance = (cycles: number): void => {
    const end = processor.cycle + cycles;
    while (pc.nextEvent() <= end) {
      processor.cycle = Math.max(processor.cycle, pc.nextEvent());
      pc.advance(processor.cycle);
    }
    processor.cycle = end;
  };
  /** Vectors 0x20 and 0x28, `mask` on the master, all masked on the slave but for `slaveMask`; LINT0 = ExtINT. */
  const initPic = (mask: number, slaveMask = 0xff): void => {
    out(0x20, 0x11);
    out(0x21, 0x20, 0x04, 0x01, mask);
    out(0xa0, 0x11);
    out(0xa1, 0x28, 0x02, 0x01, slaveMask);
    pc.mmioWrite(LAPIC + 0xf0, 4, 0x1ff);
    pc.mmioWrite(LAPIC + 0x350, 4, 0x700);
  };
  const redirect = (pin: number, entry: number): void => {
    pc.mmioWrite(IOAPIC, 4, 0x11 + 2 * pin);
    pc.mmioWrite(IOAPIC + 0x10, 4, 0);
    pc.mmioWrite(IOAPIC, 4, 0x10 + 2 * pin);
    pc.mmioWrite(IOAPIC + 0x10, 4, entry);
  };
  return { pc, processor, ram, serial, debugcon, out, read, advance, initPic, redirect };
}

test('the PIT interrupts the processor through PIC and LINT0', (t) => {
  const { pc, processor, out, advance, initPic } = bench();
  initPic(0xfe);
  out(0x43, 0x34);
  out(0x40, 0xa9, 0x04); // 1193 ticks: 1 ms
  advance(249_960);
  t.false(processor.intr);
  advance(40);
  t.true(processor.intr);
  t.is(pc.acknowledge(), 0x20);
  t.false(processor.intr);
  out(0x20, 0x20);
  advance(250_000);
  t.true(processor.intr);
});

test('the PIT reaches pin 2 of the I/O APIC', (t) => {
  const { pc, processor, out, advance, initPic, redirect } = bench();
  initPic(0xff);
  redirect(2, 0x41);
  out(0x43, 0x34);
  out(0x40, 0xa9, 0x04);
  advance(250_000);
  t.true(processor.intr);
  t.is(pc.acknowledge(), 0x41);
  t.false(processor.intr);
});

test('the clock interrupts on IRQ 8 through the slave', (t) => {
  const { pc, out, read, advance, initPic } = bench();
  initPic(0xfb, 0xfe);
  out(0x70, 0x0b);
  out(0x71, 0x12);
  advance(250_000_000);
  t.is(pc.acknowledge(), 0x28);
  out(0x70, 0x0c);
  t.is(read(0x71), 0x90);
});

test('the HPET takes IRQ 0 away from the PIT and gives it back', (t) => {
  const { pc, processor, out, advance, initPic } = bench();
  initPic(0xfe);
  out(0x43, 0x34);
  out(0x40, 0xa9, 0x04);
  pc.mmioWrite(0xfed0_0010, 4, 3);
  advance(1_000_000);
  t.false(processor.intr);
  pc.mmioWrite(0xfed0_0010, 4, 0);
  advance(250_000);
  t.is(pc.acknowledge(), 0x20);
});

test('bytes leave the serial port and come in with IRQ 4', (t) => {
  const { pc, processor, serial, out, read, initPic } = bench();
  initPic(0xef);
  out(0x3f8, 0x48, 0x69);
  t.deepEqual(serial, [0x48, 0x69]);
  out(0x3f9, 0x01);
  pc.inputs.push({ kind: 'serial', data: Uint8Array.of(0x21) });
  t.true(processor.intr);
  t.is(pc.acknowledge(), 0x24);
  t.is(read(0x3f8), 0x21);
});

test('keys interrupt on IRQ 1, the mouse on IRQ 12', (t) => {
  const { pc, out, read, initPic } = bench();
  initPic(0xf9, 0xef);
  pc.inputs.push({ kind: 'key', code: 0x1c, down: true });
  t.is(pc.acknowledge(), 0x21);
  t.is(read(0x60), 0x1c);
  out(0x20, 0x20);
  out(0x64, 0xd4);
  out(0x60, 0xf4);
  t.is(pc.acknowledge(), 0x2c);
  t.is(read(0x60), 0xfa);
});

test('a scheduled input happens at its cycle and the listener hears it', (t) => {
  const { pc, read, advance } = bench();
  const heard: [number, Input][] = [];
  pc.inputs.setListener((cycle, input) => heard.push([cycle, input]));
  const input: Input = { kind: 'serial', data: Uint8Array.of(7) };
  pc.inputs.schedule(1000, input);
  advance(999);
  t.is(read(0x3fd) & 1, 0);
  advance(1);
  t.is(read(0x3fd) & 1, 1);
  t.deepEqual(heard, [[1000, input]]);
});

test('the power button of a machine in ACPI mode raises the SCI', (t) => {
  const { pc, out, initPic } = bench();
  initPic(0xfb, 0xfd);
  pc.acpiPm.setPmBase(0x600);
  pc.portWrite(0x602, 2, 0x0100);
  pc.inputs.push({ kind: 'power-button' });
  t.is(pc.acknowledge(), 0x29);
  t.is(pc.portRead(0x600, 2) & 0x0100, 0x0100);
  out(0xa0, 0x20);
});

test('the PM block is where the guest puts it and nowhere else', (t) => {
  const { pc, read } = bench();
  t.is(read(0x604, 2), 0xffff);
  pc.acpiPm.setPmBase(0x600);
  t.is(read(0x604, 2), 0x0001);
  pc.acpiPm.setPmBase(0xb000);
  t.is(read(0x604, 2), 0xffff);
  t.is(read(0xb004, 2), 0x0001);
});

test('entering S5 powers off', (t) => {
  const { pc, processor } = bench();
  pc.acpiPm.setPmBase(0x600);
  pc.portWrite(0x604, 2, 0x2001);
  t.deepEqual(processor.ends, [{ reason: 'poweroff' }]);
});

test('the four ways to reset ask for one', (t) => {
  const { processor, out } = bench();
  out(0x64, 0xfe);
  out(0x92, 0x01);
  out(0xcf9, 0x06);
  out(0x64, 0xd1);
  out(0x60, 0xde);
  t.deepEqual(processor.ends, Array(4).fill({ reason: 'reset' }));
});

test('A20 follows port 0x92 and the keyboard controller, whoever spoke last', (t) => {
  const { processor, out } = bench();
  out(0x92, 0x00);
  t.false(processor.a20);
  out(0x64, 0xdf);
  t.true(processor.a20);
});

test('debug console and test exit', (t) => {
  const { pc, processor, debugcon, read } = bench();
  t.is(read(0x402), 0xe9);
  pc.portWriteString(0x402, 1, Uint8Array.of(0x6f, 0x6b));
  t.deepEqual(debugcon, [0x6f, 0x6b]);
  pc.portWrite(0x501, 4, 0x10);
  t.deepEqual(processor.ends, [{ reason: 'debug-exit', code: 0x21 }]);
});

test('absent ports read as all ones', (t) => {
  const { read } = bench();
  for (const port of [0x2f8, 0x3e8, 0x2e8, 0x378, 0xed, 0x84, 0x600]) t.is(read(port), 0xff);
});

test('configuration ports surround the reset control register', (t) => {
  const { pc, out, read } = bench();
  pc.portWrite(0xcf8, 4, 0x8000_0000);
  t.is(read(0xcfc, 4), 0x1237_8086);
  t.is(read(0xcfe, 2), 0x1237);
  out(0xcf9, 0x02);
  t.is(read(0xcf9), 0x02);
  t.is(read(0xcf8, 4), 0x8000_0000);
});

test('fw_cfg gives its signature and the items that were put in', (t) => {
  const { pc } = bench({ fwCfg: (fwCfg) => fwCfg.addFile('opt/test', Uint8Array.of(1, 2, 3)) });
  pc.portWrite(0x510, 2, 0);
  t.is(String.fromCharCode(...pc.portReadString(0x511, 1, 4)), 'QEMU');
  pc.portWrite(0x510, 2, pc.fwCfg.list()[0]!.key);
  t.deepEqual([...pc.portReadString(0x511, 1, 3)], [1, 2, 3]);
});

test('memory size and wall clock of the options are in CMOS RAM', (t) => {
  const { out, read } = bench({ rtc: '2021-02-03T04:05:06Z' });
  const cmos = (index: number): number => {
    out(0x70, index);
    return read(0x71);
  };
  t.deepEqual([0x32, 9, 8, 7, 4, 2, 0].map(cmos), [0x20, 0x21, 0x02, 0x03, 0x04, 0x05, 0x06]);
  t.is(cmos(0x34) | (cmos(0x35) << 8), (128 - 16) * 16);
});

test('the local APIC’s registers are MSRs of the bus', (t) => {
  const { pc } = bench();
  t.is(pc.msrRead(0x1b), 0xfee0_0900n);
  pc.msrWrite(0x808, 0x20n);
  t.is(pc.mmioRead(LAPIC + 0x80, 4), 0x20);
});

test('a PCI BAR covers ports and gives them back', (t) => {
  const { pc, read } = bench();
  const bar = pc.ports.map('bar', 0x3f8, 8, { portRead: () => 0x55, portWrite: () => {} }, { overlay: true });
  t.is(read(0x3ff), 0x55);
  bar.unmap();
  t.is(read(0x3ff), 0x00);
});

test('a disk that the guest ejects is gone from the bus, also after a reset and in a copy', (t) => {
  const disk = { size: 4096, read: (_: number, length: number) => new Uint8Array(length) };
  const [{ pc, read }, copy] = [bench({ virtioDisks: [disk] }), bench({ virtioDisks: [disk] })];
  const idOf = (machine: Pc, slot: number): number => {
    machine.portWrite(0xcf8, 4, 0x8000_0000 + slot * 0x800);
    return machine.portRead(0xcfc, 4);
  };
  t.is(idOf(pc, 2), 0x1001_1af4);
  t.is(read(0xae0c, 4), 0xffff_fffc);
  pc.portWrite(0xae08, 4, 2);
  pc.portWrite(0xae08, 4, 4);
  t.is(idOf(pc, 2), 0xffff_ffff);
  t.not(idOf(pc, 1), 0xffff_ffff, 'the south bridge stays');
  pc.reset();
  t.is(idOf(pc, 2), 0xffff_ffff);
  copy.pc.load(pc.save());
  t.is(idOf(copy.pc, 2), 0xffff_ffff);
});

test('a processor bitmap becomes registers at its first 0, and stays so in a copy', (t) => {
  const { pc, read } = bench();
  t.is(read(0xaf00), 1);
  t.is(read(0xaf10), 0);
  pc.portWrite(0xaf00, 4, 0);
  t.is(read(0xaf00), 0);
  t.is(read(0xaf04), 1);
  t.is(read(0xaf10), 0xff);
  const copy = bench();
  copy.pc.load(pc.save());
  t.is(copy.read(0xaf04), 1);
});

test('S3 suspends the processor; an alarm of the clock resets the machine, and firmware finds out why', (t) => {
  const { pc, processor, out, read, advance } = bench();
  pc.acpiPm.setPmBase();
  for (const [register, value] of [
    [0x01, 0x03],
    [0x03, 0x00],
    [0x05, 0x00],
    [0x0b, 0x22],
  ] as const) {
    out(0x70, register);
    out(0x71, value);
  }
  pc.portWrite(0x602, 2, 0x400);
  pc.portWrite(0x604, 2, 0x2401);
  t.is(processor.suspended, 1);
  advance(2.9e9 / 4);
  t.deepEqual(processor.ends, []);
  advance(0.2e9 / 4);
  t.deepEqual(processor.ends, [{ reason: 'reset' }]);
  pc.reset();
  pc.acpiPm.setPmBase();
  t.is(read(0x600, 2) & 0x8400, 0x8400);
  out(0x70, 0x0f);
  t.is(read(0x71), 0xfe);
});

test('two devices cannot have one name', (t) => {
  const { pc } = bench();
  t.throws(() => pc.addDevice({ name: 'rtc', reset: () => {}, save: () => null, load: () => {} }), { message: /rtc/ });
});

test('reset drops requests, opens A20 and lets time go on', (t) => {
  const { pc, processor, out, read, advance, initPic } = bench();
  initPic(0x00);
  out(0x92, 0x00);
  out(0x3f9, 0x02);
  advance(1000);
  t.true(processor.intr);
  pc.reset();
  t.false(processor.intr);
  t.true(processor.a20);
  t.is(read(0x20), 0x00);
  t.is(pc.clock.now(), 4000);
});

test('a state of another machine is refused', (t) => {
  const { pc } = bench();
  const state = structuredClone(pc.save()) as { devices: Record<string, unknown> };
  state.devices.toaster = {};
  t.throws(() => pc.load(state as never), { message: /toaster/ });
  delete state.devices.toaster;
  delete state.devices.rtc;
  t.throws(() => pc.load(state as never), { message: /rtc/ });
});

test('a machine that was saved and loaded goes on as the original', (t) => {
  const ports = [
    0x20, 0x21, 0xa0, 0xa1, 0x40, 0x42, 0x43, 0x60, 0x61, 0x64, 0x70, 0x71, 0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd,
    0x4d0, 0xcf9, 0x511, 0x00, 0x0d, 0x81,
  ];
  const addresses = [0x80, 0xb0, 0xf0, 0x320, 0x350, 0x380, 0x390, 0x3e0].map((at) => LAPIC + at);
  addresses.push(IOAPIC, IOAPIC + 0x10, 0xfed0_0010, 0xfed0_00f0, 0xfed0_0100, 0xfed0_0108);
  const action = fc.oneof(
    fc.record({ kind: fc.constant('in' as const), port: fc.constantFrom(...ports) }),
    fc.record({ kind: fc.constant('out' as const), port: fc.constantFrom(...ports), value: fc.nat(255) }),
    fc.record({ kind: fc.constant('read' as const), address: fc.constantFrom(...addresses) }),
    fc.record({ kind: fc.constant('write' as const), address: fc.constantFrom(...addresses), value: fc.nat() }),
    fc.record({ kind: fc.constant('advance' as const), cycles: fc.oneof(fc.nat(1000), fc.nat(3_000_000)) }),
    fc.record({ kind: fc.constant('acknowledge' as const) }),
    fc.record({ kind: fc.constant('input' as const), byte: fc.nat(127) }),
  );
  type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;
  const apply = ({ pc, processor, advance }: ReturnType<typeof bench>, step: Action): unknown => {
    switch (step.kind) {
      case 'in':
        return pc.portRead(step.port, 1);
      case 'out':
        return pc.portWrite(step.port, 1, step.value);
      case 'read':
        return pc.mmioRead(step.address, 4);
      case 'write':
        return pc.mmioWrite(step.address, 4, step.value);
      case 'advance':
        return advance(step.cycles);
      case 'acknowledge':
        return processor.intr ? pc.acknowledge() : -1;
      case 'input':
        pc.inputs.push({ kind: 'serial', data: Uint8Array.of(step.byte) });
        return pc.inputs.push({ kind: 'key', code: step.byte, down: true });
    }
  };
  const steps = fc.array(action, { maxLength: 40 });
  fc.assert(
    fc.property(steps, steps, (before, after) => {
      const original = bench();
      for (const step of before) apply(original, step);
      const state = structuredClone(original.pc.save());
      const copy = bench({ seed: 1 });
      copy.processor.cycle = original.processor.cycle;
      copy.pc.load(state);
      t.deepEqual(copy.pc.save(), state);
      t.is(copy.processor.intr, original.processor.intr);
      for (const step of after) {
        t.deepEqual(apply(copy, step), apply(original, step));
        t.is(copy.processor.intr, original.processor.intr);
      }
      t.deepEqual(copy.pc.save(), original.pc.save());
    }),
    { numRuns: 60, includeErrorInReport: true },
  );
});
