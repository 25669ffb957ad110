// Files of this package, whether the program runs from source or from dist.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Absolute path of a file or folder of the package, by its path from the package's root. */
export function packageFile(path: string): string {
  let directory = import.meta.dirname;
  while (!existsSync(join(directory, 'package.json'))) directory = dirname(directory);
  return join(directory, path);
}
