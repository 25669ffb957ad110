// QEMU as the other half: started from our machine at cycle 0, counting instructions (-icount), so that every run of it
// is the same run, and telling what its processor goes through in its log.
//
// A plain run gives the journal as it happens. A replay (record/replay of QEMU's own) can be stopped at any instruction
// count, by which states are sampled and windows are logged instruction by instruction. Nothing of our program runs in
// it: a ROM of a few kilobytes (entry-rom.ts) sets up the machine, and all memory is loaded as it is.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Guest } from '../../src/api/guest.js';
import type { BootOptions } from '../../src/api/options.js';
import type { ProcessorLines } from '../../src/cpu/bus.js';
import { readMsr } from '../../src/cpu/msr.js';
import { setUpAsFirmware } from '../../src/platform/firmware-setup.js';
import { Pc } from '../../src/platform/pc.js';
import { buildEntryRom, type SetupAccess } from './entry-rom.js';
import { GdbClient } from './gdb-client.js';
import { type Entry, LogParser, MARK_PORT } from './qemu-log.js';

export const hasQemu = (): boolean => spawnSync('qemu-system-x86_64', ['--version']).status === 0;

/** QEMU's options for our CPU models. */
const CPUS: Readonly<Record<string, string>> = {
  'qemu64-v1': 'qemu64,-svm',
  'x86-64-v2': 'Nehalem-v1,+xsave,+xsaveopt,+xgetbv1,+fsgsbase,+smep,+smap,+umip,+erms,+rdtscp',
};

const MTRRS = [0x2ff, 0x250, 0x258, 0x259].concat(
  Array.from({ length: 16 }, (_, i) => 0x200 + i),
  Array.from({ length: 8 }, (_, i) => 0x268 + i),
);
const SHADOW_START = 0xa_0000;
const SHADOW_END = 0x10_0000;
const ACCESSES = ['-trace', 'memory_region_ops_read', '-trace', 'memory_region_ops_write'];

/** What a run writes to its log. */
export type Detail =
  /** Every instruction. */
  | { kind: 'every' }
  /** Device accesses, interrupts, exceptions, and the instructions at these linear addresses. */
  | { kind: 'events'; at: Iterable<bigint> }
  /** Device accesses only. */
  | { kind: 'accesses' };

/** Files and options of a machine; the runs are made from it. */
export class QemuMachine {
  private constructor(
    private readonly directory: string,
    private readonly args: readonly string[],
    private readonly input: Uint8Array | undefined | '',
  ) {}

  static async of(guest: Guest, options: BootOptions): Promise<QemuMachine> {
    const directory = await mkdtemp(join(tmpdir(), 'vmreplay-lockstep-'));
    const file = (name: string) => join(directory, name);
    const regions = guest.initialMemory.filter(({ data }) => data.length > 0);
    const inShadow = ({ address }: { address: number }) => address >= SHADOW_START && address < SHADOW_END;
    const rom = buildEntryRom({
      entry: guest.boot.entry,
      shadow: regions.filter(inShadow),
      setup: firmwareAccesses(guest),
      msrs: MTRRS.map((address) => [address, readMsr(guest.cpu, address)] as const).filter(([, value]) => value !== 0n),
    });
    await writeFile(file('rom'), rom);
    const { memory, cpu } = guest.header;
    const rtc = options.rtc ?? '2020-01-01T00:00:00Z';
    const args = [
      '-M',
      'pc',
      '-nodefaults',
      '-display',
      'none',
      '-no-reboot',
      '-accel',
      'tcg',
      '-cpu',
      CPUS[cpu] ?? cpu,
    ];
    args.push('-m', `${memory / 2 ** 20}`, '-rtc', `base=${rtc.slice(0, 19)},clock=vm`, '-bios', file('rom'));
    // Without the option ROM that would only serve 32-bit guests of KVM: a direct boot has none.
    args.push('-global', 'apic-common.vapic=off');
    args.push('-serial', 'stdio');
    args.push('-device', 'isa-debug-exit,iobase=0x501,iosize=4', '-chardev', 'null,id=debugcon');
    args.push('-device', 'isa-debugcon,iobase=0x402,chardev=debugcon');
    for (const item of options.fwCfg ?? [])
      args.push(
        '-fw_cfg',
        `name=${item.name},${item.file === undefined ? `string=${item.string}` : `file=${item.file}`}`,
      );
    let n = 0;
    for (const region of regions) {
      if (inShadow(region)) continue;
      const image = file(`memory${n++}`);
      await writeFile(image, region.data);
      args.push('-device', `loader,file=${image},addr=0x${region.address.toString(16)},force-raw=on`);
    }
    return new QemuMachine(directory, args, options.serialIn && (await readFile(options.serialIn)));
  }

  /** A run from the start. */
  run(detail: Detail): QemuRun {
    return new QemuRun([...this.args, ...this.counting(), ...logOptions(detail)], this.input || undefined);
  }

  /** Record the run for replays, to its end or for so many seconds. */
  async record(seconds: number): Promise<void> {
    const run = new QemuRun([...this.args, ...this.counting('record')], this.input || undefined);
    const enough = setTimeout(() => run.kill('SIGTERM'), seconds * 1000);
    await run.end();
    clearTimeout(enough);
  }

