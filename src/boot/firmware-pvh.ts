// An ELF kernel with a PVH note for pvh.bin. QEMU 7.2 writes the segments into RAM itself, at every reset, and tells
// the option ROM the entry (hw/i386/x86.c, load_elfboot); the option ROM makes hvm_start_info.

import { FW_CFG } from '../platform/devices/fw-cfg.js';
import { elfSymbols, parseElf } from './elf.js';
import { elfExtent, elfMemory } from './elf-memory.js';
import { commandLine, type FirmwareLoad, type FirmwareRequest, initrdItems, item32 } from './firmware-items.js';
import { pvhEntry } from './pvh.js';

/** The first bytes of the file stand in for the setup code; QEMU gives out a dangling pointer to them. */
const HEADER_SIZE = 8192;

/** @throws ImageError */
export function pvhItems(request: FirmwareRequest, initrdEnd: number): Omit<FirmwareLoad, 'rom'> {
  const { kernel } = request;
  const elf = parseElf(kernel.name, kernel.bytes);
  const entry = pvhEntry(elf);
  const { low, high } = elfExtent(elf);
  const cmdline = commandLine(request.append ?? '');
  const header = new Uint8Array(HEADER_SIZE);
  header.set(kernel.bytes.subarray(0, HEADER_SIZE));
  const items = [
    item32(FW_CFG.KERNEL_ENTRY, entry),
    item32(FW_CFG.KERNEL_ADDR, low),
    item32(FW_CFG.KERNEL_SIZE, high - low),
    item32(FW_CFG.CMDLINE_SIZE, cmdline.length),
    { key: FW_CFG.CMDLINE_DATA, data: cmdline },
    item32(FW_CFG.SETUP_SIZE, header.length),
    { key: FW_CFG.SETUP_DATA, data: header },
    ...initrdItems(request.initrd, initrdEnd).items,
  ];
  const handoffs = [{ address: BigInt(entry), protocol: 'pvh' as const }];
  return { items, segments: elfMemory(elf, request.lowMemoryEnd), symbols: elfSymbols(elf), handoffs };
}
