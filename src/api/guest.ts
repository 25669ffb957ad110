// Puts a guest together: images, memory, processor, platform. The result has run nothing yet. A recorder may be put
// between processor and platform; the guest is the same with and without it.
//
// A direct boot finds what firmware would have left: tables in memory, device registers set up. Both come before cycle
// 0 and are not recorded. Invariant: what the guest can see follows from the options and the files alone.

import { detectRoutes, whyNoKernel } from '../boot/detect.js';
import type { FirmwareLoad } from '../boot/firmware-items.js';
import { type BootImage, GENERAL_REGISTERS, SEGMENT_REGISTERS } from '../boot/image.js';
import { buildBoot } from '../boot/loader.js';
import type { DirectRoute, HandoffPoint } from '../boot/route.js';
import type { GuestMemory, ProcessorLines, RunEnd, ShadowLines, TimingModel } from '../cpu/bus.js';
import { Cpu } from '../cpu/cpu.js';
import { CPU_MODELS, findCpuModel, QEMU64_V1 } from '../cpu/cpuid.js';
import * as L from '../cpu/layout.js';
import { ShadowMemory } from '../cpu/shadow.js';
import { saveProcessor } from '../cpu/snapshot.js';
import { buildAcpiTables } from '../platform/acpi/tables.js';
import type { BlockSource } from '../platform/block/block-image.js';
import type { Board, BoardOptions } from '../platform/board.js';
import type { Plain } from '../platform/device.js';
import type { FwCfg } from '../platform/devices/fw-cfg.js';
import type { Vga } from '../platform/devices/vga/vga.js';
import { firmwareE820, fwCfgE820, MIB, microvmE820, splitRam } from '../platform/e820.js';
import { setUpAsFirmware } from '../platform/firmware-setup.js';
import { placeFirmwareTables } from '../platform/firmware-tables.js';
import { Pc } from '../platform/pc.js';
import { addPcItems } from '../platform/pc-fw-cfg.js';
import { PcShadow } from '../platform/pc-shadow.js';
import { VGA_WINDOW, VGA_WINDOW_SIZE } from '../platform/pc-vga.js';
import { buildSmbios } from '../platform/smbios.js';
import { FRAME_BUFFER, setUpScreen } from '../platform/video-setup.js';
import { takeMemory } from '../start/early-memory.js';
import type { TraceHeader } from '../trace/header.js';
import { FollowedWords, WORD_SIZE } from '../trace/known-words.js';
import { type MemoryRegion, withoutBlanks } from '../trace/memory.js';
import { checkOptions } from './check-options.js';
import { changeDisks, type Disks, openDisks } from './disks.js';
import { prepareFirmware, romRanges, romSizeOf } from './firmware-guest.js';
import { entryState, HandoffWatch } from './handoff.js';
import { type ImageFile, imageRecord, readImage } from './images.js';
import { MachineHash } from './machine-state.js';
import { MicrovmPlan } from './microvm-guest.js';
import type { BootOptions, Route } from './options.js';
import { changedPieces } from './reset-memory.js';
import { scheduleInputs } from './typing.js';
import { UserError } from './user-error.js';

/** 4 ns a cycle, instruction costs of the opcode rows. The name changes whenever a cost does. */
export const TIMING: TimingModel = { name: 'vmreplay-1', nsPerCycle: 4 };

const MAX_RAM = 3 * 1024 * MIB;
const MIN_RAM = 2 * MIB;

/** Processor and physical memory without a platform. */
export interface Hardware {
  readonly cpu: Cpu;
  readonly memory: GuestMemory;
  /** The chipset's say in the memory map, on machines with ROM. */
  readonly shadow: ShadowMemory | undefined;
}

/** What is noted of what the guest sees of its initial memory. */
export interface Tracking {
  /** Where: `[guest physical address, bytes]`. */
  readonly loaded: readonly (readonly [address: number, bytes: number])[];
  /** Bytes that are known together or not at all, for state hashes: WORD_SIZE, or 1 in old traces. */
  readonly words: number;
}