  /** The recorded run again, waiting to be continued through the gdb server. */
  async replay(detail: Detail): Promise<StoppableRun> {
    const socket = join(this.directory, 'gdb');
    await rm(socket, { force: true });
    const server = ['-S', '-chardev', `socket,path=${socket},server=on,wait=off,id=gdb`, '-gdb', 'chardev:gdb'];
    const run = new QemuRun([...this.args, ...this.counting('replay'), ...server, ...logOptions(detail)]);
    const gdb = await GdbClient.connect(socket).catch(async () => {
      run.kill();
      for await (const _ of run.entries());
      throw new Error(`QEMU did not start the replay: ${run.messages}`);
    });
    return new StoppableRun(run, gdb);
  }

  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }

  /** 4 ns an instruction, as our cycles; idle time passes at once. */
  private counting(mode?: 'record' | 'replay'): string[] {
    const file = mode === undefined ? '' : `,rr=${mode},rrfile=${join(this.directory, 'recording')}`;
    return ['-icount', `shift=2,sleep=off${file}`];
  }
}

function logOptions(detail: Detail): string[] {
  if (detail.kind === 'every') return ['-singlestep', '-d', 'cpu,int,nochain', ...ACCESSES];
  if (detail.kind === 'accesses') return ACCESSES;
  const filter = [...detail.at].map((address) => `0x${address.toString(16)}+1`).join(',');
  return ['-d', 'cpu,int,nochain', '-dfilter', filter, ...ACCESSES];
}

/** One process, and its journal. */
export class QemuRun {
  private readonly child: ChildProcess;
  private readonly parser = new LogParser();
  readonly ended: Promise<number | null>;

  /** @param input what is typed at the serial console, once the guest has written a line */
  constructor(args: readonly string[], input?: Uint8Array) {
    this.child = spawn('qemu-system-x86_64', args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let typed = input === undefined;
    this.child.stdout!.on('data', (data: Buffer) => {
      if (!typed && data.includes(10)) this.child.stdin!.write(input!);
      typed ||= data.includes(10);
    });
    this.ended = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('close', resolve);
    });
  }

  /** The journal. It ends with the process. */
  async *entries(): AsyncGenerator<Entry> {
    const stderr = this.child.stderr!;
    const chunks: string[] = [];
    let over = false;
    let wake = () => {};
    stderr.setEncoding('latin1');
    stderr.on('data', (chunk: string) => {
      chunks.push(chunk);
      stderr.pause();
      wake();
    });
    stderr.once('close', () => {
      over = true;
      wake();
    });
    while (!over || chunks.length > 0) {
      const chunk = chunks.shift();
      if (chunk !== undefined) yield* this.parser.feed(chunk);
      else {
        stderr.resume();
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  }

  /** What QEMU said besides the journal. */
  get messages(): string {
    return this.parser.others.join('\n');
  }

  kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): void {
    this.child.kill(signal);
  }

  /** Wait for the end; what the process says is dropped. */
  async end(): Promise<void> {
    this.child.stderr!.resume();
    await this.ended;
  }
}

/** A replay that stops at instruction counts. */
export class StoppableRun {
  constructor(
    private readonly run: QemuRun,
    private readonly gdb: GdbClient,
  ) {}

  /** The journal up to each count and the state there, then, with `window`, every instruction of that many more. */
  async *entries(counts: readonly number[], window = 0): AsyncGenerator<Entry> {
    const log = this.run.entries();
    try {
      for (const count of counts) {
        const stop = this.stopAt(count);
        if (!(yield* this.untilMark(log, stop))) return;
        const lines = (await this.gdb.monitor('info registers')).split('\n');
        const first = lines.findIndex((line) => /^[ER]AX=/.test(line));
        const last = lines.findIndex((line) => line.startsWith('EFER='));
        yield { kind: 'state', lines: lines.slice(first, last + 1), count };
      }
      if (window === 0) return;
      for (const event of ['read', 'write']) await this.gdb.monitor(`trace-event memory_region_ops_${event} on`);
      await this.gdb.monitor('singlestep on');
      await this.gdb.monitor('log cpu,int,nochain');
      yield* this.untilMark(log, this.stopAt(counts.at(-1)! + window));
    } finally {
      this.gdb.close();
      this.run.kill();
    }
  }

  /** Continue to the count, then leave a mark in the log. False when the machine ended before. */
  private async stopAt(count: number): Promise<boolean> {
    await this.gdb.monitor(`replay_break ${count}`);
    if (!(await this.gdb.continue())) return false;
    await this.gdb.monitor('trace-event memory_region_ops_read on');
    await this.gdb.monitor(`i /bx 0x${MARK_PORT.toString(16)}`);
    return true;
  }

  /** Pass on entries up to the mark; false when the log ended. */
  private async *untilMark(log: AsyncGenerator<Entry>, stop: Promise<boolean>): AsyncGenerator<Entry, boolean> {
    for (;;) {
      const { value, done } = await log.next();
      if (done) return false;
      if (value.kind === 'mark') return stop;
      yield value;
    }
  }
}

/** What src/platform/firmware-setup.ts does to a machine like the guest's. */
function firmwareAccesses(guest: Guest): SetupAccess[] {
  const lines: ProcessorLines = {
    setIntr() {},
    pulseNmi() {},
    pulseSmi() {},
    suspend() {},
    stop() {},
    cycle: 0,
    setA20() {},
  };
  const { timing, memory } = guest.header;
  const rtc = '2020-01-01T00:00:00Z';
  const pc = new Pc({ lines, memory: guest.memory, timing, ramSize: memory, smm: true, rtc, seed: 0 });
  const accesses: SetupAccess[] = [];
  setUpAsFirmware({
    portRead(address, size) {
      accesses.push({ write: false, space: 'port', address, size, value: 0 });
      return pc.portRead(address, size);
    },
    portWrite(address, size, value) {
      accesses.push({ write: true, space: 'port', address, size, value });
      pc.portWrite(address, size, value);
    },
    mmioWrite(address, size, value) {
      accesses.push({ write: true, space: 'memory', address, size, value });
      pc.mmioWrite(address, size, value);
    },
  });
  return accesses;
}
