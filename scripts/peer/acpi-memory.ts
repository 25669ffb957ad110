// The ACPI tables as they stand in guest memory, found as an operating system finds them (ACPI 6.4, 5.2.5): RSDP in the
// BIOS segment, from there RSDT or XSDT, from there the tables, with FACS and DSDT through the FADT.

export interface AcpiTable {
  signature: string;
  address: number;
  bytes: Uint8Array;
  /** The bytes without addresses of other tables and without checksums, which follow from them. */
  content: Uint8Array;
}

const SEARCH: readonly (readonly [number, number])[] = [[0xe_0000, 0x10_0000]];
const MAX_TABLE = 1 << 20;

/** All tables, the RSDP first; empty when there is no RSDP. */
export function acpiTables(memory: Uint8Array): AcpiTable[] {
  const view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
  const rsdp = findRsdp(memory);
  if (rsdp === undefined) return [];
  const revision = memory[rsdp + 15]!;
  const found: AcpiTable[] = [];
  const add = (signature: string, address: number, length: number): void => {
    const bytes = memory.slice(address, address + length);
    const content = bytes.slice();
    for (const [at, size] of addressFields(signature, length)) content.fill(0, at, at + size);
    found.push({ signature, address, bytes, content });
  };
  /** Take a table with a standard header; returns where its body is. */
  const table = (address: number): { signature: string; body: number; end: number } | undefined => {
    if (address === 0 || address + 36 > memory.length || found.some((one) => one.address === address)) return undefined;
    const length = view.getUint32(address + 4, true);
    if (length > MAX_TABLE || address + length > memory.length) return undefined;
    const signature = String.fromCharCode(...memory.subarray(address, address + 4));
    add(signature, address, length);
    return { signature, body: address + 36, end: address + length };
  };
  add('RSD PTR', rsdp, revision >= 2 ? 36 : 20);
  const roots: [address: number, size: 4 | 8][] = [[view.getUint32(rsdp + 16, true), 4]];
  if (revision >= 2) roots.push([Number(view.getBigUint64(rsdp + 24, true)), 8]);
  for (const [address, size] of roots) {
    const root = table(address);
    if (!root) continue;
    for (let at = root.body; at + size <= root.end; at += size) {
      const next = table(size === 4 ? view.getUint32(at, true) : Number(view.getBigUint64(at, true)));
      if (next?.signature !== 'FACP') continue;
      table(view.getUint32(next.body, true));
      table(view.getUint32(next.body + 4, true));
    }
  }
  return found;
}

/** Offsets and sizes of pointers and checksums. */
function addressFields(signature: string, length: number): (readonly [number, number])[] {
  const checksum = [9, 1] as const;
  const entries = (size: number) =>
    Array.from({ length: (length - 36) / size }, (_, i) => [36 + i * size, size] as const);
  switch (signature) {
    case 'RSD PTR':
      return [
        [8, 1],
        [16, 4],
        ...(length > 20
          ? ([
              [24, 8],
              [32, 1],
            ] as const)
          : []),
      ];
    case 'RSDT':
      return [checksum, ...entries(4)];
    case 'XSDT':
      return [checksum, ...entries(8)];
    case 'FACP':
      return [
        checksum,
        [36, 4],
        [40, 4],
        ...(length >= 148
          ? ([
              [132, 8],
              [140, 8],
            ] as const)
          : []),
      ];
    default:
      return [];
  }
}

function findRsdp(memory: Uint8Array): number | undefined {
  for (const [start, end] of SEARCH) {
    for (let at = start; at < end; at += 16) {
      if (String.fromCharCode(...memory.subarray(at, at + 8)) !== 'RSD PTR ') continue;
      if (memory.subarray(at, at + 20).reduce((sum, byte) => (sum + byte) & 0xff, 0) === 0) return at;
    }
  }
  return undefined;
}
