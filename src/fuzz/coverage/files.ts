// A coverage report as a file: JSON, or lcov's tracefile with the listing whose lines it counts beside it.

import { basename } from 'node:path';
import { findImage } from '../../api/images.js';
import type { BootOptions } from '../../api/options.js';
import { readSymbols } from '../../api/symbol-files.js';
import { UserError } from '../../api/user-error.js';
import { systemReason } from '../../trace/error.js';
import type { SymbolTable } from '../../trace/symbols.js';
import { writeWhole } from '../../whole-file.js';
import type { CoveredBranch } from '../options.js';
import { coverageReport, lcovOf } from './report.js';

/**
 * @param symbols a file that names functions; default the kernel, if it has any
 * @returns a line for people
 * @throws UserError when the file cannot be written, or the file of symbols has none
 */
export function writeCoverage(
  file: string,
  branches: readonly CoveredBranch[],
  boot: BootOptions,
  symbols?: string,
): string {
  const report = coverageReport(branches, symbols === undefined ? ownSymbols(boot) : readSymbols(symbols));
  try {
    if (file.endsWith('.json')) writeWhole(file, `${JSON.stringify(report, undefined, 2)}\n`);
    else {
      const name = `${file.slice(0, -'.info'.length)}.listing`;
      const { info, listing } = lcovOf(report, basename(name));
      writeWhole(name, listing);
      writeWhole(file, info);
    }
  } catch (error) {
    throw new UserError(`--coverage ${file}: cannot be written: ${systemReason(error)}; choose another file`);
  }
  const { total, reached } = report.functions;
  return `${file}: ${reached} of ${total} functions, ${report.branches} branches`;
}

/** The kernel's own; undefined when it has none. */
function ownSymbols({ kernel }: BootOptions): SymbolTable | undefined {
  if (kernel === undefined) return undefined;
  try {
    return readSymbols(findImage('kernel', kernel));
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}
