// Which boot routes a kernel's file itself offers, the most capable first. What counts is what stands in the file
// as it is: a bzImage that would unpack to a PVH kernel is a Linux image here, and booted so unless told otherwise.
// Invariant: never throws. Routes that the program cannot load are named too; loader.ts refuses them by name.

import { ImageError } from './boot-error.js';
import { isLinuxImage, parseLinuxImage, XLF_KERNEL_64 } from './bzimage.js';
import { isElf, parseElf } from './elf.js';
import { findMultiboot2Header, findMultibootHeader } from './multiboot-header.js';
import { pvhEntry, pvhNote } from './pvh.js';
import type { DirectRoute } from './route.js';

/**
 * Routes that the file offers, in the order of preference that `--boot` defaults to; empty when it is no kernel.
 * Never throws: a damaged file offers nothing, and the route chosen by name says what is wrong with it.
 */
export function detectRoutes(bytes: Uint8Array): DirectRoute[] {
  const routes: DirectRoute[] = [];
  if (isElf(bytes) && offersPvh(bytes)) routes.push('pvh');
  if (findMultibootHeader(bytes) !== undefined) routes.push('multiboot');
  if (findMultiboot2Header(bytes) !== undefined) routes.push('multiboot2');
  if (isLinuxImage(bytes)) routes.push(...linuxRoutes(bytes));
  return routes;
}

/**
 * What keeps a file that offers no route from being a kernel.
 * @param name what messages call the file
 * @returns the error that the file's own format gives, or one that says what it is not
 */
export function whyNoKernel(name: string, bytes: Uint8Array): ImageError {
  try {
    if (isElf(bytes)) pvhEntry(parseElf(name, bytes));
    else if (isLinuxImage(bytes)) parseLinuxImage(name, bytes);
  } catch (error) {
    if (error instanceof ImageError) return error;
    throw error;
  }
  if (bytes.length === 0) return new ImageError(`${name}: the file is empty; fetch or build it again`);
  return new ImageError(
    `${name}: there is no ELF magic at offset 0, no Linux header at offset 0x202 and no multiboot header; ` +
      'give an ELF kernel or a bzImage',
  );
}

function offersPvh(bytes: Uint8Array): boolean {
  return orIfDamaged(false, () => pvhNote(parseElf('kernel', bytes)) !== undefined);
}

function linuxRoutes(bytes: Uint8Array): DirectRoute[] {
  return orIfDamaged([], () => {
    const { xloadFlags } = parseLinuxImage('kernel', bytes);
    return xloadFlags & XLF_KERNEL_64 ? ['linux64', 'linux32', 'linux16'] : ['linux32', 'linux16'];
  });
}

function orIfDamaged<T>(otherwise: T, judge: () => T): T {
  try {
    return judge();
  } catch (error) {
    if (error instanceof ImageError) return otherwise;
    throw error;
  }
}