/** How a recorder gets between processor and platform; the identity for a plain run. */
export interface Seams {
  lines(inner: ProcessorLines): ProcessorLines;
  memory(inner: GuestMemory): GuestMemory;
  shadow?(inner: ShadowLines): ShadowLines;
  /** What a direct boot is about to put into memory, to be changed. */
  placed?(boot: BootImage): void;
  /** The fw_cfg items, all of them there, to be changed. */
  configured?(fwCfg: FwCfg): void;
  /** Another disk in the place of one, IDE places first. */
  disk?(source: BlockSource, n: number): BlockSource;
  /** The processor notes branches and comparisons (`cpu.coverage`). */
  readonly coverage?: boolean;
  /** What the guest sees of its initial memory is not noted (cpu/observed.ts): it makes no difference to the guest. */
  readonly unobserved?: boolean;
  /** How it is noted, where a trace says so; else it is wherever there is anything but zeros. */
  readonly tracking?: Tracking;
}
export const NO_SEAMS: Seams = { lines: (inner) => inner, memory: (inner) => inner };

export interface Guest extends Hardware {
  /** The machine around them, whichever it is. */
  readonly pc: Board;
  /** What the screen shows comes from here; undefined without one. */
  readonly vga: Vga | undefined;
  readonly boot: BootImage;
  readonly handoff: HandoffWatch;
  readonly header: TraceHeader;
  readonly imageNames: readonly string[];
  /** Their bytes, but for disks, which come behind the others. */
  readonly imageBytes: readonly Uint8Array[];
  /** Option ROMs that the firmware finds. */
  readonly optionRoms: readonly ImageFile[];
  /** End the run from outside the guest: no event of the machine's, only the end of the trace. */
  stop(end: RunEnd): void;
  /** Start anew, as a reset does; undefined on machines that have no firmware to start. */
  readonly reset: (() => void) | undefined;
  /** Memory at cycle 0. */
  readonly initialMemory: readonly MemoryRegion[];
  /** The same without pages of RAM that have zeros alone; nothing where what the guest sees is not noted. */
  readonly tracedMemory: readonly MemoryRegion[];
}

/** Note from cycle 0 on what the guest sees of its memory. */
export function followMemory(cpu: Cpu, { loaded, words }: Tracking): void {
  const { physical } = cpu;
  for (const [address, length] of loaded) physical.track(address, length);
  if (words === WORD_SIZE)
    MachineHash.of(cpu).known = new FollowedWords(physical.ramSize >>> 12, loaded, physical.observed);
}

/**
 * A processor with RAM and empty ROM, as a trace header or options describe them.
 * @param rom ranges of the header, none without firmware
 * @param vga the bus answers in the window at 0xa0000; with firmware it does in any case
 * @throws UserError
 */
export function makeHardware(
  memory: number,
  cpuName: string | undefined,
  rom: readonly (readonly [number, number])[] = [],
  machine = 'pc',
  vga = false,
  coverage = false,
): Hardware {
  if (!Number.isInteger(memory) || memory < MIN_RAM || memory > MAX_RAM || memory % 4096 !== 0)
    throw new UserError(`--memory ${sizeText(memory)}: guest RAM is 2M to 3G in whole pages; choose a size in between`);
  const model = cpuName === undefined ? QEMU64_V1 : findCpuModel(cpuName);
  if (model === undefined) {
    const names = CPU_MODELS.map((m) => m.name).join(', ');
    throw new UserError(`--cpu ${cpuName}: there is no such CPU model; choose one of ${names}`);
  }
  const romSize = romSizeOf(rom, machine);
  const hasShadow = romSize > 0 && machine === 'pc';
  const romRoom = romSize + (hasShadow ? 4096 * L.EXTRA_ROM_PAGES : 0);
  const cpu = new Cpu({ model, timing: TIMING, ramSize: memory, romSize: romRoom, coverage, memory: takeRoom });
  if (romSize === 0) {
    // Without firmware nobody switches PAM and SMRAM: the one thing in front of RAM is a VGA's window.
    if (vga) cpu.physical.hide(VGA_WINDOW, VGA_WINDOW_SIZE);
    return { cpu, memory: cpu.physical, shadow: undefined };
  }
  cpu.physical.mapRom(0x1_0000_0000 - romSize, romSize);
  if (!hasShadow) return { cpu, memory: cpu.physical, shadow: undefined };
  const shadow = new ShadowMemory(cpu.physical, cpu.code, cpu.mmu);
  shadow.install(romSize, vga);
  cpu.onSmm = (active) => shadow.smm(active);
  return { cpu, memory: cpu.physical, shadow };
}

/** The processor's memory. @throws UserError where there is no room for it */
function takeRoom(pages: number): WebAssembly.Memory {
  try {
    return takeMemory(pages);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UserError(
      `there is no room for the guest's memory, ${pages >>> 4} MiB with what the processor needs, for which V8 reserves ` +
        '10 GiB of addresses; raise their limit (ulimit -v), or give it less with --memory',
    );
  }
}

