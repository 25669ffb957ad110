// The library: what the command line does, for programs.

export type { FinalScreen } from './api/final-screen.js';
export type {
  BootOptions,
  RecordOptions,
  ReplayOptions,
  ReplayResult,
  Route,
  RunOptions,
  RunResult,
  Screenshot,
  StopSignal,
} from './api/options.js';
export { record, run } from './api/record.js';
export { replay } from './api/replay.js';
export {
  type DiffOptions,
  type DiffResult,
  diff,
  explainDivergence,
  type InspectResult,
  inspect,
  inspectEvents,
  inspectHandoff,
  type RenderOptions,
  renderDiff,
  renderDivergence,
  renderHandoff,
  renderInspection,
} from './api/traces.js';
export { UserError } from './api/user-error.js';
export { VERSION } from './api/version.js';
export { ImageError } from './boot/boot-error.js';
export type { RunEnd } from './cpu/bus.js';
export type { DifferenceGroup } from './diff/difference-groups.js';
export type {
  Cause,
  ChainLink,
  ComparedTable,
  Explanation,
  FirstDifference,
  Retiming,
  Verdict,
} from './diff/explanation.js';
export { type FormatOptions, formatExplanation } from './diff/format.js';
export { PHASE_NAMES, type Phase } from './diff/phases.js';
export {
  type Budgets,
  type Build,
  type BuildCommand,
  defineConfig,
  type EventSelection,
  type GateBoot,
  type GateConfig,
  type HandoffHold,
  type Hold,
  type SerialHold,
  type Size,
} from './gate/config.js';
export { type Observation, observe } from './gate/observe.js';
export type { Divergence } from './replay/divergence.js';
export { type ViewOptions, type ViewResult, view } from './report/report.js';
export { TraceError } from './trace/error.js';
export type { EventView } from './trace/event-view.js';
export type { HandoffDifference, HandoffView } from './trace/handoff.js';
export type { Selection } from './trace/inspect.js';
