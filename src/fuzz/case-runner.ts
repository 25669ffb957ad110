// One case after the other on one machine: back to the snapshot, the structure into its place, the memory that it does not
// declare out of the map, and on until the guest ends, does what it must not, or has taken too long.
//
// What a guest may use is `UsableMemory`'s to say. How long it may take: several times what it took with its own structure.
// A loop is told by its state coming back (circles.ts).
// Invariant: a verdict follows from the structure alone, not from the cases before it.

import type { Guest } from '../api/guest.js';
import type { BootOptions } from '../api/options.js';
import { TIER } from '../api/tier.js';
import { UserError } from '../api/user-error.js';
import type { RunEnd } from '../cpu/bus.js';
import { Translator } from '../cpu/jit/translator.js';
import * as L from '../cpu/layout.js';
import { PAGE_CODE } from '../cpu/physical.js';
import { CR0_PG, IF } from '../cpu/state.js';
import type { MapEntry } from './arbitraries/e820.js';
import { findCircle, ipOf, isIdle, lowestOfLoop } from './circles.js';
import { Consoles } from './consoles.js';
import type { CoverageProbe } from './coverage/edges.js';
import { type EndPoint, endPoint } from './end-point.js';
import { type HandoffFault, handoffFaults } from './handoff-oracle.js';
import { MachineSnapshot } from './machine-snapshot.js';
import type { RunnerOptions } from './options.js';
import { Sites } from './sites.js';
import type { Stage } from './skip/skip-planner.js';
import { Skipper } from './skip/skipper.js';
import { StretchRecorder } from './skip/stretch-recorder.js';
import { BOOT_LIMIT, standAtFirstRead, type WatchedMachine } from './stand.js';
import type { Structure } from './structure.js';
import type { Target } from './target.js';
import { findTarget, putInPlace } from './targets.js';
import { UsableMemory } from './usable-memory.js';
import { ORACLES, type Oracle, type Verdict } from './verdict.js';
import { WatchedBus } from './watched-machine.js';

const BASE_CYCLES = 2_000_000;
const LONGER = 8;
/** Cycles to the first look at whether it goes in a circle, doubled for each. */
const LOOK = 50_000;
const PAGE = 4096;
/** Verdicts on an instruction. */
const FAULTS: ReadonlySet<Oracle> = new Set(ORACLES.filter((one) => !/panic|predicate|hand-off|debug exit/.test(one)));

interface Ended {
  readonly end: RunEnd;
  readonly trespass?: { oracle: Oracle; site: number; detail: string; cycle: number };
}

export class CaseRunner {
  readonly target: Target;
  /** Cycle of the snapshot. */
  readonly start: number;
  readonly #guest: Guest;
  readonly #snapshot: MachineSnapshot;
  readonly #bus: WatchedBus;
  readonly #options: RunnerOptions;
  readonly #boot: BootOptions;
  readonly #usual: { end: RunEnd; cycles: number };
  #limit: number;
  readonly #usable: UsableMemory;
  /** Pages that the boot as it is executes. */
  readonly #code = new Set<number>();
  /** Pages outside of what was loaded whose code has been decoded in this case. */
  readonly #strays: number[] = [];
  readonly #firmware: boolean;
  readonly #machine: WatchedMachine;
  readonly #consoles: Consoles;
  readonly #until: EndPoint;
  /** Requirements of a hand-off that the boot as it is breaks, too. */
  readonly #usualFaults: ReadonlySet<string>;
  readonly #sites: Sites;
  /** The first page of this case whose code the boot as it is does not execute, and that is not blank. */
  #strayed: { readonly page: number; readonly cycle: number } | undefined;
  readonly #skipper: Skipper | undefined;
  #cycles = 0;
  #entries: readonly MapEntry[] = [];

