// Our own readers of boot structures under the project's arbitraries: what is valid is understood, what is hostile is
// understood or refused with one sentence, and neither takes more than its share of time and memory.

import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { ImageError } from '../../src/boot/boot-error.js';
import { detectRoutes, whyNoKernel } from '../../src/boot/detect.js';
import { elfNotes, elfSymbols, parseElf } from '../../src/boot/elf.js';
import {
  type Contents,
  readBootParams,
  readMultiboot,
  readMultiboot2,
  readStartInfo,
} from '../../src/boot/handoff/structures.js';
import { segmentSize } from '../../src/boot/image.js';
import { buildBoot } from '../../src/boot/loader.js';
import { checkOptionRom } from '../../src/boot/option-rom.js';
import { pvhEntry } from '../../src/boot/pvh.js';
import * as fuzz from '../../src/fuzz/index.js';
import type { Structure, StructureKind } from '../../src/fuzz/structure.js';
import { firmwareE820 } from '../../src/platform/e820.js';
import { processorTime } from '../boot/processor-time.js';

const MIB = 1 << 20;
const RUNS = 400;
/** Milliseconds of processor time for one structure: hundreds of times what one takes. */
const TIME = 250;
/** Bytes that reading one structure may leave behind: what a lying count or size would allocate is far above. */
const MEMORY = 64 * MIB;

/** Check every structure of an arbitrary, within the bounds. */
function every<T>(t: ExecutionContext, arbitrary: fc.Arbitrary<T>, body: (one: T) => void): void {
  fc.assert(
    fc.property(arbitrary, (one) => {
      const memory = process.memoryUsage().arrayBuffers;
      const time = processorTime(TIME, () => body(one));
      if (time > TIME) throw new Error(`took ${time} ms of processor time`);
      const more = process.memoryUsage().arrayBuffers - memory;
      if (more > MEMORY) throw new Error(`left ${more} bytes behind`);
    }),
    { numRuns: RUNS },
  );
  t.pass();
}

/** Refused with one sentence that names the file, or done. */
function doneOrRefused(body: () => void): 'done' | 'refused' {
  try {
    body();
    return 'done';
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    if (!/^k: [^\n]+[^\n.]$/.test(error.message)) throw new Error(`not one sentence: ${error.message}`);
    return 'refused';
  }
}

const memoryMap = firmwareE820(64 * MIB);
const kernel = (one: Structure<unknown>) => ({ name: 'k', bytes: one.encode() });

type Route = 'pvh' | 'linux32' | 'linux64' | 'linux16' | 'multiboot' | 'multiboot2';
const files: readonly [kind: StructureKind<unknown>, routes: readonly Route[]][] = [
  [fuzz.elf(), ['pvh']],
  [fuzz.bzImage(), ['linux32', 'linux16']],
  [fuzz.multibootFile(), ['multiboot']],
  [fuzz.multiboot2File(), ['multiboot2']],
] as [StructureKind<unknown>, Route[]][];

for (const [kind, routes] of files) {
  for (const route of routes) {
    test(`a valid ${kind.name} file boots by --boot ${route}`, (t) => {
      every(t, fuzz.valid(kind), (one) => {
        const { bytes } = kernel(one);
        if (!detectRoutes(bytes).includes(route)) throw new Error(`${route} is not offered`);
        const image = buildBoot({ route, kernel: kernel(one), memoryMap });
        if (!image.segments.some(({ role }) => role === 'kernel' || role === 'setup')) throw new Error('no kernel');
      });
    });

    test(`a hostile ${kind.name} file by --boot ${route} is laid out in RAM or refused with one sentence`, (t) => {
      every(t, fuzz.hostile(kind), (one) => {
        detectRoutes(one.encode());
        doneOrRefused(() => {
          const image = buildBoot({ route, kernel: kernel(one), memoryMap });
          for (const segment of image.segments) {
            if (segment.address + segmentSize(segment) > 64 * MIB) throw new Error(`${segment.role} is outside of RAM`);
          }
        });
      });
    });
  }

  test(`what a hostile ${kind.name} file is refused with is one sentence when no route is asked for`, (t) => {
    every(t, fuzz.hostile(kind), (one) => {
      const { message } = whyNoKernel('k', one.encode());
      if (!/^k: [^\n]+$/.test(message)) throw new Error(`not one sentence: ${message}`);
    });
  });
}

const refused: readonly [kind: StructureKind<unknown>, route: Route, breaks: readonly string[]][] = [
  [
    fuzz.elf(),
    'pvh',
    ['segment larger in the file than in memory', 'segment behind the end of the file', 'segment that wraps'].concat(
      'segments that overlap',
      'note that runs past its segment',
      'note name that runs past its segment',
    ),
  ],
  [fuzz.bzImage(), 'linux32', ['wrong magic', 'wrong boot flag', 'loaded low', 'alignment that is no power of two']],
  [fuzz.bzImage(), 'linux32', ['init_size that is too large', 'payload of any size']],
  [
    fuzz.multibootFile(),
    'multiboot',
    ['wrong check sum', 'header behind the first 8 KiB', 'header that is not aligned'],
  ],
  [fuzz.multibootFile(), 'multiboot', ['requirement that nobody knows', 'header address below the load address']],
  [fuzz.multiboot2File(), 'multiboot2', ['wrong check sum', 'another architecture', 'unknown tag', 'no end tag']],
  [fuzz.multiboot2File(), 'multiboot2', ['request of anything']],
] as [StructureKind<unknown>, Route, string[]][];

