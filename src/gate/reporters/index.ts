// The reporters by name.

import type { GateReport } from '../report.js';
import { githubReport } from './github.js';
import { junitReport } from './junit.js';
import { markdownReport } from './markdown.js';
import { sarifReport } from './sarif.js';
import { tapReport } from './tap.js';
import { type TerminalOptions, terminalReport } from './terminal.js';

export const REPORTERS: Readonly<Record<string, (report: GateReport, options?: TerminalOptions) => string>> = {
  terminal: terminalReport,
  junit: junitReport,
  tap: tapReport,
  sarif: sarifReport,
  github: githubReport,
  markdown: markdownReport,
  json: (report) => `${JSON.stringify(report, null, 2)}\n`,
};
