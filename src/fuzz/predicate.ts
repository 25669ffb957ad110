// The user's judgement of a case, from a file: each thread loads it for itself, since functions do not travel.

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { UserError } from '../api/user-error.js';
import type { Outcome } from './options.js';

/** @throws UserError when the file cannot be loaded, or exports no function */
export async function loadPredicate(file: string): Promise<(outcome: Outcome) => string | undefined> {
  const path = resolve(file);
  let loaded: unknown;
  try {
    if (/\.[cm]?ts$/.test(path)) {
      const { createJiti } = await import('jiti');
      loaded = await createJiti(path, { fsCache: false }).import(path, { default: true });
    } else loaded = ((await import(pathToFileURL(path).href)) as { default?: unknown }).default;
  } catch (error) {
    throw new UserError(`${file}: cannot be loaded: ${(error as Error).message}; check --predicate`);
  }
  if (typeof loaded !== 'function')
    throw new UserError(`${file}: the default export is no function; write export default (outcome) => undefined`);
  return loaded as (outcome: Outcome) => string | undefined;
}
