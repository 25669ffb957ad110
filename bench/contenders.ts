// The machines that run a workload: this program without a trace, recording, and replaying; QEMU as it is (TCG), recording
// (`-icount shift=N,rr=record`: virtual time passes 2^N ns an instruction; its best N counts) and replaying; v86 where the
// guest is one for 32 bits. Times are of whole processes.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { packageFile } from '../bin/package.js';
import { cachedImage } from '../src/fetch/cache.js';
import { cacheDirectory } from '../src/fetch/cache-directory.js';
import type { Contender, Sample } from './measure.js';
import type { Workload } from './workloads.js';

const SHIFTS = [2, 3, 4];
const TIME_LIMIT = 600_000;
/** Cycles: six parts in a boot of Debian's kernel, the first of which ends where the code is no longer cold. */
const CHECKPOINT_EVERY = '300000000';

/** Every machine that can run the workload, in the order in which they take their turns. */
export async function contendersFor(workload: Workload, scratch: string): Promise<Contender[]> {
  const images = await workload.images(scratch);
  const list = [...ours(workload, images.ours, scratch), ...qemus(workload, images.qemu, scratch)];
  if (images.v86) list.push(v86(workload, images.v86));
  return list;
}

function ours(workload: Workload, boot: readonly string[], scratch: string): Contender[] {
  const trace = join(scratch, `${workload.name}.trace`);
  // What tier 1 translated and what the recorder packed is kept from boot to boot: nothing is kept before `run` and
  // `record`, a replay follows its recording, and `again` is what a boot costs that has been recorded before.
  const [first, again] = [new Cache(join(scratch, 'cache-first')), new Cache(join(scratch, 'cache-again'))];
  const vmreplayIn = (cache: Cache, ...args: string[]) =>
    timed(workload, process.execPath, [packageFile('dist/bin/vmreplay.js'), ...args], undefined, {
      VMREPLAY_CACHE: cache.path,
    });
  const vmreplay = (...args: string[]) => vmreplayIn(first, ...args);
  const options = [...boot, '--memory', workload.memory];
  // A workload that ends on its debug console prints nothing on the serial line.
  const console = workload.until ? [] : ['--console'];
  const replay = (...args: string[]) => vmreplay('replay', ...console, ...args);
  // Only a boot that is long enough for parts: its trace has checkpoints, which the recording pays for.
  const inParts = join(scratch, `${workload.name}.parts.trace`);
  const replayInParts = (): Contender[] => [
    {
      name: 'vmreplay record with checkpoints',
      run: () => vmreplay('record', ...options, ...console, '--checkpoint-every', CHECKPOINT_EVERY, '-o', inParts),
    },
    { name: 'vmreplay replay jobs=2', run: () => replay('--jobs', '2', inParts) },
  ];
  // As QEMU's recordings, it needs the images to be replayed.
  const unsealed = join(scratch, `${workload.name}.unsealed.trace`);
  const record = async (cache: Cache, output = trace, ...more: string[]): Promise<Sample> => {
    const sample = await vmreplayIn(cache, 'record', ...options, ...console, ...more, '-o', output);
    const { stdout } = await execa(process.execPath, [
      packageFile('dist/bin/vmreplay.js'),
      ...['inspect', '--json', output],
    ]);
    const { cycles, instructions, events, bytes, root } = JSON.parse(stdout);
    return { ...sample, cycles, instructions, events: events.total, bytes, root };
  };
  let warm = false;
  /** Boots until nothing more is added, as a rule; not measured. */
  const warmUp = async (): Promise<void> => {
    for (let boots = 0; boots < 3 && !warm; boots++)
      await vmreplayIn(again, 'record', ...options, ...console, '-o', trace);
    if (!warm && workload.append !== undefined) await record(again, unsealed, '--unsealed');
    warm = true;
  };
  const recordUnsealed = (): Contender[] => [
    {
      name: 'vmreplay unsealed record',
      async run() {
        await first.forget();
        return record(first, unsealed, '--unsealed');
      },
    },
    {
      name: 'vmreplay unsealed record again',
      async run() {
        await warmUp();
        return record(again, unsealed, '--unsealed');
      },
    },
  ];
  return [
    {
      name: 'vmreplay run',
      async run() {
        await first.forget();
        return vmreplay('run', ...options);
      },
    },
    {
      name: 'vmreplay run again',
      async run() {
        await warmUp();
        return vmreplayIn(again, 'run', ...options);
      },
    },
    {
      name: 'vmreplay record again',
      async run() {
        await warmUp();
        return record(again);
      },
    },
    // Before the recording whose cache the replays go on with.
    ...(workload.append === undefined ? [] : recordUnsealed()),
    {
      name: 'vmreplay record',
      async run() {
        await first.forget();
        return record(first);
      },
    },
    { name: 'vmreplay replay', run: () => replay(trace) },
    {
      name: 'vmreplay replay again',
      async run() {
        await warmUp();
        return vmreplayIn(again, 'replay', ...console, trace);
      },
    },
    ...(workload.append === undefined ? [] : replayInParts()),
  ];
}

