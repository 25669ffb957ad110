// The frame buffer of a kernel that asks its loader for one: a linear mode with direct colours on QEMU's standard VGA,
// set through its DISPI registers before the kernel's first instruction; or the text mode that the screen starts in.

/** A screen with a linear frame buffer. */
export interface Screen {
  /** Guest physical address of the frame buffer, and its size in bytes. */
  address: number;
  size: number;
}

/** What a kernel would like; 0 leaves the choice to the loader. */
export interface WantedMode {
  width: number;
  height: number;
  depth: number;
}

export interface VideoMode extends WantedMode {
  address: number;
  /** Bytes from one row to the next. */
  pitch: number;
}

const USUAL: WantedMode = { width: 1024, height: 768, depth: 32 };
const LARGEST = { width: 2560, height: 1600 };
/** Position and size of red, green and blue in a pixel, by depth. */
const COLOURS: Readonly<Record<number, readonly number[]>> = {
  15: [10, 5, 5, 5, 0, 5],
  16: [11, 5, 5, 6, 0, 5],
  24: [16, 8, 8, 8, 0, 8],
  32: [16, 8, 8, 8, 0, 8],
};

/** The mode nearest to what is wanted: any size that fits the frame buffer, else the usual one. */
export function chooseMode({ address, size }: Screen, wanted: WantedMode): VideoMode {
  const depth = COLOURS[wanted.depth] === undefined ? USUAL.depth : wanted.depth;
  const bytes = Math.ceil(depth / 8);
  // The registers take widths in units of 8.
  const width = wanted.width & ~7;
  const { height } = wanted;
  const possible = width > 0 && height > 0 && width <= LARGEST.width && height <= LARGEST.height;
  const fits = possible && width * height * bytes <= size;
  const mode = fits ? { width, height } : { width: USUAL.width, height: USUAL.height };
  return { ...mode, depth, address, pitch: mode.width * bytes };
}

/** The text mode that a screen starts in, as Multiboot describes one: sizes in characters, the pitch in bytes. */
export const TEXT_MODE: VideoMode = { address: 0xb_8000, width: 80, height: 25, depth: 16, pitch: 160 };

const [DIRECT_COLOURS, EGA_TEXT] = [1, 2];

/** framebuffer_bpp, framebuffer_type and the colours' description, for both versions of Multiboot. */
export function describeMode(mode: VideoMode): { depth: number; type: number; colours: Uint8Array } {
  if (mode === TEXT_MODE) return { depth: mode.depth, type: EGA_TEXT, colours: new Uint8Array(0) };
  return { depth: mode.depth, type: DIRECT_COLOURS, colours: Uint8Array.from(COLOURS[mode.depth]!) };
}
