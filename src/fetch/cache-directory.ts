// Where the program keeps what it can get or make again. A file of its own: the command line asks before it loads
// anything else.

import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** $VMREPLAY_CACHE, else $XDG_CACHE_HOME/vmreplay, else ~/.cache/vmreplay. */
export function cacheDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  if (environment.VMREPLAY_CACHE) return resolve(environment.VMREPLAY_CACHE);
  // The XDG base directory specification tells programs to ignore a relative path here.
  const xdg = environment.XDG_CACHE_HOME;
  if (xdg?.startsWith('/')) return join(xdg, 'vmreplay');
  return join(environment.HOME || homedir(), '.cache', 'vmreplay');
}
