// A machine small enough to read, with everything the seam has: a guest that is a list of operations, and devices
// behind ports. The guest's later behaviour depends on what it read, so a wrong answer shows.

import type { AccessSize, Bus, GuestMemory, ProcessorLines, RunEnd } from '../../src/cpu/bus.js';
import type { SiteCode } from '../../src/trace/sink.js';

export type Op =
  | { do: 'out'; port: number; value: number | 'acc'; size?: AccessSize }
  | { do: 'in'; port: number; size?: AccessSize }
  | { do: 'ins'; port: number; count: number; size?: AccessSize }
  | { do: 'outs'; port: number; data: Uint8Array }
  | { do: 'mmio-read' | 'mmio-write'; address: number; value?: number }
  | { do: 'msr-read' | 'msr-write'; index: number; value?: bigint }
  | { do: 'milestone'; name: string }
  | { do: 'load'; address: number }
  | { do: 'sti' | 'cli' | 'hlt' | 'nop' };

export class FakeMemory implements GuestMemory {
  readonly bytes = new Uint8Array(0x1_0000);
  readonly ramSize = this.bytes.length;

  read(address: number, length: number): Uint8Array {
    return this.bytes.slice(address, address + length);
  }

  write(address: number, data: Uint8Array): void {
    this.bytes.set(data, address);
  }
}

/** Runs operations against a bus under the contract of src/cpu/bus.ts. Every operation takes 10 cycles. */
export class FakeCpu implements ProcessorLines {
  cycle = 0;
  readonly cs = 0x10;
  readonly ripHigh = 0;
  pc = 0;
  acc = 0;
  a20 = false;
  nmis = 0;
  halted = false;
  bus!: Bus;
  onMilestone: (name: string) => void = () => {};
  vectors: number[] = [];
  #intr = false;
  #enabled = false;
  #stop: RunEnd | undefined;

  constructor(
    readonly program: readonly Op[],
    readonly memory: FakeMemory,
  ) {}

  get ripLow(): number {
    return 0x1000 + this.pc;
  }

  code(): SiteCode {
    return { bits: 32, bytes: Uint8Array.of(0xec) };
  }

  setIntr(level: boolean): void {
    this.#intr = level;
  }

  pulseNmi(): void {
    this.nmis++;
  }

  pulseSmi(): void {
    this.nmis += 100;
  }

  suspend(): void {
    this.halted = true;
  }

  setA20(enabled: boolean): void {
    this.a20 = enabled;
  }

  stop(end: RunEnd): void {
    this.#stop ??= end;
  }

