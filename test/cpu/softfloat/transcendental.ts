// How far a transcendental result is from hardware's: in units in the last place, when everything else agrees.

import { FloatContext, OE, UE } from '../../../src/cpu/softfloat/context.js';
import { C1 } from '../../../src/cpu/softfloat/x87-operand.js';
import type { HostCase, HostResult } from './host-fpu.js';
import type { X87Operation } from './x87-operations.js';

const LOW_80 = (1n << 80n) - 1n;

/** Consecutive values of one sign have consecutive numbers. */
function ordinal(bits: bigint): bigint {
  const exponent = (bits >> 64n) & 0x7fffn;
  const magnitude = (exponent << 63n) + (bits & ((1n << 63n) - 1n));
  return bits >> 79n ? -magnitude : magnitude;
}

function apart(mine: bigint | undefined, hosts: bigint): number {
  if (mine === undefined) return 0;
  const distance = ordinal(mine) - ordinal(hosts & LOW_80);
  return Number(distance < 0n ? -distance : distance);
}

/** At the limits of the format a unit in the last place decides about OE and UE. */
function loose(bits: bigint | undefined): number {
  const exponent = ((bits ?? 0n) >> 64n) & 0x7fffn;
  return exponent >= 0x7ffen || exponent <= 1n ? OE | UE : 0;
}

/**
 * 0 or 1, or a description of a larger difference. C1 is not compared: it tells on which side of the true value the
 * rounding went, which differs with the result.
 */
export function distanceOfTranscendental(operation: X87Operation, given: HostCase, host: HostResult): number | string {
  const context = new FloatContext().setControlWord(given.control);
  const mine = operation.run(context, given.a, given.b);
  const distance = Math.max(apart(mine.r, host.r), apart(mine.s, host.s));
  const mask = (mine.conditionMask ?? 0) & ~C1;
  const conditions = (host.status ^ (mine.conditions ?? 0)) & mask;
  if (distance <= 1 && conditions === 0 && ((context.flags ^ host.status) & 0x3f & ~loose(mine.r)) === 0)
    return distance;
  const operands = `control ${given.control.toString(16)} a ${given.a.toString(16)} b ${given.b.toString(16)}`;
  const expected = `status ${host.status.toString(16)} r ${host.r.toString(16)} s ${host.s.toString(16)}`;
  const got = `flags ${context.flags.toString(16)} r ${mine.r?.toString(16)} s ${mine.s?.toString(16)}`;
  return `${operation.name}: ${operands}: hardware ${expected}, here ${got}`;
}
