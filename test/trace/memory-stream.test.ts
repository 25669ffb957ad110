// Memory handed over while it comes to be observed: all of it, once, and the same however often somebody looks.

import test from 'ava';
import fc from 'fast-check';
import { decodeMemory, encodePages, type ObservedPage } from '../../src/trace/memory.js';
import { MemoryStream } from '../../src/trace/memory-stream.js';

const PAGES = 2048;
const memory = [
  { address: 0x10_0100, data: Uint8Array.from({ length: 300 }, (_, i) => i | 1) },
  { address: 0x10_0800, data: Uint8Array.from({ length: PAGES * 4096 - 77 }, (_, i) => (i % 251) + 1) },
];
const FIRST = 0x100;

/** Masks that only grow, as those of a guest do. */
class Observations {
  readonly masks: Uint8Array[];
  /** @param room where masks lie, but for a few */
  constructor(room?: WebAssembly.Memory) {
    this.masks = Array.from({ length: PAGES + 2 }, (_, i) =>
      room && i % 500 !== 7 ? new Uint8Array(room.buffer, 64 + i * 520, 512) : new Uint8Array(512),
    );
  }
  observedIn(page: number): Uint8Array {
    return this.masks[page - FIRST]!;
  }
  /** See a stretch of pages, some bits of each byte of their masks. */
  see(from: number, to: number, bits: number): void {
    for (let page = from; page < to; page++) for (let i = 0; i < 512; i++) this.masks[page]![i]! |= bits;
  }
}

const copyOf = (page: ObservedPage): ObservedPage => ({ ...page, mask: Uint8Array.from(page.mask) });

function sameJobs(one: ObservedPage[][], other: ObservedPage[][]): boolean {
  const pages = other.flat();
  return (
    one.map(({ length }) => length).join() === other.map(({ length }) => length).join() &&
    one.flat().every(({ address, mask }, i) => {
      return pages[i]!.address === address && Buffer.compare(pages[i]!.mask, mask) === 0;
    })
  );
}

test('every observed byte goes once, in jobs whose pages ascend', (t) => {
  const look = fc.tuple(fc.nat(PAGES), fc.nat(PAGES), fc.constantFrom(0x01, 0x3c, 0xff));
  fc.assert(
    fc.property(fc.array(look, { maxLength: 6 }), (looks) => {
      const room = new WebAssembly.Memory({ initial: 17 });
      const seen = new Observations(room);
      const jobs: ObservedPage[][] = [];
      const stream = new MemoryStream(memory, seen, (pages) => jobs.push(pages.map(copyOf)), room);
      const others: ObservedPage[][] = [];
      const other = new MemoryStream(memory, seen, (pages) => others.push(pages.map(copyOf)));
      seen.see(0, PAGES + 2, 0x80);
      seen.see(0, PAGES, 0x0f);
      // The second step finds nothing new, so the first pieces go.
      stream.step();
      stream.step();
      other.step();
      other.step();
      t.true(jobs.length > 0);
      for (const [from, length, bits] of looks) {
        seen.see(from, Math.min(from + length, PAGES), bits);
        stream.step();
        other.step();
      }
      t.true(stream.finish());
      t.true(other.finish());
      t.true(sameJobs(jobs, others));
      const found = new Map<number, number>();
      for (const job of jobs) {
        const addresses = job.map(({ address }) => address);
        t.deepEqual(
          addresses,
          [...addresses].sort((a, b) => a - b),
        );
        for (const payload of encodePages(job)) {
          for (const { address, data } of decodeMemory(payload)) {
            for (let i = 0; i < data.length; i += 97) {
              if (found.has(address + i)) t.fail(`${address + i} went twice`);
              found.set(address + i, data[i]!);
            }
          }
        }
      }
      for (const [at, byte] of found) {
        const region = memory.find(({ address, data }) => at >= address && at < address + data.length)!;
        if (region.data[at - region.address] !== byte) t.fail(`${at} is ${byte}`);
      }
      let bytes = 0;
      for (const job of jobs)
        for (const payload of encodePages(job)) for (const { data } of decodeMemory(payload)) bytes += data.length;
      let expected = 0;
      for (const { address, data } of memory) {
        for (let at = address; at < address + data.length; at++) {
          if ((seen.observedIn(at >> 12)[(at & 4095) >> 3]! >> (at & 7)) & 1) expected++;
        }
      }
      t.is(bytes, expected);
    }),
    { numRuns: 2 },
  );
});

test('memory of which little is seen is left to the end, whole', (t) => {
  const seen = new Observations();
  const stream = new MemoryStream(memory, seen, () => t.fail('nothing is to go'));
  seen.see(0, 500, 0xff);
  stream.step();
  stream.step();
  t.false(stream.finish());
});
