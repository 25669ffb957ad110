// Replaying a trace. Sealed (sealed-replay.ts): from the trace alone. Live: the whole machine again, every answer
// compared; it needs the images, by name and content.
// A trace of another timing model is refused: its cycles mean something else.

import type { RunEnd } from '../cpu/bus.js';
import type { Divergence } from '../replay/divergence.js';
import { ComparingSink } from '../replay/live.js';
import { Recorder } from '../replay/record.js';
import { TraceError } from '../trace/error.js';
import { integer, list, text } from '../trace/fields.js';
import { TraceReader } from '../trace/reader.js';
import { DISK_ROLES } from './disks.js';
import { makeGuest } from './guest.js';
import { CpuSite, MachineHash } from './machine-state.js';
import type { BootOptions, ReplayOptions, ReplayResult, Route } from './options.js';
import { attachRecorder, inputOf, LateSink, recorderSeams } from './recorder.js';
import { ConsoleBuffer, runGuest } from './run.js';
import { Screenshots } from './screenshots.js';
import { entryOf } from './sealed-machine.js';
import { PartThreads, replaySealed } from './sealed-parts.js';
import { checkReplayable, type Outcome } from './sealed-replay.js';
import { UserError } from './user-error.js';

/** Replay a trace. @throws TraceError, UserError */
export async function replay(file: string, options: ReplayOptions = {}): Promise<ReplayResult> {
  const reader = TraceReader.open(file);
  let threads: PartThreads | undefined;
  try {
    checkReplayable(reader);
    // They start while the file is read.
    if (!options.live) threads = PartThreads.for(reader, options);
    const root = reader.root(threads?.cuts.at(-1)) ?? '';
    const outcome = options.live ? await replayLive(reader, options) : await replaySealed(reader, options, threads);
    return { ...outcome, bytes: reader.size, root };
  } finally {
    await threads?.end();
    reader.close();
  }
}

async function replayLive(reader: TraceReader, options: ReplayOptions): Promise<Outcome> {
  const { header, notes } = reader;
  const late = new LateSink();
  const recorder = new Recorder(late);
  const guest = makeGuest(bootOptionsOf(reader), { ...recorderSeams(recorder), tracking: entryOf(reader).tracking });
  header.images.forEach((image, i) => {
    const actual = guest.header.images[i]?.sha256;
    if (actual !== image.sha256)
      throw new UserError(
        `${notes.names[i]}: this is not the ${image.role} that was recorded (sha256 ${image.sha256.slice(0, 16)}…); replay without --live, or restore the file`,
      );
  });
  const { cpu, pc } = guest;
  // What came from outside comes again, from the trace.
  for (const event of reader.events()) {
    const input = event.kind === 'input' ? inputOf(event.name, event.data) : undefined;
    if (input) pc.inputs.schedule(event.cycle, input);
  }
  let found: Divergence | undefined;
  const sink = new ComparingSink(reader, new CpuSite(cpu), (divergence) => {
    found = divergence;
    cpu.stop({ reason: 'divergence' });
  });
  late.target = sink;
  attachRecorder(guest, recorder);
  const console = new ConsoleBuffer(options.onConsole ?? (() => {}));
  pc.onSerial = (byte) => console.byte(byte);
  const summary = reader.summary;
  const screenshots = new Screenshots(options.screenshots, guest.vga, options.onWarning);
  const control = {
    ...options,
    header: guest.header,
    breakpoint: () => guest.handoff.reached(),
    pauses: screenshots.pauses(),
    ...(summary && endsAtCycle(summary.end.reason) && { untilCycle: summary.cycles }),
    reset: (end: RunEnd): boolean => {
      if (!guest.reset || found || (end.reason === summary?.end.reason && cpu.now === summary.cycles)) return false;
      guest.reset();
      return true;
    },
  };
  let end = await runGuest(cpu, control);
  screenshots.finish(cpu.now);
  if (end.reason === 'until-cycle' && summary) end = { reason: summary.end.reason as typeof end.reason };
  console.flush();
  const interrupted = options.signal?.aborted === true;
  const divergence = found ?? (interrupted ? undefined : sink.finish(end));
  return {
    end,
    cycles: cpu.now,
    instructions: cpu.instructions,
    events: sink.position,
    state: Buffer.from(MachineHash.of(cpu).hash()).toString('hex'),
    exitCode: divergence ? 1 : interrupted ? 130 : 0,
    ...(divergence && { divergence }),
  };
}