/** A size as --memory takes it. */
const sizeText = (bytes: number): string => (bytes % MIB === 0 ? `${bytes / MIB}M` : `${bytes}B`);

interface BootFiles {
  readonly kernel: ImageFile | undefined;
  readonly initrd: ImageFile | undefined;
  readonly modules: readonly (ImageFile & { cmdline: string })[];
  readonly fwCfg: readonly { name: string; data: Uint8Array; image: ImageFile | undefined }[];
  readonly serialIn: Uint8Array | undefined;
  readonly disks: Disks;
}

function readFiles(options: BootOptions, { disk }: Seams): BootFiles {
  return {
    kernel: options.kernel === undefined ? undefined : readImage('kernel', options.kernel),
    initrd: options.initrd === undefined ? undefined : readImage('initrd', options.initrd),
    modules: (options.modules ?? []).map((m) => ({ ...readImage('module', m.path), cmdline: m.cmdline ?? '' })),
    fwCfg: (options.fwCfg ?? []).map((item) => {
      if (item.file === undefined)
        return { name: item.name, data: new TextEncoder().encode(item.string ?? ''), image: undefined };
      const image = readImage('fw-cfg', item.file);
      return { name: item.name, data: image.bytes, image };
    }),
    serialIn: options.serialIn === undefined ? undefined : readImage('serial-in', options.serialIn).bytes,
    disks: disk ? changeDisks(openDisks(options), disk) : openDisks(options),
  };
}

function chooseRoute(options: BootOptions, kernel: ImageFile | undefined): Route {
  const route = options.boot ?? (options.bios !== undefined || kernel === undefined ? 'firmware' : undefined);
  if (route === 'firmware') return route;
  if (options.bios !== undefined || (options.optionRoms ?? []).length > 0)
    throw new UserError(
      `--bios and --option-rom are for --boot firmware; leave them out, or ${route ? `--boot ${route}` : 'say so'}`,
    );
  if (kernel === undefined) throw new UserError(`--boot ${route} needs a kernel; give an ELF or bzImage with --kernel`);
  return route ?? offeredRoute(kernel);
}

function offeredRoute(kernel: ImageFile): Route {
  const [route] = detectRoutes(kernel.bytes);
  if (route === undefined) throw whyNoKernel(kernel.name, kernel.bytes);
  return route;
}

/** What the screen is: a boot through a PC's firmware has the VGA that QEMU's pc has. */
function screenOf({ machine, vga }: BootOptions, firmware: boolean): 'std' | 'none' {
  if (machine !== 'microvm') return vga ?? (firmware ? 'std' : 'none');
  if (vga === 'std') throw new UserError('--vga std: a microvm has no PCI bus for it; use --machine pc');
  return 'none';
}

