// Random scripts for the virtio PCI function with a disk behind it: configuration space, legacy registers, those of Virtio 1
// as far as accesses of 32 bits reach them, MSI-X. No queue is notified: what a device does with buffers is in its tests.

import type { Author } from './scripts.js';

const FUNCTION = 0x8000_1000;
const LEGACY = 0xc100;
const TABLE = 0xfe00_0000;
const MODERN = 0xfe00_4000;

function config(a: Author, register: number): number {
  a.sized('out', 4, 0xcf8, FUNCTION + (register & 0xfc));
  return 0xcfc + (register & 3);
}

/** Give the function its three places. */
export function enableVirtio(a: Author): void {
  for (const [register, value] of [
    [0x10, LEGACY],
    [0x14, TABLE],
    [0x20, MODERN],
    [0x24, 0],
  ] as const)
    a.sized('out', 4, config(a, register), value);
  a.sized('out', 2, config(a, 4), 7);
  // QEMU writes back what it read last.
  a.in(LEGACY + 20);
}

function configuration(a: Author): void {
  const size = a.one(1, 2, 4);
  const register = a.one(0x40 + size * a.below(0x68 / size), size * a.below(0x100 / size));
  a.in(config(a, register), size);
}

/** Through the window: common structure, device's configuration. */
function window(a: Author): void {
  const offset = a.one(
    0x2000 + a.below(64),
    a.one(0, 4, 8, 0x10, 0x12, 0x14, 0x16, 0x18, 0x1a, 0x1c, 0x1e, 0x20, 0x3a),
  );
  a.sized('out', 4, config(a, 0x8c), offset);
  a.sized('out', 4, config(a, 0x90), a.one(1, 2, 4, 4, 3, 0));
  a.in(config(a, 0x94), 4);
}

function legacy(a: Author): void {
  const register = a.one(0x00, 0x04, 0x08, 0x0c, 0x0e, 0x12, 0x13, 0x14, 0x16);
  a.pick(
    [30, () => a.in(LEGACY + register, a.one(1, 2, 4))],
    [10, () => a.in(LEGACY + 20 + a.below(64), a.one(1, 2, 4))],
    [6, () => a.sized('out', 2, LEGACY + 0x0e, a.one(0, 0, 0, 1, 5, 2000))],
    [4, () => a.sized('out', 4, LEGACY + 0x04, a.one(0, 0xffff_ffff, 0x2000_0204))],
    [4, () => a.sized('out', 4, LEGACY + 0x08, a.one(0, 0x20, 0x1234))],
    [4, () => a.sized('out', 2, LEGACY + a.one(0x14, 0x16), a.one(0, 1, 2, 0xffff))],
    [6, () => a.out(LEGACY + 0x12, a.one(0, 1, 3))],
    // The one byte of the configuration that can be written: the cache, in either layout.
    [3, () => a.out(LEGACY + a.one(52, 56), a.below(2))],
  );
}

function modern(a: Author): void {
  const register = 4 * a.below(16);
  a.pick(
    [30, () => a.read(MODERN + register)],
    [5, () => a.read(MODERN + 0x2000 + 4 * a.below(18))],
    [2, () => a.read(MODERN + 0x1000)],
    [5, () => a.write(MODERN, a.below(3))],
    [5, () => a.write(MODERN + 8, a.below(3))],
    [5, () => a.write(MODERN + 0x0c, a.one(0, 1, 0xffff_ffff, 0x3000_0244))],
    [3, () => a.write(MODERN + 0x10, a.one(0, 1, 2, 0xffff))],
    [5, () => a.write(MODERN + 0x14, a.one(0, 0, 1, 3, 0x0b))],
    [5, () => a.write(MODERN + 0x18, a.one(256, 128, 64, 0, 2048))],
    [5, () => a.write(MODERN + 0x20 + 4 * a.below(6), a.one(0, 0x10_0000, 0x12_3450))],
    [3, () => a.write(MODERN + 0x1c, 1)],
  );
}

function vectors(a: Author): void {
  a.pick(
    [20, () => a.read(TABLE + a.one(4 * a.below(8), 0x800, 0x20, 0x804))],
    [20, () => a.write(TABLE + 4 * a.below(8), a.one(0, 1, 0xfee0_0000, 0x4041))],
    [5, () => a.sized('out', 2, config(a, 0x9a), a.one(0, 0x8000, 0xc000, 0x4000))],
  );
}

export function virtioPci(a: Author): void {
  a.pick(
    [20, () => configuration(a)],
    [10, () => window(a)],
    [30, () => legacy(a)],
    [30, () => modern(a)],
    [15, () => vectors(a)],
  );
}
