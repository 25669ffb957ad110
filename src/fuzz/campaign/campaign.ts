// A campaign: batches of cases, run by whoever is there, findings told apart by cause. After a finding the campaign goes
// on behind it. The time limit only says after how many cases to stop.
// Invariant: the same seed gives the same cases, verdicts and findings, whoever runs the batches (executor.ts).

import fc from 'fast-check';
import { UserError } from '../../api/user-error.js';
import { coveredBranches } from '../coverage/branches.js';
import { minimize } from '../coverage/minimize.js';
import { TapeArbitrary } from '../coverage/tape.js';
import { hexOfWords, wordsOfHex } from '../coverage/tape-text.js';
import type { Finding, FuzzOptions, FuzzResult } from '../options.js';
import type { Structure } from '../structure.js';
import { queueAddress } from './bull.js';
import { type Executor, Inline, makeRunner, planOf } from './executor.js';
import { CampaignFolder } from './folder.js';
import { type Identity, identityOf } from './identity.js';
import { Pace } from './pace.js';
import { QueueExecutor } from './queue.js';
import { BatchRunner, type Runner } from './run-batch.js';
import { type CampaignFinding, CampaignState } from './state.js';
import { Threads } from './threads.js';

const MANY = 1_000_000_000;
const DEFAULT_RUNS = 10_000;
const MOST_FINDINGS = 50;
/** Between two reports of progress, and two looks at whether to stop, ms. */
const LOOK_EVERY = 250;

/**
 * Throw structures at a guest.
 * @throws UserError when the boot has no such structure, or the guest never looks at it; ImageError for bad images
 */
export async function runCampaign(options: FuzzOptions): Promise<FuzzResult> {
  if (options.path !== undefined || options.tape !== undefined) return runPath(options, options.path ?? '0');
  const { seed = 1, seconds, most = MOST_FINDINGS } = options;
  const runs = options.runs ?? (seconds === undefined ? DEFAULT_RUNS : MANY);
  const { corpus, guided = false } = options;
  const plan = { seed, guided, runs, whole: corpus !== undefined, most, minimize };
  const identity =
    corpus === undefined && options.queue === undefined ? undefined : identityOf(planOf(options), { seed, guided });
  if (corpus === undefined) return new Campaign(options, new CampaignState(plan), identity).run();
  const folder = new CampaignFolder(corpus, identity!);
  try {
    return await new Campaign(options, new CampaignState(plan, folder.saved), identity, folder).run();
  } finally {
    folder.close();
  }
}

class Campaign {
  readonly #pace: Pace;
  readonly #until: number;
  #runner: Promise<Runner> | undefined;
  readonly #findings: Finding[] = [];

  constructor(
    private readonly options: FuzzOptions,
    private readonly state: CampaignState,
    private readonly identity: Identity | undefined,
    private readonly folder?: CampaignFolder,
  ) {
    const { seconds } = options;
    this.#until = seconds === undefined ? Number.POSITIVE_INFINITY : Date.now() + seconds * 1000;
    this.#pace = new Pace(state, options.onProgress);
  }

