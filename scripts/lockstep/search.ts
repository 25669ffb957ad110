// The search for the first instruction at which the two machines part.
//
// A small guest is compared instruction by instruction from its first to its last. A large one is followed by what its
// processor exchanges with devices, its interrupts and its exceptions, with the full state at each of them; where that
// fails, QEMU's recording is replayed and stopped at more and more instruction counts between the last state that was
// equal and the first that was not, until the rest is small enough to be compared instruction by instruction.

import { makeGuest } from '../../src/api/guest.js';
import type { BootOptions } from '../../src/api/options.js';
import type { RunEnd } from '../../src/cpu/bus.js';
import type { Cpu } from '../../src/cpu/cpu.js';
import { Follower } from './follower.js';
import { followTsc, ledSeams } from './led-guest.js';
import type { Disturbance, Parting } from './parting.js';
import { type Detail, QemuMachine } from './qemu.js';
import { type Entry, registersOf } from './qemu-log.js';
import { linearOf, ourRegisters, RIP } from './registers.js';

export interface LockstepOptions extends BootOptions {
  /** Compare every instruction from the start. */
  every?: boolean;
  /** Linear addresses at which states are compared, besides the interrupts and exceptions. */
  at?: readonly bigint[];
  /** Compare the state at the start of every block, too, unless it runs often. */
  blocks?: boolean;
  /** Where only general registers or flags differ, make them QEMU's and go on. */
  goOn?: boolean;
  /** End with success after so many instructions of ours. */
  maxInstructions?: number;
  disturbance?: Disturbance;
  progress?: (text: string) => void;
}

export interface LockstepResult {
  /** Absent when the two did the same to the end. */
  parting: Parting | undefined;
  /** Differences that were made QEMU's. */
  mended: readonly Parting[];
  end: RunEnd | undefined;
  instructions: number;
  /** States compared. */
  points: number;
  /** States where only arithmetic flags differed, which were made QEMU's. */
  flagsOnly: number;
  /** Registers of devices that answered otherwise. */
  devices: string[];
  /** What QEMU said on its way, for a run that did not start. */
  messages: string;
}

/** Instructions that are compared one by one at the end of a search. */
const WINDOW = 200_000;
/** States that a pass of the search adds. */
const SAMPLES = 40;
const MOST_RETRIES = 8;
/** A block that runs more often is a loop's: its states are not compared. */
const OFTEN = 100;
/** Blocks that are compared, and instructions of ours in which they are looked for. */
const MOST_BLOCKS = 4000;
const MOST_STEPS = 2_000_000;
/** No instruction is longer. */
const LONGEST = 15n;
/** How far behind a parting that was noticed its instruction is looked for, at most. */
const LATER = 1000;
/** Cycles that a halted guest is given at once. */
const SLICE = 10_000;

/** Run a boot here and in QEMU, and find where they part. @throws UserError, ImageError */
export async function lockstep(options: LockstepOptions): Promise<LockstepResult> {
  const search = new Search(options, await QemuMachine.of(makeGuest(options), options));
  try {
    return await (options.every ? search.everyInstruction() : search.narrow());
  } finally {
    await search.machine.remove();
  }
}

/** Run to the cycle, past the places where a recording would look for the hand-off. */
function runPast(cpu: Cpu, cycle: number): RunEnd {
  for (;;) {
    const end = cpu.runUntil(cycle);
    if (end.reason !== 'breakpoint') return end;
    cpu.step();
  }
}

interface Pass {
  result: LockstepResult;
  follower: Follower;
  /** QEMU's instruction counts of the last state that was equal and of the first one that was not reached. */
  reached: number;
  missed: number;
}

class Search {
  private tscPoints = new Set<bigint>();
  private blockStarts: readonly bigint[] = [];

  constructor(
    private readonly options: LockstepOptions,
    readonly machine: QemuMachine,
  ) {}

  async everyInstruction(most?: number): Promise<LockstepResult> {
    this.say('comparing every instruction');
    const run = this.machine.run({ kind: 'every' });
    try {
      const { result } = await this.follow(run.entries(), true, most);
      result.messages = run.messages;
      return result;
    } finally {
      run.kill();
    }
  }

  async narrow(): Promise<LockstepResult> {
    this.tscPoints = this.collectTscPoints();
    if (this.options.blocks) this.blockStarts = this.collectBlocks();
    let pass: Pass;
    for (let tries = 0; ; tries++) {
      this.say(`comparing at events (the TSC is read in ${this.tscPoints.size} places)`);
      const run = this.machine.run(this.events);
      try {
        pass = await this.follow(run.entries(), false);
        pass.result.messages = run.messages;
      } finally {
        run.kill();
      }
      const before = this.tscPoints.size;
      this.tscPoints = new Set([...this.tscPoints, ...pass.follower.missedTsc]);
      if (this.tscPoints.size === before || tries === MOST_RETRIES) break;
    }
    const { parting } = pass.result;
    if (parting === undefined) return pass.result;
    if (parting.instructions <= MOST_STEPS) {
      this.say(`parted after about ${parting.instructions} instructions: ${parting.what}`);
      const close = await this.everyInstruction(parting.instructions + LATER);
      return close.parting ? close : pass.result;
    }
    this.say(`parted after about ${parting.instructions} instructions: ${parting.what}`);
    this.say('recording QEMU');
    await this.machine.record(60 + parting.instructions / 2e7);
    // QEMU's count runs ahead of ours: it has the entry ROM, and one more for each REP instruction.
    let [from, to] = [0, Math.ceil(parting.instructions * 1.25) + 10 * WINDOW];
    while (to - from > WINDOW) {
      const counts = Array.from({ length: SAMPLES }, (_, i) => Math.floor(from + ((i + 1) * (to - from)) / SAMPLES));
      const { reached, missed, result } = await this.sampled(counts);
      if (result.parting === undefined) return pass.result;
      [from, to] = [Math.max(from, reached), Math.min(to, missed)];
      this.say(`parted between QEMU's instructions ${from} and ${to}`);
    }
    const close = await this.window(from, to - from + 1000);
    return close.parting ? close : pass.result;
  }

