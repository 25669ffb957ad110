// Tier 1: decides which blocks are translated and when, and keeps the regions.
//
// Tier 0 counts the executions of each block down (HEADER_HEAT) and lists those that reach 0. Between two runs of wasm
// `poll` looks at the list; when enough blocks have come together, or some have waited long, they become regions, in the order in which they
// became hot, which is to say that neighbours in time are neighbours in a region. A batch is one module, compiled on
// the spot. A translated block's header leads to its region from then on. Nothing here changes what the guest sees, so
// the choices may depend on anything; they depend on the guest's execution alone.

import type { CodeCache } from '../code-cache.js';
import type { DecodeMode } from '../decode.js';
import type { Engine } from '../engine.js';
import type { VariantTable } from '../interp/variants.js';
import * as L from '../layout.js';
import type { CpuState } from '../state.js';
import { type FunctionHandle, ModuleBuilder } from '../wasm/module.js';
import { KEPT_END, KEPT_SLOTS, type KeptBlock, type KeptModule, type KeptTranslations } from './kept.js';
import {
  emitRegion,
  HELPERS,
  linksOf,
  type RegionMaker,
  type RegionPlan,
  slotOf,
  translatedHeat,
  withEntries,
} from './region.js';
import { defineCarryWord } from './region-flags.js';

export interface TranslatorOptions {
  /** Executions after which a block is translated: at least 1. Called for each block that is decoded. */
  readonly threshold: () => number;
  /** Hot blocks that are worth a module of their own. */
  readonly batch: number;
  /** Cycles after which fewer are translated, too: what is hot is slow until then. */
  readonly patience: number;
  /** NOTED_READS and RENEWING_READS for tests. */
  readonly noted?: number;
  readonly renewing?: number;
  /** What an earlier process translated; not looked at when code has been decoded already. */
  readonly kept?: KeptTranslations | undefined;
  readonly compiler?: Compiler | undefined;
}

/** A module and what `Compiler.codeOf` said of it, maybe in another process; it may be empty. */
export interface Compilation {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly code: Uint8Array;
}

/** How modules are compiled, and their code kept. */
export interface Compiler {
  compile(modules: readonly Compilation[]): WebAssembly.Module[];
  /** The machine code of a module's functions, as far as there is any worth keeping. */
  codeOf(module: WebAssembly.Module, functions: readonly unknown[]): Uint8Array;
}

const PLAIN: Compiler = {
  compile: (modules) => modules.map(({ bytes }) => new WebAssembly.Module(bytes)),
  codeOf: () => new Uint8Array(0),
};

/** A region that was made, or kept. */
interface Region extends RegionPlan {
  /** Pages of its blocks. */
  readonly pages: readonly number[];
  /** It was made with tracked reads to note. */
  readonly notes: boolean;
}

/** A module, made or kept, and its regions. */
interface Translation extends Compilation {
  readonly regions: readonly Region[];
  /** Absent while none of its blocks has been decoded. */
  module: WebAssembly.Module | undefined;
  functions: readonly unknown[];
}

/** Bounds of a region: more is slower, in compiling and in running. */
const REGION_BLOCKS = 64;
const REGION_INSTRUCTIONS = 512;
/** A region of as few blocks may be made anew with what is linked to it. */
const SMALL_REGION = 8;
/** Modules after which none is: a guest that lives in few blocks gains by it, a kernel's hot code had better stay compiled. */
const GROWING_MODULES = 16;
/** Modules are never freed one by one, and a process can only hold so many. */
const MAX_MODULES = 8192;
/** Kept modules that are made ready together: neighbours in time, and making them ready one by one costs more. */
const LOADED_TOGETHER = 16;

/**
 * Tracked reads by an instruction, by tier 0, from which on its translation notes such reads itself, and after which a
 * region that notes none is worth making anew for the boots to come.
 */
const NOTED_READS = 256;
const RENEWING_READS = 8192;
/** Regions that are made anew in one module. */
const RENEWED_TOGETHER = 4;

/** What the translator needs of a processor. */
export interface TranslatorParts {
  readonly state: CpuState;
  readonly code: CodeCache;
  readonly variants: VariantTable;
  readonly engine: Engine;
  readonly memory: WebAssembly.Memory;
  /** How a code key decodes. */
  modeOf(key: number): DecodeMode | undefined;
}

interface HotBlock {
  readonly header: number;
  readonly key: number;
}

