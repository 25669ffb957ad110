// Option ROMs: header 55 AA, length, entry and check sum (Plug and Play BIOS Specification 1.0A, 3.1), the chain of PnP
// expansion headers (3.2), and the PCI data structure (PCI Firmware Specification 3.0, 5.1.2). Valid: the bytes add up
// to 0, the length is the file's, every pointer leads to its structure, and the entry returns.

import fc from 'fast-check';
import { ByteWriter } from '../byte-writer.js';
import { low8, low16, pick, u16 } from '../numbers.js';
import type { StructureKind } from '../structure.js';

export interface PnpHeader {
  /** Offset of the bootstrap entry vector, 0 for none. */
  bootstrap: number;
  /** Lies. */
  next?: number;
  checksum?: number;
  size?: number;
  signature?: string;
  connect?: number;
}

export interface OptionRom {
  /** In units of 512 bytes. */
  blocks: number;
  pnp: PnpHeader[];
  pci?: { vendor: number; device: number; length?: number; codeType?: number; signature?: string };
  /** Lies. */
  statedBlocks?: number;
  checksum?: number;
  magic?: number;
  entry?: number[];
  pnpAt?: number;
  pciAt?: number;
}

const CODE_AT = 0x40;
const PNP_AT = 0x60;
const PNP_SIZE = 32;
const PCI_AT = 0x1c0;
const PCI_SIZE = 0x18;
const FAR_RETURN = 0xcb;

/** Option ROMs with PnP headers and PCI data structure (Plug and Play BIOS 1.0A, 3.1 and 3.2; PCI Firmware 3.0, 5.1.2). */
export function optionRom(): StructureKind<OptionRom> {
  return {
    name: 'option-rom',
    specification: 'Plug and Play BIOS 1.0A, 3.1 and 3.2; PCI Firmware 3.0, 5.1.2',
    valid: fc
      .record({
        blocks: fc.integer({ min: 1, max: 8 }),
        pnp: fc.array(fc.record({ bootstrap: fc.constantFrom(CODE_AT, 0) }), { maxLength: 4 }),
        pci: fc.option(fc.record({ vendor: u16, device: u16 }), { nil: undefined }),
      })
      .map(({ blocks, pnp, pci }) => ({ blocks, pnp, ...(pci && { pci }) })),
    breaks: {
      'wrong check sum': (draft, _at, value) => {
        draft.checksum = low8(value) || 1;
      },
      'length of nothing': (draft) => {
        draft.statedBlocks = 0;
      },
      'length that lies': (draft, _at, value) => {
        draft.statedBlocks = low8(value);
      },
      'wrong magic': (draft, _at, value) => {
        draft.magic = low16(value);
      },
      'entry that jumps to itself': (draft) => {
        draft.entry = [0xeb, 0xfe, 0];
      },
      'entry that jumps outside': (draft, _at, value) => {
        draft.entry = [0xe9, low8(value), 0x7f];
      },
      'no code at the entry': (draft) => {
        draft.entry = [0, 0, 0];
      },
      'PnP header elsewhere': (draft, _at, value) => {
        draft.pnpAt = low16(value);
      },
      'PnP chain that comes back': (draft, at) =>
        pick(draft.pnp, at, (one) => {
          one.next = PNP_AT;
        }),
      'PnP chain that leads outside': (draft, at, value) =>
        pick(draft.pnp, at, (one) => {
          one.next = low16(value) || 1;
        }),
      'wrong check sum of a PnP header': (draft, at, value) =>
        pick(draft.pnp, at, (one) => {
          one.checksum = low8(value) || 1;
        }),
      'PnP header of any size': (draft, at, value) =>
        pick(draft.pnp, at, (one) => {
          one.size = low8(value);
        }),
      'PnP header of another name': (draft, at) =>
        pick(draft.pnp, at, (one) => {
          one.signature = '$XXX';
        }),
      'boot vector outside': (draft, at, value) =>
        pick(draft.pnp, at, (one) => {
          one.bootstrap = low16(value) | 0x8000;
        }),
      'PCI data elsewhere': (draft, _at, value) => {
        draft.pciAt = low16(value);
      },
      'PCI data of any length': (draft, _at, value) => {
        if (draft.pci) draft.pci.length = low16(value);
      },
      'PCI data for another machine': (draft, _at, value) => {
        if (draft.pci) draft.pci.codeType = low8(value) || 1;
      },
      'PCI data of another name': (draft) => {
        if (draft.pci) draft.pci.signature = 'PCIX';
      },
    },
    encode,
  };
}

function encode(value: OptionRom): Uint8Array {
  const { blocks, pnp, pci } = value;
  const size = 512 * blocks;
  const out = new ByteWriter(size).zerosTo(size);
  const place = (offset: number, bytes: ArrayLike<number>) => {
    for (let i = 0; i < bytes.length; i++) out.put8(offset + i, bytes[i]!);
  };
  out
    .put16(0, value.magic ?? 0xaa55)
    .put8(2, value.statedBlocks ?? blocks)
    .put8(6, 0);
  place(3, value.entry ?? [0xeb, CODE_AT - 5, 0x90]);
  place(CODE_AT, [0x31, 0xc0, FAR_RETURN]);
  out.put16(0x18, value.pciAt ?? (pci ? PCI_AT : 0)).put16(0x1a, value.pnpAt ?? (pnp.length > 0 ? PNP_AT : 0));
  pnp.forEach((one, i) => {
    const next = one.next ?? (i + 1 < pnp.length ? PNP_AT + PNP_SIZE * (i + 1) : 0);
    const header = new ByteWriter(PNP_SIZE)
      .field(one.signature ?? '$PnP', 4)
      .u8(1)
      .u8(one.size ?? PNP_SIZE / 16);
    header
      .u16(next)
      .u8(0)
      .u8(0)
      .u32(0)
      .u16(0)
      .u16(0)
      .bytes([2, 0, 0])
      .u8(0x14)
      .u16(one.connect ?? 0)
      .u16(0);
    header
      .u16(one.bootstrap)
      .zerosTo(PNP_SIZE)
      .checksum(9, 0, PNP_SIZE, one.checksum ?? 0);
    // A check sum of 0 is none: then another wrong one.
    if (one.checksum !== undefined && header.get8(9) === 0) header.checksum(9, 0, PNP_SIZE, one.checksum ^ 0x80 || 1);
    place(PNP_AT + PNP_SIZE * i, header.done());
  });
  if (pci) {
    const data = new ByteWriter(PCI_SIZE)
      .field(pci.signature ?? 'PCIR', 4)
      .u16(pci.vendor)
      .u16(pci.device)
      .u16(0);
    data
      .u16(pci.length ?? PCI_SIZE)
      .u8(0)
      .bytes([0, 0, 2])
      .u16(blocks)
      .u16(1)
      .u8(pci.codeType ?? 0)
      .u8(0x80)
      .u16(0);
    place(PCI_AT, data.done());
  }
  return out.checksum(size - 1, 0, size, value.checksum ?? 0).done();
}
