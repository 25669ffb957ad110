// The gate, for the command line: loaded when its verb runs.

export { loadConfig } from './config-file.js';
export { type GateOptions, type GateRun, runGate } from './gate.js';
export { mergeReports } from './merge.js';
export type { Shard } from './plan.js';
export type { GateReport } from './report.js';
export { REPORTERS } from './reporters/index.js';
export { markdownReport } from './reporters/markdown.js';
export { review } from './review.js';
