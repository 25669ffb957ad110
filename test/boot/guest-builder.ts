// Small guest files made field by field, to be right or wrong on purpose: ELF executables and bzImages.

export interface ElfPlan {
  bits?: 32 | 64;
  machine?: number;
  /** PT_LOAD segments, each with its bytes. */
  loads?: { physical: number; virtual?: bigint; data: Uint8Array; memorySize?: number }[];
  notes?: { name: string; type: number; description: Uint8Array }[];
  symbols?: { name: string; address: bigint; size?: number }[];
}

/** An ELF file: header, program headers, segments, notes, then a symbol table if there are symbols. */
export function elfFile(plan: ElfPlan): Uint8Array<ArrayBuffer> {
  const bits = plan.bits ?? 64;
  const w = bits / 8;
  const loads = plan.loads ?? [];
  const notes = Buffer.concat((plan.notes ?? []).map(noteBytes));
  const programCount = loads.length + (plan.notes ? 1 : 0);
  const [headerSize, programSize, sectionSize] = bits === 64 ? [64, 56, 64] : [52, 32, 40];
  let end = headerSize + programCount * programSize;
  const parts: { offset: number; data: Uint8Array }[] = [];
  const place = (data: Uint8Array) => {
    const offset = Math.ceil(end / 16) * 16;
    parts.push({ offset, data });
    end = offset + data.length;
    return offset;
  };
  const writer = (length: number) => {
    const data = Buffer.alloc(length);
    let at = 0;
    return {
      data,
      u16: (value: number) => (at = data.writeUInt16LE(value, at)),
      u32: (value: number) => (at = data.writeUInt32LE(value, at)),
      word: (value: number | bigint) =>
        (at = bits === 64 ? data.writeBigUInt64LE(BigInt(value), at) : data.writeUInt32LE(Number(value), at)),
      bytes: (...values: number[]) => {
        for (const value of values) at = data.writeUInt8(value, at);
      },
    };
  };
  const programs = loads.map((load) => ({ type: 1, offset: place(load.data), align: 4096, ...load }));
  const all = plan.notes
    ? [...programs, { type: 4, offset: place(notes), align: 4, physical: 0, virtual: 0n, data: notes, memorySize: 0 }]
    : programs;
  const table = writer(programCount * programSize);
  for (const program of all) {
    table.u32(program.type);
    if (bits === 64) table.u32(5);
    table.word(program.offset);
    table.word(program.virtual ?? BigInt(program.physical));
    table.word(program.physical);
    table.word(program.data.length);
    table.word(program.memorySize ?? program.data.length);
    if (bits === 32) table.u32(5);
    table.word(program.align);
  }
  parts.push({ offset: headerSize, data: table.data });

  let sectionOffset = 0;
  let sectionCount = 0;
  if (plan.symbols) {
    const names = Buffer.from(`\0${plan.symbols.map(({ name }) => `${name}\0`).join('')}`);
    const symbols = writer((plan.symbols.length + 1) * (bits === 64 ? 24 : 16));
    symbols.word(0);
    symbols.word(0);
    symbols.word(0);
    if (bits === 32) symbols.u32(0);
    let name = 1;
    for (const symbol of plan.symbols) {
      symbols.u32(name);
      if (bits === 32) symbols.word(symbol.address);
      if (bits === 32) symbols.u32(symbol.size ?? 0);
      symbols.bytes(0x12, 0);
      symbols.u16(3);
      if (bits === 64) symbols.word(symbol.address);
      if (bits === 64) symbols.word(symbol.size ?? 0);
      name += symbol.name.length + 1;
    }
    const symbolOffset = place(symbols.data);
    const nameOffset = place(names);
    const sections = writer(4 * sectionSize);
    const section = (type: number, offset: number, size: number, link: number, entrySize: number, flags = 0) => {
      sections.u32(0);
      sections.u32(type);
      sections.word(flags);
      sections.word(0);
      sections.word(offset);
      sections.word(size);
      sections.u32(link);
      sections.u32(0);
      sections.word(1);
      sections.word(entrySize);
    };
    section(0, 0, 0, 0, 0);
    section(2, symbolOffset, symbols.data.length, 2, bits === 64 ? 24 : 16);
    section(3, nameOffset, names.length, 0, 0);
    // Where the symbols are: code.
    section(1, 0, 0, 0, 0, 4);
    sectionOffset = place(sections.data);
    sectionCount = 4;
  }

  const header = writer(headerSize);
  header.bytes(0x7f, 0x45, 0x4c, 0x46, bits === 64 ? 2 : 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  header.u16(2);
  header.u16(plan.machine ?? (bits === 64 ? 62 : 3));
  header.u32(1);
  header.word(loads[0]?.physical ?? 0);
  header.word(headerSize);
  header.word(sectionOffset);
  header.u32(0);
  for (const value of [headerSize, programSize, programCount, sectionSize, sectionCount, 0]) header.u16(value);
  const file = new Uint8Array(end);
  for (const { offset, data } of [...parts, { offset: 0, data: header.data }]) file.set(data, offset);
  if (header.data.length !== headerSize || w * 8 !== bits) throw new Error('the plan does not add up');
  return file;
}

function noteBytes({ name, type, description }: { name: string; type: number; description: Uint8Array }): Uint8Array {
  const pad = (data: Uint8Array) => Buffer.concat([data, Buffer.alloc((4 - (data.length % 4)) % 4)]);
  const head = Buffer.alloc(12);
  head.writeUInt32LE(name.length + 1, 0);
  head.writeUInt32LE(description.length, 4);
  head.writeUInt32LE(type, 8);
  return Buffer.concat([head, pad(Buffer.from(`${name}\0`)), pad(description)]);
}

/** The note that makes a file a PVH kernel. */
export function pvhEntryNote(entry: number, bytes: 4 | 8 = 4) {
  const description = Buffer.alloc(bytes);
  description.writeUInt32LE(entry, 0);
  return { name: 'Xen', type: 18, description };
}

/** A PVH kernel of one segment at 1 MiB. */
export function pvhKernel(code: Uint8Array = Uint8Array.of(0xf4), memorySize = code.length): Uint8Array<ArrayBuffer> {
  return elfFile({ loads: [{ physical: 0x10_0000, data: code, memorySize }], notes: [pvhEntryNote(0x10_0000)] });
}

export interface BzImagePlan {
  kernel?: Uint8Array;
  payload?: Uint8Array;
  xloadFlags?: number;
  initSize?: number;
  preferredAddress?: number;
  cmdlineSize?: number;
  initrdAddressMax?: number;
  relocatable?: boolean;
}

/** A bzImage of protocol 2.15 with a setup part of 5 sectors; the payload follows 1 KiB of kernel code. */
export function bzImage(plan: BzImagePlan = {}): Uint8Array<ArrayBuffer> {
  const code = plan.kernel ?? new Uint8Array(1024).fill(0x90);
  const payload = plan.payload ?? new Uint8Array(0);
  const setup = Buffer.alloc(5 * 512);
  const kernelSize = code.length + payload.length;
  setup.writeUInt8(4, 0x1f1);
  setup.writeUInt32LE(Math.ceil(kernelSize / 16), 0x1f4);
  setup.writeUInt16LE(0xaa55, 0x1fe);
  setup.writeUInt16LE(0x6aeb, 0x200);
  setup.write('HdrS', 0x202);
  setup.writeUInt16LE(0x20f, 0x206);
  setup.writeUInt16LE(0x300 - 0x200, 0x20e);
  setup.write('9.9.9-test\0', 0x300);
  setup.writeUInt8(1, 0x211);
  setup.writeUInt32LE(0x10_0000, 0x214);
  setup.writeUInt32LE(plan.initrdAddressMax ?? 0x7fff_ffff, 0x22c);
  setup.writeUInt32LE(0x20_0000, 0x230);
  setup.writeUInt8(plan.relocatable === false ? 0 : 1, 0x234);
  setup.writeUInt16LE(plan.xloadFlags ?? 0x7f, 0x236);
  setup.writeUInt32LE(plan.cmdlineSize ?? 2047, 0x238);
  setup.writeUInt32LE(code.length, 0x248);
  setup.writeUInt32LE(payload.length, 0x24c);
  setup.writeBigUInt64LE(BigInt(plan.preferredAddress ?? 0x100_0000), 0x258);
  setup.writeUInt32LE(plan.initSize ?? 0x20_0000, 0x260);
  return new Uint8Array([...setup, ...code, ...payload]);
}
