// Where the time of Debian's boot goes, by part: samples of the main thread (`node --cpu-prof`), told apart by the file
// that a function is from. Runs, recordings and replays, for the first time and again.
//
// WebAssembly: the module that TypeScript of src/cpu calls is tier 0, what tier 0 calls is tier 1, and what src/trace
// calls packs. What is built in counts for who called it. A sampled process is a few hundredths slower than another.

import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { SourceMap } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { packageFile } from '../bin/package.js';
import { Cache, hostEnvironment } from './contenders.js';
import { writeResults } from './results.js';
import { debian, demandGuests } from './workloads.js';

/** Parts, and the files whose functions they are; the first that fits. */
const PARTS: readonly (readonly [string, RegExp])[] = [
  ['translating (tier 1)', /src\/(cpu\/(jit|semantics|wasm)|api\/(kept-translations|tier)|start\/kept)/],
  ['finding and decoding blocks', /src\/cpu\/(decode|code-cache|block-|isa\/|interp\/)/],
  ['TLB misses, slow and tracked memory', /src\/cpu\/(mmu|slow-paths|linear-memory|physical|observed|peek)/],
  ['interrupts, faults, system instructions', /src\/cpu\/(system|msr|cpuid|state|mode|softfloat|debug-registers)/],
  ['the run loop and the rest of the processor', /src\/cpu\//],
  ['devices', /src\/platform\//],
  ['state hashes', /src\/replay\/state-hash/],
  ['recorder and player', /src\/(trace|replay)\//],
];
const START = 'start and end of the process';
const GARBAGE = 'garbage collection';
const IDLE = 'waiting';

interface Frame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
  readonly columnNumber: number;
}
interface ProfileNode {
  readonly id: number;
  readonly callFrame: Frame;
  readonly children?: readonly number[];
}
interface Profile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  /** Microseconds since the sample before. */
  readonly timeDeltas: readonly number[];
}

type Parts = Record<string, number>;

export async function benchProfile(_runs: number, output: string | undefined): Promise<void> {
  demandGuests(debian);
  const scratch = await mkdtemp(join(tmpdir(), 'vmreplay-bench-'));
  try {
    const { ours } = await debian.images(scratch);
    const cache = new Cache(join(scratch, 'cache'));
    const trace = join(scratch, 'boot.trace');
    const boot = [...ours, '--memory', debian.memory];
    const record = ['record', ...boot, '--console', '-o', trace];
    const columns: Record<string, Parts> = {};
    const measure = async (name: string, words: readonly string[]): Promise<void> => {
      columns[name] = await profiled(words, cache, join(scratch, name));
    };
    await measure('run', ['run', ...boot]);
    await cache.forget();
    await measure('record', record);
    await measure('replay', ['replay', '--console', trace]);
    for (let boots = 0; boots < 3; boots++) await profiled(record, cache, join(scratch, `warm-${boots}`));
    await measure('run again', ['run', ...boot]);
    await measure('record again', record);
    await measure('replay again', ['replay', '--console', trace]);
    print(columns);
    await writeResults('profile', output, {}, { milliseconds: columns });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function profiled(words: readonly string[], cache: Cache, directory: string): Promise<Parts> {
  await mkdir(directory, { recursive: true });
  const options = ['--cpu-prof', `--cpu-prof-dir=${directory}`, packageFile('dist/bin/vmreplay.js'), ...words];
  await execa(process.execPath, options, {
    env: { ...hostEnvironment(), VMREPLAY_CACHE: cache.path },
    extendEnv: false,
    stdin: 'ignore',
  });
  // Threads have profiles of their own; theirs do not name the program.
  const profiles = await Promise.all(
    (await readdir(directory))
      .filter((name) => name.endsWith('.cpuprofile'))
      .map(async (name) => JSON.parse(await readFile(join(directory, name), 'utf8')) as Profile),
  );
  const main = profiles.find(({ nodes }) => nodes.some(({ callFrame }) => /(boots|main)\.cjs$/.test(callFrame.url)));
  if (!main) throw new Error(`no profile of the program in ${directory}`);
  return partsOf(main, await Sources.read());
}

/** The files that functions of the joined programs are from. */
class Sources {
  private constructor(private readonly programs: ReadonlyMap<string, { map: SourceMap; lines: readonly string[] }>) {}

  static async read(): Promise<Sources> {
    const programs = new Map<string, { map: SourceMap; lines: readonly string[] }>();
    for (const name of ['boots.cjs', 'main.cjs']) {
      const file = packageFile(join('dist/chunks', name));
      const map = new SourceMap(JSON.parse(await readFile(`${file}.map`, 'utf8')));
      programs.set(name, { map, lines: (await readFile(file, 'latin1')).split('\n') });
    }
    return new Sources(programs);
  }

  of({ url, lineNumber, columnNumber }: Frame): string | undefined {
    const program = this.programs.get(basename(url));
    if (!program) return undefined;
    // What joins the program writes `__import(` for `import(` after its map is made (scripts/bundle.mjs).
    const before = (program.lines[lineNumber] ?? '').slice(0, columnNumber);
    const longer = before.split('__import(').length - 1;
    const entry = program.map.findEntry(lineNumber, columnNumber - 2 * longer);
    return 'originalSource' in entry ? entry.originalSource : undefined;
  }
}

/** Milliseconds by part. */
function partsOf({ nodes, samples, timeDeltas }: Profile, sources: Sources): Parts {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parentOf = new Map<number, ProfileNode>();
  for (const node of nodes) for (const child of node.children ?? []) parentOf.set(child, node);
  const fileOf = new Map(nodes.map((node) => [node.id, sources.of(node.callFrame)]));
  const isWasm = (node: ProfileNode | undefined) => node?.callFrame.url.startsWith('wasm://') ?? false;
  /** The nearest function of ours, the node itself or a caller. */
  const ownerOf = (from: ProfileNode): string | undefined => {
    for (let node: ProfileNode | undefined = from; node; node = parentOf.get(node.id)) {
      const file = fileOf.get(node.id);
      if (file?.includes('/src/') || file?.includes('/bin/')) return file;
    }
    return undefined;
  };
  const tierZero = new Set<string>();
  const packers = new Set<string>();
  for (const node of nodes) {
    const parent = parentOf.get(node.id);
    if (!isWasm(node) || !parent || isWasm(parent)) continue;
    const caller = fileOf.get(parent.id) ?? '';
    if (/src\/cpu\/(run-loop|cpu|engine)/.test(caller)) tierZero.add(node.callFrame.url);
    else if (/src\/(trace|boot)\//.test(caller)) packers.add(node.callFrame.url);
  }
  const partOf = (node: ProfileNode): string => {
    const { functionName, url } = node.callFrame;
    if (functionName === '(garbage collector)') return GARBAGE;
    if (functionName === '(idle)') return IDLE;
    if (isWasm(node)) {
      if (tierZero.has(url)) return 'tier 0';
      return packers.has(url) ? 'recorder and player' : 'tier 1';
    }
    const owner = ownerOf(node);
    return PARTS.find(([, files]) => owner !== undefined && files.test(owner))?.[0] ?? START;
  };
  const parts: Parts = {};
  const known = new Map<number, string>();
  samples.forEach((id, index) => {
    let part = known.get(id);
    if (part === undefined) {
      part = partOf(byId.get(id)!);
      known.set(id, part);
    }
    parts[part] = (parts[part] ?? 0) + (timeDeltas[index + 1] ?? 0) / 1000;
  });
  for (const part of Object.keys(parts)) parts[part] = Math.round(parts[part]!);
  return parts;
}

/** A table in Markdown, as docs/performance.md has it. */
function print(columns: Readonly<Record<string, Parts>>): void {
  const names = Object.keys(columns);
  const order = ['tier 0', 'tier 1', ...PARTS.map(([part]) => part), GARBAGE, START, IDLE];
  console.log(`| ms of the main thread | ${names.join(' | ')} |`);
  console.log(`| --- | ${names.map(() => '---:').join(' | ')} |`);
  for (const part of order) {
    const values = names.map((name) => columns[name]![part] ?? 0);
    if (values.some((value) => value > 0)) console.log(`| ${part} | ${values.join(' | ')} |`);
  }
  const sums = names.map((name) => Object.values(columns[name]!).reduce((sum, value) => sum + value, 0));
  console.log(`| all | ${sums.join(' | ')} |`);
}