  private get events(): Detail {
    return {
      kind: 'events',
      at: [...this.tscPoints, ...this.blockStarts, ...(this.options.at ?? []), this.entryPoint],
    };
  }
  private get entryPoint(): bigint {
    return this.entry;
  }
  private entry = 0n;

  private async sampled(counts: readonly number[]): Promise<Pass> {
    const run = await this.machine.replay(this.events);
    const pass = await this.follow(run.entries(counts), false);
    if (pass.missed === Number.POSITIVE_INFINITY)
      pass.missed = counts.find((count) => count > pass.reached) ?? counts.at(-1)!;
    return pass;
  }

  private async window(from: number, length: number): Promise<LockstepResult> {
    const { machine, events } = this;
    if (from === 0) return this.everyInstruction();
    this.say(`comparing ${length} instructions one by one`);
    async function* spliced(begin: () => void): AsyncGenerator<Entry> {
      yield* (await machine.replay(events)).entries([from]);
      begin();
      let reached = false;
      for await (const entry of (await machine.replay({ kind: 'accesses' })).entries([from], length)) {
        if (reached) yield entry;
        else reached = entry.kind === 'state' && entry.count === from;
      }
    }
    return (await this.follow(spliced, false)).result;
  }

  /** Lead a new guest by a journal. */
  private async follow(
    journal: AsyncIterable<Entry> | ((begin: () => void) => AsyncIterable<Entry>),
    every: boolean,
    last?: number,
  ): Promise<Pass> {
    const { options } = this;
    let follower: Follower | undefined;
    const guest = makeGuest(
      options,
      ledSeams((end) => follower?.stop(end)),
    );
    follower = new Follower(guest, every, this.tscPoints);
    follower.disturbance = options.disturbance;
    follower.goOn = options.goOn ?? false;
    const led = follower;
    const entries =
      typeof journal === 'function'
        ? journal(() => {
            led.every = true;
          })
        : journal;
    const entryPoint = linearOf(ourRegisters(guest.cpu));
    const most = last ?? options.maxInstructions ?? Number.POSITIVE_INFINITY;
    let started = false;
    let reached = 0;
    let missed = Number.POSITIVE_INFINITY;
    let parting: Parting | undefined;
    let said = 0;
    for await (const entry of entries) {
      if (!started) {
        started = entry.kind === 'state' && linearOf(registersOf(entry)) === entryPoint;
        if (!started) continue;
      }
      const count = entry.kind === 'state' ? entry.count : undefined;
      parting = led.take(entry);
      if (parting === undefined && count !== undefined) reached = count;
      if (parting !== undefined && count !== undefined) missed = count;
      if (parting !== undefined || led.instructions >= most) break;
      if (led.instructions - said >= 100_000_000) {
        said = led.instructions;
        this.say(`${said} instructions, ${led.points} states`);
      }
    }
    let end: RunEnd | undefined;
    if (parting === undefined && started && led.instructions < most && typeof journal !== 'function')
      ({ parting, end } = led.finish());
    const { points, flagsOnly, instructions } = led;
    const result = {
      parting,
      mended: led.mended,
      end,
      instructions,
      points,
      flagsOnly,
      devices: led.devices.lines(),
      messages: '',
    };
    return { result, follower: led, reached, missed };
  }

  /** Where the guest reads the TSC, by a run of ours alone. */
  private collectTscPoints(): Set<bigint> {
    const guest = makeGuest(this.options);
    const { cpu } = guest;
    this.entry = linearOf(ourRegisters(cpu));
    const points = new Set<bigint>();
    followTsc(guest, () => {
      points.add(linearOf(ourRegisters(cpu).with(RIP, cpu.nextIp)));
      return undefined;
    });
    const most = this.options.maxInstructions ?? this.options.maxCycles ?? 20e9;
    const end = runPast(cpu, most);
    this.say(`ours alone: ${end.reason} after ${cpu.instructions} instructions`);
    return points;
  }

  /** Where our processor arrives by a jump, by a run of ours alone. */
  private collectBlocks(): bigint[] {
    const { cpu } = makeGuest(this.options);
    const runs = new Map<bigint, number>();
    const most = Math.min(this.options.maxInstructions ?? MOST_STEPS, MOST_STEPS);
    let before = linearOf(ourRegisters(cpu));
    while (cpu.instructions < most) {
      const { reason } = cpu.runUntil(cpu.now + (cpu.isHalted ? SLICE : 1));
      if (reason === 'breakpoint') cpu.step();
      else if (reason !== 'until-cycle') break;
      const here = linearOf(ourRegisters(cpu));
      if (here < before || here - before > LONGEST) runs.set(here, (runs.get(here) ?? 0) + 1);
      before = here;
    }
    const points = [...runs].filter(([, count]) => count <= OFTEN).map(([at]) => at);
    this.say(`${points.length} blocks to compare`);
    return points.slice(0, MOST_BLOCKS);
  }

  private say(text: string): void {
    this.options.progress?.(text);
  }
}
