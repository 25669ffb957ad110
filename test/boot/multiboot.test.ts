// Both versions of Multiboot as loaded by the program, field by field as the specifications number them; kernels that
// must be refused; files with any damage. That real guests boot is the corpus's business.

import test from 'ava';
import fc from 'fast-check';
import { ImageError } from '../../src/boot/boot-error.js';
import { detectRoutes } from '../../src/boot/detect.js';
import type { BootImage } from '../../src/boot/image.js';
import { type BootRequest, buildBoot } from '../../src/boot/loader.js';
import { firmwareE820 } from '../../src/platform/e820.js';
import { elfWith, flatWith, header1, header2, type Tag } from './multiboot-builder.js';
import { processorTime } from './processor-time.js';

const MIB = 1 << 20;
const memoryMap = firmwareE820(64 * MIB);
const initrd = { name: 'dir/initrd.cpio', bytes: new Uint8Array(5000).fill(7) };
const modules = [{ name: 'dir/m', bytes: Uint8Array.of(1, 2, 3), cmdline: 'module words' }];

type Route = 'multiboot' | 'multiboot2';
const build = (route: Route, bytes: Uint8Array, more: Partial<BootRequest> = {}): BootImage =>
  buildBoot({ route, kernel: { name: 'dir/k', bytes }, memoryMap, ...more });

/** Guest memory as the image leaves it, from an address to the end of what holds it. */
function at(image: BootImage, address: number): DataView {
  const segment = image.segments.find((one) => address >= one.address && address < one.address + one.data.length);
  if (!segment) throw new Error(`nothing at 0x${address.toString(16)}`);
  const { data } = segment;
  const offset = address - segment.address;
  return new DataView(data.buffer, data.byteOffset + offset, data.length - offset);
}

function text(image: BootImage, address: number): string {
  const view = at(image, address);
  const bytes = Buffer.from(view.buffer, view.byteOffset, view.byteLength);
  return bytes.subarray(0, bytes.indexOf(0)).toString();
}

/** The tags of a Multiboot2 information structure by type, each from its beginning. */
function tags(image: BootImage): Map<number, DataView[]> {
  const base = Number(image.entry.registers.rbx);
  const info = at(image, base);
  const found = new Map<number, DataView[]>();
  for (let offset = 8; offset < info.getUint32(0, true); ) {
    const [type, size] = [info.getUint32(offset, true), info.getUint32(offset + 4, true)];
    found.set(type, [...(found.get(type) ?? []), at(image, base + offset)]);
    offset += Math.ceil(size / 8) * 8;
  }
  return found;
}

for (const [route, magic, header] of [
  ['multiboot', 0x2bad_b002n, header1(3)],
  ['multiboot2', 0x36d7_6289n, header2([])],
] as const) {
  test(`${route} enters flat protected mode with the magic in EAX and interrupts off`, (t) => {
    const { entry } = build(route, elfWith(header));
    t.is(entry.registers.rax, magic);
    t.is(entry.rip, 0x20_0000n);
    t.is(entry.cr0 & 0x8000_0001, 1);
    t.is(entry.rflags & 0x2_0200, 0);
    t.like(entry.segments.cs, { base: 0n, limit: 0xffff_ffff, attributes: 0xc09b });
    for (const name of ['ds', 'es', 'fs', 'gs', 'ss'] as const)
      t.like(entry.segments[name], { base: 0n, limit: 0xffff_ffff, attributes: 0xc093 });
    t.is(entry.registers.rbx % 8n, 0n);
  });

  test(`${route} takes an ELF64 file, and a linked entry becomes the physical one`, (t) => {
    const plan = { bits: 64 as const };
    t.is(build(route, elfWith(header, plan)).entry.rip, 0x20_0000n);
    const data = new Uint8Array(4096);
    data.set(header);
    const high = elfWith(header, { ...plan, loads: [{ physical: 0x20_0000, virtual: 0x1f_f800n, data }] });
    t.is(build(route, high).entry.rip, 0x20_0800n);
  });
}

