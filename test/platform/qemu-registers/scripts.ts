// Random register scripts, made anew from their seeds wherever they are needed: by record.ts, which asks QEMU for the
// answers, and by the test, which asks our devices. Each kind stays within what is comparable: no counts of running
// timers, no dates outside of what QEMU's 64-bit nanoseconds can hold, no resets.

import { Random } from '../../../src/platform/random.js';
import { busMasterRegisters, emptyChannel, enableBusMaster, IDE_KINDS } from './ide-scripts.js';
import { enableVirtio, virtioPci } from './virtio-scripts.js';

export type Step =
  | { op: 'in' | 'out'; size: 1 | 2 | 4; address: number; value: number }
  | { op: 'read' | 'write'; size: 4; address: number; value: number }
  /** Read and forget, or write zeros, as often as `value` says. */
  | { op: 'skip' | 'fill'; size: 2; address: number; value: number }
  /** Read bytes until those under the mask have the value. */
  | { op: 'poll'; address: number; mask: number; value: number }
  | { op: 'delay'; rounds: number };

/** Chooses and collects. */
export class Author {
  readonly steps: Step[] = [];
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  below(limit: number): number {
    return this.#random.next() % limit;
  }

  one<T>(...choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }

  /** Do one of several things, each as often as its weight says. */
  pick(...choices: readonly (readonly [weight: number, act: () => void])[]): void {
    let at = this.below(choices.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, act] of choices) {
      if (at < weight) {
        act();
        return;
      }
      at -= weight;
    }
  }

  byte(): number {
    return this.below(256);
  }

  out(address: number, ...values: readonly number[]): void {
    for (const value of values) this.steps.push({ op: 'out', size: 1, address, value });
  }

  in(address: number, size: 1 | 2 | 4 = 1): void {
    this.steps.push({ op: 'in', size, address, value: 0 });
  }

  sized(op: 'in' | 'out', size: 1 | 2 | 4, address: number, value = 0): void {
    this.steps.push({ op, size, address, value });
  }

  read(address: number): void {
    this.steps.push({ op: 'read', size: 4, address, value: 0 });
  }

  write(address: number, value: number): void {
    this.steps.push({ op: 'write', size: 4, address, value });
  }

  poll(address: number, mask: number, value: number): void {
    this.steps.push({ op: 'poll', address, mask, value });
  }

  delay(...choices: readonly number[]): void {
    this.steps.push({ op: 'delay', rounds: this.one(...choices) });
  }
}

