// Guests made from files and options that anybody may give: what comes out is a guest, or a sentence.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { type Guest, makeGuest, NO_SEAMS } from '../../src/api/guest.js';
import type { BootOptions } from '../../src/api/options.js';
import { UserError } from '../../src/api/user-error.js';
import { ImageError } from '../../src/boot/boot-error.js';
import { PAGE_PARTIAL } from '../../src/cpu/physical.js';
import type { TraceHeader } from '../../src/trace/header.js';
import { bzImage, pvhKernel } from '../boot/guest-builder.js';
import { VECTORS } from '../boot/unpack/vectors.js';

const directory = mkdtempSync(join(tmpdir(), 'vmreplay-guest-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));
const put = (name: string, bytes: Uint8Array): string => {
  writeFileSync(join(directory, name), bytes);
  return join(directory, name);
};

const MIB = 1 << 20;
const kernel = put('kernel', pvhKernel());
const initrd = put(
  'initrd',
  Uint8Array.from({ length: 5000 }, (_, i) => i),
);
const first = put('first', Uint8Array.of(1, 2, 3));
const second = put('second', Uint8Array.of(4, 5));

/** The sentence with which a boot is refused. */
function refusal(options: BootOptions): string | undefined {
  try {
    makeGuest({ memory: 4 * MIB, ...options });
    return undefined;
  } catch (error) {
    if (!(error instanceof UserError || error instanceof ImageError)) throw error;
    return error.message.replaceAll(`${directory}/`, '');
  }
}

test('the header says where an initrd and modules lie', (t) => {
  const { header, boot } = makeGuest({ kernel, initrd, modules: [{ path: first }, { path: second }], memory: 4 * MIB });
  const place = (role: string, nth = 0) => boot.segments.filter((one) => one.role === role)[nth]!.address;
  t.deepEqual(
    header.images.map(({ role, address }) => [role, address]),
    [
      ['kernel', undefined],
      ['initrd', place('initrd')],
      ['module', place('module')],
      ['module', place('module', 1)],
    ],
  );
});

const loadedOf = ({ header }: { header: TraceHeader }) =>
  (header.entry as { loaded: readonly [number, number][] }).loaded;

test('pages of zeros that a loader left are not looked after, unless a trace says so', (t) => {
  const blank = put('blank', new Uint8Array(0x3000).fill(1, 0, 1));
  const options = { kernel, initrd: blank, memory: 4 * MIB };
  const guest = makeGuest(options);
  const { address } = guest.boot.segments.find(({ role }) => role === 'initrd')!;
  const isPartial = ({ cpu }: Guest, page: number) => (cpu.physical.flags[address / 4096 + page]! & PAGE_PARTIAL) !== 0;
  t.deepEqual(
    loadedOf(guest).filter(([at]) => at >= address && at < address + 0x3000),
    [[address, 4096]],
  );
  t.deepEqual([isPartial(guest, 0), isPartial(guest, 1)], [true, false]);
  const loaded = [[address + 4096, 100] as const];
  const as = makeGuest(options, { ...NO_SEAMS, tracking: { loaded, words: 8 } });
  t.deepEqual(loadedOf(as), loaded);
  t.deepEqual([isPartial(as, 0), isPartial(as, 1)], [false, true]);
});

mkdirSync(join(directory, 'folder'));
const refused: [title: string, options: BootOptions, said: RegExp][] = [
  ['a kernel that is a directory', { kernel: join(directory, 'folder') }, /^folder: this is a directory; give a file/],
  ['a kernel that is a device', { kernel: '/dev/zero' }, /^\/dev\/zero: this is no regular file; give a file/],
  ['a kernel that is not there', { kernel: join(directory, 'none') }, /^none: there is no such file; check --kernel/],
  ['an empty kernel', { kernel: put('empty', new Uint8Array()) }, /^empty: the file is empty; /],
  [
    'a kernel that is none',
    { kernel: put('text', Buffer.from('#!/bin/sh\n')) },
    /^text: there is no ELF magic at offset 0, .* offset 0x202 .*; give an ELF kernel or a bzImage$/,
  ],
  [
    'a truncated ELF file',
    { kernel: put('short', pvhKernel().subarray(0, 60)) },
    /^short: the ELF header at offset 0x0 \(64 bytes\) runs past the end of the file \(60 bytes\); .* again$/,
  ],
  [
    'a truncated bzImage',
    { kernel: put('short.bz', bzImage().subarray(0, 600)) },
    /^short.bz: the setup code claims 2560 bytes \(offset 0x1f1\), the file has 600; /,
  ],
  [
    'an initrd larger than memory',
    { kernel, initrd: put('large', new Uint8Array(5 * MIB)) },
    /^large: .* --memory, or a smaller file$/,
  ],
  ['a time that is none', { kernel, rtc: '2021-02-30' }, /^--rtc 2021-02-30: /],
  ['a negative seed', { kernel, seed: -1 }, /^--seed -1: a whole number/],
  ['half a cycle', { kernel, untilCycle: 0.5 }, /^--until-cycle 0.5: a whole number/],
  ['cycles without end', { kernel, maxCycles: Number.POSITIVE_INFINITY }, /^--max-cycles Infinity: a whole number/],
  ['typing before the start', { kernel, type: [{ text: 'x', cycle: -1 }] }, /^--type -1: a whole number/],
  ['memory of half a page', { kernel, memory: 4 * MIB + 2048 }, /^--memory 4196352B: guest RAM is 2M to 3G/],
  ['too much memory', { kernel, memory: 4096 * MIB }, /^--memory 4096M: guest RAM is 2M to 3G/],
  ['an unknown CPU', { kernel, cpu: 'i4004' }, /^--cpu i4004: there is no such CPU model; choose one of qemu64/],
  [
    'an fw_cfg item that the machine has',
    { kernel, fwCfg: [{ name: 'etc/e820', string: 'x' }] },
    /^--fw-cfg name=etc\/e820: .*; choose another name/,
  ],
];
for (const [title, options, said] of refused) {
  test(`${title} is refused in one sentence`, (t) => {
    t.regex(refusal(options) ?? 'accepted', said);
  });
}

const originals = {
  'PVH kernel': pvhKernel(Uint8Array.of(0xf4), 8192),
  bzImage: bzImage({ payload: Buffer.from(VECTORS.lz4, 'base64'), preferredAddress: 0x10_0000 }),
} as const;
const extreme = fc.constantFrom(0, 1, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_fff0);
for (const [origin, original] of Object.entries(originals)) {
  test(`a damaged ${origin} makes a guest or is refused with name and mend`, (t) => {
    t.timeout(120_000);
    const place = fc.oneof(fc.nat(Math.min(original.length, 0x280) - 4), fc.nat(original.length - 4));
    const change = fc.tuple(place, fc.constantFrom(1, 2, 4), fc.oneof(extreme, fc.nat(0xffff_ffff)));
    const route = fc.constantFrom<BootOptions['boot']>(undefined, 'pvh', 'linux64', 'linux32');
    const name = origin.replace(' ', '-');
    fc.assert(
      fc.property(fc.array(change, { maxLength: 5 }), fc.option(fc.nat(original.length)), route, (list, cut, boot) => {
        const bytes = original.slice(0, cut ?? original.length);
        const view = new DataView(bytes.buffer);
        for (const [at, size, value] of list) {
          if (at + size > bytes.length) continue;
          if (size === 1) view.setUint8(at, value & 0xff);
          else if (size === 2) view.setUint16(at, value & 0xffff, true);
          else view.setUint32(at, value, true);
        }
        const said = refusal({ kernel: put(name, bytes), initrd, ...(boot && { boot }) });
        if (said !== undefined) t.regex(said, /^(PVH-kernel|bzImage|initrd|--)[^;\n]*; [^;\n]+$/);
      }),
      { numRuns: 120 },
    );
  });
}