/** Folders of a cache directory that hold what earlier boots left for later ones. */
const KEPT: readonly string[] = ['translated', 'packed', 'unpacked'];

/** A cache directory with the guests of the usual one, and with what its own boots leave. */
export class Cache {
  constructor(readonly path: string) {
    mkdirSync(path, { recursive: true });
    for (const name of readdirSync(cacheDirectory()))
      if (!KEPT.includes(name) && !existsSync(join(path, name)))
        symlinkSync(join(cacheDirectory(), name), join(path, name));
  }

  async forget(): Promise<void> {
    for (const name of KEPT) await rm(join(this.path, name), { recursive: true, force: true });
  }
}

function qemus(workload: Workload, boot: readonly string[], scratch: string): Contender[] {
  const args = [
    ...['-M', 'pc', '-nodefaults', '-display', 'none', '-accel', 'tcg', '-m', workload.memory, '-no-reboot'],
    ...boot,
  ];
  // The serial line goes to a file: what a pipe cannot take at once is missing from a recording, which then does not replay.
  const console = join(scratch, 'qemu.console');
  const serial = ['-serial', workload.until ? 'null' : `file:${console}`];
  const qemu = (...more: string[]) =>
    timed(workload, 'qemu-system-x86_64', [...args, ...serial, ...more], workload.until ? undefined : console);
  const icount = (shift: number, mode: string) => [
    '-icount',
    `shift=${shift},sleep=off,rr=${mode},rrfile=${join(scratch, `${workload.name}.${shift}.rr`)}`,
  ];
  const plain = { name: 'qemu tcg', run: () => qemu() };
  const recording = SHIFTS.map((shift) => ({
    name: `qemu record shift=${shift}`,
    run: () => qemu(...icount(shift, 'record')),
  }));
  // A recording that was cut short when its line appeared cannot be replayed.
  if (workload.until) return [plain, ...recording];
  const replaying = SHIFTS.map((shift) => ({
    name: `qemu replay shift=${shift}`,
    run: () => qemu(...icount(shift, 'replay')),
    mayFail: true as const,
  }));
  return [plain, ...recording, ...replaying];
}

function v86(workload: Workload, { kernel, initrd }: { kernel: string; initrd: string }): Contender {
  const [bios, vga] = [cachedImage('bios.bin'), cachedImage('vgabios-stdvga.bin')];
  if (!bios || !vga) throw new Error('v86 boots through SeaBIOS; vmreplay fetch seabios qemu-roms brings it');
  const program = join(import.meta.dirname, 'v86-boot.mjs');
  const args = [kernel, initrd, workload.append ?? '', workload.memory.replace('M', ''), workload.reached, bios, vga];
  return { name: 'v86', run: () => timed(workload, process.execPath, [program, ...args]) };
}

/** The host's environment without certificates, which Node would read at each start before anything else. */
export function hostEnvironment(): NodeJS.ProcessEnv {
  const { NODE_EXTRA_CA_CERTS: _, ...others } = process.env;
  return others;
}

/** Wall time from start to exit, or to the line where the workload ends there; a guest that did not get to its line is an error. */
function timed(
  workload: Workload,
  program: string,
  args: readonly string[],
  console?: string,
  env: NodeJS.ProcessEnv = {},
): Promise<Sample> {
  const start = process.hrtime.bigint();
  const seconds = () => Number(process.hrtime.bigint() - start) / 1e9;
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIME_LIMIT,
    env: { ...hostEnvironment(), ...env },
  });
  const ours = program === process.execPath;
  let [output, errors] = ['', ''];
  let atLine: number | undefined;
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.stderr.on('data', (data: Buffer) => {
      errors += data.toString('latin1');
    });
    child.stdout.on('data', (data: Buffer) => {
      output += data.toString('latin1');
      if (!workload.until || ours || atLine !== undefined || !output.includes(workload.reached)) return;
      atLine = seconds();
      child.kill('SIGKILL');
    });
    child.once('close', (code) => {
      const elapsed = atLine ?? seconds();
      if (console !== undefined) output = readFileSync(console, 'latin1');
      const good = workload.until
        ? ours
          ? code === 0
          : atLine !== undefined
        : code === 0 && output.includes(workload.reached);
      if (good) resolve({ seconds: elapsed, ...(workload.until ? {} : { output }) });
      else
        reject(
          new Error(
            `${program} ${args.join(' ')} did not get to "${workload.reached}"\n${errors}${output.slice(-500)}`,
          ),
        );
    });
  });
}
