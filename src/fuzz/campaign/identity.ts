// What makes two campaigns the same: what the guest can see, by content, and what cases are made and judged by. Names of
// files and the number of threads are no part of it. Whoever goes on with a campaign, or helps with it from another
// machine, must have the same.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { makeGuest } from '../../api/guest.js';
import type { BootOptions } from '../../api/options.js';
import { UserError } from '../../api/user-error.js';
import { VERSION } from '../../api/version.js';
import { systemReason } from '../../trace/error.js';
import type { RunnerPlan } from './executor.js';

/** Flat, and plain: what JSON keeps. */
export type Identity = Readonly<Record<string, string | number | boolean | null>>;

/** @throws UserError, ImageError when the boot cannot be made */
export function identityOf(plan: RunnerPlan, { seed, guided }: { seed: number; guided: boolean }): Identity {
  const { target, boot, panic = [], caseCycles = null, until = null, symbols, predicateFile, against } = plan;
  const { header } = makeGuest(boot);
  const { machine, memory, cpu, route, timing, commandLine, options, images } = header;
  return {
    program: `vmreplay ${VERSION}, ${timing.name}`,
    target,
    seed,
    guided,
    machine,
    memory,
    cpu,
    route,
    append: commandLine,
    options: JSON.stringify(options),
    images: images.map(({ role, sha256 }) => `${role} ${sha256}`).join(', '),
    end: JSON.stringify(endOf(boot)),
    panic: JSON.stringify(panic),
    'case-cycles': caseCycles,
    until,
    against: against
      ? JSON.stringify([identityOf({ target, boot: against.boot }, { seed, guided }), against.mayDiffer ?? []])
      : null,
    symbols: symbols === undefined ? null : hashOfFile('symbols', symbols),
    // Not what it imports.
    predicate: predicateFile === undefined ? null : hashOfFile('predicate', predicateFile),
  };
}

/** @throws UserError */
function hashOfFile(option: string, file: string): string {
  try {
    return createHash('sha256').update(readFileSync(file)).digest('hex');
  } catch (error) {
    throw new UserError(`${file}: cannot be read: ${systemReason(error)}; check --${option}`);
  }
}

/** How the boot ends. */
const endOf = ({ untilSerial, untilDebugcon, untilCycle, maxCycles, noReboot, successCode }: BootOptions) => ({
  untilSerial,
  untilDebugcon,
  untilCycle,
  maxCycles,
  noReboot: noReboot || undefined,
  successCode,
});

/** What the first difference is, in a phrase; undefined when there is none. */
export function differenceOf(theirs: Identity, ours: Identity): string | undefined {
  for (const key of new Set([...Object.keys(theirs), ...Object.keys(ours)])) {
    const [one, other] = [theirs[key] ?? null, ours[key] ?? null];
    if (one !== other) return `${key} ${one ?? 'none'}, not ${other ?? 'none'}`;
  }
  return undefined;
}
