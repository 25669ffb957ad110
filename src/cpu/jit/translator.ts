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
import { ModuleBuilder } from '../wasm/module.js';
import { emitRegion, type RegionMaker, type RegionPlan, translatedHeat } from './region.js';

export interface TranslatorOptions {
  /** Executions after which a block is translated: at least 1. Called for each block that is decoded. */
  readonly threshold: () => number;
  /** Hot blocks that are worth a module of their own. */
  readonly batch: number;
  /** Cycles after which fewer are translated, too: what is hot is slow until then. */
  readonly patience: number;
}

/** Bounds of a region: more is slower, in compiling and in running. */
const REGION_BLOCKS = 64;
const REGION_INSTRUCTIONS = 512;
/** Modules are never freed one by one, and a process can only hold so many. */
const MAX_MODULES = 8192;

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
  /** For reports. */
  readonly counts = { modules: 0, regions: 0, blocks: 0, bytes: 0 };

  constructor(
    private readonly parts: TranslatorParts,
    private readonly options: TranslatorOptions,
  ) {
    const { state, variants, engine, code } = parts;
    this.maker = { state, variants, slots: engine.slots, operations: engine.operations, notTranslated: new Set() };
    code.heat = options.threshold;
    code.onDropAll = () => this.reset();
    code.setHeat(options.threshold);
  }

  /** All decoded code was dropped, and the regions with it. */
  private reset(): void {
    this.nextSlot = 0;
    this.waitingSince = undefined;
    this.parts.state.set32(L.HOT_COUNT, 0);
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
    const { engine, memory, state } = this.parts;
    const m = new ModuleBuilder();
    m.importTable('env', 'helpers');
    const plans: RegionPlan[] = [];
    for (const [key, blocks] of byKey) {
      const mode = this.parts.modeOf(key);
      if (mode === undefined) continue;
      for (const headers of this.regionsOf(blocks)) {
        const plan = { blocks: headers, bits: mode.bits, flat: mode.flat, slot: this.nextSlot++ };
        m.export(`${plan.slot}`, emitRegion(m, this.maker, plan));
        plans.push(plan);
      }
    }
    if (plans.length === 0) return;
    const bytes = m.encode(L.GUEST >>> 16);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
      env: { memory, helpers: engine.helpers },
    });
    if (engine.regions.length < this.nextSlot)
      engine.regions.grow(Math.max(256, this.nextSlot - engine.regions.length));
    for (const { slot, blocks } of plans) {
      engine.regions.set(slot, instance.exports[`${slot}`]);
      blocks.forEach((header, n) => {
        state.i32[(header + L.HEADER_HEAT) >>> 2] = translatedHeat(slot, n);
      });
      this.counts.blocks += blocks.length;
    }
    this.counts.modules++;
    this.counts.regions += plans.length;
    this.counts.bytes += bytes.length;
  }

  /** Cut a list of hot blocks into regions. Within a region blocks lie in the order of their addresses. */
  private regionsOf(blocks: readonly HotBlock[]): number[][] {
    const { state } = this.parts;
    const regions: number[][] = [];
    let region: number[] = [];
    let instructions = 0;
    const seen = new Set<number>();
    const close = () => {
      const place = (header: number) => state.u32[(header + L.HEADER_MAP) >>> 2]!;
      if (region.length > 0) regions.push(region.sort((a, b) => place(a) - place(b)));
      region = [];
      instructions = 0;
    };
    for (const { header } of blocks) {
      if (seen.has(header)) continue;
      seen.add(header);
      const count = state.u16[(header + L.HEADER_COUNT) >>> 1]!;
      if (region.length === REGION_BLOCKS || instructions + count > REGION_INSTRUCTIONS) close();
      region.push(header);
      instructions += count;
    }
    close();
    return regions;
  }
}
