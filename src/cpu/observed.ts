// Which bytes of the initial memory the guest has seen. A sealed replay needs those and no others, so a trace of a
// 40 MB kernel holds the few hundred kilobytes of it that ran.
//
// Pages that a loader filled start out partial: no TLB entry is made for them, every access comes through the slow
// path, which marks 64-byte lines as observed (read or executed before they were overwritten) and bytes as written.
// A page becomes whole when all its lines are known, or when it was read so often that tracking it costs more than
// storing it. Both follow from the guest's accesses alone: a recording and its replay agree on them at every cycle.

export const LINE = 64;
/** Slow accesses after which a page is taken whole. */
const READ_LIMIT = 64;
const WRITE_LIMIT = 1024;

interface PartialPage {
  /** Lines 0–31 and 32–63 observed. */
  observedLow: number;
  observedHigh: number;
  /** One bit a byte: overwritten by the guest or a device. */
  readonly written: Uint8Array;
  reads: number;
  writes: number;
}

export class ObservedMemory {
  readonly lineSize = LINE;
  private readonly partial = new Map<number, PartialPage>();
  /** Observed lines of pages that are whole by now: all of them, or those of `masks`. */
  private readonly masks = new Map<number, readonly [low: number, high: number]>();

  /** @param whole called when a page needs no tracking any more */
  constructor(private readonly whole: (page: number) => void) {}

  /** A loader filled `length` bytes at a physical address. Returns the pages concerned. */
  *add(address: number, length: number): Generator<number> {
    if (length === 0) return;
    for (let page = Math.floor(address / 4096); page <= Math.floor((address + length - 1) / 4096); page++) {
      if (!this.partial.has(page))
        this.partial.set(page, { observedLow: 0, observedHigh: 0, written: new Uint8Array(512), reads: 0, writes: 0 });
      yield page;
    }
  }

  /** The guest reads or executes bytes of a partial page. */
  read(page: number, offset: number, length: number): void {
    const p = this.partial.get(page);
    if (p === undefined) return;
    for (let line = offset >> 6; line <= (offset + length - 1) >> 6; line++) {
      const from = Math.max(offset, line * LINE);
      const to = Math.min(offset + length, (line + 1) * LINE);
      if (!allWritten(p.written, from, to)) observe(p, line);
    }
    if (++p.reads > READ_LIMIT) {
      p.observedLow = -1;
      p.observedHigh = -1;
      this.finish(page, p);
    }
  }

  /** The guest or a device overwrites bytes of a partial page. */
  write(page: number, offset: number, length: number): void {
    const p = this.partial.get(page);
    if (p === undefined) return;
    for (let i = offset; i < offset + length; i++) p.written[i >> 3]! |= 1 << (i & 7);
    if (++p.writes > WRITE_LIMIT) {
      for (let line = 0; line < 64; line++)
        if (!allWritten(p.written, line * LINE, (line + 1) * LINE)) observe(p, line);
      this.finish(page, p);
    } else if ((offset + length) % LINE === 0 && this.isPageKnownNow(p)) this.finish(page, p);
  }

  private isPageKnownNow(p: PartialPage): boolean {
    for (let line = 0; line < 64; line++)
      if (!isObserved(p, line) && !allWritten(p.written, line * LINE, (line + 1) * LINE)) return false;
    return true;
  }

  private finish(page: number, p: PartialPage): void {
    this.partial.delete(page);
    this.masks.set(page, [p.observedLow, p.observedHigh]);
    this.whole(page);
  }

  /** True when the page holds nothing that a replay might not have. */
  isPageKnown(page: number): boolean {
    return !this.partial.has(page);
  }

  /** @param line 0…63 within the page */
  isKnown(page: number, line: number): boolean {
    const p = this.partial.get(page);
    return p === undefined || isObserved(p, line) || allWritten(p.written, line * LINE, (line + 1) * LINE);
  }

  /** True when the initial content of a line (physical address / 64) must be in the trace. */
  isObserved(line: number): boolean {
    const page = Math.floor(line / 64);
    const n = line % 64;
    const p = this.partial.get(page);
    if (p !== undefined) return isObserved(p, n);
    const mask = this.masks.get(page);
    return mask === undefined || ((n < 32 ? mask[0] : mask[1]) & (1 << (n & 31))) !== 0;
  }
}

function observe(p: PartialPage, line: number): void {
  if (line < 32) p.observedLow |= 1 << line;
  else p.observedHigh |= 1 << (line & 31);
}
function isObserved(p: PartialPage, line: number): boolean {
  return ((line < 32 ? p.observedLow : p.observedHigh) & (1 << (line & 31))) !== 0;
}
function allWritten(written: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    if ((i & 7) === 0 && to - i >= 8) {
      if (written[i >> 3] !== 0xff) return false;
      i += 7;
    } else if ((written[i >> 3]! & (1 << (i & 7))) === 0) return false;
  }
  return true;
}
