// A Linux image for linuxboot.bin and linuxboot_dma.bin: setup code and kernel apart, the loader's fields of the setup
// header filled in (Linux's Documentation/arch/x86/boot.rst; the values are those of QEMU 7.2's x86_load_linux).
// Unlike the direct routes this takes old protocols and zImages too: the guest's own setup code deals with them.

import { FW_CFG } from '../platform/devices/fw-cfg.js';
import { XLF_CAN_BE_LOADED_ABOVE_4G } from './bzimage.js';
import { commandLine, type FirmwareLoad, type FirmwareRequest, initrdItems, item32 } from './firmware-items.js';
import { ImageReader } from './image-reader.js';
import type { HandoffPoint } from './route.js';

/** How much of the file QEMU reads as header and writes back into the setup code. */
const HEADER_SIZE = 8192;
const LOADED_HIGH = 1;
const CAN_USE_HEAP = 0x80;
const LOADER_QEMU = 0xb0;
/** Before protocol 2.02 the command line is found by this magic. */
const CMDLINE_MAGIC = 0xa33f;
const VGA_MODES: Record<string, number> = { normal: 0xffff, ext: 0xfffe, ask: 0xfffd };

/** @throws ImageError */
export function linuxItems(request: FirmwareRequest, initrdEnd: number): Omit<FirmwareLoad, 'rom'> {
  const { kernel: file, initrd } = request;
  const reader = new ImageReader(file.name, file.bytes);
  const what = 'the Linux setup header';
  const version = reader.u16(0x206, what);
  const setupSize = ((reader.u8(0x1f1, what) || 4) + 1) * 512;
  if (setupSize > reader.length)
    throw reader.error(`the setup code claims ${setupSize} bytes (offset 0x1f1), the file has ${reader.length}`);
  const text = request.append ?? '';
  const cmdline = commandLine(text);
  const low = version < 0x200 || (reader.u8(0x211, what) & LOADED_HIGH) === 0;
  const old = low || version < 0x202;
  const realAddress = old ? 0x9_0000 : 0x1_0000;
  const cmdlineAddress = old ? 0x9_a000 - ((cmdline.length - 1 + 16) & ~15) : 0x2_0000;
  const kernelAddress = low ? 0x1_0000 : 0x10_0000;
  if (initrd && version < 0x200)
    throw reader.error('boot protocols before 2.00 (offset 0x206) know no initrd', 'boot it without --initrd');
  const placed = initrdItems(initrd, Math.min(initrdLimit(reader, version), initrdEnd));
  const setup = setupCode(reader, {
    cmdline: text,
    cmdlineAddress,
    realAddress,
    initrd: initrd && { address: placed.address, size: initrd.bytes.length },
  });
  const kernel = file.bytes.subarray(setupSize);
  const items = [
    item32(FW_CFG.CMDLINE_ADDR, cmdlineAddress),
    item32(FW_CFG.CMDLINE_SIZE, cmdline.length),
    { key: FW_CFG.CMDLINE_DATA, data: cmdline },
    ...placed.items,
    item32(FW_CFG.KERNEL_ADDR, kernelAddress),
    item32(FW_CFG.KERNEL_SIZE, kernel.length),
    { key: FW_CFG.KERNEL_DATA, data: kernel },
    item32(FW_CFG.SETUP_ADDR, realAddress),
    item32(FW_CFG.SETUP_SIZE, setup.length),
    { key: FW_CFG.SETUP_DATA, data: setup },
  ];
  const handoffs: HandoffPoint[] = [{ address: BigInt(realAddress) + 0x200n, protocol: 'linux16' }];
  // Where the setup code goes on to; a zImage moves itself first.
  if (!low) handoffs.push({ address: BigInt(reader.u32(0x214, what)), protocol: 'linux32' });
  return { items, segments: [], symbols: [], handoffs };
}

/** What the loader writes into the setup code. */
export interface LoaderFields {
  cmdline: string;
  cmdlineAddress: number;
  realAddress: number;
  initrd: { address: number; size: number } | undefined;
}

/**
 * The setup code with the loader's fields filled in: a copy.
 * @throws ImageError when it is longer than the file, or vga= on the command line is no mode
 */
export function setupCode(reader: ImageReader, fields: LoaderFields): Uint8Array {
  const { cmdline, cmdlineAddress, realAddress, initrd } = fields;
  const what = 'the Linux setup header';
  const version = reader.u16(0x206, what);
  const setupSize = ((reader.u8(0x1f1, what) || 4) + 1) * 512;
  const setup = new Uint8Array(reader.slice(0, setupSize, 'the setup code'));
  const view = new DataView(setup.buffer);
  // Fields past the setup code or past what QEMU rewrites are lost, as there.
  const put = (offset: number, size: 1 | 2 | 4, value: number): void => {
    if (offset + size > Math.min(setupSize, HEADER_SIZE)) return;
    if (size === 4) view.setUint32(offset, value, true);
    else if (size === 2) view.setUint16(offset, value, true);
    else view.setUint8(offset, value);
  };
  if (version >= 0x202) put(0x228, 4, cmdlineAddress);
  else {
    put(0x20, 2, CMDLINE_MAGIC);
    put(0x22, 2, cmdlineAddress - realAddress);
  }
  const mode = videoMode(reader, cmdline);
  if (mode !== undefined) put(0x1fa, 2, mode);
  if (version >= 0x200) put(0x210, 1, LOADER_QEMU);
  if (version >= 0x201) {
    put(0x211, 1, view.getUint8(0x211) | CAN_USE_HEAP);
    put(0x224, 2, cmdlineAddress - realAddress - 0x200);
  }
  if (initrd) {
    put(0x218, 4, initrd.address);
    put(0x21c, 4, initrd.size);
  }
  return setup;
}

/** The highest address that a byte of the initrd may have, as far as the kernel has a say. */
function initrdLimit(reader: ImageReader, version: number): number {
  const what = 'the Linux setup header';
  if (version >= 0x20c && reader.u16(0x236, what) & XLF_CAN_BE_LOADED_ABOVE_4G) return 0xffff_ffff;
  return version >= 0x203 ? reader.u32(0x22c, what) : 0x37ff_ffff;
}

/** `vga=` of the command line, which boot loaders have to obey: a name or a number as C writes it. */
function videoMode(reader: ImageReader, cmdline: string): number | undefined {
  const at = cmdline.indexOf('vga=');
  if (at < 0) return undefined;
  const value = cmdline.slice(at + 4);
  const name = Object.keys(VGA_MODES).find((known) => value.startsWith(known));
  if (name !== undefined) return VGA_MODES[name];
  const number = /^(0x[0-9a-f]+|[0-9]+)(?= |$)/i.exec(value)?.[1];
  if (number === undefined) throw reader.error('vga= on the command line is no video mode', 'mend it in --append');
  const octal = /^0[0-7]+$/.test(number);
  return (octal ? Number.parseInt(number, 8) : Number(number)) & 0xffff;
}
