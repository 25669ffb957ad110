// The state in which PVH and Multiboot enter a kernel: 32-bit protected mode without paging, flat segments, interrupts
// off. Xen, docs/misc/pvh.pandoc; Multiboot Specification 0.6.96, 3.2; Multiboot2 Specification 2.0, 3.3. They leave the
// GDT open: no kernel may rely on one, but one that does boots elsewhere, too, so there is one for these segments.

import { buildGdt, CODE32, DATA32, flat, RESET_LDTR, TSS } from './descriptors.js';
import { type EntryState, registers } from './image.js';

const [CS, DS, TR] = [0x08, 0x10, 0x18];
const CODE = flat(CS, CODE32);
const DATA = flat(DS, DATA32);
const TASK = { selector: TR, base: 0n, limit: 0x67, attributes: TSS };

/** The GDT for the entry state. */
export const protectedGdt = (): Uint8Array => buildGdt([CODE, DATA, TASK]);

/**
 * @param values general registers; the others are 0
 * @param entry linear address of the first instruction
 * @param gdt address of the table of protectedGdt()
 */
export function protectedEntry(values: Parameters<typeof registers>[0], entry: number, gdt: number): EntryState {
  return {
    registers: registers(values),
    rip: BigInt(entry),
    rflags: 2,
    cr0: 0x11, // PE, and ET, which reads as 1 always
    cr3: 0n,
    cr4: 0,
    efer: 0,
    segments: { cs: CODE, ds: DATA, es: DATA, ss: DATA, fs: DATA, gs: DATA, ldtr: RESET_LDTR, tr: TASK },
    gdtr: { base: BigInt(gdt), limit: TR + 7 },
    idtr: { base: 0n, limit: 0 },
  };
}
