// Rows for what else reads foreign bytes: configurations, baselines and reports of the gate, disks, fw_cfg descriptors,
// archives of packages, symbol files, values on the command line, kept files, the report's payload.

import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { InvalidArgumentError } from 'commander';
import * as values from '../../../bin/options/values.js';
import { inputOf } from '../../../src/api/recorder.js';
import { readSymbols } from '../../../src/api/symbol-files.js';
import { UserError } from '../../../src/api/user-error.js';
import { parseStanza } from '../../../src/fetch/apt.js';
import { readManifest } from '../../../src/fetch/cache.js';
import { FetchError } from '../../../src/fetch/fetch-error.js';
import { TarPicker } from '../../../src/fetch/tar.js';
import * as fuzz from '../../../src/fuzz/index.js';
import { readBaselineText } from '../../../src/gate/baseline-text.js';
import { loadConfig } from '../../../src/gate/config-file.js';
import { mergeReports } from '../../../src/gate/merge.js';
import { BlockImage } from '../../../src/platform/block/block-image.js';
import { guessGeometry } from '../../../src/platform/block/disk-geometry.js';
import { FwCfg } from '../../../src/platform/devices/fw-cfg.js';
import { itemView } from '../../../src/report/items.js';
import { joinPayload, splitPayload, type TraceHead } from '../../../src/report/payload.js';
import { readKept, writeKept } from '../../../src/start/kept-file.js';
import { CODEC_NONE } from '../../../src/trace/chunks.js';
import { packKept } from '../../../src/trace/kept-payloads.js';
import { unpackKept } from '../../../src/trace/kept-unpacked.js';
import type { UnpackJob } from '../../../src/trace/unpack-pool.js';
import { structures, symbolElf } from './boot-rows.js';
import { damaged } from './damage.js';
import { clause, type Parser, sentence } from './parser.js';

const MIB = 1 << 20;
const directory = mkdtempSync(join(tmpdir(), 'vmreplay-others-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
mkdirSync(join(directory, 'kept'));
const put = (name: string, bytes: Uint8Array): string => {
  writeFileSync(join(directory, name), bytes);
  return join(directory, name);
};
const utf8 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));

const CONFIG = JSON.stringify({
  boots: [
    {
      name: 'a',
      kernel: './k',
      memory: '64M',
      boot: 'pvh',
      fwCfg: [{ name: 'opt/x', string: 'y' }],
      hold: { serial: true },
    },
    { name: 'b', kernel: './k', routes: ['pvh', 'linux64'], hold: { events: true, handoff: true } },
  ],
});
const REPORT = JSON.stringify({
  format: 'vmreplay-gate-report 1',
  tool: 'vmreplay 0.1.0',
  config: 'vmreplay.config.json',
  shard: '1/1',
  boots: [
    {
      ...{
        name: 'a',
        outcome: 'passed',
        note: '',
        seconds: 1,
        counts: [],
        changedImages: [],
        baseline: null,
        trace: null,
      },
      findings: [{ kind: 'serial', summary: 's', lines: ['x'] }],
    },
  ],
  obsolete: [],
});

/** Large enough to be kept. */
const PAYLOAD = new Uint8Array(0x1_0000).fill(3);
const keptPath = (folder: string): string => join(directory, folder, readdirSync(join(directory, folder))[0]!);
/** As a trace has it. */
const PACKED: UnpackJob = {
  header: { type: 'MEMO', codec: CODEC_NONE, flags: 0, storedLength: PAYLOAD.length, rawLength: PAYLOAD.length },
  stored: PAYLOAD,
};

/** A ustar archive of two files. */
function tar(): Uint8Array {
  const member = (name: string, data: Uint8Array) => {
    const head = Buffer.alloc(512);
    head.write(name, 0);
    head.write('0000644\0', 100);
    head.write(`${data.length.toString(8).padStart(11, '0')}\0`, 124);
    head.write('        0', 148);
    head.write('ustar\x0000', 257);
    const sum = head.reduce((total, byte) => total + byte, 0);
    head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return Buffer.concat([head, data, Buffer.alloc(-data.length & 511)]);
  };
  const parts = [
    member('./boot/vmlinuz', Buffer.alloc(700, 1)),
    member('./usr/x', Buffer.alloc(3)),
    Buffer.alloc(1024),
  ];
  return Uint8Array.from(Buffer.concat(parts));
}