/** Ends that the outside world decided. */
const endsAtCycle = (reason: string): boolean =>
  ['until-cycle', 'max-cycles', 'interrupted', 'until-serial', 'until-debugcon'].includes(reason);

/** The options that make the recorded machine again. */
function bootOptionsOf(reader: TraceReader): BootOptions {
  const { header, notes } = reader;
  const names = (role: string) => header.images.flatMap((image, i) => (image.role === role ? [notes.names[i]!] : []));
  const o = recordedOptions(reader);
  const files = names('fw-cfg');
  const strings = [...o.fwCfgStrings];
  const hashes = new Set(header.images.filter((i) => i.role === 'fw-cfg').map((i) => i.sha256));
  const kernel = names('kernel')[0];
  const initrd = names('initrd')[0];
  const bios = names('bios')[0];
  const cdrom = names(DISK_ROLES.cdrom)[0];
  return {
    machine: header.machine as BootOptions['machine'] & string,
    ...(!o.acpi && { acpi: false }),
    ...(!o.legacyVirtio && { legacyVirtio: false }),
    devices: o.devices as NonNullable<BootOptions['devices']>,
    memory: header.memory,
    cpu: header.cpu,
    boot: header.route as Route,
    // Of a boot without a kernel the empty command line says nothing.
    ...((kernel !== undefined || header.commandLine !== '') && { append: header.commandLine }),
    ...(kernel !== undefined && { kernel }),
    ...(initrd !== undefined && { initrd }),
    ...(bios !== undefined && { bios }),
    optionRoms: names('option-rom'),
    drives: header.images.flatMap(({ role }, i) => {
      const path = notes.names[i]!;
      return role === DISK_ROLES.ide ? [{ path }] : role === DISK_ROLES.virtio ? [{ path, interface: 'virtio' }] : [];
    }),
    ...(cdrom !== undefined && { cdrom }),
    ...(!o.fwCfgDma && { fwCfgDma: false }),
    vga: o.vga,
    bootMenu: o.bootMenu,
    modules: names('module').map((path, i) => ({ path, cmdline: o.modules[i] ?? '' })),
    fwCfg: o.fwCfg.map(([name, hash]) => {
      const file = hashes.has(hash) ? files.shift() : undefined;
      return file === undefined ? { name, string: strings.shift() ?? '' } : { name, file };
    }),
    rtc: o.rtc,
    seed: o.seed,
    handoffAt: entryOf(reader).points.flatMap(({ address, protocol }) =>
      protocol === 'any' ? [`0x${address.toString(16)}`] : [],
    ),
  };
}

/** The header's options by type. @throws TraceError when they are not, or images have no names */
function recordedOptions({ header, notes, path }: TraceReader) {
  try {
    if (notes.names.length < header.images.length) throw new Error('images without names');
    const { rtc, seed, fwCfgDma, vga, modules = [], fwCfg = [], fwCfgStrings = [], devices = [] } = header.options;
    return {
      rtc: text(rtc, 'rtc'),
      seed: integer(seed, Number.MAX_SAFE_INTEGER, 'seed'),
      fwCfgDma: fwCfgDma !== false,
      acpi: header.options.acpi !== false,
      legacyVirtio: header.options.legacyVirtio !== false,
      devices: list(devices, 'devices').map((item) => text(item, 'a device')),
      vga: vga === 'std' ? ('std' as const) : ('none' as const),
      bootMenu: header.options.bootMenu === true,
      modules: list(modules, 'modules').map((item) => text(item, 'a module')),
      fwCfg: list(fwCfg, 'fwCfg').map((item) => {
        const [name, hash] = list(item, 'fwCfg');
        return [text(name, 'fwCfg'), text(hash, 'fwCfg')] as const;
      }),
      fwCfgStrings: list(fwCfgStrings, 'fwCfgStrings').map((item) => text(item, 'fwCfgStrings')),
    };
  } catch (error) {
    const { message } = error as Error;
    throw new TraceError(path, `the header does not tell how to boot again (${message}): replay without --live`);
  }
}
