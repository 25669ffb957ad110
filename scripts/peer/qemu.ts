// The same boot in QEMU, watched from outside: its trace events tell of selections and reads through the ports; at the
// instructions that start DMA transfers the gdb server stops it, and descriptor and data are read from guest memory.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync, symlinkSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RecordOptions } from '../../src/api/options.js';
import { cachedImage } from '../../src/fetch/cache.js';
import type { HandoffView } from '../../src/trace/handoff.js';
import { GdbClient } from '../lockstep/gdb-client.js';
import { linearOf, parseDump, RAX, RDX } from '../lockstep/registers.js';
import { Conversation, type Descriptor, parseDescriptor, reads, writes } from './conversation.js';
import { entryOf, handoffFrom } from './handoff.js';
import { lines, type OurSide, type Side } from './ours.js';

export interface QemuSide extends Side {
  /** Transfers that were started where ours never starts one: nothing more is known of them. */
  unknownTransfers: number;
  /** What QEMU itself complained of. */
  messages: string;
}

const MIB = 2 ** 20;
const DMA_LOW = 0x518;
/** The gdb server's word for an interruption. */
const SIGINT = 2;
/** Without its end in sight, a run is given up after so long. */
const PATIENCE = 120_000;
/** Bytes of a read that are put together. */
const PIECE = 0x1_0000;

const find = (name: string): string => (existsSync(name) ? resolve(name) : (cachedImage(name) ?? name));

/** As a guest chooses its route. */
const isThroughFirmware = ({ boot, bios, kernel }: RecordOptions): boolean =>
  boot === 'firmware' || (boot === undefined && (bios !== undefined || kernel === undefined));

/**
 * QEMU's command line for a boot.
 * @param type of a pc, in the place of the newest
 */
export function qemuArguments(options: RecordOptions, directory: string, type = 'pc'): string[] {
  const { machine = 'pc', memory = 128 * MIB, kernel, initrd, append, modules = [] } = options;
  const name = machine === 'pc' ? type : `microvm${options.acpi === false ? ',acpi=off' : ''}`;
  const bios =
    options.bios ?? (machine === 'pc' ? 'bios-256k.bin' : options.acpi === false ? 'qboot.rom' : 'bios-microvm.bin');
  const rtc = (options.rtc ?? '2020-01-01T00:00:00Z').slice(0, 19);
  const file = (part: string) => join(directory, part);
  const args = ['-M', name, '-accel', 'tcg', '-cpu', 'qemu64,-svm', '-m', `${memory / MIB}`, '-bios', find(bios)];
  args.push('-nodefaults', '-display', 'none', '-no-reboot', '-icount', 'shift=2,sleep=off');
  args.push('-rtc', `base=${rtc},clock=vm`, '-serial', `file:${file('serial')}`);
  args.push('-chardev', `file,id=log,path=${file('debugcon')}`, '-device', 'isa-debugcon,iobase=0x402,chardev=log');
  if (machine === 'pc') args.push('-vga', options.vga ?? (isThroughFirmware(options) ? 'std' : 'none'));
  if (options.bootMenu) args.push('-boot', 'menu=on');
  args.push('-device', 'isa-debug-exit,iobase=0x501,iosize=4');
  // The option ROMs that QEMU picks by itself are to be the same files as ours.
  const roms = cachedImage('linuxboot_dma.bin');
  if (roms !== undefined) args.push('-L', dirname(roms));
  for (const rom of options.optionRoms ?? []) args.push('-option-rom', find(rom));
  // Base names in QEMU's own directory: a multiboot kernel is told the names as they were given.
  const local = (name: string): string => {
    const link = basename(name);
    if (!existsSync(file(link))) symlinkSync(find(name), file(link));
    return link;
  };
  if (kernel !== undefined) args.push('-kernel', local(kernel));
  const withLine = ({ path, cmdline = '' }: { path: string; cmdline?: string }): string =>
    cmdline === '' ? local(path) : `${local(path)} ${cmdline}`;
  const files = [...(initrd === undefined ? [] : [local(initrd)]), ...modules.map(withLine)];
  if (files.length > 0) args.push('-initrd', files.join(','));
  if (append !== undefined) args.push('-append', append);
  (options.drives ?? []).forEach(({ path, interface: where }, n) => {
    const drive = `file=${find(path)},format=raw,snapshot=on`;
    if (machine === 'pc') args.push('-drive', `${drive},if=${where ?? 'ide'}`);
    else args.push('-drive', `${drive},if=none,id=disk${n}`, '-device', `virtio-blk-device,drive=disk${n}`);
  });
  if (options.cdrom !== undefined) args.push('-cdrom', find(options.cdrom));
  if (options.fwCfgDma === false) args.push('-global', 'fw_cfg.dma_enabled=off');
  for (const device of options.devices ?? []) {
    if (device === 'virtio-rng') args.push('-device', 'virtio-rng-device');
    else args.push('-device', 'virtio-serial-device', '-chardev', 'null,id=hvc', '-device', 'virtconsole,chardev=hvc');
  }
  for (const item of options.fwCfg ?? []) {
    const content = item.file === undefined ? `string=${item.string ?? ''}` : `file=${find(item.file)}`;
    args.push('-fw_cfg', `name=${item.name},${content}`);
  }
  return args;
}

