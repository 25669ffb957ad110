// Scripts for a virtio-mmio slot: accesses to its registers, and requests laid out in guest memory. The same seed gives
// the same script, so QEMU's answers can be kept (record.ts) and compared with (virtio-mmio.test.ts).

/** `read` and `write` go to the slot, `peek` and `poke` to memory. */
export type Step =
  | { op: 'read'; offset: number; size: 1 | 2 | 4 }
  | { op: 'write'; offset: number; size: 1 | 2 | 4; value: number }
  | { op: 'peek'; address: number; length: number }
  | { op: 'poke'; address: number; data: Uint8Array };

export const KINDS = ['blk', 'rng', 'serial'] as const;
export type Kind = (typeof KINDS)[number];

export const DISK_SECTORS = 2048;

/** The disk: every sector begins with its number. */
export function diskImage(): Uint8Array {
  const data = new Uint8Array(DISK_SECTORS * 512);
  const view = new DataView(data.buffer);
  for (let i = 0; i < data.length; i += 4) view.setUint32(i, Math.imul(i + 1, 2654435761) ^ (i >>> 9), true);
  return data;
}

const RINGS = 0x10_0000;
const BUFFERS = 0x20_0000;
const BUFFER_BYTES = 0x4000;

class Draw {
  constructor(private state: number) {}

  below(limit: number): number {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.state / 2 ** 32) * limit);
  }
  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

// Notifications and queue addresses are left to the requests: here nothing may move. 0x44 writes would start a queue.
const READABLE = [
  0, 4, 8, 12, 16, 20, 32, 36, 40, 48, 52, 56, 60, 64, 68, 80, 96, 100, 112, 128, 144, 160, 176, 180, 252,
];
const WRITABLE = [0, 4, 16, 20, 20, 32, 36, 40, 48, 48, 56, 60, 96, 100, 252];
const VALUES = [0, 1, 2, 4, 8, 64, 256, 1024, 1025, 4096, 0x3000_0000, 0x3900_0006, 0xffff_ffff];

/** Registers in any order; ends with a reset of the device. */
function registers(draw: Draw): Step[] {
  const steps: Step[] = [];
  for (let i = 0; i < 120; i++) {
    const what = draw.below(10);
    const size = draw.of([1, 2, 4, 4, 4, 4] as const);
    if (what < 5) steps.push({ op: 'read', offset: draw.of(READABLE), size });
    else if (what < 6) {
      steps.push({ op: 'read', offset: 0x100 + Math.floor(draw.below(0x50) / size) * size, size });
    } else if (what < 9) steps.push({ op: 'write', offset: draw.of(WRITABLE), size, value: draw.of(VALUES) });
    else steps.push({ op: 'write', offset: 112, size: 4, value: draw.of([0, 1, 3, 11]) });
  }
  steps.push({ op: 'write', offset: 112, size: 4, value: 0 });
  return steps;
}

interface Ring {
  size: number;
  desc: number;
  avail: number;
  used: number;
}

/** Features, queue `queue` at RINGS, driver ready. */
function start(legacy: boolean, queue: number, size: number, features: number): { steps: Step[]; ring: Ring } {
  const desc = RINGS + queue * 0x1_0000;
  const avail = desc + 16 * size;
  const used = Math.ceil((avail + 4 + 2 * size) / 4096) * 4096;
  const w = (offset: number, value: number): Step => ({ op: 'write', offset, size: 4, value });
  const rings = [desc, avail, used].flatMap((address, i) => [w(0x80 + 16 * i, address), w(0x84 + 16 * i, 0)]);
  const steps: Step[] = [{ op: 'poke', address: desc, data: new Uint8Array(used + 8 * size + 8 - desc) }];
  steps.push(w(0x70, 1), w(0x70, 3), w(0x24, 0), w(0x20, features));
  if (!legacy) steps.push(w(0x24, 1), w(0x20, 1), w(0x70, 11));
  steps.push(w(0x30, queue), w(0x38, size));
  if (legacy) steps.push(w(0x28, 4096), w(0x3c, 4096), w(0x40, desc / 4096), w(0x70, 7));
  else steps.push(...rings, w(0x44, 1), w(0x70, 15));
  return { steps, ring: { size, desc, avail, used } };
}

interface Part {
  address: number;
  length: number;
  write: boolean;
}