/** Build the guest that the options ask for. @throws UserError, ImageError */
export function makeGuest(options: BootOptions, seams: Seams = NO_SEAMS): Guest {
  checkOptions(options);
  const ram = options.memory ?? 128 * MIB;
  const { rtc = '2020-01-01T00:00:00Z', seed = 0 } = options;
  const files = readFiles(options, seams);
  const route = chooseRoute(options, files.kernel);
  const machine = options.machine ?? 'pc';
  const microvm = machine === 'microvm' ? new MicrovmPlan(options, files.disks.virtio) : undefined;
  const firmware = route === 'firmware' ? prepareFirmware(options, files, ram, microvm?.hints) : undefined;
  const rom = firmware ? romRanges(firmware.bios.bytes.length, machine) : [];
  const vga = screenOf(options, route === 'firmware') === 'std';
  const hardware = makeHardware(ram, options.cpu, rom, machine, vga, seams.coverage);
  const { cpu, shadow } = hardware;
  const amd = { amd: cpu.model.vendor === 'AuthenticAMD' };

  const { below, above } = splitRam(ram);
  const fwCfgDma = options.fwCfgDma !== false;
  const bootMenu = options.bootMenu === true;
  const acpi = buildAcpiTables({ lowMemoryEnd: below, highMemoryEnd: 0x1_0000_0000 + above, smm: true, fwCfgDma, vga });
  const { model } = cpu;
  const features = model.cpuid(1, 0, { osxsave: false, apicEnabled: true, xcr0: 1 })[3];
  const smbios = buildSmbios({ ramSize: ram, cpuSignature: model.signature, cpuFeatures: features >>> 0 });
  const initialMemory: MemoryRegion[] = [];
  const placing: GuestMemory = {
    ramSize: ram,
    read: (address, length) => cpu.physical.read(address, length),
    write: (address, data) => {
      // Not copied: a kernel is tens of megabytes, and nobody changes what a loader made.
      initialMemory.push({ address, data });
      cpu.physical.write(address, data);
    },
  };
  let tracedMemory: MemoryRegion[] = [];
  let tracking: Tracking = { loaded: [], words: WORD_SIZE };
  const track = (): void => {
    if (seams.unobserved) return;
    tracedMemory = withoutBlanks(initialMemory);
    const loaded = tracedMemory.map(({ address, data }) => [address, data.length] as const);
    tracking = seams.tracking ?? { ...tracking, loaded };
    followMemory(cpu, tracking);
  };
  let boot: BootImage;
  if (firmware) {
    const { bytes } = firmware.bios;
    const address = 0x1_0000_0000 - bytes.length;
    cpu.physical.fillRom(address, bytes);
    for (const segment of firmware.segments) placing.write(segment.address, segment.data);
    track();
    for (const memory of [initialMemory, tracedMemory]) memory.push({ address, data: bytes });
    const { segments = [], symbols = [] } = firmware.load ?? {};
    boot = { route, segments: [...segments], entry: entryState(cpu), structures: [], symbols: [...symbols] };
  } else {
    // A direct boot finds what firmware would have left: tables in memory, and devices set up (below).
    const rsdp = microvm ? microvm.placeTables(placing) : placeFirmwareTables(placing, { ramSize: ram, acpi, smbios });
    const append = microvm?.hints ? (options.append ?? '') + microvm.hints : options.append;
    boot = buildBoot({
      route: route as Exclude<Route, 'firmware'>,
      kernel: files.kernel!,
      ...(files.initrd && { initrd: files.initrd }),
      ...(append !== undefined && { append }),
      modules: files.modules,
      memoryMap: microvm ? microvmE820(ram) : firmwareE820(ram, amd),
      ...(vga && { screen: FRAME_BUFFER }),
      ...(rsdp !== undefined && { rsdp, rsdpTable: cpu.physical.read(rsdp, 36) }),
    });
    seams.placed?.(boot);
    for (const { address, data } of [...boot.segments, ...(boot.firmware ?? [])])
      if (data.length > 0) placing.write(address, data);
    track();
    enter(cpu, boot);
  }
  const points = handoffPoints(options, boot, firmware?.load);

  const lines = seams.lines(cpu);
  const memory = seams.memory(cpu.physical);
  const pcShadow = shadow && new PcShadow(seams.shadow?.(shadow) ?? shadow);
  const board: BoardOptions = {
    lines,
    memory,
    timing: TIMING,
    ramSize: ram,
    fwCfgDma,
    rtc,
    seed,
  };
  const fill = (fwCfg: FwCfg): void => {
    firmware?.fill(fwCfg);
    for (const item of files.fwCfg) addUserItem(fwCfg, item.name, item.data);
    seams.configured?.(fwCfg);
  };
  const pc: Board = microvm
    ? microvm.build(board, fill)
    : new Pc({
        ...board,
        smm: true,
        ...(vga && { vga: { rom: firmware?.vgaRom?.bytes } }),
        ide: files.disks.ide,
        virtioDisks: files.disks.virtio.map(({ source }) => source),
        ...(pcShadow && { memoryChanged: (bridge) => pcShadow.update(bridge) }),
        fwCfg: (fwCfg) => {
          addPcItems(fwCfg, { ramSize: ram, e820: fwCfgE820(ram, amd), acpi, smbios, bootMenu });
          fill(fwCfg);
        },
      });
  cpu.bus = pc;
  if (!firmware && !microvm) setUpAsFirmware(pc);
  if (!firmware && vga) setUpScreen(pc, boot.video);
  const typeTo = options.typeTo ?? (vga ? 'keyboard' : 'serial');
  scheduleInputs(pc, { type: options.type, typeTo, serialIn: files.serialIn });

  const images: readonly ImageFile[] = [
    ...(files.kernel ? [files.kernel] : []),
    ...(files.initrd ? [files.initrd] : []),
    ...files.modules,
    ...files.fwCfg.flatMap((f) => (f.image ? [f.image] : [])),
    ...(firmware?.images ?? []),
  ];
  const fwCfgStrings = files.fwCfg.filter((f) => f.image === undefined);
  const header: TraceHeader = {
    machine,
    memory: ram,
    cpu: cpu.model.name,
    timing: TIMING,
    route,
    commandLine: options.append ?? '',
    images: [
      ...images.map(({ bytes, record }) => {
        // A file that lies in memory as it is (initrd, module): every byte there has a place in the file.
        const whole = boot.segments.find(({ data }) => data === bytes);
        return whole === undefined ? record : { ...record, address: whole.address };
      }),
      ...files.disks.files.map(({ record }) => record),
    ],
    rom,
    options: {
      rtc,
      seed,
      ...(!fwCfgDma && { fwCfgDma }),
      ...(vga && { vga: 'std' }),
      ...(vga && boot.video && { video: [boot.video.width, boot.video.height, boot.video.depth] }),
      ...(bootMenu && { bootMenu }),
      ...microvm?.headerOptions,
      ...(files.modules.length > 0 && { modules: files.modules.map((m) => m.cmdline) }),
      ...(files.fwCfg.length > 0 && {
        fwCfg: files.fwCfg.map((f): Plain => [f.name, imageRecord('fw-cfg', f.data).sha256]),
      }),
      ...(fwCfgStrings.length > 0 && { fwCfgStrings: fwCfgStrings.map((f) => new TextDecoder().decode(f.data)) }),
      ...(files.serialIn && { serialIn: imageRecord('serial-in', files.serialIn).sha256 }),
      ...(options.type && { type: options.type.map((t): Plain => [t.cycle, t.text]) }),
      ...(options.type && typeTo === 'keyboard' && { typeTo }),
    },
    entry: {
      handoff: points.map(({ address, protocol }): Plain => [address, protocol]),
      loaded: tracking.loaded,
      words: tracking.words,
      processor: saveProcessor(cpu),
    },
  };
  return {
    ...hardware,
    stop: (end) => cpu.stop(end),
    pc,
    vga: pc instanceof Pc ? pc.vga?.vga : undefined,
    boot,
    handoff: new HandoffWatch(cpu, route, points),
    reset:
      firmware &&
      (() => {
        pc.reset();
        cpu.reset();
        const bytes = cpu.state.u8.subarray(L.GUEST, L.GUEST + ram);
        for (const { address, data } of changedPieces(bytes, firmware.segments)) memory.write(address, data);
      }),
    header,
    imageNames: [...images, ...files.disks.files].map((i) => i.name),
    imageBytes: images.map(({ bytes }) => bytes),
    optionRoms: firmware?.optionRoms ?? [],
    initialMemory,
    tracedMemory,
  };
}