export class Translator {
  private readonly maker: RegionMaker;
  private nextSlot = 0;
  /** Cycle at which `poll` first saw the blocks that are listed. */
  private waitingSince: number | undefined;
  /** The interpreter's functions by slot, as imports. */
  private readonly helpers: Record<string, unknown>;
  private translations: Translation[] = [];
  /** Of the translations by an earlier process that are not loaded, by slot. */
  private readonly waiting = new Map<number, Translation>();
  /** Blocks that lie within others in a region, and those of them that became hot again, from elsewhere. */
  private readonly inner = new Set<number>();
  private readonly entered = new Set<number>();
  /** Regions of this process that may grow, by slot. */
  private readonly growing = new Map<number, { readonly key: number; readonly blocks: readonly number[] }>();
  /** False from when addresses were given anew. */
  private keepable = true;
  private readonly compiler: Compiler;
  /**
   * For reports: modules, regions and blocks that were translated; blocks that an earlier process left, its modules that
   * were used, and how often a translated block was decoded again.
   */
  readonly counts = { modules: 0, regions: 0, blocks: 0, bytes: 0, installed: 0, loaded: 0, returned: 0, grown: 0 };

  constructor(
    private readonly parts: TranslatorParts,
    private readonly options: TranslatorOptions,
  ) {
    const { state, variants, engine, code } = parts;
    this.maker = {
      ...{ state, variants, slots: engine.slots, operations: engine.operations, notTranslated: new Set() },
      notes: (uop) => this.readsBy(uop) >= (options.noted ?? NOTED_READS),
    };
    const { helpers } = engine;
    this.helpers = new Proxy({}, { get: (_target, slot) => helpers.get(Number(slot)) });
    this.compiler = options.compiler ?? PLAIN;
    code.heat = options.threshold;
    code.returning = true;
    code.onDropAll = () => this.reset();
    code.onReturn = (heat) => this.load(slotOf(heat));
    code.setHeat(options.threshold);
    if (options.kept) this.install(options.kept);
  }

  /** Put the records of kept blocks where they were; whoever decodes the same gets them. */
  private install({ slots, modules }: KeptTranslations): void {
    const { state, code } = this.parts;
    const taken = modules.flatMap(({ regions }) =>
      regions.flatMap(({ blocks }) => blocks.map(({ header, records }) => [header, header + records.length] as const)),
    );
    if (!code.reserve(taken)) return;
    this.nextSlot = slots;
    for (const { bytes, code: machineCode, regions } of modules) {
      const translation: Translation = {
        bytes,
        code: machineCode,
        module: undefined,
        functions: [],
        regions: regions.map(({ slot, bits, flat, entries, notes, blocks }) => ({
          ...{ slot, bits, flat, entries, notes },
          blocks: blocks.map(({ header }) => header),
          pages: blocks.map(({ page }) => page),
        })),
      };
      this.translations.push(translation);
      for (const { slot, bits, flat, blocks } of regions) {
        this.waiting.set(slot, translation);
        this.counts.installed += blocks.length;
        for (const { header, page, records } of blocks) {
          state.u8.set(records, header);
          code.homes.offer(header, page, { bits, flat }, header + records.length);
        }
      }
    }
    for (const { regions } of this.translations) for (const region of regions) this.countInner(region);
    for (const { regions } of this.translations) for (const region of regions) this.lead(region);
  }

  /** A region's blocks that are no entries are counted, for those who come to them from elsewhere. */
  private countInner({ blocks, entries }: RegionPlan): void {
    for (const header of blocks.slice(entries)) {
      this.inner.add(header);
      this.parts.state.i32[(header + L.HEADER_HEAT) >>> 2] = this.options.threshold();
    }
  }
  /** Its entries lead to it; with `old`, those that led to the region in that slot. */
  private lead({ slot, blocks, entries }: RegionPlan, old?: number): void {
    for (let n = 0; n < entries; n++)
      if (old === undefined || this.leadsTo(old, blocks[n]!))
        this.parts.state.i32[(blocks[n]! + L.HEADER_HEAT) >>> 2] = translatedHeat(slot, n);
  }
  private leadsTo(slot: number, header: number): boolean {
    const heat = this.parts.state.i32[(header + L.HEADER_HEAT) >>> 2]!;
    return heat < 0 && slotOf(heat) === slot;
  }

  /** A block of the region in this slot was decoded: the region must be there. */
  private load(slot: number): void {
    this.counts.returned++;
    const translation = this.waiting.get(slot);
    if (translation === undefined) return;
    const first = this.translations.indexOf(translation);
    const group = this.translations.slice(first, first + LOADED_TOGETHER).filter(({ module }) => module === undefined);
    for (const { regions } of group) for (const { slot } of regions) this.waiting.delete(slot);
    this.counts.loaded += group.length;
    this.instantiate(group);
  }

  /** False for a region that was made anew: it has lost its blocks to the new one. */
  private isUsed({ slot, blocks }: RegionPlan): boolean {
    return blocks.some((header) => this.leadsTo(slot, header));
  }

