// A processor and RAM with nothing else on the bus, in which tests of translated code place what they execute.

import type { Bus } from '../../../src/cpu/bus.js';
import { Cpu } from '../../../src/cpu/cpu.js';
import { QEMU64_V1 } from '../../../src/cpu/cpuid.js';
import { Translator, type TranslatorOptions } from '../../../src/cpu/jit/translator.js';

export interface BareMachine {
  readonly cpu: Cpu;
  readonly translator: Translator | undefined;
}

/** Bytes of a 32-bit number, lowest first. */
export const u32 = (n: number): number[] => [n & 0xff, (n >> 8) & 0xff, (n >> 16) & 0xff, n >>> 24];

/**
 * @param ramSize bytes
 * @param tier of tier 1; tier 0 alone without
 * @returns also ways to fill memory, with bytes and with 32-bit numbers
 */
export function bareMachine(ramSize: number, tier?: TranslatorOptions) {
  const cpu = new Cpu({ model: QEMU64_V1, timing: { name: 'test', nsPerCycle: 4 }, ramSize, romSize: 0 });
  cpu.bus = { nextEvent: () => Number.POSITIVE_INFINITY, advance: () => {} } as unknown as Bus;
  let translator: Translator | undefined;
  if (tier) cpu.translateBy((parts) => (translator = new Translator(parts, tier)));
  const put = (at: number, bytes: readonly number[]) => cpu.physical.write(at, Uint8Array.from(bytes));
  const words = (at: number, list: readonly number[]) => put(at, list.flatMap(u32));
  return { cpu, translator, put, words };
}
