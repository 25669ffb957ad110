// The program as loader: one request for every direct route, one checked image as result. Pure: bytes in, bytes
// out. Routes through firmware are not made here; there, the guest's own code does the work.
// Every message names the file and what to do.

import { ImageError } from './boot-error.js';
import { type BootImage, checkImage, type MemoryRange } from './image.js';
import { buildLinux } from './linux.js';
import { buildLinux16 } from './linux16.js';
import { buildMultiboot } from './multiboot.js';
import { buildMultiboot2 } from './multiboot2.js';
import type { NamedFile } from './placement.js';
import { buildPvh, type PvhModule } from './pvh.js';
import type { DirectRoute } from './route.js';
import type { Screen } from './video-mode.js';

export interface BootRequest {
  route: DirectRoute;
  kernel: NamedFile;
  initrd?: NamedFile;
  /** Kernel command line. */
  append?: string;
  /** Further files for the kernel, each with its own command line. */
  modules?: readonly PvhModule[];
  /** The machine's memory map, as the guest is told it; images go into its usable RAM below 4 GiB. */
  memoryMap: readonly MemoryRange[];
  /** Physical address of the ACPI RSDP, when the machine's tables are already in its memory. */
  rsdp?: number;
  /** The RSDP's bytes, for protocols that hand over a copy. */
  rsdpTable?: Uint8Array;
  /** The machine's screen, for kernels that ask for one. */
  screen?: Screen;
  /** Memory that others fill before the guest starts (ACPI tables, …), which images must not touch. */
  reserved?: readonly { address: number; length: number; role: string }[];
}

/**
 * Lay a kernel and its files out in guest memory.
 * @throws ImageError when an image is damaged, is not for this route, or does not fit the machine
 */
export function buildBoot(request: BootRequest): BootImage {
  const image = build(request);
  const reserved = (request.reserved ?? []).map(({ address, length, role }) => ({ address, length, role }));
  for (const other of reserved) {
    for (const segment of image.segments) {
      const end = segment.address + segment.data.length + (segment.zeros ?? 0);
      if (segment.address < other.address + other.length && other.address < end) {
        throw new ImageError(
          `${request.kernel.name}: ${segment.role} would overwrite ${other.role}; give the guest more memory with --memory`,
        );
      }
    }
  }
  return checkImage(request.kernel.name, image, request.memoryMap);
}

function build(request: BootRequest): BootImage {
  switch (request.route) {
    case 'pvh':
      return buildPvh(request);
    case 'linux64':
    case 'linux32':
    case 'linux16':
      if (request.modules && request.modules.length > 0) {
        throw new ImageError(`--module is not for --boot ${request.route}; use --initrd`);
      }
      return request.route === 'linux16' ? buildLinux16(request) : buildLinux(request.route, request);
    case 'multiboot':
      return buildMultiboot(request);
    case 'multiboot2':
      return buildMultiboot2(request);
  }
}
