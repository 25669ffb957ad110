// The campaign as the library has it. Guest and machine are loaded when one runs: a project that only draws structures
// does not pay for them.

import type { Finding, FuzzOptions, FuzzResult, ServeOptions } from './options.js';
import type { FuzzReport } from './report.js';

/**
 * Throw structures at a guest, from the point at which it first reads the target. The same seed gives the same cases and
 * findings.
 * @throws UserError when the boot has no such structure, or the guest never looks at it; ImageError for bad images
 */
export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const { runCampaign } = await import('./campaign/campaign.js');
  return runCampaign(options);
}

/**
 * Write each finding to a folder of its own below `directory`: the structure decoded and as bytes, the trace of a boot
 * that has it, and how to have it again.
 * @returns the folders, in the order of the findings
 */
export async function writeFindings(directory: string, options: FuzzOptions, result: FuzzResult): Promise<string[]> {
  const folders: string[] = [];
  for (const finding of result.findings) folders.push(await writeFinding(directory, options, finding));
  return folders;
}

/** The same for one finding, as `onFinding` has them. @returns the folder */
export async function writeFinding(directory: string, options: FuzzOptions, finding: Finding): Promise<string> {
  const files = await import('./finding-files.js');
  return files.writeFinding(directory, options, finding);
}

/** Whether a finding has its folder below `directory`. */
export async function isWritten(directory: string, options: FuzzOptions, finding: Finding): Promise<boolean> {
  const files = await import('./finding-files.js');
  return files.isWritten(directory, options, finding);
}

/**
 * What a campaign came to as plain data: the JSON of `vmreplay fuzz --json` (schemas/fuzz-1.json).
 * @param run how it ran, and where findings were written, if they were
 */
export async function fuzzReport(
  options: FuzzOptions,
  result: FuzzResult,
  run: Pick<FuzzReport, 'interrupted' | 'host'> & { readonly directory?: string },
): Promise<FuzzReport> {
  const { reportOf } = await import('./report.js');
  return reportOf(options, result, run);
}

/**
 * Help campaigns of other machines until the signal (`queue` of FuzzOptions).
 * @throws UserError when the server cannot be reached, or the files here are others than the leader's
 */
export async function serveQueue(options: ServeOptions): Promise<void> {
  const served = await import('./campaign/serve-queue.js');
  return served.serveQueue(options);
}
