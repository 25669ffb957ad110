// The screen at the end of a trace, from its events alone: no processor runs. Text is shown as text; of a picture only
// the size is told (a replay with --screenshot draws it).

import { screenMode, textScreen } from '../platform/screen/screen.js';
import type { TraceReader } from '../trace/reader.js';
import { screenWatch } from './screen-watch.js';

/** What the screen showed last. */
export type FinalScreen =
  | { readonly kind: 'blank' }
  | {
      readonly kind: 'text';
      readonly columns: number;
      readonly rows: number;
      /** One a row, trailing blanks removed. */
      readonly lines: readonly string[];
      readonly cursor: { readonly column: number; readonly row: number } | null;
    }
  | {
      readonly kind: 'graphics';
      readonly width: number;
      readonly height: number;
      /** Bits a pixel of the linear modes, 0 for the VGA's own. */
      readonly depth: number;
    };

/** Undefined where the machine has no screen. @throws TraceError when the events cannot be read */
export function finalScreen(reader: TraceReader): FinalScreen | undefined {
  const watch = screenWatch(reader);
  if (watch === undefined) return undefined;
  for (const event of reader.events()) {
    const { address, value, data } = event;
    const size = event.size as 1 | 2 | 4;
    switch (event.kind) {
      case 'port-read':
        watch.portRead(address, size);
        break;
      case 'port-write':
        watch.portWrite(address, size, value);
        break;
      case 'port-read-string':
        watch.portReadString(address, size, Math.floor(data.length / size));
        break;
      case 'port-write-string':
        watch.portWriteString(address, size, data);
        break;
      case 'mmio-read':
        watch.mmioRead(address, size);
        break;
      case 'mmio-write':
        watch.mmioWrite(address, size, value);
        break;
      case 'mmio-read-string':
        watch.mmioReadString(address, size, Math.floor(data.length / size));
        break;
      case 'mmio-write-string':
        watch.mmioWriteString(address, size, data);
        break;
      case 'stop':
        if (event.name === 'reset') watch.reset();
        break;
      default:
        break;
    }
  }
  const { vga } = watch;
  const text = textScreen(vga);
  if (text) return { kind: 'text', ...text, cursor: text.cursor ?? null };
  const mode = screenMode(vga);
  return mode.kind === 'graphics' ? mode : { kind: 'blank' };
}

/** For people: the text in a frame, or what it is instead. */
export function screenLines(screen: FinalScreen): string[] {
  if (screen.kind === 'blank') return ['screen      blank'];
  if (screen.kind === 'graphics') {
    const depth = screen.depth === 0 ? '' : `, ${screen.depth} bits a pixel`;
    return [`screen      ${screen.width} × ${screen.height} pixels${depth}; replay with --screenshot shows them`];
  }
  const { columns, rows, lines, cursor } = screen;
  const where = cursor ? `, cursor at row ${cursor.row}, column ${cursor.column}` : ', no cursor';
  const used = lines.findLastIndex((line) => line !== '') + 1;
  return [`screen      ${columns} × ${rows} characters${where}`, ...lines.slice(0, used).map((line) => `  | ${line}`)];
}