/** Where kernels are entered, as far as images and options tell. */
function handoffPoints(
  { handoffAt = [] }: BootOptions,
  { route, entry, handoffs }: BootImage,
  load: FirmwareLoad | undefined,
): HandoffPoint[] {
  const direct = () => [
    { address: entry.segments.cs.base + entry.rip, protocol: route as DirectRoute },
    ...(handoffs ?? []),
  ];
  // Without a kernel given the guest's own boot loader brings one, from wherever.
  const own = [{ address: 0n, protocol: 'jump' as const }];
  const known = route === 'firmware' ? (load?.handoffs ?? own) : direct();
  return [...known, ...handoffAt.map((address) => ({ address: BigInt(address), protocol: 'any' as const }))];
}

/** An fw_cfg item of the user's. @throws UserError when there is one of that name already, or no room */
function addUserItem(fwCfg: FwCfg, name: string, data: Uint8Array): void {
  try {
    fwCfg.addFile(name, data);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UserError(`--fw-cfg name=${name}: ${error.message}; choose another name, such as opt/NAME`);
  }
}

/** Put the processor into the entry state of a direct boot. */
function enter(cpu: Cpu, boot: BootImage): void {
  const { state } = cpu;
  const e = boot.entry;
  GENERAL_REGISTERS.forEach((name, n) => {
    state.setReg(n, e.registers[name]);
  });
  state.rip = e.rip;
  state.set32(L.CR0, e.cr0 >>> 0);
  state.set64(L.CR3, e.cr3);
  state.set32(L.CR4, e.cr4 >>> 0);
  state.set32(L.EFER, e.efer >>> 0);
  SEGMENT_REGISTERS.forEach((name, n) => {
    const s = e.segments[name];
    state.setSegment(n, s.selector, s.base, s.limit, s.attributes);
  });
  state.set64(L.GDTR_BASE, e.gdtr.base);
  state.set32(L.GDTR_LIMIT, e.gdtr.limit);
  state.set64(L.IDTR_BASE, e.idtr.base);
  state.set32(L.IDTR_LIMIT, e.idtr.limit);
  state.set32(L.CPL, 0);
  state.eflags = e.rflags;
  cpu.flushTlb(false);
  cpu.modeChanged();
}
