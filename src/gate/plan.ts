// From a configuration to boots that can be run: one for each route, defaults filled in. Names of images stay relative to
// the configuration's folder, where boots are run, so that no trace names a folder of this machine.
// Which boots a run has follows from names and shard alone, so every CI job finds the same split.

import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import type { BootOptions, Route } from '../api/options.js';
import { UserError } from '../api/user-error.js';
import type { Build, GateBoot, Hold } from './config.js';
import type { LoadedConfig } from './config-file.js';
import { sizeInBytes } from './config-schema.js';

const MAX_CYCLES = 20_000_000_000;
export const WHOLE_STREAM: Hold = { events: true };

/** A build command and where it runs, absolute. */
export interface PlannedBuild {
  readonly command: string;
  readonly cwd: string;
}

/** One boot. */
export interface PlannedBoot {
  /** `name` or `name/route`. */
  readonly name: string;
  readonly options: BootOptions;
  readonly build: PlannedBuild | undefined;
  readonly hold: Hold;
  /** Files with symbols of the guest's programs. */
  readonly symbols: readonly string[];
  /** How it must end; with success when undefined. */
  readonly end: string | undefined;
}

export interface Plan {
  /** Where boots are run. */
  readonly directory: string;
  readonly boots: readonly PlannedBoot[];
  /** Absolute. */
  readonly baselines: string;
  readonly store: string | undefined;
  readonly artifacts: string;
  readonly jobs: number | undefined;
}

/** Part `index` of `count`, from 1. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

export function planBoots({ directory, config }: LoadedConfig): Plan {
  const { baselines = 'boot-baselines', artifacts = '.vmreplay-gate', store } = config;
  const boots = config.boots.flatMap((boot) => {
    const { build = config.build, hold = config.hold ?? WHOLE_STREAM, end, symbols = [] } = boot;
    const common = { build: build === undefined ? undefined : command(build, directory), hold, end, symbols };
    const one = (name: string, route: Route | undefined): PlannedBoot => {
      return { ...common, name, options: bootOptions(boot, route) };
    };
    return boot.routes ? boot.routes.map((route) => one(`${boot.name}/${route}`, route)) : [one(boot.name, boot.boot)];
  });
  return {
    directory,
    boots,
    baselines: resolve(directory, baselines),
    store: store === undefined ? undefined : resolve(directory, store),
    artifacts: resolve(directory, artifacts),
    jobs: config.jobs,
  };
}

/**
 * The boots of these names, all when there are none: a boot's own, or one that stands for all of its routes.
 * @throws UserError when there is no such boot
 */
export function chosenBoots(boots: readonly PlannedBoot[], names: readonly string[]): readonly PlannedBoot[] {
  const named = (boot: PlannedBoot, name: string) => boot.name === name || boot.name.startsWith(`${name}/`);
  for (const name of names) {
    if (boots.some((boot) => named(boot, name))) continue;
    throw new UserError(`${name}: there is no such boot; there are ${boots.map((boot) => boot.name).join(', ')}`);
  }
  return names.length === 0 ? boots : boots.filter((boot) => names.some((name) => named(boot, name)));
}

/** The boots of a shard: dealt out in the order of their names' hashes, so that shards are even. */
export function shardOf(boots: readonly PlannedBoot[], { index, count }: Shard): readonly PlannedBoot[] {
  const hash = ({ name }: PlannedBoot) => createHash('sha256').update(name).digest('hex');
  const dealt = boots.map((boot) => ({ boot, key: hash(boot) })).sort((a, b) => (a.key < b.key ? -1 : 1));
  const mine = new Set(dealt.flatMap(({ boot }, i) => (i % count === index - 1 ? [boot] : [])));
  return boots.filter((boot) => mine.has(boot));
}

function command(build: Build, directory: string): PlannedBuild {
  const { command, cwd } = typeof build === 'string' ? { command: build, cwd: undefined } : build;
  return { command, cwd: resolve(directory, cwd ?? '.') };
}

function bootOptions(boot: GateBoot, route: Route | undefined): BootOptions {
  const { name: _, routes: __, build: ___, hold: ____, end: _____, symbols: ______, memory, ...given } = boot;
  const options: Record<string, unknown> = {
    maxCycles: MAX_CYCLES,
    ...given,
    ...(memory !== undefined && { memory: sizeInBytes(memory) }),
    ...(route && { boot: route }),
  };
  // A module may set a key to undefined; an option that is there has a value.
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as BootOptions;
}
