// The hand-off: what a loader leaves to the kernel that it enters, as one plain record, read at the kernel's first
// instruction. Where that is follows from the images (ELF entry, PVH note, setup header, multiboot entry) or is given;
// the guest is not recognised by anything it does. The structure is that of the protocol; at an address that was given,
// the protocol is told by the magic in the register that each of them defines.
//
// Invariant: the same processor state and memory give the same record.

import type { EntryState } from '../image.js';
import type { DirectRoute, HandoffProtocol } from '../route.js';
import {
  type Contents,
  type HandoffRange,
  type HandoffStructure,
  type ReadMemory,
  readBootParams,
  readMultiboot,
  readMultiboot2,
  readSetupCode,
  readStartInfo,
  SETUP_MAGIC,
  START_INFO_MAGIC,
} from './structures.js';

export interface Handoff {
  /** `unknown` where nothing tells. */
  protocol: DirectRoute | 'unknown';
  /** How the boot was begun: the trace's own route. */
  route: string;
  state: EntryState;
  memoryMap: HandoffRange[];
  structures: HandoffStructure[];
}

const CR0_PE = 1;
const CR0_PG = 0x8000_0000;
const EFER_LMA = 0x400;
const PAST_ANY_ADDRESS = 1n << 52n;
const [MULTIBOOT_MAGIC, MULTIBOOT2_MAGIC] = [0x2bad_b002, 0x36d7_6289];

/** Whether a processor in this state can be one that enters a kernel by the protocol. */
export function isEntry(protocol: HandoffProtocol, { cr0, efer }: EntryState): boolean {
  switch (protocol) {
    case 'any':
    case 'jump':
      return true;
    case 'linux16':
      return (cr0 & CR0_PE) === 0;
    case 'linux64':
      return (efer & EFER_LMA) !== 0;
    default:
      return (cr0 & CR0_PE) !== 0 && (cr0 & CR0_PG) === 0;
  }
}

/** Read the record. @param route what the trace's header calls it */
export function readHandoff(protocol: HandoffProtocol, route: string, state: EntryState, read: ReadMemory): Handoff {
  const found = protocol === 'any' || protocol === 'jump' ? protocolOf(state, read) : protocol;
  return { protocol: found, route, state, ...contents(found, state, read) };
}

function contents(protocol: Handoff['protocol'], state: EntryState, read: ReadMemory): Contents {
  const [ebx, esi] = [low32(state.registers.rbx), low32(state.registers.rsi)];
  switch (protocol) {
    case 'pvh':
      return readStartInfo(read, ebx);
    case 'multiboot':
      return readMultiboot(read, ebx);
    case 'multiboot2':
      return readMultiboot2(read, ebx);
    case 'linux32':
      return readBootParams(read, esi);
    case 'linux64':
      return readBootParams(read, physical(state.registers.rsi));
    case 'linux16':
      // The setup code's segment, 0x20 paragraphs below where it is entered.
      return readSetupCode(read, Math.max(0, low32(state.segments.cs.base) - 0x200));
    default:
      return { structures: [], memoryMap: [] };
  }
}

/** What of the state tells a protocol. */
export interface EntryMarks extends Pick<EntryState, 'cr0' | 'efer'> {
  readonly registers: Pick<EntryState['registers'], 'rax' | 'rbx' | 'rsi'>;
  readonly segments: { readonly cs: { readonly base: bigint } };
}

/** Which protocol the registers speak, if any does. */
export function protocolOf(state: EntryMarks, read: ReadMemory): Handoff['protocol'] {
  const { cr0, efer, registers, segments } = state;
  const is = (address: number, magic: number) => {
    const bytes = read(address, 4);
    return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true) === magic;
  };
  if ((cr0 & CR0_PE) === 0) return is(low32(segments.cs.base) + 2, SETUP_MAGIC) ? 'linux16' : 'unknown';
  if (low32(registers.rax) === MULTIBOOT_MAGIC) return 'multiboot';
  if (low32(registers.rax) === MULTIBOOT2_MAGIC) return 'multiboot2';
  if (is(low32(registers.rbx), START_INFO_MAGIC)) return 'pvh';
  const isLong = (efer & EFER_LMA) !== 0;
  const bootParams = isLong ? physical(registers.rsi) : low32(registers.rsi);
  if (is(bootParams + 0x202, SETUP_MAGIC)) return isLong ? 'linux64' : 'linux32';
  return 'unknown';
}

/** A pointer of 64 bits by a protocol that maps memory to itself; past any physical address there is none. */
const physical = (value: bigint): number => Number(value < PAST_ANY_ADDRESS ? value : PAST_ANY_ADDRESS);
const low32 = (value: bigint): number => Number(BigInt.asUintN(32, value));