test('multiboot hands over memory, command line, modules, sections, memory map and its name', (t) => {
  const image = build('multiboot', elfWith(header1(3)), { initrd, modules, append: 'a b' });
  const info = at(image, Number(image.entry.registers.rbx));
  const word = (offset: number) => info.getUint32(offset, true);
  t.is(word(0), 0x26d);
  t.is(word(4), 639);
  t.is(word(8), (64 * MIB - 128 * 1024 - MIB) / 1024);
  t.is(text(image, word(16)), 'k a b');
  t.is(word(20), 2);
  const list = at(image, word(24));
  const module = (i: number) => [0, 4, 8].map((n) => list.getUint32(16 * i + n, true)) as [number, number, number];
  const [first, second] = [module(0), module(1)];
  t.is(first[0] % 4096, 0);
  t.is(first[1] - first[0], 5000);
  t.is(text(image, first[2]), 'initrd.cpio');
  t.is(at(image, second[0]).getUint8(2), 3);
  t.is(text(image, second[2]), 'm module words');

  t.deepEqual([word(28), word(32), word(40)], [4, 40, 0]);
  const symbols = at(image, word(36) + 40);
  t.is(symbols.getUint32(4, true), 2, 'SHT_SYMTAB');
  const place = symbols.getUint32(12, true);
  t.true(place >= 0x20_0000 + 8192, 'behind the kernel');
  t.is(at(image, place + 16 + 4).getUint32(0, true), 0x20_0000, 'the value of the first symbol');

  t.is(word(44), 24 * memoryMap.length);
  memoryMap.forEach(({ address, length, type }, i) => {
    const range = at(image, word(48) + 24 * i);
    t.is(range.getUint32(0, true), 20);
    t.is(range.getBigUint64(4, true), BigInt(address));
    t.is(range.getBigUint64(12, true), BigInt(length));
    t.is(range.getUint32(20, true), type);
  });
  t.is(text(image, word(64)), 'vmreplay');
});

const screen = { address: 0xfd00_0000, size: 16 * MIB };
/** Address fields that nobody reads without flag 16, then mode type, width, height and depth. */
const video1 = (flags: number, ...mode: number[]) => elfWith(header1(flags, 0, 0, 0, 0, 0, ...mode));

test('multiboot gives a framebuffer only when it is asked for one and there is a screen', (t) => {
  const infoOf = (bytes: Uint8Array, more: Partial<BootRequest> = {}) => {
    const image = build('multiboot', bytes, more);
    return { image, info: at(image, Number(image.entry.registers.rbx)) };
  };
  for (const [bytes, more] of [
    [video1(3, 0, 800, 600, 32), { screen }],
    [video1(7, 0, 800, 600, 32), {}],
  ] as const) {
    const { image, info } = infoOf(bytes, more);
    t.is(info.getUint32(0, true) & 0x1000, 0);
    t.is(image.video, undefined);
  }
  const text = infoOf(video1(7, 1, 80, 25, 0), { screen });
  t.is(text.image.video, undefined, 'the mode that it starts in');
  t.is(text.info.getBigUint64(88, true), 0xb_8000n);
  t.deepEqual(
    [96, 100, 104].map((offset) => text.info.getUint32(offset, true)),
    [160, 80, 25],
  );
  t.deepEqual([text.info.getUint8(108), text.info.getUint8(109)], [16, 2]);
  const { image, info } = infoOf(video1(7, 0, 800, 600, 16), { screen });
  t.is(info.getUint32(0, true) & 0x1000, 0x1000);
  t.is(info.getBigUint64(88, true), 0xfd00_0000n);
  t.deepEqual(
    [96, 100, 104].map((offset) => info.getUint32(offset, true)),
    [1600, 800, 600],
  );
  t.deepEqual(
    [108, 109, 110, 111, 112, 113, 114, 115].map((offset) => info.getUint8(offset)),
    [16, 1, 11, 5, 5, 6, 0, 5],
  );
  t.like(image.video, { width: 800, height: 600, depth: 16 });
});

