// Which bytes of the initial memory the guest has seen. A sealed replay needs those and no others, so a trace of a
// 40 MB kernel holds the few hundred kilobytes of it that ran.
//
// Pages that a loader filled start out partial: no TLB entry is made for them, every access comes through the slow
// path, which marks 4-byte lines as observed (read or executed before they were overwritten) and bytes as written.
// A page becomes whole when all its lines are known, or when it was read so often that tracking it costs more than
// storing it. Both follow from the guest's accesses alone: a recording and its replay agree on them at every cycle.

export const LINE = 4;
const LINES = 4096 / LINE;
/** Slow accesses after which a page is taken whole. */
const READ_LIMIT = 2048;
const WRITE_LIMIT = 1024;

interface PartialPage {
  /** One bit a line. */
  readonly observed: Uint8Array;
  /** One bit a byte: overwritten by the guest or a device. */
  readonly written: Uint8Array;
  reads: number;
  writes: number;
}

export class ObservedMemory {
  readonly lineSize = LINE;
  private readonly partial = new Map<number, PartialPage>();
  /** Observed lines of pages that are whole by now. */
  private readonly masks = new Map<number, Uint8Array>();

  /** @param whole called when a page needs no tracking any more */
  constructor(private readonly whole: (page: number) => void) {}

  /** A loader filled `length` bytes at a physical address. Returns the pages concerned. */
  *add(address: number, length: number): Generator<number> {
    if (length === 0) return;
    for (let page = Math.floor(address / 4096); page <= Math.floor((address + length - 1) / 4096); page++) {
      if (!this.partial.has(page))
        this.partial.set(page, {
          observed: new Uint8Array(LINES / 8),
          written: new Uint8Array(512),
          reads: 0,
          writes: 0,
        });
      yield page;
    }
  }

  /** The guest reads or executes bytes of a partial page. */
  read(page: number, offset: number, length: number): void {
    const p = this.partial.get(page);
    if (p === undefined) return;
    for (let line = Math.floor(offset / LINE); line * LINE < offset + length; line++) {
      const from = Math.max(offset, line * LINE);
      const to = Math.min(offset + length, (line + 1) * LINE);
      if (!allWritten(p.written, from, to)) observe(p, line);
    }
    if (++p.reads > READ_LIMIT) {
      p.observed.fill(0xff);
      this.finish(page, p);
    }
  }

  /** The guest or a device overwrites bytes of a partial page. */
  write(page: number, offset: number, length: number): void {
    const p = this.partial.get(page);
    if (p === undefined) return;
    for (let i = offset; i < offset + length; i++) p.written[i >> 3]! |= 1 << (i & 7);
    if (++p.writes > WRITE_LIMIT) {
      for (let line = 0; line < LINES; line++)
        if (!allWritten(p.written, line * LINE, (line + 1) * LINE)) observe(p, line);
      this.finish(page, p);
    } else if ((offset + length === 4096 || p.writes % 256 === 0) && this.isPageKnownNow(p)) this.finish(page, p);
  }

  private isPageKnownNow(p: PartialPage): boolean {
    for (let line = 0; line < LINES; line++)
      if (!isObserved(p, line) && !allWritten(p.written, line * LINE, (line + 1) * LINE)) return false;
    return true;
  }

  private finish(page: number, p: PartialPage): void {
    this.partial.delete(page);
    this.masks.set(page, p.observed);
    this.whole(page);
  }

  /** True when the page holds nothing that a replay might not have. */
  isPageKnown(page: number): boolean {
    return !this.partial.has(page);
  }

  /** @param line within the page */
  isKnown(page: number, line: number): boolean {
    const p = this.partial.get(page);
    return p === undefined || isObserved(p, line) || allWritten(p.written, line * LINE, (line + 1) * LINE);
  }

  /** True when the initial content of a line (physical address / 4) must be in the trace. */
  isObserved(line: number): boolean {
    const page = Math.floor(line / LINES);
    const n = line % LINES;
    const p = this.partial.get(page);
    if (p !== undefined) return isObserved(p, n);
    const mask = this.masks.get(page);
    return mask === undefined || bit(mask, n);
  }
}

function observe(p: PartialPage, line: number): void {
  p.observed[line >> 3]! |= 1 << (line & 7);
}
const bit = (mask: Uint8Array, n: number): boolean => (mask[n >> 3]! & (1 << (n & 7))) !== 0;
const isObserved = (p: PartialPage, line: number): boolean => bit(p.observed, line);
function allWritten(written: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    if ((i & 7) === 0 && to - i >= 8) {
      if (written[i >> 3] !== 0xff) return false;
      i += 7;
    } else if ((written[i >> 3]! & (1 << (i & 7))) === 0) return false;
  }
  return true;
}
