// Cases for one operation of each unit, drawn from a Random: modes and masks as well as operands; and the comparison
// of an outcome with what the instruction left on hardware.

import { FloatContext } from '../../../src/cpu/softfloat/context.js';
import type { HostCase, HostResult, Random } from './host-fpu.js';
import type { SseOperation } from './sse-operations.js';
import type { X87Operation } from './x87-operations.js';

const LOW_80 = (1n << 80n) - 1n;

/** Two thirds of the cases have all exceptions masked. */
function masks(random: Random): number {
  return random.below(3) ? 0x3f : random.below(64);
}

export function x87Case(operation: X87Operation, random: Random): HostCase {
  const control = (random.below(4) << 10) | (random.pick([0, 2, 3, 3]) << 8) | 0x40 | masks(random);
  const a = random.f80();
  return { op: operation.op, control, a, b: secondOperand(operation, random, a) };
}

function secondOperand(operation: X87Operation, random: Random, a: bigint): bigint {
  switch (operation.second) {
    case 'f32':
      return BigInt(random.f32());
    case 'f64':
      return random.f64();
    case 'i16':
      return random.fraction(16);
    case 'i32':
      return random.fraction(32);
    case 'i64':
      return random.fraction(64);
    case 'bcd': {
      const digits = BigInt(`0x${random.u64() % 10n ** 18n}`);
      return (digits >> BigInt(4 * random.below(19))) | (random.below(2) ? 1n << 79n : 0n);
    }
    default:
      return random.below(3) ? random.f80() : random.f80Near(a);
  }
}

export function sseCase(operation: SseOperation, random: Random): HostCase {
  const flush = random.below(3) ? 0 : 0x8000;
  const zeros = random.below(3) ? 0 : 0x40;
  const a = register(operation, random);
  return {
    op: operation.op,
    control: (masks(random) << 7) | (random.below(4) << 13) | flush | zeros,
    a,
    b: random.below(8) ? register(operation, random) : a,
  };
}

function register(operation: SseOperation, random: Random): bigint {
  if (operation.operands === 'f64') return random.f64() | (random.f64() << 64n);
  if (operation.operands !== 'f32') return random.fraction(64) | (random.fraction(64) << 64n);
  return [0n, 32n, 64n, 96n].reduce((all, shift) => all | (BigInt(random.f32()) << shift), 0n);
}

/** Where the engine and hardware part: '' when nowhere, else which of flags, result, second result, conditions. */
export function x87Difference(operation: X87Operation, given: HostCase, host: HostResult): string {
  const context = new FloatContext().setControlWord(given.control);
  const mine = operation.run(context, given.a, given.b);
  const width = operation.name.startsWith('fist') || /^f(st|bstp)/.test(operation.name) ? -1n : LOW_80;
  const parts: string[] = [];
  if ((host.status & 0x3f) !== context.flags) parts.push(`flags ${context.flags.toString(16)}`);
  if (mine.r !== undefined && mine.r !== (host.r & width)) parts.push(`result ${mine.r.toString(16)}`);
  if (mine.s !== undefined && mine.s !== (host.s & LOW_80)) parts.push(`second ${mine.s.toString(16)}`);
  if (mine.conditionMask && (host.status ^ mine.conditions!) & mine.conditionMask) {
    parts.push(`conditions ${mine.conditions!.toString(16)}`);
  }
  if (mine.eflags !== undefined && mine.eflags !== host.flags) parts.push(`eflags ${mine.eflags.toString(16)}`);
  return describe(operation.name, given, host, parts);
}

export function sseDifference(operation: SseOperation, given: HostCase, host: HostResult): string {
  const context = new FloatContext().setMxcsr(given.control);
  const mine = operation.run(context, given.a, given.b);
  const fault = mine.fault ?? context.settleSimd();
  const parts: string[] = [];
  if (fault !== host.status >= 0x80000000) parts.push(`fault ${fault}`);
  if ((host.status & 0x3f) !== context.flags) parts.push(`flags ${context.flags.toString(16)}`);
  if (!fault && mine.r !== undefined && mine.r !== BigInt.asUintN(mine.bits!, host.r)) {
    parts.push(`result ${mine.r.toString(16)}`);
  }
  if (!fault && mine.eflags !== undefined && mine.eflags !== host.flags) {
    parts.push(`eflags ${mine.eflags.toString(16)}`);
  }
  return describe(operation.name, given, host, parts);
}

function describe(name: string, given: HostCase, host: HostResult, parts: readonly string[]): string {
  if (parts.length === 0) return '';
  const operands = `control ${given.control.toString(16)} a ${given.a.toString(16)} b ${given.b.toString(16)}`;
  const expected = `status ${host.status.toString(16)} r ${host.r.toString(16)} s ${host.s.toString(16)} eflags ${host.flags.toString(16)}`;
  return `${name}: ${operands}: hardware ${expected}, here ${parts.join(', ')}`;
}
