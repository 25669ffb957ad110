// How fw_cfg answers DMA transfers (QEMU, docs/specs/fw_cfg.rst, "Guest-side DMA Interface"): a transfer that is over has
// all bits of its control word clear but for bit 0, which says that it failed. A valid device fails some transfers, and
// then moves nothing; a hostile one moves less than it says or more, says what it must not, or never says anything.
//
// An answer has no bytes that a guest sees, so the encoding is this program's own: 32 bytes an answer, big-endian as the
// descriptor is: first transfer, how many, bytes that are moved at most, zeros behind, what is changed (bit 0 the control
// word, bit 1 the address), control word, address.

import fc from 'fast-check';
import type { FwCfgAnswer } from '../../platform/devices/fw-cfg.js';
import { ByteWriter } from '../byte-writer.js';
import { low16, low32, pick } from '../numbers.js';
import type { StructureKind } from '../structure.js';

export interface FwCfgAnswerRun {
  /** The first of the transfers that are answered so, from 0 on, since the machine was made. */
  transfer: number;
  /** How many in a row. */
  count: number;
  /** Bytes that are moved, if as many are asked for. */
  bytes: number;
  control: number;
  /** Lies: zeros behind the bytes that are asked for; a control word that stays; another address in the descriptor. */
  extra?: number;
  pending?: true;
  address?: bigint;
}

export interface FwCfgAnswers {
  answers: FwCfgAnswerRun[];
}

const SIZE = 32;
const [ERROR, ALL] = [1, 0xffff_ffff];
const [CONTROL, ADDRESS] = [1, 2];
/** Zeros behind the bytes of a transfer, at most. */
const MOST_EXTRA = 0x1_0000;

/** Answers of fw_cfg's DMA interface: which transfers fail, and how. */
export function fwCfgAnswers(): StructureKind<FwCfgAnswers> {
  const transfer = fc.oneof(fc.nat(7), fc.nat(63), fc.nat(0xfff));
  const count = fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 0x1000 }));
  const failed = fc.record({ transfer, count, bytes: fc.constant(0), control: fc.constant(ERROR) });
  return {
    name: 'fw-cfg-answers',
    specification: 'QEMU, docs/specs/fw_cfg.rst, "Guest-side DMA Interface"',
    valid: fc.array(failed, { minLength: 1, maxLength: 3 }).map((answers) => ({ answers })),
    breaks: {
      'less than was asked for': (draft, at, value) =>
        pick(draft.answers, at, (answer) => {
          answer.bytes = low16(value);
          answer.control = 0;
        }),
      'more than was asked for': (draft, at, value) =>
        pick(draft.answers, at, (answer) => {
          answer.bytes = ALL;
          answer.control = 0;
          answer.extra = 1 + (low16(value) % MOST_EXTRA);
        }),
      'error after all was moved': (draft, at) =>
        pick(draft.answers, at, (answer) => {
          answer.bytes = ALL;
        }),
      'control word that never clears': (draft, at) =>
        pick(draft.answers, at, (answer) => {
          answer.bytes = ALL;
          answer.pending = true;
        }),
      'unknown bits in the control word': (draft, at, value) =>
        pick(draft.answers, at, (answer) => {
          answer.bytes = ALL;
          answer.control = low32(value) | 0x20;
        }),
      'another address in the descriptor': (draft, at, value) =>
        pick(draft.answers, at, (answer) => {
          answer.bytes = ALL;
          answer.control = 0;
          answer.address = value;
        }),
    },
    encode: ({ answers }) => {
      const out = new ByteWriter(SIZE * answers.length);
      for (const { transfer, count, bytes, control, extra, pending, address } of answers)
        out
          .u32be(transfer)
          .u32be(count)
          .u32be(bytes)
          .u32be(extra ?? 0)
          .u32be((pending ? 0 : CONTROL) | (address === undefined ? 0 : ADDRESS))
          .u32be(control)
          .u64be(address ?? 0n);
      return out.done();
    },
  };
}

/** The device's side of encoded answers: what is wrong with the answer to a transfer. The first that has it counts. */
export function answersOf(bytes: Uint8Array): (transfer: number) => FwCfgAnswer | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const runs = Array.from({ length: Math.floor(bytes.length / SIZE) }, (_, i) => {
    const word = (n: number) => view.getUint32(SIZE * i + 4 * n);
    const changed = word(4);
    return {
      from: word(0),
      to: word(0) + word(1),
      bytes: word(2),
      extra: Math.min(word(3), MOST_EXTRA),
      control: (changed & CONTROL) === 0 ? undefined : word(5),
      address: (changed & ADDRESS) === 0 ? undefined : view.getBigUint64(SIZE * i + 24),
    };
  });
  return (transfer) => runs.find(({ from, to }) => transfer >= from && transfer < to);
}
