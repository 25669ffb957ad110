// Whether a hand-off is as a test expects: the fields that it names, and no others. Values are numbers, or text as the
// record has it (`0x100000`, `"quoted"`).

import type { HandoffView } from '../trace/handoff.js';

type Value = number | bigint | string;

/** Fields of a hand-off that a test cares for. */
export interface HandoffPattern {
  /** pvh, linux16, linux32, linux64, multiboot, multiboot2. */
  readonly protocol?: string | undefined;
  readonly route?: string | undefined;
  /** rip, rflags, rax … */
  readonly registers?: Readonly<Record<string, Value>> | undefined;
  /** cr0, cr3, cr4, efer, `gdtr.base` … */
  readonly control?: Readonly<Record<string, Value>> | undefined;
  /** cs, ds … with selector, base, limit, attributes. */
  readonly segments?: Readonly<Record<string, Readonly<Record<string, Value>>>> | undefined;
  /** The whole memory map, in order. */
  readonly memoryMap?: readonly { readonly address: Value; readonly length: Value; readonly type: Value }[] | undefined;
  /** Structures by name (hvm_start_info, boot_params, cmdline …): fields, and `address` and `length`. */
  readonly structures?: Readonly<Record<string, Readonly<Record<string, Value>>>> | undefined;
}

export interface Mismatch {
  readonly field: string;
  readonly expected: string;
  /** `(none)` where the hand-off has no such field. */
  readonly actual: string;
}

/** The fields that are not as expected. */
export function handoffMismatches(handoff: HandoffView, pattern: HandoffPattern): Mismatch[] {
  const found: Mismatch[] = [];
  const compare = (field: string, expected: Value | undefined, actual: string | undefined) => {
    if (expected === undefined) return;
    const wanted = valueText(expected);
    if (actual === wanted || actual === JSON.stringify(expected)) return;
    found.push({ field, expected: wanted, actual: actual ?? '(none)' });
  };
  const group = (name: string, expected: Readonly<Record<string, Value>>, actual: Readonly<Record<string, string>>) => {
    for (const [field, value] of Object.entries(expected)) compare(`${name}.${field}`, value, actual[field]);
  };
  compare('protocol', pattern.protocol, handoff.protocol);
  compare('route', pattern.route, handoff.route);
  group('registers', pattern.registers ?? {}, handoff.registers);
  group('control', pattern.control ?? {}, handoff.control);
  for (const [name, expected] of Object.entries(pattern.segments ?? {}))
    group(name, expected, handoff.segments[name] ?? {});
  if (pattern.memoryMap) {
    const length = Math.max(pattern.memoryMap.length, handoff.memoryMap.length);
    for (let i = 0; i < length; i++) {
      const [expected, actual] = [pattern.memoryMap[i], handoff.memoryMap[i]];
      if (expected) group(`memory map ${i}`, { ...expected }, { ...actual });
      else found.push({ field: `memory map ${i}`, expected: '(none)', actual: JSON.stringify(actual) });
    }
  }
  for (const [name, expected] of Object.entries(pattern.structures ?? {})) {
    const structure = handoff.structures.find((one) => one.name === name);
    const { address, length, fields } = structure ?? {};
    group(name, expected, structure ? { ...fields, address: address!, length: length! } : {});
  }
  return found;
}

const valueText = (value: Value): string => (typeof value === 'string' ? value : `0x${value.toString(16)}`);
