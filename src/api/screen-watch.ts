// A VGA that is told the bus traffic of a trace, in the state in which the recorded machine's VGA was at cycle 0: after
// reset where firmware ran, else as the program set it up in the place of firmware.

import { setUpAsFirmware } from '../platform/firmware-setup.js';
import { VgaWatch } from '../platform/screen/vga-watch.js';
import { setUpScreen } from '../platform/video-setup.js';
import { TraceError } from '../trace/error.js';
import { integer, list } from '../trace/fields.js';
import type { TraceHeader } from '../trace/header.js';

/**
 * Undefined where the machine has no screen.
 * @throws TraceError when the header has a mode that is none
 */
export function screenWatch({ header, path }: { header: TraceHeader; path: string }): VgaWatch | undefined {
  const { options, rom } = header;
  if (options.vga !== 'std') return undefined;
  if (rom.length > 0) return new VgaWatch();
  const mode = options.video === undefined ? undefined : modeOf(options.video, path);
  return new VgaWatch((bus) => {
    setUpAsFirmware(bus);
    setUpScreen(bus, mode);
  });
}

function modeOf(video: unknown, path: string): { width: number; height: number; depth: number } {
  try {
    const [width = 0, height = 0, depth = 0] = list(video, 'video').map((value) => integer(value, 0xffff, 'video'));
    return { width, height, depth };
  } catch (error) {
    throw new TraceError(
      path,
      `the header has no usable video mode (${(error as Error).message}): record the boot again`,
    );
  }
}
