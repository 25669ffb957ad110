// Initial file systems: "newc" cpio archives (Linux, driver-api/early-userspace/buffer-format.rst). Members have a header
// of 13 numbers in 8 hexadecimal digits, a name that ends, and data, all padded to 4 bytes; TRAILER!!! is last. Valid:
// sizes are those of names and data, parents come first, names are relative and unique.

import fc from 'fast-check';
import { ByteWriter } from '../byte-writer.js';
import { low32, pick, word } from '../numbers.js';
import type { StructureKind } from '../structure.js';

export interface CpioMember {
  path: string;
  /** File type and permissions. */
  mode: number;
  data: Uint8Array;
  /** Lies. */
  dataSize?: number;
  nameSize?: number;
  magic?: string;
  digits?: string;
  unterminated?: boolean;
}

export interface CpioArchive {
  members: CpioMember[];
  /** Lies. */
  noTrailer?: boolean;
  padding?: number;
  cut?: number;
}

const [DIRECTORY, FILE, LINK] = [0o040755, 0o100644, 0o120777];
const BLOCK = 512;

/** Initial file systems: "newc" archives (Linux, driver-api/early-userspace/buffer-format.rst). */
export function cpio(): StructureKind<CpioArchive> {
  const file = fc.oneof(
    fc.record({ mode: fc.constant(FILE), data: fc.uint8Array({ maxLength: 64 }) }),
    fc.record({ mode: fc.constant(LINK), data: word(20).map((target) => Uint8Array.from(Buffer.from(target))) }),
  );
  const one = fc.record({ folder: fc.constantFrom('', 'bin', 'etc'), name: word(12), file });
  return {
    name: 'initrd',
    specification: 'Linux, Documentation/driver-api/early-userspace/buffer-format.rst',
    valid: fc.uniqueArray(one, { maxLength: 6, selector: ({ folder, name }) => `${folder}/${name}` }).map((list) => {
      const folders = [...new Set(list.map(({ folder }) => folder).filter((folder) => folder !== ''))];
      const taken = new Set<string>(folders);
      return {
        members: [
          ...folders.map((path) => ({ path, mode: DIRECTORY, data: new Uint8Array(0) })),
          ...list
            .map(({ folder, name, file }) => ({ path: folder === '' ? name : `${folder}/${name}`, ...file }))
            .filter(({ path }) => !taken.has(path)),
        ],
      };
    }),
    breaks: {
      'data size that lies': (draft, at, value) =>
        pick(draft.members, at, (member) => {
          member.dataSize = low32(value);
        }),
      'name size that lies': (draft, at, value) =>
        pick(draft.members, at, (member) => {
          member.nameSize = low32(value);
        }),
      'name of no size': (draft, at) =>
        pick(draft.members, at, (member) => {
          member.nameSize = 0;
        }),
      'name without terminator': (draft, at) =>
        pick(draft.members, at, (member) => {
          member.unterminated = true;
        }),
      'wrong magic': (draft, at) =>
        pick(draft.members, at, (member) => {
          member.magic = '070709';
        }),
      'digits that are none': (draft, at) =>
        pick(draft.members, at, (member) => {
          member.digits = '0xzz -1 ';
        }),
      'no trailer': (draft) => {
        draft.noTrailer = true;
      },
      'absolute path': (draft, at) =>
        pick(draft.members, at, (member) => {
          member.path = `/../..//${member.path}`;
        }),
      'file without its directory': (draft) => {
        draft.members.push({ path: 'none/such/file', mode: FILE, data: new Uint8Array(4) });
      },
      'unknown file type': (draft, at, value) =>
        pick(draft.members, at, (member) => {
          member.mode = low32(value);
        }),
      'path that is too long': (draft, at) =>
        pick(draft.members, at, (member) => {
          member.path = `${member.path}${'/x'.repeat(2100)}`;
        }),
      'padding in between': (draft, at) => {
        draft.padding = at + 1;
      },
      'cut off': (draft, at, value) => {
        draft.cut = 1 + at * 64 + Number(value & 63n);
      },
    },
    encode,
  };
}

function encode({ members, noTrailer, padding = 0, cut }: CpioArchive): Uint8Array {
  const out = new ByteWriter(2048);
  const trailer: CpioMember = { path: 'TRAILER!!!', mode: 0, data: new Uint8Array(0) };
  [...members, ...(noTrailer ? [] : [trailer])].forEach((member, i) => {
    const { path, mode, data } = member;
    const inode = member === trailer ? 0 : i + 1;
    const size = member.dataSize ?? data.length;
    const fields = [inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, member.nameSize ?? path.length + 1, 0];
    out.text(member.magic ?? '070701');
    for (const [n, field] of fields.entries())
      out.text(n === 6 && member.digits ? member.digits : field.toString(16).padStart(8, '0'));
    out.text(path);
    if (!member.unterminated) out.u8(0);
    out.align(4).bytes(data).align(4);
    out.zerosTo(out.length + padding);
  });
  const file = out.align(BLOCK).done();
  return cut === undefined ? file : file.subarray(0, Math.max(0, file.length - cut));
}
