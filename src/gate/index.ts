// The gate, for the command line: loaded when its verb runs.

export { loadConfig } from './config-file.js';
export { type GateOptions, type GateRun, runGate } from './gate.js';
export type { Shard } from './plan.js';
export { terminalReport } from './reporters/terminal.js';
