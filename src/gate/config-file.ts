// Finds, loads and checks a configuration: vmreplay.config.ts, .mjs, .js or .json. Every mistake is one sentence that
// names the file, the place in the configuration, and the mend. Modules are run, JSON is not.
// TypeScript is loaded by jiti, and only when the configuration is in TypeScript: Node 20 cannot do it alone.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { z } from 'zod';
import { UserError } from '../api/user-error.js';
import { systemReason } from '../trace/error.js';
import type { GateConfig } from './config.js';
import { configSchema, KEYS } from './config-schema.js';
import { jsonErrorAt } from './json-place.js';

const NAMES = ['ts', 'mjs', 'js', 'json'].map((extension) => `vmreplay.config.${extension}`);
const SUFFIX = /\.(ts|mts|mjs|js|json)$/;
/** Places of which the sentence tells. */
const TOLD = 3;

export interface LoadedConfig {
  /** As messages name it: relative to where the program runs. */
  readonly name: string;
  /** Absolute; paths in the configuration are relative to it. */
  readonly directory: string;
  readonly config: GateConfig;
}

/**
 * The configuration of a folder, or the one that was named.
 * @throws UserError when there is none, more than one, or it is wrong
 */
export async function loadConfig(cwd: string, given?: string): Promise<LoadedConfig> {
  const path = given === undefined ? findConfig(cwd) : resolve(cwd, given);
  const name = relative(cwd, path) || path;
  if (!existsSync(path)) throw new UserError(`${name}: there is no such file; check --config`);
  if (!SUFFIX.test(path)) throw new UserError(`${name}: a configuration ends in .json, .js, .mjs or .ts; rename it`);
  const value = await read(path, name);
  return { name, directory: dirname(path), config: checkConfig(value, name) };
}

function findConfig(cwd: string): string {
  const found = NAMES.filter((name) => existsSync(join(cwd, name)));
  if (found.length > 1) throw new UserError(`there are ${found.join(' and ')}; keep one, or choose with --config`);
  if (found.length === 1) return join(cwd, found[0]!);
  throw new UserError('there is no vmreplay.config.json, .js, .mjs or .ts here; write one, or name it with --config');
}

async function read(path: string, name: string): Promise<unknown> {
  if (path.endsWith('.json')) return readJson(path, name);
  try {
    return path.endsWith('ts') ? await importTypeScript(path) : await importModule(path);
  } catch (error) {
    const message = String(error instanceof Error ? error.message : error).split('\n')[0];
    throw new UserError(`${name}: cannot be loaded: ${message}; mend it, or write the configuration as JSON`);
  }
}

function readJson(path: string, name: string): unknown {
  let source: string;
  try {
    source = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UserError(`${name}: cannot be read: ${systemReason(error)}; check --config`);
  }
  try {
    return JSON.parse(source);
  } catch {
    const before = source.slice(0, jsonErrorAt(source)).split('\n');
    const where = `line ${before.length}, column ${before.at(-1)!.length + 1}`;
    throw new UserError(`${name}: ${where}: this is no JSON; mend it there`);
  }
}

async function importModule(path: string): Promise<unknown> {
  const loaded = (await import(pathToFileURL(path).href)) as { default?: unknown };
  return loaded.default;
}

async function importTypeScript(path: string): Promise<unknown> {
  const { createJiti } = await import('jiti');
  // The configuration imports defineConfig from here, wherever this program is installed.
  const jiti = createJiti(path, { fsCache: false, virtualModules: { vmreplay: await import('../index.js') } });
  return jiti.import(path, { default: true });
}

/** @param name of the file, for messages @throws UserError */
export function checkConfig(value: unknown, name: string): GateConfig {
  if (value === undefined)
    throw new UserError(`${name}: nothing is exported; write export default defineConfig({ … })`);
  const checked = configSchema.safeParse(value);
  if (!checked.success) {
    const told = checked.error.issues.slice(0, TOLD).map(issueText);
    const more = checked.error.issues.length - told.length;
    if (more > 0) told.push(`${more} more`);
    throw new UserError(`${name}: ${told.join('; ')}`);
  }
  const config = checked.data as GateConfig;
  config.boots.forEach((boot, i) => {
    const at = `${name}: boots[${i}]`;
    const same = config.boots.findIndex((other) => other.name.toLowerCase() === boot.name.toLowerCase());
    if (same < i) throw new UserError(`${at}.name: ${boot.name} is the name of boots[${same}] too; choose another`);
    if (boot.routes && boot.boot) throw new UserError(`${at}.boot: routes say how this is loaded; leave boot out`);
    for (const [n, item] of (boot.fwCfg ?? []).entries()) {
      if ((item.file === undefined) === (item.string === undefined))
        throw new UserError(`${at}.fwCfg[${n}]: one of file and string is needed`);
    }
    const twice = boot.routes?.find((route, n) => boot.routes!.indexOf(route) < n);
    if (twice) throw new UserError(`${at}.routes: ${twice} is there twice; keep one`);
    const { hold = config.hold } = boot;
    if (hold && !hold.events && !hold.handoff && !hold.serial && !hold.budgets)
      throw new UserError(`${at}.hold: this holds the boot to nothing; name events, handoff, serial or budgets`);
  });
  return config;
}

function issueText(issue: z.core.$ZodIssue): string {
  const inner = issue.code === 'invalid_union' ? deepest(issue) : undefined;
  if (inner) return issueText({ ...inner, path: [...issue.path, ...inner.path] });
  const path = issue.path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  const at = path === '' ? '' : `${path.replace(/^\./, '')}: `;
  if (issue.code !== 'unrecognized_keys') return `${at}${issue.message}`;
  const key = issue.keys[0]!;
  const meant = nearest(key);
  return `${at}there is no setting ${key}; ${meant ? `did you mean ${meant}?` : 'leave it out'}`;
}

/** Of a choice between a simple value and an object, what is wrong inside of the object, when it was one. */
function deepest(issue: z.core.$ZodIssueInvalidUnion): z.core.$ZodIssue | undefined {
  const all = issue.errors.flat();
  return all.find(({ code }) => code === 'unrecognized_keys') ?? all.find(({ path }) => path.length > 0);
}

/** The known setting that is written almost so. */
function nearest(key: string): string | undefined {
  const off = (known: string) => distance(known.toLowerCase(), key.toLowerCase());
  const [best] = [...KEYS].sort((a, b) => off(a) - off(b));
  return best !== undefined && off(best) <= 2 ? best : undefined;
}

/** Edits that make one word of the other (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row.at(-1)!;
}
