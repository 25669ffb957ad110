// What wasm has noted of branches and comparisons (notes.ts), as numbers and objects. One period from begin() to begin():
// counts begin at 0, addresses of edges are kept as long as there is room, which is of no consequence for what is told.
//
// Invariant: what end() and comparisons() give follows from the instructions executed since begin(), and from nothing
// before. Left out: vector comparisons, and exchanges that compare (CMPXCHG).

import * as L from '../layout.js';
import { peekMemory } from '../peek.js';
import type { PhysicalMemory } from '../physical.js';
import type { CpuState } from '../state.js';

/** Operands of one comparison that were not equal. */
export interface Comparison {
  /** Linear address of the instruction, its low 48 bits. */
  readonly site: number;
  /** Bytes of each operand. */
  readonly width: 1 | 2 | 4 | 8;
  readonly left: bigint;
  readonly right: bigint;
}

/** Of string comparisons, which are kept here. */
const MOST_STRINGS = 512;

/** Step of a count: 1, 2, 3, 4–7, 8–15, 16–31, 32–127, 128 and more. */
export const stepOf = (count: number): number =>
  count <= 3 ? count - 1 : count < 32 ? 32 - Math.clz32(count) : count < 128 ? 6 : 7;

export class Coverage {
  /** Whether comparisons are noted, from the next begin() on. */
  comparing = false;
  readonly #addresses = new Map<number, [from: number, to: number]>();
  /** Slots of edges that hold one, taken in this period or not. */
  #filled = 0;
  #ended: { readonly edges: Uint32Array; readonly comparisons: readonly Comparison[] } | undefined;
  /** Of string comparisons: not in wasm's table. */
  readonly #strings = new Map<string, Comparison>();

  constructor(
    private readonly state: CpuState,
    private readonly physical: PhysicalMemory,
  ) {}

  begin(): void {
    this.#ended = undefined;
    const { u32, u8 } = this.state;
    this.#filled += this.#forgetCounts();
    // Room for all that a period may take.
    if (this.#filled > L.EDGE_SLOTS / 4) {
      u8.fill(0, L.EDGES, L.EDGES + L.EDGE_SLOTS * L.EDGE_SIZE);
      this.#filled = 0;
    }
    const made = u32[L.COMPARED >>> 2]!;
    for (let i = 0; i < made; i++) u32[(u32[(L.COMPARED_LIST >>> 2) + i]! + L.COMPARED_WIDTH) >>> 2] = 0;
    if (made > 0) u8.fill(0, L.COMPARED_BY_SITE, L.COMPARED_BY_SITE + L.COMPARED_SITES);
    u32[L.COMPARED >>> 2] = 0;
    u32[L.COMPARING >>> 2] = this.comparing ? 1 : 0;
    this.#strings.clear();
    this.#addresses.clear();
  }

  /** How many edges there were; those that were new are counted as filled slots. */
  #forgetCounts(): number {
    const { u32 } = this.state;
    const taken = u32[L.EDGES_TAKEN >>> 2]!;
    let fresh = 0;
    for (let i = 0; i < taken; i++) {
      const at = u32[(L.EDGES_TAKEN_LIST >>> 2) + i]!;
      u32[(at + L.EDGE_COUNT) >>> 2] = 0;
      // Bit 1: seen by an earlier begin().
      const id = (at + L.EDGE_ID) >>> 2;
      if ((u32[id]! & 2) === 0) fresh++;
      u32[id] = u32[id]! | 2;
    }
    u32[L.EDGES_TAKEN >>> 2] = 0;
    return fresh;
  }

  /**
   * Edges since begin(), sorted: bits 3–31 which, bits 0–2 the step of how often. Ends the period: what is executed from
   * here to the next begin() is in no answer.
   */
  end(): Uint32Array {
    this.#ended ??= { edges: this.#edges(), comparisons: this.#compared() };
    return this.#ended.edges;
  }
  /** Comparisons of the period, ended or not, in the order in which each was first made; strings last. */
  comparisons(): readonly Comparison[] {
    return this.#ended?.comparisons ?? this.#compared();
  }

  #edges(): Uint32Array {
    const { u32 } = this.state;
    const edges = new Uint32Array(u32[L.EDGES_TAKEN >>> 2]!);
    for (let i = 0; i < edges.length; i++) {
      const at = u32[(L.EDGES_TAKEN_LIST >>> 2) + i]! >>> 2;
      const id = u32[at + (L.EDGE_ID >>> 2)]!;
      edges[i] = (id & ~7) | stepOf(u32[at + (L.EDGE_COUNT >>> 2)]!);
    }
    edges.sort();
    // Two edges may have one number.
    return edges.filter((edge, i) => i === 0 || edge !== edges[i - 1]);
  }

  #compared(): Comparison[] {
    const { u32 } = this.state;
    const view = new DataView(u32.buffer);
    const made = u32[L.COMPARED >>> 2]!;
    return Array.from({ length: made }, (_, i): Comparison => {
      const at = u32[(L.COMPARED_LIST >>> 2) + i]!;
      return {
        site: Number(BigInt.asUintN(48, view.getBigUint64(at + L.COMPARED_SITE, true))),
        width: view.getUint32(at + L.COMPARED_WIDTH, true) as Comparison['width'],
        left: view.getBigUint64(at + L.COMPARED_LEFT, true),
        right: view.getBigUint64(at + L.COMPARED_RIGHT, true),
      };
    }).concat([...this.#strings.values()]);
  }

  /** An instruction at `ip` compares up to `length` bytes at two linear addresses: as numbers, as wide as may be. */
  noteStrings(ip: bigint, left: bigint, right: bigint, length: number): void {
    const { state, physical } = this;
    const site = Number(BigInt.asUintN(48, ip + state.base(L.CS)));
    const [a, b] = [left, right].map((linear) => peekMemory(state, physical, linear, length));
    const end = Math.min(a!.length, b!.length);
    for (let at = 0; at < end && this.#strings.size < MOST_STRINGS; ) {
      const width = (1 << Math.min(3, 31 - Math.clz32(end - at))) as Comparison['width'];
      const one = { site, width, left: numberAt(a!, at, width), right: numberAt(b!, at, width) };
      if (one.left !== one.right) this.#strings.set(`${site} ${width} ${one.left} ${one.right}`, one);
      at += width;
    }
  }

  /** @throws RangeError for an edge that was not taken since begin() */
  addressesOf(edge: number): [from: number, to: number] {
    if (this.#addresses.size === 0) this.#list();
    const found = this.#addresses.get(edge >>> 3);
    if (found === undefined) throw new RangeError(`edge ${edge} was not taken since begin()`);
    return found;
  }

  #list(): void {
    const { u32 } = this.state;
    const view = new DataView(u32.buffer);
    const low = (at: number) => Number(BigInt.asUintN(48, view.getBigUint64(at, true)));
    for (let i = 0; i < u32[L.EDGES_TAKEN >>> 2]!; i++) {
      const at = u32[(L.EDGES_TAKEN_LIST >>> 2) + i]!;
      const id = u32[(at + L.EDGE_ID) >>> 2]! >>> 3;
      if (!this.#addresses.has(id)) this.#addresses.set(id, [low(at + L.EDGE_FROM), low(at + L.EDGE_TO)]);
    }
  }
}

const numberAt = (bytes: Uint8Array, at: number, width: number): bigint =>
  bytes.subarray(at, at + width).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
