// A recorded boot of Debian's cloud kernel, against QEMU's own record and replay on the same host.
//
// The guest is the same everywhere: the kernel unpacked to the ELF file that the PVH boot enters, so that no side
// spends time on decompression in the guest; the same initial file system, command line and 256 MiB. It boots to user
// space and powers off. Runs go in turn (one of each, then again), so that a slow spell of the host hits all alike.
// QEMU records with `-icount shift=N`: virtual time passes 2^N ns an instruction; its best N counts. QEMU starts with
// its firmware; that is a few tens of milliseconds of its time.

import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { packageFile } from '../bin/package.js';
import { parseLinuxImage, unpackKernel } from '../src/boot/bzimage.js';
import { cachedImage } from '../src/fetch/cache.js';
import { medianOf, type Sample, type Variant, variantNames } from './samples.js';

const KERNEL = 'vmlinuz-cloud-amd64';
const INITRD = 'initrd-busybox.cpio';
const APPEND = 'console=ttyS0 panic=-1';
const MEMORY = '256M';
/** The last line of the guest's user space: a boot that does not print it did not get there. */
const REACHED = 'VMREPLAY-MARKER end';
const SHIFTS = [2, 3, 4];
const TIME_LIMIT = 600_000;

export interface BenchOptions {
  /** Runs of each variant. */
  runs: number;
  /** Variants whose name starts so. */
  only?: string;
  /** Where the figures go. Default: bench/results/boot.json. */
  output?: string;
}

interface Paths {
  kernel: string;
  initrd: string;
  scratch: string;
}