const READERS: readonly ((text: string) => unknown)[] = [
  values.parseSize,
  values.parseCount,
  values.parsePositive,
  values.parseText,
  values.parseTime,
  values.parseMachine,
  ...[
    values.collectModule,
    values.collectDrive,
    values.collectFwCfg,
    values.collectTyping,
    values.collectScreenshots,
  ].map((collect) => (text: string) => collect(text)),
  ...[values.collectNames, values.collectAddresses, values.collectDevices].map(
    (collect) => (text: string) => collect(text),
  ),
];
const WORDS = [
  '64M',
  '0x1000',
  '2020-01-01T00:00:00Z',
  'microvm,acpi=off',
  'file,a b',
  'disk,if=ide',
  'virtio-rng',
].concat('name=opt/x,string=S', 'name=opt/y,file=F', 'root\\n\\x41@90000000', 'shot.png@100', 'a, b');

export const otherRows: readonly Parser[] = [
  {
    name: 'a configuration of the gate',
    covers: ['config-file', 'config-schema', 'json-place', 'config', 'plan'].map((name) => `src/gate/${name}.ts`),
    inputs: () => damaged([utf8(CONFIG), utf8('{"boots": []}')]),
    parse: (bytes) => {
      put('vmreplay.config.json', bytes);
      return loadConfig(directory);
    },
    refusal: sentence(UserError, 'vmreplay.config.json'),
    runs: 500,
  },
  {
    name: 'a report of the gate that is merged',
    covers: ['src/gate/merge.ts', 'src/gate/report.ts'],
    inputs: () => damaged([utf8(REPORT)]),
    parse: (bytes) => mergeReports([put('report.json', bytes)]),
    refusal: sentence(UserError, join(directory, 'report.json')),
    runs: 500,
  },
  {
    name: 'a baseline of the gate',
    covers: ['src/gate/baseline-text.ts', 'src/gate/baselines.ts'],
    inputs: () => damaged([utf8(`vmreplay baseline 1\nboot       a\n\nsum        ${'0'.repeat(64)}\n`)]),
    parse: (bytes) => readBaselineText(Buffer.from(bytes).toString()),
    refusal: clause(),
  },
  {
    name: 'the first sector of a disk',
    covers: ['src/platform/block/block-image.ts', 'src/platform/block/disk-geometry.ts'],
    inputs: () => damaged([...structures(fuzz.partitionTable({ sectors: 4096 })), new Uint8Array(700)]),
    parse: (bytes) => {
      const source = { size: bytes.length, read: (at: number, length: number) => bytes.slice(at, at + length) };
      const disk = new BlockImage(source);
      const { cylinders, heads, sectors } = guessGeometry(disk);
      if (!(cylinders >= 1 && cylinders <= 16383 && heads >= 1 && heads <= 16 && sectors >= 1 && sectors <= 63))
        throw new Error(`geometry ${cylinders}/${heads}/${sectors}`);
      if (disk.sectors > 0) disk.read(disk.sectors - 1, 1);
    },
  },
  {
    name: 'a descriptor of fw_cfg’s DMA',
    covers: ['src/platform/devices/fw-cfg.ts'],
    inputs: () => damaged([...structures(fuzz.fwCfgTransfer()), ...structures(fuzz.fwCfgDirectory(), 8)]),
    parse: (bytes) => {
      const ram = new Uint8Array(1 * MIB);
      ram.set(bytes.subarray(0, ram.length - 0x1000), 0x1000);
      let moved = 0;
      const check = (address: number, length: number) => {
        moved += length;
        if (!(address >= 0 && address + length <= ram.length)) throw new Error(`transfer at ${address}+${length}`);
        if (moved > 64 * MIB) throw new Error('transfers without end');
      };
      const device = new FwCfg({
        ramSize: ram.length,
        read: (address, length) => {
          check(address, length);
          return ram.slice(address, address + length);
        },
        write: (address, data) => {
          check(address, data.length);
          ram.set(data, address);
        },
      });
      device.addFile('etc/some', new Uint8Array(300).fill(7));
      device.addFile('etc/writable', new Uint8Array(64), { writable: true });
      for (const at of [0x1000, 0x1010, 0xffff0 + (bytes[0] ?? 0), 0xffff_fff8]) {
        const swapped = Buffer.alloc(4);
        swapped.writeUInt32BE(at >>> 0);
        device.dma.portWrite(0, 4, bytes[1] === 0xff ? 0xffff_ffff : 0);
        device.dma.portWrite(4, 4, swapped.readUInt32LE());
      }
    },
    runs: 1000,
    most: 64 * MIB,
  },
  {
    name: 'a package’s archive',
    covers: ['src/fetch/tar.ts'],
    inputs: () => damaged([tar()]),
    parse: (bytes) => {
      const picker = new TarPicker(
        () => true,
        () => {},
      );
      for (let at = 0; at < bytes.length; at += 300) picker.push(bytes.subarray(at, at + 300));
    },
    refusal: (error) => sentence(FetchError, 'the package is damaged')(error),
    runs: 500,
    most: 300 * MIB,
  },
  {
    name: 'what the archive says of a package',
    covers: ['src/fetch/apt.ts'],
    inputs: () =>
      damaged([utf8(`Package: x\nVersion: 1\nSHA256: ${'a'.repeat(64)}\nDepends: a (>= 1), b | c\n\nPackage: y`)]),
    parse: (bytes) => parseStanza(Buffer.from(bytes).toString()),
  },
  {
    name: 'the manifest of the cache',
    covers: ['src/fetch/cache.ts'],
    inputs: () => damaged([utf8('{"version":1,"guests":{"a":{"packages":[],"files":[]}}}')]),
    parse: (bytes) => {
      put('manifest.json', bytes);
      return readManifest(directory);
    },
  },
  {
    name: 'a file of symbols',
    covers: ['src/api/symbol-files.ts'],
    inputs: () => damaged([symbolElf, utf8('ffffffff81000000 T startup_64\nffffffff81000100 t do_it\n')]),
    parse: (bytes) => readSymbols(put('System.map', bytes)),
    refusal: sentence(UserError, join(directory, 'System.map')),
  },
  {
    name: 'values on the command line',
    covers: ['bin/options/values.ts'],
    inputs: () => damaged(WORDS.map(utf8)),
    parse: (bytes) => {
      const text = Buffer.from(bytes).toString();
      for (const read of READERS) {
        try {
          read(text);
        } catch (error) {
          if (!(error instanceof InvalidArgumentError)) throw error;
        }
      }
    },
    runs: 2000,
  },
  {
    name: 'inputs of a trace',
    covers: ['src/api/recorder.ts'],
    inputs: () => damaged(WORDS.map(utf8)),
    parse: (bytes) => {
      for (const name of ['serial', 'keyboard', 'typed', 'rtc']) inputOf(name, bytes);
    },
  },
  {
    name: 'a kept file',
    covers: ['src/start/kept-file.ts'],
    inputs: () => {
      const path = join(directory, 'kept', 'whole');
      writeKept(path, new Uint8Array(300).fill(5));
      return damaged([new Uint8Array(8), new Uint8Array(12)]);
    },
    parse: (bytes) => readKept(put('kept/one', bytes)),
  },
  {
    name: 'a packed payload that was kept',
    covers: ['src/trace/kept-payloads.ts', 'src/trace/kept-folder.ts'],
    inputs: () => {
      process.env.VMREPLAY_CACHE = directory;
      delete process.env.NODE_DISABLE_COMPILE_CACHE;
      packKept('NOTE', PAYLOAD);
      return damaged([Uint8Array.from(readKept(keptPath('packed'))!)]);
    },
    parse: (bytes) => {
      writeKept(keptPath('packed'), bytes);
      const { stored } = packKept('NOTE', PAYLOAD, undefined, 1 * MIB, () => ({ codec: 0, stored: PAYLOAD }));
      const raw = stored === PAYLOAD ? PAYLOAD : brotliDecompressSync(stored);
      if (Buffer.compare(raw, PAYLOAD) !== 0) throw new Error('what is damaged is believed');
    },
  },
  {
    name: 'an unpacked payload that was kept',
    covers: ['src/trace/kept-unpacked.ts'],
    inputs: () => {
      process.env.VMREPLAY_CACHE = directory;
      delete process.env.NODE_DISABLE_COMPILE_CACHE;
      unpackKept([PACKED]);
      return damaged([Uint8Array.from(readKept(keptPath('unpacked'))!)]);
    },
    parse: (bytes) => {
      writeKept(keptPath('unpacked'), bytes);
      const [raw] = unpackKept([PACKED], 1 * MIB, () => [PAYLOAD]);
      if (Buffer.compare(raw!, PAYLOAD) !== 0) throw new Error('what is damaged is believed');
    },
  },
  {
    name: 'items on the report’s page',
    covers: ['src/report/items.ts'],
    inputs: () =>
      damaged(
        [fuzz.acpi(), fuzz.e820(), fuzz.tableLoader(), fuzz.fwCfgDirectory()].flatMap((kind) => structures(kind, 16)),
      ),
    parse: (bytes) => {
      for (const name of ['file directory', 'etc/acpi/tables', 'etc/e820', 'etc/table-loader', 'opt/x']) {
        const { entries } = itemView(name, bytes);
        if (entries.length > 256 || entries.some((text) => /undefined|NaN/.test(text)))
          throw new Error(entries.join('; '));
      }
    },
  },
  {
    name: 'the payload of a report',
    covers: ['src/report/payload.ts'],
    inputs: () => {
      const head = { file: 'a.vmr', events: 1, classes: [], strings: [] } as unknown as TraceHead;
      return damaged([joinPayload(head, { cycle: Uint8Array.of(1, 0x80, 1), site: Uint8Array.of(2) })]);
    },
    parse: (bytes) => splitPayload(bytes),
    refusal: clause(),
  },
];
