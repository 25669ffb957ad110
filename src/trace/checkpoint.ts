// Checkpoints: the machine's state at a state hash, so that a replay can begin there. A checkpoint is chunks of pages
// that changed since the checkpoint before (saved-pages.ts; older traces have them here), and a chunk with the processor and
// what is known of memory behind them. FORMAT.md, section "CHKP". Devices have no state in a sealed replay, and lines and
// milestones follow from the events before.
//
// Invariant: checkpoints are no content. A trace says the same without them, and a replay from one is believed only
// when the state that it gives has the hash that was recorded there.

import { decodeCanonical, encodeCanonical } from './codec.js';
import { binary, integer, list, record, text, unsigned64, words32 } from './fields.js';
import type { PagesToSave } from './saved-pages.js';
import { MASK_SIZE } from './state-digest.js';

const PAGE = 4096;
/** Pages that are packed at a time, at most, and chunks that they become. */
const CHUNK_PAGES = 2048;
const CHUNKS = 2;
const MAX_PAGE_CHUNKS = 4096;

/** A page of RAM and its number, that is its address / 4096. */
export interface SavedPage {
  readonly number: number;
  /** 4096 bytes, those that stand for unobserved ones zero; undefined when all are. */
  readonly bytes: Uint8Array | undefined;
  /** Mask of the bytes that state hashes count as zeros; undefined when there are none. */
  readonly unknown?: Uint8Array | undefined;
}

/** State at the end of an instruction, without pages. */
export interface CheckpointState {
  readonly cycle: number;
  /** Events before it: the last of them is the state hash. */
  readonly event: number;
  /** As the processor saves it. */
  readonly processor: Uint8Array;
  /** What is known of pages that a loader filled, as the processor saves it. */
  readonly tracked: Uint8Array;
  /** Points at which a kernel may still be entered, as in the header. */
  readonly handoff: readonly (readonly [address: bigint, protocol: string])[];
  /** Code that has been decoded, as the processor saves it, and the cycle of its next stop; older traces do not say. */
  readonly decoded?: DecodedCode | undefined;
}

/** What becomes chunks of a checkpoint: pages, or the state. */
export type CheckpointPiece = CheckpointPlan & ({ readonly pages: PagesToSave } | { readonly state: Uint8Array });

interface CheckpointPlan {
  /** Chunks that it becomes. */
  readonly chunks: number;
  /** Bytes that say what had been decoded there, which is a measure of the work until then. */
  readonly code: number;
}

export interface DecodedCode {
  /** Ways of decoding: bits, flat segments, base and limit of the code segment. */
  readonly modes: readonly (readonly [number, number, number, number])[];
  readonly pages: Uint8Array;
  readonly stop: number;
}

/** A checkpoint in the order of its chunks. Pages are taken as they are needed. @param pages by ascending number */
export function* encodeCheckpoint(state: CheckpointState, pages: Iterable<SavedPage>): Generator<CheckpointPiece> {
  const code = state.decoded?.pages.length ?? 0;
  let pageChunks = 0;
  let some: SavedPage[] = [];
  for (const page of pages) {
    some.push(page);
    if (some.length < CHUNK_PAGES) continue;
    yield { pages: shared(some), chunks: CHUNKS, code };
    pageChunks += CHUNKS;
    some = [];
  }
  if (some.length > 0) {
    yield { pages: shared(some), chunks: CHUNKS, code };
    pageChunks += CHUNKS;
  }
  const { decoded, ...rest } = state;
  const payload = encodeCanonical({
    ...rest,
    pageChunks,
    ...(decoded && { decoded: { ...decoded, modes: decoded.modes.map((mode) => [...mode]) } }),
  });
  yield { state: payload, chunks: 1, code };
}

/** Pages as threads share them. They are copied. */
function shared(some: readonly SavedPage[]): PagesToSave {
  const filled = some.filter(({ bytes }) => bytes);
  const masked = filled.filter(({ unknown }) => unknown);
  const numbersOf = (list: readonly SavedPage[]) => {
    const numbers = new Uint32Array(new SharedArrayBuffer(4 * list.length));
    numbers.set(list.map(({ number }) => number));
    return numbers;
  };
  const room = (size: number) => new Uint8Array(new SharedArrayBuffer(size));
  const [pages, isMasked, masks] = [room(PAGE * filled.length), room(filled.length), room(MASK_SIZE * masked.length)];
  filled.forEach(({ bytes, unknown }, n) => {
    pages.set(bytes!, PAGE * n);
    isMasked[n] = unknown ? 1 : 0;
  });
  masked.forEach(({ unknown }, n) => {
    masks.set(unknown!, MASK_SIZE * n);
  });
  const zeros = numbersOf(some.filter(({ bytes }) => !bytes));
  return { numbers: numbersOf(filled), zeros, pages, isMasked, masks };
}

/** The state, and how many chunks of pages stand before it. @throws Error when the payload breaks the format */
export function decodeCheckpoint(payload: Uint8Array): CheckpointState & { readonly pageChunks: number } {
  const map = record(decodeCanonical(payload), 'a checkpoint');
  return {
    cycle: integer(map.cycle, Number.MAX_SAFE_INTEGER, 'cycle'),
    event: integer(map.event, Number.MAX_SAFE_INTEGER, 'event'),
    processor: binary(map.processor, 'processor'),
    tracked: binary(map.tracked, 'tracked'),
    handoff: list(map.handoff, 'handoff').map((item) => {
      const [address, protocol] = list(item, 'handoff');
      return [unsigned64(address, 'handoff'), text(protocol, 'handoff')] as const;
    }),
    pageChunks: integer(map.pageChunks, MAX_PAGE_CHUNKS, 'pageChunks'),
    ...(map.decoded !== undefined && { decoded: decodedOf(record(map.decoded, 'decoded')) }),
  };
}

function decodedOf(map: Record<string, unknown>): DecodedCode {
  return {
    modes: list(map.modes, 'modes').map((item) => {
      const [bits, flat, base, limit] = list(item, 'modes').map((value) => integer(value, 0xffff_ffff, 'modes'));
      if (limit === undefined) throw new Error('modes are not whole');
      return [bits!, flat!, base!, limit] as const;
    }),
    pages: binary(map.pages, 'pages'),
    stop: integer(map.stop, Number.MAX_SAFE_INTEGER, 'stop'),
  };
}

/** The pages of a chunk of an older trace. Their bytes are views. @throws Error when the payload breaks the format */
export function decodePages(payload: Uint8Array): SavedPage[] {
  const map = record(decodeCanonical(payload), 'pages of a checkpoint');
  const data = binary(map.data, 'data');
  const numbers = [...words32(map.numbers, 'page numbers')];
  const zeros = [...words32(map.zeros, 'page numbers')];
  if (data.length !== PAGE * numbers.length) throw new Error('pages of a checkpoint are not whole');
  const filled = numbers.map((number, i) => ({ number, bytes: data.subarray(PAGE * i, PAGE * (i + 1)) }));
  return [...filled, ...zeros.map((number) => ({ number, bytes: undefined }))];
}