test('multiboot2 gives the framebuffer that its tag asks for, or the usual one', (t) => {
  const mode = (...words: number[]) => {
    const image = build('multiboot2', elfWith(header2([{ type: 5, words }])), { screen });
    const tag = tags(image).get(8)![0]!;
    t.is(tag.getUint32(4, true), 38);
    t.is(tag.getBigUint64(8, true), 0xfd00_0000n);
    t.is(tag.getUint8(29), 1);
    return [...[16, 20, 24].map((offset) => tag.getUint32(offset, true)), tag.getUint8(28)];
  };
  t.deepEqual(mode(640, 480, 24), [1920, 640, 480, 24]);
  t.deepEqual(mode(0, 0, 0), [4096, 1024, 768, 32]);
  t.deepEqual(mode(0xffff_ffff, 0xffff_ffff, 32), [4096, 1024, 768, 32], 'too large');
  t.deepEqual(mode(801, 600, 8), [3200, 800, 600, 32], 'an odd width, a depth with a palette');
  for (const words of [[2], [3]]) {
    const image = build('multiboot2', elfWith(header2([{ type: 4, words }])), { screen });
    const tag = tags(image).get(8)![0]!;
    t.deepEqual([tag.getUint32(4, true), tag.getUint32(20, true), tag.getUint8(29)], [32, 80, 2], 'text');
    t.is(image.video, undefined);
  }
  const required = elfWith(header2([{ type: 4, words: [1] }]));
  t.notThrows(() => build('multiboot2', required, { screen }));
});

test('multiboot loads a file by the addresses of its header', (t) => {
  // The header at 0x40 of the file is at 0x300040: loaded from the file's byte 0 to 0x300000, 0x80 bytes, bss to 0x400.
  const header = header1(0x1_0003, 0x30_0040, 0x30_0000, 0x30_0080, 0x30_0400, 0x30_0048);
  const image = build('multiboot', flatWith(header, 4096, 0x40));
  const kernel = image.segments.find(({ role }) => role === 'kernel')!;
  t.like(kernel, { address: 0x30_0000, zeros: 0x380 });
  t.is(kernel.data.length, 0x80);
  t.is(image.entry.rip, 0x30_0048n);
  const whole = header1(0x1_0003, 0x30_0040, 0x30_0020, 0, 0, 0x30_0048);
  const rest = build('multiboot', flatWith(whole, 4096, 0x40)).segments.find(({ role }) => role === 'kernel')!;
  t.is(rest.data.length, 4096 - 0x20);
});

test('multiboot2 hands over a tag for everything there is', (t) => {
  const rsdpTable = new Uint8Array(36).fill(1);
  rsdpTable[15] = 0;
  const image = build('multiboot2', elfWith(header2([])), { initrd, modules, append: 'a b', rsdpTable });
  const found = tags(image);
  t.deepEqual([...found.keys()], [1, 2, 3, 4, 6, 9, 14, 0]);
  const tag = (type: number, n = 0) => found.get(type)![n]!;
  const string = (view: DataView, offset: number) => {
    const bytes = Buffer.from(view.buffer, view.byteOffset + offset, view.byteLength - offset);
    return bytes.subarray(0, bytes.indexOf(0)).toString();
  };
  t.is(string(tag(1), 8), 'k a b');
  t.is(string(tag(2), 8), 'vmreplay');
  t.is(tag(3).getUint32(12, true) - tag(3).getUint32(8, true), 5000);
  t.is(string(tag(3, 1), 16), 'm module words');
  t.deepEqual([tag(4).getUint32(8, true), tag(4).getUint32(12, true)], [639, (64 * MIB - 128 * 1024 - MIB) / 1024]);
  t.is(tag(6).getUint32(4, true), 16 + 24 * memoryMap.length);
  t.deepEqual([tag(6).getUint32(8, true), tag(6).getUint32(12, true)], [24, 0]);
  t.is(tag(6).getBigUint64(16 + 24, true), BigInt(memoryMap[1]!.address));
  t.deepEqual(
    [8, 12, 16].map((n) => tag(9).getUint32(n, true)),
    [4, 40, 0],
  );
  t.is(tag(14).getUint32(4, true), 28);
  t.is(tag(0).getUint32(4, true), 8);
  rsdpTable[15] = 2;
  const later = tags(build('multiboot2', elfWith(header2([])), { rsdpTable }));
  t.is(later.get(15)![0]!.getUint32(4, true), 44);
});