  async run(): Promise<FuzzResult> {
    const executor = await this.#makeExecutor();
    const look = () => {
      if (executor instanceof Threads) this.#pace.add(executor.takeCases());
      this.#pace.tell();
      if (this.#isToStop()) executor.stop();
    };
    const timer = setInterval(look, LOOK_EVERY);
    try {
      for (const finding of this.state.findings.values()) await this.#tell(finding, true);
      await this.#runBatches(executor);
      const { cases, verdicts, guided, corpus, edges } = this.state;
      return {
        cases,
        verdicts,
        findings: this.#findings,
        ...(guided && { guided: { corpus: corpus.length, edges } }),
        ...(guided &&
          this.options.coverage && { branches: coveredBranches(await this.#ownRunner(), this.state.reaching) }),
        start: executor.start ?? (await this.#ownRunner()).start,
      };
    } finally {
      clearInterval(timer);
      await executor.close();
    }
  }

  async #runBatches(executor: Executor): Promise<void> {
    const { state } = this;
    const watchOf = (batch: Parameters<Executor['run']>[0]) => () => ({
      known: new Set(state.findings.keys()),
      most: state.isNext(batch) ? state.wanted : Number.POSITIVE_INFINITY,
    });
    const pending: { batch: Parameters<Executor['run']>[0]; result: ReturnType<Executor['run']> }[] = [];
    for (;;) {
      while (pending.length < executor.width && !this.#isToStop()) {
        const batch = state.next();
        if (batch === undefined) break;
        const result = executor.run(batch, watchOf(batch));
        // It is awaited below, after those before it.
        result.catch(() => {});
        pending.push({ batch, result });
      }
      const first = pending.shift();
      if (first === undefined || state.over) return;
      const { found, whole } = state.merge(first.batch, await first.result);
      // Told before it is written down as known: whoever is killed in between finds it again.
      for (const finding of found) await this.#tell(finding, false);
      if (whole) this.folder?.save(state.save());
      this.#pace.tell();
    }
  }

  #isToStop(): boolean {
    return this.options.signal?.aborted === true || Date.now() > this.#until;
  }

  async #makeExecutor(): Promise<Executor> {
    const { options } = this;
    const { jobs, queue } = options;
    const onWarning = (sentence: string) => options.onWarning?.(sentence);
    const onCases = (cases: number) => {
      this.#pace.add(cases);
      this.#pace.tell();
    };
    if (jobs === undefined && queue === undefined)
      return new Inline(await this.#ownRunner(), onCases, () => this.#isToStop());
    if (options.predicate && options.predicateFile === undefined)
      throw new UserError('a predicate that is a function cannot go to threads; give predicateFile, or no jobs');
    const plan = planOf(options);
    if (queue === undefined) return new Threads(plan, jobs!, onWarning);
    return QueueExecutor.open(queueAddress('queue', queue), plan, this.identity!, onCases, onWarning);
  }

  /** A machine of this thread, made when one is needed. */
  #ownRunner(): Promise<Runner> {
    this.#runner ??= makeRunner(planOf(this.options), this.options.predicate);
    return this.#runner;
  }

  async #tell(found: CampaignFinding, known: boolean): Promise<void> {
    const { arbitrary } = (await this.#ownRunner()).target;
    const finding = withStructure(found, arbitrary);
    this.#findings.push(finding);
    await this.options.onFinding?.(finding, known);
  }
}

/** The structure that a finding names. */
function withStructure(found: CampaignFinding, arbitrary: fc.Arbitrary<Structure<unknown>>): Finding {
  const { tape, seed, path, cause, verdict, cases } = found;
  const source = tape === undefined ? arbitrary : new TapeArbitrary(arbitrary, tape);
  const [structure] = fc.sample(source, { seed, path, numRuns: 1 });
  return { cause, verdict, structure: structure!, seed, path, ...(tape && { tape: hexOfWords(tape) }), cases };
}

/** Only the case of a finding. */
async function runPath(options: FuzzOptions, path: string): Promise<FuzzResult> {
  if (!/^\d+(:\d+)*$/.test(path))
    throw new UserError(`--path ${path}: numbers with colons are needed, as a finding has them`);
  const tape = options.tape === undefined ? undefined : wordsOfHex(options.tape);
  if (options.tape !== undefined && tape === undefined)
    throw new UserError(`--tape ${options.tape.slice(0, 20)}: hexadecimal digits are needed, as a finding has them`);
  const runner = await makeRunner(planOf(options), options.predicate);
  const { arbitrary } = runner.target;
  const { seed = 1 } = options;
  const source = tape === undefined ? arbitrary : new TapeArbitrary(arbitrary, tape);
  const { cases, found } = new BatchRunner(runner).runPath(source, seed, path);
  const findings = found.map(({ case: _, ...one }) => withStructure({ ...one, tape, cases: 0 }, arbitrary));
  const verdicts = Object.fromEntries(findings.map(({ verdict }) => [verdict.oracle, 1]));
  return { cases, verdicts, findings, start: runner.start };
}
