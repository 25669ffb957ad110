// What the screen showed over a boot: a picture at each of many equal distances where it is not the one before, from
// the events alone. As many as fit a budget of bytes; of a text screen its text comes along.

import { encodePng } from '../api/png.js';
import { screenWatch } from '../api/screen-watch.js';
import { pictureOf } from '../platform/screen/picture.js';
import { textScreen } from '../platform/screen/screen.js';
import type { VgaWatch } from '../platform/screen/vga-watch.js';
import type { TraceEvent } from '../trace/events.js';
import type { TraceReader } from '../trace/reader.js';
import type { ScreenView } from './payload.js';

/** Points in time at which the screen is looked at. */
const LOOKS = 400;
/** Bytes of pictures in a page. */
const BUDGET = 0xc_0000;

export class ScreenFilm {
  readonly screens: ScreenView[] = [];
  readonly #watch: VgaWatch | undefined;
  readonly #distance: number;
  #pictures: Uint8Array[] = [];
  #size = 0;
  #next = 0;
  #last = '';
  #touched = true;

  /** @param cycles of the whole trace */
  constructor(reader: TraceReader, cycles: number) {
    this.#watch = screenWatch(reader);
    this.#distance = Math.max(1, cycles / LOOKS);
  }

  get hasScreen(): boolean {
    return this.#watch !== undefined;
  }

  /** Take the next event; the screen before it is looked at when its time has come. */
  add(event: TraceEvent): void {
    const watch = this.#watch;
    if (!watch) return;
    if (event.cycle >= this.#next) {
      this.#look(event.cycle);
      this.#next = event.cycle + this.#distance;
    }
    if (this.#tell(watch, event)) this.#touched = true;
  }

  /** The pictures' bytes, when all events have come. */
  finish(cycle: number): Uint8Array {
    if (this.#watch) this.#look(cycle, true);
    return Buffer.concat(this.#pictures);
  }

  #look(cycle: number, last = false): void {
    if (!this.#touched) return;
    this.#touched = false;
    const { vga } = this.#watch!;
    const picture = pictureOf(vga);
    const key = Buffer.from(picture.rgb.buffer, picture.rgb.byteOffset, picture.rgb.length).toString('latin1');
    if (key === this.#last) return;
    this.#last = key;
    const png = encodePng(picture);
    if (this.#size + png.length > BUDGET && !last) return;
    const text = textScreen(vga);
    const { width, height } = picture;
    this.screens.push({
      cycle,
      image: [this.#size, png.length],
      width,
      height,
      ...(text && { lines: text.lines }),
    });
    this.#pictures.push(png);
    this.#size += png.length;
  }

  #tell(watch: VgaWatch, { kind, address, size, value, data, name }: TraceEvent): boolean {
    const width = size as 1 | 2 | 4;
    switch (kind) {
      case 'port-read':
        watch.portRead(address, width);
        return false;
      case 'port-write':
        watch.portWrite(address, width, value);
        return true;
      case 'port-read-string':
        watch.portReadString(address, width, Math.floor(data.length / width));
        return false;
      case 'port-write-string':
        watch.portWriteString(address, width, data);
        return true;
      case 'mmio-read':
        watch.mmioRead(address, width);
        return false;
      case 'mmio-write':
        watch.mmioWrite(address, width, value);
        return true;
      case 'mmio-read-string':
        watch.mmioReadString(address, width, Math.floor(data.length / width));
        return false;
      case 'mmio-write-string':
        watch.mmioWriteString(address, width, data);
        return true;
      case 'stop':
        if (name === 'reset') watch.reset();
        return true;
      default:
        return false;
    }
  }
}