test('multiboot2 takes address and entry tags, and lets EFI tags and unknown optional ones be', (t) => {
  const header = header2([
    { type: 2, words: [0x30_0040, 0x30_0000, 0x30_0200, 0x30_0400] },
    { type: 3, words: [0x30_0100] },
    { type: 7 },
    { type: 8, words: [1] },
    { type: 9, words: [1] },
    { type: 99, optional: true },
    { type: 1, optional: true, words: [77] },
    { type: 1, words: [1, 5, 7, 21] },
  ]);
  const image = build('multiboot2', flatWith(header, 4096, 0x40));
  t.is(image.entry.rip, 0x30_0100n);
  t.like(image.segments[0], { address: 0x30_0000, zeros: 0x200 });
});

test('multiboot2 moves a kernel that can be moved, and says where to', (t) => {
  const base = (tag: Tag) => {
    const image = build('multiboot2', elfWith(header2([tag])));
    const told = tags(image).get(21)![0]!.getUint32(8, true);
    t.is(image.entry.rip, BigInt(told));
    t.is(image.segments[0]!.address, told);
    return told;
  };
  const relocatable = (low: number, high: number, align: number, preference: number) => ({
    type: 10,
    words: [low, high, align, preference],
  });
  t.is(base(relocatable(0x10_0000, 0x100_0000, 0x1000, 0)), 0x20_0000, 'where it is linked');
  t.is(base(relocatable(0x30_0000, 0x100_0000, 0x10_0000, 1)), 0x30_0000);
  t.is(base(relocatable(0x30_0001, 0x100_0000, 0x10_0000, 0)), 0x40_0000);
  t.is(base(relocatable(0x30_0000, 0x00ff_ffff, 0x10_0000, 2)), 0xf0_0000);
});

const refused: [string, Route, Uint8Array, RegExp][] = [
  ['a file without a header', 'multiboot', elfWith(new Uint8Array(16)), /no multiboot header in the first 8192/],
  ['a file without a header', 'multiboot2', elfWith(new Uint8Array(16)), /no multiboot2 header in the first 32768/],
  ['an unknown requirement', 'multiboot', elfWith(header1(0x0103)), /requires 0x100, which no loader knows/],
  ['a flat file without addresses', 'multiboot', flatWith(header1(3), 4096, 0), /gives no addresses, .* no ELF file/],
  [
    'a load address above the header',
    'multiboot',
    flatWith(header1(0x1_0000, 0x20_0000, 0x20_0004, 0, 0, 0x20_0000), 4096, 0),
    /header_addr 0x200000 and load_addr 0x200004/,
  ],
  [
    'an end before the beginning',
    'multiboot',
    flatWith(header1(0x1_0000, 0x20_0000, 0x20_0000, 0x1f_0000, 0, 0x20_0000), 4096, 0),
    /load_end_addr 0x1f0000/,
  ],
  [
    'more than the file has',
    'multiboot',
    flatWith(header1(0x1_0000, 0x20_0000, 0x20_0000, 0x20_2000, 0, 0x20_0000), 4096, 0),
    /runs past the end of the file/,
  ],
  [
    'bss past the end of RAM',
    'multiboot',
    flatWith(header1(0x1_0000, 0x20_0000, 0x20_0000, 0, 0xf000_0000, 0x20_0000), 4096, 0),
    /which is not all RAM/,
  ],
  [
    'an entry outside',
    'multiboot',
    flatWith(header1(0x1_0000, 0x20_0000, 0x20_0000, 0, 0, 0x20_1000), 4096, 0),
    /entry 0x201000 lies in no loaded part/,
  ],
  ['another architecture', 'multiboot2', elfWith(header2([], 4)), /architecture 4, not i386/],
  ['an unknown tag', 'multiboot2', elfWith(header2([{ type: 99 }])), /is of type 99, which no loader knows/],
  [
    'a request for unknown information',
    'multiboot2',
    elfWith(header2([{ type: 1, words: [6, 22] }])),
    /requires information of type 22/,
  ],
  ['a tag of no size', 'multiboot2', elfWith(header2([{ type: 6, size: 0 }])), /claims 0 bytes/],
  ['a tag past the header', 'multiboot2', elfWith(header2([{ type: 6, size: 4096 }])), /claims 4096 bytes/],
  ['a tag that is too short', 'multiboot2', elfWith(header2([{ type: 2, words: [1] }])), /type 2 .* too short/],
  ['no end tag', 'multiboot2', elfWith(header2([{ type: 6 }], 0, false)), /have no end tag/],
  ['a screen that must be', 'multiboot2', elfWith(header2([{ type: 4, words: [1] }])), /requires a console/],
  [
    'addresses without an entry',
    'multiboot2',
    flatWith(header2([{ type: 2, words: [0x20_0000, 0x20_0000, 0, 0] }]), 4096, 0),
    /but no entry/,
  ],
  [
    'a range without room',
    'multiboot2',
    elfWith(header2([{ type: 10, words: [0x8000_0000, 0x9000_0000, 4096, 1] }])),
    /where there is no room/,
  ],
];
for (const [what, route, bytes, message] of refused) {
  test(`${route}: ${what} is refused in one sentence`, (t) => {
    const error = t.throws(() => build(route, bytes), { instanceOf: ImageError, message });
    t.regex(error.message, /^[^;]+; [^;]+$/);
  });
}