/**
 * Run it until the text that ends our run as well, or its own end.
 * @param ours sites where DMA transfers may be started, and names of files
 * @param undisturbed do not stop at transfers: they are known by item and descriptor only
 * @param type of a pc, in the place of the newest
 */
export async function qemuSide(
  options: RecordOptions,
  ours: Pick<OurSide, 'sites' | 'names' | 'handoffs'>,
  directory: string,
  undisturbed = false,
  type?: string,
): Promise<QemuSide> {
  const socket = join(directory, 'gdb');
  const trace = join(directory, 'trace');
  const server = ['-S', '-chardev', `socket,path=${socket},server=on,wait=off,id=gdb`, '-gdb', 'chardev:gdb'];
  const events = ['memory_region_ops_write', 'fw_cfg_read', 'fw_cfg_select'].flatMap((event) => ['-trace', event]);
  events.push('-D', trace);
  const child = spawn('qemu-system-x86_64', [...qemuArguments(options, directory, type), ...server, ...events], {
    cwd: directory,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let messages = '';
  child.stderr.on('data', (data: Buffer) => {
    messages += data.toString('latin1');
  });
  const closed = new Promise<void>((done) => child.once('close', () => done()));
  const stop = new AbortController();
  let gdb: GdbClient | undefined;
  try {
    gdb = await GdbClient.connect(socket);
    const entries = new Map(ours.handoffs.map((view) => [entryOf(view), view]));
    const stops = undisturbed ? [] : [...[...ours.sites].map(BigInt), ...entries.keys()];
    for (const site of new Set(stops)) await gdb.setBreakpoint(site);
    const ended = watch(options, directory, stop.signal).then(() => gdb?.interrupt());
    const watched = await follow(gdb, directory, entries, options.memory ?? 128 * MIB);
    stop.abort();
    void ended;
    const memory = watched.alive ? await dump(gdb, directory, 0, options.memory ?? 128 * MIB) : new Uint8Array(0);
    gdb.close();
    child.kill('SIGKILL');
    await closed;
    const { conversation, unknownTransfers } = await readLog(trace, undisturbed ? undefined : watched.transfers);
    const exchanges = conversation.finish(undisturbed ? ours.names : undefined);
    const log = existsSync(join(directory, 'debugcon')) ? readFileSync(join(directory, 'debugcon')) : Buffer.alloc(0);
    return { exchanges, unknownTransfers, debugcon: lines(log), memory, messages, handoffs: watched.handoffs };
  } finally {
    stop.abort();
    gdb?.close();
    child.kill('SIGKILL');
  }
}

interface Transfer {
  at: number;
  descriptor: Descriptor;
  sha256: string;
  bytes: Uint8Array;
}

/** From stop to stop, up to the interruption or the end of the machine. */
async function follow(
  gdb: GdbClient,
  directory: string,
  entries: Map<bigint, HandoffView>,
  ramSize: number,
): Promise<{ transfers: Transfer[]; handoffs: HandoffView[]; alive: boolean }> {
  const transfers: Transfer[] = [];
  const handoffs: HandoffView[] = [];
  for (;;) {
    if (!(await gdb.continue())) return { transfers, handoffs, alive: false };
    if (gdb.lastStop === SIGINT) return { transfers, handoffs, alive: true };
    const dumped = parseDump((await gdb.monitor('info registers')).split('\n'));
    const expected = entries.get(linearOf(dumped));
    const handoff = expected && (await handoffFrom(dumped, expected, () => dump(gdb, directory, 0, ramSize)));
    if (handoff) {
      handoffs.push(handoff);
      entries.delete(linearOf(dumped));
    }
    const [eax, edx] = [RAX, RDX].map((n) => Number(BigInt.asUintN(32, BigInt(dumped[n] ?? 0)))) as [number, number];
    if ((edx & 0xffff) !== DMA_LOW) {
      await gdb.step();
      continue;
    }
    const at = Buffer.from(Uint32Array.of(eax).buffer).swap32().readUInt32LE();
    const descriptor = parseDescriptor(await dump(gdb, directory, at, 16));
    const moves = descriptor.length > 0 && (reads(descriptor) || writes(descriptor));
    const before =
      moves && writes(descriptor) ? await dump(gdb, directory, descriptor.address, descriptor.length) : undefined;
    await gdb.step();
    const bytes = !moves
      ? new Uint8Array(0)
      : (before ?? (await dump(gdb, directory, descriptor.address, descriptor.length)));
    transfers.push({ at, descriptor, sha256: moves ? createHash('sha256').update(bytes).digest('hex') : '', bytes });
  }
}

async function dump(gdb: GdbClient, directory: string, address: number, length: number): Promise<Uint8Array> {
  const file = join(directory, 'dump');
  await gdb.monitor(`pmemsave ${address} ${length} "${file}"`);
  // A Buffer shares its bytes with what is sliced off it.
  return new Uint8Array(readFileSync(file));
}

/** Wait for the text that ends the run. */
async function watch(options: RecordOptions, directory: string, signal: AbortSignal): Promise<void> {
  const { untilSerial, untilDebugcon } = options;
  const start = performance.now();
  while (!signal.aborted && performance.now() - start < PATIENCE) {
    const seen = (file: string, text: string | undefined): boolean =>
      text !== undefined &&
      existsSync(join(directory, file)) &&
      readFileSync(join(directory, file), 'latin1').includes(text);
    if (seen('serial', untilSerial) || seen('debugcon', untilDebugcon)) return;
    await sleep(50);
  }
}

/** Put port accesses of the log and transfers together. Without DMA a kernel is millions of lines. */
async function readLog(file: string, transfers: readonly Transfer[] | undefined) {
  const conversation = new Conversation();
  let next = 0;
  let unknownTransfers = 0;
  /** A transfer's own end looks like one more byte read. */
  let transferred = false;
  let bytes: number[] = [];
  const flush = (): void => {
    if (bytes.length > 0) conversation.read(Uint8Array.from(bytes));
    bytes = [];
  };
  for await (const line of createInterface({ input: createReadStream(file, 'latin1') })) {
    if (line.startsWith('fw_cfg_read')) {
      if (!transferred) bytes.push(Number.parseInt(line.slice(line.lastIndexOf('x') + 1), 16));
      if (bytes.length === PIECE) flush();
      transferred = false;
      continue;
    }
    const selected = transfers ? undefined : /^fw_cfg_select \S+ key 0x([0-9a-f]+)/.exec(line)?.[1];
    if (selected !== undefined && transferred) conversation.unseenKey(Number.parseInt(selected, 16));
    const write = /^memory_region_ops_write cpu 0 mr \S+ addr 0x(51[0-9a-b]) value 0x([0-9a-f]+) size (\d)/.exec(line);
    if (!write) continue;
    flush();
    const [port, value, size] = [Number.parseInt(write[1]!, 16), Number.parseInt(write[2]!, 16), Number(write[3])];
    if (port === 0x510 && size === 2) conversation.select(value);
    if (port !== DMA_LOW) continue;
    transferred = true;
    const transfer = transfers?.[next];
    if (!transfers) conversation.unseen(value);
    else if (transfer?.at === value) {
      conversation.dma(value, transfer.descriptor, transfer.sha256, transfer.bytes);
      next++;
    } else unknownTransfers++;
  }
  flush();
  return { conversation, unknownTransfers };
}
