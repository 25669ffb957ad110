// Runs a gate: builds, boots in parallel, holds each boot to its baseline, and says how it went. With `accept` the boots
// become the baselines instead, each as a whole or not at all (baselines.ts).
// Invariant: without `accept` nothing in the folder of baselines is touched.

import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { VERSION } from '../api/version.js';
import { grouped } from '../figures.js';
import { type Baseline, Baselines, type NoBaseline } from './baselines.js';
import type { BootResult } from './boot-job.js';
import { runInProcess } from './boot-process.js';
import { runBuild } from './build.js';
import type { LoadedConfig } from './config-file.js';
import { chosenBoots, type PlannedBoot, type PlannedBuild, planBoots, type Shard, shardOf } from './plan.js';
import { type BootReport, exitCodeOf, type Finding, type GateReport, type Outcome, REPORT_FORMAT } from './report.js';

export interface GateOptions {
  /** Boots by name; all when empty. */
  readonly names?: readonly string[];
  /** Write baselines instead of holding boots to them. */
  readonly accept?: boolean;
  /** With `accept`: remove traces that no baseline names any more. Not while others write. Default true. */
  readonly clean?: boolean;
  readonly shard?: Shard | undefined;
  /** Boots at once; the configuration's, or one for each processor, when absent. */
  readonly jobs?: number | undefined;
  /** How far boots are. */
  readonly onProgress?: (name: string, cycle: number) => void;
  /** A boot is over. */
  readonly onBoot?: (report: BootReport) => void;
  readonly signal?: AbortSignal | undefined;
}

/** What a boot that is over can still be used for: to become the baseline. */
export interface Candidate {
  readonly boot: PlannedBoot;
  readonly report: BootReport;
  readonly result: BootResult | undefined;
  readonly before: Baseline | NoBaseline;
  /** Its trace, until the run is disposed of. */
  readonly trace: string;
}

export interface GateRun {
  readonly report: GateReport;
  readonly candidates: readonly Candidate[];
  readonly baselines: Baselines;
  /** Remove what was needed only for the run. */
  dispose(): void;
}

/**
 * Make what a boot did its baseline.
 * @returns what was done, in a phrase
 * @throws UserError when it cannot be written; then everything is as it was
 */
export function acceptBoot(
  baselines: Baselines,
  name: string,
  before: Baseline | NoBaseline,
  { facts, findings }: Pick<BootResult, 'facts' | 'findings'>,
  trace: string,
): string {
  const usable = !('problem' in before) && findings.every(({ kind }) => kind !== 'baseline');
  if (usable && before.root === facts!.root) return 'unchanged';
  const file = baselines.accept(name, facts!, trace);
  return `${'problem' in before ? 'new' : 'changed'}: ${file}`;
}