const originals: Record<Route, Uint8Array<ArrayBuffer>[]> = {
  multiboot: [
    elfWith(header1(3)),
    flatWith(header1(0x1_0003, 0x30_0040, 0x30_0000, 0x30_0080, 0x30_0400, 0x30_0048), 2048, 0x40),
  ],
  multiboot2: [
    elfWith(
      header2([
        { type: 10, words: [0x10_0000, 0x100_0000, 4096, 2] },
        { type: 1, words: [1, 2] },
      ]),
    ),
    flatWith(
      header2([
        { type: 2, words: [0x30_0040, 0x30_0000, 0x30_0200, 0x30_0400] },
        { type: 3, words: [0x30_0100] },
      ]),
      2048,
      0x40,
    ),
  ],
};
const extreme = fc.constantFrom(0, 1, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_fff0);
for (const route of ['multiboot', 'multiboot2'] as const) {
  originals[route].forEach((original, kind) => {
    const name = ['ELF', 'flat'][kind]!;
    test(`a damaged ${name} file by --boot ${route} is laid out inside RAM or refused, within 100 ms`, (t) => {
      const magic = route === 'multiboot' ? 0x1bad_b002 : 0xe852_50d6;
      const header = Array.from({ length: original.length / 4 }, (_, i) => 4 * i).find(
        (offset) => new DataView(original.buffer).getUint32(offset, true) === magic,
      )!;
      const sum = header + (route === 'multiboot' ? 8 : 12);
      const place = fc.oneof(
        fc.nat(original.length - 4),
        fc.nat(80).map((n) => header + n),
      );
      const change = fc.tuple(place, fc.constantFrom(1, 2, 4), fc.oneof(extreme, fc.nat(0xffff_ffff)));
      const changes = fc.array(change, { minLength: 1, maxLength: 6 });
      fc.assert(
        fc.property(changes, fc.option(fc.nat(original.length)), fc.boolean(), (list, cut, mend) => {
          const bytes = original.slice(0, cut ?? original.length);
          const view = new DataView(bytes.buffer);
          for (const [offset, size, value] of list) {
            if (offset + size > bytes.length) continue;
            if (size === 1) view.setUint8(offset, value & 0xff);
            else if (size === 2) view.setUint16(offset, value & 0xffff, true);
            else view.setUint32(offset, value, true);
          }
          // The checksum would else hide whatever the damage does to the header's fields.
          if (mend && sum + 4 <= bytes.length) {
            let total = 0;
            for (let offset = header; offset < sum; offset += 4) total += view.getUint32(offset, true);
            view.setUint32(sum, -total >>> 0, true);
          }
          return (
            processorTime(100, () => {
              try {
                detectRoutes(bytes);
                for (const one of build(route, bytes, { initrd, modules, screen }).segments)
                  t.true(one.address + one.data.length <= 64 * MIB - 128 * 1024);
              } catch (error) {
                if (!(error instanceof ImageError)) throw error;
                t.regex(error.message, /^[^;]+; [^;]+$/, 'one sentence with a mend');
              }
            }) <= 100
          );
        }),
        { numRuns: 500 },
      );
    });
  });
}
