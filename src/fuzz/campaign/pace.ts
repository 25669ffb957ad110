// How far a campaign is, for people who wait: reports at most a few times a second, the pace from the last seconds.
// Host time comes in here and in the time limit, and changes no result.

import type { FuzzOptions } from '../options.js';
import type { CampaignState } from './state.js';

/** Between two reports, ms. */
const TELL_EVERY = 200;
/** What the pace is taken from, ms. */
const WINDOW = 5000;

export class Pace {
  /** Cases of this run, those of batches under way among them. */
  #cases = 0;
  readonly #before: number;
  #told = 0;
  #edges = 0;
  #edgesAt = Date.now();
  readonly #marks: { at: number; cases: number }[] = [{ at: Date.now(), cases: 0 }];

  constructor(
    private readonly state: CampaignState,
    private readonly onProgress: FuzzOptions['onProgress'],
  ) {
    this.#before = state.cases;
    this.#edges = state.edges;
  }

  add(cases: number): void {
    this.#cases += cases;
  }

  tell(): void {
    const { state } = this;
    const now = Date.now();
    if (state.edges > this.#edges) {
      this.#edges = state.edges;
      this.#edgesAt = now;
    }
    if (this.onProgress === undefined || now - this.#told < TELL_EVERY) return;
    this.#told = now;
    this.#marks.push({ at: now, cases: this.#cases });
    while (this.#marks.length > 2 && this.#marks[0]!.at < now - WINDOW) this.#marks.shift();
    const [{ at, cases }] = this.#marks as [{ at: number; cases: number }];
    const casesPerSecond = Math.round(((this.#cases - cases) * 1000) / Math.max(1, now - at));
    const secondsSinceEdge = Math.floor((now - this.#edgesAt) / 1000);
    this.onProgress({
      cases: this.#before + this.#cases,
      casesPerSecond,
      findings: state.findings.size,
      verdicts: state.verdicts,
      ...(state.guided && { guided: { corpus: state.corpus.length, edges: state.edges, secondsSinceEdge } }),
    });
  }
}