  /**
   * Make regions anew that were left time and again by tracked reads, now with these noted in them. Not while wasm runs.
   * @returns how many
   */
  renew(): number {
    if (!this.keepable) return 0;
    const { renewing = RENEWING_READS } = this.options;
    const old = this.translations.flatMap(({ regions }) =>
      regions.filter((region) => !region.notes && this.isUsed(region) && this.mostReads(region.blocks) >= renewing),
    );
    for (let at = 0; at < old.length; at += RENEWED_TOGETHER) {
      const together = old.slice(at, at + RENEWED_TOGETHER);
      const made = together.map((region): Region => ({ ...region, slot: this.nextSlot++, notes: true }));
      this.make(made);
      for (const [n, region] of made.entries()) this.lead(region, together[n]!.slot);
    }
    return old.length;
  }

  /** Tracked reads that tier 0 made of an instruction, and of that one among some blocks' of which it made most. */
  private readsBy(uop: number): number {
    return this.parts.state.u16[(L.SITE_READS >>> 1) + ((uop / L.UOP_SIZE) & (L.SITES - 1))]!;
  }
  private mostReads(blocks: readonly number[]): number {
    const { state, variants } = this.parts;
    let most = 0;
    for (const header of blocks) {
      let at = header;
      do {
        at += L.UOP_SIZE;
        most = Math.max(most, this.readsBy(at));
      } while (!variants.ends[state.u16[at >>> 1]!]);
    }
    return most;
  }

  /** What the next process may begin with; undefined when it would not fit, or there is nothing new. */
  keep(settled: boolean): KeptTranslations | undefined {
    const { code, state } = this.parts;
    if (!this.keepable || this.nextSlot > KEPT_SLOTS) return undefined;
    let last = 0;
    const blockOf = (header: number, page: number): KeptBlock => {
      const end = code.homes.endOf(header);
      last = Math.max(last, end);
      return { header, page, records: state.u8.subarray(header, end) };
    };
    const used = this.translations.filter(({ regions }) => regions.some((region) => this.isUsed(region)));
    const modules = used.map(({ bytes, code, module, functions, regions }): KeptModule => {
      return {
        bytes,
        code: module === undefined ? code : this.compiler.codeOf(module, functions),
        regions: regions
          .filter((region) => this.isUsed(region))
          .map(({ slot, bits, flat, entries, notes, blocks, pages }) => ({
            ...{ slot, bits, flat, entries, notes },
            blocks: blocks.map((header, n) => blockOf(header, pages[n]!)),
          })),
      };
    });
    return last > KEPT_END ? undefined : { settled, slots: this.nextSlot, modules };
  }

  /** All decoded code was dropped, and the regions with it. */
  private reset(): void {
    // Before anything was decoded, nothing is lost.
    if (this.translations.length > 0) this.keepable = false;
    this.translations = [];
    this.waiting.clear();
    this.growing.clear();
    this.inner.clear();
    this.entered.clear();
    this.nextSlot = 0;
    this.waitingSince = undefined;
    this.parts.state.set32(L.HOT_COUNT, 0);
    this.parts.state.u8.fill(0, L.SITE_READS, L.SITE_READS + 2 * L.SITES);
  }

  /** Translate what has become hot, when it is enough. Not while wasm runs. */
  poll(): void {
    const { state } = this.parts;
    const count = state.get32(L.HOT_COUNT);
    if (count === 0 || this.counts.modules >= MAX_MODULES) return;
    const now = state.f64[L.DEADLINE >>> 3]! - state.i32[L.BUDGET >>> 2]!;
    this.waitingSince ??= now;
    // Longer from module to module: their number is bounded.
    const patience = this.options.patience * (1 + this.counts.modules / 128);
    if (count < this.options.batch && now - this.waitingSince < patience) return;
    this.waitingSince = undefined;
    state.set32(L.HOT_COUNT, 0);
    const byKey = new Map<number, HotBlock[]>();
    for (let i = 0; i < count; i++) {
      const at = (L.HOT_LIST + i * L.HOT_ENTRY_SIZE) >>> 2;
      const block = { header: state.u32[at]!, key: state.u32[at + 1]! >>> 1 };
      if (state.u32[(block.header + L.HEADER_HEAT) >>> 2] !== 0) continue;
      const list = byKey.get(block.key);
      if (list === undefined) byKey.set(block.key, [block]);
      else list.push(block);
    }
    this.translate(byKey);
  }