  /** @throws UserError when the boot has no such structure, or never looks at it */
  constructor(name: string, boot: BootOptions, options: RunnerOptions = {}) {
    this.#options = options;
    this.#boot = boot;
    this.#machine = standAtFirstRead(name, boot, options.coverage ?? false);
    const { guest, entry } = this.#machine;
    this.#guest = guest;
    this.target = findTarget(name, guest, entry);
    const { place } = this.target;
    const { cpu, pc, boot: image } = guest;
    const { physical } = cpu;
    this.#firmware = image.route === 'firmware';
    this.#usable = new UsableMemory(this.#machine, this.target);
    this.#bus = new WatchedBus(cpu, pc);
    this.#bus.describe = (at) => this.#usable.describe(at);
    this.#machine.memory.bus = this.#bus;
    cpu.bus = this.#bus;
    this.#consoles = new Consoles(guest, boot, options.panic);
    this.#until = endPoint(options.until, options.symbols, boot, this.#machine, place.in === 'hand-off');
    if (this.#until?.at === 'address') cpu.setBreakpoint(this.#until.address);
    if (this.#until?.at === 'hand-off') entry.watch();
    // Translated code notes no edges.
    if (!options.coverage)
      cpu.translateBy((parts) => new Translator(parts, { ...TIER, threshold: () => TIER.threshold }));
    this.#sites = new Sites(guest, boot, options.symbols);
    this.#snapshot = new MachineSnapshot(cpu, pc);
    this.start = cpu.now;
    // The boot as it is: what it uses, and how it ends.
    const last = Math.min(boot.untilCycle ?? Number.POSITIVE_INFINITY, boot.maxCycles ?? BOOT_LIMIT, BOOT_LIMIT);
    const end = this.#runTo(Math.max(last, this.start));
    if (this.#firmware && end.reason === 'until-cycle' && boot.untilCycle === undefined && boot.maxCycles === undefined)
      throw new UserError(
        `${name}: this boot does not end by itself; say where a case ends with --until, --until-debugcon or --until-cycle`,
      );
    this.#usual = { end, cycles: cpu.now - this.start };
    this.#usualFaults = new Set(this.#handoffFaults(end).map(({ rule }) => rule));
    this.#limit = options.caseCycles ?? LONGER * this.#usual.cycles + BASE_CYCLES;
    if (boot.untilCycle !== undefined && end.reason === 'until-cycle') this.#limit = last - this.start;
    physical.flags.forEach((flags, page) => {
      if ((flags & PAGE_CODE) !== 0) this.#code.add(page);
    });
    this.#bus.learning = false;
    cpu.code.onClaim = (page) => this.#claimed(page);
    cpu.code.onNoMemory = (page) => this.#claimedNone(page);
    this.#snapshot.restore();
    // Edges are noted by executing them.
    if (!options.coverage && options.skip !== false) this.#skipper = this.#makeSkipper();
  }

  /** What cases execute: to begin() before one, and end() after it. Undefined without `coverage`. */
  get coverage(): CoverageProbe | undefined {
    return this.#guest.cpu.coverage;
  }

  /** What the last case took. */
  get cycles(): number {
    return this.#cycles;
  }

  /** Hash of the snapshot's state, of the machine as it is now. */
  hash(): string {
    return this.#snapshot.hash();
  }

  /** How one structure is taken; undefined when there is nothing to find fault with. */
  run(structure: Structure<unknown>): Verdict | undefined {
    const bytes = structure.encode();
    const value = structure.value;
    this.#entries = this.target.mapOf(value) ?? [];
    const ended = this.#playCase(bytes);
    // Judging executes parts of it again.
    this.coverage?.end();
    this.#cycles = this.#guest.cpu.now - this.start;
    const found = this.#attributed(this.#judge(ended, bytes, structure), bytes);
    const verdict = found && { ...found, ...this.#sites.name(found.site) };
    this.#end();
    this.#skipper?.note(bytes, this.#cycles);
    return verdict;
  }

  /** Cycles of all cases that were not executed. */
  get skipped(): number {
    return this.#skipper?.total ?? 0;
  }

  /** A case from its begin to its end, without what is known of it; every so often both ways. */
  #playCase(bytes: Uint8Array): Ended {
    const steps = {
      begin: () => this.#begin(bytes),
      play: () => this.#play(),
      end: () => this.#end(),
      stateOf: (ended: Ended) => `${JSON.stringify(ended)} ${JSON.stringify(this.#strayed)} ${this.#snapshot.digest()}`,
    };
    if (this.#skipper) return this.#skipper.run(steps);
    steps.begin();
    return steps.play();
  }

  #makeSkipper(): Skipper {
    const { guest, memory, entry } = this.#machine;
    const { cpu } = guest;
    const recorder = new StretchRecorder(cpu, this.#bus, memory, this.#snapshot, () => this.#strays.length);
    const taken = new Set(entry.points.map(({ address }) => address));
    if (this.#until?.at === 'address') taken.add(this.#until.address);
    const run = (cycle: number) => this.#runTo(cycle).reason === 'until-cycle';
    const play: Stage['play'] = (bytes, body) => {
      this.#begin(bytes);
      try {
        body(run);
      } finally {
        this.#end();
      }
    };
    const last = this.start + this.#usual.cycles + LOOK;
    return new Skipper({ cpu, recorder, taken, play, last }, memory, this.#usual.cycles);
  }

  #begin(bytes: Uint8Array): void {
    this.#consoles.begin();
    this.#strayed = undefined;
    this.#machine.entry.begin();
    this.#bus.found = undefined;
    putInPlace(this.#guest, this.target.place, bytes, this.#machine.disks);
    this.#usable.hide(this.#entries);
  }

  /** Back to the snapshot; what was executed where nothing was loaded is forgotten. */
  #end(): void {
    this.#usable.show();
    for (const page of this.#strays.splice(0)) this.#guest.cpu.code.drop(page);
    this.#snapshot.restore();
  }

  /** Code is about to be decoded in a page. */
  #claimed(page: number): void {
    if (this.#code.has(page) || (!this.#firmware && this.#usable.isLoaded(page))) return;
    this.#strays.push(page);
    if (this.#firmware && !this.#usable.isBlank(page)) {
      this.#strayed ??= { page, cycle: this.#guest.cpu.cycle };
      return;
    }
    const detail = `goes to page 0x${page.toString(16)}000, where nothing was loaded`;
    this.#bus.note('execution outside loaded images', detail);
  }

  /** No instruction is there, and an exception's handler that goes back to it, as firmware's does, makes a loop of it. */
  #claimedNone(page: number): void {
    if (!this.#firmware) return;
    this.#bus.note('execution outside loaded images', `goes to page 0x${page.toString(16)}000, where no memory is`);
  }

  /** What goes wrong in bytes that are no code of this boot went wrong where they were jumped to. */
  #attributed(verdict: Verdict | undefined, bytes: Uint8Array): Verdict | undefined {
    const strayed = this.#strayed;
    if (!verdict || !strayed || !FAULTS.has(verdict.oracle) || this.#isKnownCode(verdict.site)) return verdict;
    const what = `goes to page 0x${strayed.page.toString(16)}000, which the boot as it is does not execute`;
    const site = this.#lastLoaded(bytes, strayed.cycle);
    const detail = `${what}; then ${verdict.oracle}: ${verdict.detail}`;
    return { oracle: 'execution outside loaded images', site, detail, cycle: verdict.cycle };
  }

  /** Run on to a cycle, the end of a case, or whatever ends the machine. */
  #runTo(cycle: number): RunEnd {
    const { cpu } = this.#guest;
    const { entry } = this.#machine;
    for (;;) {
      const end = cpu.runUntil(cycle);
      if (end.reason !== 'breakpoint') return end;
      const handOff = this.#until?.at === 'hand-off';
      if (handOff && entry.isHere()) return end;
      if (this.#skipper?.passes(cycle)) continue;
      if (!handOff) return end;
      const passed = entry.pass();
      if (passed !== undefined) return passed;
    }
  }

  /** What of the hand-off breaks its protocol, where a case ended with one. */
  #handoffFaults(end: RunEnd): HandoffFault[] {
    if (end.reason !== 'breakpoint' || this.#until?.at !== 'hand-off') return [];
    const found = handoffFaults(this.#machine.entry.record(), this.#guest.memory.ramSize);
    const { answersFor } = this.target;
    return answersFor ? found.filter(({ rule }) => !answersFor.test(rule)) : found;
  }

  /** Run to the end, a trespass, or the limit. */
  #play(): Ended {
    const { cpu } = this.#guest;
    const last = this.start + this.#limit;
    for (let after = LOOK; ; after *= 2) {
      const next = Math.min(last, this.start + this.#usual.cycles + after);
      const end = this.#runTo(next);
      this.#skipper?.end();
      const { found } = this.#bus;
      if (found !== undefined) return { end, trespass: found };
      if (end.reason !== 'until-cycle') return { end };
      const circle = this.#circle();
      if (circle !== undefined) return circle;
      if (cpu.now >= last) return { end };
    }
  }

  /** A loop whose state comes back, or of exceptions; or an end on the way. */
  #circle(): Ended | undefined {
    const { cpu } = this.#guest;
    const cycle = cpu.now;
    const seen = findCircle(cpu, {
      // What an interrupt or a device may end is no loop for good.
      mayEnd: () => this.#usual.end.reason === 'until-cycle' || (cpu.state.eflags & IF) !== 0,
      accesses: () => this.#bus.accesses,
      written: () => this.#written(),
    });
    if (seen?.circle) return { end: seen.end, trespass: { ...seen.circle, cycle } };
    return seen && { end: seen.end, ...(this.#bus.found && { trespass: this.#bus.found }) };
  }

  /** What memory the case has written holds now. */
  #written(): Uint8Array {
    const { u8 } = this.#guest.cpu.state;
    const pages = this.#snapshot.dirtyPages();
    return Buffer.concat(pages.map((page) => u8.subarray(L.GUEST + page * PAGE, L.GUEST + (page + 1) * PAGE)));
  }

  #judge({ end, trespass }: Ended, bytes: Uint8Array, structure: Structure<unknown>): Verdict | undefined {
    const { cpu } = this.#guest;
    const cycle = cpu.now;
    const here = ipOf(cpu);
    if (trespass?.oracle === 'execution outside loaded images')
      return { ...trespass, site: this.#lastLoaded(bytes, trespass.cycle) };
    if (trespass !== undefined) return { ...trespass, cycle: trespass.cycle + 1 };
    const usual = this.#usual.end;
    const same = end.reason === usual.reason && end.code === usual.code;
    if (end.reason === 'triple-fault' && !same) {
      // With paging, addresses say nothing of what was loaded.
      if ((cpu.state.cr0 & CR0_PG) !== 0 || this.#isKnownCode(here))
        return { oracle: 'triple fault', site: here, detail: 'an exception that could not be delivered', cycle };
      // Nothing could be fetched: in the machine itself there may be memory, so that the fault is not the end of it.
      const what = this.#firmware ? 'which the boot as it is does not execute' : 'where nothing was loaded';
      const detail = `goes to 0x${here.toString(16)}, ${what}`;
      const site = this.#lastLoaded(bytes, cycle);
      return { oracle: 'execution outside loaded images', site, detail, cycle: cycle - 1 };
    }
    const low = this.#strayWrites();
    if (low.length > 0) return this.#wroteLow(bytes, low);
    const { panic } = this.#consoles;
    if (panic !== undefined) return { oracle: 'panic', site: here, detail: panic, cycle };
    if (end.reason === 'debug-exit' && !same && end.code !== this.#boot.successCode)
      return { oracle: 'debug exit', site: here, detail: `code ${end.code}`, cycle };
    if (end.reason === 'halted' && !same) return { oracle: 'hang', site: here, detail: 'halted for good', cycle };
    if (
      end.reason === 'until-cycle' &&
      !same &&
      !(this.#firmware && isIdle(this.#guest.cpu, (cycle) => this.#runTo(cycle)))
    )
      return { oracle: 'hang', site: lowestOfLoop(cpu), detail: `no end within ${this.#limit} cycles`, cycle };
    const fault = this.#handoffFaults(end).find(({ rule }) => !this.#usualFaults.has(rule));
    if (fault) return { oracle: 'hand-off', site: here, detail: `${fault.rule}: ${fault.detail}`, cycle };
    const said = this.#options.predicate?.({
      structure: structure.value,
      breaks: structure.breaks.map(({ name }) => name),
      end: end.reason,
      code: end.code,
      serial: Buffer.from(this.#consoles.serial).toString('latin1'),
      cycles: cycle - this.start,
    });
    return said === undefined ? undefined : { oracle: 'predicate', site: here, detail: said, cycle };
  }

  /** Whether an instruction is one of those that this guest has: loaded, or in a page that the boot as it is executes. */
  #isKnownCode(address: number): boolean {
    return this.#firmware ? this.#code.has(address >>> 12) : this.#usable.isLoaded(address >>> 12);
  }

  /** Pages below 1 MiB that were written and neither declared nor loaded; firmware may. */
  #strayWrites(): number[] {
    return this.#firmware ? [] : this.#usable.strayWrites(this.#snapshot);
  }

  #wroteLow(bytes: Uint8Array, pages: readonly number[]): Verdict {
    const cycle = this.#firstCycle(bytes, () => this.#strayWrites().length > 0);
    this.#replay(bytes, cycle - 1);
    const site = ipOf(this.#guest.cpu);
    const detail = `write to page 0x${pages[0]!.toString(16)}000`;
    return { oracle: 'write outside declared memory', site, detail, cycle };
  }

  /** The case once more, up to a cycle. */
  #replay(bytes: Uint8Array, cycle: number): void {
    this.#end();
    this.#begin(bytes);
    this.#guest.cpu.runUntil(cycle);
  }

  /** First cycle at which something holds, by halves; it holds now. */
  #firstCycle(bytes: Uint8Array, holds: () => boolean): number {
    let [not, does] = [this.start, this.#guest.cpu.now];
    while (does - not > 1) {
      const middle = Math.floor((not + does) / 2);
      this.#replay(bytes, middle);
      if (holds()) does = middle;
      else not = middle;
    }
    return does;
  }

  /** The last instruction in loaded memory before a cycle. */
  #lastLoaded(bytes: Uint8Array, cycle: number): number {
    for (let back = 1; back < 4096; back *= 2) {
      const from = Math.max(this.start, cycle - back);
      this.#replay(bytes, from);
      const { cpu } = this.#guest;
      let last: number | undefined;
      while (cpu.now < cycle) {
        const ip = ipOf(cpu);
        if (this.#isKnownCode(ip)) last = ip;
        if (cpu.runUntil(cpu.now + 1).reason !== 'until-cycle') break;
      }
      if (last !== undefined) return last;
    }
    return 0;
  }
}