/** One kind of script: writes a few steps at a time. */
const KINDS: Record<string, (a: Author) => void> = {
  pic(a) {
    const chip = a.one(0x20, 0xa0);
    const command = a.one(0x20, 0x0a, 0x0b, 0x0c, 0x68, 0x48, 0x80, 0x00, 0xa0, a.one(0x60, 0xc0, 0xe0) + a.below(8));
    a.pick(
      [10, () => a.out(chip, a.one(0x11, 0x13, 0x10, 0x12, 0x19))],
      [15, () => a.out(chip + 1, a.byte())],
      [10, () => a.out(chip + 1, a.one(0, 0xff))],
      [20, () => a.out(chip, command)],
      [10, () => a.out(0x4d0 + a.below(2), a.one(0, 0xff, a.byte()))],
      [40, () => a.in(a.one(chip, chip, chip + 1, 0x4d0, 0x4d1))],
    );
  },

  uart(a) {
    a.pick(
      // Past its last register QEMU's port stops with an assertion.
      [10, () => a.in(0x3f8 + a.below(5), a.one(2, 4))],
      [45, () => a.in(0x3f8 + a.below(8))],
      [45, () => a.out(0x3f8 + a.below(8), a.one(a.byte(), 0x10, 0, 1, 7, 0xc7, 0x83, 3, 0xf))],
    );
  },

  uartTimeout(a) {
    const setUp = (): void => {
      a.out(0x3fc, a.one(0x10, 0x1f));
      a.out(0x3fa, a.one(1, 0x41, 0x81, 0xc1));
      a.out(0x3f9, a.below(16));
      a.out(0x3fb, 0x83);
      a.out(0x3f8, a.one(1, 2, 12));
      a.out(0x3f9, 0);
      a.out(0x3fb, a.one(3, 0x1f));
    };
    a.pick(
      [30, () => a.delay(100, 1000, 10_000, 100_000, 300_000)],
      [20, setUp],
      [20, () => a.out(0x3f8, ...Array.from({ length: 1 + a.below(5) }, () => a.byte()))],
      [30, () => a.in(a.one(0x3f8, 0x3fa, 0x3fd, 0x20))],
    );
  },

  i8042(a) {
    const keyboard = [0xf2, 0xff, 0xed, 0xee, 0xf0, 0xf3, 0xf4, 0xf5, 0xf6, 0xfa, 0xfc, 0, 2, 3];
    const mouse = [0xf2, 0xff, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xee, 0xf0, 0xf3, 0xf4, 0xf5, 200, 100, 80];
    const controller = [0x20, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xad, 0xae, 0xc0, 0xd0, 0xdd, 0xdf, 0xff];
    const withData = (command: number, data: number): void => {
      a.out(0x64, command);
      a.out(0x60, data);
    };
    a.pick(
      [30, () => a.in(0x60)],
      [20, () => a.in(0x64)],
      [15, () => a.out(0x60, a.one(...keyboard, a.byte()))],
      [15, () => withData(0xd4, a.one(...mouse, a.byte()))],
      [8, () => withData(0x60, a.one(0x03, 0x47, 0x65, 0x30, 0x43, a.byte()))],
      [4, () => withData(a.one(0xd2, 0xd3), a.byte())],
      [3, () => withData(0xd1, a.byte() | 1)],
      [10, () => a.out(0x64, a.one(...controller, a.below(0xf0)))],
    );
  },

  dma(a) {
    const pages = [0x81, 0x82, 0x83, 0x87, 0x89, 0x8a, 0x8b, 0x8f];
    const port = a.one(a.below(16), 0xc0 + a.below(32), a.one(...pages));
    a.sized(a.one('in', 'out'), a.one(1, 1, 1, 2), port, a.below(0x10000));
  },

  rtc(a) {
    const index = a.one(0, 2, 4, 6, 7, 8, 9, 0x32, 0x0a, 0x0b, 0x0c, 0x0f + a.below(0x20));
    const values: Record<number, number[]> = {
      10: [0x26, 0x66, 0x36, 0x06, 0x20],
      11: [0x02, 0x00, 0x82, 0x80, 0x12, 0x22],
      50: [0x20, 0x21],
    };
    a.out(0x70, index);
    a.pick(
      [50, () => a.in(0x71)],
      [50, () => a.out(0x71, a.one(...(values[index] ?? [0x12, 0x01, 0x09, 0x20, 0x10, 0x11])))],
    );
  },

  pit(a) {
    const channel = a.below(3);
    const status = (): void => {
      a.out(0x43, 0xe0 | (2 << channel));
      a.in(0x40 + channel);
    };
    a.pick(
      [30, () => a.out(0x43, (channel << 6) | (a.one(1, 2, 3) << 4) | (a.below(6) << 1))],
      [30, () => a.out(0x40 + channel, 128 + a.below(128))],
      [20, () => a.in(0x20)],
      [20, status],
    );
  },

  time(a) {
    const interrupts = (): void => {
      const count = a.one(300, 1193, 5000, 0xffff, 2000);
      a.out(0x43, 0x30 | (a.one(0, 2, 3, 4) << 1));
      a.out(0x40, count & 0xff, count >>> 8);
    };
    const clock = (): void => {
      const [index, values] = a.one(
        [0x0a, [0x26, 0x29, 0x2a, 0x23]] as const,
        [0x0b, [0x42, 0x02, 0x12, 0x52]] as const,
      );
      a.out(0x70, index);
      a.out(0x71, a.one(...values));
    };
    const flags = (): void => {
      a.out(0x70, 0x0c);
      a.in(0x71);
    };
    const requests = (): void => {
      for (const chip of [0x20, 0xa0]) {
        a.out(chip, a.one(0x0a, 0x0c, 0x20));
        a.in(chip);
      }
    };
    const count = (): void => {
      const channel = a.below(3);
      a.out(0x43, channel << 6);
      a.in(0x40 + channel);
      a.in(0x40 + channel);
    };
    const speaker = (): void => {
      a.out(0x61, a.one(0, 1, 3));
      a.out(0x43, 0xb0 | (a.one(0, 2, 3) << 1));
      a.out(0x42, a.byte(), 1 + a.below(255));
      a.in(0x61);
    };
    a.pick(
      [30, () => a.delay(100, 1000, 10_000, 100_000, 300_000, 1_000_000)],
      [10, interrupts],
      [10, clock],
      [15, flags],
      [20, requests],
      [10, speaker],
      [20, count],
    );
  },

  hpet(a) {
    const hpet = 0xfed0_0000;
    const timer = (): void => {
      const registers = hpet + 0x100 + 0x20 * a.below(3);
      a.write(registers, a.one(0x4, 0xc, 0x4c, 0x104, 0x6, 0x0, 0x44));
      a.write(registers + 8, a.one(1000, 20_000, 100_000));
    };
    a.pick(
      [20, () => a.delay(100, 10_000, 300_000)],
      [20, () => a.write(hpet + 0x10, a.one(0, 1, 1, 2, 3))],
      [20, timer],
      [10, () => a.write(hpet + 0x20, a.below(8))],
      [10, () => a.read(hpet + a.one(0x20, 0xf0))],
      [10, () => a.read(hpet + a.one(0, 4, 0x10, 0x14, 0x100, 0x104, 0x120, 0x124, 0x140, 0x160, 0x164, 0x110))],
      [10, () => a.in(a.one(0x20, 0xa0))],
    );
  },

  lapicTimer(a) {
    const lapic = 0xfee0_0000;
    a.pick(
      [30, () => a.delay(100, 1000, 10_000, 100_000)],
      [10, () => a.write(lapic + 0xf0, a.one(0x1ff, 0x1ff, 0x1ff, 0xff))],
      [15, () => a.write(lapic + 0x320, a.one(0x30, 0x2_0031, 0x1_0030, 0x2_0041))],
      [15, () => a.write(lapic + 0x380, a.one(500, 5000, 50_000, 0))],
      [5, () => a.write(lapic + 0x3e0, a.one(0xb, 0x3, 0x0, 0x9))],
      [10, () => a.write(lapic + a.one(0x80, 0xb0, 0xd0, 0xe0), a.one(0, 0x10, 0x0100_0000, 0xffff_ffff))],
      [10, () => a.read(lapic + a.one(0x390, 0x380, 0x320))],
      [15, () => a.read(lapic + a.one(0x110, 0x120, 0x190, 0x210, 0x220, 0xa0, 0x80, 0xf0, 0x30, 0x280))],
    );
  },

  pci(a) {
    // Enough functions exist to be interesting; what would move registers or memory is only read.
    const place = a.one(0x0000, 0x0800, 0x0b00, 0x1800);
    const register = 4 * a.below(64);
    const fixed = [0x00_04, 0x00_58, 0x00_5c, 0x00_70, 0x08_04, 0x0b_04, 0x0b_40, 0x0b_80, 0x0b_90, 0x0b_d0];
    const size = a.one(1, 2, 4);
    const port = 0xcfc + size * a.below(4 / size);
    a.sized('out', 4, 0xcf8, 0x8000_0000 + place + register);
    if (fixed.includes(place + register) || a.below(2) === 0) a.in(port, size);
    else a.sized('out', size, port, a.one(0, 0xffff_ffff, (a.byte() << 8) | a.byte()));
  },

  vga(a) {
    const [framebuffer, registers] = [0xe000_0000, 0xe200_0000];
    if (a.steps.length === 0) {
      const config = (register: number, value: number): void => {
        a.sized('out', 4, 0xcf8, 0x8000_1000 + register);
        a.sized('out', 4, 0xcfc, value);
      };
      config(0x10, framebuffer);
      config(0x18, registers);
      config(0x04, 7);
      a.out(0x3c2, 0x67);
      a.out(0x3c0, 0x20);
    }
    const indexed = (port: number, index: number, ...values: number[]): void => {
      a.out(port, index);
      a.pick([30, () => a.in(port + 1)], [70, () => a.out(port + 1, a.one(...values, a.byte()))]);
    };
    const attribute = (): void => {
      a.in(0x3da);
      a.out(0x3c0, a.one(a.below(0x20), 0x20 | a.below(0x20)), a.byte());
      a.in(0x3c1);
    };
    const dispi = (): void => {
      a.sized('out', 2, 0x1ce, a.one(a.below(12), 4, 5));
      const value = a.one(0, 1, 8, 15, 16, 24, 32, 0x40, 0x61, 320, 640, 1024, 0xb0c3, 0xffff, a.below(0x10000));
      a.pick([40, () => a.in(0x1cf, 2)], [60, () => a.sized('out', 2, a.one(0x1cf, 0x1d0), value)]);
    };
    // Few addresses, so that what is written is read again.
    const place = 4 * a.below(24);
    const windows = [0xa_0000, 0xa_0000, 0xb_0000, 0xb_8000];
    const mapped = a.one(0x000, 0x07c, 0x400, 0x408, 0x500, 0x508, 0x510, 0x514, 0x518, 0x600, 0x604, 0x800);
    const value = (a.byte() << 24) | (a.below(0x1_0000) << 8) | a.byte();
    a.pick(
      [15, () => indexed(0x3c4, a.below(8), 0x02, 0x04, 0x06, 0x0f)],
      [15, () => indexed(0x3ce, a.below(10), 0, 1, 2, 3, 0x08, 0x0f, 0x10, 0x18, 0xff)],
      [10, () => indexed(0x3d4, a.one(a.below(0x20), 7, 0x11), 0x80, 0)],
      [5, attribute],
      [5, () => a.out(0x3c8, a.byte(), a.byte(), a.byte(), a.byte())],
      [4, () => a.out(0x3c7, a.byte())],
      [8, () => a.in(0x3c0 + a.below(16), a.one(1, 1, 1, 2, 4))],
      [4, () => a.in(a.one(0x3b0, 0x3d0) + a.below(16), a.one(1, 1, 2))],
      [2, () => a.out(0x3c2, a.one(0x67, 0x67, 0x67, 0x66))],
      [2, () => a.sized('out', 2, a.one(0x3c4, 0x3ce), a.below(0x10000))],
      [10, dispi],
      [25, () => a.write(a.one(...windows) + place, value)],
      [25, () => a.read(a.one(...windows) + place)],
      [6, () => a.write(framebuffer + place, value)],
      [10, () => a.read(framebuffer + place)],
      [6, () => a.read(registers + mapped)],
      [2, () => a.write(registers + a.one(0x508, 0x604), a.one(0x1e1e_1e1e, 0xbebe_bebe, value))],
    );
  },

  fdc(a) {
    const parameters: Record<number, number> = {
      3: 2,
      4: 1,
      7: 1,
      15: 2,
      18: 1,
      19: 3,
      10: 1,
      74: 1,
      2: 8,
      77: 5,
      78: 17,
    };
    const transfers = [0x46, 0xc6, 0x45, 0x4c, 0x49, 0x16, 0x11, 0x19, 0x1d, 0x05];
    const result = (): void => {
      a.in(0x3f4);
      for (let n = 0; n < 8; n++) a.in(0x3f5);
      a.in(0x3f4);
      a.in(0x20);
    };
    const command = (code: number, ...bytes: readonly number[]): void => {
      a.out(0x3f5, code, ...bytes);
      a.pick([1, () => a.delay(100, 30_000_000)], [2, result]);
    };
    const random = (count: number): number[] => Array.from({ length: count }, () => a.one(0, 0, 1, 2, a.byte()));
    const small = a.one(3, 4, 7, 15, 18, 19, 2, 77, 78, 8, 8, 8, 0x0e, 0x10, 0x18, 0x14, 0x94, 0x2e, 0x40, 10, 74);
    a.pick(
      [20, () => a.in(0x3f0 + a.one(1, 2, 3, 4, 5, 7))],
      [5, () => a.in(0x3f0 + a.one(1, 2, 3, 5, 7), a.one(2, 4))],
      [40, () => command(small, ...random(parameters[small] ?? 0))],
      [10, () => command(a.one(...transfers), ...random(8))],
      [5, () => command(a.one(0x8f, 0xcf), ...random(2))],
      [10, () => a.out(0x3f2, a.one(0x0c, 0x0d, 0x1c, 0x2d, 0x08, 0x0c))],
      [5, () => a.out(0x3f4, a.one(0x80, 0, 1, 2, 0x40))],
      [5, () => a.out(0x3f7, a.below(4))],
      [5, () => a.out(0x3f3, a.byte())],
      [3, () => a.out(0x3f5, a.byte())],
      [20, result],
    );
  },

  /** PCI slots, the processor (first its bitmap), GPE 0. */
  hotplug(a) {
    const size = a.one(1, 2, 4, 4, 4);
    const [pci, cpu, gpe] = [0xae00 + 4 * a.below(6), 0xaf00 + a.below(9) * 4, 0xafe0 + a.below(4)];
    const processor = (): void => {
      a.pick(
        [30, () => a.in(cpu, size)],
        [20, () => a.in(0xaf00 + a.below(16))],
        [10, () => a.sized('out', 4, 0xaf00, a.one(0, 0, 1, 2, a.byte()))],
        [5, () => a.out(0xaf05, a.below(5))],
        [5, () => a.out(0xaf04, a.byte())],
        [5, () => a.sized('out', 4, 0xaf08, a.byte())],
      );
    };
    a.pick(
      [30, () => a.in(pci, size)],
      [10, () => a.sized('out', 4, 0xae10, a.one(0, 0, 1, 255, 256, a.below(0x10000)))],
      [10, () => a.sized('out', size, a.one(0xae08, 0xae14, 0xae00, 0xae0c), a.byte() << a.below(24))],
      [a.steps.length > 100 ? 40 : 10, processor],
      [10, () => a.in(gpe, a.one(1, 2, 4))],
      [10, () => a.out(gpe, a.byte())],
    );
  },

  control(a) {
    a.pick(
      [40, () => a.in(a.one(0x61, 0x92, 0xcf9))],
      [10, () => a.out(0x61, a.byte())],
      [10, () => a.out(0x92, a.byte() & 0xfe)],
      [10, () => a.out(0xcf9, a.byte() & 0xfb)],
      [30, () => a.in(a.one(0xed, 0x84, 0x2f8, 0x80, 0x700 + a.below(256)), a.one(1, 2, 4))],
    );
  },
};

Object.assign(KINDS, IDE_KINDS, { ideEmpty: emptyChannel, ideBusMaster: busMasterRegisters, virtioPci });

export const KIND_NAMES = Object.keys(KINDS);
/** Kinds that run on a machine with a disk and a CD. */
export const WITH_DISKS: readonly string[] = Object.keys(IDE_KINDS);
/** And on one with a virtio disk. */
export const WITH_VIRTIO: readonly string[] = ['virtioPci'];
const LENGTH = 800;

/** What QEMU's machine needs besides what every script's has. */
export const KIND_DEVICES: Readonly<Record<string, string>> = { vga: '-vga std' };

/** The script of a kind and seed. */
export function script(kind: string, seed: number): Step[] {
  const author = new Author(seed);
  if (kind in IDE_KINDS || kind.startsWith('ide')) enableBusMaster(author);
  if (kind === 'virtioPci') enableVirtio(author);
  while (author.steps.length < LENGTH) KINDS[kind]!(author);
  return author.steps;
}