/** Lay `parts` out from descriptor `first` on, and make them available as entry `index`. */
function offer(ring: Ring, parts: readonly Part[], first: number, index: number): Step[] {
  const steps: Step[] = parts.map((part, i) => {
    const data = new Uint8Array(16);
    const view = new DataView(data.buffer);
    view.setBigUint64(0, BigInt(part.address), true);
    view.setUint32(8, part.length, true);
    view.setUint16(12, (part.write ? 2 : 0) | (i + 1 < parts.length ? 1 : 0), true);
    view.setUint16(14, (first + i + 1) % ring.size, true);
    return { op: 'poke', address: ring.desc + 16 * ((first + i) % ring.size), data };
  });
  const entry = Uint8Array.of(first & 0xff, first >>> 8);
  steps.push({ op: 'poke', address: ring.avail + 4 + 2 * (index % ring.size), data: entry });
  const next = index + 1;
  steps.push({ op: 'poke', address: ring.avail + 2, data: Uint8Array.of(next & 0xff, next >>> 8) });
  return steps;
}

const peek = (address: number, length: number): Step => ({ op: 'peek', address, length });

/** One block request, whole or in pieces, right or wrong. */
function blockRequest(draw: Draw, ring: Ring, index: number): Step[] {
  const type = draw.of([0, 0, 0, 1, 1, 4, 8, 11, 13, 13, 2, 3, 5, 0x8000_0000, 77]);
  const sector = draw.of([0, 1, 7, 100, DISK_SECTORS - 2, DISK_SECTORS - 1, DISK_SECTORS, 0xffff_ffff]);
  const header = new Uint8Array(16);
  const view = new DataView(header.buffer);
  view.setUint32(0, type, true);
  view.setUint32(8, sector, true);
  if (sector === 0xffff_ffff) view.setUint32(12, 0xffff_ffff, true);
  const data = new Uint8Array(BUFFER_BYTES).fill(0xa0 + draw.below(16));
  const range = new DataView(data.buffer);
  if (type === 11 || type === 13) {
    range.setBigUint64(0, BigInt(draw.of([0, 3, 2040, 5000])), true);
    range.setUint32(8, draw.of([0, 1, 8, 0x3f_ffff, 0x40_0000]), true);
    range.setUint32(12, draw.of([0, 0, 0, 1, 2]), true);
  }
  const steps: Step[] = [
    { op: 'poke', address: BUFFERS, data: header },
    { op: 'poke', address: BUFFERS + 0x1000, data },
  ];
  const toDevice = type === 1 || type === 11 || type === 13;
  const length =
    type === 8
      ? draw.of([20, 20, 7, 40])
      : toDevice && type !== 1
        ? draw.of([16, 16, 16, 32])
        : draw.of([512, 1024, 4096, 100]);
  const parts: Part[] = [];
  if (draw.below(4) === 0) {
    parts.push({ address: BUFFERS, length: 5, write: false }, { address: BUFFERS + 5, length: 11, write: false });
  } else parts.push({ address: BUFFERS, length: 16, write: false });
  if (type !== 4) {
    const cut = draw.below(3) === 0 ? 1 + draw.below(length - 1) : length;
    parts.push({ address: BUFFERS + 0x1000, length: cut, write: !toDevice });
    if (cut < length) parts.push({ address: BUFFERS + 0x1000 + cut, length: length - cut, write: !toDevice });
  }
  parts.push({ address: BUFFERS + 0x800, length: 1, write: true });
  steps.push({ op: 'poke', address: BUFFERS + 0x800, data: Uint8Array.of(0xee) });
  steps.push(...offer(ring, parts, draw.below(ring.size), index));
  steps.push({ op: 'write', offset: 0x50, size: 4, value: 0 });
  steps.push(peek(ring.used, 4), peek(ring.used + 4 + 8 * (index % ring.size), 8), peek(BUFFERS + 0x800, 1));
  steps.push(peek(BUFFERS + 0x1000, 64), { op: 'read', offset: 0x60, size: 4 });
  if (draw.below(2) === 0) steps.push({ op: 'write', offset: 0x64, size: 4, value: 3 });
  return steps;
}

/** Interrupt suppression: by the flag, or, with the event index, by naming an entry. */
function suppression(draw: Draw, ring: Ring, index: number): Step[] {
  const event = (index + draw.of([0, 1, 2, 0x8000])) & 0xffff;
  return [
    { op: 'poke', address: ring.avail, data: Uint8Array.of(draw.below(2), 0) },
    { op: 'poke', address: ring.avail + 4 + 2 * ring.size, data: Uint8Array.of(event & 0xff, event >>> 8) },
    peek(ring.used + 4 + 8 * ring.size, 2),
  ];
}