export async function benchBoot(options: BenchOptions): Promise<void> {
  const [bzImage, initrd] = [cachedImage(KERNEL), cachedImage(INITRD)];
  if (!bzImage || !initrd) throw new Error('the guests are missing; vmreplay fetch cloud busybox brings them');
  const scratch = await mkdtemp(join(tmpdir(), 'vmreplay-bench-'));
  try {
    const kernel = join(scratch, 'vmlinux');
    await writeFile(kernel, unpackKernel(parseLinuxImage(bzImage, await readFile(bzImage))));
    const paths = { kernel, initrd, scratch };
    const variants = [
      vmreplayVariant(paths),
      qemuVariant(paths),
      ...SHIFTS.map((shift) => qemuRecording(paths, shift)),
    ];
    const chosen = variants.filter(({ name }) => name.startsWith(options.only ?? ''));
    if (chosen.length === 0)
      throw new Error(`there is no variant ${options.only}; there are ${variantNames(variants)}`);
    const samples = await measure(chosen, options.runs);
    await report(samples, options);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Runs in turn. */
async function measure(variants: Variant[], runs: number): Promise<Map<string, Sample[]>> {
  const samples = new Map<string, Sample[]>(variants.map(({ name }) => [name, []]));
  for (let round = 1; round <= runs; round++) {
    for (const { name, run } of variants) {
      const sample = await run();
      samples.get(name)!.push(sample);
      console.error(`round ${round}/${runs}  ${name.padEnd(22)} ${sample.seconds.toFixed(2)} s`);
    }
  }
  return samples;
}

function vmreplayVariant({ kernel, initrd, scratch }: Paths): Variant {
  const program = packageFile('dist/bin/vmreplay.js');
  const trace = join(scratch, 'boot.trace');
  const boot = ['--boot', 'pvh', '--kernel', kernel, '--initrd', initrd, '--append', APPEND, '--memory', MEMORY];
  return {
    name: 'vmreplay record',
    async run() {
      const seconds = await timed(process.execPath, [program, 'record', ...boot, '--console', '-o', trace]);
      const { stdout } = await execa(process.execPath, [program, 'inspect', '--json', trace]);
      const { cycles, instructions, events, bytes, root } = JSON.parse(stdout);
      return { seconds, cycles, instructions, events: events.total, bytes, root };
    },
  };
}

function qemuArguments({ kernel, initrd }: Paths): string[] {
  return [
    ...['-M', 'pc', '-nodefaults', '-display', 'none', '-accel', 'tcg', '-m', MEMORY, '-no-reboot'],
    ...['-serial', 'stdio', '-kernel', kernel, '-initrd', initrd, '-append', APPEND],
  ];
}

function qemuVariant(paths: Paths): Variant {
  return { name: 'qemu tcg', run: async () => ({ seconds: await timed('qemu-system-x86_64', qemuArguments(paths)) }) };
}

function qemuRecording(paths: Paths, shift: number): Variant {
  const log = join(paths.scratch, `qemu.${shift}.rr`);
  const record = ['-icount', `shift=${shift},sleep=off,rr=record,rrfile=${log}`];
  return {
    name: `qemu record shift=${shift}`,
    async run() {
      const seconds = await timed('qemu-system-x86_64', [...qemuArguments(paths), ...record]);
      return { seconds, bytes: (await stat(log)).size };
    },
  };
}

/** Wall time from start to exit, in seconds; a boot that did not reach its end is an error. */
async function timed(program: string, args: string[]): Promise<number> {
  const start = process.hrtime.bigint();
  const { stdout, stderr, failed, shortMessage } = await execa(program, args, {
    reject: false,
    stdin: 'ignore',
    timeout: TIME_LIMIT,
  });
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  if (failed || !stdout.includes(REACHED)) {
    throw new Error(`${shortMessage ?? `${program} did not boot to the end`}\n${stderr}\n${stdout.slice(-500)}`);
  }
  return seconds;
}

async function report(samples: Map<string, Sample[]>, { runs, output }: BenchOptions): Promise<void> {
  const seconds = new Map([...samples].map(([name, list]) => [name, medianOf(list.map((sample) => sample.seconds))]));
  const recordings = [...seconds].filter(([name]) => name.startsWith('qemu record')).sort(([, a], [, b]) => a - b);
  console.log(`boot of ${KERNEL} to user space and off, ${MEMORY}; medians of ${runs} runs in turn`);
  for (const [name, value] of seconds) console.log(`  ${name.padEnd(22)} ${value.toFixed(2).padStart(8)} s`);

  const ours = seconds.get('vmreplay record');
  const figures = samples.get('vmreplay record')?.[0];
  if (ours !== undefined && figures?.instructions) {
    const perSecond = figures.instructions / ours / 1e6;
    console.log(
      `  ${figures.instructions} instructions, ${perSecond.toFixed(1)} million a second; ${figures.cycles} cycles`,
    );
    console.log(`  ${figures.events} events, ${figures.bytes} bytes of trace, root ${figures.root}`);
    const roots = new Set(samples.get('vmreplay record')!.map((sample) => sample.root));
    if (roots.size > 1) throw new Error(`the recordings differ: ${[...roots].join(' ')}`);
  }
  const ratios: Record<string, number> = {};
  for (const [label, other] of [
    ['qemu tcg', seconds.get('qemu tcg')],
    [recordings[0]?.[0], recordings[0]?.[1]],
  ] as const) {
    if (ours === undefined || label === undefined || other === undefined) continue;
    ratios[label] = Number((ours / other).toFixed(3));
    console.log(`  vmreplay record / ${label}: ${(ours / other).toFixed(2)}`);
  }
  if (output === undefined && ours === undefined) return;
  const file = output ?? packageFile('bench/results/boot.json');
  await mkdir(dirname(file), { recursive: true });
  const { stdout: version } = await execa('qemu-system-x86_64', ['--version']);
  const host = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version, qemu: version.split('\n')[0] };
  const all = { date: new Date().toISOString(), host, runs, medians: Object.fromEntries(seconds), ratios };
  await writeFile(file, `${JSON.stringify({ ...all, samples: Object.fromEntries(samples) }, null, 2)}\n`);
  console.log(`figures in ${file}`);
}
