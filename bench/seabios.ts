// SeaBIOS with nothing to boot, from the start of the process to the line that says so: ours with a trace, QEMU without
// one and with its own recording. The machine is the same: 128 MiB, a standard VGA, a serial port, no disks. Our time runs
// until the trace is written and the process is gone; QEMU's until the line is on its debug console.

import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { packageFile } from '../bin/package.js';
import { cachedImage } from '../src/fetch/cache.js';
import { medianOf } from './samples.js';

const BIOS = 'bios-256k.bin';
const NOTHING = 'No bootable device.';
const TIME_LIMIT = 60_000;
/** What the time of a recorded boot may be, in multiples of QEMU's. */
const BAR = 3;

export async function benchSeabios({ runs, output }: { runs: number; output?: string }): Promise<void> {
  const bios = cachedImage(BIOS);
  if (!bios) throw new Error(`${BIOS} is missing; vmreplay fetch brings it`);
  const scratch = await mkdtemp(join(tmpdir(), 'vmreplay-bench-'));
  const variants: Record<string, () => Promise<number>> = {
    'vmreplay record': () => ours(bios, join(scratch, 'boot.trace')),
    'qemu tcg': () => qemus(bios, []),
    'qemu record': () => qemus(bios, ['-icount', `shift=2,sleep=off,rr=record,rrfile=${join(scratch, 'boot.rr')}`]),
  };
  const samples: Record<string, number[]> = {};
  try {
    // Runs in turn, so that a slow spell of the host hits all alike.
    for (let round = 0; round < runs; round++) {
      for (const [name, measure] of Object.entries(variants)) {
        samples[name] = [...(samples[name] ?? []), await measure()];
      }
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  const medians = Object.fromEntries(Object.entries(samples).map(([name, list]) => [name, medianOf(list)]));
  console.log(`SeaBIOS from process start to "${NOTHING}"; medians of ${runs} runs in turn`);
  for (const [name, value] of Object.entries(medians)) console.log(`  ${name.padEnd(16)} ${value.toFixed(3)} s`);
  const ratios: Record<string, number> = {};
  for (const name of ['qemu tcg', 'qemu record']) {
    ratios[name] = Number((medians['vmreplay record']! / medians[name]!).toFixed(2));
    console.log(`  vmreplay record / ${name}: ${ratios[name]} (bar: ${BAR})`);
  }
  const file = output ?? packageFile('bench/results/seabios.json');
  await mkdir(dirname(file), { recursive: true });
  const { stdout: version } = await execa('qemu-system-x86_64', ['--version']);
  const host = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version, qemu: version.split('\n')[0] };
  const all = { date: new Date().toISOString(), host, runs, medians, ratios, samples };
  await writeFile(file, `${JSON.stringify(all, null, 2)}\n`);
  console.log(`figures in ${file}`);
}

/** Wall time of a whole recording, in seconds. */
async function ours(bios: string, trace: string): Promise<number> {
  const program = packageFile('dist/bin/vmreplay.js');
  const start = process.hrtime.bigint();
  await execa(process.execPath, [program, 'record', '--bios', bios, '--until-debugcon', NOTHING, '-o', trace], {
    stdin: 'ignore',
    timeout: TIME_LIMIT,
  });
  return secondsSince(start);
}

/** Wall time until QEMU's firmware has printed the line. */
function qemus(bios: string, more: readonly string[]): Promise<number> {
  const args = [
    ...['-accel', 'tcg', '-M', 'pc,smm=off', '-nodefaults', '-vga', 'std', '-display', 'none', '-serial', 'null'],
    ...['-L', dirname(bios), '-bios', bios, '-debugcon', 'stdio', '-global', 'isa-debugcon.iobase=0x402', ...more],
  ];
  const start = process.hrtime.bigint();
  const qemu = spawn('qemu-system-x86_64', args, { stdio: ['ignore', 'pipe', 'ignore'], timeout: TIME_LIMIT });
  let log = '';
  let seconds: number | undefined;
  return new Promise((resolve, reject) => {
    qemu.once('error', reject);
    qemu.once('close', () => {
      if (seconds === undefined) reject(new Error(`QEMU ended before its firmware: ${log.slice(-200)}`));
      else resolve(seconds);
    });
    qemu.stdout.on('data', (data: Buffer) => {
      log += data.toString('latin1');
      if (seconds !== undefined || !log.includes(NOTHING)) return;
      seconds = secondsSince(start);
      qemu.kill('SIGKILL');
    });
  });
}

const secondsSince = (start: bigint): number => Number(process.hrtime.bigint() - start) / 1e9;
