// Writer of the "newc" cpio archive that Linux unpacks as its initial file system: the kernel's
// Documentation/driver-api/early-userspace/buffer-format.rst. Invariant: the same entries give the same bytes;
// inode numbers count up, times are 0, owners are root. Left out on purpose: compression (a trace compresses
// the image better than a compressed image would), hard links, checksums ("070702").

/** One member. `path` has no leading slash; parents must come before children. */
export type CpioEntry =
  | { type: 'directory'; path: string; mode?: number }
  | { type: 'file'; path: string; data: Uint8Array; mode?: number }
  | { type: 'link'; path: string; target: string }
  | { type: 'character'; path: string; major: number; minor: number; mode?: number };

const S_IFLNK = 0o120000;
const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
const S_IFCHR = 0o020000;
const HEADER = 110;
const TRAILER = 'TRAILER!!!';

/** The archive, padded with zeros to a multiple of 512 bytes. */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array {
  const encoder = new TextEncoder();
  const parts: Uint8Array[] = [];
  let length = 0;
  const put = (data: Uint8Array, alignment: number) => {
    parts.push(data);
    length += data.length;
    const padding = (alignment - (length % alignment)) % alignment;
    if (padding > 0) parts.push(new Uint8Array(padding));
    length += padding;
  };
  const member = (inode: number, mode: number, links: number, name: string, data: Uint8Array, device: number[]) => {
    const fields = [inode, mode, 0, 0, links, 0, data.length, 0, 0, device[0]!, device[1]!, name.length + 1, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
    const head = new Uint8Array(HEADER + name.length + 1);
    head.set(encoder.encode(header));
    head.set(encoder.encode(name), HEADER);
    put(head, 4);
    put(data, 4);
  };
  const empty = new Uint8Array(0);
  const seen = new Set<string>();
  let inode = 0;
  for (const entry of entries) {
    if (!/^[\x21-\x7e]+$/.test(entry.path) || entry.path.startsWith('/') || seen.has(entry.path)) {
      throw new RangeError(`not a fit path for an archive member: ${entry.path}`);
    }
    seen.add(entry.path);
    inode++;
    switch (entry.type) {
      case 'directory':
        member(inode, S_IFDIR | (entry.mode ?? 0o755), 2, entry.path, empty, [0, 0]);
        break;
      case 'file':
        member(inode, S_IFREG | (entry.mode ?? 0o644), 1, entry.path, entry.data, [0, 0]);
        break;
      case 'link':
        member(inode, S_IFLNK | 0o777, 1, entry.path, encoder.encode(entry.target), [0, 0]);
        break;
      case 'character':
        member(inode, S_IFCHR | (entry.mode ?? 0o600), 1, entry.path, empty, [entry.major, entry.minor]);
        break;
    }
  }
  member(0, 0, 1, TRAILER, empty, [0, 0]);
  put(empty, 512);
  const archive = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    archive.set(part, at);
    at += part.length;
  }
  return archive;
}