  private translate(byKey: Map<number, HotBlock[]>): void {
    const { code } = this.parts;
    const plans: Region[] = [];
    for (const [key, blocks] of byKey) {
      const mode = this.parts.modeOf(key);
      if (mode === undefined) continue;
      for (const region of this.regionsOf(blocks)) {
        for (const header of region) if (this.inner.has(header)) this.entered.add(header);
        const arranged = withEntries(this.maker, this.grown(region, key), this.entered);
        const pages = arranged.blocks.map((header) => code.pageOf(header)!);
        const notes = this.mostReads(arranged.blocks) >= (this.options.noted ?? NOTED_READS);
        const plan = { ...arranged, pages, notes, bits: mode.bits, flat: mode.flat, slot: this.nextSlot++ };
        if (this.counts.modules < GROWING_MODULES) this.growing.set(plan.slot, { key, blocks: plan.blocks });
        plans.push(plan);
      }
    }
    if (plans.length === 0) return;
    this.make(plans);
    for (const plan of plans) {
      this.countInner(plan);
      this.lead(plan);
      this.counts.blocks += plan.blocks.length;
    }
  }

  /** A module of some regions, ready to be led to. */
  private make(regions: readonly Region[]): void {
    const m = new ModuleBuilder();
    let defined: FunctionHandle | undefined;
    const carryWord = () => (defined ??= defineCarryWord(m));
    for (const region of regions) m.export(`${region.slot}`, emitRegion(m, this.maker, region, carryWord));
    const bytes = m.encode(L.GUEST >>> 16);
    const translation = { bytes, code: new Uint8Array(0), module: undefined, functions: [], regions };
    this.translations.push(translation);
    this.instantiate([translation]);
    this.counts.modules++;
    this.counts.regions += regions.length;
    this.counts.bytes += bytes.length;
  }

  private instantiate(translations: readonly Translation[]): void {
    const { engine, memory } = this.parts;
    const imports = { env: { memory }, [HELPERS]: this.helpers };
    if (engine.regions.length < this.nextSlot)
      engine.regions.grow(Math.max(256, this.nextSlot - engine.regions.length));
    this.compiler.compile(translations).forEach((module, n) => {
      const translation = translations[n]!;
      const { exports } = new WebAssembly.Instance(module, imports);
      translation.module = module;
      translation.functions = Object.values(exports);
      for (const { slot } of translation.regions) engine.regions.set(slot, exports[`${slot}`]);
    });
  }

  /** Cut a list of hot blocks into regions. */
  private regionsOf(blocks: readonly HotBlock[]): number[][] {
    const regions: number[][] = [];
    let region: number[] = [];
    let instructions = 0;
    const seen = new Set<number>();
    for (const { header } of blocks) {
      // Of a page that was written since, none is needed.
      if (seen.has(header) || this.parts.code.pageOf(header) === undefined) continue;
      seen.add(header);
      const count = this.instructionsOf(header);
      if (region.length === REGION_BLOCKS || instructions + count > REGION_INSTRUCTIONS) {
        regions.push(region);
        region = [];
        instructions = 0;
      }
      region.push(header);
      instructions += count;
    }
    if (region.length > 0) regions.push(region);
    return regions;
  }

  /** A region and the smaller ones that it is linked with: they are made anew as one. In the order of addresses. */
  private grown(region: readonly number[], key: number): number[] {
    const { state, variants, code } = this.parts;
    const grown = new Set(region);
    let instructions = region.reduce((sum, header) => sum + this.instructionsOf(header), 0);
    const linked = (from: Iterable<number>, to: ReadonlySet<number>): boolean => {
      for (const header of from) if (linksOf(state, variants, header).some((next) => to.has(next))) return true;
      return false;
    };
    if (this.counts.modules >= GROWING_MODULES) this.growing.clear();
    for (const [slot, old] of this.growing) {
      if (old.key !== key || old.blocks.length > SMALL_REGION) continue;
      const isThere = (header: number) =>
        this.leadsTo(slot, header) || (state.i32[(header + L.HEADER_HEAT) >>> 2]! > 0 && this.inner.has(header));
      const blocks = old.blocks.filter((header) => isThere(header) && code.pageOf(header) !== undefined);
      const more = blocks.reduce((sum, header) => sum + this.instructionsOf(header), 0);
      if (grown.size + blocks.length > REGION_BLOCKS || instructions + more > REGION_INSTRUCTIONS) continue;
      if (!linked(blocks, grown) && !linked(grown, new Set(blocks))) continue;
      for (const header of blocks) grown.add(header);
      instructions += more;
      this.growing.delete(slot);
      this.counts.grown++;
    }
    const place = (header: number) => state.u32[(header + L.HEADER_MAP) >>> 2]!;
    return [...grown].sort((a, b) => place(a) - place(b));
  }

  private instructionsOf(header: number): number {
    return this.parts.state.u16[(header + L.HEADER_COUNT) >>> 1]!;
  }
}