/** @throws UserError when the configuration asks for what cannot be done, or baselines cannot be written */
export async function runGate(loaded: LoadedConfig, options: GateOptions = {}): Promise<GateRun> {
  const plan = planBoots(loaded);
  const { shard, names = [], signal } = options;
  const chosen = chosenBoots(plan.boots, names);
  const boots = shard ? shardOf(chosen, shard) : chosen;
  const baselines = new Baselines(plan.baselines, plan.store);
  const scratch = mkdtempSync(join(tmpdir(), 'vmreplay-gate-'));
  const dispose = () => rmSync(scratch, { recursive: true, force: true });
  try {
    const builds = await runBuilds(boots, signal);
    const candidates: Candidate[] = new Array(boots.length);
    let next = 0;
    const worker = async () => {
      while (next < boots.length) {
        const index = next++;
        const boot = boots[index]!;
        const trace = join(scratch, `${index}.vmr`);
        const broken = boot.build && builds.get(buildKey(boot.build));
        const run = new BootRun(boot, baselines, trace, plan, options);
        candidates[index] = broken ? run.notBuilt(broken) : await run.run();
        options.onBoot?.(candidates[index].report);
      }
    };
    const jobs = Math.min(options.jobs ?? plan.jobs ?? availableParallelism(), boots.length);
    await Promise.all(Array.from({ length: jobs }, worker));
    // What belongs to no boot is found by whoever has all boots, or the first shard of them.
    const all = names.length === 0 && (shard === undefined || shard.index === 1);
    let obsolete = all ? baselines.obsolete(plan.boots.map(({ name }) => name)) : [];
    if (options.accept && !signal?.aborted) {
      baselines.remove(obsolete.map(({ name }) => name));
      if (options.clean !== false) baselines.clean();
      obsolete = [];
    }
    const reports = candidates.map(({ report }) => report);
    const report: GateReport = {
      format: REPORT_FORMAT,
      tool: `vmreplay ${VERSION}`,
      config: loaded.name,
      shard: shard ? `${shard.index}/${shard.count}` : null,
      boots: reports,
      obsolete,
      exitCode: exitCodeOf(reports, obsolete),
    };
    return { report, candidates, baselines, dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

const buildKey = ({ command, cwd }: PlannedBuild): string => `${cwd}\n${command}`;

/** What went wrong, by command. */
async function runBuilds(
  boots: readonly PlannedBoot[],
  signal?: AbortSignal,
): Promise<Map<string, Finding | undefined>> {
  const done = new Map<string, Finding | undefined>();
  for (const { build } of boots) {
    if (build && !done.has(buildKey(build)) && !signal?.aborted)
      done.set(buildKey(build), await runBuild(build, signal));
  }
  return done;
}

class BootRun {
  readonly #before: Baseline | NoBaseline;
  readonly #started = performance.now();

  constructor(
    private readonly boot: PlannedBoot,
    private readonly baselines: Baselines,
    private readonly trace: string,
    private readonly plan: { readonly directory: string; readonly artifacts: string },
    private readonly options: GateOptions,
  ) {
    this.#before = baselines.find(boot.name);
  }

  notBuilt(finding: Finding): Candidate {
    return this.#candidate('failed', finding.summary, [finding], undefined);
  }

  async run(): Promise<Candidate> {
    const { boot, options, trace } = this;
    const { signal } = options;
    const before = this.#before;
    if (signal?.aborted) return this.#candidate('interrupted', 'not run', [], undefined);
    const baseline = 'problem' in before ? undefined : before.trace;
    const { hold, end, symbols } = boot;
    const job = { options: boot.options, hold, end, symbols, output: trace, baseline };
    let result: BootResult;
    try {
      const onProgress = (cycle: number) => options.onProgress?.(boot.name, cycle);
      result = await runInProcess(job, this.plan.directory, onProgress, signal);
    } catch (error) {
      if (signal?.aborted) return this.#candidate('interrupted', 'stopped', [], undefined);
      const [summary = '', ...lines] = (error as Error).message.split('\n');
      return this.#candidate('failed', summary, [{ kind: 'boot', summary, lines }], undefined);
    }
    if (result.interrupted) return this.#candidate('interrupted', 'stopped', [], undefined);
    const { facts, findings, retimed } = result;
    // What did not run as it must is no baseline, and a budget is a limit whatever the baseline.
    if (options.accept && !result.guestFailed && facts) return this.#accept(result);
    const failed = (outcome: Outcome, all: readonly Finding[]) =>
      this.#candidate(outcome, all[0]!.summary, all, result);
    if (result.guestFailed) return failed('failed', findings);
    if ('problem' in before) {
      const summary = `${before.why}; vmreplay gate --accept ${boot.name} writes it`;
      return failed(before.problem, [{ kind: 'baseline', summary, lines: [] }, ...findings]);
    }
    if (findings.length > 0) return failed('failed', findings);
    if (retimed) return this.#candidate('retimed', retimed, [], result);
    const images = result.changedImages;
    const changed = images.length === 0 ? '' : `, though ${images.join(' and ')} changed`;
    return this.#candidate('passed', `${grouped(facts!.metrics.cycles.end!)} cycles${changed}`, [], result);
  }

  #accept(result: BootResult): Candidate {
    const budgets = result.findings.filter(({ kind }) => kind === 'budget');
    if (budgets.length > 0) return this.#candidate('failed', budgets[0]!.summary, budgets, result);
    const note = acceptBoot(this.baselines, this.boot.name, this.#before, result, this.trace);
    return this.#candidate('accepted', note, [], result);
  }

  #candidate(outcome: Outcome, note: string, findings: readonly Finding[], result: BootResult | undefined): Candidate {
    const before = this.#before;
    const report: BootReport = {
      name: this.boot.name,
      outcome,
      note,
      seconds: Math.round(performance.now() - this.#started) / 1000,
      findings,
      counts: result?.counts ?? [],
      changedImages: result?.changedImages ?? [],
      baseline: 'problem' in before ? null : before.file,
      trace: result?.facts ? this.#keep(outcome) : null,
    };
    return { boot: this.boot, report, result, before, trace: this.trace };
  }

  /** The trace of a boot that failed is left for a look; that of one that did not is cleared away. */
  #keep(outcome: Outcome): string | null {
    const kept = join(this.plan.artifacts, `${this.boot.name}.vmr`);
    try {
      if (outcome !== 'failed') {
        rmSync(kept, { force: true });
        return null;
      }
      mkdirSync(dirname(kept), { recursive: true });
      copyFileSync(this.trace, kept);
      return relative(process.cwd(), kept);
    } catch {
      // The gate's answer does not depend on it.
      return null;
    }
  }
}
