// A flattened device tree (Devicetree Specification 0.4, chapter 5) in the shape that QEMU 7.2 gives its own: version 17,
// no memory reservations, nodes and properties latest first, strings in the order in which they were first used. And the
// tree of the microvm machine, which firmware finds in etc/fdt.

import { IOAPIC_BASE, IOAPIC_SIZE } from './devices/interrupts/ioapic.js';
import { VIRTIO_MMIO_BASE, VIRTIO_MMIO_SIZE } from './devices/virtio/virtio-mmio.js';

/** QEMU keeps this much room for a tree, and hands it all out. */
const TREE_SIZE = 1 << 20;
const [MAGIC, VERSION, LAST_COMPATIBLE] = [0xd00d_feed, 17, 16];
const [RESERVATIONS_AT, STRUCTURE_AT] = [0x30, 0x40];
const [BEGIN_NODE, END_NODE, PROPERTY, END] = [1, 2, 3, 9];
/** QEMU numbers phandles from here on. */
const FIRST_PHANDLE = 0x8000;

type Value = string | readonly number[];
/** A node is named by the names from the root on, the root by none. */
type Path = readonly string[];

/**
 * A tree that grows in place: each new node and property stands first among its kind, and what follows moves on. Padding
 * keeps the bytes that stood there before, as it does with libfdt, whose bytes these are meant to be.
 */
class TreeWriter {
  readonly #data = new Uint8Array(TREE_SIZE);
  readonly #view = new DataView(this.#data.buffer);
  #strings = STRUCTURE_AT + 16;
  #end = this.#strings;

  constructor() {
    this.#view.setUint32(STRUCTURE_AT, BEGIN_NODE);
    this.#view.setUint32(STRUCTURE_AT + 8, END_NODE);
    this.#view.setUint32(STRUCTURE_AT + 12, END);
  }

  addNode(parent: Path, name: string): void {
    const nameSize = aligned(name.length + 1);
    let at = this.#behindName(this.#find(parent));
    while (this.#view.getUint32(at) === PROPERTY) at += 12 + aligned(this.#view.getUint32(at + 4));
    this.#insert(at, 4 + nameSize + 4);
    this.#view.setUint32(at, BEGIN_NODE);
    this.#data.fill(0, at + 4, at + 4 + nameSize);
    this.#data.set(latin1(name), at + 4);
    this.#view.setUint32(at + 4 + nameSize, END_NODE);
  }

  addProperty(node: Path, name: string, value: Value): void {
    const data = typeof value === 'string' ? latin1(`${value}\0`) : Uint8Array.from(value.flatMap(big));
    const nameAt = this.#string(name);
    const at = this.#behindName(this.#find(node));
    this.#insert(at, 12 + aligned(data.length));
    this.#view.setUint32(at, PROPERTY);
    this.#view.setUint32(at + 4, data.length);
    this.#view.setUint32(at + 8, nameAt);
    this.#data.set(data, at + 12);
  }

  finish(): Uint8Array {
    const header = [MAGIC, TREE_SIZE, STRUCTURE_AT, this.#strings, RESERVATIONS_AT, VERSION, LAST_COMPATIBLE, 0];
    header.push(this.#end - this.#strings, this.#strings - STRUCTURE_AT);
    this.#data.set(header.flatMap(big));
    return this.#data;
  }

  #insert(at: number, length: number): void {
    this.#data.copyWithin(at + length, at, this.#end);
    this.#strings += length;
    this.#end += length;
  }

  /** Offset of a name among the strings; the end of another name will do. */
  #string(name: string): number {
    const all = String.fromCharCode(...this.#data.subarray(this.#strings, this.#end));
    const found = all.indexOf(`${name}\0`);
    if (found >= 0) return found;
    this.#data.set(latin1(`${name}\0`), this.#end);
    this.#end += name.length + 1;
    return all.length;
  }

  #nameAt(node: number): string {
    const end = this.#data.indexOf(0, node + 4);
    return String.fromCharCode(...this.#data.subarray(node + 4, end));
  }

  #behindName(node: number): number {
    return node + 4 + aligned(this.#nameAt(node).length + 1);
  }

  /** Offset of a node that was added. */
  #find(path: Path): number {
    let node = STRUCTURE_AT;
    for (const name of path) {
      do node += 4;
      while (this.#view.getUint32(node) !== BEGIN_NODE || this.#nameAt(node) !== name);
    }
    return node;
  }
}

const big = (value: number): number[] => [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff);
const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
const aligned = (length: number): number => (length + 3) & ~3;

export interface MicrovmTreeOptions {
  /** Addresses of the I/O APICs. */
  ioapics: readonly number[];
  /** Slots with a device, in the order in which they were filled, and their interrupts at the last I/O APIC. */
  virtio: readonly { slot: number; pin: number }[];
}

/** The device tree of a microvm with RTC and serial port. */
export function microvmDeviceTree({ ioapics, virtio }: MicrovmTreeOptions): Uint8Array {
  const tree = new TreeWriter();
  const phandles = new Map(ioapics.toReversed().map((base, i) => [base, FIRST_PHANDLE + i]));
  const add = (name: string, properties: Record<string, Value>): void => {
    tree.addNode([], name);
    for (const [property, value] of Object.entries(properties)) tree.addProperty([name], property, value);
  };
  const interrupt = (base: number, pin: number): Record<string, Value> => ({
    'interrupt-parent': [phandles.get(base)!],
    interrupts: [pin, 0],
  });
  tree.addProperty([], 'compatible', 'linux,microvm');
  tree.addProperty([], '#address-cells', [2]);
  tree.addProperty([], '#size-cells', [2]);
  tree.addNode([], 'chosen');
  for (const [base, phandle] of phandles) {
    add(`ioapic${ioapics.indexOf(base) + 1}@${base.toString(16)}`, {
      compatible: 'intel,ce4100-ioapic',
      'interrupt-controller': [],
      '#interrupt-cells': [2],
      '#address-cells': [2],
      reg: [0, base, 0, IOAPIC_SIZE],
      phandle: [phandle],
      'linux,phandle': [phandle],
    });
  }
  for (const { slot, pin } of virtio) {
    const base = VIRTIO_MMIO_BASE + slot * VIRTIO_MMIO_SIZE;
    add(`virtio_mmio@${base.toString(16)}`, {
      compatible: 'virtio,mmio',
      reg: [0, base, 0, VIRTIO_MMIO_SIZE],
      'dma-coherent': [],
      ...interrupt(ioapics.at(-1)!, pin),
    });
  }
  const isa = (compatible: string, port: number, irq: number): Record<string, Value> => ({
    compatible,
    reg: [0, port, 0, 8],
    ...interrupt(IOAPIC_BASE, irq),
  });
  add('serial@3f8', isa('ns16550', 0x3f8, 4));
  tree.addProperty(['chosen'], 'stdout-path', '/serial@3f8');
  add('rtc@70', isa('motorola,mc146818', 0x70, 8));
  return tree.finish();
}