for (const [kind, route, breaks] of refused) {
  for (const name of breaks) {
    test(`a ${kind.name} file is refused by --boot ${route}: ${name}`, (t) => {
      every(t, fuzz.hostile(kind, { only: [name], most: 1 }), (one) => {
        const outcome = doneOrRefused(() => buildBoot({ route, kernel: kernel(one), memoryMap }));
        if (outcome === 'done') throw new Error('accepted');
      });
    });
  }
}

test('the parts of a valid ELF file are read as they were written', (t) => {
  every(t, fuzz.valid(fuzz.elf()), ({ value }) => {
    const file = parseElf('k', fuzz.elf().encode(value));
    t.is(file.bits, value.bits);
    t.is(pvhEntry(file), Number(value.entry));
    const loads = file.programs.filter(({ type }) => type === 1);
    t.deepEqual(
      loads.map(({ physicalAddress, fileSize, memorySize }) => [physicalAddress, fileSize, memorySize]),
      value.segments.map(({ address, data, zeros }) => [Number(address), data.length, data.length + zeros]),
    );
    t.deepEqual(
      elfNotes(file).map(({ name, type, description }) => [name, type, Buffer.from(description)]),
      [...value.notes.map(({ name, type, description }) => [name, type, Buffer.from(description)]), xenNote(value)],
    );
    t.deepEqual(elfSymbols(file), []);
  });
});

const xenNote = ({ bits, entry }: fuzz.ElfImage) => {
  const description = Buffer.alloc(bits / 8);
  description.writeUInt32LE(Number(entry));
  return ['Xen', 18, description];
};

/** Guest memory with one structure in it; outside, all ones. */
function memoryWith(bytes: Uint8Array, address: number) {
  let asked = 0;
  return (at: number, length: number): Uint8Array => {
    asked += length;
    if (asked > 16 * MIB) throw new Error('reads without end');
    const out = new Uint8Array(length).fill(0xff);
    for (let i = 0; i < length; i++) {
      const from = at + i - address;
      if (from >= 0 && from < bytes.length) out[i] = bytes[from]!;
    }
    return out;
  };
}

const AT = 0x1_0000;
type Reader = (read: (address: number, length: number) => Uint8Array, address: number) => Contents;
const readers: readonly [kind: StructureKind<unknown>, reader: Reader][] = [
  [fuzz.startInfo({ address: AT }), readStartInfo],
  [fuzz.bootParams({ address: AT }), readBootParams],
  [fuzz.multiboot({ address: AT }), readMultiboot],
  [fuzz.multiboot2(), readMultiboot2],
] as [StructureKind<unknown>, Reader][];

for (const [kind, reader] of readers) {
  test(`any ${kind.name} structure in memory is read within bounds`, (t) => {
    every(t, fuzz.hostile(kind), (one) => {
      const { structures, memoryMap } = reader(memoryWith(one.encode(), AT), AT);
      if (structures.length > 200 || memoryMap.length > 128 * 64) throw new Error('more than there can be');
      for (const { fields } of structures)
        for (const [name, value] of fields) if (value === undefined) throw new Error(`${name} has no value`);
    });
  });
}

test('the memory map of a valid structure is read as it was written, by each protocol', (t) => {
  every(t, fuzz.valid(fuzz.startInfo({ address: AT })), (one) => {
    const read = readStartInfo(memoryWith(one.encode(), AT), AT);
    t.deepEqual(read.memoryMap, one.value.memoryMap);
    const lines = read.structures.filter(({ name }) => name === 'cmdline').map(({ fields }) => fields[0]![1]);
    t.deepEqual(lines, one.value.commandLine === undefined ? [] : [one.value.commandLine]);
    t.is(read.structures.filter(({ name }) => /^module \d+$/.test(name)).length, one.value.modules.length);
  });
  every(t, fuzz.valid(fuzz.bootParams({ address: AT })), (one) => {
    t.deepEqual(readBootParams(memoryWith(one.encode(), AT), AT).memoryMap, one.value.memoryMap);
  });
  every(t, fuzz.valid(fuzz.multiboot({ address: AT })), (one) => {
    t.deepEqual(readMultiboot(memoryWith(one.encode(), AT), AT).memoryMap, one.value.memoryMap);
  });
  every(t, fuzz.valid(fuzz.multiboot2()), (one) => {
    const map = one.value.tags.find(({ kind }) => kind === 'memory map') as { entries: fuzz.MapEntry[] };
    t.deepEqual(readMultiboot2(memoryWith(one.encode(), AT), AT).memoryMap, map.entries);
  });
});

test('nothing is said of a valid option ROM but that it offers nothing to boot from', (t) => {
  every(t, fuzz.valid(fuzz.optionRom()), (one) => {
    const said = checkOptionRom(one.encode()).filter(
      ({ text }) => !/^no PnP header \(\$PnP\): the ROM is run/.test(text),
    );
    t.deepEqual(said, []);
  });
});

test('something is said of an option ROM that is broken where a BIOS looks', (t) => {
  const only = ['wrong check sum', 'length of nothing', 'wrong magic', 'entry that jumps to itself'].concat(
    'no code at the entry',
    'PnP chain that comes back',
    'wrong check sum of a PnP header',
    'PnP header of another name',
    'boot vector outside',
  );
  for (const name of only) {
    every(t, fuzz.hostile(fuzz.optionRom(), { only: [name], most: 1 }), (one) => {
      if (checkOptionRom(one.encode()).length === 0) throw new Error('nothing is said');
    });
  }
});

test('any option ROM gives a finite list whose offsets lie in the file', (t) => {
  every(t, fuzz.hostile(fuzz.optionRom()), (one) => {
    const bytes = one.encode();
    for (const { offset } of checkOptionRom(bytes))
      if (offset < 0 || offset > bytes.length) throw new Error(`offset ${offset} of ${bytes.length}`);
  });
});