function blockScript(draw: Draw, legacy: boolean): Step[] {
  const steps = registers(draw);
  const size = draw.of([4, 8, 16, 256]);
  const started = start(legacy, 0, size, draw.of([0, 0x3000_6e54, 0x1000_0200, 0x3100_6e54, 0x0100_0000]));
  steps.push(...started.steps);
  for (let index = 0; index < 14; index++) {
    steps.push(...suppression(draw, started.ring, index), ...blockRequest(draw, started.ring, index));
  }
  steps.push({ op: 'read', offset: 0x70, size: 4 }, { op: 'read', offset: 0x60, size: 4 });
  // Cache mode, geometry and so on as a driver leaves them.
  steps.push({ op: 'write', offset: 0x120, size: 1, value: 0 }, { op: 'read', offset: 0x120, size: 1 });
  return steps;
}

/** A chain that breaks the rules, after which the device must be dead. */
function brokenScript(draw: Draw, legacy: boolean): Step[] {
  const { steps, ring } = start(legacy, 0, 8, 0x3000_6e54);
  const good: Part = { address: BUFFERS, length: 16, write: false };
  const status: Part = { address: BUFFERS + 0x800, length: 1, write: true };
  const what = draw.below(6);
  if (what === 0) steps.push(...offer(ring, [status, good], 0, 0));
  else if (what === 1) steps.push(...offer(ring, [good, { ...good, length: 0 }, status], 0, 0));
  else if (what === 2) steps.push(...offer(ring, [good], 0, 0));
  else if (what === 3) steps.push(...offer(ring, [{ ...good, length: 8 }, status], 0, 0));
  else if (what === 4) steps.push(...offer(ring, [good, status], 0, 8));
  else steps.push(...offer(ring, [good, status], 9, 0));
  steps.push({ op: 'write', offset: 0x50, size: 4, value: 0 });
  steps.push(peek(ring.used, 12), { op: 'read', offset: 0x60, size: 4 }, { op: 'read', offset: 0x70, size: 4 });
  return steps;
}

/** Control messages of a driver that starts up, and what the device says to them. */
function serialScript(draw: Draw, legacy: boolean): Step[] {
  const steps = registers(draw);
  const features = 0x1000_0002;
  const receive = start(legacy, 2, 8, features);
  steps.push(...receive.steps);
  const out = start(legacy, 3, 8, features);
  // The second queue of a started device: its rings only.
  steps.push(...out.steps.filter((step) => step.op !== 'write' || (step.offset !== 0x70 && step.offset !== 0x20)));
  for (let i = 0; i < 6; i++) {
    const address = BUFFERS + 64 * i;
    steps.push({ op: 'poke', address, data: new Uint8Array(64) });
    steps.push(...offer(receive.ring, [{ address, length: draw.of([8, 8, 32]), write: true }], i, i));
  }
  steps.push({ op: 'write', offset: 0x50, size: 4, value: 2 });
  const messages = [
    [0xffff_ffff, 0, 1],
    [0, 3, 1],
    [5, 3, 1],
    [0, 6, 1],
  ];
  messages.forEach(([port, event, value], i) => {
    const data = new Uint8Array(8);
    const view = new DataView(data.buffer);
    view.setUint32(0, port!, true);
    view.setUint16(4, event!, true);
    view.setUint16(6, value!, true);
    steps.push({ op: 'poke', address: BUFFERS + 0x1000 + 16 * i, data });
    steps.push(...offer(out.ring, [{ address: BUFFERS + 0x1000 + 16 * i, length: 8, write: false }], i, i));
    steps.push({ op: 'write', offset: 0x50, size: 4, value: 3 });
    steps.push(peek(receive.ring.used, 44), peek(BUFFERS, 4 * 64), peek(out.ring.used, 36));
    steps.push({ op: 'read', offset: 0x60, size: 4 });
  });
  return steps;
}

export function script(kind: Kind, legacy: boolean, seed: number): Step[] {
  const draw = new Draw(seed);
  if (kind === 'serial') return serialScript(draw, legacy);
  if (kind === 'rng') return registers(draw);
  return seed % 3 === 0 ? brokenScript(draw, legacy) : blockScript(draw, legacy);
}