  state(): Uint8Array {
    return Buffer.from(JSON.stringify([this.pc, this.acc, this.a20, this.nmis, this.vectors, this.#enabled]));
  }

  run(): RunEnd {
    for (let steps = 0; steps < 100_000; steps++) {
      if (this.cycle >= this.bus.nextEvent()) this.bus.advance(this.cycle);
      if (this.#stop) return this.#stop;
      if (this.#intr && this.#enabled) {
        this.vectors.push(this.bus.acknowledge());
        this.halted = false;
        this.cycle += 5;
        continue;
      }
      if (this.halted) {
        const next = this.bus.nextEvent();
        if (next === Number.POSITIVE_INFINITY) return { reason: 'halted' };
        this.cycle = Math.max(this.cycle, next);
        continue;
      }
      const op = this.program[this.pc];
      if (!op) return { reason: 'triple-fault' };
      if (op.do === 'hlt') this.halted = true;
      else this.#execute(op);
      this.pc++;
      this.cycle += 10;
    }
    return { reason: 'max-cycles' };
  }

  #execute(op: Op): void {
    switch (op.do) {
      case 'out':
        this.bus.portWrite(op.port, op.size ?? 1, op.value === 'acc' ? this.acc & 0xff : op.value);
        return;
      case 'in':
        this.#mix(this.bus.portRead(op.port, op.size ?? 1));
        return;
      case 'ins':
        for (const byte of this.bus.portReadString(op.port, op.size ?? 2, op.count)) this.#mix(byte);
        return;
      case 'outs':
        this.bus.portWriteString(op.port, 1, op.data);
        return;
      case 'mmio-read':
        this.#mix(this.bus.mmioRead(op.address, 4));
        return;
      case 'mmio-write':
        this.bus.mmioWrite(op.address, 4, op.value ?? this.acc);
        return;
      case 'msr-read':
        this.#mix(Number(this.bus.msrRead(op.index) & 0xffff_ffffn));
        return;
      case 'msr-write':
        this.bus.msrWrite(op.index, op.value ?? 0n);
        return;
      case 'milestone':
        this.onMilestone(op.name);
        return;
      case 'load':
        this.#mix(this.memory.bytes[op.address]!);
        return;
      case 'sti':
        this.#enabled = true;
        return;
      case 'cli':
        this.#enabled = false;
        return;
    }
  }

  #mix(value: number): void {
    this.acc = (Math.imul(this.acc, 31) + value) >>> 0;
  }
}

/**
 * Devices: 0x3f8 sink; 0x40 arms a timer (value * 10 cycles) that raises vector 0x20; 0x60 reads a counter and 0x61
 * is its string form; 0x92 A20; 0xb0 DMA of four counter bytes to 0x2000, 0xb1 the same 55 cycles later; 0xb2 reads
 * guest memory at 0x3000; 0xb3 NMI; 0xf4 debug exit with the value.
 */
export class FakePlatform implements Bus {
  counter: number;
  written: number[] = [];
  #timer = Number.POSITIVE_INFINITY;
  #dma = Number.POSITIVE_INFINITY;
  onTimer: (what: 'armed' | 'fired', ns: number) => void = () => {};

  constructor(
    readonly lines: ProcessorLines,
    readonly memory: GuestMemory,
    seed = 1,
  ) {
    this.counter = seed;
  }

  portRead(port: number): number {
    return port === 0x60 ? this.#count() : 0xff;
  }

  portWrite(port: number, _size: AccessSize, value: number): void {
    if (port === 0x40) {
      this.#timer = this.lines.cycle + value * 10;
      this.onTimer('armed', this.#timer * 4);
    } else if (port === 0x92) this.lines.setA20((value & 2) !== 0);
    else if (port === 0xb0) this.#runDma();
    else if (port === 0xb1) this.#dma = this.lines.cycle + 55;
    else if (port === 0xb2) this.counter += this.memory.read(0x3000, value).reduce((sum, byte) => sum + byte, 0);
    else if (port === 0xb3) this.lines.pulseNmi();
    else if (port === 0xf4) this.lines.stop({ reason: 'debug-exit', code: value });
    else this.written.push(value);
  }

  portReadString(_port: number, size: AccessSize, count: number): Uint8Array {
    return Uint8Array.from({ length: size * count }, () => this.#count());
  }

  portWriteString(_port: number, _size: AccessSize, data: Uint8Array): void {
    this.written.push(...data);
  }

  mmioRead(address: number): number {
    return (address ^ this.#count()) >>> 0;
  }

  mmioWrite(): void {}

  mmioString(): boolean {
    return false;
  }

  mmioReadString(): Uint8Array {
    return new Uint8Array(0);
  }

  mmioWriteString(): void {}

  msrRead(index: number): bigint {
    return (0xfee0_0900_0000_0000n + BigInt(index)) & ((1n << 64n) - 1n);
  }

  msrWrite(): void {}

  acknowledge(): number {
    this.lines.setIntr(false);
    return 0x20;
  }

  advance(cycle: number): void {
    if (this.#dma <= cycle) {
      this.#dma = Number.POSITIVE_INFINITY;
      this.#runDma();
    }
    if (this.#timer <= cycle) {
      this.onTimer('fired', this.#timer * 4);
      this.#timer = Number.POSITIVE_INFINITY;
      this.lines.setIntr(true);
    }
  }

  nextEvent(): number {
    return Math.min(this.#timer, this.#dma);
  }

  #runDma(): void {
    this.memory.write(
      0x2000,
      Uint8Array.from({ length: 4 }, () => this.#count()),
    );
  }

  #count(): number {
    this.counter = (this.counter * 5 + 3) & 0xff;
    return this.counter;
  }
}
