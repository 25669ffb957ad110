// The hand-off record of QEMU's side: registers as its monitor shows them, the structure from its memory, read by the
// same code that made our record. Segments that are not usable count as empty on both sides, TR as not busy, and the
// accessed bit does not count: QEMU keeps other leftovers there than silicon does.

import { isEntry, readHandoff } from '../../src/boot/handoff/handoff.js';
import { type EntryState, GENERAL_REGISTERS, registers, SEGMENT_REGISTERS } from '../../src/boot/image.js';
import type { HandoffProtocol } from '../../src/boot/route.js';
import { decodeHandoff, encodeHandoff, type HandoffView } from '../../src/trace/handoff.js';
import { FIELDS, type Registers } from '../lockstep/registers.js';

const PRESENT = 0x80;
const UNUSABLE = 0x1_0000;
const BUSY = 2;
const CODE_OR_DATA = 0x10;
const ACCESSED = 1;

/** Linear address at which a hand-off was recorded. */
export const entryOf = ({ registers: { rip }, segments: { cs } }: HandoffView): bigint =>
  BigInt(rip ?? 0) + BigInt(cs?.base ?? 0);

function stateOf(dump: Registers): EntryState {
  const value = (name: string): bigint => BigInt(dump[FIELDS.indexOf(name)] ?? 0);
  const number = (name: string): number => Number(value(name));
  const segment = (name: string) => ({
    selector: number(name),
    base: value(`${name}.base`),
    limit: number(`${name}.limit`),
    attributes: number(`${name}.attributes`),
  });
  return {
    registers: registers(Object.fromEntries(GENERAL_REGISTERS.map((name) => [name, value(name)]))),
    rip: value('rip'),
    rflags: number('rflags'),
    cr0: number('cr0'),
    cr3: value('cr3'),
    cr4: number('cr4'),
    efer: number('efer'),
    segments: Object.fromEntries(SEGMENT_REGISTERS.map((name) => [name, segment(name)])) as EntryState['segments'],
    gdtr: { base: value('gdtr.base'), limit: number('gdtr.limit') },
    idtr: { base: value('idtr.base'), limit: number('idtr.limit') },
  };
}

/** The record at this point, if the kernel is being entered by the protocol of ours. */
export async function handoffFrom(
  dump: Registers,
  ours: HandoffView,
  memory: () => Promise<Uint8Array>,
): Promise<HandoffView | undefined> {
  const state = stateOf(dump);
  const protocol = ours.protocol as HandoffProtocol;
  if (!isEntry(protocol, state)) return undefined;
  const bytes = await memory();
  const read = (address: number, length: number): Uint8Array => {
    const out = new Uint8Array(length).fill(0xff);
    if (address < bytes.length) out.set(bytes.subarray(address, Math.min(address + length, bytes.length)));
    return out;
  };
  const record = encodeHandoff(readHandoff(protocol, ours.route, state, read));
  return decodeHandoff(record, { cycle: 0, cs: state.segments.cs.selector, rip: state.rip });
}

/** The record with what does not count taken out. */
export function comparable(view: HandoffView): HandoffView {
  const segments = Object.entries(view.segments).map(([name, segment]) => {
    const attributes = Number(segment.attributes);
    const usable = (attributes & UNUSABLE) === 0 && (attributes & PRESENT) !== 0;
    const kept = attributes & ~(attributes & CODE_OR_DATA ? ACCESSED : name === 'tr' ? BUSY : 0);
    const hidden = usable
      ? { limit: segment.limit, attributes: `0x${kept.toString(16)}` }
      : { limit: '', attributes: '' };
    return [name, { ...segment, ...hidden }] as const;
  });
  return { ...view, segments: Object.fromEntries(segments) };
}
